import Foundation
import Media
import Testing

@Suite struct EncodingTests {
    @Test func pngKeepsEveryPixel() throws {
        let image = try Image(contentsOf: Fixtures.path("png-rgb.png"))
        #expect(try Image(decoding: image.pngData()) == image)
        let one = Image(width: 1, height: 1, pixels: [1, 2, 3])
        #expect(try Image(decoding: one.pngData()) == one)
    }

    @Test func jpegComesBackAlike() throws {
        let image = try Image(contentsOf: Fixtures.path("jpeg-444.jpg"))
        func error(_ quality: Int) throws -> Double {
            let back = try Image(decoding: image.jpegData(quality: quality))
            let sum = zip(back.pixels, image.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
            return Double(sum) / Double(image.pixels.count)
        }
        #expect(try error(100) < 1)
        #expect(try error(90) < 3)
        #expect(try error(10) > error(90))
        #expect(try image.jpegData(quality: 30).count < image.jpegData(quality: 95).count)
        #expect(mediaError { _ = try image.jpegData(quality: 0) } == "JPEG quality 0 is outside 1 to 100")
        let wide = Image(width: 65_501, height: 1, pixels: [UInt8](repeating: 0, count: 65_501 * 3))
        #expect(mediaError { _ = try wide.jpegData() } != nil)
    }

    @Test func writesWholeFilesOnly() throws {
        let image = Image(width: 4, height: 3, pixels: [UInt8](repeating: 90, count: 36))
        try Fixtures.withFolder { folder in
            let png = folder.appendingPathComponent("a.png").path
            try image.writePNG(to: png)
            try image.writePNG(to: png)
            #expect(try Image(contentsOf: png) == image)
            try image.writeJPEG(to: folder.appendingPathComponent("b.jpg").path, quality: 80)
            // A folder is in the way: nothing is left beside it.
            let taken = folder.appendingPathComponent("taken")
            try FileManager.default.createDirectory(at: taken, withIntermediateDirectories: true)
            #expect(
                mediaError { try image.writePNG(to: taken.path) }?.contains("cannot write \(taken.path)")
                    == true)
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
                    == ["a.png", "b.jpg", "taken"])
            let missing = folder.appendingPathComponent("no/such/c.png").path
            #expect(
                mediaError { try image.writePNG(to: missing) }
                    == "cannot write \(missing): no such file or directory")
        }
    }
}
