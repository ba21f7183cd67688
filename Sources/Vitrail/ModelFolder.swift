public import Checkpoints
import Foundation
import InputFiles
import NN

/// A model on disk: `model_index.json` names the parts, and each part is a folder with `config.json` and
/// `model.safetensors`.
public struct ModelFolder: Sendable {
    /// One entry of `model_index.json`.
    public struct Part: Codable, Sendable, Hashable {
        /// Vitrail's class of the part, such as `HybridViT`.
        public let type: String
        /// The part's folder: relative to the model's, or the absolute path of a downloaded one.
        public let path: String

        public init(type: String, path: String) {
            self.type = type
            self.path = path
        }
    }

    struct Index: Codable, CheckedConfiguration {
        var type = "Lumen"
        var parts: [String: Part]
        var locator: Locator?
        var classes: [String]?
        var before: String?

        func check() throws { try locator?.check() }
    }

    public let path: String
    public let parts: [String: Part]
    /// How answers are taken from the model's heatmaps, found by a fine-tuning; nil for ``Locator``'s own numbers.
    public let locator: Locator?
    /// The classes that the model was fine-tuned to find; nil for a model that was not.
    public let classes: [String]?
    /// Where the model from before a fine-tuning lies, which answers what this one was not tuned for; nil for none.
    private let beforePath: String?

    /// - Throws: ``ModelError`` for a folder that is missing or holds no readable `model_index.json`.
    public init(_ path: String) throws {
        guard try ModelError.of(path, { try InputFile.isFolder(path) }) else {
            throw ModelError.notAModel(path, "a model is a folder, this is a file")
        }
        let index: Index = try Self.read("\(path)/model_index.json")
        guard index.type == "Lumen" else {
            throw ModelError.notAModel(path, "model_index.json names the type \(index.type), Lumen is known")
        }
        self.path = path
        parts = index.parts
        locator = index.locator
        classes = index.classes
        beforePath = index.before
    }

    /// The model from before a fine-tuning, which answers what this one was not tuned for; nil for none.
    public var before: ModelFolder? {
        get throws { try beforePath.map { try ModelFolder($0.hasPrefix("/") ? $0 : "\(path)/\($0)") } }
    }

    /// Keeps a copy of the model from before a fine-tuning in this one.
    public func keep(before other: ModelFolder) throws {
        let copy = "\(path)/before"
        if !FileManager.default.fileExists(atPath: copy) {
            // Under its name it is whole.
            try? FileManager.default.removeItem(atPath: "\(copy).tmp")
            try FileManager.default.copyItem(atPath: other.path, toPath: "\(copy).tmp")
            try FileManager.default.moveItem(atPath: "\(copy).tmp", toPath: copy)
        }
        var index = index
        index.before = "before"
        try Self.write(index, to: "\(path)/model_index.json")
    }

    private var index: Index {
        Index(parts: parts, locator: locator, classes: classes, before: beforePath)
    }

    /// The folder of a part.
    public func folder(of part: String) throws -> String {
        guard let entry = parts[part] else {
            throw ModelError.notAModel(path, "model_index.json has no part \(part)")
        }
        return entry.path.hasPrefix("/") ? entry.path : "\(path)/\(entry.path)"
    }

    /// Adds a segmenter to the model, in bfloat16. Masks need it.
    public func add(_ segmenter: Segmenter) throws {
        var index = index
        index.parts["segmenter"] = Part(type: "SAM", path: "segmenter")
        try segmenter.save(to: "\(path)/segmenter")
        try Self.write(index, to: "\(path)/model_index.json")
    }

    /// Writes the locator and the classes into the model's index.
    ///
    /// - Parameters:
    ///   - locator: how answers are taken from heatmaps.
    ///   - classes: what the model was fine-tuned to find; nil for one that was not.
    /// - Throws: ``ModelError`` or ``Checkpoints/CheckpointError`` when the index cannot be written.
    public func calibrate(_ locator: Locator, classes: [String]?) throws {
        var index = index
        (index.locator, index.classes) = (locator, classes)
        try Self.write(index, to: "\(path)/model_index.json")
    }

