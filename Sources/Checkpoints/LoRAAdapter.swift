// Adapters as PEFT saves them. Matches peft 0.21, LoraConfig and tuners/lora/layer.py; proven by
// LoRAAdapterTests.
public import NN
internal import Torch

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// A LoRA adapter's folder: `adapter_config.json` with `adapter_model.safetensors` or `.bin`, and LLaVA's
/// `non_lora_trainables.bin` when it is there.
///
/// It is used merged, or beside the weights:
///
///     let adapter = try LoRAAdapter(contentsOf: folder)
///     let merged = try adapter.merged(into: base)
///     let store = ParameterStore(.loaded(try adapter.replacing(in: base)), lora: try adapter.live)
///
/// Ranks and scales by pattern, biases, layers saved whole and embeddings are followed. Everything else that
/// PEFT can do to a layer (DoRA and whatever a later version adds) is refused by its name in the
/// configuration.
public struct LoRAAdapter {
    /// The adapter's folder.
    public let path: String
    public let rank: Int
    public let alpha: Double
    /// Whether updates are scaled by alpha / sqrt(rank) instead of alpha / rank.
    public let isRankStabilised: Bool
    /// Ranks and alphas of layers whose names end in a pattern.
    public let rankPattern: [String: Int]
    public let alphaPattern: [String: Double]
    /// Which layers the training was asked to adapt; one entry may be a regular expression. What is adapted,
    /// the tensors say.
    public let targetModules: [String]
    /// Layers that were trained whole.
    public let modulesToSave: [String]
    /// What the adapter was trained on, such as `lmsys/vicuna-7b-v1.5`.
    public let baseModel: String?

    /// The update of one weight: `scale * B A`.
    struct Update {
        let scale: Double
        let rank: Int
        let alpha: Double
        /// Names in the adapter's file.
        var a: String
        var b: String
        /// The update of an embedding is the transpose of the product.
        let isEmbedding: Bool
    }

    /// By the name of the layer.
    let updates: [String: Update]
    /// Tensors of ``file`` that take the place of the base's; parameter to the tensor's name.
    private let replacements: [String: String]
    /// Tensors of ``others``, which the base may lack.
    private let additions: [String: String]
    private let file: Checkpoint
    private let others: Checkpoint?

    /// - Parameters:
    ///   - folder: as PEFT or LLaVA wrote it.
    ///   - names: how names of the base become ours, when the base is read through such a map, too.
    /// - Throws: ``CheckpointError`` for a folder that lacks a file, another method than LoRA, an option that is not
    ///   followed, or tensors that do not belong together.
    public init(contentsOf folder: String, names: KeyMap? = nil) throws {
        let configuration = try Configuration("\(folder)/adapter_config.json")
        let found = ["adapter_model.safetensors", "adapter_model.bin"].map { "\(folder)/\($0)" }
            .first { isFolder($0) == false }
        guard let found else {
            throw CheckpointError(
                path: folder, reason: "holds neither adapter_model.safetensors nor adapter_model.bin")
        }
        file = try Checkpoint(contentsOf: found)
        let extra = "\(folder)/non_lora_trainables.bin"
        others = isFolder(extra) == nil ? nil : try Checkpoint(contentsOf: extra)

        var halves: [String: (a: String?, b: String?, isEmbedding: Bool)] = [:]
        var replacements: [String: String] = [:]
        for name in file.names {
            switch try Part(name, file.path) {
            case .a(let layer, let isEmbedding):
                guard halves[layer, default: (nil, nil, isEmbedding)].a == nil else {
                    throw CheckpointError(path: file.path, reason: "has two matrices A for \(layer)")
                }
                halves[layer, default: (nil, nil, isEmbedding)].a = name
            case .b(let layer, let isEmbedding):
                guard halves[layer, default: (nil, nil, isEmbedding)].b == nil else {
                    throw CheckpointError(path: file.path, reason: "has two matrices B for \(layer)")
                }
                halves[layer, default: (nil, nil, isEmbedding)].b = name
            case .whole(let parameter):
                try Self.add(name, as: parameter, to: &replacements, names, file)
            }
        }
        var updates: [String: Update] = [:]
        for (layer, half) in halves.sorted(by: { $0.key < $1.key }) {
            guard let a = half.a, let b = half.b else {
                throw CheckpointError(
                    path: file.path, reason: "has only one of the matrices A and B for \(layer)")
            }
            let (shapeA, shapeB) = (file.entries[a]!.shape, file.entries[b]!.shape)
            guard shapeA.count == 2, shapeB.count == 2 else {
                throw CheckpointError(
                    path: file.path,
                    reason:
                        "updates \(layer) by \(shapeB) x \(shapeA); linear layers and embeddings are known")
            }
            let rank = try configuration.rank(of: layer)
            guard shapeA[0] == rank, shapeB[1] == rank else {
                throw CheckpointError(
                    path: file.path,
                    reason:
                        "updates \(layer) by \(shapeB) x \(shapeA), where adapter_config.json says rank \(rank)"
                )
            }
            let alpha = try configuration.alpha(of: layer)
            let parameter = Self.rename("\(layer).weight", names)
            updates[String(parameter.dropLast(".weight".count))] = Update(
                scale: alpha / (configuration.isRankStabilised ? Double(rank).squareRoot() : Double(rank)),
                rank: rank, alpha: alpha, a: a, b: b, isEmbedding: half.isEmbedding)
        }
        var additions: [String: String] = [:]
        if let others {
            for name in others.names {
                try Self.add(name, as: Part.stripped(name), to: &additions, names, others)
            }
        }
        guard !updates.isEmpty || !replacements.isEmpty else {
            throw CheckpointError(path: file.path, reason: "holds no tensor")
        }
        path = folder
        rank = configuration.rank
        alpha = configuration.alpha
        isRankStabilised = configuration.isRankStabilised
        rankPattern = configuration.rankPattern
        alphaPattern = configuration.alphaPattern
        targetModules = configuration.targetModules
        modulesToSave = configuration.modulesToSave
        baseModel = configuration.baseModel
        self.updates = updates
        self.replacements = replacements
        self.additions = additions
    }

