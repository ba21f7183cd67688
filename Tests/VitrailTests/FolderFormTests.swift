import Checkpoints
import Encoders
import Foundation
import Language
import Media
import NN
import TestSupport
import Testing
import Torch
import Vitrail

/// Folders as transformers 5 writes them: the fixtures of transformers 4.57, turned into what 5.24 saves for the same
/// model, must answer the same. Tools/reference/check_llava.py and check_sam.py do it with folders that 5.24 saved.
struct FolderFormTests {
    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures").path

    /// A copy of a folder, to be changed.
    private struct Copy {
        let folder: TemporaryFolder
        var path: String { folder.path }

        init(_ name: String) throws {
            folder = try TemporaryFolder()
            let source = "\(FolderFormTests.fixtures)/\(name)"
            for file in try FileManager.default.contentsOfDirectory(atPath: source) {
                try FileManager.default.copyItem(atPath: "\(source)/\(file)", toPath: folder.file(file))
            }
        }

        func read(_ file: String) throws -> [String: Any] {
            let data = try Data(contentsOf: URL(fileURLWithPath: folder.file(file)))
            return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        }

        func write(_ fields: [String: Any], to file: String) throws {
            try JSONSerialization.data(withJSONObject: fields).write(
                to: URL(fileURLWithPath: folder.file(file)))
        }

