import Checkpoints
import Foundation
import TestSupport
import Testing
import Torch
import Vitrail

/// `vitrail inspect` with models of others.
@Suite(.serialized) struct InspectTests {
    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("VitrailTests/Fixtures").path

    private func inspect(_ arguments: String...) async throws -> Program.Result {
        try await Program.run(["inspect"] + arguments)
    }

    private func document(_ arguments: String...) async throws -> [String: Any] {
        let result = try await Program.run(["inspect"] + arguments + ["--json"])
        #expect(result.code == 0 && result.output.filter(\.isNewline).count == 1, "\(result.error)")
        let json = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        return try #require(json as? [String: Any])
    }

    @Test func aFolderOfSAM() async throws {
        let folder = "\(Self.fixtures)/sam"
        let found = try await document(folder)
        #expect(found["type"] as? String == "SAM" && found["layout"] as? String == "Hugging Face")
        #expect(found["image_size"] as? Int == 64 && found["computes_in"] as? String == "float32")
        #expect(found["dtypes"] as? [String: Int] == ["float32": try #require(found["parameters"] as? Int)])
        #expect((found["files"] as? [[String: Any]])?.count == 1)
        let commands = try #require(found["commands"] as? [String])
        #expect(commands[0] == "vitrail segment IMAGE --point X,Y --model \(folder) --output mask.png")
        let text = try await inspect(folder)
        #expect(
            text.output.contains("sam: SAM, Hugging Face layout") && text.output.contains("64 x 64 pixels"))
        #expect(text.output.contains(commands[1]))
    }

    @Test func theAuthorsFileOfSAM() async throws {
        let file = "\(Self.fixtures)/sam-original/sam_vit_small.pth"
        let found = try await document(file)
        let model = try #require(found["model"] as? [String: Any])
        #expect(model["type"] as? String == "SAM" && model["layout"] as? String == "original")
        #expect((model["sizes"] as? [String: Int])?["heads"] == 3)
        let tensors = try #require(found["tensors"] as? [String: [String: Any]])
        #expect(tensors["image_encoder.pos_embed"]?["shape"] as? [Int] == [1, 7, 7, 24])
        let text = try await inspect(file)
        #expect(
            text.output.contains("mask_decoder.iou_token.weight") && text.output.contains("vitrail segment"))
    }

    @Test func aLLaVAAndItsParts() async throws {
        let folder = "\(Self.fixtures)/llava"
        let llava = try await document("\(folder)/hf")
        #expect(llava["type"] as? String == "LLaVA" && llava["layout"] as? String == "Hugging Face")
        #expect(llava["image_tokens"] as? Int == 16 && llava["context_length"] as? Int == 256)
        #expect((llava["tokenizer"] as? [String: Any])?["file"] as? String == "tokenizer.json")
        #expect(llava["conversation"] as? String == "llava_hf")
        let text = try await inspect("\(folder)/hf")
        let shards = text.output.split(separator: "\n").filter { $0.contains(".safetensors,") }
        // The columns stand under each other.
        let columns = shards.map { $0.range(of: folder)?.lowerBound.utf16Offset(in: $0) }
        #expect(shards.count == 3 && Set(columns).count == 1)
        let original = try await document("\(folder)/original")
        #expect(original["layout"] as? String == "original" && original["conversation"] is String)
        let clip = try await document("\(folder)/clip-tiny")
        #expect(clip["type"] as? String == "CLIP" && clip["image_size"] as? Int == 21)
        let lora = try await document("\(folder)/hf-lora")
        #expect(lora["type"] as? String == "LoRA" && lora["rank"] as? Int == 4)
    }

    @Test func aModelOfOurOwn() async throws {
        let found = try await document(try Engine.embeddedModel())
        #expect(found["type"] as? String == "Vitrail" && found["computes_in"] as? String == "float32")
        #expect((found["commands"] as? [String])?.count == 3)
    }

    @Test func aLoRA() async throws {
        let folder = try TemporaryFolder()
        try Data(
            #"{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj"],"base_model_name_or_path":"a/b"}"#
                .utf8
        ).write(to: URL(fileURLWithPath: folder.file("adapter_config.json")))
        let layer = "base_model.model.model.layers.0.self_attn.q_proj"
        try SafetensorsFile.write(
            [
                (name: "\(layer).lora_A.weight", tensor: try Tensor.zeros([2, 8])),
                (name: "\(layer).lora_B.weight", tensor: try Tensor.zeros([8, 2])),
            ], to: folder.file("adapter_model.safetensors"))
        let found = try await document(folder.path)
        #expect(found["type"] as? String == "LoRA" && found["rank"] as? Int == 2)
        #expect(found["base"] as? String == "a/b" && found["targets"] as? [String] == ["q_proj"])
        #expect(found["parameters"] as? Int == 32)
    }

    @Test func whatIsWrongIsSaid() async throws {
        let folder = try TemporaryFolder()
        func write(_ name: String, _ text: String) throws {
            try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file(name)))
        }
        func says(_ words: String) async throws {
            let result = try await inspect(folder.path)
            #expect(result.code == 65 && result.isOneLine && result.error.contains(words), "\(result.error)")
        }
        try await says("none of model_index.json, config.json")
        try write("config.json", #"{"model_type":"mistral"}"#)
        try await says("the model_type is mistral")
        try write("config.json", #"{"model_type":"sam"}"#)
        try await says("model.safetensors")
        let index = #"{"weight_map":{"vision_encoder.pos_embed":"model-00001-of-00002.safetensors"}}"#
        try write("model.safetensors.index.json", index)
        try await says("model-00001-of-00002.safetensors")
        // A folder whose tensors are another configuration's.
        try FileManager.default.removeItem(atPath: folder.file("model.safetensors.index.json"))
        try FileManager.default.createSymbolicLink(
            atPath: folder.file("model.safetensors"),
            withDestinationPath: "\(Self.fixtures)/sam/model.safetensors")
        try await says("of the wrong shape")
    }
}
