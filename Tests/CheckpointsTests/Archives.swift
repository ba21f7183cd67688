import Foundation

/// A file under `Fixtures`.
func fixture(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/\(name)")
        .path
}

/// Writes zip archives, sound ones and others.
struct ZipWriter {
    struct Entry {
        let name: String
        let bytes: [UInt8]
        var method: UInt16 = 0
        var flags: UInt16 = 0
    }

    var entries: [Entry] = []
    /// Sizes and offsets stand in 64-bit fields, the others hold their largest value.
    var isZip64 = false
    var comment = ""
    /// Where data begins: a multiple of this, plus `shift`.
    var alignment = 64
    var shift = 0

    /// An archive as torch.save writes it.
    init(pickle: [UInt8], storages: [[UInt8]] = [], folder: String = "archive", byteOrder: String? = "little")
    {
        entries = [Entry(name: "\(folder)/data.pkl", bytes: pickle)]
        if let byteOrder { entries.append(Entry(name: "\(folder)/byteorder", bytes: Array(byteOrder.utf8))) }
        for (number, bytes) in storages.enumerated() {
            entries.append(Entry(name: "\(folder)/data/\(number)", bytes: bytes))
        }
    }

    var data: [UInt8] {
        var out: [UInt8] = []
        var directory: [UInt8] = []
        func put(_ value: Int, _ size: Int, _ bytes: inout [UInt8]) {
            for place in 0..<size { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * place))) }
        }
        for entry in entries {
            let header = out.count
            let name = Array(entry.name.utf8)
            var padding = (alignment - (header + 30 + name.count + 4) % alignment) % alignment + shift
            padding += 4
            put(0x0403_4b50, 4, &out)
            put(20, 2, &out)
            put(Int(entry.flags), 2, &out)
            put(Int(entry.method), 2, &out)
            put(0, 8, &out)  // time, date, checksum
            put(entry.bytes.count, 4, &out)
            put(entry.bytes.count, 4, &out)
            put(name.count, 2, &out)
            put(padding, 2, &out)
            out += name
            put(0x4246, 2, &out)
            put(padding - 4, 2, &out)
            out += repeatElement(0x5a, count: padding - 4)
            out += entry.bytes

            put(0x0201_4b50, 4, &directory)
            put(20, 2, &directory)
            put(20, 2, &directory)
            put(Int(entry.flags), 2, &directory)
            put(Int(entry.method), 2, &directory)
            put(0, 8, &directory)
            put(isZip64 ? 0xffff_ffff : entry.bytes.count, 4, &directory)
            put(isZip64 ? 0xffff_ffff : entry.bytes.count, 4, &directory)
            put(name.count, 2, &directory)
            put(isZip64 ? 28 : 0, 2, &directory)
            put(0, 10, &directory)  // comment, disk, attributes
            put(isZip64 ? 0xffff_ffff : header, 4, &directory)
            directory += name
            if isZip64 {
                put(1, 2, &directory)
                put(24, 2, &directory)
                for value in [entry.bytes.count, entry.bytes.count, header] { put(value, 8, &directory) }
            }
        }
        let start = out.count
        out += directory
        if isZip64 {
            let record = out.count
            put(0x0606_4b50, 4, &out)
            put(44, 8, &out)
            put(45, 2, &out)
            put(45, 2, &out)
            put(0, 8, &out)
            put(entries.count, 8, &out)
            put(entries.count, 8, &out)
            put(directory.count, 8, &out)
            put(start, 8, &out)
            put(0x0706_4b50, 4, &out)
            put(0, 4, &out)
            put(record, 8, &out)
            put(1, 4, &out)
        }
        put(0x0605_4b50, 4, &out)
        put(0, 4, &out)
        put(isZip64 ? 0xffff : entries.count, 2, &out)
        put(isZip64 ? 0xffff : entries.count, 2, &out)
        put(isZip64 ? 0xffff_ffff : directory.count, 4, &out)
        put(isZip64 ? 0xffff_ffff : start, 4, &out)
        put(comment.utf8.count, 2, &out)
        return out + Array(comment.utf8)
    }
}

/// Pieces of pickles, protocol 2.
enum PickleText {
    static func file(_ body: [UInt8]...) -> [UInt8] { [0x80, 2] + body.joined() + [0x2e] }
    static func text(_ value: String) -> [UInt8] { [0x58] + little(value.utf8.count, 4) + Array(value.utf8) }
    static func global(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }
    /// A whole number, as LONG1 of eight bytes.
    static func number(_ value: Int) -> [UInt8] { [0x8a, 8] + little(value, 8) }
    static func tuple(_ values: [UInt8]...) -> [UInt8] { [0x28] + values.joined() + [0x74] }
    static func numbers(_ values: [Int]) -> [UInt8] { [0x28] + values.flatMap(number) + [0x74] }
    /// {key: value}
    static func dictionary(_ key: [UInt8], _ value: [UInt8]) -> [UInt8] { [0x7d] + key + value + [0x73] }
    static func call(_ function: [UInt8], _ arguments: [UInt8]) -> [UInt8] { function + arguments + [0x52] }

    static func tensor(
        _ shape: [Int], _ strides: [Int], offset: Int = 0, key: String = "0", storage: String = "FloatStorage"
    ) -> [UInt8] {
        let reference =
            tuple(text("storage"), global("torch", storage), text(key), text("cpu"), number(1)) + [0x51]
        return call(
            global("torch._utils", "_rebuild_tensor_v2"),
            tuple(reference, number(offset), numbers(shape), numbers(strides), [0x89], [0x7d]))
    }

    private static func little(_ value: Int, _ size: Int) -> [UInt8] {
        (0..<size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}
