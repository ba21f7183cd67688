import Checkpoints
import Foundation
import NN
import TestSupport
import Testing
import Torch

/// Against what torch read from the archives of Tools/reference/checkpoint_fixtures.py.
struct TorchArchiveTests {
    let folder: TemporaryFolder
    let expected: SafetensorsFile

    init() throws {
        folder = try TemporaryFolder()
        expected = try SafetensorsFile(fixture("torch/expected.safetensors"))
    }

    @Test(arguments: [
        ("state.pt", "state.pt"), ("protocol2.pt", "mixed"), ("protocol3.pt", "mixed"),
        ("protocol4.pt", "mixed"),
        ("protocol5.pt", "mixed"), ("training.pth", "training.pth"), ("pair.pth", "pair.pth"),
    ])
    func everyTensorComesBack(_ file: String, _ group: String) throws {
        let archive = try TorchArchive(fixture("torch/\(file)"))
        let names = expected.names.filter { $0.hasPrefix("\(group)/") }.map {
            String($0.dropFirst(group.count + 1))
        }
        #expect(archive.names == names.sorted() && !names.isEmpty)
        for name in names {
            let tensor = try #require(try archive.tensor(named: name))
            let original = try #require(try expected.tensor(named: "\(group)/\(name)"))
            #expect(try difference(tensor, original, relative: 0, absolute: 0) == nil, "\(name)")
            #expect(archive.entries[name] == TensorEntry(original.dtype, original.shape))
        }
        #expect(archive.wrapper == (file == "training.pth" ? "model" : nil))
        #expect(try archive.tensor(named: "nothing") == nil)
    }

    @Test func viewsOfAStorageStayViews() throws {
        let archive = try TorchArchive(fixture("torch/protocol2.pt"))
        let columns = try #require(try archive.tensor(named: "columns"))
        #expect(columns.strides == [6, 2])
        let transposed = try #require(try archive.tensor(named: "transposed"))
        #expect(transposed.strides == [1, 6])
        #expect(try archive.tensor(named: "repeated")?.strides == [0, 1])
        #expect(try archive.tensor(named: "channels_last")?.strides == [12, 1, 6, 3])
        // They share their memory, which is the mapped file's.
        try #require(try archive.tensor(named: "plain")).fill(7)
        #expect(try transposed.array(Float.self) == Array(repeating: 7, count: 24))
        #expect(try columns.sum().item() == 84)
        #expect(try archive.tensor(named: "plain")?.sum().item() == 168)
    }

    @Test func tensorsOutliveTheArchiveAndTheFile() throws {
        let path = folder.file("x.pt")
        try FileManager.default.copyItem(atPath: fixture("torch/state.pt"), toPath: path)
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        let tensor = try #require(try TorchArchive(path).tensor(named: "0.weight"))
        try tensor.fill(2)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
        try FileManager.default.removeItem(atPath: path)
        #expect(try tensor.sum().item() == 24)
    }

    static let floats: [UInt8] = [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40, 0, 0, 0x80, 0x40]

