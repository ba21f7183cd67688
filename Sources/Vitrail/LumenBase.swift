// A LLaVA as the base of a LUMEN: the parameters that are added to it, and the folders for them.
import Checkpoints
import Encoders
import Foundation
import Language
public import NN
public import Text
package import Torch

/// A downloaded LLaVA with LoRA in its language model and rows for LUMEN's tokens in its tables.
public struct LumenBase {
    public let folder: LLaVAFolder
    /// The LLaVA's tokenizer with LUMEN's tokens.
    public let tokenizer: Tokenizer
    /// LoRA for the language model only.
    public let lora: LoRAConfiguration
    public let newRows: NewRowsConfiguration
    private let visionTower: String?

    /// Where the language model's layers lie among LLaVA's.
    static let language = "language_model"

    /// - Parameters:
    ///   - path: the LLaVA, in either layout.
    ///   - visionTower: of the original layout; looked for when nil.
    ///   - lora: for the language model.
    /// - Throws: as ``LLaVAFolder``; ``ModelError`` for a LLaVA that LUMEN cannot be made of.
    public init(_ path: String, visionTower: String? = nil, lora: LoRAConfiguration) throws {
        folder = try LLaVAFolder(path, visionTower: visionTower)
        self.visionTower = visionTower
        try Self.check(folder)
        let own = try Tokenizer(folder: folder.textFolder)
        tokenizer = try own.adding(Prompt.specialTokens)
        newRows = NewRowsConfiguration(ids: own.vocabularySize..<tokenizer.vocabularySize)
        self.lora = lora.under(Self.language)
    }

    /// Opens what ``save(_:to:dtype:)`` wrote.
    init(_ model: ModelFolder) throws {
        let path = try model.folder(of: "language_model")
        visionTower = model.parts["vision_tower"] == nil ? nil : try model.folder(of: "vision_tower")
        folder = try LLaVAFolder(path, visionTower: visionTower)
        try Self.check(folder)
        tokenizer = try Tokenizer(folder: model.folder(of: "tokenizer"))
        let names = LLaVAFolder.names(folder.layout, isTied: false)
        lora = try LoRAAdapter(contentsOf: model.folder(of: "adapter"), names: names).live
        let rows: NewTokensFile = try model.configuration(of: "new_tokens")
        let ids = rows.first_id..<(rows.first_id + rows.count)
        newRows = NewRowsConfiguration(ids: ids, source: try model.weights(of: "new_tokens"))
    }

    private struct NewTokensFile: Codable, CheckedConfiguration {
        var first_id: Int
        var count: Int

        func check() throws {
            let check = ConfigurationCheck("new tokens")
            try check.within(
                0...ConfigurationCheck.rows.upperBound, ["first_id": first_id, "count": count])
        }
    }

    private static func check(_ folder: LLaVAFolder) throws {
        let configuration = folder.configuration
        guard !configuration.language.tieWordEmbeddings, !configuration.includesClassToken else {
            throw ModelError.unsupported(
                "\(folder.path): tied embeddings and the class token among the patches are not supported in a LUMEN"
            )
        }
    }

    /// - Parameters:
    ///   - device: where the parameters will be.
    ///   - dtype: of LLaVA's own.
    ///   - addedDType: of what is added.
    func store(device: Device, dtype: DType?, addedDType: DType?) throws -> ParameterStore {
        var (lora, newRows) = (lora, newRows)
        (lora.dtype, newRows.dtype) = (addedDType, addedDType)
        // If the LLaVA is a LoRA itself, it is merged with its base.
        let source = try folder.adapter?.merged(into: folder.base) ?? folder.base
        return ParameterStore(.loaded(source), device: device, dtype: dtype, lora: lora, newRows: newRows)
    }

    // MARK: Files

