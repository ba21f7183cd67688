internal import Foundation

/// Tools/reference/bench_lumen.py, running: it gets one line of JSON for each thing to do and answers with one.
final class PythonSide {
    static let script = "Tools/reference/bench_lumen.py"

    let program: String
    /// Whether the side can segment.
    let hasTransformers: Bool
    private let process = Process()
    private let input = Pipe()
    private let output: LineReader

    /// Starts Python when one is there that can take part; says why not otherwise.
    static func find(threads: Int, scene: BenchmarkScene) throws -> (side: PythonSide?, version: String) {
        let program = ProcessInfo.processInfo.environment["VITRAIL_PYTHON"] ?? "python3"
        let missing =
            "not measured, \(program) has no torch 2.11 with pillow "
            + "(pip install torch==2.11.0 pillow transformers==4.57.1, or VITRAIL_PYTHON=path of another Python)"
        guard FileManager.default.fileExists(atPath: script) else {
            return (nil, "not measured, \(script) is not here: run this from the package's folder")
        }
        let check = """
            import importlib.metadata, sys, torch, PIL
            found = [d.version for d in importlib.metadata.distributions(name="transformers")]
            print(sys.version.split()[0], "torch", torch.__version__, *["transformers", *found][:2 * len(found)])
            """
        guard let answer = try? LineReader.firstLine(of: program, ["-c", check]),
            answer.contains("torch 2.11.")
        else {
            return (nil, missing)
        }
        let side = try PythonSide(
            program, threads: threads, model: scene.modelPath,
            hasTransformers: answer.contains(" transformers "))
        return (side, answer)
    }

    private init(_ program: String, threads: Int, model: String, hasTransformers: Bool) throws {
        self.program = program
        self.hasTransformers = hasTransformers
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program, Self.script, "serve", model, "\(threads)"]
        process.standardInput = input
        let pipe = Pipe()
        process.standardOutput = pipe
        output = LineReader(pipe.fileHandleForReading)
        try process.run()
    }

    deinit {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// Has something done; the answer's fields depend on what.
    func ask<Answer: Decodable>(_ request: [String: Any], as type: Answer.Type = Answer.self) throws -> Answer
    {
        let line = try JSONSerialization.data(withJSONObject: request) + [UInt8(ascii: "\n")]
        try input.fileHandleForWriting.write(contentsOf: line)
        guard let answer = output.next() else {
            throw Failed(description: "\(Self.script) ended without an answer")
        }
        return try JSONDecoder().decode(Answer.self, from: Data(answer.utf8))
    }

    struct Failed: Error, CustomStringConvertible { let description: String }
}

/// Lines of a pipe as they come.
final class LineReader {
    private let handle: FileHandle
    private var buffer = Data()

    init(_ handle: FileHandle) { self.handle = handle }

    func next() -> String? {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                defer { buffer.removeSubrange(...end) }
                return String(decoding: buffer[..<end], as: UTF8.self)
            }
            let more = handle.availableData
            guard !more.isEmpty else { return nil }
            buffer += more
        }
    }

    /// The first line that a program writes; its errors are not shown.
    ///
    /// - Parameter whenThere: called when the line is there, before the program has ended.
    static func firstLine(
        of program: String, _ arguments: [String], whenThere: () -> Void = {}
    ) throws -> String? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        let line = LineReader(pipe.fileHandleForReading).next()
        whenThere()
        process.waitUntilExit()
        return process.terminationStatus == 0 ? line : nil
    }
}
