// SAM as its authors published it: one file of weights without a configuration, such as `sam_vit_h_4b8939.pth`.
// Matches segment-anything 1.0 (PyPI), `build_sam.py`; proven by VitrailTests/SAMOriginalTests.
import Checkpoints
import Encoders
import NN
import Perception

extension SAMConfiguration {
    /// The sizes of a file of SAM's original layout, from the shapes of its tensors.
    ///
    /// Two numbers do not show in shapes. The mask decoder has 8 attention heads, as in all published models. The
    /// heads of the encoder come from the width of its relative positions, or without those from its own width, as
    /// published.
    ///
    /// - Parameters:
    ///   - shapes: by the original names.
    ///   - label: what to call the file in an error.
    /// - Throws: ``ModelError`` when a tensor needed for a size is missing, or sizes contradict each other.
    init(original shapes: [String: [Int]], label: String) throws {
        func shape(_ name: String, _ axes: Int) throws -> [Int] {
            guard let shape = shapes[name] else {
                throw ModelError.notAModel(label, "not SAM's original weights: \(name) is missing")
            }
            guard shape.count == axes, shape.allSatisfy(ConfigurationCheck.sizes.contains) else {
                throw ModelError.notAModel(label, "\(name) is \(shape), \(axes) axes are expected")
            }
            return shape
        }
        /// How many modules are numbered under a name.
        func count(_ prefix: String) -> Int {
            let numbers = shapes.keys.filter { $0.hasPrefix(prefix) }.compactMap {
                $0.dropFirst(prefix.count).split(separator: ".").first.flatMap { Int($0) }
            }
            return Set(numbers).count
        }
        let (encoder, decoder) = ("image_encoder", "mask_decoder")
        let (transformer, head) = ("\(decoder).transformer", "\(decoder).iou_prediction_head.layers")

        let patches = try shape("\(encoder).patch_embed.proj.weight", 4)
        let (width, patch) = (patches[0], patches[3])
        let depth = count("\(encoder).blocks.")
        guard depth > 0 else {
            throw ModelError.notAModel(label, "not SAM's original weights: \(encoder).blocks.0 is missing")
        }
        // The relative positions of a layer cover its window or the whole grid. The grid is the larger of the two.
        let relative = try (0..<depth).compactMap { layer -> [Int]? in
            let name = "\(encoder).blocks.\(layer).attn.rel_pos_h"
            return shapes[name] == nil ? nil : try shape(name, 2)
        }
        let sides = relative.map { ($0[0] + 1) / 2 }
        let positions = "\(encoder).pos_embed"
        let hasPositions = shapes[positions] != nil
        guard let grid = hasPositions ? try shape(positions, 4)[1] : sides.max() else {
            throw ModelError.notAModel(label, "the picture's size is unknown: there are no positions")
        }
        guard relative.isEmpty || relative.count == depth else {
            throw ModelError.notAModel(label, "\(relative.count) of \(depth) layers have relative positions")
        }
        let windows = Set(sides.filter { $0 != grid })
        guard windows.count <= 1 else {
            throw ModelError.notAModel(label, "layers have windows of different sizes: \(windows.sorted())")
        }
        let heads: Int
        if let channels = relative.first?[1] {
            heads = width / channels
        } else if let known = Self.publishedHeads[width] {
            heads = known
        } else {
            throw ModelError.notAModel(
                label, "the number of attention heads of an encoder of width \(width) is unknown")
        }
        let out = try shape("\(encoder).neck.0.weight", 4)[0]
        vision = SAMVisionConfiguration(
            hiddenSize: width, outputChannels: out, numHiddenLayers: depth, numAttentionHeads: heads,
            numChannels: patches[1], imageSize: grid * patch, patchSize: patch,
            qkvBias: shapes["\(encoder).blocks.0.attn.qkv.bias"] != nil,
            mlpDim: try shape("\(encoder).blocks.0.mlp.lin1.weight", 2)[0], useAbsPos: hasPositions,
            useRelPos: !relative.isEmpty, windowSize: windows.first ?? 0,
            globalAttnIndexes: sides.indices.filter { sides[$0] == grid },
            numPosFeats: try shape("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", 2)[1])
        if relative.isEmpty {
            // Only relative positions show the windows. These are the published ones.
            vision.windowSize = 14
            vision.globalAttnIndexes = (1...4).map { $0 * depth / 4 - 1 }
        }
        promptEncoder = SAMPromptEncoderConfiguration(
            hiddenSize: try shape("prompt_encoder.no_mask_embed.weight", 2)[1], imageSize: grid * patch,
            patchSize: patch, maskInputChannels: try shape("prompt_encoder.mask_downscaling.3.weight", 4)[0])
        let tokens = try shape("\(decoder).mask_tokens.weight", 2)
        func rate(_ attention: String) throws -> Int {
            tokens[1] / (try shape("\(transformer).\(attention).q_proj.weight", 2)[0])
        }
        // The original's norms between tokens and picture add 1e-5, where transformers' configuration has 1e-6.
        maskDecoder = SAMMaskDecoderConfiguration(
            hiddenSize: tokens[1], mlpDim: try shape("\(transformer).layers.0.mlp.lin1.weight", 2)[0],
            numHiddenLayers: count("\(transformer).layers."),
            attentionDownsampleRate: try rate("final_attn_token_to_image"),
            blockDownsampleRate: try rate("layers.0.cross_attn_token_to_image"),
            numMultimaskOutputs: tokens[0] - 1, iouHeadDepth: count("\(head)."),
            iouHeadHiddenDim: try shape("\(head).0.weight", 2)[0], layerNormEps: 1e-5)
    }

