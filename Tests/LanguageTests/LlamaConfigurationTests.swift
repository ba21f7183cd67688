import Foundation
import Language
import NN
import TestSupport
import Testing
import Torch

struct LlamaConfigurationTests {
    private func configuration(_ json: String) throws -> LlamaConfiguration {
        try JSONDecoder().decode(LlamaConfiguration.self, from: Data(json.utf8))
    }

    @Test func absentFieldsAreTransformers() throws {
        let published = try configuration("{}")
        #expect(published.vocabSize == 32_000 && published.headWidth == 128 && published.rmsNormEps == 1e-6)
        #expect(published.ropeScaling == nil && !published.attentionBias && !published.mlpBias)
        #expect(published.imageHeads == 0 && published.prefixAttention == .causal)
        #expect(try configuration(#"{"num_attention_heads": 8}"#).numKeyValueHeads == 8)
        for nothing in [#"null"#, #"{"rope_type": "default"}"#] {
            #expect(try configuration(#"{"rope_scaling": \#(nothing)}"#).ropeScaling == nil)
        }
    }

    @Test func scalingsAreReadAndWritten() throws {
        let json = #"""
            {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192}, "attention_bias": true}
            """#
        let read = try configuration(json)
        #expect(
            read.ropeScaling
                == RotaryScaling(
                    .llama3, factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4,
                    originalMaxPositionEmbeddings: 8192))
        #expect(try JSONDecoder().decode(LlamaConfiguration.self, from: JSONEncoder().encode(read)) == read)
        #expect(
            try configuration(#"{"rope_scaling": {"type": "linear", "factor": 2}}"#).ropeScaling?.kind
                == .linear)
    }

    @Test(arguments: [
        (#"{"rope_scaling": {"rope_type": "yarn", "factor": 4}}"#, "yarn"),
        (#"{"rope_scaling": {"rope_type": "longrope"}}"#, "longrope"),
        (#"{"rope_scaling": {"rope_type": "llama3", "factor": 8}}"#, "low_freq_factor"),
        (#"{"rope_scaling": {"rope_type": "linear", "factor": 0}}"#, "factor 0"),
        (#"{"rope_scaling": {"rope_type": "linear"}}"#, "no factor"),
        (#"{"rope_parameters": {"rope_type": "yarn", "factor": 4, "rope_theta": 1e6}}"#, "yarn"),
        (#"{"rope_parameters": {"rope_type": "proportional", "factor": 4}}"#, "proportional"),
        (#"{"rope_parameters": {"partial_rotary_factor": 0.25}}"#, "partial_rotary_factor 0.25"),
        (#"{"hidden_act": "gelu"}"#, "gelu"), (#"{"sliding_window": 4096}"#, "sliding_window 4096"),
        (#"{"partial_rotary_factor": 0.5}"#, "partial_rotary_factor"),
    ])
    func whatIsNotComputedIsRefusedByName(_ json: String, _ name: String) throws {
        let error = try #require(throws: DecodingError.self) { try configuration(json) }
        guard case .dataCorrupted(let context) = error else { throw error }
        #expect(context.debugDescription.contains(name))
    }

    /// As `LlamaConfig` of transformers 5.24 reads them.
    @Test(
        arguments: [
            (#"{"rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}}"#, 1_000_000.0, nil),
            (#"{"rope_parameters": {"rope_type": "default"}, "rope_theta": 5000.0}"#, 5000, nil),
            (
                #"{"rope_parameters": {"rope_theta": 9000.0}, "rope_theta": 5000.0, "rope_scaling": {}}"#,
                9000, nil
            ),
            (
                #"{"rope_parameters": {"rope_theta": 9000.0, "rope_type": "linear", "factor": 2}, "rope_scaling": null}"#,
                9000, RotaryScaling(.linear, factor: 2)
            ),
            // The older form wins whole.
            (
                #"{"rope_parameters": {"rope_theta": 9000.0}, "rope_scaling": {"type": "linear", "factor": 4}}"#,
                10_000, RotaryScaling(.linear, factor: 4)
            ),
            (
                #"{"rope_parameters": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}, "max_position_embeddings": 512}"#,
                10_000,
                RotaryScaling(
                    .llama3, factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4,
                    originalMaxPositionEmbeddings: 512)
            ),
        ] as [(String, Double, RotaryScaling?)])
    func bothFormsOfTheRotaryEmbeddingAreRead(_ json: String, _ theta: Double, _ scaling: RotaryScaling?)
        throws
    {
        let read = try configuration(json)
        #expect(read.ropeTheta == theta && read.ropeScaling == scaling)
        try read.check()
    }

    @Test(arguments: [
        (#"{"num_attention_heads": 6, "num_key_value_heads": 4}"#, "num_key_value_heads 4"),
        (#"{"num_attention_heads": 0}"#, "num_attention_heads is 0"),
        (#"{"num_hidden_layers": 9223372036854775807}"#, "1 to 1024"),
        (#"{"hidden_size": -9223372036854775808}"#, "hidden_size is -9223372036854775808"),
        (#"{"head_dim": 7}"#, "an even width"), (#"{"rope_theta": 0}"#, "rope_theta is 0"),
        (#"{"rms_norm_eps": -1}"#, "rms_norm_eps is -1"),
        (#"{"vocab_size": 4611686018427387904}"#, "vocab_size"),
    ])
    func numbersThatMakeNoNetworkAreRefusedBeforeItIsBuilt(_ json: String, _ says: String) throws {
        let made = try configuration(json)
        let error = try #require(throws: ConfigurationError.self) { try made.check() }
        #expect(error.description.contains(says))
        #expect(throws: ConfigurationError.self) { try Llama(ParameterStore(.outlined).root, made) }
    }

    /// At positions of thousands a frequency that is off in its last digit would show.
    @Test(arguments: ["default", "linear", "llama3"])
    func farPositionsMatchTransformers(_ kind: String) throws {
        let fixture = try Fixture("llama_far")
        let store = ParameterStore(.loaded(fixture.source("weights/\(kind)/")))
        let model = try Llama(store.root, configuration(#require(fixture.metadata[kind])))
        try store.finish()
        let ids = try fixture.ids.to(.int64)
        let hidden = try model(model.embed(ids), TextCache(layers: 1))[.all, (-8)...]
        #expect(try relativeError(model.logits(hidden), fixture["outputs/\(kind)/logits"]) < 1e-5)
    }
}
