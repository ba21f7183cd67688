import Datasets
import Foundation
import Media
import TestSupport

/// A folder with a good picture, `scene.png` of 160 x 120 pixels, and bad ones.
struct Pictures {
    let folder: TemporaryFolder
    var good: String { folder.file("scene.png") }

    init() throws {
        folder = try TemporaryFolder()
        let scene = MosaicScene(seed: 900_610, index: 2, configuration: try MosaicConfiguration(size: 160))
        let image = try scene.image.cropped(to: Box(x: 0, y: 10, width: 160, height: 120))
        try image.writePNG(to: good)
        try write(Array("this is text".utf8), "text.png")
        try write([], "empty.png")
        let jpeg = try image.jpegData()
        try write(Array(jpeg.prefix(jpeg.count / 2)), "cut.jpg")
        try write(Self.hugePNG, "huge.png")
    }

    func write(_ bytes: [UInt8], _ name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: folder.file(name)))
    }

    /// A PNG whose header states 30,000 x 30,000 pixels, of which it holds next to none.
    static var hugePNG: [UInt8] {
        func big(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
        func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
            let body = Array(type.utf8) + data
            return big(UInt32(data.count)) + body + big(crc(body))
        }
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
            + chunk("IHDR", big(30_000) + big(30_000) + [8, 2, 0, 0, 0])
            + chunk("IDAT", [0x78, 0x9C, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01]) + chunk("IEND", [])
    }

    private static func crc(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(UInt32.max) { sum, byte in
            (0..<8).reduce(sum ^ UInt32(byte)) { value, _ in
                value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1
            }
        }
    }
}
