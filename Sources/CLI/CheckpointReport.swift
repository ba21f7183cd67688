import Checkpoints
import Encoders
import Foundation
import Language
import NN
import Perception
import Text
import Torch
import Vitrail

/// What `vitrail inspect` says of a model that was downloaded. Configuration, names and shapes are checked as when it is
/// opened; no tensor is read.
struct CheckpointReport: Report {
    struct File: Encodable {
        let path: String
        let bytes: Int
    }

    struct TokenizerFacts: Encodable {
        /// The file's name.
        let file: String
        let kind: String
        let tokens: Int
    }

    let path: String
    let type: String
    var layout: String?
    let parameters: Int
    let bytes: Int
    /// How many parameters are held in each dtype.
    let dtypes: [String: Int]
    let files: [File]
    /// What `--dtype auto` computes in here; nil for what is no network by itself.
    var computesIn: String?
    /// The side of the network's picture in pixels, and the tokens that it becomes.
    var imageSize: Int?
    var imageTokens: Int?
    /// Tokens of prompt and answer together, at most.
    var contextLength: Int?
    var vocabulary: Int?
    var tokenizer: TokenizerFacts?
    /// The chat template's name.
    var conversation: String?
    /// The model that this one completes.
    var base: String?
    var rank: Int?
    var alpha: Double?
    var targets: [String]?
    /// Further numbers of the configuration.
    var sizes: [String: Int] = [:]
    /// What can be done with it, as it is typed.
    var commands: [String] = []

    enum CodingKeys: String, CodingKey {
        case path, type, layout, parameters, bytes, dtypes, files, vocabulary, tokenizer, conversation, base,
            rank
        case alpha, targets, sizes, commands
        case computesIn = "computes_in"
        case imageSize = "image_size"
        case imageTokens = "image_tokens"
        case contextLength = "context_length"
    }

    /// - Parameters:
    ///   - path: a folder, or a file of SAM's original layout.
    ///   - kind: what lies there; not a model of Vitrail's own.
    ///   - base: the folder of the model that a projector completes; looked for when nil.
    ///   - visionTower: of a LLaVA in its authors' layout; looked for when nil.
    init(_ path: String, _ kind: CheckpointKind, base: String?, visionTower: String?) throws {
        let word = shellWord(path)
        switch kind {
        case .sam(let layout):
            let sam = try SAMCheckpoint(contentsOf: path)
            _ = try SAM(sam, dtype: nil)
            self.init(path, "SAM", sam.weights, sam.files)
            self.layout = layout.rawValue
            computesIn = Self.dtype(sam.weights)
            let vision = sam.configuration.vision
            imageSize = vision.imageSize
            sizes = [
                "width": vision.hiddenSize, "layers": vision.numHiddenLayers,
                "heads": vision.numAttentionHeads,
                "patch": vision.patchSize, "window": vision.windowSize,
                "masks": sam.configuration.maskDecoder.numMultimaskOutputs + 1,
            ]
            commands = ["--point X,Y", "--box X0,Y0,X1,Y1"].map {
                "vitrail segment IMAGE \($0) --model \(word) --output mask.png"
            }
        case .llava(let layout):
            let folder = try LLaVAFolder(path, base: base, visionTower: visionTower)
            let store = ParameterStore(.loaded(folder.base), dtype: nil)
            _ = try LLaVA(folder.configuration, store)
            try store.finish()
            let tower = visionTower.map { " --vision-tower \(shellWord($0))" } ?? ""
            self.init(path, "LLaVA", folder.base, try Checkpoint(contentsOf: path).files)
            self.layout = layout.rawValue
            computesIn = Self.dtype(folder.base)
            imageSize = folder.configuration.vision.imageSize
            imageTokens = folder.configuration.imageTokenCount
            describe(folder.configuration.language)
            tokenizer = try Self.tokenizer(folder.textFolder)
            conversation = try LLaVAEngine.template(of: folder, named: nil).name
            commands = ["vitrail ask IMAGE \"What is in the picture?\" --model \(word)\(tower)"]
        case .llama:
            let model = try Llama(contentsOf: path)
            let checkpoint = try Checkpoint(contentsOf: path)
            self.init(path, "Llama", checkpoint, checkpoint.files)
            describe(model.configuration)
            tokenizer = try Self.tokenizer(path)
            conversation = try ChatTemplate(folder: path)?.name
            commands = ["vitrail ask IMAGE \"What is in the picture?\" --model LLAVA_LORA --base \(word)"]
        case .clip:
            let tower = try CLIPVision(contentsOf: path)
            let checkpoint = try Checkpoint(contentsOf: path)
            self.init(path, "CLIP", checkpoint, checkpoint.files)
            imageSize = tower.configuration.imageSize
            sizes = [
                "width": tower.configuration.hiddenSize, "layers": tower.configuration.numHiddenLayers,
                "heads": tower.configuration.numAttentionHeads, "patch": tower.configuration.patchSize,
            ]
            commands = ["vitrail ask IMAGE \"What is in the picture?\" --model LLAVA --vision-tower \(word)"]
        case .adapter(let base), .llavaAdapter(let base):
            let adapter = try LoRAAdapter(contentsOf: path)
            let files = ["adapter_model.safetensors", "adapter_model.bin", "non_lora_trainables.bin"].map {
                "\(path)/\($0)"
            }.filter(FileManager.default.fileExists(atPath:))
            self.init(path, "LoRA", JoinedSource(try files.map { try Checkpoint(contentsOf: $0) }), files)
            self.base = base
            (rank, alpha, targets) = (adapter.rank, adapter.alpha, adapter.targetModules)
            commands = ["vitrail ask IMAGE \"What is in the picture?\" --model \(word) --base BASE"]
        case .llavaProjector(let base):
            let checkpoint = try Checkpoint(contentsOf: "\(path)/mm_projector.bin")
            self.init(path, "LLaVA's projector", checkpoint, checkpoint.files)
            self.base = base
            commands = ["vitrail ask IMAGE \"What is in the picture?\" --model \(word) --base BASE"]
        case .vitrail: preconditionFailure("a model of Vitrail's own is a ModelReport")
        }
    }

