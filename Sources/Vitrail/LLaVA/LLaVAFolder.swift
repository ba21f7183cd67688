// Where the parts of a LLaVA lie in its published layouts, and the names of their tensors.
public import Checkpoints
import Encoders
import Foundation
import InputFiles
import Language
public import NN
public import Torch

/// A downloaded LLaVA: its configuration, its weights under one set of names, its tokenizer and its templates.
///
/// Names are those of `llava-hf/llava-1.5-7b-hf`. No tensor is read here.
public struct LLaVAFolder {
    /// The folder that was given, and the one in which tokenizer and templates lie.
    public let path: String
    public let textFolder: String
    public let layout: CheckpointKind.Layout
    public let configuration: LLaVAConfiguration
    public let processor: CLIPImageProcessor
    /// The weights. Those of an adapter are included, except its low-rank updates.
    public let base: any CheckpointSource
    /// A LoRA of the model.
    public let adapter: LoRAAdapter?
    /// Tokens that end an answer.
    public let endTokens: Set<Int>
    /// `repetition_penalty` of `generation_config.json`, 1 where it says nothing.
    public let repetitionPenalty: Double

    /// - Parameters:
    ///   - path: the folder of a LLaVA in either layout, or of a LoRA or a projector of one.
    ///   - base: the folder of the model that a LoRA or a projector was trained on; looked for when nil.
    ///   - visionTower: the folder of the CLIP tower that the original layout names; looked for when nil.
    /// - Throws: ``ModelError`` or ``Checkpoints/CheckpointError`` that names what is missing or not supported.
    public init(_ path: String, base: String? = nil, visionTower: String? = nil) throws {
        switch try CheckpointKind(of: path) {
        case .llava(let layout): self = try Self.whole(path, layout, base, visionTower, adapter: nil)
        case .llavaAdapter(let name):
            // LLaVA's own LoRA: its configuration is LLaVA's, its base is the language model it started from.
            let base = try Self.find(base, named: name, beside: path, option: "--base", what: "the base")
            self = try Self.original(path, base: base, visionTower, adapter: path)
        case .llavaProjector(let name):
            let base = try Self.find(base, named: name, beside: path, option: "--base", what: "the base")
            self = try Self.original(path, base: base, visionTower, adapter: nil)
        case .adapter(let name):
            let base = try Self.find(base, named: name, beside: path, option: "--base", what: "the base")
            guard case .llava(let layout) = try CheckpointKind(of: base) else {
                throw ModelError.notAModel(base, "the base of the adapter \(path) is no LLaVA")
            }
            self = try Self.whole(base, layout, nil, visionTower, adapter: path)
        default:
            throw ModelError.notAModel(path, "no LLaVA, nor a LoRA or a projector of one")
        }
    }

    private static func whole(
        _ path: String, _ layout: CheckpointKind.Layout, _ base: String?, _ visionTower: String?,
        adapter: String?
    ) throws -> LLaVAFolder {
        if let base {
            throw ModelError.badRequest("\(path) is a whole model, so the base \(base) has no use (--base)")
        }
        guard layout == .huggingFace else {
            return try original(path, base: nil, visionTower, adapter: adapter)
        }
        if let visionTower {
            throw ModelError.badRequest(
                "\(path) holds its vision tower itself, so \(visionTower) has no use (--vision-tower)")
        }
        let file = "\(path)/config.json"
        let fields: LLaVAHuggingFaceFields = try ModelFolder.read(file, .llava)
        let names = Self.names(.huggingFace, isTied: fields.configuration.language.tieWordEmbeddings)
        return try LLaVAFolder(
            path, adapter: adapter, .huggingFace, fields.configuration,
            CLIPImageProcessor(folder: path)
                ?? CLIPImageProcessor(side: fields.configuration.vision.imageSize),
            RenamedSource(Checkpoint(contentsOf: path), names), names)
    }

    /// - Parameter base: where the language model's weights lie; nil when they lie in `path` themselves.
    private static func original(
        _ path: String, base: String?, _ visionTower: String?, adapter: String?
    ) throws -> LLaVAFolder {
        let file = "\(path)/config.json"
        let fields: LLaVAOriginalFields = try ModelFolder.read(file, .originalLLaVA)
        let names = Self.names(.original, isTied: fields.language.tieWordEmbeddings)
        var sources: [any CheckpointSource] = [try RenamedSource(Checkpoint(contentsOf: base ?? path), names)]
        let projector = "\(path)/mm_projector.bin"
        if base != nil, adapter == nil {
            sources.append(try RenamedSource(Checkpoint(contentsOf: projector), names))
        }
        let tower = try find(
            visionTower, named: fields.tower, beside: path, option: "--vision-tower", what: "the vision tower"
        )
        let clip = try CLIPFolder(tower)
        sources.insert(try clip.source(under: "vision_tower."), at: 0)

        var configuration = LLaVAConfiguration(vision: clip.configuration, language: fields.language)
        configuration.projectorDepth = fields.projectorDepth
        configuration.featureLayers = [fields.featureLayer]
        configuration.includesClassToken = fields.includesClassToken
        configuration.marksImage = fields.marksImage
        var processor =
            try CLIPImageProcessor(folder: tower) ?? CLIPImageProcessor(side: clip.configuration.imageSize)
        processor.padsToSquare = fields.padsToSquare
        return try LLaVAFolder(
            path, adapter: adapter, .original, configuration, processor, JoinedSource(sources), names,
            textFolder: hasTokenizer(path) ? path : base)
    }

