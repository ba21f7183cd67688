import Foundation
import Media
import Testing

/// Pictures and outlines at and beyond their limits; references by Tools/reference/outside_fixtures.py.
@Suite struct HostilePictureTests {
    struct Outlines: Decodable {
        struct Case: Decodable {
            let polygon: [Double]
            let string: String
        }
        let width: Int
        let height: Int
        let cases: [Case]
    }
    struct Bitmap: Decodable {
        let name: String
        let file: Data
        let rgb: Data
    }

    @Test func polygonsThatReachFarOutAreFilledAsPycocotoolsDoes() throws {
        let outlines: Outlines = try Fixtures.cases("polygons")
        #expect(outlines.cases.count == 120)
        for entry in outlines.cases {
            let mask = try Mask(width: outlines.width, height: outlines.height, polygons: [entry.polygon])
            #expect(mask.cocoString == entry.string, "\(entry.polygon)")
        }
    }

    /// Traced step by step they would be 200 million points.
    @Test func manyCornersFarOutsideTakeNoTime() throws {
        let polygon = (0..<200).flatMap { (corner: Int) -> [Double] in
            [corner % 2 == 0 ? 100_000 : -100_000, Double(corner)]
        }
        let start = ContinuousClock.now
        _ = try Mask(width: 20, height: 10, polygons: [polygon])
        #expect(ContinuousClock.now - start < .seconds(2))
    }

    @Test func picturesOfExactlyTheLimitAreRead() throws {
        for (width, height) in [(65, 100), (9, 10), (100, 1), (1, 100), (999, 1)] {
            let bytes = try Image(
                width: width, height: height, pixels: [UInt8](repeating: 7, count: width * height * 3)
            ).pngData()
            let image = try Image(decoding: bytes, limit: PixelLimit(width * height))
            #expect(image.width == width && image.height == height)
            #expect(
                mediaError { _ = try Image(decoding: bytes, limit: PixelLimit(width * height - 1)) }?
                    .contains("more than the limit") == true)
        }
    }

    @Test func aPictureThatIsTooLongToBeDrawnOnIsDrawnSmaller() throws {
        let long = Image(width: 100_000, height: 1, pixels: [UInt8](repeating: 200, count: 300_000))
        let drawn = try long.annotated(with: [Annotation(box: Box(x: 10, y: 0, width: 50_000, height: 1))])
        #expect(drawn.width == 32_767 && drawn.height == 1)
    }

    @Test func theFourthByteOfABitmapIsAlphaOnlyWhereAMaskSaysSo() throws {
        let bitmaps: [Bitmap] = try Fixtures.cases("bmp32")
        #expect(bitmaps.count == 22)
        for bitmap in bitmaps {
            let image = try Image(decoding: [UInt8](bitmap.file), name: bitmap.name)
            #expect(image.distance(to: [UInt8](bitmap.rgb)) <= 1, "\(bitmap.name)")
        }
    }

    @Test func aBitmapWhoseSizeAndOffsetOverflowIsCutShort() throws {
        var bytes = try Fixtures.bytes("bmp-rgb.bmp")
        func put(_ value: UInt32, _ place: Int) {
            for byte in 0..<4 { bytes[place + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(byte))) }
        }
        put(.max, 10)
        put(1 << 30 + 1, 18)
        put(UInt32(Int32.max) - 1, 22)
        bytes[28] = 32
        #expect(
            mediaError { _ = try Image(decoding: bytes, name: "b.bmp") }
                == "cannot read b.bmp: the file is cut short")
    }

    @Test func aPointerOrAPageInAPicturesPlaceIsSaid() {
        let pointer = Array("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n".utf8)
        #expect(
            mediaError { _ = try Image(decoding: pointer, name: "a.png") }?
                .hasPrefix("cannot read a.png: it is a Git LFS pointer") == true)
        #expect(
            mediaError { _ = try Image(decoding: Array("<!DOCTYPE html>".utf8), name: "a.png") }?
                .contains("a web page") == true)
    }
}
