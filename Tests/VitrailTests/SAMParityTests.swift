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

/// Rung by rung against transformers' SamModel and SamImageProcessor, with the fixtures of Tools/reference/sam.py.
@Suite struct SAMParityTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures/sam").path

    private let fixture: Fixture

    init() throws { fixture = try Fixture("sam/prompts") }

    @Test func everyLayerIsTransformers() throws {
        let model = try SAM(contentsOf: Self.folder)
        // Of three layers the second goes over the whole grid; the others have windows that reach over its edge.
        let states = try model.vision.hiddenStates(fixture["outputs/pixels"])
        try #require(states.count == 4)
        for (number, state) in states.enumerated() {
            #expect(try relativeError(state, fixture["outputs/states/\(number)"]) < 1e-5, "layer \(number)")
        }
    }

    /// As near to float32 as transformers is in bfloat16, but for a margin.
    @Test func bfloat16IsAsNearAsTransformers() throws {
        let model = try SAM(contentsOf: Self.folder, dtype: .bfloat16)
        let exact = try fixture["outputs/embedding"]
        let theirs = try relativeError(fixture["outputs/bfloat16/embedding"], exact)
        let features = try withInference { try model.encode(fixture["outputs/pixels"].to(.bfloat16)) }
        #expect(features.embedding.dtype == .bfloat16)
        let ours = try relativeError(features.embedding.to(.float32), exact)
        #expect(ours < 1.5 * theirs && theirs < 0.05, "\(ours), transformers' \(theirs)")
    }

    @Test func promptsWorkInBfloat16() throws {
        let picture = try Self.picture(fixture.picture)
        let segmenters = try [DType.float32, .bfloat16].map {
            try Segmenter(contentsOf: Self.folder, dtype: $0)
        }
        let prompts = [
            SegmenterPrompt(box: Box(x: 10, y: 12, width: 50, height: 38)),
            SegmenterPrompt(points: [(Point(x: 20, y: 30), isForeground: true)]),
        ]
        let answers = try segmenters.map { try $0.masks(prompts, in: $0.encode(picture)) }
        for index in prompts.indices {
            let (full, half) = (answers[0][index][0], answers[1][index][0])
            #expect(try full.mask.iou(half.mask) > 0.9)
            #expect(abs(full.score - half.score) < 0.05)
            let again = SegmenterPrompt(box: prompts[0].box, previous: half.logits)
            #expect(try segmenters[1].masks([again], in: segmenters[1].encode(picture))[0].count == 1)
        }
    }

    static func picture(_ pixels: Tensor) throws -> Image {
        Image(width: pixels.size(1), height: pixels.size(0), pixels: try pixels.array(UInt8.self))
    }

    // MARK: Pictures

    @Test(arguments: [(1500, 1001), (777, 1301), (33, 1200), (5, 7), (1024, 1024)])
    func picturesBecomeTheProcessorsInput(_ width: Int, _ height: Int) throws {
        var pixels = [UInt8](repeating: 0, count: width * height * 3)
        for y in 0..<height {
            for x in 0..<width {
                for c in 0..<3 {
                    let value = x * (3 + 2 * c) + y * (5 + c) + x * y / (7 + c)
                    pixels[(y * width + x) * 3 + c] = UInt8(truncatingIfNeeded: value)
                }
            }
        }
        let input = try SAMImageProcessor()(Image(width: width, height: height, pixels: pixels))
        #expect(input.shape == [1, 3, 1024, 1024])
        let expected = try fixture["outputs/processed/\(width)x\(height)"]
        let places = Array(stride(from: 0, to: input.count, by: 1999))
        let values = try input.flattened().indexSelected(0, Tensor(places))
        // A level of 255 is at least 0.017 of a normalised colour.
        #expect(try difference(values, expected, absolute: 1e-5) == nil)
    }

    @Test(arguments: [(97, 61), (31, 150), (64, 64)])
    func logitsBecomeThePicturesSize(_ width: Int, _ height: Int) throws {
        let logits = try fixture["outputs/point/multi/masks"].squeezed(0)
        let full = try SAMImageProcessor(imageSize: 64).fullSize(logits, width: width, height: height)
        #expect(full.shape == [1, 3, height, width])
        let places = Array(stride(from: 0, to: full.count, by: 7))
        let values = try full.flattened().indexSelected(0, Tensor(places))
        #expect(try relativeError(values, fixture["outputs/post/\(width)x\(height)"]) < 1e-5)
    }

    private func said(_ folder: TemporaryFolder, _ preprocessor: String) throws -> String {
        for name in ["config.json", "model.safetensors"] {
            try? FileManager.default.createSymbolicLink(
                atPath: folder.file(name), withDestinationPath: "\(Self.folder)/\(name)")
        }
        let file = URL(fileURLWithPath: folder.file("preprocessor_config.json"))
        try Data(preprocessor.utf8).write(to: file)
        return refusal { _ = try SAMCheckpoint(contentsOf: folder.path) }
    }

    @Test func theFoldersProcessorIsRead() throws {
        let folder = try TemporaryFolder()
        let fitting = #""pad_size":{"height":64,"width":64}"#
        let other =
            #"{"size":{"longest_edge":48},\#(fitting),"image_mean":[0,0,1],"resample":3,"do_rescale":false}"#
        #expect(try said(folder, other) == "")
        let processor = try SAMCheckpoint(contentsOf: folder.path).processor
        #expect(processor.longestEdge == 48 && processor.imageSize == 64 && processor.filter == .bicubic)
        #expect(processor.mean == [0, 0, 1] && processor.rescaleFactor == 1)
        #expect(try said(folder, "{}").contains("longest_edge 1024, 1 to the model's image_size 64"))
        let unpadded = #"{"size":{"longest_edge":64}}"#
        #expect(try said(folder, unpadded).contains("pad_size is 1024 x 1024, the model's image_size is 64"))
        let nearest = #"{"size":{"longest_edge":64},\#(fitting),"resample":0}"#
        #expect(try said(folder, nearest).contains("resample is 0"))
        #expect(
            try said(folder, #"{"image_processor_type":"CLIPImageProcessor"}"#).contains("CLIPImageProcessor")
        )
    }

    // MARK: Configurations

    @Test func whatTransformersTakesIsTaken() throws {
        // A picture's size that is no multiple of the patch; no windows; windows wider than the grid; blocks that are half
        // as wide whatever the rate of the last attention; more embeddings of points than are used.
        let json = """
            {"vision_config":{"hidden_size":12,"num_hidden_layers":2,"num_attention_heads":3,"image_size":33,
              "patch_size":8,"window_size":0,"output_channels":16,"num_pos_feats":8},
             "prompt_encoder_config":{"hidden_size":16,"image_size":33,"patch_size":8,"num_point_embeddings":6},
             "mask_decoder_config":{"hidden_size":16,"num_attention_heads":2,"attention_downsample_rate":1}}
            """
        var configuration = try JSONDecoder().decode(SAMConfiguration.self, from: Data(json.utf8))
        #expect(configuration.vision.gridSize == 4)
        let model = try SAM(configuration, seed: 1)
        let transformer = "mask_decoder.transformer"
        let block = "\(transformer).layers.0.cross_attn_token_to_image.q_proj.weight"
        #expect(model.store[block]?.shape == [8, 16])
        #expect(model.store["\(transformer).final_attn_token_to_image.q_proj.weight"]?.shape == [16, 16])
        #expect(model.store["prompt_encoder.point_embed.5.weight"]?.shape == [1, 16])
        #expect(model.store["vision_encoder.layers.1.attn.rel_pos_h"]?.shape == [7, 4])
        configuration.vision.windowSize = 9
        let wide = try SAM(configuration, seed: 1)
        #expect(wide.store["vision_encoder.layers.0.attn.rel_pos_h"]?.shape == [17, 4])
        let pixels = try Tensor.zeros([1, 3, 33, 33])
        for model in [model, wide] {
            let features = try model.encode(pixels)
            #expect(features.embedding.shape == [1, 16, 4, 4])
        }
    }

    @Test(arguments: ["vision_config", "prompt_encoder_config", "mask_decoder_config"])
    func unknownActivationsAreRefused(_ part: String) throws {
        let json = Data("{\"\(part)\":{\"hidden_act\":\"swish\"}}".utf8)
        #expect(throws: DecodingError.self) { try JSONDecoder().decode(SAMConfiguration.self, from: json) }
    }
}
