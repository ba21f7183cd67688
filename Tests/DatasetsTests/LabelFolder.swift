import Datasets
import Foundation
import Media

/// A folder of label files and small pictures, gone after its test.
struct LabelFolder {
    let path: String

    static func temporary<Result>(_ body: (LabelFolder) throws -> Result) throws -> Result {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(LabelFolder(path: path))
    }

    func write(_ bytes: [UInt8], _ name: String) throws {
        let url = URL(fileURLWithPath: "\(path)/\(name)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
    }

    func write(_ text: String, _ name: String) throws { try write(Array(text.utf8), name) }

    /// A picture of one colour, different for each `tone`.
    func picture(_ name: String, _ width: Int = 20, _ height: Int = 10, tone: UInt8 = 100) throws {
        try write(Self.picture(width, height, tone: tone), name)
    }

    static func picture(_ width: Int, _ height: Int, tone: UInt8) throws -> [UInt8] {
        try Image(
            width: width, height: height, pixels: [UInt8](repeating: tone, count: width * height * 3)
        ).pngData()
    }

    func read(
        _ format: DataSource.Format, _ name: String, images: String? = nil, split: String? = nil,
        labels: String? = nil, category: String? = nil, asWritten: Bool = false, rank: Int = 0, ranks: Int = 1
    ) throws -> LabelledSet {
        try LabelledSet.read(
            DataSource(
                format: format, path: name, images: images, split: split, labels: labels, category: category),
            relativeTo: path, rank: rank, ranks: ranks, asWritten: asWritten)
    }

    /// The error's line, without the folder.
    func error(_ format: DataSource.Format, _ name: String, split: String? = nil) -> String? {
        do {
            _ = try read(format, name, split: split)
            return nil
        } catch {
            return "\(error)".replacingOccurrences(of: "\(path)/", with: "")
        }
    }

    /// A PNG whose pixels are indices into a palette.
    static func palette(_ width: Int, _ height: Int, _ values: [UInt8]) -> [UInt8] {
        func big(_ value: UInt32) -> [UInt8] {
            (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
        }
        func chunk(_ kind: String, _ content: [UInt8]) -> [UInt8] {
            let body = Array(kind.utf8) + content
            var crc: UInt32 = 0xFFFF_FFFF
            for byte in body {
                crc ^= UInt32(byte)
                for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
            }
            return big(UInt32(content.count)) + body + big(~crc)
        }
        var raw: [UInt8] = []
        for y in 0..<height { raw += [0] + values[(y * width)..<((y + 1) * width)] }
        let (low, high) = (UInt8(raw.count & 255), UInt8(raw.count >> 8))
        var (a, b): (UInt32, UInt32) = (1, 0)
        for byte in raw {
            a = (a + UInt32(byte)) % 65521
            b = (b + a) % 65521
        }
        // One block of deflate, stored.
        let stream = [0x78, 0x01, 1, low, high, ~low, ~high] + raw + big(b << 16 | a)
        // Two indices of one colour are still two objects.
        let colours: [UInt8] = [0, 0, 0, 9, 9, 9, 9, 9, 9, 200, 0, 0]
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
            + chunk("IHDR", big(UInt32(width)) + big(UInt32(height)) + [8, 3, 0, 0, 0])
            + chunk("PLTE", colours)
            + chunk("IDAT", stream) + chunk("IEND", [])
    }
}