    private init(
        _ path: String, adapter: String?, _ layout: CheckpointKind.Layout,
        _ configuration: LLaVAConfiguration,
        _ processor: CLIPImageProcessor, _ source: any CheckpointSource, _ names: KeyMap,
        textFolder: String? = nil
    ) throws {
        try ModelFolder.check(configuration, of: "\(path)/config.json")
        let side = configuration.vision.imageSize
        guard processor.canGive(side) else {
            throw ModelError.notAModel(
                path,
                "the image processor gives pictures of \(processor.output), the vision tower takes \(side) x \(side)"
            )
        }
        self.path = path
        self.textFolder = textFolder ?? path
        self.layout = layout
        self.configuration = configuration
        self.processor = processor
        self.adapter = try adapter.map { try LoRAAdapter(contentsOf: $0, names: names) }
        base = try self.adapter?.replacing(in: source) ?? source
        let generation = try GenerationFile(path)
        endTokens = generation.endTokens
        repetitionPenalty = generation.repetitionPenalty
    }

    /// How a LoRA is used.
    public enum Adaptation: String, Sendable, CaseIterable {
        /// Added to the weights when they are read: as fast as the base, but the adapted weights are a copy in memory.
        case merged
        /// Computed beside the weights, which stay mapped files.
        case live
    }

    /// A place for the networks' parameters.
    ///
    /// - Parameters:
    ///   - adaptation: how the folder's LoRA is used, where it has one.
    ///   - device: where the parameters will be.
    ///   - dtype: what they are held in.
    /// - Throws: ``Checkpoints/CheckpointError`` when the LoRA belongs to another base.
    public func store(_ adaptation: Adaptation, device: Device, dtype: DType) throws -> ParameterStore {
        guard let adapter else { return ParameterStore(.loaded(base), device: device, dtype: dtype) }
        // Merging also checks that the adapter fits the base.
        let merged = try adapter.merged(into: base)
        switch adaptation {
        case .merged: return ParameterStore(.loaded(merged), device: device, dtype: dtype)
        case .live: return ParameterStore(.loaded(base), device: device, dtype: dtype, lora: try adapter.live)
        }
    }

    // MARK: Names

    /// From the names of a layout to those of `llava-hf/llava-1.5-7b-hf`.
    static func names(_ layout: CheckpointKind.Layout, isTied: Bool) -> KeyMap {
        let unused = KeyMap(
            [:],
            ignored: ["*.rotary_emb.inv_freq", "*.embeddings.position_ids"]
                // A second copy of the embeddings.
                + (isTied ? ["lm_head.weight", "language_model.lm_head.weight"] : []))
        switch layout {
        case .huggingFace:
            return KeyMap([
                // As published.
                "language_model.model.*": "language_model.model.*",
                "language_model.lm_head.*": "language_model.lm_head.*",
                "multi_modal_projector.*": "multi_modal_projector.*",
                "vision_tower.vision_model.*": "vision_tower.vision_model.*",
                // As transformers 5 saves it.
                "vision_tower.*": "vision_tower.vision_model.*",
                // As transformers names them in memory since 4.52.
                "model.language_model.*": "language_model.model.*",
                "lm_head.*": "language_model.lm_head.*",
                "model.multi_modal_projector.*": "multi_modal_projector.*",
                "model.vision_tower.vision_model.*": "vision_tower.vision_model.*",
                "model.vision_tower.*": "vision_tower.vision_model.*",
            ]) + unused
        case .original:
            return KeyMap([
                "model.mm_projector.weight": "multi_modal_projector.linear_1.weight",
                "model.mm_projector.bias": "multi_modal_projector.linear_1.bias",
                // Every other layer of the sequence is an activation.
                "model.mm_projector.0.*": "multi_modal_projector.linear_1.*",
                "model.mm_projector.2.*": "multi_modal_projector.linear_2.*",
                "model.mm_projector.4.*": "multi_modal_projector.linear_3.*",
                "model.mm_projector.6.*": "multi_modal_projector.linear_4.*",
                "model.mm_projector.8.*": "multi_modal_projector.linear_5.*",
                "model.mm_projector.10.*": "multi_modal_projector.linear_6.*",
                "model.mm_projector.12.*": "multi_modal_projector.linear_7.*",
                "model.mm_projector.14.*": "multi_modal_projector.linear_8.*",
                // A tower that was trained on comes with the rest.
                "model.vision_tower.vision_tower.vision_model.*": "vision_tower.vision_model.*",
                "model.vision_tower.vision_tower.*": "vision_tower.vision_model.*",
                "model.embed_tokens.*": "language_model.model.embed_tokens.*",
                "model.layers.{}.*": "language_model.model.layers.{}.*",
                "model.norm.*": "language_model.model.norm.*",
                "lm_head.*": "language_model.lm_head.*",
            ]) + unused
        }
    }

