import Checkpoints
import Encoders
import Foundation
import Language
import NN
import Torch
import Vitrail

/// A published model's shape and files, but for its weights: what `vitrail synthesize --model` makes.
struct SyntheticModel {
    enum Layout: String, CaseIterable { case hf, original }

    /// A folder of weights and the files beside them.
    struct Folder {
        /// Under the folder that was asked for; empty for itself.
        let path: String
        let files: [(name: String, content: Any)]
        /// Names and shapes, in the order of the network.
        let parameters: [(name: String, shape: [Int])]
    }

    static let names = [
        "llava-1.5-7b", "llava-1.5-13b", "llava-1.5-tiny", "clip-vit-large-patch14-336", "clip-vit-tiny",
        "sam-vit-huge", "sam-vit-large", "sam-vit-base", "sam-vit-tiny",
    ]

    let folders: [Folder]
    /// Vocabulary of the tokenizer, its added tokens not counted; nil for a model without one.
    let vocabulary: Int?

    /// - Throws: ``Failure`` for a layout that the model does not have.
    init(_ name: String, layout: Layout, dtype: DType) throws {
        let dtype = "\(dtype)"
        func unpublished() -> Failure {
            Failure(.usage, "--layout original is for llava-1.5-7b, llava-1.5-13b and llava-1.5-tiny.")
        }
        switch name {
        case _ where name.hasPrefix("llava"):
            let sizes: LLaVASizes =
                name.hasSuffix("13b")
                ? .init(hidden: 5120, intermediate: 13_824, layers: 40, heads: 40)
                : name.hasSuffix("7b")
                    ? .init(hidden: 4096, intermediate: 11_008, layers: 32, heads: 32)
                    : .init(
                        hidden: 64, intermediate: 160, layers: 3, heads: 4, context: 512, vocabulary: 2000)
            let tower = name.hasSuffix("tiny") ? Self.tinyTower : Self.largeTower
            vocabulary = sizes.vocabulary
            folders = try layout == .hf ? Self.llava(sizes, tower, dtype) : Self.original(sizes, tower, dtype)
        case _ where name.hasPrefix("clip"):
            guard layout == .hf else { throw unpublished() }
            vocabulary = nil
            folders = [
                try Self.clip(name.hasSuffix("tiny") ? Self.tinyTower : Self.largeTower, dtype, path: "")
            ]
        default:
            guard layout == .hf else { throw unpublished() }
            vocabulary = nil
            folders = [try Self.sam(name, dtype)]
        }
    }

    var count: Int {
        folders.flatMap(\.parameters).reduce(0) { $0 + $1.shape.reduce(1, *) }
    }

    // MARK: LLaVA

    private struct LLaVASizes {
        let hidden: Int
        let intermediate: Int
        let layers: Int
        let heads: Int
        var context = 4096
        var vocabulary = 32_000

        /// The fields of a Llama's `config.json`.
        func fields(vocabulary: Int, _ dtype: String) -> [String: Any] {
            [
                "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": intermediate,
                "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": heads,
                "max_position_embeddings": context, "rms_norm_eps": 1e-5, "rope_theta": 10_000.0,
                "hidden_act": "silu", "tie_word_embeddings": false, "bos_token_id": 1, "eos_token_id": 2,
                "torch_dtype": dtype,
            ]
        }
    }

    private static var largeTower: [String: Any] {
        [
            "model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096,
            "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 336, "patch_size": 14,
            "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "projection_dim": 768,
        ]
    }
    private static var tinyTower: [String: Any] {
        [
            "model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 56, "patch_size": 14,
            "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5, "projection_dim": 16,
        ]
    }

