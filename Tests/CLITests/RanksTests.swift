import Checkpoints
import Foundation
import TestSupport
import Testing
import Torch
import Vitrail

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Trainings by several processes, of the paper's model in small: Training/lumen-tiny.json on a random LLaVA.
@Suite(.serialized) final class RanksTests {
    private let folder: TemporaryFolder
    private let configuration: [String: Any]

    init() async throws {
        folder = try TemporaryFolder()
        let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let data = try Data(contentsOf: root.appendingPathComponent("Training/lumen-tiny.json"))
        configuration = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let made = try await Program.run(
            ["synthesize", "--model", "llava-1.5-tiny", "--output", folder.file("llava")])
        try #require(made.code == 0, "\(made.error)")
    }

    /// Writes the configuration with changed fields; `steps` is the stage's.
    private func write(_ name: String, steps: Int? = nil, _ changes: [String: Any] = [:]) throws -> String {
        var fields = configuration.merging(changes) { $1 }
        if let steps {
            var stages = try #require(fields["stages"] as? [[String: Any]])
            stages[0]["steps"] = steps
            fields["stages"] = stages
        }
        let path = folder.file("\(name).json")
        try JSONSerialization.data(withJSONObject: fields).write(to: URL(fileURLWithPath: path))
        return path
    }

    /// A rank that runs.
    private final class Rank {
        let process = Process()
        private let errors: String

        init(_ arguments: [String], _ folder: TemporaryFolder, rank: Int, of count: Int, port: Int) throws {
            errors = folder.file("errors-\(rank)")
            process.executableURL = URL(fileURLWithPath: try Program.path)
            process.arguments = arguments
            process.environment = ProcessInfo.processInfo.environment.merging([
                "RANK": "\(rank)", "WORLD_SIZE": "\(count)", "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": "\(port)",
                "GOMP_SPINCOUNT": "0",
            ]) { $1 }
            _ = FileManager.default.createFile(atPath: errors, contents: nil)
            process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
            process.standardOutput = FileHandle.nullDevice
            process.standardInput = FileHandle.nullDevice
            try process.run()
        }

        deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

        /// Its exit code and what it said; waits for its end.
        func end(within seconds: Double = 300) async throws -> (code: Int32, error: String) {
            let limit = ContinuousClock.now + .seconds(seconds)
            while process.isRunning, ContinuousClock.now < limit {
                try await Task.sleep(for: .milliseconds(20))
            }
            try #require(!process.isRunning, "the rank does not end")
            return (process.terminationStatus, try String(contentsOfFile: errors, encoding: .utf8))
        }
    }

    private func start(_ configuration: String, _ run: String, ranks: Int, _ more: [String] = []) throws
        -> [Rank]
    {
        let port = try freePort()
        let arguments =
            ["train", configuration, "--model", folder.file("llava"), "--output", folder.file(run)] + more
        return try (0..<ranks).map { try Rank(arguments, folder, rank: $0, of: ranks, port: port) }
    }

    /// Trains to the end.
    private func train(_ configuration: String, _ run: String, ranks: Int, _ more: [String] = []) async throws
    {
        for rank in try start(configuration, run, ranks: ranks, more) {
            let (code, error) = try await rank.end()
            try #require(code == 0, "\(error)")
        }
    }

    private func metrics(_ run: String) throws -> [[String: Double]] {
        let text = (try? String(contentsOfFile: folder.file("\(run)/metrics.jsonl"), encoding: .utf8)) ?? ""
        return try text.split(separator: "\n").map {
            try JSONDecoder().decode([String: Double].self, from: Data($0.utf8))
                .filter { !$0.key.hasPrefix("seconds") }
        }
    }

