internal import Encoders
internal import NN
internal import TestSupport
internal import Testing
internal import Torch

struct ProjectorTests {
    private static let configuration = ProjectorConfiguration(
        imageSize: 16, hiddenSize: 16, unshuffle: 2, fineChannels: 24, scale: 0.3, tokenCount: 4,
        wordClasses: 59)

    @Test(arguments: TinyEncoder.inputs) func givesWhatTheReferenceGives(input: String) throws {
        let fixture = try Fixture("lumen")
        let store = ParameterStore(.loaded(fixture.source("projector/")))
        let projector = try Projector(store.root, Self.configuration)
        try store.finish()
        let pixels = try fixture["inputs/\(input)/pixels"]
        let features = ImageFeatures(
            tokens: try fixture["outputs/\(input)/tokens"],
            grid: (height: pixels.size(2) / 8, width: pixels.size(3) / 8),
            fine: try fixture["outputs/\(input)/fine"])
        let (embeddings, words) = try projector(features)
        let logits = try projector.wordLogits(words, embeddings: fixture["inputs/words"])
        for (name, value) in [("embeddings", embeddings), ("words", words), ("word_logits", logits!)] {
            let error = try relativeError(value, fixture["outputs/\(input)/\(name)"])
            #expect(error < 1e-5, "\(name): \(error)")
        }
    }

    @Test func startsWithPlacesThatCanBeToldApart() throws {
        let generator = try Generator(seed: 1)
        let store = ParameterStore(.initialised(generator))
        let projector = try Projector(
            store.root,
            ProjectorConfiguration(imageSize: 16, hiddenSize: 64, unshuffle: 2, scale: 0.3, tokenCount: 64))
        try projector.initialise(generator)
        let table = store["position_embedding"]!
        #expect(abs(try (table * table).mean().sqrt().item() - 0.25) < 1e-4)
        let products = try matmul(table[0], table[0].transposed(0, 1))
        // Every place is nearest to itself.
        #expect(try products.argmax(1).array(Int.self) == Array(0..<64))
    }

    /// LLaVA's projector is two linear layers alone.
    @Test func withoutOptionsIsLLaVAs() throws {
        let store = ParameterStore(.initialised(try Generator(seed: 1)))
        let projector = try Projector(
            store.root, ProjectorConfiguration(imageSize: 8, hiddenSize: 12, tokenCount: 9))
        #expect(store.names == ["linear_1.weight", "linear_1.bias", "linear_2.weight", "linear_2.bias"])
        let x = try Tensor.randn([1, 9, 8], generator: try Generator(seed: 2))
        let (embeddings, _) = try projector(ImageFeatures(tokens: x, grid: (height: 3, width: 3)))
        let hidden = try linear(x, store["linear_1.weight"]!, store["linear_1.bias"]!).gelu()
        let expected = try linear(hidden, store["linear_2.weight"]!, store["linear_2.bias"]!)
        #expect(try difference(embeddings, expected, relative: 1e-6) == nil)
        let logits = try projector.wordLogits(embeddings, embeddings: x[0])
        #expect({ if case .none = logits { true } else { false } }())
    }
}
