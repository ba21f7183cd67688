internal import ArgumentParser
internal import Foundation
internal import Torch

/// Full-size models, beside transformers on the same folders.
struct FullSize: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "full-size",
        abstract: "A LLaVA and a SAM of any size, beside transformers on the same weights.",
        discussion: """
            Each measurement is a process of its own, Swift's and Python's in turn, so that neither holds memory while \
            the other runs. `vitrail synthesize --model llava-1.5-7b --output FOLDER` makes weights.

            Example:
              vitrail-bench full-size --llava llava-random --sam sam-random --rounds 3
            """)

    @Option(help: "The folder of a LLaVA in Hugging Face's layout.")
    var llava: String?

    @Option(help: "The folder of a SAM in Hugging Face's layout.")
    var sam: String?

    @Option(help: "Threads, of Python too.")
    var threads = 2

    @Option(help: "How often Swift and Python take turns.")
    var rounds = 2

    @Option(help: "Tokens that are decoded after the prompt.")
    var tokens = 32

    @Option(help: "Tokens of the question, beside the image's.")
    var question = 50

    @Option(help: "Dtypes in which SAM's encoder runs, beside each other.")
    var samDtypes = "float32,bfloat16"

    @Flag(help: "Print one JSON document instead of tables.")
    var json = false

    func validate() throws {
        for (name, value) in [("threads", threads), ("rounds", rounds), ("question", question)] {
            guard value > 0 else { throw ValidationError("--\(name) is \(value), 1 is the least") }
        }
        guard tokens > 1 else { throw ValidationError("--tokens is \(tokens), 2 is the least") }
        guard llava != nil || sam != nil else { throw ValidationError("--llava or --sam is needed") }
        guard samDtypes.split(separator: ",").allSatisfy({ FullSizeWork.dtypes[String($0)] != nil }) else {
            throw ValidationError("--sam-dtypes is \(samDtypes), of float32 and bfloat16 a list is possible")
        }
    }

    func run() async throws {
        try Threads.set(threads)
        var report = FullSizeReport(threads: threads, python: Self.pythonVersion())
        let python = report.python.hasPrefix("not") ? nil : Self.pythonName
        report.gigabytesPerSecond = try measureMemory()
        if let llava {
            let work = ["llava", llava, "--tokens", "\(tokens)", "--question", "\(question)"]
            let both = try turns(work, python, "LLaVA")
            report.llava = try LLaVAFigures(llava, both, bandwidth: report.gigabytesPerSecond)
        }
        if let sam {
            for dtype in samDtypes.split(separator: ",").map(String.init) {
                let both = try turns(["sam", sam, "--dtype", dtype], python, "SAM in \(dtype)")
                report.sam.append(SAMFigures(dtype, both))
            }
        }
        print(json ? try report.json() : report.text)
    }

    /// Swift's and Python's measurements, in turn.
    private func turns(
        _ work: [String], _ python: String?, _ name: String
    ) throws -> (swift: [FullSizeWork.Result], python: [FullSizeWork.Result]) {
        var both: (swift: [FullSizeWork.Result], python: [FullSizeWork.Result]) = ([], [])
        let arguments = work + ["--threads", "\(threads)"]
        for round in 1...rounds {
            note("\(name), round \(round) of \(rounds): Swift")
            both.swift.append(try Self.result(of: CommandLine.arguments[0], ["full-size-work"] + arguments))
            guard let python else { continue }
            note("\(name), round \(round) of \(rounds): Python")
            both.python.append(try Self.result(of: python, [Self.script] + arguments))
        }
        return both
    }

    private func note(_ text: String) {
        if !json { FileHandle.standardError.write(Data("measuring \(text)\n".utf8)) }
    }

    // MARK: Processes

    static let script = "Tools/reference/bench_full_size.py"
    static var pythonName: String { ProcessInfo.processInfo.environment["VITRAIL_PYTHON"] ?? "python3" }

    private static func pythonVersion() -> String {
        let check =
            "import sys, torch, transformers as t; "
            + "print(sys.version.split()[0], 'torch', torch.__version__, 'transformers', t.__version__)"
        guard FileManager.default.fileExists(atPath: script) else {
            return "not measured, \(script) is not here: run this from the package's folder"
        }
        guard let answer = try? LineReader.firstLine(of: pythonName, ["-c", check]),
            answer.contains("torch 2.11.")
        else {
            return "not measured, \(pythonName) has no torch 2.11 with transformers "
                + "(pip install torch==2.11.0 transformers==4.57.1, or VITRAIL_PYTHON=path of another Python)"
        }
        return answer
    }

    private static func result(of program: String, _ arguments: [String]) throws -> FullSizeWork.Result {
        guard let line = try LineReader.firstLine(of: program, arguments) else {
            throw PythonSide.Failed(description: "\(program) \(arguments.joined(separator: " ")) failed")
        }
        return try JSONDecoder().decode(FullSizeWork.Result.self, from: Data(line.utf8))
    }
}

/// Gigabytes a second that all threads together read at best, of a tensor that no cache holds.
private func measureMemory() throws -> Double {
    let tensor = try Tensor.ones([1 << 30], dtype: .uint8)
    let read = Operator("vitrail::read_memory")
    let times = try (0..<8).map { _ in try milliseconds { try read.perform(tensor) } }
    return Double(tensor.count) / times.min()! / 1e6
}
