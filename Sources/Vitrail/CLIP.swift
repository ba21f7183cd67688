// CLIP's vision tower as it was published; proven by VitrailTests/CLIPTests.
import Checkpoints
public import Encoders
import Foundation
import NN
public import Torch

/// A folder of CLIP: the whole model, whose text part is ignored, or the vision tower alone.
struct CLIPFolder {
    let path: String
    let configuration: CLIPVisionConfiguration
    private let checkpoint: Checkpoint

    private struct Fields: Decodable, CheckedConfiguration {
        let model_type: String?
        let vision_config: CLIPVisionConfiguration?
        /// Of the first days of CLIP in transformers; where it is, it counts, and its absent fields are defaults.
        let vision_config_dict: CLIPVisionConfiguration?

        var vision: CLIPVisionConfiguration? { vision_config_dict ?? vision_config }

        func check() throws { try vision?.check() }
    }

    init(_ path: String) throws {
        let file = "\(path)/config.json"
        let fields: Fields = try ModelFolder.read(file, .clip)
        switch (fields.model_type, fields.vision) {
        case ("clip", let vision?), (nil, let vision?): configuration = vision
        case ("clip", nil): throw ModelError.notAModel(file, "has no vision_config")
        case ("clip_vision_model", _): configuration = try ModelFolder.read(file)
        case (let type, _):
            throw ModelError.notAModel(
                file, "the model_type is \(type ?? "missing"); clip and clip_vision_model are known")
        }
        self.path = path
        checkpoint = try Checkpoint(contentsOf: path)
    }

    /// Its tensors, whose names get a prefix.
    func source(under prefix: String = "") throws -> RenamedSource {
        try RenamedSource(
            checkpoint,
            KeyMap(
                [
                    "vision_model.*": "\(prefix)vision_model.*",
                    // A tower by itself, as transformers 5 saves it.
                    "embeddings.*": "\(prefix)vision_model.embeddings.*",
                    "pre_layrnorm.*": "\(prefix)vision_model.pre_layrnorm.*",
                    "encoder.*": "\(prefix)vision_model.encoder.*",
                    "post_layernorm.*": "\(prefix)vision_model.post_layernorm.*",
                ],
                ignored: [
                    "text_model.*", "text_projection.weight", "visual_projection.weight", "logit_scale",
                    "*.embeddings.position_ids", "embeddings.position_ids",
                ]))
    }
}

extension CLIPVision {
    /// Opens a CLIP folder: the whole model, whose text part is ignored, or the vision tower alone.
    ///
    /// - Parameters:
    ///   - folder: with `config.json` and weights, as Hugging Face lays it out.
    ///   - device: where the parameters will be.
    ///   - dtype: what the parameters are held in; nil keeps the file's.
    /// - Throws: `ModelError`, `CheckpointError` or `ParameterError` that names the file.
    public convenience init(contentsOf folder: String, device: Device = .cpu, dtype: DType? = nil) throws {
        let clip = try CLIPFolder(folder)
        let store = ParameterStore(.loaded(try clip.source()), device: device, dtype: dtype)
        try self.init(store.root, clip.configuration)
        try store.finish()
    }
}