    /// As `llava-hf/llava-1.5-7b-hf`: the vocabulary is padded to a multiple of 64.
    private static func llava(_ sizes: LLaVASizes, _ tower: [String: Any], _ dtype: String) throws -> [Folder]
    {
        let vocabulary = sizes.vocabulary + 64
        let text = sizes.fields(vocabulary: vocabulary, dtype).merging(["model_type": "llama"]) { $1 }
        let store = ParameterStore(.outlined)
        let width = tower["hidden_size"] as! Int
        _ = try CLIPVision(store.root["vision_tower"], decoded(tower))
        _ = try Linear(store.root["multi_modal_projector"]["linear_1"], width, sizes.hidden)
        _ = try Linear(store.root["multi_modal_projector"]["linear_2"], sizes.hidden, sizes.hidden)
        _ = try Llama(store.root["language_model"], decoded(text))
        let config: [String: Any] = [
            "architectures": ["LlavaForConditionalGeneration"], "model_type": "llava",
            "image_token_index": sizes.vocabulary, "pad_token_id": sizes.vocabulary + 1,
            "projector_hidden_act": "gelu", "vision_feature_layer": -2,
            "vision_feature_select_strategy": "default", "tie_word_embeddings": false,
            "torch_dtype": dtype, "text_config": text, "vision_config": tower,
        ]
        let processor: [String: Any] = [
            "processor_class": "LlavaProcessor", "image_token": "<image>", "num_additional_image_tokens": 1,
            "patch_size": tower["patch_size"]!, "vision_feature_select_strategy": "default",
        ]
        let template = """
            {% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}\
            {# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}\
            {{ '<image>\\n' }}{% endfor %}{# Render all text next #}{% if message['role'] != 'assistant' %}\
            {% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}\
            {% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{% generation %}\
            {{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}\
            {% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}
            """
        return [
            Folder(
                path: "",
                files: [
                    ("config.json", config), ("generation_config.json", generation(sizes.vocabulary + 1)),
                    ("preprocessor_config.json", preprocessor(tower)), ("processor_config.json", processor),
                    ("chat_template.json", ["chat_template": template]),
                ] + SyntheticTokenizer.files(sizes.vocabulary, added: ["<image>", "<pad>"], sizes.context),
                parameters: store.outline)
        ]
    }

    /// As `liuhaotian/llava-v1.5-7b`, with the CLIP tower that it names in a folder inside.
    private static func original(_ sizes: LLaVASizes, _ tower: [String: Any], _ dtype: String) throws
        -> [Folder]
    {
        let store = ParameterStore(.outlined)
        let width = tower["hidden_size"] as! Int
        var config = sizes.fields(vocabulary: sizes.vocabulary, dtype)
        _ = try Llama(store.root, decoded(config))
        _ = try Linear(store.root["model"]["mm_projector"][0], width, sizes.hidden)
        _ = try Linear(store.root["model"]["mm_projector"][2], sizes.hidden, sizes.hidden)
        config.merge([
            "architectures": ["LlavaLlamaForCausalLM"], "model_type": "llava",
            "mm_vision_tower": "openai/clip-vit-large-patch14-336", "mm_projector_type": "mlp2x_gelu",
            "mm_hidden_size": width, "mm_vision_select_layer": -2, "mm_vision_select_feature": "patch",
            "mm_use_im_start_end": false, "mm_use_im_patch_token": false, "image_aspect_ratio": "pad",
            "pad_token_id": 0,
        ]) { $1 }
        return [
            Folder(
                path: "",
                files: [("config.json", config), ("generation_config.json", generation(0))]
                    + SyntheticTokenizer.files(sizes.vocabulary, added: [], sizes.context),
                parameters: store.outline),
            try clip(tower, dtype, path: "clip-vit-large-patch14-336"),
        ]
    }

    private static func generation(_ padding: Int) -> [String: Any] {
        ["bos_token_id": 1, "eos_token_id": 2, "pad_token_id": padding, "max_length": 4096]
    }

    // MARK: Encoders

    private static func clip(_ tower: [String: Any], _ dtype: String, path: String) throws -> Folder {
        let store = ParameterStore(.outlined)
        _ = try CLIPVision(store.root, decoded(tower))
        let config = tower.merging(["architectures": ["CLIPVisionModel"], "torch_dtype": dtype]) { $1 }
        return Folder(
            path: path, files: [("config.json", config), ("preprocessor_config.json", preprocessor(tower))],
            parameters: store.outline)
    }

