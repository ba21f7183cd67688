import Checkpoints
import Encoders
import Foundation
import Media
import NN
import Perception
import TestSupport
import Testing
import Torch
import Vitrail

/// SAM as its authors published it, against segment-anything, with the file of Tools/reference/sam.py.
@Suite struct SAMOriginalTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures/sam-original").path
    private static let file = "\(folder)/sam_vit_small.pth"

    private let fixture: Fixture

    init() throws { fixture = try Fixture("sam-original/prompts") }

    @Test func sizesComeFromShapes() throws {
        let checkpoint = try SAMCheckpoint(contentsOf: Self.file)
        #expect(checkpoint.layout == .original)
        let expected = SAMConfiguration(
            vision: SAMVisionConfiguration(
                hiddenSize: 24, outputChannels: 32, numHiddenLayers: 3, numAttentionHeads: 3, imageSize: 56,
                patchSize: 8, mlpDim: 60, windowSize: 4, globalAttnIndexes: [1], numPosFeats: 16),
            promptEncoder: SAMPromptEncoderConfiguration(
                hiddenSize: 32, imageSize: 56, patchSize: 8, maskInputChannels: 8),
            maskDecoder: SAMMaskDecoderConfiguration(
                hiddenSize: 32, mlpDim: 40, attentionDownsampleRate: 4, blockDownsampleRate: 4,
                iouHeadDepth: 4,
                iouHeadHiddenDim: 24, layerNormEps: 1e-5))
        #expect(checkpoint.configuration == expected)
        #expect(checkpoint.processor == SAMImageProcessor(imageSize: 56))
    }

    /// The three that were published, by the shapes that tell them apart.
    @Test(arguments: [(768, 12, 12), (1024, 24, 16), (1280, 32, 16)])
    func publishedSizesAreFound(_ width: Int, _ layers: Int, _ heads: Int) throws {
        let folder = try TemporaryFolder()
        var tensors: [(name: String, tensor: Tensor)] = []
        func add(_ name: String, _ shape: [Int]) throws {
            // Shapes alone count: one number that is repeated costs no memory.
            tensors.append((name, try Tensor.zeros([1], dtype: .uint8).expanded(shape).contiguous()))
        }
        try add("image_encoder.patch_embed.proj.weight", [width, 3, 16, 16])
        try add("image_encoder.pos_embed", [1, 64, 64, width])
        let globals = (1...4).map { $0 * layers / 4 - 1 }
        for layer in 0..<layers {
            let side = globals.contains(layer) ? 64 : 14
            try add("image_encoder.blocks.\(layer).attn.rel_pos_h", [2 * side - 1, width / heads])
        }
        try add("image_encoder.blocks.0.attn.qkv.bias", [3 * width])
        try add("image_encoder.blocks.0.mlp.lin1.weight", [4 * width, 1])
        try add("image_encoder.neck.0.weight", [256, 1, 1, 1])
        try add("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", [2, 128])
        try add("prompt_encoder.no_mask_embed.weight", [1, 256])
        try add("prompt_encoder.mask_downscaling.3.weight", [16, 1, 1, 1])
        try add("mask_decoder.mask_tokens.weight", [4, 256])
        try add("mask_decoder.transformer.final_attn_token_to_image.q_proj.weight", [128, 256])
        for layer in 0..<2 {
            let block = "mask_decoder.transformer.layers.\(layer)"
            try add("\(block).cross_attn_token_to_image.q_proj.weight", [128, 256])
            try add("\(block).mlp.lin1.weight", [2048, 256])
        }
        for layer in 0..<3 { try add("mask_decoder.iou_prediction_head.layers.\(layer).weight", [256, 256]) }
        try SafetensorsFile.write(tensors, to: folder.file("sam.safetensors"))

        var expected = SAMConfiguration()
        expected.vision.hiddenSize = width
        expected.vision.numHiddenLayers = layers
        expected.vision.numAttentionHeads = heads
        expected.vision.mlpDim = 4 * width
        expected.vision.globalAttnIndexes = globals
        expected.maskDecoder.layerNormEps = 1e-5
        #expect(try SAMCheckpoint(contentsOf: folder.file("sam.safetensors")).configuration == expected)
    }

    private struct Prompt: Decodable {
        var points: [[Double]]?
        var labels: [Int]?
        var box: [Double]?
        var previous: Bool?

        func segmenter(_ logits: MaskLogits) -> SegmenterPrompt {
            SegmenterPrompt(
                points: zip(points ?? [], labels ?? []).map {
                    (Point(x: $0[0], y: $0[1]), isForeground: $1 == 1)
                },
                box: box.map { Box(x: $0[0], y: $0[1], width: $0[2] - $0[0], height: $0[3] - $0[1]) },
                previous: previous == true ? logits : nil)
        }
    }

    @Test func answersAreTheOriginals() throws {
        let segmenter = try Segmenter(contentsOf: Self.file)
        let picture = try SAMParityTests.picture(fixture.picture)
        let features = try segmenter.model.encode(segmenter.processor(picture))
        #expect(try relativeError(features.embedding, fixture["outputs/embedding"]) < 1e-5)
        let image = try segmenter.encode(picture)
        let json = try #require(fixture.metadata["prompts"])
        let prompts = try JSONDecoder().decode([String: Prompt].self, from: Data(json.utf8))
        #expect(prompts.count == 5)
        let previous = MaskLogits(side: 28, values: try fixture.previous.array(Float.self))
        for (name, prompt) in prompts {
            for (kind, multimask) in [("single", false), ("multi", true)] {
                let found = try segmenter.masks(
                    [prompt.segmenter(previous)], in: image, multimask: multimask)[0]
                let logits = try fixture["outputs/\(name)/\(kind)/masks"]
                let scores = try fixture["outputs/\(name)/\(kind)/scores"].array(Float.self)
                let full = try fixture["outputs/\(name)/\(kind)/full"]
                #expect(found.count == scores.count)
                for mask in found {
                    let index = max(0, mask.index - 1)
                    let ours = try Tensor(mask.logits.values, [28, 28])
                    #expect(try relativeError(ours, logits[index]) < 1e-5, "\(name) \(kind)")
                    #expect(abs(mask.score - Double(scores[index])) < 1e-5)
                    let truth = try Mask(width: 100, height: 60, bitmap: full[index].array(UInt8.self))
                    // A pixel whose logit is 0 but for rounding may differ.
                    #expect(try mask.mask.iou(truth) > 0.995 || truth.isEmpty && mask.mask.area < 3)
                }
            }
        }
    }

    @Test func aFolderThatHoldsItOpensToo() throws {
        let folder = try TemporaryFolder()
        let link = folder.file("sam_vit_h_4b8939.pth")
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: Self.file)
        #expect(try SAMCheckpoint(contentsOf: folder.path).files == [link])
        try Data().write(to: URL(fileURLWithPath: folder.file("empty.pth")))
        #expect(try SAMCheckpoint(contentsOf: folder.path).files == [link])
        try FileManager.default.createSymbolicLink(
            atPath: folder.file("other.pth"), withDestinationPath: Self.file)
        #expect(
            refusal { _ = try SAMCheckpoint(contentsOf: folder.path) }
                .contains("not known which file is meant: other.pth, sam_vit_h_4b8939.pth"))
    }

    /// Every tensor counts: one that is missing, of another shape or too many is named as the file calls it.
    @Test func whatDoesNotFitIsListed() throws {
        let folder = try TemporaryFolder()
        let source = try Checkpoint(contentsOf: Self.file)
        func said(_ change: (inout [String: Tensor]) throws -> Void) throws -> String {
            var tensors = Dictionary(
                uniqueKeysWithValues: try source.names.map { ($0, try source.tensor(named: $0)!) })
            try change(&tensors)
            try SafetensorsFile.write(
                tensors.sorted { $0.key < $1.key }.map { (name: $0.key, tensor: $0.value) },
                to: folder.file("sam.safetensors"))
            return refusal { _ = try SAM(contentsOf: folder.file("sam.safetensors")) }
        }
        #expect(try said { _ in } == "")
        let (neck, head) = ("image_encoder.neck.2.weight", "mask_decoder.iou_prediction_head.layers.3.bias")
        let missing = try said { $0[neck] = nil }
        #expect(missing.contains("1 missing: \(neck)"), "\(missing)")
        let shape = try said { $0[head] = try Tensor.zeros([5]) }
        #expect(shape.contains("1 of the wrong shape: \(head) is [5], expected [4]"), "\(shape)")
        let extra = try said { $0["image_encoder.blocks.0.attn.gamma"] = try Tensor.zeros([1]) }
        #expect(extra.contains("1 unexpected: image_encoder.blocks.0.attn.gamma"), "\(extra)")
        let windows = try said {
            $0["image_encoder.blocks.2.attn.rel_pos_h"] = try Tensor.zeros([9, 8])
        }
        #expect(windows.contains("windows of different sizes: [4, 5]"), "\(windows)")
        let none = try said { $0["mask_decoder.mask_tokens.weight"] = nil }
        #expect(none.contains("mask_decoder.mask_tokens.weight is missing"), "\(none)")
        let other = try said { $0["image_encoder.patch_embed.proj.weight"] = nil }
        #expect(other.contains("neither a model's folder nor SAM's original weights"), "\(other)")
    }
}