    private func write(_ archive: ZipWriter) throws -> String {
        let path = folder.file("x.pt")
        try Data(archive.data).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func archive(_ tensor: [UInt8]) -> ZipWriter {
        ZipWriter(
            pickle: PickleText.file(PickleText.dictionary(PickleText.text("x"), tensor)),
            storages: [Self.floats])
    }

    @Test(arguments: [false, true], ["archive", "model.v2", "a/b"])
    func formsOfArchives(_ isZip64: Bool, _ root: String) throws {
        var zip = ZipWriter(
            pickle: PickleText.file(
                PickleText.dictionary(PickleText.text("x"), PickleText.tensor([2, 2], [2, 1]))),
            storages: [Self.floats], folder: root, byteOrder: isZip64 ? nil : "little")
        zip.isZip64 = isZip64
        for comment in ["", "a comment with PK\u{5}\u{6} in it"] {
            zip.comment = comment
            let tensor = try #require(try TorchArchive(write(zip)).tensor(named: "x"))
            #expect(tensor.shape == [2, 2])
            #expect(try tensor.array(Float.self) == [1, 2, 3, 4])
        }
    }

    @Test(arguments: [0, 1, 2])
    func dataThatIsNotAlignedIsCopied(_ shift: Int) throws {
        var zip = archive(PickleText.tensor([2], [2], offset: 1))
        zip.shift = shift
        let file = try TorchArchive(write(zip))
        let tensor = try #require(try file.tensor(named: "x"))
        #expect(try tensor.array(Float.self) == [2, 4])
        try tensor.fill(9)
        #expect(try file.tensor(named: "x")?.array(Float.self) == (shift == 0 ? [9, 9] : [2, 4]))
    }

    /// No element is ever reached.
    @Test func stridesOfAnEmptyTensorMayBeAnything() throws {
        let path = try write(archive(PickleText.tensor([0, 2], [1, .max])))
        #expect(try TorchArchive(path).tensor(named: "x")?.shape == [0, 2])
    }

    // MARK: What torch can save and is refused

    @Test(arguments: [
        (
            "calls.pt",
            #"calls.pt: calls/data.pkl names "posix.system"; only tensors are read, nothing is called"#
        ),
        ("module.pt", #"names "torch.nn.modules.linear.Linear""#),
        ("script.pt", #"names "__torch__.torch.nn.modules.linear.Linear""#),
        ("sparse.pt", #"names "torch._utils._rebuild_sparse_tensor""#),
        ("meta.pt", #"names "torch._utils._rebuild_meta_tensor_no_storage""#),
        ("float8.pt", "tensor x has dtype torch.float8_e4m3fn, which is not supported"),
        ("complex.pt", "tensor x has dtype torch.ComplexFloatStorage, which is not supported"),
        ("conjugate.pt", "calls torch._utils._rebuild_tensor_v2 with 7 arguments that do not fit"),
        ("tensor.pt", "holds a tensor without a name"),
        ("before1.6.pt", "has the form before torch 1.6; load it with torch and save it again"),
    ])
    func whatIsMoreThanTensorsIsRefused(_ file: String, _ says: String) throws {
        try expectError(fixture("torch/\(file)"), says: says)
        #expect(!FileManager.default.fileExists(atPath: "called"))
    }

    // MARK: Pickles that lie

    struct Lie: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let pickle: [UInt8]
        let says: String

        init(_ name: String, _ pickle: [UInt8], _ says: String) {
            (testDescription, self.pickle, self.says) = (name, pickle, says)
        }
    }

    static func tensor(_ shape: [Int], _ strides: [Int], offset: Int = 0, key: String = "0") -> [UInt8] {
        PickleText.file(
            PickleText.dictionary(
                PickleText.text("x"), PickleText.tensor(shape, strides, offset: offset, key: key)))
    }

    static let nested = Array(repeating: UInt8(0x5d), count: 40_000) + Array(repeating: 0x61, count: 39_999)
    /// A list whose members are twice the list before it, forty times over: a million million leaves.
    static let doubling: [UInt8] =
        PickleText.tensor([1], [1])
        + (0..<40).flatMap { _ in [0x71, 0, 0x30, 0x5d, 0x28, 0x68, 0, 0x68, 0, 0x65] as [UInt8] }

    static let lies: [Lie] = [
        Lie("empty", [], "is not a pickle"),
        Lie("protocol0", Array("(lp0\n.".utf8), "is not a pickle of protocol 2 or later"),
        Lie("protocol6", [0x80, 6, 0x7d, 0x2e], "has protocol 6, 2 to 5 are known"),
        Lie("noStop", [0x80, 2, 0x7d], "is cut short"),
        Lie("cutText", [0x80, 2, 0x58, 0xff, 0xff, 0xff, 0xff], "is cut short"),
        Lie("hugeText", [0x80, 4, 0x8d] + Array(repeating: 0xff, count: 8), "is cut short"),
        Lie("cutName", [0x80, 2] + Array("cos".utf8), "is cut short"),
        Lie("emptyStack", [0x80, 2, 0x2e], "takes from an empty stack"),
        Lie("noMark", [0x80, 2, 0x74, 0x2e], "looks for a mark that is not there"),
        Lie("underMark", [0x80, 2, 0x7d, 0x28, 0x30, 0x2e], "takes from an empty stack"),
        Lie("noMemo", [0x80, 2, 0x68, 9, 0x2e], "recalls 9, which it never stored"),
        Lie("unknownCode", [0x80, 2, 0x49, 0x31, 0x0a, 0x2e], "has opcode 0x49 at byte 2"),
        Lie("oddPairs", [0x80, 2, 0x7d, 0x28, 0x4e, 0x75, 0x2e], "has a key without a value"),
        Lie("itemOfNone", [0x80, 2, 0x4e, 0x4e, 0x4e, 0x73, 0x2e], "sets a key of what is not a dictionary"),
        Lie("appendToNone", [0x80, 2, 0x4e, 0x4e, 0x61, 0x2e], "appends to what is not a list"),
        Lie("stateOfList", [0x80, 2, 0x5d, 0x7d, 0x62, 0x2e], "sets attributes of what is not a dictionary"),
        Lie("outside", [0x80, 2, 0x4e, 0x51, 0x2e], "refers to something outside that is not a storage"),
        Lie(
            "system",
            PickleText.file(
                PickleText.call(PickleText.global("os", "system"), PickleText.tuple(PickleText.text("true")))),
            #"names "os.system""#),
        Lie(
            "eval",
            [0x80, 4, 0x8c, 8] + Array("builtins".utf8) + [0x8c, 4] + Array("eval".utf8) + [0x93, 0x2e],
            #"names "builtins.eval""#),
        Lie(
            "innerName", PickleText.file(PickleText.global("torch", "_utils._rebuild_tensor_v2.__globals__")),
            "names"),
        Lie(
            "quietGlobal", PickleText.file(PickleText.global("shutil", "rmtree"), [0x30, 0x7d]),
            #"names "shutil.rmtree""#),
        Lie(
            "lineFeed", PickleText.file([0x8c, 3], Array("a\nb".utf8), [0x8c, 1, 0x63, 0x93]),
            #"names "a\nb.c""#),
        Lie("nameOfNumbers", [0x80, 4, 0x4b, 1, 0x4b, 2, 0x93, 0x2e], "by what is not text"),
        Lie(
            "callOfStorage",
            PickleText.file(PickleText.call(PickleText.global("torch", "FloatStorage"), [0x29])),
            #"names "torch.FloatStorage""#),
        Lie("callOfNone", [0x80, 2, 0x4e, 0x29, 0x52, 0x2e], "calls something that is not a name"),
        Lie(
            "fewArguments",
            PickleText.file(PickleText.call(PickleText.global("torch._utils", "_rebuild_tensor_v2"), [0x29])),
            "with 0 arguments that do not fit"),
        Lie(
            "newObject", PickleText.file(PickleText.global("collections", "OrderedDict"), [0x29, 0x81]),
            "makes an object of a class"),
        Lie("instance", PickleText.file([0x28], Array("ios\nsystem\n".utf8)), #"names "os.system""#),
        Lie(
            "outsideStorage", tensor([5], [1]),
            "tensor x of shape [5] reaches element 4 of its storage, which has 4"),
        Lie("offsetOutside", tensor([1], [1], offset: 4), "reaches element 4"),
        Lie("strideOutside", tensor([2], [4]), "reaches element 4"),
        Lie("negativeStride", tensor([2], [-1], offset: 1), "impossible shape [2] and strides [-1]"),
        Lie("negativeOffset", tensor([1], [1], offset: -1), "impossible"),
        Lie("negativeShape", tensor([-1], [1]), "impossible shape [-1]"),
        Lie("fewStrides", tensor([2, 2], [1]), "impossible"),
        Lie("hugeShape", tensor([1 << 40, 1 << 40], [0, 0]), "impossible"),
        Lie("hugeView", tensor([1 << 41], [0]), "impossible"),
        Lie("hugeStride", tensor([3], [.max]), "impossible"),
        Lie("hugeOffset", tensor([2], [1], offset: .max), "impossible"),
        Lie("emptyButHuge", tensor([0, 1 << 62, 4], [1, 1, 1]), "impossible"),
        Lie("noStorage", tensor([1], [1], key: "1"), "tensor x lies in data/1, which is not there"),
        Lie("otherEntry", tensor([1], [1], key: "../data.pkl"), "is not there"),
        Lie(
            "floatKey", PickleText.file(PickleText.dictionary([0x4e], PickleText.tensor([1], [1]))),
            "neither text nor a whole number"),
        Lie(
            "twice",
            PickleText.file(
                [0x7d, 0x28], PickleText.text("1"), PickleText.tensor([1], [1]), PickleText.number(1),
                PickleText.tensor([1], [1]), [0x75]), "holds two tensors of the name 1"),
        Lie("itself", PickleText.file([0x5d, 0x71, 0, 0x68, 0, 0x61]), "is nested deeper than 32"),
        Lie("deep", PickleText.file(nested), "is nested deeper than 32"),
        Lie("doubling", PickleText.file(doubling), "is nested deeper than 32"),
        Lie(
            "longName",
            PickleText.file(
                PickleText.dictionary(
                    PickleText.text(String(repeating: "x", count: 5000)), PickleText.tensor([1], [1]))),
            "names longer than 4096 bytes"),
        Lie("long", [0x80, 2] + Array(repeating: 0x4e, count: 16 << 20) + [0x2e], "the limit is 16777216"),
        Lie(
            "manyObjects", [0x80, 2] + Array(repeating: 0x29, count: 2_000_001) + [0x2e],
            "more than 2000000 objects"),
    ]

    @Test(arguments: lies)
    func picklesThatLieAreRefused(_ lie: Lie) throws {
        try expectError(write(ZipWriter(pickle: lie.pickle, storages: [Self.floats])), says: lie.says)
    }

    /// Twenty levels of two members each: more leaves than are visited, within the limit of depth.
    @Test func aPickleOfManyLeavesIsRefused() throws {
        let pickle = PickleText.file(Array(Self.doubling.prefix(Self.doubling.count - 200)))
        try expectError(
            write(ZipWriter(pickle: pickle, storages: [Self.floats])), says: "more than 1000000 values")
    }

    // MARK: Archives that lie

    @Test func archivesThatLieAreRefused() throws {
        let good = archive(PickleText.tensor([4], [1]))
        var zip = good
        zip.entries[0].method = 8
        try expectError(write(zip), says: "entry archive/data.pkl is compressed, which torch.save never does")
        zip = good
        zip.entries[0].flags = 1
        try expectError(write(zip), says: "entry archive/data.pkl is encrypted")
        zip = good
        zip.entries.append(zip.entries[0])
        try expectError(write(zip), says: "entry archive/data.pkl is there twice")
        zip.entries[3] = .init(name: "other/data.pkl", bytes: [])
        try expectError(write(zip), says: "holds 2 files data.pkl")
        zip = good
        zip.entries.removeFirst()
        try expectError(write(zip), says: "holds 0 files data.pkl")
        let big = ZipWriter(pickle: good.entries[0].bytes, storages: [Self.floats], byteOrder: "big")
        try expectError(write(big), says: "big-endian")
        let path = folder.file("x.pt")
        for (bytes, says) in [
            ([], "not a zip archive: 0 bytes"), (Array(repeating: 1, count: 500), "not a zip archive"),
            (Array("\u{50}\u{4b}\u{3}\u{4}".utf8) + Array(repeating: 0, count: 99), "is cut short"),
        ] as [([UInt8], String)] {
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            try expectError(path, says: says)
        }
        try expectError(folder.file("missing.pt"), says: "no such file")
    }

    @Test(arguments: [false, true])
    func anArchiveThatIsCutShortIsRefused(_ isZip64: Bool) throws {
        var zip = archive(PickleText.tensor([4], [1]))
        zip.isZip64 = isZip64
        let bytes = zip.data
        let path = folder.file("x.pt")
        for count in 0..<bytes.count {
            try Data(bytes[..<count]).write(to: URL(fileURLWithPath: path))
            #expect(throws: CheckpointError.self, "\(count) bytes") { try TorchArchive(path) }
        }
    }

    /// Containers that hold one another twice give a tensor a name for every way to it.
    @Test func namesThatTakeTooMuchMemoryAreRefused() throws {
        // x0 is a dictionary with a tensor; each of the others holds the one before under two long names.
        let (one, two) = (String(repeating: "a", count: 200), String(repeating: "b", count: 200))
        var pickle: [UInt8] = [0x7D] + PickleText.text("t") + PickleText.tensor([1], [1]) + [0x73, 0x71, 0]
        for level in UInt8(0)..<18 {
            let inner: [UInt8] = [0x68, level]
            pickle +=
                [0x7D] + PickleText.text(one) + inner + [0x73] + PickleText.text(two) + inner + [
                    0x73, 0x71, level + 1,
                ]
        }
        try expectError(
            write(ZipWriter(pickle: PickleText.file(pickle), storages: [Self.floats])),
            says: "whose names take more than 67108864 bytes")
    }

    private func expectError(_ path: String, says part: String) throws {
        let error = try #require(throws: CheckpointError.self) { try TorchArchive(path) }
        #expect(error.description.hasPrefix("\(path): ") && !error.description.contains("\n"))
        #expect(error.description.contains(part), "\(error)")
    }
}
