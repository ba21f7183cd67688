internal import Encoders
internal import NN
internal import TestSupport
internal import Testing
internal import Torch

/// The tiny encoder of Tools/reference/lumen_fixtures.py.
enum TinyEncoder {
    static let configuration = HybridViTConfiguration(
        imageSize: 32, hiddenSize: 16, numHiddenLayers: 2, numAttentionHeads: 2, stemChannels: [8, 8, 16],
        fineChannels: 8, headChannels: 8,
        attributes: [60, 10, 3, 3].map { group in (0..<group).map { "name \($0)" } }, boxChannels: 4,
        jointCount: 17, globalAttentionIndexes: [1])

    static func make(_ fixture: Fixture, inWindows: Int = 1) throws -> HybridViT {
        let store = ParameterStore(.loaded(fixture.source("encoder/")))
        var configuration = configuration
        configuration.globalAttentionIndexes = Array(inWindows..<2)
        let encoder = try HybridViT(store.root, configuration)
        try store.finish()
        return encoder
    }

    static let inputs = ["square", "larger", "wide"]
}

struct HybridViTTests {
    @Test(arguments: TinyEncoder.inputs) func givesWhatTheReferenceGives(input: String) throws {
        let fixture = try Fixture("lumen")
        let encoder = try TinyEncoder.make(fixture)
        let pixels = try fixture["inputs/\(input)/pixels"].to(.float32)
        let features = try encoder(encoder.normalized(pixels))
        #expect(features.grid == (height: pixels.size(2) / 8, width: pixels.size(3) / 8))
        let rungs = [
            ("tokens", features.tokens), ("fine", features.fine!), ("attributes", features.attributes!),
            ("dense", features.dense!),
        ]
        for (name, value) in rungs {
            let error = try relativeError(value, fixture["outputs/\(input)/\(name)"])
            #expect(error < 1e-5, "\(name): \(error)")
        }
    }

    @Test(arguments: ["windows", "full_windows"], [1, 2])
    func attendsInWindowsWhereThePictureIsLarge(input: String, layers: Int) throws {
        let fixture = try Fixture("lumen")
        let encoder = try TinyEncoder.make(fixture, inWindows: layers)
        let pixels = try fixture["inputs/\(input)/pixels"].to(.float32)
        let error = try relativeError(
            encoder(encoder.normalized(pixels)).tokens, fixture["outputs/\(input)/tokens.\(layers)"])
        #expect(error < 1e-5, "\(error)")
    }

    @Test func startsByExpectingNothing() throws {
        let store = ParameterStore(.initialised(try Generator(seed: 1)))
        let encoder = try HybridViT(store.root, TinyEncoder.configuration)
        try encoder.initialise()
        let bias = try store["predict.bias"]!.array(Float.self)
        #expect(bias == Array(repeating: -4, count: 60) + Array(repeating: 0, count: 20))
        // A residual block starts as the identity.
        #expect(try store["stage4.0.b.norm.weight"]!.abs().max().item() == 0)
        #expect(TinyEncoder.configuration.fineFeatureCount == 24)
    }
}
