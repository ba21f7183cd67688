import Checkpoints
import Foundation
import Language
import NN
import TestSupport
import Testing
import Torch

/// Against what PEFT made of the adapters of Tools/reference/checkpoint_fixtures.py.
struct LoRAAdapterTests {
    let values: Fixture

    init() throws { values = try Fixture("adapters") }

    static let names = ["plain", "patterns", "named", "embedding", "bias-all", "bias-lora-only", "llava"]

    private func base(_ name: String) throws -> Checkpoint {
        try Checkpoint(contentsOf: fixture(name.hasPrefix("bias") ? "llama-biased" : "llama"))
    }

    @Test(arguments: names)
    func mergedWeightsArePEFTs(_ name: String) throws {
        let merged = try LoRAAdapter(contentsOf: fixture("adapters/\(name)")).merged(into: base(name))
        let prefix = "outputs/\(name)/weights/"
        let expected = values.names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
        #expect(merged.names == expected.sorted() && expected.count > 20)
        for parameter in expected {
            let weight = try #require(try merged.tensor(named: parameter))
            let original = try values[prefix + parameter]
            #expect(weight.dtype == original.dtype)
            #expect(try relativeError(weight, original) < 1e-6, "\(parameter)")
            #expect(merged.entries[parameter] == TensorEntry(original.dtype, original.shape))
        }
    }

    private func logits(_ source: any TensorSource, lora: LoRAConfiguration? = nil) throws -> Tensor {
        let json = try #require(values.metadata["config"])
        let configuration = try JSONDecoder().decode(LlamaConfiguration.self, from: Data(json.utf8))
        let store = ParameterStore(.loaded(source), lora: lora)
        let model = try Llama(store.root, configuration)
        try store.finish()
        let embeddings = try model.embed(values.ids)
        return try model.logits(model(embeddings, TextCache(layers: configuration.numHiddenLayers)))
    }

    @Test(arguments: ["plain", "patterns", "named"])
    func outputsArePEFTs(_ name: String) throws {
        let adapter = try LoRAAdapter(contentsOf: fixture("adapters/\(name)"))
        let base = try base(name)
        let merged = try logits(adapter.merged(into: base))
        #expect(try relativeError(merged, values["outputs/\(name)/merged_logits"]) < 1e-6)
        let live = try logits(adapter.replacing(in: base), lora: adapter.live)
        // The update is added to the sums, so that a digit more is lost than when merged.
        #expect(try relativeError(live, values["outputs/\(name)/logits"]) < 3e-6)
        // The adapter does change what the base says.
        #expect(try relativeError(logits(base), values["outputs/\(name)/logits"]) > 0.1)
    }

