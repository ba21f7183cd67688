public import Torch

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif

/// Writes a model's tensors one after another into a folder, in Hugging Face's layout: `model.safetensors`,
/// or `model-00001-of-0000N.safetensors` with `model.safetensors.index.json`.
///
/// Each tensor goes to the disk at once, so that no more than one is in memory. Files get their names in
/// ``finish()``, the index last; without it the folder is no model.
public final class ShardedSafetensorsWriter {
    private struct Shard {
        let file: AtomicFile
        var header: String
        var bytes = 0
    }

    private let folder: String
    private let shardBytes: Int
    private var shards: [Shard] = []
    /// The number of the shard that holds a tensor.
    private var places: [String: Int] = [:]
    private var totalBytes = 0

    /// What is left free for a shard's header, its length included: about a thousand tensors. The rest is
    /// filled with spaces, as the format allows, and the data begins at a page.
    static let headerSpace = 128 << 10

    /// - Parameters:
    ///   - folder: made when it is not there. It must not hold weights yet.
    ///   - shardBytes: after how many bytes a new shard begins; a tensor is never split.
    /// - Throws: ``CheckpointError`` when the folder cannot be made, or holds weights.
    public init(folder: String, shardBytes: Int = 5_000_000_000) throws {
        self.folder = folder
        self.shardBytes = shardBytes
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw CheckpointError(path: folder, reason: "the folder cannot be made", isWriting: true)
        }
        for name in Checkpoint.fileNames where isFolder("\(folder)/\(name)") != nil {
            throw CheckpointError(path: folder, reason: "holds \(name) already", isWriting: true)
        }
    }

    /// - Throws: ``CheckpointError`` when the name was written before, or the disk is full.
    public func write(_ name: String, _ tensor: Tensor) throws {
        guard places[name] == nil, name != metadataName else {
            throw CheckpointError(
                path: folder, reason: "tensor name \(name) is already taken", isWriting: true)
        }
        let bytes = tensor.count * tensor.dtype.size
        var start = shards.last?.bytes ?? 0
        func entry() throws -> String {
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            return #",\#(try json(name)):{"dtype":"\#(dtypeNames[tensor.dtype]!)","shape":[\#(shape)],"#
                + #""data_offsets":[\#(start),\#(start + bytes)]}"#
        }
        var text = try entry()
        // The number that precedes the header, and the brace that ends it.
        let used = (shards.last?.header.utf8.count ?? 0) + text.utf8.count + 9
        if shards.isEmpty || (start > 0 && start + bytes > shardBytes) || used > Self.headerSpace {
            start = 0
            text = try entry()
            let file = try AtomicFile(beside: "\(folder)/model-\(shards.count + 1).safetensors")
            try file.seek(to: Self.headerSpace)
            shards.append(Shard(file: file, header: #"{"__metadata__":{"format":"pt"}"#))
        }
        guard text.utf8.count < Self.headerSpace / 2 else {
            throw CheckpointError(
                path: folder, reason: "a tensor's name has \(name.utf8.count) bytes", isWriting: true)
        }
        let last = shards.count - 1
        try tensor.withBytes { try shards[last].file.write($0) }
        shards[last].header += text
        shards[last].bytes += bytes
        places[name] = last
        totalBytes += bytes
    }

    /// Ends the shards and names them.
    ///
    /// - Throws: ``CheckpointError`` when the disk is full, or nothing was written.
    public func finish() throws {
        guard !shards.isEmpty else {
            throw CheckpointError(path: folder, reason: "there is no tensor to write", isWriting: true)
        }
        func number(_ value: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        }
        let names = shards.indices.map { index in
            shards.count == 1
                ? "model.safetensors"
                : "model-\(number(index + 1))-of-\(number(shards.count)).safetensors"
        }
        for (shard, name) in zip(shards, names) {
            var header = Array("\(shard.header)}".utf8)
            let length = Self.headerSpace - 8
            header += repeatElement(UInt8(ascii: " "), count: length - header.count)
            try shard.file.seek(to: 0)
            try withUnsafeBytes(of: UInt64(length).littleEndian) { try shard.file.write($0) }
            try header.withUnsafeBytes { try shard.file.write($0) }
            try shard.file.commit(as: "\(folder)/\(name)")
        }
        guard shards.count > 1 else { return shards = [] }
        let index = Index(metadata: ["total_size": totalBytes], weight_map: places.mapValues { names[$0] })
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(index)
        shards = []
        try AtomicFile.write(to: "\(folder)/model.safetensors.index.json") { file in
            try data.withUnsafeBytes { try file.write($0) }
        }
    }

    private struct Index: Encodable {
        let metadata: [String: Int]
        let weight_map: [String: String]
    }

    private func json(_ text: String) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        return String(decoding: try encoder.encode(text), as: UTF8.self)
    }
}
