import Checkpoints
import Foundation
import NN
import TestSupport
import Testing
import Torch

/// Folders as transformers saves them, with the weights that Tools/reference/checkpoint_fixtures.py had in
/// memory.
struct CheckpointTests {
    let folder: TemporaryFolder
    let expected: SafetensorsFile

    init() throws {
        folder = try TemporaryFolder()
        expected = try SafetensorsFile(fixture("shards.safetensors"))
    }

    private func tensors(_ group: String) throws -> [(name: String, tensor: Tensor)] {
        try expected.names.filter { $0.hasPrefix("\(group)/") }.map {
            (String($0.dropFirst(group.count + 1)), try expected.tensor(named: $0)!)
        }
    }

    private func expect(_ source: some CheckpointSource, holds tensors: [(name: String, tensor: Tensor)])
        throws
    {
        #expect(source.names == tensors.map(\.name).sorted() && !tensors.isEmpty)
        for (name, original) in tensors {
            let tensor = try #require(try source.tensor(named: name))
            #expect(try difference(tensor, original, relative: 0, absolute: 0) == nil, "\(name)")
            #expect(source.entries[name] == TensorEntry(original.dtype, original.shape))
        }
        #expect(source.count == tensors.reduce(0) { $0 + $1.tensor.count })
        #expect(source.bytes == 4 * source.count)
        #expect(try source.tensor(named: "nothing") == nil)
    }

    @Test(arguments: [
        ("llama", "llama", 3), ("llama/model.safetensors.index.json", "llama", 3),
        ("llama-biased", "llama-biased", 3),
    ])
    func shardsAreOneCheckpoint(_ path: String, _ group: String, _ files: Int) throws {
        let checkpoint = try Checkpoint(contentsOf: fixture(path))
        try expect(checkpoint, holds: tensors(group))
        #expect(checkpoint.files.count == files && checkpoint.label == fixture(path))
    }

    @Test func singleFilesAreCheckpoints() throws {
        for name in ["torch/state.pt", "torch/training.pth", "llama-biased/pytorch_model-00001-of-00003.bin"]
        {
            #expect(try !Checkpoint(contentsOf: fixture(name)).entries.isEmpty, "\(name)")
        }
        // The safetensors file is the one that is opened where both lie.
        let weights = try tensors("llama")
        try SafetensorsFile.write(weights, to: folder.file("model.safetensors"))
        try copy("llama-biased")
        try expect(Checkpoint(contentsOf: folder.path), holds: weights)
        try FileManager.default.removeItem(atPath: folder.file("model.safetensors"))
        try expect(Checkpoint(contentsOf: folder.path), holds: tensors("llama-biased"))
    }

    // MARK: What is broken

    private func copy(_ name: String) throws {
        for file in try FileManager.default.contentsOfDirectory(atPath: fixture(name)) {
            try FileManager.default.copyItem(atPath: fixture("\(name)/\(file)"), toPath: folder.file(file))
        }
    }

    private func expectError(_ says: String, in path: String? = nil, at file: String? = nil) throws {
        let path = path ?? folder.path
        let error = try #require(throws: CheckpointError.self) { try Checkpoint(contentsOf: path) }
        #expect(error.path == file.map(folder.file) ?? path && error.reason.contains(says), "\(error)")
        #expect(!error.description.contains("\n"))
    }

    private func edit(_ name: String, _ change: (inout [String: String]) -> Void) throws {
        let url = URL(fileURLWithPath: folder.file(name))
        let json = try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as! [String: Any]
        var map = json["weight_map"] as! [String: String]
        change(&map)
        try JSONSerialization.data(withJSONObject: ["weight_map": map]).write(to: url)
    }

    static let kinds = [
        ("llama", "model.safetensors.index.json", "model-00002-of-00003.safetensors"),
        ("llama-biased", "pytorch_model.bin.index.json", "pytorch_model-00002-of-00003.bin"),
    ]

    @Test(arguments: kinds)
    func aMissingShardIsRefused(_ kind: (folder: String, index: String, shard: String)) throws {
        try copy(kind.folder)
        try FileManager.default.removeItem(atPath: folder.file(kind.shard))
        try expectError("names \(kind.shard), which is not in its folder", at: kind.index)
    }

    @Test(arguments: kinds)
    func aShardThatIsCutShortIsRefused(_ kind: (folder: String, index: String, shard: String)) throws {
        try copy(kind.folder)
        let url = URL(fileURLWithPath: folder.file(kind.shard))
        try Data(contentsOf: url).dropLast(100).write(to: url)
        let says = kind.folder == "llama" ? "outside the data of" : "cut short"
        try expectError(says, at: kind.shard)
        try Data().write(to: url)
        try expectError("0 bytes", at: kind.shard)
    }

    @Test(arguments: kinds)
    func anIndexThatPromisesTooMuchIsRefused(_ kind: (folder: String, index: String, shard: String)) throws {
        try copy(kind.folder)
        try edit(kind.index) { $0["model.layers.9.weight"] = kind.shard }
        try expectError(
            "says that \(kind.shard) holds tensor model.layers.9.weight, which it does not", at: kind.index)
        try edit(kind.index) {
            $0["model.layers.9.weight"] = nil
            $0["model.norm.weight"] = kind.shard.replacingOccurrences(of: "00002-of", with: "00001-of")
        }
        try expectError("holds tensor model.norm.weight, which it does not", at: kind.index)
    }