        func write(_ text: String, to file: String) throws {
            try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file(file)))
        }

        func change(_ file: String, _ body: (inout [String: Any]) throws -> Void) throws {
            var fields = try read(file)
            try body(&fields)
            try write(fields, to: file)
        }

        /// Puts the image processor into `processor_config.json`, and another where it was.
        func nestProcessor() throws {
            var processor = try read("preprocessor_config.json")
            var outer = (try? read("processor_config.json")) ?? [:]
            outer["image_processor"] = processor
            try write(outer, to: "processor_config.json")
            processor["image_mean"] = [0.1, 0.2, 0.3]
            try write(processor, to: "preprocessor_config.json")
        }

        /// Writes all weights anew, as one file, under other names.
        func rename(_ name: (String) -> String) throws {
            let checkpoint = try Checkpoint(contentsOf: path)
            let tensors = try checkpoint.names.map {
                (name: name($0), tensor: try checkpoint.tensor(named: $0)!)
            }
            try SafetensorsFile.write(tensors, metadata: ["format": "pt"], to: folder.file("weights"))
            for file in folder.contents where file.contains("safetensors") {
                try FileManager.default.removeItem(atPath: folder.file(file))
            }
            try FileManager.default.moveItem(
                atPath: folder.file("weights"), toPath: folder.file("model.safetensors"))
        }
    }

    private func greedy(_ folder: String) async throws -> [Int] {
        let engine = try LLaVAEngine(model: folder, precision: .float32)
        let picture = try Image(contentsOf: "\(Self.fixtures)/llava/picture.png")
        let request = LLaVARequest(LLaVATests.question, options: .init(maxTokens: 24))
        return try await engine.ask(request, about: picture).tokens
    }

    @Test(arguments: ["", "model."])
    func aLLaVAOfTransformers5AnswersTheSame(_ prefix: String) async throws {
        let copy = try Copy("llava/hf")
        try copy.change("config.json") { config in
            var text = try #require(config["text_config"] as? [String: Any])
            text["rope_theta"] = nil
            text["rope_scaling"] = nil
            text["rope_parameters"] = ["rope_theta": 10_000.0, "rope_type": "default"]
            text["tie_word_embeddings"] = false
            config["text_config"] = text
            config["tie_word_embeddings"] = false
        }
        try copy.nestProcessor()
        try copy.rename { name in
            let name = name.replacingOccurrences(of: "vision_tower.vision_model.", with: "vision_tower.")
            return name.hasPrefix("vision_tower.") ? prefix + name : name
        }
        let expected = try Fixture("llava/expected")["hf/greedy"].array(Int.self)
        #expect(try await greedy(copy.path) == Array(expected.prefix(24)))
    }

    /// Any base but the default's would give other tokens.
    @Test func theBaseOfTheRotaryEmbeddingIsRead() throws {
        let copy = try Copy("llava/hf")
        try copy.change("config.json") { config in
            var text = try #require(config["text_config"] as? [String: Any])
            text["rope_parameters"] =
                ["rope_theta": 500_000.0, "rope_type": "linear", "factor": 2.0] as [String: Any]
            config["text_config"] = text
        }
        let language = try LLaVAFolder(copy.path).configuration.language
        #expect(language.ropeTheta == 500_000 && language.ropeScaling == RotaryScaling(.linear, factor: 2))
    }

    @Test func aLoneTowerOfTransformers5Opens() throws {
        let copy = try Copy("llava/clip-tiny")
        try copy.rename { String($0.dropFirst("vision_model.".count)) }
        let (old, new) = try (
            CLIPVision(contentsOf: "\(Self.fixtures)/llava/clip-tiny", dtype: .float32),
            CLIPVision(contentsOf: copy.path, dtype: .float32)
        )
        let pixels = try Tensor.randn([1, 3, 21, 21], generator: Generator(seed: 1))
        #expect(try relativeError(new.pooled(pixels), old.pooled(pixels)) == 0)
    }

    /// Where transformers finds `vision_config_dict`, it takes nothing from `vision_config`.
    @Test func theFormerFieldsOfCLIPCount() throws {
        let copy = try Copy("llava/clip-whole")
        try copy.change("config.json") { config in
            config["vision_config_dict"] = config["vision_config"]
            config["vision_config"] = ["hidden_size": 48]
        }
        #expect(try CLIPVision(contentsOf: copy.path).configuration.hiddenSize != 48)
    }

    @Test func theProcessorOfASAMOfTransformers5IsRead() throws {
        let copy = try Copy("sam")
        try copy.nestProcessor()
        let (old, new) = try (
            SAMCheckpoint(contentsOf: "\(Self.fixtures)/sam"), SAMCheckpoint(contentsOf: copy.path)
        )
        #expect(old.processor == new.processor)
    }

    // MARK: What is refused

    private static let refused: [(String, [String], String)] = [
        (
            #"{"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0}"#,
            ["text_config", "rope_parameters"], "yarn"
        ),
        (
            #"{"rope_type": "longrope", "rope_theta": 1.0, "long_factor": [1.0]}"#,
            ["text_config", "rope_parameters"], "longrope"
        ),
        (
            #"{"rope_type": "default", "partial_rotary_factor": 0.5}"#, ["text_config", "rope_parameters"],
            "partial_rotary_factor 0.5"
        ),
        (
            #"{"rope_type": "default", "mrope_section": [1, 2]}"#, ["text_config", "rope_parameters"],
            "text_config.rope_parameters.mrope_section"
        ),
        ("0.5", ["text_config", "partial_rotary_factor"], "partial_rotary_factor"),
        (#"{"bits": 4}"#, ["quantization_config"], "sets quantization_config"),
        ("0.25", ["text_config", "attention_multiplier"], "sets text_config.attention_multiplier"),
        ("true", ["text_config", "use_qk_norm"], "sets text_config.use_qk_norm"),
        ("1", ["vision_config", "num_channels"], "sets vision_config.num_channels"),
        ("1000000000", ["text_config", "num_hidden_layers"], "num_hidden_layers is 1000000000, 1 to 1024"),
        ("9223372036854775807", ["text_config", "head_dim"], "head_dim is 9223372036854775807"),
        ("1000000", ["vision_config", "num_hidden_layers"], "num_hidden_layers is 1000000, 1 to 1024"),
        (
            "-9223372036854775808", ["vision_config", "num_hidden_layers"],
            "num_hidden_layers is -9223372036854775808"
        ),
        ("0", ["vision_config", "patch_size"], "patch_size is 0"),
        ("4611686018427387904", ["vision_config", "image_size"], "image_size is 4611686018427387904"),
    ]

    @Test(arguments: refused)
    func aFieldThatIsNotFollowedIsRefusedByName(_ value: String, _ place: [String], _ says: String) throws {
        let copy = try Copy("llava/hf")
        try copy.change("config.json") { config in
            let value = try JSONSerialization.jsonObject(with: Data(value.utf8), options: .fragmentsAllowed)
            if place.count == 1 {
                config[place[0]] = value
            } else {
                var part = try #require(config[place[0]] as? [String: Any])
                part[place[1]] = value
                config[place[0]] = part
            }
        }
        let error = refusal { _ = try LLaVAFolder(copy.path) }
        #expect(error.contains("config.json: ") && error.contains(says), "\(error)")
    }

    @Test func whatIsNotSetIsNotRefused() throws {
        let copy = try Copy("llava/hf")
        try copy.change("config.json") { config in
            config["quantization_config"] = NSNull()
            config["use_qk_norm"] = false
            config["_attn_implementation_autoset"] = true
            config["num_beams"] = 1
        }
        _ = try LLaVAFolder(copy.path)
        try copy.change("generation_config.json") { $0["no_repeat_ngram_size"] = 3 }
        #expect(refusal { _ = try LLaVAFolder(copy.path) }.contains("sets no_repeat_ngram_size"))
    }

    @Test(arguments: [
        ("image_mean", "[0.5, 0.5]", "image_mean has 2 numbers"),
        ("crop_pct", "0.9", "sets image_processor.crop_pct"),
        ("do_center_crop", "false", "28"), ("resample", "1", "resample 1"),
    ])
    func aNestedProcessorIsHeldToTheSameRules(_ field: String, _ value: String, _ says: String) throws {
        let copy = try Copy("llava/hf")
        try copy.nestProcessor()
        try copy.change("processor_config.json") { outer in
            var processor = try #require(outer["image_processor"] as? [String: Any])
            processor[field] = try JSONSerialization.jsonObject(
                with: Data(value.utf8), options: .fragmentsAllowed)
            if field == "do_center_crop" { processor["size"] = ["height": 8192, "width": 8192] }
            outer["image_processor"] = processor
        }
        let error = refusal { _ = try LLaVAFolder(copy.path) }
        #expect(error.contains(says), "\(error)")
    }

    @Test(arguments: [
        ("vision_config", "image_size", 0), ("vision_config", "image_size", -64),
        ("vision_config", "hidden_size", 0),
        ("prompt_encoder_config", "num_point_embeddings", 1_000_000_000),
        ("mask_decoder_config", "num_multimask_outputs", 1_000_000_000),
        ("vision_config", "num_hidden_layers", 1_000_000_000),
    ])
    func numbersOfASAMAreChecked(_ part: String, _ field: String, _ value: Int) throws {
        let copy = try Copy("sam")
        try copy.change("config.json") { config in
            var fields = try #require(config[part] as? [String: Any])
            fields[field] = value
            config[part] = fields
        }
        let error = refusal { _ = try Segmenter(contentsOf: copy.path) }
        #expect(
            error.contains("config.json: ") && error.contains(field) && error.contains("\(value)"), "\(error)"
        )
    }

    /// As a clone without Git LFS, or a download without a login, leaves them.
    @Test(arguments: [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "a Git LFS pointer"),
        ("<!DOCTYPE html>\n<html lang=\"en\">", "a web page (HTML)"),
    ])
    func aFileThatStandsInForAnotherIsNamed(_ content: String, _ says: String) throws {
        for file in ["model-00002-of-00003.safetensors", "model.safetensors.index.json", "config.json"] {
            let copy = try Copy("llava/hf")
            try copy.write(content, to: file)
            let error = refusal { _ = try LLaVAFolder(copy.path) }
            #expect(error.contains("\(file): ") && error.contains(says), "\(error)")
        }
        let picture = try TemporaryFolder()
        try Data(content.utf8).write(to: URL(fileURLWithPath: picture.file("a.png")))
        let error = refusal { _ = try Image(contentsOf: picture.file("a.png")) }
        #expect(error.contains("a.png") && error.contains(says), "\(error)")
    }

    // MARK: Weights that are no numbers

    @Test func weightsWithoutNumbersAreNamed() async throws {
        let copy = try Copy("llava/hf")
        let checkpoint = try Checkpoint(contentsOf: copy.path)
        let tensors = try checkpoint.names.map { name in
            let tensor = try checkpoint.tensor(named: name)!
            return (name: name, tensor: name.hasSuffix("lm_head.weight") ? try tensor * .nan : tensor)
        }
        for file in copy.folder.contents where file.contains("safetensors") {
            try FileManager.default.removeItem(atPath: copy.folder.file(file))
        }
        try SafetensorsFile.write(tensors, to: copy.folder.file("model.safetensors"))
        let error = await #expect(throws: LanguageError.self) { _ = try await greedy(copy.path) }
        #expect("\(error!)".contains("is no number (NaN or infinite)"))

        let sam = try Copy("sam")
        let weights = try SafetensorsFile(sam.folder.file("model.safetensors"))
        let broken = try weights.names.map { name in
            let tensor = try weights.tensor(named: name)!
            return (name: name, tensor: name.contains("neck.conv2") ? try tensor * .nan : tensor)
        }
        try FileManager.default.removeItem(atPath: sam.folder.file("model.safetensors"))
        try SafetensorsFile.write(broken, to: sam.folder.file("model.safetensors"))
        let segmenter = try Segmenter(contentsOf: sam.path)
        let image = try segmenter.encode(
            Image(width: 9, height: 9, pixels: [UInt8](repeating: 9, count: 243)))
        let said = refusal {
            _ = try segmenter.masks([SegmenterPrompt(box: Box(x: 1, y: 1, width: 5, height: 5))], in: image)
        }
        #expect(said.contains("what the segmenter computes is no number"))
    }
}