    @Test func theConfigurationIsRead() throws {
        let adapter = try LoRAAdapter(contentsOf: fixture("adapters/patterns"))
        #expect(adapter.rank == 4 && adapter.alpha == 6 && adapter.isRankStabilised)
        #expect(adapter.modulesToSave == ["lm_head"] && adapter.baseModel == nil)
        let live = try adapter.live
        let q = "model.layers.1.self_attn.q_proj"
        #expect(live.rank(of: q) == 2 && abs(live.scale(of: q) - 3 / 2.0.squareRoot()) < 1e-12)
        #expect(
            live.rank(of: "model.layers.0.mlp.up_proj") == 3
                && live.rank(of: "model.layers.1.mlp.up_proj") == 4)
        #expect(live.rank(of: "model.layers.1.self_attn.k_proj") == 5)
        #expect(live.scale(of: "model.layers.0.mlp.down_proj") == 2.5)
        #expect(live.targets.count == 14)
    }

    @Test func mergingKeepsTheDTypeOfTheBase() throws {
        let folder = try TemporaryFolder()
        let base = try base("plain")
        try SafetensorsFile.write(
            base.names.map { ($0, try base.tensor(named: $0)!.to(.bfloat16)) },
            to: folder.file("model.safetensors"))
        let half = try Checkpoint(contentsOf: folder.path)
        let merged = try LoRAAdapter(contentsOf: fixture("adapters/plain")).merged(into: half)
        let name = "model.layers.0.self_attn.q_proj.weight"
        let weight = try #require(try merged.tensor(named: name))
        #expect(weight.dtype == .bfloat16)
        #expect(try relativeError(weight.to(.float32), values["outputs/plain/weights/\(name)"]) < 0.01)
    }

    @Test func namesFollowTheMapOfTheBase() throws {
        let map = KeyMap([
            "model.layers.{}.*": "llm.{}.*", "model.*": "llm.*", "lm_head.weight": "head.weight",
        ])
        let base = try RenamedSource(base("patterns"), map)
        let adapter = try LoRAAdapter(contentsOf: fixture("adapters/patterns"), names: map)
        let merged = try adapter.merged(into: base)
        for (own, foreign) in [
            ("llm.1.mlp.down_proj.weight", "model.layers.1.mlp.down_proj.weight"),
            ("head.weight", "lm_head.weight"),
        ] {
            let weight = try #require(try merged.tensor(named: own))
            #expect(try relativeError(weight, values["outputs/patterns/weights/\(foreign)"]) < 1e-6)
        }
        #expect(try adapter.live.targets.contains("llm.0.self_attn.o_proj"))
        // What the map does not know is found by the base, or by the network.
        let other = try LoRAAdapter(contentsOf: fixture("adapters/plain"), names: KeyMap([:]))
        try expectError("adapts model.layers.0.self_attn.q_proj, which \(base.label) does not have") {
            _ = try other.merged(into: base)
        }
        let store = ParameterStore(.loaded(JoinedSource([])), lora: try other.live)
        let error = try #require(throws: ParameterError.self) { try store.finish() }
        #expect(error.unexpected.count == 8)
        #expect(error.unexpected[0] == "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight")
    }

    // MARK: What is refused

    private func expectError(_ says: String, _ body: () throws -> Void) throws {
        let error = try #require(throws: CheckpointError.self, performing: body)
        #expect(error.description.contains(says) && !error.description.contains("\n"), "\(error)")
    }

    @Test func anAdapterOfAnotherBaseIsRefused() throws {
        let folder = try TemporaryFolder()
        let base = try base("plain")
        func save(_ change: (String, Tensor) throws -> Tensor?) throws -> SafetensorsFile {
            let tensors = try base.names.compactMap { name in
                try change(name, base.tensor(named: name)!).map { (name: name, tensor: $0) }
            }
            try SafetensorsFile.write(tensors, to: folder.file("x.safetensors"))
            return try SafetensorsFile(folder.file("x.safetensors"))
        }
        let adapter = try LoRAAdapter(contentsOf: fixture("adapters/patterns"))
        let fewer = try save { $0.contains("layers.1.") ? nil : $1 }
        try expectError("adapts model.layers.1.mlp.down_proj, which \(fewer.path) does not have") {
            _ = try adapter.merged(into: fewer)
        }
        let wider = try save { $0.contains("q_proj") ? try .cat([$1, $1]) : $1 }
        try expectError(
            "adapts model.layers.0.self_attn.q_proj as [16, 16], which is [32, 16] in \(wider.path): another base"
        ) { _ = try adapter.merged(into: wider) }
        let headless = try save { $0 == "lm_head.weight" ? nil : $1 }
        try expectError("replaces lm_head.weight, which \(headless.path) does not have") {
            _ = try adapter.replacing(in: headless)
        }
        let narrow = try save { $0 == "lm_head.weight" ? try $1.narrowed(1, 0, 8) : $1 }
        try expectError("replaces lm_head.weight by [24, 16], which is [24, 8] in") {
            _ = try adapter.replacing(in: narrow)
        }
    }

    @Test func anEmbeddingIsMergedOnly() throws {
        try expectError("adapts the embedding model.embed_tokens, which must be merged into the base") {
            _ = try LoRAAdapter(contentsOf: fixture("adapters/embedding")).live
        }
    }

    @Test func aFolderWithoutAnAdapterIsRefused() throws {
        let folder = try TemporaryFolder()
        try expectError("adapter_config.json: no such file") { _ = try LoRAAdapter(contentsOf: folder.path) }
        try FileManager.default.copyItem(
            atPath: fixture("adapters/plain/adapter_config.json"), toPath: folder.file("adapter_config.json"))
        try expectError("holds neither adapter_model.safetensors nor adapter_model.bin") {
            _ = try LoRAAdapter(contentsOf: folder.path)
        }
    }

    /// One field of a sound configuration changed.
    @Test(arguments: [
        (#""peft_type": "LORA""#, #""peft_type": "IA3""#, "peft_type is IA3, only LORA is supported"),
        (#""peft_type": "LORA""#, #""peft_type": 1"#, "the field peft_type is missing or of the wrong kind"),
        (#""use_dora": false"#, #""use_dora": true"#, "sets use_dora, which is not supported"),
        (#""fan_in_fan_out": false"#, #""fan_in_fan_out": true"#, "sets fan_in_fan_out"),
        (#""lora_bias": false"#, #""lora_bias": true"#, "sets lora_bias"),
        (#""layer_replication": null"#, #""layer_replication": [[0, 2]]"#, "sets layer_replication"),
        (#""use_dora": false"#, #""use_new_method": true"#, "sets use_new_method"),
        (
            #""init_lora_weights": true"#, #""init_lora_weights": "pissa_niter_4""#,
            "init_lora_weights is pissa_niter_4"
        ),
        (#""r": 4"#, #""r": 0"#, "the field r is missing or of the wrong kind"),
        (#""r": 4"#, #""r": 8"#, "where adapter_config.json says rank 8"),
        (#""lora_alpha": 8"#, #""lora_alpha": "8""#, "the field lora_alpha"),
        (#""rank_pattern": {}"#, #""rank_pattern": []"#, "the field rank_pattern"),
        (#""rank_pattern": {}"#, #""rank_pattern": {"(a+)+": 4}"#, "the key (a+)+, which cannot be used"),
        (#""alpha_pattern": {}"#, #""alpha_pattern": {"(": 4}"#, "the key (, which cannot be used"),
        (
            #""alpha_pattern": {}"#, #""alpha_pattern": {"q_proj": 4, "0.*q_proj": 5}"#,
            "gives model.layers.0.self_attn.q_proj several values"
        ),
        ("{", "", "not the JSON of an adapter's configuration"),
    ])
    func configurationsThatAreNotFollowedAreRefused(_ from: String, _ to: String, _ says: String) throws {
        let folder = try TemporaryFolder()
        let source = fixture("adapters/plain")
        let text = try String(contentsOfFile: "\(source)/adapter_config.json", encoding: .utf8)
        let range = try #require(text.range(of: from))
        try Data(text.replacingCharacters(in: range, with: to).utf8)
            .write(to: URL(fileURLWithPath: folder.file("adapter_config.json")))
        try FileManager.default.copyItem(
            atPath: "\(source)/adapter_model.safetensors", toPath: folder.file("adapter_model.safetensors"))
        try expectError(says) { _ = try LoRAAdapter(contentsOf: folder.path) }
    }

    @Test func dora() throws {
        try expectError("sets use_dora, which is not supported") {
            _ = try LoRAAdapter(contentsOf: fixture("adapters/dora"))
        }
    }

    /// Tensors of a sound adapter changed.
    @Test func tensorsThatDoNotBelongTogetherAreRefused() throws {
        let folder = try TemporaryFolder()
        let source = fixture("adapters/plain")
        try FileManager.default.copyItem(
            atPath: "\(source)/adapter_config.json", toPath: folder.file("adapter_config.json"))
        let file = try SafetensorsFile("\(source)/adapter_model.safetensors")
        let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
        func expect(_ says: String, _ change: (inout [String: Tensor]) throws -> Void) throws {
            var tensors = try Dictionary(
                uniqueKeysWithValues: file.names.map { ($0, try file.tensor(named: $0)!) })
            try change(&tensors)
            try SafetensorsFile.write(
                tensors.map { ($0.key, $0.value) }, to: folder.file("adapter_model.safetensors"))
            try expectError(says) { _ = try LoRAAdapter(contentsOf: folder.path) }
        }
        try expect("has only one of the matrices A and B for model.layers.0.self_attn.q_proj") {
            $0[name] = nil
        }
        try expect("has two matrices A for model.layers.0.self_attn.q_proj") {
            $0[name.replacingOccurrences(of: "lora_A", with: "lora_A.other")] = try .zeros([4, 16])
        }
        try expect("by [16, 4] x [3, 16], where adapter_config.json says rank 4") {
            $0[name] = try .zeros([3, 16])
        }
        try expect("by [16, 4] x [4, 4, 3, 3]; linear layers and embeddings are known") {
            $0[name] = try .zeros([4, 4, 3, 3])
        }
        try expect("lora_magnitude_vector is of no kind that is known") {
            $0[name.replacingOccurrences(of: "lora_A.weight", with: "lora_magnitude_vector")] = try .zeros([
                16
            ])
        }
        try expect("holds no tensor") { $0 = [:] }
    }
}
