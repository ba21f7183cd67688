import Foundation
import Media
import Testing

@Suite struct DecodingTests {
    struct Picture: Decodable {
        let file: String
        let width: Int
        let height: Int
        let rgb: Data
    }

    @Test func agreesWithPillow() throws {
        let pictures: [Picture] = try Fixtures.cases("pictures")
        #expect(pictures.count > 40)
        for picture in pictures {
            let image = try Image(contentsOf: Fixtures.path(picture.file))
            #expect(image.width == picture.width && image.height == picture.height, "\(picture.file)")
            let distance = image.distance(to: [UInt8](picture.rgb))
            #expect(distance <= 2, "\(picture.file) differs by \(distance)")
        }
    }

    @Test func refusesHugePicturesFromTheHeader() {
        let path = Fixtures.path("huge.png")
        #expect(
            mediaError { _ = try Image(contentsOf: path) }
                == "cannot read \(path): 30000 x 30000 pixels are more than the limit of 100 megapixels")
        #expect(
            mediaError { _ = try Image(contentsOf: Fixtures.path("gif.gif"), limit: PixelLimit(600)) }?
                .hasSuffix("29 x 23 pixels are more than the limit of 600 pixels") == true)
    }

    @Test func namesWhatCannotBeRead() throws {
        #expect(
            mediaError { _ = try Image(contentsOf: "/no/such.png") }
                == "cannot read /no/such.png: no such file or directory")
        let folder = Fixtures.folderPath
        #expect(mediaError { _ = try Image(contentsOf: folder) } == "cannot read \(folder): it is a folder")
        #expect(mediaError { _ = try Image(contentsOf: "") }?.contains("path is empty") == true)
        let text = Fixtures.path("text.png")
        #expect(
            mediaError { _ = try Image(contentsOf: text) }
                == "cannot read \(text): not a PNG, JPEG, WebP, BMP or GIF picture")
        try Fixtures.withFolder { folder in
            let empty = folder.appendingPathComponent("empty\n.jpg").path
            try Data().write(to: URL(fileURLWithPath: empty))
            let message = try #require(mediaError { _ = try Image(contentsOf: empty) })
            #expect(message.hasSuffix("the file is empty") && !message.contains("\n"))
        }
        #expect(mediaError { _ = try Image(decoding: [], name: "upload") }?.contains("upload") == true)
    }

    @Test(arguments: [
        "jpeg-420.jpg", "jpeg-progressive.jpg", "jpeg-restart.jpg", "png-rgb.png", "png-palette.png",
        "webp-lossy.webp", "webp-lossless.webp", "bmp-rgb.bmp", "gif.gif",
    ])
    func refusesWhatIsCutShort(file: String) throws {
        let whole = try Fixtures.bytes(file)
        // A GIF and a BMP may carry nothing that is needed in their last bytes.
        for length in stride(from: 1, to: whole.count - 4, by: max(1, whole.count / 150)) {
            let message = mediaError { _ = try Image(decoding: Array(whole[..<length]), name: file) }
            #expect(message?.contains(file) == true, "\(length) of \(whole.count) bytes of \(file)")
        }
    }

    /// Whatever the bytes are, there is a picture or an error, and never a crash.
    @Test func survivesDamage() throws {
        var random = SplitMix(state: 1)
        let files = try FileManager.default.contentsOfDirectory(atPath: Fixtures.folder.path).sorted()
        for file in files where !file.hasSuffix(".json") && !file.hasSuffix(".mp4") {
            let whole = try Fixtures.bytes(file)
            for _ in 0..<60 {
                var bytes = whole
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(
                        in: 0...255, using: &random)
                }
                do {
                    let image = try Image(decoding: bytes, limit: PixelLimit(4_000_000))
                    #expect(image.pixels.count == image.width * image.height * 3)
                } catch {
                    #expect(!error.description.contains("\n"))
                }
            }
        }
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
