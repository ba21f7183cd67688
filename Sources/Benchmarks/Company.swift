internal import Foundation

/// What programs cost each other that share the cores: `vitrail demo` and a short training, alone, beside a process that is
/// always busy, two and four at once. The figures are the slowest's seconds; the notes name them as multiples of alone.
func measureCompany(_ rounds: Int, _ report: inout Report) throws {
    let program = Bundle.main.executableURL!.deletingLastPathComponent().appendingPathComponent("vitrail")
    guard FileManager.default.isExecutableFile(atPath: program.path) else {
        report.remarks.append("company: not measured, \(program.path) is not built")
        return
    }
    let training = ["train", "Training/mosaic.json", "--until", "1", "--set", "stages.0.steps=6"]
    for (name, arguments) in [("demo", ["demo"]), ("training, 6 steps", training)] {
        let work = { (copies: Int, busy: Int) in
            try median((0..<rounds).map { _ in try seconds(program, arguments, copies: copies, busy: busy) })
        }
        let alone = try work(1, 0)
        report.add("\(name), alone", "s", [alone], nil)
        for (company, copies, busy) in [
            ("beside a busy process", 1, 1), ("two at once", 2, 0), ("four at once", 4, 0),
        ] {
            let time = try work(copies, busy)
            let note = String(format: "%.2f times alone", time / alone)
            report.add("\(name), \(company)", "s", [time], nil, note: note)
        }
    }
}

/// Seconds until the last of `copies` processes has ended, beside `busy` loops.
private func seconds(_ program: URL, _ arguments: [String], copies: Int, busy: Int) throws -> Double {
    let loops = try (0..<busy).map { _ in
        try start(URL(fileURLWithPath: "/bin/sh"), ["-c", "while :; do :; done"])
    }
    defer {
        for loop in loops {
            loop.terminate()
            loop.waitUntilExit()
        }
    }
    let folder = try WorkFolder()
    let begin = ContinuousClock.now
    let processes = try (0..<copies).map {
        try start(program, arguments + ["--output", "\(folder.path)/\($0)"])
    }
    for process in processes {
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw CompanyError(description: "vitrail \(arguments[0]) ended with \(process.terminationStatus)")
        }
    }
    return (ContinuousClock.now - begin).milliseconds / 1000
}

private func start(_ program: URL, _ arguments: [String]) throws -> Process {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
}

private struct CompanyError: Error, CustomStringConvertible { let description: String }
