import Checkpoints
import Foundation

/// The fields that a published configuration may have: those that are read, and those that change no answer here, such as
/// what a training was like. Any other that is set is refused by its name: it may well say what a network computes.
struct KnownFields {
    /// What may stand there, whatever it is.
    let names: Set<String>
    /// What may stand there with one value.
    var neutral: [String: JSONValue] = [:]
    /// Configurations inside this one.
    var parts: [String: KnownFields] = [:]

    private init(
        _ names: [String], bookkeeping: Bool = true, neutral: [String: JSONValue] = [:],
        parts: [String: KnownFields] = [:]
    ) {
        self.names = Set(names + (bookkeeping ? Self.bookkeeping : []))
        self.neutral = (bookkeeping ? Self.oneBeam : [:]).merging(neutral) { $1 }
        self.parts = parts
    }

    /// - Parameters:
    ///   - data: JSON that was read.
    ///   - file: its name, for an error.
    /// - Throws: ``ModelError`` that names the fields that are set and not known.
    func check(_ data: Data, of file: String) throws {
        guard let value = try? JSONDecoder().decode(JSONValue.self, from: data) else { return }
        let others = unknown(in: value).sorted()
        guard let first = others.first else { return }
        let more =
            others.count > 1
            ? " and \(others.count - 1) more (\(others[1])\(others.count > 2 ? ", …" : ""))" : ""
        throw ModelError.notAModel(
            file, "sets \(first)\(more), which is not supported and may change what is computed")
    }

    private func unknown(in value: JSONValue) -> [String] {
        guard case .object(let fields) = value else { return [] }
        return fields.flatMap { name, value -> [String] in
            if let part = parts[name] { return part.unknown(in: value).map { "\(name).\($0)" } }
            let isKnown =
                !value.isSet || names.contains(name) || name.hasPrefix("_") || neutral[name] == value
            return isKnown ? [] : [name]
        }
    }
}

extension KnownFields {
    /// What transformers writes into any configuration, what trainings leave, and generation's own options, which
    /// `generation_config.json` has since 2023.
    private static let bookkeeping = [
        "architectures", "attn_implementation", "auto_map", "dtype", "finetuning_task", "id2label",
        "label2id",
        "model_type", "name_or_path", "num_labels", "output_attentions", "output_hidden_states",
        "output_scores",
        "prefix", "problem_type", "return_dict", "return_dict_in_generate", "task_specific_params",
        "tokenizer_class", "torch_dtype", "torchscript", "transformers.js_config", "transformers_version",
        "unsloth_fixed", "unsloth_version", "use_cache",

        "attention_dropout", "dropout", "gradient_checkpointing", "hidden_dropout", "initializer_factor",
        "initializer_range", "projection_dim",

        "bos_token_id", "decoder_start_token_id", "eos_token_id", "pad_token_id", "sep_token_id",
        "chunk_size_feed_forward", "diversity_penalty", "do_sample", "early_stopping", "length_penalty",
        "max_length", "max_new_tokens", "min_p", "temperature", "tf_legacy_loss", "tie_word_embeddings",
        "top_k",
        "top_p", "typical_p", "repetition_penalty",
    ]

    private static let oneBeam: [String: JSONValue] = [
        "num_beams": .number(1), "num_beam_groups": .number(1), "num_return_sequences": .number(1),
        "guidance_scale": .number(1), "encoder_repetition_penalty": .number(1),
    ]

    /// `generation_config.json`.
    static let generation = KnownFields([])

    private static let rotary = KnownFields(
        [
            "rope_theta", "rope_type", "type", "factor", "low_freq_factor", "high_freq_factor",
            "original_max_position_embeddings", "partial_rotary_factor",
        ], bookkeeping: false)

    private static let llamaNames = [
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps", "rope_theta",
        "original_max_position_embeddings", "partial_rotary_factor", "hidden_act", "sliding_window",
        "attention_bias", "mlp_bias", "image_heads", "prefix_attention",
        // How a sum is cut for several machines, and what tokenizers are told.
        "pretraining_tp", "max_sequence_length", "model_max_length", "tokenizer_model_max_length",
        "tokenizer_padding_side",
    ]

