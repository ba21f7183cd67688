import Checkpoints
import NN
import TestSupport
import Testing
import Torch

struct KeyMapTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    static let map = KeyMap(
        [
            "vision.layers.{}.attn.qkv.*": "layers.{}.self_attn.*", "vision.layers.{}.*": "layers.{}.*",
            "neck.0.weight": "neck.conv.weight", "{}.blocks.{}.w": "stage.{}.block.{}.weight",
        ], ignored: ["*.position_ids", "text.*"])

    @Test(arguments: [
        ("vision.layers.11.attn.qkv.weight", "layers.11.self_attn.weight"),
        ("vision.layers.0.mlp.0.bias", "layers.0.mlp.0.bias"),
        ("neck.0.weight", "neck.conv.weight"), ("3.blocks.04.w", "stage.3.block.04.weight"),
        ("vision.layers.1.", "layers.1."),
    ])
    func namesAreMapped(_ foreign: String, _ own: String) {
        #expect(Self.map(foreign) == .renamed(own))
        #expect(Self.map.foreign(own) == foreign)
    }

    @Test func theRestIsIgnoredOrUnknown() {
        #expect(Self.map("text.layers.0.weight") == .ignored)
        #expect(Self.map("vision.layers.0.position_ids") == .ignored)
        for name in [
            "", "vision.layers.x.weight", "vision.layers..weight", "neck.0.weights", "aneck.0.weight",
            "neck_0_weight",
        ] {
            #expect(Self.map(name) == .unknown, "\(name)")
        }
        #expect((Self.map + KeyMap(["a": "b"], ignored: ["c"]))("a") == .renamed("b"))
        #expect((Self.map + KeyMap(["a": "b"], ignored: ["c"]))("c") == .ignored)
    }

    private func file(_ names: [String], value: Double = 0) throws -> SafetensorsFile {
        let path = folder.file("\(names.joined(separator: "-").prefix(40)).safetensors")
        try SafetensorsFile.write(names.map { ($0, try Tensor.full([2], value)) }, to: path)
        return try SafetensorsFile(path)
    }

    @Test func aRenamedSourceSpeaksOfForeignNames() throws {
        let source = try file([
            "neck.0.weight", "vision.layers.0.w", "vision.layers.0.position_ids", "stranger",
        ])
        let renamed = try RenamedSource(source, Self.map)
        #expect(renamed.names == ["layers.0.w", "neck.conv.weight", "stranger"])
        #expect(renamed.entries["layers.0.w"] == TensorEntry(.float32, [2]))
        #expect(try renamed.tensor(named: "layers.0.w")?.shape == [2])
        #expect(try renamed.tensor(named: "vision.layers.0.w") == nil)

        let store = ParameterStore(.loaded(renamed))
        _ = try store.root.parameter("neck.conv.weight", [2], .zeros)
        _ = try store.root.parameter("layers.0.w", [3], .zeros)
        _ = try store.root.parameter("layers.1.w", [2], .zeros)
        let error = try #require(throws: ParameterError.self) { try store.finish() }
        #expect(error.label == source.path)
        #expect(error.missing == ["vision.layers.1.w"])
        #expect(error.misshaped == ["vision.layers.0.w is [2], expected [3]"])
        #expect(error.unexpected == ["stranger"])
    }

    @Test func twoTensorsCannotBecomeOne() throws {
        let source = try file(["neck.0.weight", "neck.conv.weight"])
        let error = try #require(throws: CheckpointError.self) { try RenamedSource(source, Self.map) }
        #expect(error.reason == "tensors neck.0.weight and neck.conv.weight would both be neck.conv.weight")
    }

    @Test func laterSourcesOverride() throws {
        let first = try RenamedSource(file(["vision.layers.0.w", "a"]), Self.map)
        let joined = JoinedSource([first, try file(["a", "b"], value: 1)])
        #expect(joined.names == ["a", "b", "layers.0.w"])
        #expect(try joined.tensor(named: "a")?.sum().item() == 2)
        #expect(try joined.tensor(named: "layers.0.w")?.sum().item() == 0)
        #expect(try joined.tensor(named: "c") == nil)
        #expect(joined.originalName(of: "layers.0.w") == "vision.layers.0.w")
        #expect(joined.originalName(of: "layers.7.w") == "vision.layers.7.w")
        #expect(joined.label.contains(" + "))
    }
}
