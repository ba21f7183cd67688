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
        (#"{"hidden_act": "gelu"}"#, "gelu"), (#"{"sliding_window": 4096}"#, "sliding_window 4096"),
        (#"{"partial_rotary_factor": 0.5}"#, "partial_rotary_factor"),
        (#"{"num_attention_heads": 6, "num_key_value_heads": 4}"#, "do not fit together"),
    ])
    func whatIsNotComputedIsRefusedByName(_ json: String, _ name: String) throws {
        let error = try #require(throws: DecodingError.self) { try configuration(json) }
        guard case .dataCorrupted(let context) = error else { throw error }
        #expect(context.debugDescription.contains(name))
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
