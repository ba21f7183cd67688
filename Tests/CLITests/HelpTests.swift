import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct HelpTests {
    @Test func rootHelp() async throws {
        let result = try await Program.run(["--help"], environment: ["COLUMNS": "80"])
        #expect(result.code == 0 && result.error.isEmpty)
        let snapshot = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/help.txt")
        // To take a new one: COLUMNS=80 .build/release/vitrail --help > Tests/CLITests/Fixtures/help.txt
        #expect(result.output == (try String(contentsOf: snapshot, encoding: .utf8)))
    }

    @Test(arguments: [
        "ask", "locate", "segment", "demo", "inspect", "synthesize", "train", "evaluate", "data",
    ])
    func everyCommandExplainsItself(command: String) async throws {
        let result = try await Program.run([command, "--help"])
        #expect(result.code == 0)
        #expect(result.output.contains("USAGE: vitrail \(command)"))
    }

    @Test func version() async throws {
        #expect(try await Program.run(["--version"]).output.split(separator: ".").count == 3)
    }
}
