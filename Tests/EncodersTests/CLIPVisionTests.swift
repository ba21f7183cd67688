import Encoders
import Foundation
import NN
import TestSupport
import Testing
import Torch

/// Rung by rung against transformers' CLIPVisionModel, with the weights of Tools/reference/parity_fixtures.py.
struct CLIPVisionTests {
    let fixture: Fixture

    init() throws { fixture = try Fixture("clip") }

    private func configuration(_ activation: String) throws -> CLIPVisionConfiguration {
        let json = try #require(fixture.metadata[activation])
        return try JSONDecoder().decode(CLIPVisionConfiguration.self, from: Data(json.utf8))
    }

    private func model(_ activation: String) throws -> CLIPVision {
        let store = ParameterStore(.loaded(fixture.source("weights/")))
        let model = try CLIPVision(store.root, configuration(activation))
        try store.finish()
        return model
    }

    private func expect(_ actual: Tensor, _ output: String) throws {
        #expect(try relativeError(actual, fixture["outputs/\(output)"]) < 1e-5, "\(output)")
    }

    @Test(arguments: ["quick_gelu", "gelu"])
    func matchesTransformers(_ activation: String) throws {
        let model = try model(activation)
        let images = try model.normalized(fixture.pixels.to(.float32))
        #expect(try difference(images, fixture.images, absolute: 1e-5) == nil)

        try expect(model.embed(images).tokens, "\(activation)/embeddings")
        let states = try model.hiddenStates(images)
        try #require(states.count == 4)
        for (number, state) in states.enumerated() { try expect(state, "\(activation)/hidden.\(number)") }
        try expect(model.pooled(images), "\(activation)/pooled")

        let block = model.blocks[0]
        try expect(block.attention(block.norm1(states[0])), "\(activation)/attention")
        let middle = try states[0] + block.attention(block.norm1(states[0]))
        try expect(block.mlp(block.norm2(middle)), "\(activation)/mlp")

        // As LLaVA takes them: of several layers side by side, with the class token or without.
        let full = try fixture["outputs/\(activation)/full"]
        for withClass in [true, false] {
            let taken = try model.features(images, layers: [-2, 1, 3], includesClassToken: withClass)
            try #expect(relativeError(taken, withClass ? full : full[.all, 1...]) < 1e-5)
        }
        try expect(model.features(images, layers: [-2], includesClassToken: false), "\(activation)/features")

        let features = try model(images)
        #expect(features.grid == (4, 4) && features.fine == nil)
        try expect(features.tokens, "\(activation)/features")
    }

    @Test(arguments: ["quick_gelu", "gelu"])
    func otherSizesResizeThePositions(_ activation: String) throws {
        let features = try model(activation)(fixture.wide)
        #expect(features.grid == (3, 7))
        try expect(features.tokens, "\(activation)/wide")
    }

    @Test func anyLayerGivesTheFeatures() throws {
        let store = ParameterStore(.loaded(fixture.source("weights/")))
        var configuration = try configuration("gelu")
        configuration.featureLayer = 1
        let features = try CLIPVision(store.root, configuration)(fixture.images)
        try #expect(relativeError(features.tokens, fixture["outputs/gelu/hidden.1"][.all, 1...]) < 1e-5)
    }

    @Test func initialisesWithoutACheckpoint() throws {
        let store = ParameterStore(.initialised(try Generator(seed: 1)))
        let model = try CLIPVision(store.root["vision_tower"], configuration("gelu"))
        #expect(store["vision_tower.vision_model.encoder.layers.2.self_attn.out_proj.bias"]?.shape == [32])
        #expect(try model(fixture.images).tokens.isFinite().allTrue())
    }

    @Test func configurations() throws {
        let published = try JSONDecoder().decode(CLIPVisionConfiguration.self, from: Data("{}".utf8))
        #expect(
            published
                == CLIPVisionConfiguration(
                    hiddenSize: 768, intermediateSize: 3072, numHiddenLayers: 12, numAttentionHeads: 12,
                    imageSize: 224, patchSize: 32))
        let again = try JSONDecoder().decode(
            CLIPVisionConfiguration.self, from: JSONEncoder().encode(published))
        #expect(again == published)
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(
                CLIPVisionConfiguration.self, from: Data(#"{"hidden_act":"mish"}"#.utf8))
        }
        for json in [
            #"{"num_attention_heads":0}"#, #"{"hidden_size":770}"#, #"{"patch_size":0}"#,
            #"{"image_size":16}"#, #"{"num_hidden_layers":0}"#, #"{"vision_feature_layer":13}"#,
        ] {
            let read = try JSONDecoder().decode(CLIPVisionConfiguration.self, from: Data(json.utf8))
            #expect(throws: ConfigurationError.self, "\(json)") { try read.check() }
        }
    }
}
