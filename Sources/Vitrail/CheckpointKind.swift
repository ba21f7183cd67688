import Checkpoints
import Foundation
import InputFiles

/// The kind of a downloaded or trained model, recognised by the names of its files and by `config.json`.
///
/// No weights are read. Without a configuration, the names of the tensors are read.
public enum CheckpointKind: Sendable, Hashable {
    /// The two forms in which a model was published: as transformers has it, and as its authors have it.
    public enum Layout: String, Sendable, Hashable {
        case huggingFace = "Hugging Face"
        case original
    }

    /// Vitrail's own folder, with `model_index.json`.
    case vitrail
    /// LLaVA. In the original layout the CLIP tower is a separate folder.
    case llava(Layout)
    /// A LoRA of LLaVA in its original layout, which `non_lora_trainables.bin` completes; needs its base.
    case llavaAdapter(base: String?)
    /// LLaVA's projector alone, `mm_projector.bin`, the result of its first stage of training; needs its base.
    case llavaProjector(base: String?)
    case llama
    /// The whole CLIP, or its image tower alone.
    case clip
    /// SAM. The original layout is a single file of weights.
    case sam(Layout)
    /// Another LoRA of PEFT's; needs its base.
    case adapter(base: String?)

    /// What it is, with its article.
    var name: String {
        switch self {
        case .vitrail: "a model folder of Vitrail's"
        case .llava: "a LLaVA"
        case .llavaProjector: "a projector of LLaVA's"
        case .llama: "a Llama"
        case .clip: "a CLIP"
        case .sam: "a SAM"
        case .adapter, .llavaAdapter: "a LoRA"
        }
    }

    /// Recognises a folder, or a file of SAM's original layout.
    ///
    /// - Parameter path: of the folder or file.
    /// - Throws: ``ModelError`` that says what was looked for.
    public init(of path: String) throws {
        guard try ModelError.of(path, { try InputFile.isFolder(path) }) else {
            guard try Self.originalSAM(at: path) != nil else {
                throw ModelError.notAModel(
                    path,
                    "neither a model's folder nor SAM's original weights, which have \(Self.firstOfSAM)")
            }
            self = .sam(.original)
            return
        }
        func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/\(name)") }
        let config = "\(path)/config.json"
        if has("model_index.json") {
            self = .vitrail
        } else if has("adapter_config.json") {
            let adapter: AdapterFields = try ModelFolder.read("\(path)/adapter_config.json")
            let base = adapter.base_model_name_or_path
            self = has("non_lora_trainables.bin") ? .llavaAdapter(base: base) : .adapter(base: base)
        } else if has("config.json") {
            let fields: ConfigFields = try ModelFolder.read(config)
            if has("mm_projector.bin") && fields.isOriginalLLaVA && !Self.hasWeights(path) {
                self = .llavaProjector(base: fields._name_or_path)
            } else {
                self = try fields.kind(config)
            }
        } else if try Self.originalSAM(at: path) != nil {
            self = .sam(.original)
        } else {
            throw ModelError.notAModel(
                path,
                "not a model's folder: it has none of model_index.json, config.json, adapter_config.json, and no file "
                    + "of SAM's original weights (.pth)")
        }
    }

    private static let firstOfSAM = "image_encoder.patch_embed.proj.weight"

    /// The file of SAM's original weights: the one at `path`, or the only one in that folder.
    static func originalSAM(at path: String) throws -> String? {
        let endings = ["pth", "pt", "bin", "safetensors"]
        func isWeights(_ name: String) -> Bool { endings.contains((name as NSString).pathExtension) }
        var file = path
        if let names = try? FileManager.default.contentsOfDirectory(atPath: path) {
            var found = names.filter(isWeights).sorted()
            if found.count > 1 {
                // Other files of tensors may lie beside it.
                found = found.filter {
                    (try? Checkpoint(contentsOf: "\(path)/\($0)"))?.entries[firstOfSAM] != nil
                }
            }
            guard found.count <= 1 else {
                throw ModelError.notAModel(
                    path,
                    "without config.json it is not known which file is meant: \(found.joined(separator: ", "))"
                )
            }
            guard let name = found.first else { return nil }
            file = "\(path)/\(name)"
        }
        guard isWeights(file), try Checkpoint(contentsOf: file).entries[firstOfSAM] != nil else { return nil }
        return file
    }

    private static func hasWeights(_ folder: String) -> Bool {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.contains {
            $0.hasPrefix("model") && $0.contains(".safetensors") || $0.hasPrefix("pytorch_model")
        }
    }
}

private struct AdapterFields: Decodable {
    let base_model_name_or_path: String?
}

/// What tells models apart in `config.json`.
private struct ConfigFields: Decodable {
    struct Part: Decodable {}

    let model_type: String?
    let architectures: [String]?
    let mm_vision_tower: String?
    let text_config: Part?
    let vision_config: Part?
    let mask_decoder_config: Part?
    let _name_or_path: String?

    var isOriginalLLaVA: Bool {
        mm_vision_tower != nil || architectures?.contains { $0.hasPrefix("LlavaLlama") } == true
    }

    func kind(_ file: String) throws -> CheckpointKind {
        switch model_type {
        case "llava_llama": return .llava(.original)
        case "llava": return .llava(isOriginalLLaVA ? .original : .huggingFace)
        // The first LLaVA called itself a Llama that has a vision tower.
        case "llama": return isOriginalLLaVA ? .llava(.original) : .llama
        case "clip", "clip_vision_model": return .clip
        case "sam": return .sam(.huggingFace)
        case nil where mask_decoder_config != nil: return .sam(.huggingFace)
        case nil:
            throw ModelError.notAModel(
                file, "has no model_type, so what it configures is not known; \(Self.known)")
        default:
            throw ModelError.notAModel(file, "the model_type is \(model_type!); \(Self.known)")
        }
    }

    static let known = "llava, llava_llama, llama, clip, clip_vision_model and sam are known"
}
