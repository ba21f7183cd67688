import Encoders
import Foundation
import Language
import NN
import TestSupport
import Testing
import Torch
import Vitrail

/// Folders of CLIP and Llama by themselves.
struct CLIPTests {
    private func folder(_ name: String) -> String { "\(LLaVATests.fixtures)/\(name)" }

    @Test func aWholeCLIPGivesItsVisionPart() throws {
        let expected = try Fixture("llava/expected")
        let vision = try CLIPVision(contentsOf: folder("clip-whole"))
        #expect(try relativeError(vision.pooled(expected["clip/pixels"]), expected["clip/pooled"]) < 1e-5)
    }

    @Test func aVisionTowerOpensByItself() throws {
        let vision = try CLIPVision(contentsOf: folder("clip-tiny"), dtype: .float32)
        #expect(vision.configuration.imageSize == 21 && vision.configuration.hiddenAct == .gelu)
        #expect(try vision(Tensor.zeros([1, 3, 21, 21])).tokens.shape == [1, 9, 24])
    }

    @Test func aLlamaOpensByItself() throws {
        let llama = try Llama(contentsOf: folder("vicuna-tiny"))
        #expect(llama.configuration.numKeyValueHeads == 4 && llama.embeddingWeight.dtype == .float32)
        #expect(throws: ModelError.self) { try Llama(contentsOf: folder("clip-tiny")) }
    }

    /// The configurations of the towers that were published, as they stand in their files.
    @Test(arguments: [
        (#"{"hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 12, "patch_size": 32}"#, 49),
        (
            #"{"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14}"#,
            256
        ),
        (
            #"{"hidden_size": 1024, "image_size": 336, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14}"#,
            576
        ),
    ])
    func publishedTowers(_ json: String, _ patches: Int) throws {
        let vision = try JSONDecoder().decode(CLIPVisionConfiguration.self, from: Data(json.utf8))
        let language = try JSONDecoder().decode(LlamaConfiguration.self, from: Data("{}".utf8))
        #expect(vision.hiddenAct == .quickGELU && vision.layerNormEps == 1e-5)
        #expect(LLaVAConfiguration(vision: vision, language: language).imageTokenCount == patches)
    }
}