    @Test func aTensorInTwoShardsIsRefused() throws {
        let (a, b) = (try Tensor.zeros([2]), try Tensor.ones([2]))
        try SafetensorsFile.write([("a", a)], to: folder.file("1.safetensors"))
        try SafetensorsFile.write([("a", a), ("b", b)], to: folder.file("2.safetensors"))
        let index = folder.file("model.safetensors.index.json")
        try Data(#"{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#.utf8).write(
            to: URL(fileURLWithPath: index))
        try expectError(
            "tensor a is both in \(folder.file("1.safetensors")) and in", at: "model.safetensors.index.json")
        // What a shard has beyond its index is there.
        try SafetensorsFile.write([("c", a), ("b", b)], to: folder.file("2.safetensors"))
        #expect(try Checkpoint(contentsOf: folder.path).names == ["a", "b", "c"])
    }

    @Test func anIndexThatIsNoneIsRefused() throws {
        let name = "model.safetensors.index.json"
        for (text, says) in [
            ("", "not an index of shards"), ("[]", "not an index"),
            (#"{"weight_map":{"a":1}}"#, "not an index"),
            (#"{"weight_map":{}}"#, "names no tensor"),
            (#"{"weight_map":{"a":"../x.safetensors"}}"#, "which is not a file of its folder"),
            (#"{"weight_map":{"a":"/etc/passwd"}}"#, "which is not a file of its folder"),
            (#"{"weight_map":{"a":".."}}"#, "which is not a file of its folder"),
            (#"{"weight_map":{"a":"b.safetensors"}}"#, "names b.safetensors, which is not in its folder"),
        ] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: folder.file(name)))
            try expectError(says, at: name)
        }
        try Data(#"{"weight_map":{"a":"\#(name)"}}"#.utf8).write(to: URL(fileURLWithPath: folder.file(name)))
        try expectError("not a file of weights", at: name)
    }

    @Test func whatHoldsNoWeightsIsRefused() throws {
        try expectError(
            "holds no weights; looked for model.safetensors, model.safetensors.index.json, pytorch_model.bin")
        try expectError("no such file or folder", in: folder.file("nothing"))
        try Data("x".utf8).write(to: URL(fileURLWithPath: folder.file("x.gguf")))
        try expectError(
            "not a file of weights; .safetensors, .bin, .pt and .pth are known", in: folder.file("x.gguf"))
    }
}

struct ShardedSafetensorsWriterTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func shardsAreReadBack() throws {
        let path = folder.file("new/model")
        let writer = try ShardedSafetensorsWriter(folder: path, shardBytes: 400)
        var tensors: [(name: String, tensor: Tensor)] = []
        for (number, count) in [50, 49, 1, 1, 0, 300, 3].enumerated() {
            tensors.append(("layer.\(number)/\"é\"", try Tensor.arange(0, Double(count)) + Double(number)))
        }
        tensors.append(("half", try Tensor.ones([2, 3]).to(.bfloat16).transposed(0, 1)))
        for (name, tensor) in tensors {
            try writer.write(name, tensor)
            // Nothing waits in memory, and nothing can be taken for a model.
            let names = try FileManager.default.contentsOfDirectory(atPath: path)
            #expect(!names.isEmpty && names.allSatisfy { $0.hasSuffix(".tmp") })
        }
        try writer.finish()
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: path).sorted() == [
                "model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors",
                "model-00003-of-00004.safetensors", "model-00004-of-00004.safetensors",
                "model.safetensors.index.json",
            ])
        let checkpoint = try Checkpoint(contentsOf: path)
        #expect(checkpoint.names == tensors.map(\.name).sorted())
        for (name, tensor) in tensors {
            let read = try #require(try checkpoint.tensor(named: name))
            #expect(try difference(read, tensor, relative: 0, absolute: 0) == nil, "\(name)")
        }
        for file in checkpoint.files { #expect(try SafetensorsFile(file).metadata == ["format": "pt"]) }
    }

    @Test func aSmallModelIsOneFile() throws {
        let writer = try ShardedSafetensorsWriter(folder: folder.path)
        try writer.write("x", .arange(0, 3))
        let error = #expect(throws: CheckpointError.self) { try writer.write("x", .arange(0, 3)) }
        #expect(error?.reason == "tensor name x is already taken")
        #expect(throws: CheckpointError.self) { try writer.write("__metadata__", .arange(0, 3)) }
        try writer.finish()
        #expect(folder.contents == ["model.safetensors"])
        #expect(try Checkpoint(contentsOf: folder.path).tensor(named: "x")?.array(Float.self) == [0, 1, 2])
        let taken = #expect(throws: CheckpointError.self) {
            try ShardedSafetensorsWriter(folder: folder.path)
        }
        #expect(taken?.reason == "holds model.safetensors already")
    }

    /// A header that is full begins a new shard.
    @Test func manyTensorsTakeMoreShards() throws {
        let writer = try ShardedSafetensorsWriter(folder: folder.path)
        let one = try Tensor.ones([1])
        let names = (0..<1500).map { "model.layers.\($0).self_attn.some_projection_with_a_long_name.weight" }
        for name in names { try writer.write(name, one) }
        try writer.finish()
        let checkpoint = try Checkpoint(contentsOf: folder.path)
        #expect(checkpoint.files.count == 2 && checkpoint.names == names.sorted())
    }

    @Test func whatIsNotFinishedLeavesNothing() throws {
        do {
            let writer = try ShardedSafetensorsWriter(folder: folder.path, shardBytes: 8)
            for number in 0..<3 { try writer.write("\(number)", .ones([4])) }
            #expect(folder.contents.count == 3)
        }
        #expect(folder.contents.isEmpty)
        let writer = try ShardedSafetensorsWriter(folder: folder.path)
        #expect(throws: CheckpointError.self) { try writer.finish() }
        try Data().write(to: URL(fileURLWithPath: folder.file("file")))
        #expect(throws: CheckpointError.self) {
            try ShardedSafetensorsWriter(folder: folder.file("file/model"))
        }
    }
}