    /// Of ViT-B, ViT-L and ViT-H, by width.
    private static let publishedHeads = [768: 12, 1024: 16, 1280: 16]
}

extension KeyMap {
    /// SAM's original names and transformers'.
    ///
    /// - Parameter scoreDepth: the layers of the perceptron that scores masks; the original numbers all of them,
    ///   transformers those between the first and the last.
    static func originalSAM(scoreDepth: Int) -> KeyMap {
        let score = "mask_decoder.iou_prediction_head"
        return (0..<scoreDepth).reduce(originalSAM) { map, number in
            let part =
                number == 0 ? "proj_in" : number == scoreDepth - 1 ? "proj_out" : "layers.\(number - 1)"
            return map + KeyMap(["\(score).layers.\(number).*": "\(score).\(part).*"])
        }
    }

    private static let originalSAM = KeyMap([
        "image_encoder.patch_embed.proj.*": "vision_encoder.patch_embed.projection.*",
        "image_encoder.pos_embed": "vision_encoder.pos_embed",
        "image_encoder.blocks.{}.norm1.*": "vision_encoder.layers.{}.layer_norm1.*",
        "image_encoder.blocks.{}.norm2.*": "vision_encoder.layers.{}.layer_norm2.*",
        "image_encoder.blocks.{}.attn.*": "vision_encoder.layers.{}.attn.*",
        "image_encoder.blocks.{}.mlp.*": "vision_encoder.layers.{}.mlp.*",
        "image_encoder.neck.0.*": "vision_encoder.neck.conv1.*",
        "image_encoder.neck.1.*": "vision_encoder.neck.layer_norm1.*",
        "image_encoder.neck.2.*": "vision_encoder.neck.conv2.*",
        "image_encoder.neck.3.*": "vision_encoder.neck.layer_norm2.*",

        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix":
            "shared_image_embedding.positional_embedding",
        "prompt_encoder.point_embeddings.{}.*": "prompt_encoder.point_embed.{}.*",
        "prompt_encoder.not_a_point_embed.*": "prompt_encoder.not_a_point_embed.*",
        "prompt_encoder.no_mask_embed.*": "prompt_encoder.no_mask_embed.*",
        "prompt_encoder.mask_downscaling.0.*": "prompt_encoder.mask_embed.conv1.*",
        "prompt_encoder.mask_downscaling.1.*": "prompt_encoder.mask_embed.layer_norm1.*",
        "prompt_encoder.mask_downscaling.3.*": "prompt_encoder.mask_embed.conv2.*",
        "prompt_encoder.mask_downscaling.4.*": "prompt_encoder.mask_embed.layer_norm2.*",
        "prompt_encoder.mask_downscaling.6.*": "prompt_encoder.mask_embed.conv3.*",

        "mask_decoder.iou_token.*": "mask_decoder.iou_token.*",
        "mask_decoder.mask_tokens.*": "mask_decoder.mask_tokens.*",
        "mask_decoder.transformer.layers.{}.norm{}.*": "mask_decoder.transformer.layers.{}.layer_norm{}.*",
        "mask_decoder.transformer.layers.{}.*": "mask_decoder.transformer.layers.{}.*",
        "mask_decoder.transformer.final_attn_token_to_image.*":
            "mask_decoder.transformer.final_attn_token_to_image.*",
        "mask_decoder.transformer.norm_final_attn.*": "mask_decoder.transformer.layer_norm_final_attn.*",
        "mask_decoder.output_upscaling.0.*": "mask_decoder.upscale_conv1.*",
        "mask_decoder.output_upscaling.1.*": "mask_decoder.upscale_layer_norm.*",
        "mask_decoder.output_upscaling.3.*": "mask_decoder.upscale_conv2.*",
        "mask_decoder.output_hypernetworks_mlps.{}.layers.0.*":
            "mask_decoder.output_hypernetworks_mlps.{}.proj_in.*",
        "mask_decoder.output_hypernetworks_mlps.{}.layers.1.*":
            "mask_decoder.output_hypernetworks_mlps.{}.layers.0.*",
        "mask_decoder.output_hypernetworks_mlps.{}.layers.2.*":
            "mask_decoder.output_hypernetworks_mlps.{}.proj_out.*",
    ])

    /// Published folders hold the shared positions a second time, under the prompt encoder's name.
    static let publishedSAM = KeyMap([:], ignored: ["prompt_encoder.shared_embedding.positional_embedding"])
}