    /// Names a segmenter elsewhere as the one of this model. It is not copied.
    public func refer(toSegmenter folder: String) throws {
        var index = index
        index.parts["segmenter"] = Part(type: "SAM", path: URL(fileURLWithPath: folder).path)
        try Self.write(index, to: "\(path)/model_index.json")
    }

    func type(of part: String) throws -> String {
        guard let entry = parts[part] else {
            throw ModelError.notAModel(path, "model_index.json has no part \(part)")
        }
        return entry.type
    }

    func configuration<Configuration: Decodable>(
        of part: String, _ known: KnownFields? = nil
    ) throws -> Configuration {
        try Self.read("\(folder(of: part))/config.json", known)
    }

    public func weights(of part: String) throws -> SafetensorsFile {
        try SafetensorsFile("\(folder(of: part))/model.safetensors")
    }

    /// Reads a configuration, and checks its numbers.
    ///
    /// - Parameters:
    ///   - file: JSON.
    ///   - known: the fields that it may have; nil where others change nothing.
    static func read<Value: Decodable>(_ file: String, _ known: KnownFields? = nil) throws -> Value {
        let data = try ModelError.of(file) { Data(try InputFile.read(file)) }
        do {
            let value = try JSONDecoder().decode(Value.self, from: data)
            if let value = value as? any CheckedConfiguration { try check(value, of: file) }
            try known?.check(data, of: file)
            return value
        } catch let error as DecodingError {
            throw ModelError.notAModel(file, describe(error))
        }
    }

    /// - Throws: ``ModelError`` that names the file that numbers come from which cannot make a network.
    static func check(_ configuration: any CheckedConfiguration, of file: String) throws {
        do {
            try configuration.check()
        } catch let error as ConfigurationError {
            throw ModelError.notAModel(file, error.description)
        }
    }

    static func write(_ value: some Encodable, to file: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        var data = try encoder.encode(value)
        data.append(UInt8(ascii: "\n"))
        try data.withUnsafeBytes { bytes in try AtomicFile.write(to: file) { try $0.write(bytes) } }
    }

    private static func describe(_ error: DecodingError) -> String {
        func place(_ path: [any CodingKey]) -> String { path.map(\.stringValue).joined(separator: ".") }
        switch error {
        case .keyNotFound(let key, let context):
            return "the field \(place(context.codingPath + [key])) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return "the field \(place(context.codingPath)) has a value of the wrong kind"
        case .dataCorrupted(let context) where !context.codingPath.isEmpty: return context.debugDescription
        default: return "not the JSON expected here"
        }
    }
}

/// A model cannot be opened, or cannot answer a request.
public enum ModelError: Error, CustomStringConvertible {
    case missing(String)
    case notAModel(String, String)
    case unsupported(String)
    /// A request that is outside what the model takes; the text says which limit.
    case badRequest(String)

    /// - Throws: when something that a network gave is no number, which its answer would hide.
    static func requireNumbers(_ values: [Float], of network: String) throws {
        guard values.allSatisfy(\.isFinite) else { throw noNumbers(of: network) }
    }

    static func noNumbers(of network: String) -> ModelError {
        .unsupported(
            "what \(network) computes is no number (NaN or infinite): its weights hold some that are none, or are too large for "
                + "what is computed in (--dtype float32)")
    }

    /// Calls `body`, which reads what lies at `path`.
    package static func of<Result>(_ path: String, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let problem as InputFile.Problem {
            throw problem.isMissing ? ModelError.missing(path) : .notAModel(path, problem.reason)
        }
    }

    public var description: String {
        switch self {
        case .missing(let path): "\(path): no such file or folder"
        case .notAModel(let path, let reason): "\(path): \(reason)"
        case .unsupported(let text), .badRequest(let text): text
        }
    }
}
