import Foundation
import TestSupport
import Testing

/// Folders of random weights, which every other command takes for published ones.
@Suite(.serialized) struct SynthesizeModelTests {
    private func made(
        _ model: String, _ options: [String] = [], in folder: TemporaryFolder, as name: String = "model"
    ) async throws -> String {
        let result = try await Program.run(
            ["synthesize", "--model", model, "--output", name] + options, in: folder)
        #expect(
            result.code == 0 && result.output.hasPrefix("wrote \(model) of random weights"), "\(result.error)"
        )
        return folder.file(name)
    }

    @Test(arguments: ["hf", "original"])
    func `a small LLaVA answers`(layout: String) async throws {
        let (folder, pictures) = (try TemporaryFolder(), try Pictures())
        let model = try await made("llava-1.5-tiny", ["--layout", layout], in: folder)
        let kind = try await Program.run(["inspect", model])
        #expect(kind.code == 0 && kind.output.contains("LLaVA"), "\(kind.error)")
        let ask = [
            "ask", pictures.good, "What is in this image?", "--model", model, "--temperature", "0",
            "--max-tokens", "12", "--json",
        ]
        let answers = [try await Program.run(ask), try await Program.run(ask)]
        #expect(answers[0].code == 0, "\(answers[0].error)")
        #expect(answers[0].output == answers[1].output && answers[0].output.contains("\"ids\":["))
    }

    @Test func `a small SAM gives a mask`() async throws {
        let (folder, pictures) = (try TemporaryFolder(), try Pictures())
        let model = try await made("sam-vit-tiny", ["--dtype", "float32"], in: folder)
        let mask = try await Program.run(
            ["segment", pictures.good, "--model", model, "--point", "40,40", "--output", "mask.png"],
            in: folder)
        #expect(mask.code == 0 && folder.contents.contains("mask.png"), "\(mask.error)")
    }

    @Test func `the same seed gives the same weights`() async throws {
        let folder = try TemporaryFolder()
        var weights: [Data] = []
        for (name, seed) in [("a", "3"), ("b", "3"), ("c", "4")] {
            let path = try await made("clip-vit-tiny", ["--seed", seed], in: folder, as: name)
            weights.append(try Data(contentsOf: URL(fileURLWithPath: "\(path)/model.safetensors")))
        }
        #expect(weights[0] == weights[1] && weights[0] != weights[2] && weights[0].count == weights[2].count)
    }

    @Test func `what does not fit together is refused`() async throws {
        let folder = try TemporaryFolder()
        _ = try await made("clip-vit-tiny", in: folder)
        for (options, says) in [
            (["--model", "llava-9"], "llava-1.5-7b"),
            (["--model", "clip-vit-tiny", "--count", "3"], "--count"),
            (["--seed", "1"], "--count"), (["--seed", "1", "--count", "1", "--layout", "hf"], "--layout"),
            (["--model", "sam-vit-tiny", "--layout", "original"], "llava"),
            (["--model", "sam-vit-tiny", "--dtype", "int8"], "bfloat16"),
        ] {
            let result = try await Program.run(["synthesize", "--output", "new"] + options, in: folder)
            #expect(result.code == 64 && result.isOneLine && result.error.contains(says), "\(result.error)")
        }
        let full = try await Program.run(
            ["synthesize", "--model", "clip-vit-tiny", "--output", "model"], in: folder)
        #expect(full.code == 73 && full.error.contains("not empty"), "\(full.error)")
        #expect(folder.contents == ["model"])
    }
}