    /// What the map does not know keeps its name, and is reported where the base is known.
    private static func rename(_ name: String, _ names: KeyMap?) -> String {
        if case .renamed(let own) = names?(name) { own } else { name }
    }

    /// Files a tensor under the parameter that it is.

    private static func add(
        _ name: String, as parameter: String, to table: inout [String: String], _ names: KeyMap?,
        _ file: Checkpoint
    ) throws {
        if names?(parameter) == .ignored { return }
        if let other = table.updateValue(name, forKey: rename(parameter, names)) {
            throw CheckpointError(
                path: file.path, reason: "tensors \(other) and \(name) are the same parameter")
        }
    }

    // MARK: Use

    /// The base with all updates added to its weights, each when it is asked for: in float32, then in the
    /// weight's own dtype.
    ///
    /// - Parameter base: the model that the adapter was trained on, under the names it was opened for.
    /// - Throws: ``CheckpointError`` when `base` is another model.
    public func merged(into base: any CheckpointSource) throws -> any CheckpointSource {
        let whole = try replacing(in: base)
        for (layer, update) in updates.sorted(by: { $0.key < $1.key }) {
            guard let weight = whole.entries["\(layer).weight"] else {
                throw CheckpointError(
                    path: path, reason: "adapts \(layer), which \(base.label) does not have")
            }
            var shape = [file.entries[update.b]!.shape[0], file.entries[update.a]!.shape[1]]
            if update.isEmbedding { shape.reverse() }
            guard weight.shape == shape else {
                throw CheckpointError(
                    path: path,
                    reason:
                        "adapts \(layer) as \(shape), which is \(weight.shape) in \(base.label): another base"
                )
            }
        }
        return MergedSource(base: whole, adapter: self)
    }

    /// The base with the tensors that the adapter brings whole: biases and layers that were trained, and
    /// LLaVA's projector. Its low-rank updates are not in it; see ``live``.
    ///
    /// - Throws: ``CheckpointError`` when `base` is another model.
    public func replacing(in base: any CheckpointSource) throws -> any CheckpointSource {
        for (name, original) in replacements.sorted(by: { $0.key < $1.key }) {
            guard let before = base.entries[name]?.shape else {
                throw CheckpointError(
                    path: path, reason: "replaces \(name), which \(base.label) does not have")
            }
            // A vocabulary may have grown.
            let after = file.entries[original]!.shape
            guard before.count == after.count, before.dropFirst() == after.dropFirst() else {
                throw CheckpointError(
                    path: path,
                    reason: "replaces \(name) by \(after), which is \(before) in \(base.label): another base")
            }
        }
        var sources = [base]
        if !replacements.isEmpty { sources.append(SelectedSource(file, replacements)) }
        if let others { sources.append(SelectedSource(others, additions)) }
        return sources.count == 1 ? base : JoinedSource(sources)
    }