    private init(_ path: String, _ type: String, _ source: any CheckpointSource, _ files: [String]) {
        self.path = path
        self.type = type
        parameters = source.count
        bytes = source.bytes
        dtypes = Dictionary(source.entries.values.map { ("\($0.dtype)", $0.count) }, uniquingKeysWith: +)
        self.files = files.map { File(path: $0, bytes: fileSize($0)) }
    }

    private mutating func describe(_ language: LlamaConfiguration) {
        contextLength = language.maxPositionEmbeddings
        vocabulary = language.vocabSize
        sizes = [
            "width": language.hiddenSize, "layers": language.numHiddenLayers,
            "heads": language.numAttentionHeads, "key_value_heads": language.numKeyValueHeads,
        ]
    }

    private static func dtype(_ source: any CheckpointSource) -> String {
        "\(Precision.auto.dtype(for: source))"
    }

    private static func tokenizer(_ folder: String) throws -> TokenizerFacts? {
        let kinds = [
            ("tokenizer.json", "Hugging Face"), ("tokenizer.model", "SentencePiece"), ("vocab.json", "CLIP"),
        ]
        guard
            let (file, kind) = kinds.first(where: {
                FileManager.default.fileExists(atPath: "\(folder)/\($0.0)")
            })
        else { return nil }
        return TokenizerFacts(file: file, kind: kind, tokens: try Tokenizer(folder: folder).vocabularySize)
    }

    var lines: [String] {
        var facts: [(String, String?)] = [
            (
                "parameters",
                "\(grouped(parameters)) in \(dtypes.keys.sorted().joined(separator: ", ")), \(megabytes(bytes))"
            ),
            ("computes in", computesIn),
            ("base", base),
            (
                "update",
                rank.map { "rank \($0), alpha \(alpha ?? 0), of \((targets ?? []).joined(separator: ", "))" }
            ),
            (
                "picture",
                imageSize.map { "\($0) x \($0) pixels\(imageTokens.map { ", \($0) tokens" } ?? "")" }
            ),
            ("context", contextLength.map { "\(grouped($0)) tokens" }),
            (
                "tokenizer",
                tokenizer.map { "\($0.kind), \(grouped($0.tokens)) tokens (\($0.file))" }
                    ?? (vocabulary == nil ? nil : "none")
            ),
            ("template", conversation),
        ]
        facts += sizes.sorted { $0.key < $1.key }.map {
            ($0.key.replacingOccurrences(of: "_", with: " "), grouped($0.value))
        }
        facts += files.enumerated().map { ($0 == 0 ? "files" : "", "\($1.path), \(megabytes($1.bytes))") }
        let rows = facts.compactMap { label, text in text.map { [label, $0] } }
        let title = "\(path): \(type)\(layout.map { ", \($0) layout" } ?? "")"
        return [title] + table(rows) + commandLines(commands)
    }
}

/// A path as a shell takes it.
func shellWord(_ path: String) -> String {
    let plain = path.unicodeScalars.allSatisfy {
        $0.isASCII
            && ($0.properties.isAlphabetic || ("0"..."9").contains($0)
                || "/._-+,:=@".unicodeScalars.contains($0))
    }
    return plain && !path.isEmpty ? path : "'\(path.replacingOccurrences(of: "'", with: "'\\''"))'"
}

/// What can be done, a line each.
func commandLines(_ commands: [String]) -> [String] {
    commands.isEmpty ? [] : ["what can be done with it:"] + commands.map { "  \($0)" }
}
