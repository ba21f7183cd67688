import Foundation
import TestSupport
import Testing
import Vitrail

@Suite struct CheckpointKindTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ name: String, _ text: String = "") throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file(name)))
    }

    @Test(arguments: [
        (#"{"model_type":"llava","text_config":{},"vision_config":{}}"#, CheckpointKind.llava(.huggingFace)),
        (#"{"model_type":"llava","mm_vision_tower":"openai/clip-vit-large-patch14-336"}"#, .llava(.original)),
        (#"{"model_type":"llava_llama","architectures":["LlavaLlamaForCausalLM"]}"#, .llava(.original)),
        (#"{"model_type":"llama","mm_vision_tower":"openai/clip-vit-large-patch14"}"#, .llava(.original)),
        (#"{"model_type":"llama","architectures":["LlamaForCausalLM"]}"#, .llama),
        (#"{"model_type":"clip","text_config":{},"vision_config":{}}"#, .clip),
        (#"{"model_type":"clip_vision_model"}"#, .clip),
        (#"{"model_type":"sam"}"#, .sam(.huggingFace)),
        (#"{"mask_decoder_config":{}}"#, .sam(.huggingFace)),
    ])
    func configurationsTell(_ json: String, _ kind: CheckpointKind) throws {
        try write("config.json", json)
        #expect(try CheckpointKind(of: folder.path) == kind)
    }

    @Test func filesTell() throws {
        try write("adapter_config.json", #"{"base_model_name_or_path":"lmsys/vicuna-7b-v1.5"}"#)
        #expect(try CheckpointKind(of: folder.path) == .adapter(base: "lmsys/vicuna-7b-v1.5"))
        try write("config.json", #"{"model_type":"llava_llama"}"#)
        try write("non_lora_trainables.bin")
        #expect(try CheckpointKind(of: folder.path) == .llavaAdapter(base: "lmsys/vicuna-7b-v1.5"))
        try write("model_index.json", "{}")
        #expect(try CheckpointKind(of: folder.path) == .vitrail)
    }

    @Test func aProjectorAloneIsNoModel() throws {
        try write("config.json", #"{"model_type":"llava","mm_vision_tower":"x","_name_or_path":"vicuna"}"#)
        try write("mm_projector.bin")
        #expect(try CheckpointKind(of: folder.path) == .llavaProjector(base: "vicuna"))
        try write("pytorch_model-00001-of-00002.bin")
        #expect(try CheckpointKind(of: folder.path) == .llava(.original))
    }

    @Test func unknownOnesAreToldWhatIsKnown() throws {
        let nothing = refusal { _ = try CheckpointKind(of: "/no/such/model") }
        #expect(nothing == "/no/such/model: no such file or folder")
        let empty = refusal { _ = try CheckpointKind(of: folder.path) }
        #expect(empty.contains("none of model_index.json, config.json, adapter_config.json"))
        try write("config.json", #"{"model_type":"qwen2_vl"}"#)
        let other = refusal { _ = try CheckpointKind(of: folder.path) }
        #expect(other.contains("config.json: the model_type is qwen2_vl; llava, llava_llama, llama, clip"))
        try write("config.json", "{}")
        #expect(refusal { _ = try CheckpointKind(of: folder.path) }.contains("has no model_type"))
        try write("notes.txt")
        let file = refusal { _ = try CheckpointKind(of: folder.file("notes.txt")) }
        #expect(file.contains("neither a model's folder nor SAM's original weights"))
    }
}