    /// The updates for layers that keep them beside their weights.
    ///
    /// - Throws: ``CheckpointError`` when an embedding is updated, which is possible merged only.
    public var live: LoRAConfiguration {
        get throws {
            if let layer = updates.filter({ $0.value.isEmbedding }).keys.min() {
                throw CheckpointError(
                    path: path, reason: "adapts the embedding \(layer), which must be merged into the base")
            }
            var names: [String: String] = [:]
            for (layer, update) in updates {
                names["\(layer).\(LoRA.names.a)"] = update.a
                names["\(layer).\(LoRA.names.b)"] = update.b
            }
            var configuration = LoRAConfiguration(
                rank: rank, alpha: alpha, isRankStabilised: isRankStabilised, targets: updates.keys.sorted(),
                source: SelectedSource(file, names))
            configuration.rankPattern = updates.mapValues(\.rank).filter { $0.value != rank }
            configuration.alphaPattern = updates.mapValues(\.alpha).filter { $0.value != alpha }
            return configuration
        }
    }

    /// `scale * B A` in float32, of the weight's shape.
    fileprivate func change(_ update: Update) throws -> Tensor {
        let a = try file.tensor(named: update.a)!.to(.float32)
        let b = try file.tensor(named: update.b)!.to(.float32)
        let product = try matmul(b, a) * update.scale
        return update.isEmbedding ? try product.transposed(0, 1) : product
    }
}

/// What a tensor of an adapter's file is.
private enum Part {
    case a(layer: String, isEmbedding: Bool)
    case b(layer: String, isEmbedding: Bool)
    case whole(String)

    init(_ name: String, _ file: String) throws {
        let words = Self.stripped(name).split(separator: ".", omittingEmptySubsequences: false)
        guard let place = words.firstIndex(where: { $0.hasPrefix("lora_") }) else {
            // The layer inside PEFT's own, and the copy of a layer that is trained whole, with or without the
            // adapter's name.
            var rest = words.filter { $0 != "base_layer" }
            if let copy = rest.firstIndex(of: "modules_to_save") {
                rest.removeSubrange(copy...(rest.count - copy > 2 ? copy + 1 : copy))
            }
            self = .whole(rest.joined(separator: "."))
            return
        }
        let layer = words[..<place].joined(separator: ".")
        // After the matrix comes the adapter's name, when it was not taken away.
        let after = words[(place + 1)...]
        let isWeight = after.last == "weight" && after.count <= 2
        switch words[place] {
        case "lora_A" where isWeight: self = .a(layer: layer, isEmbedding: false)
        case "lora_B" where isWeight: self = .b(layer: layer, isEmbedding: false)
        case "lora_embedding_A" where after.count <= 1: self = .a(layer: layer, isEmbedding: true)
        case "lora_embedding_B" where after.count <= 1: self = .b(layer: layer, isEmbedding: true)
        default: throw CheckpointError(path: file, reason: "tensor \(name) is of no kind that is known")
        }
    }

    static func stripped(_ name: String) -> String {
        let prefix = "base_model.model."
        return name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
    }
}

/// Some tensors of a file under other names.
private struct SelectedSource: CheckpointSource {
    let file: Checkpoint
    let originals: [String: String]
    let entries: [String: TensorEntry]

    var label: String { file.path }

    init(_ file: Checkpoint, _ originals: [String: String]) {
        self.file = file
        self.originals = originals
        entries = originals.mapValues { file.entries[$0]! }
    }

    func tensor(named name: String) throws -> Tensor? {
        try originals[name].flatMap { try file.tensor(named: $0) }
    }

    func originalName(of name: String) -> String { originals[name] ?? name }
}

/// A base whose weights get their update when they are asked for.
private struct MergedSource: CheckpointSource {
    let base: any CheckpointSource
    let adapter: LoRAAdapter

    var label: String { "\(base.label) + \(adapter.path)" }
    var entries: [String: TensorEntry] { base.entries }

    func tensor(named name: String) throws -> Tensor? {
        guard let tensor = try base.tensor(named: name) else { return nil }
        guard name.hasSuffix(".weight"), let update = adapter.updates[String(name.dropLast(7))] else {
            return tensor
        }
        return try (tensor.to(.float32) + adapter.change(update)).to(tensor.dtype)
    }

    func originalName(of name: String) -> String { base.originalName(of: name) }
}

// MARK: adapter_config.json

private struct Configuration {
    let path: String
    private let fields: [String: JSONValue]

    var rank: Int = 0
    var alpha: Double = 0
    var isRankStabilised = false
    var rankPattern: [String: Int] = [:]
    var alphaPattern: [String: Double] = [:]
    var targetModules: [String] = []
    var modulesToSave: [String] = []
    var baseModel: String?