    // MARK: Places

    /// A folder that a configuration names by its place in Hugging Face's hub.
    ///
    /// The search covers the path as given, the places in and beside `folder`, and the cache of Hugging Face's tools.
    private static func find(
        _ given: String?, named name: String?, beside folder: String, option: String, what: String
    ) throws -> String {
        if let given {
            guard isFolder(given) else { throw ModelError.missing(given) }
            return given
        }
        guard let name, !name.isEmpty else {
            throw ModelError.notAModel(folder, "does not name \(what); give its folder with \(option)")
        }
        let last = name.split(separator: "/").last.map(String.init) ?? name
        let candidates =
            [name] + ["", "/..", "/../.."].flatMap { ["\(folder)\($0)/\(name)", "\(folder)\($0)/\(last)"] }
        if let found = candidates.first(where: isFolder) ?? cached(name, folder) { return found }
        throw ModelError.notAModel(
            folder,
            "\(what), \(name), is not there: looked in and beside the folder and in the cache of Hugging Face's tools; give its folder with \(option)"
        )
    }

    /// The snapshot of a repository in the cache of `huggingface_hub`, or in the one in which `folder` lies itself.
    private static func cached(_ name: String, _ folder: String) -> String? {
        let variables = ProcessInfo.processInfo.environment
        let home = variables["HF_HOME"] ?? "\(NSHomeDirectory())/.cache/huggingface"
        let own = URL(fileURLWithPath: folder).pathComponents
        var hubs = [variables["HF_HUB_CACHE"] ?? "\(home)/hub"]
        if let place = own.lastIndex(where: { $0.hasPrefix("models--") }) {
            hubs.append(NSString.path(withComponents: Array(own[..<place])))
        }
        let repository = "models--" + name.replacingOccurrences(of: "/", with: "--")
        for hub in hubs {
            let reference = "\(hub)/\(repository)/refs/main"
            guard let revision = try? String(contentsOfFile: reference, encoding: .utf8) else { continue }
            let snapshot =
                "\(hub)/\(repository)/snapshots/\(revision.trimmingCharacters(in: .whitespacesAndNewlines))"
            if isFolder(snapshot) { return snapshot }
        }
        return nil
    }

    private static func isFolder(_ path: String) -> Bool { (try? InputFile.isFolder(path)) ?? false }

    private static func hasTokenizer(_ folder: String) -> Bool {
        ["tokenizer.json", "tokenizer.model"].contains {
            FileManager.default.fileExists(atPath: "\(folder)/\($0)")
        }
    }
}

/// What a folder says about generating: `generation_config.json`, or `config.json` where there is none, as transformers
/// reads them.
private struct GenerationFile {
    var endTokens: Set<Int>
    var repetitionPenalty = 1.0

    private struct Fields: Decodable {
        let eos_token_id: OneOrMany?
        let repetition_penalty: Double?
        let text_config: Text?

        struct Text: Decodable { let eos_token_id: OneOrMany? }
    }

    private struct OneOrMany: Decodable {
        let values: [Int]
        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            values = try (try? [value.decode(Int.self)]) ?? value.decode([Int].self)
        }
    }

    init(_ folder: String) throws {
        let file = "\(folder)/generation_config.json"
        if FileManager.default.fileExists(atPath: file) {
            let fields: Fields = try ModelFolder.read(file, .generation)
            endTokens = Set(fields.eos_token_id?.values ?? [])
            repetitionPenalty = fields.repetition_penalty ?? 1
            guard (1e-3...1e3).contains(repetitionPenalty) else {
                throw ModelError.notAModel(
                    file, "repetition_penalty is \(repetitionPenalty), 0.001 to 1000 is possible")
            }
        } else {
            let fields: Fields = try ModelFolder.read("\(folder)/config.json")
            // 2 is the default of transformers' `LlamaConfig`.
            endTokens = Set((fields.eos_token_id ?? fields.text_config?.eos_token_id)?.values ?? [2])
        }
    }
}
