internal import InputFiles
internal import NN
public import Torch

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// The tensors of a model as it was downloaded: one file, or the shards of an index.
public final class Checkpoint: CheckpointSource {
    public let path: String
    /// The files that hold the tensors.
    public let files: [String]
    public let entries: [String: TensorEntry]
    private let places: [String: any CheckpointSource]

    public var label: String { path }

    /// What a folder is searched for, in this order; the first that is there is opened.
    public static let fileNames = [
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ]

    /// Opens what lies at `path`: a folder with one of ``fileNames``, an index (`.index.json`), a
    /// `.safetensors` file, or an archive of torch (`.bin`, `.pt`, `.pth`).
    ///
    /// Headers of all shards are read, and no tensor. An index must name files of its own folder, each of
    /// them must be whole and hold the tensors that the index promises, and no tensor may lie in two of them.
    /// Tensors that a shard has beyond those count, too, as in transformers.
    ///
    /// - Parameter path: of the folder or file.
    /// - Throws: ``CheckpointError`` that names the file and what is wrong with it.
    public init(contentsOf path: String) throws {
        let file = try Self.file(at: path)
        var entries: [String: TensorEntry] = [:]
        var places: [String: any CheckpointSource] = [:]
        var owners: [String: String] = [:]
        if file.hasSuffix(".index.json") {
            let folder = String(file[..<file.lastIndex(of: "/")!])
            let index = try Self.index(file)
            files = Set(index.values).sorted().map { "\(folder)/\($0)" }
            for shard in files {
                guard isFolder(shard) != nil else {
                    let name = shard.dropFirst(folder.count + 1)
                    throw CheckpointError(path: file, reason: "names \(name), which is not in its folder")
                }
                let source = try Self.open(shard)
                for (name, entry) in source.entries {
                    guard entries.updateValue(entry, forKey: name) == nil else {
                        throw CheckpointError(
                            path: file, reason: "tensor \(name) is both in \(owners[name]!) and in \(shard)")
                    }
                    places[name] = source
                    owners[name] = shard
                }
            }
            for (name, shard) in index.sorted(by: { $0.key < $1.key })
            where owners[name] != "\(folder)/\(shard)" {
                throw CheckpointError(
                    path: file, reason: "says that \(shard) holds tensor \(name), which it does not")
            }
        } else {
            files = [file]
            let source = try Self.open(file)
            entries = source.entries
            places = entries.mapValues { _ in source }
        }
        self.path = path
        self.entries = entries
        self.places = places
    }

    public func tensor(named name: String) throws -> Tensor? { try places[name]?.tensor(named: name) }

    private static func file(at path: String) throws -> String {
        let isFolder: Bool
        do {
            isFolder = try InputFile.isFolder(path)
        } catch {
            throw CheckpointError(
                path: path, reason: error.isMissing ? "no such file or folder" : error.reason)
        }
        guard isFolder else { return path.contains("/") ? path : "./\(path)" }
        let found = fileNames.map { "\(path)/\($0)" }.first { Checkpoints.isFolder($0) == false }
        guard let found else {
            throw CheckpointError(
                path: path, reason: "holds no weights; looked for \(fileNames.joined(separator: ", "))")
        }
        return found
    }

    private static func open(_ file: String) throws -> any CheckpointSource {
        switch file.split(separator: ".").last {
        case "safetensors": return try SafetensorsFile(file)
        case "bin", "pt", "pth": return try TorchArchive(file)
        default:
            throw CheckpointError(
                path: file, reason: "not a file of weights; .safetensors, .bin, .pt and .pth are known")
        }
    }

    private struct Index: Decodable {
        let weight_map: [String: String]
    }

    /// Which shard holds a tensor, by the tensor's name.
    private static func index(_ file: String) throws -> [String: String] {
        let data = try contents(of: file)
        guard let index = try? JSONDecoder().decode(Index.self, from: data) else {
            throw CheckpointError(
                path: file, reason: "not an index of shards: JSON with a weight_map is expected")
        }
        for shard in Set(index.weight_map.values) where shard.contains("/") || shard.isEmpty || shard == ".."
        {
            throw CheckpointError(
                path: file,
                reason: "names the shard \(shard.debugDescription), which is not a file of its folder")
        }
        guard !index.weight_map.isEmpty else { throw CheckpointError(path: file, reason: "names no tensor") }
        return index.weight_map
    }
}