    /// Fields that say how the training went, or whose effect the tensors show.
    private static let harmless: Set<String> = [
        "auto_mapping", "bias", "eva_config", "exclude_modules", "inference_mode", "layers_pattern",
        "layers_to_transform", "loftq_config", "lora_dropout", "megatron_config", "megatron_core",
        "peft_version",
        "qalora_group_size", "revision", "runtime_config", "task_type",
    ]
    /// Initial values that change the base's weights as well.
    private static let unlikeBase = ["pissa", "olora", "corda", "loftq", "lora_ga"]

    init(_ path: String) throws {
        let data = try contents(of: path)
        guard let fields = try? JSONDecoder().decode([String: JSONValue].self, from: data) else {
            throw CheckpointError(path: path, reason: "not the JSON of an adapter's configuration")
        }
        self.path = path
        self.fields = fields
        guard let type = fields["peft_type"]?.text else { throw wrong("peft_type") }
        guard type == "LORA" else {
            throw CheckpointError(path: path, reason: "peft_type is \(type), only LORA is supported")
        }
        guard let rank = fields["r"]?.integer, (1...1_000_000).contains(rank) else { throw wrong("r") }
        guard let alpha = fields["lora_alpha"]?.number else { throw wrong("lora_alpha") }
        self.rank = rank
        self.alpha = alpha
        isRankStabilised = fields["use_rslora"]?.isSet ?? false
        rankPattern = try pattern("rank_pattern") { $0.integer.flatMap { $0 > 0 ? $0 : nil } }
        alphaPattern = try pattern("alpha_pattern", \.number)
        targetModules = try texts("target_modules")
        modulesToSave = try texts("modules_to_save")
        baseModel = fields["base_model_name_or_path"]?.text
        let known: Set<String> = [
            "peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules",
            "modules_to_save", "base_model_name_or_path", "init_lora_weights",
        ]
        for (name, value) in fields.sorted(by: { $0.key < $1.key })
        where value.isSet && !known.contains(name) && !Self.harmless.contains(name) {
            throw CheckpointError(path: path, reason: "sets \(name), which is not supported")
        }
        if let start = fields["init_lora_weights"]?.text,
            Self.unlikeBase.contains(where: { start.lowercased().hasPrefix($0) })
        {
            throw CheckpointError(
                path: path,
                reason: "init_lora_weights is \(start), which changes the base, too: not supported")
        }
    }

    private func wrong(_ field: String) -> CheckpointError {
        CheckpointError(path: path, reason: "the field \(field) is missing or of the wrong kind")
    }

    private func texts(_ field: String) throws -> [String] {
        switch fields[field] {
        case nil, .null: return []
        case .text(let text): return [text]
        case .list(let values):
            return try values.map {
                guard let text = $0.text else { throw wrong(field) }
                return text
            }
        default: throw wrong(field)
        }
    }

    private func pattern<Value>(_ field: String, _ read: (JSONValue) -> Value?) throws -> [String: Value] {
        switch fields[field] {
        case nil, .null: return [:]
        case .object(let values):
            return try values.mapValues {
                guard let value = read($0) else { throw wrong(field) }
                return value
            }
        default: throw wrong(field)
        }
    }

    func rank(of layer: String) throws -> Int { try value(of: layer, rankPattern, "rank_pattern") ?? rank }
    func alpha(of layer: String) throws -> Double {
        try value(of: layer, alphaPattern, "alpha_pattern") ?? alpha
    }

    /// As PEFT looks it up: a key is a regular expression for the end of the layer's name, whole words of it.
    private func value<Value: Hashable>(of layer: String, _ pattern: [String: Value], _ field: String) throws
        -> Value?
    {
        var found: Set<Value> = []
        for (key, value) in pattern {
            // Repeated groups, and many repetitions, can take for ever.
            let repetitions = key.count { "*+{?".contains($0) }
            let isQuick =
                repetitions <= 2 && key.utf8.count <= 256 && layer.utf8.count <= 256
                && !["*", "+", "{", "?"].contains { key.contains(")\($0)") }
            guard isQuick, let expression = try? Regex(#"(.*\.)?(\#(key))"#) else {
                throw CheckpointError(path: path, reason: "\(field) has the key \(key), which cannot be used")
            }
            if try expression.wholeMatch(in: layer) != nil { found.insert(value) }
        }
        guard found.count <= 1 else {
            throw CheckpointError(path: path, reason: "\(field) gives \(layer) several values")
        }
        return found.first
    }
}