    private static func preprocessor(_ tower: [String: Any]) -> [String: Any] {
        let side = tower["image_size"]!
        return [
            "image_processor_type": "CLIPImageProcessor", "do_resize": true, "size": ["shortest_edge": side],
            "resample": 3, "do_center_crop": true, "crop_size": ["height": side, "width": side],
            "do_rescale": true, "rescale_factor": 1.0 / 255, "do_normalize": true, "do_convert_rgb": true,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
        ]
    }

    /// As `facebook/sam-vit-huge` and its sisters.
    private static func sam(_ name: String, _ dtype: String) throws -> Folder {
        let sizes: (width: Int, layers: Int, heads: Int, whole: [Int], side: Int) =
            switch name {
            case "sam-vit-huge": (1280, 32, 16, [7, 15, 23, 31], 1024)
            case "sam-vit-large": (1024, 24, 16, [5, 11, 17, 23], 1024)
            case "sam-vit-base": (768, 12, 12, [2, 5, 8, 11], 1024)
            default: (32, 4, 2, [1, 3], 128)
            }
        let config: [String: Any] = [
            "architectures": ["SamModel"], "model_type": "sam", "torch_dtype": dtype,
            "vision_config": [
                "hidden_size": sizes.width, "num_hidden_layers": sizes.layers,
                "num_attention_heads": sizes.heads, "mlp_dim": 4 * sizes.width, "mlp_ratio": 4.0,
                "output_channels": 256, "image_size": sizes.side, "patch_size": 16, "window_size": 14,
                "num_channels": 3, "global_attn_indexes": sizes.whole, "hidden_act": "gelu",
                "layer_norm_eps": 1e-6, "qkv_bias": true, "use_abs_pos": true, "use_rel_pos": true,
                "num_pos_feats": 128,
            ] as [String: Any],
            "prompt_encoder_config": [
                "hidden_size": 256, "image_size": sizes.side, "patch_size": 16, "mask_input_channels": 16,
                "num_point_embeddings": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-6,
            ] as [String: Any],
            "mask_decoder_config": [
                "hidden_size": 256, "mlp_dim": 2048, "num_hidden_layers": 2, "num_attention_heads": 8,
                "attention_downsample_rate": 2, "num_multimask_outputs": 3, "iou_head_depth": 3,
                "iou_head_hidden_dim": 256, "hidden_act": "relu", "layer_norm_eps": 1e-6,
            ] as [String: Any],
        ]
        let preprocessor: [String: Any] = [
            "image_processor_type": "SamImageProcessor", "do_resize": true,
            "size": ["longest_edge": sizes.side], "resample": 2, "do_rescale": true,
            "rescale_factor": 1.0 / 255, "do_normalize": true, "do_pad": true, "do_convert_rgb": true,
            "pad_size": ["height": sizes.side, "width": sizes.side], "image_mean": [0.485, 0.456, 0.406],
            "image_std": [0.229, 0.224, 0.225],
        ]
        let store = ParameterStore(.outlined)
        _ = try SAM(decoded(config), store)
        return Folder(
            path: "", files: [("config.json", config), ("preprocessor_config.json", preprocessor)],
            parameters: store.outline)
    }

    private static func decoded<Value: Decodable>(_ fields: [String: Any]) throws -> Value {
        try JSONDecoder().decode(Value.self, from: JSONSerialization.data(withJSONObject: fields))
    }
}

extension ParameterStore {
    fileprivate var outline: [(name: String, shape: [Int])] { named.map { ($0.name, $0.tensor.shape) } }
}

/// Values for a parameter that keep activations finite through any number of layers: matrices preserve the size of what
/// they multiply, gains are about one, offsets small.
func randomParameter(_ name: String, _ shape: [Int], _ dtype: DType, seed: UInt64) throws -> Tensor {
    let tensor = try Tensor.empty(shape, dtype: dtype)
    if shape.count >= 2 {
        let inputs = shape.dropFirst().reduce(1, *)
        try tensor.fillRandom(std: 1 / Double(inputs).squareRoot(), seed: seed)
    } else {
        try tensor.fillRandom(mean: name.hasSuffix(".weight") ? 1 : 0, std: 0.02, seed: seed)
    }
    return tensor
}
