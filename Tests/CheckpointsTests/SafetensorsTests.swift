import Checkpoints
import Foundation
import TestSupport
import Testing
import Torch

struct SafetensorsTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func read(_ name: String, _ path: String) throws -> Tensor {
        let tensor = try SafetensorsFile(path).tensor(named: name)
        return try #require(tensor)
    }

    @Test(arguments: DType.allCases)
    func everyDTypeComesBack(_ dtype: DType) throws {
        let tensor = try Tensor([0, 1, 1, 0, 1, 0] as [Float], [2, 3]).to(dtype)
        let path = folder.file("x.safetensors")
        try SafetensorsFile.write(
            [("x", tensor), ("scalar", tensor[1, 1]), ("empty", Tensor.zeros([0, 4], dtype: dtype))], to: path
        )
        let file = try SafetensorsFile(path)
        #expect(file.names == ["empty", "scalar", "x"])
        #expect(try difference(read("x", path), tensor) == nil)
        #expect(try read("scalar", path).shape == [])
        #expect(try read("empty", path).shape == [0, 4])
        #expect(try file.tensor(named: "y") == nil)
        #expect(file.entries["x"]?.dtype == dtype && file.entries["x"]?.shape == [2, 3])
    }

    @Test func viewsAndNamesAndMetadata() throws {
        let tensor = try Tensor.arange(0, 6).view([2, 3]).transposed(0, 1)
        let path = folder.file("x.safetensors")
        let name = "models/é \"quoted\" \\ 模型"
        try SafetensorsFile.write([(name, tensor)], metadata: ["format": "pt", "note": "a\nb"], to: path)
        let file = try SafetensorsFile(path)
        #expect(file.metadata == ["format": "pt", "note": "a\nb"] && file.label == path)
        #expect(try read(name, path).array(Float.self) == [0, 3, 1, 4, 2, 5])
    }

    @Test func tensorsOutliveTheFileObjectAndTheFile() throws {
        let path = folder.file("x.safetensors")
        try SafetensorsFile.write([("x", Tensor.arange(0, 1000))], to: path)
        let tensor = try read("x", path)
        try FileManager.default.removeItem(atPath: path)
        #expect(try tensor.sum().item() == 499_500)
    }

    @Test func writingToATensorLeavesTheFileAlone() throws {
        let path = folder.file("x.safetensors")
        try SafetensorsFile.write([("x", Tensor.zeros([4]))], to: path)
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        try read("x", path).fill(7)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
        #expect(try read("x", path).array(Float.self) == [0, 0, 0, 0])
    }

    /// Tools/reference/engine_fixtures.py wrote the one file with PyPI's safetensors, and reads the other with it.
    /// The other is written anew when RECORD_FIXTURES is set.
    @Test func agreesWithTheReferenceLibrary() throws {
        let theirs = try Fixture("reference")
        #expect(theirs.names.count == DType.allCases.count + 2)
        #expect(theirs.file.metadata == ["format": "pt"])
        for dtype in DType.allCases {
            let tensor = try theirs["inputs/\(dtype)"]
            #expect(tensor.dtype == dtype && tensor.shape == [2, 3])
            #expect(try tensor.array(Float.self) == [1, 0, 1, 1, 0, 0])
        }
        let ours = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/ours.safetensors")
        let records = ProcessInfo.processInfo.environment["RECORD_FIXTURES"] != nil
        let path = records ? ours.path : folder.file("ours.safetensors")
        let tensors = try theirs.names.map { (name: $0, tensor: try theirs[$0]) }
        try SafetensorsFile.write(tensors, metadata: ["format": "pt"], to: path)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(contentsOf: ours))
    }

    // MARK: Files that lie

    struct Lie: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let header: String
        var data = 16
        var length: UInt64? = nil
        let says: String
    }

    static func tensor(_ dtype: String = "F32", _ shape: String = "[4]", _ offsets: String = "[0,16]")
        -> String
    {
        #"{"x":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":\#(offsets)}}"#
    }

    static let lies: [Lie] = [
        Lie(
            testDescription: "lengthOverFile", header: tensor(), length: 5000,
            says: "header of 5000 bytes does not fit"),
        Lie(
            testDescription: "lengthOverLimit", header: tensor(), length: 100_000_001,
            says: "header of 100000001 bytes is over the limit of 100000000"),
        Lie(
            testDescription: "hugeLength", header: tensor(), length: .max, says: "over the limit of 100000000"
        ),
        Lie(testDescription: "noHeader", header: "", says: "not the JSON"),
        Lie(testDescription: "notJSON", header: "hello", says: "not the JSON"),
        Lie(testDescription: "anArray", header: "[1]", says: "not the JSON"),
        Lie(testDescription: "notUTF8", header: "{\"\u{0}\":1}", says: "not the JSON"),
        Lie(testDescription: "deep", header: String(repeating: "[", count: 100_000), says: "not the JSON"),
        Lie(
            testDescription: "offsetsOutside", header: tensor("F32", "[5]", "[0,20]"),
            says: "outside the data of 16 bytes"),
        Lie(
            testDescription: "offsetsNegative", header: tensor("F32", "[4]", "[-16,0]"),
            says: "outside the data"),
        Lie(
            testDescription: "offsetsBackwards", header: tensor("F32", "[4]", "[16,0]"),
            says: "outside the data"),
        Lie(testDescription: "oneOffset", header: tensor("F32", "[4]", "[0]"), says: "outside the data"),
        Lie(
            testDescription: "hugeOffset", header: tensor("F32", "[4]", "[0,9223372036854775807]"),
            says: "outside the data"),
        Lie(
            testDescription: "offsetOverInt", header: tensor("F32", "[4]", "[0,92233720368547758070]"),
            says: "header"),
        Lie(
            testDescription: "rest", header: tensor("F32", "[3]", "[0,12]"),
            says: "4 bytes follow the last tensor"),
        Lie(testDescription: "hole", header: tensor("F32", "[3]", "[4,16]"), says: "begins at byte"),
        Lie(testDescription: "negativeShape", header: tensor("F32", "[-4]"), says: "shape [-4]"),
        Lie(testDescription: "twoNegatives", header: tensor("F32", "[-2,-2]"), says: "shape [-2, -2]"),
        Lie(
            testDescription: "overflowingShape", header: tensor("F32", "[4294967296,4294967296,4]"),
            says: "shape [4294967296, 4294967296, 4]"),
        Lie(
            testDescription: "emptyButHuge", header: tensor("F32", "[0,4611686018427387904,4]", "[0,0]"),
            says: "shape [0, 4611686018427387904, 4]"),
        Lie(
            testDescription: "wrongByteCount", header: tensor("F32", "[3]"),
            says: "needs 12 bytes, its offsets hold 16"),
        Lie(
            testDescription: "wrongDType", header: tensor("F64"), says: "needs 32 bytes, its offsets hold 16"),
        Lie(testDescription: "unknownDType", header: tensor("F8_E4M3", "[16]"), says: "F8_E4M3"),
        Lie(testDescription: "fractionalShape", header: tensor("F32", "[4.5]"), says: "header"),
        Lie(testDescription: "stringShape", header: tensor("F32", "\"4\"", "\"0\""), says: "header"),
        Lie(testDescription: "missingField", header: #"{"x":{"dtype":"F32"}}"#, says: "header"),
        Lie(testDescription: "numericMetadata", header: #"{"__metadata__":{"a":1}}"#, says: "header"),
    ]

    @Test(arguments: lies)
    func isRefused(_ lie: Lie) throws {
        let path = folder.file("lie.safetensors")
        var bytes = withUnsafeBytes(of: (lie.length ?? UInt64(lie.header.utf8.count)).littleEndian) {
            Data($0)
        }
        bytes.append(Data(lie.header.utf8))
        bytes.append(Data(count: lie.data))
        try bytes.write(to: URL(fileURLWithPath: path))
        try expectError(path, says: lie.says)
    }

    @Test(arguments: 0..<9)
    func shortFilesAreRefused(_ count: Int) throws {
        let path = folder.file("short.safetensors")
        try Data(repeating: 1, count: count).write(to: URL(fileURLWithPath: path))
        try expectError(path, says: count < 8 ? "\(count) bytes, at least 8" : "limit")
    }

    @Test func whatIsNoFileIsRefused() throws {
        try expectError(folder.file("missing"), says: "no such file")
        try expectError(folder.path, says: "it is a folder")
        try expectError("/dev/null", says: "not a regular file")
        try expectError("", says: "the path is empty")
    }

    @Test func whatAKilledProcessLeftIsRemovedByTheNextWrite() throws {
        let path = folder.file("checkpoint.safetensors")
        // 2^22 is the most that Linux gives a process as its number.
        let (left, own, other) = ("\(path).4194305.tmp", "\(path).\(getpid()).tmp", "\(path).notes.tmp")
        for name in [left, own, other] { try Data([1]).write(to: URL(fileURLWithPath: name)) }
        try SafetensorsFile.write([(name: "a", tensor: try Tensor.zeros([1]))], to: path)
        #expect(
            Set(folder.contents) == ["checkpoint.safetensors", "checkpoint.safetensors.notes.tmp"])
    }

    /// Some writers do not pad the header: the data then lies at any address.
    @Test func dataThatIsNotAligned() throws {
        let path = folder.file("odd.safetensors")
        var header = Self.tensor("F64", "[2]")
        while header.utf8.count % 8 != 1 { header += " " }
        var bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
        bytes.append(Data(header.utf8))
        [1.5, -2.5].withUnsafeBytes { bytes.append(contentsOf: $0) }
        try bytes.write(to: URL(fileURLWithPath: path))
        let tensor = try read("x", path)
        #expect(try tensor.array(Double.self) == [1.5, -2.5])
        #expect(try (tensor * 2).array(Double.self) == [3, -5])
    }

    private func expectError(_ path: String, says part: String) throws {
        let error = try #require(throws: CheckpointError.self) { try SafetensorsFile(path) }
        #expect(error.path == path && error.description.hasPrefix("\(path): "))
        #expect(error.reason.contains(part), "\(error)")
        #expect(!error.description.contains("\n"))
    }

    // MARK: Writes that fail

    private func expectNothingWritten(_ path: String, _ tensors: [(name: String, tensor: Tensor)]) throws {
        let before = folder.contents
        let error = try #require(throws: CheckpointError.self) {
            try SafetensorsFile.write(tensors, to: path)
        }
        #expect(error.path == path && !error.description.contains("\n"))
        #expect(folder.contents == before)
    }

    @Test func aFailingWriteLeavesNoFile() throws {
        let x = try Tensor.zeros([4])
        try expectNothingWritten(folder.file("nowhere/x.safetensors"), [("x", x)])
        try expectNothingWritten(folder.path, [("x", x)])
        try expectNothingWritten(folder.file("x.safetensors"), [("x", x), ("x", x)])
        try expectNothingWritten(folder.file("x.safetensors"), [("__metadata__", x)])
    }

    @Test func anErrorWhileWritingKeepsTheOldFile() throws {
        struct Stop: Error {}
        let path = folder.file("x.safetensors")
        try SafetensorsFile.write([("x", Tensor.ones([4]))], to: path)
        #expect(throws: Stop.self) {
            try AtomicFile.write(to: path) { file in
                try [1, 2, 3].withUnsafeBytes { try file.write($0) }
                throw Stop()
            }
        }
        #expect(folder.contents == ["x.safetensors"])
        #expect(try read("x", path).array(Float.self) == [1, 1, 1, 1])
        try SafetensorsFile.write([("y", Tensor.ones([1]))], to: path)
        #expect(try SafetensorsFile(path).names == ["y"])
    }
}