    /// Writes a PEFT adapter and the new rows. Returns the entries of these and of the LLaVA for the model's index.
    func save(_ store: ParameterStore, to path: String, dtype: DType) throws -> [String: ModelFolder.Part] {
        let lora = store.named.filter { LoRA.isPart($0.name) }
        try Self.writeAdapter(
            lora.map { (foreign($0.name), $0.tensor) }, self.lora, base: folder.path, to: "\(path)/adapter",
            dtype: dtype)
        let rows = try store.named.filter { NewRows.isPart($0.name) }
            .map { (name: $0.name, tensor: try $0.tensor.detached().to(dtype)) }
        try FileManager.default.createDirectory(
            atPath: "\(path)/new_tokens", withIntermediateDirectories: true)
        try SafetensorsFile.write(
            rows, metadata: ["format": "pt"], to: "\(path)/new_tokens/model.safetensors")
        try ModelFolder.write(
            NewTokensFile(first_id: newRows.ids.lowerBound, count: newRows.ids.count),
            to: "\(path)/new_tokens/config.json")
        let place = URL(fileURLWithPath: folder.path).path
        var parts = [
            "adapter": ModelFolder.Part(type: "LoRA", path: "adapter"),
            "new_tokens": ModelFolder.Part(type: "NewTokens", path: "new_tokens"),
        ]
        for part in ["image_encoder", "projector", "language_model"] {
            parts[part] = .init(type: "LLaVA", path: place)
        }
        if let visionTower {
            parts["vision_tower"] = .init(type: "CLIP", path: URL(fileURLWithPath: visionTower).path)
        }
        return parts
    }

    /// What transformers, or LLaVA's own code, calls a parameter of the language model.
    private func foreign(_ name: String) -> String {
        let inner = "\(Self.language).model."
        guard name.hasPrefix(inner) else { return String(name.dropFirst(Self.language.count + 1)) }
        let rest = name.dropFirst(inner.count)
        return folder.layout == .huggingFace ? "model.language_model.\(rest)" : "model.\(rest)"
    }

    /// Writes `adapter_config.json` and `adapter_model.safetensors`, which PyPI's `peft` reads.
    ///
    /// - Parameters:
    ///   - tensors: A and B under the names of the base's modules.
    ///   - lora: rank and alpha, the same for all layers.
    ///   - base: the folder of the base.
    ///   - folder: where to write.
    ///   - dtype: what A and B are written in.
    package static func writeAdapter(
        _ tensors: [(name: String, tensor: Tensor)], _ lora: LoRAConfiguration, base: String,
        to folder: String, dtype: DType
    ) throws {
        struct Fields: Encodable {
            var base_model_name_or_path: String
            var bias = "none"
            var fan_in_fan_out = false
            var inference_mode = true
            var init_lora_weights = true
            var lora_alpha: Double
            var lora_dropout = 0.0
            var peft_type = "LORA"
            var r: Int
            var rank_pattern: [String: Int]
            var alpha_pattern: [String: Double]
            /// Full names of the layers: the last part alone would also match layers of the vision tower.
            var target_modules: [String]
            var use_rslora: Bool
        }
        let suffix = ".\(LoRA.names.a)"
        let layers = tensors.map(\.name).filter { $0.hasSuffix(suffix) }.map {
            String($0.dropLast(suffix.count))
        }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try SafetensorsFile.write(
            tensors.map { ("base_model.model.\($0.name)", try $0.tensor.detached().to(dtype)) },
            metadata: ["format": "pt"], to: "\(folder)/adapter_model.safetensors")
        try ModelFolder.write(
            Fields(
                base_model_name_or_path: base, lora_alpha: lora.alpha, r: lora.rank,
                rank_pattern: lora.rankPattern, alpha_pattern: lora.alphaPattern,
                target_modules: layers, use_rslora: lora.isRankStabilised),
            to: "\(folder)/adapter_config.json")
    }
}

/// A LLaVA's vision tower as LUMEN's encoder: the hidden states for the LLaVA's projector, at LUMEN's picture size.
struct LLaVAEncoder: ImageEncoder {
    let tower: CLIPVision
    let layers: [Int]
    let dtype: DType
    let sizes: ClosedRange<Int>

    /// - Parameter tokenCount: of the aligner's table of positions: patches of a picture.
    init(_ model: LLaVA, tokenCount: Int) {
        tower = model.vision
        layers = model.configuration.featureLayers
        dtype = model.language.embeddingWeight.dtype
        let side = Int(Double(tokenCount).squareRoot().rounded()) * tower.configuration.patchSize
        sizes = side...side
    }

    func normalized(_ pixels: Tensor) throws -> Tensor { try tower.normalized(pixels) }

    func callAsFunction(_ images: Tensor) throws -> ImageFeatures {
        let patch = tower.configuration.patchSize
        return ImageFeatures(
            tokens: try tower.features(
                images.to(dtype), layers: layers, includesClassToken: false),
            grid: (images.size(2) / patch, images.size(3) / patch))
    }
}
