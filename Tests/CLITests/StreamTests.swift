import Checkpoints
import Foundation
import TestSupport
import Testing
import Torch
import Vitrail

/// What becomes of the program when its streams are full, closed or interrupted.
@Suite(.serialized) struct StreamTests {
    private let pictures: Pictures

    init() throws { pictures = try Pictures() }

    /// Runs a line of the shell, in which `$0` is the program.
    private func shell(_ line: String, in folder: TemporaryFolder? = nil) async throws -> Program.Result {
        try await Program.run(["-c", line, try Program.path], in: folder, program: "/bin/sh")
    }

    @Test(arguments: ["2>/dev/full", "2>&-"]) func anErrorThatNobodyHears(stream: String) async throws {
        let result = try await shell("\"$0\" ask missing.png \"Find all stars.\" \(stream)")
        #expect(result.code == 66 && result.output.isEmpty && result.error.isEmpty)
    }

    @Test func anAnswerThatCannotBeWritten() async throws {
        for (command, reason) in [
            ("inspect >/dev/full", "no space left"), ("inspect --json >&-", "bad file descriptor"),
            ("--help >/dev/full", "no space left"),
            ("locate \(pictures.good) --find star --as count --json >/dev/full", "no space left"),
        ] {
            let result = try await shell("\"$0\" \(command)")
            #expect(result.code == 73 && result.isOneLine, "\(command): \(result)")
            #expect(result.error.contains("cannot write the answer to standard output: \(reason)"))
        }
        // A reader that is gone.
        let pipe = try await shell("{ \"$0\" inspect; echo \"code $?\" >&2; } | :")
        #expect(pipe.error.contains("broken pipe\ncode 73"), "\(pipe)")
    }

    @Test func nothingOfAModelIsWrittenIntoAClosedStream() async throws {
        // A file that is opened gets the lowest number that is free: that of the closed stream.
        let folder = try TemporaryFolder()
        let result = try await shell(
            "\"$0\" ask \(pictures.good) \"Find all stars.\" --output made/a.png 2>&- >&-", in: folder)
        #expect(result.code == 73)
        let file = try Data(contentsOf: URL(fileURLWithPath: folder.file("made/a.png")))
        #expect(file.starts(with: [0x89, 0x50, 0x4E, 0x47]))
    }

    @Test(arguments: ["2>/dev/full", "2>&-"]) func aTrainingGoesOn(stream: String) async throws {
        let folder = try TemporaryFolder()
        let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
        let made = try await Program.run(
            ["synthesize", "--model", "llava-1.5-tiny", "--output", folder.file("llava")])
        try #require(made.code == 0, "\(made.error)")
        let result = try await shell(
            "\"$0\" train \(root)/Training/lumen-tiny.json --model llava --output run --set stages.0.steps=2 "
                + "--threads 1 \(stream)", in: folder)
        #expect(result.code == 0 && result.output == "wrote run/model\n", "\(result)")
        let checkpoint = try SafetensorsFile(folder.file("run/checkpoint.safetensors"))
        #expect(checkpoint.metadata["step"] == "2")
    }

    @Test func linesBeforeAnInterruptAreWhole() async throws {
        let folder = try TemporaryFolder()
        let output = folder.file("lines")
        _ = FileManager.default.createFile(atPath: output, contents: nil)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try Program.path)
        process.arguments =
            ["locate"] + Array(repeating: pictures.good, count: 300)
            + ["--find", "star", "heart", "--as", "masks", "--json", "--threads", "1"]
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        let limit = ContinuousClock.now + .seconds(120)
        while try Data(contentsOf: URL(fileURLWithPath: output)).count < 2000, ContinuousClock.now < limit {
            try await Task.sleep(for: .milliseconds(20))
        }
        kill(process.processIdentifier, SIGTERM)
        while process.isRunning, ContinuousClock.now < limit { try await Task.sleep(for: .milliseconds(20)) }
        try #require(!process.isRunning)
        #expect(process.terminationReason == .exit && process.terminationStatus == 130)
        let text = try String(contentsOfFile: output, encoding: .utf8)
        #expect(text.hasSuffix("}\n"))
        for line in text.split(separator: "\n") {
            #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(line.utf8)) }
        }
    }
}