    private func waitForStep(_ step: Double, of run: String) async throws {
        for _ in 0..<15_000 {
            if let lines = try? metrics(run), lines.contains(where: { $0["step"]! >= step }) { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("\(run) does not reach step \(step)")
    }

    private func checkpoint(_ run: String) throws -> [String: Tensor] {
        let file = try SafetensorsFile(folder.file("\(run)/checkpoint.safetensors"))
        return try Dictionary(uniqueKeysWithValues: file.names.map { ($0, try file.tensor(named: $0)!) })
    }

    private func areEqual(_ a: [String: Tensor], _ b: [String: Tensor]) throws -> Bool {
        guard a.keys == b.keys else { return false }
        return try a.allSatisfy { name, tensor in
            try tensor.withBytes { one in try b[name]!.withBytes { one.elementsEqual($0) } }
        }
    }

    /// Two ranks with two pictures each, and one with four; and two that are killed and go on.
    @Test func twoRanksLearnWhatOneDoes() async throws {
        let file = try write("curve", steps: 6, ["checkpoint_every": 2])
        try await train(file, "one", ranks: 1)
        try await train(file, "two", ranks: 2)
        let (one, two) = (try metrics("one"), try metrics("two"))
        #expect(one.count == 6 && two.count == 6 && one[5]["heat"]! < one[0]["heat"]!)
        for (a, b) in zip(one, two) {
            #expect(a.keys == b.keys)
            for (name, value) in a { #expect(abs(value - b[name]!) <= 2e-4 * abs(value) + 2e-6, "\(name)") }
        }
        // Only what was trained is kept, and the model names its base and opens.
        let kept = try checkpoint("two").keys.filter { $0.hasPrefix("model.") }
        #expect(kept.contains("model.llava.language_model.model.layers.0.mlp.up_proj.lora_A.weight"))
        let model = try Lumen(contentsOf: ModelFolder(folder.file("two/model")))
        #expect(model.trainedParameters.map { "model.\($0.name)" }.sorted() == kept.sorted())

        // On a busy machine the run may be over before this process is told of its third step.
        for attempt in 0... {
            let killed = try start(file, "killed", ranks: 2)
            try await waitForStep(3, of: "killed")
            for rank in killed { kill(rank.process.processIdentifier, SIGKILL) }
            for rank in killed { _ = try await rank.end() }
            if try metrics("killed").last!["step"]! < 6 { break }
            try #require(attempt < 9)
            try FileManager.default.removeItem(atPath: folder.file("killed"))
        }
        try await train(file, "killed", ranks: 2, ["--resume"])
        #expect(try areEqual(checkpoint("two"), checkpoint("killed")))
        #expect(try metrics("killed") == two)
    }

    /// A step's shards are the same however many ranks divide them, and two numbers have one sum.
    @Test func aRunGoesOnWithAnotherNumberOfRanks() async throws {
        let file = try write("other", steps: 5, ["checkpoint_every": 2])
        try await train(file, "whole", ranks: 1)
        let stopped = try start(file, "stopped", ranks: 2)
        try await waitForStep(2, of: "stopped")
        // One is asked to stop, and both do.
        kill(stopped[1].process.processIdentifier, SIGTERM)
        for rank in stopped { _ = try await rank.end() }
        try await train(file, "stopped", ranks: 1, ["--resume"])
        #expect(try areEqual(checkpoint("whole"), checkpoint("stopped")))
    }

    @Test(arguments: [0, 1]) func theEndOfARankEndsTheOther(_ killed: Int) async throws {
        let file = try write("long", steps: 100_000, ["checkpoint_every": 100_000])
        let ranks = try start(file, "long-\(killed)", ranks: 2)
        try await waitForStep(1, of: "long-\(killed)")
        kill(ranks[killed].process.processIdentifier, SIGKILL)
        let started = ContinuousClock.now
        let (code, error) = try await ranks[1 - killed].end(within: 60)
        // In seconds, on a machine that may be busy with other tests.
        #expect(ContinuousClock.now - started < .seconds(30))
        #expect(code == 70, "\(error)")
        // A progress line may stand before it.
        #expect(error.contains("vitrail: rank \(killed) of 2 is gone: "), "\(error)")
        #expect(error.components(separatedBy: "is gone").count == 2)
    }

    @Test func whatCannotBeIsRefused() async throws {
        func refusal(_ configuration: String, _ more: [String] = [], _ variables: [String: String] = [:])
            async throws
            -> String
        {
            let arguments = ["train", configuration, "--output", folder.file("refused")] + more
            let result = try await Program.run(arguments, environment: variables)
            #expect(result.code != 0 && result.isOneLine, "\(result)")
            return result.error
        }
        let model = ["--model", folder.file("llava")]
        let good = try write("good")
        #expect(try await refusal(good).contains("wants a LLaVA (--model)"))
        #expect(
            try await refusal(good, model, ["RANK": "0", "WORLD_SIZE": "2"]).contains(
                "MASTER_ADDR is not set"))
        let alone = [
            "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "\(try freePort())",
        ]
        #expect(
            try await refusal(good, model + ["--timeout", "1"], alone).contains(
                "1 of 2 ranks came within 1 seconds"))
        let three = alone.merging(["WORLD_SIZE": "1"]) { $1 }
        #expect(
            try await refusal(write("odd", ["plain_size": 128, "rich_size": 128]), model, three)
                .contains("a multiple of the vision tower's patches of 14 pixels"))
        #expect(try await refusal(good, model + ["--device", "cuda"]).contains("not available"))
    }
}