    private static let rotaryParts = ["rope_scaling": rotary, "rope_parameters": rotary]

    static let llama = KnownFields(llamaNames, parts: rotaryParts)

    private static let clipVision = KnownFields(
        [
            "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size",
            "patch_size", "hidden_act", "layer_norm_eps", "vision_feature_layer", "vocab_size",
        ], neutral: ["num_channels": .number(3)])

    /// CLIP whole, of which the text part is left alone, or its image tower.
    static let clip = KnownFields(
        Array(clipVision.names) + [
            "text_config", "text_config_dict", "logit_scale_init_value",
        ], neutral: clipVision.neutral,
        parts: ["vision_config": clipVision, "vision_config_dict": clipVision])

    /// LLaVA as transformers has it.
    static let llava = KnownFields(
        [
            "projector_hidden_act", "multimodal_projector_bias", "vision_feature_layer",
            "vision_feature_select_strategy", "image_token_index", "image_token_id", "image_seq_length",
            "ignore_index", "vocab_size",
        ], parts: ["text_config": llama, "vision_config": clipVision])

    /// LLaVA as its authors have it.
    static let originalLLaVA = KnownFields(
        llamaNames + [
            "mm_vision_tower", "mm_projector_type", "mm_vision_select_layer", "mm_vision_select_feature",
            "mm_use_im_start_end", "image_aspect_ratio",
            // What was trained and how, and what only pictures in several parts (anyres) have.
            "freeze_mm_mlp_adapter", "freeze_mm_vision_resampler", "group_by_modality_length",
            "image_crop_resolution", "image_grid_pinpoints", "image_split_resolution", "mm_hidden_size",
            "mm_patch_merge_type", "mm_projector_lr", "mm_tunable_parts", "mm_use_im_patch_token",
            "mm_vision_tower_lr", "pretrain_mm_mlp_adapter", "tune_mm_mlp_adapter",
            "tune_mm_vision_resampler", "tune_mm_vision_tower", "unfreeze_mm_vision_tower", "use_mm_proj",
        ], parts: rotaryParts)

    static let sam = KnownFields(
        [],
        parts: [
            "vision_config": KnownFields([
                "hidden_size", "output_channels", "num_hidden_layers", "num_attention_heads", "num_channels",
                "image_size", "patch_size", "layer_norm_eps", "qkv_bias", "mlp_ratio", "mlp_dim",
                "use_abs_pos",
                "use_rel_pos", "window_size", "global_attn_indexes", "num_pos_feats", "skip_channels",
                "hidden_act", "intermediate_size",
                // How positions start.
                "scale",
            ]),
            "prompt_encoder_config": KnownFields([
                "hidden_size", "image_size", "patch_size", "mask_input_channels", "num_point_embeddings",
                "layer_norm_eps", "hidden_act", "image_embedding_size",
            ]),
            "mask_decoder_config": KnownFields([
                "hidden_size", "mlp_dim", "num_hidden_layers", "num_attention_heads",
                "attention_downsample_rate", "block_downsample_rate", "num_multimask_outputs",
                "iou_head_depth", "iou_head_hidden_dim", "layer_norm_eps", "box_coordinates",
                "point_coordinates", "hidden_act",
            ]),
        ])

    /// Of an image processor, CLIP's or SAM's.
    static let imageProcessor = KnownFields([
        "image_processor_type", "feature_extractor_type", "processor_class", "do_pad", "pad_size",
        "do_resize",
        "size", "resample", "do_center_crop", "crop_size", "do_rescale", "rescale_factor", "do_normalize",
        "image_mean", "image_std",
        // Pictures are RGB and come one at a time; the last two are of maps that a training learns from.
        "data_format", "device", "disable_grouping", "do_convert_rgb", "image_seq_length",
        "input_data_format",
        "model_input_names", "return_tensors", "mask_size", "mask_pad_size",
    ])

    /// `processor_config.json`, which since transformers 5 has the image processor inside.
    static let processor = KnownFields(
        [
            "processor_class", "chat_template", "image_token", "num_additional_image_tokens", "patch_size",
            "vision_feature_select_strategy", "image_seq_length",
        ], parts: ["image_processor": imageProcessor])
}
