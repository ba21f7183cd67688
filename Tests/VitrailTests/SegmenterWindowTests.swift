import Media
import Testing
import Vitrail

@Suite struct SegmenterWindowTests {
    private func picture(_ width: Int, _ height: Int) -> Image {
        Image(width: width, height: height, pixels: [UInt8](repeating: 0, count: width * height * 3))
    }

    @Test func smallThingsOfLargePicturesHaveOne() throws {
        let box = Box(x: 190, y: 10, width: 20, height: 32)
        let window = try #require(SegmenterWindow(for: box, in: picture(256, 256), side: 128))
        #expect(window.x == 128 && window.y == 0 && window.side == 128)
        #expect(SegmenterWindow(for: box, in: picture(128, 128), side: 128) == nil)
        // A photograph would have too many.
        #expect(SegmenterWindow(for: box, in: picture(257, 200), side: 128) == nil)
        let large = Box(x: 190, y: 10, width: 20, height: 33)
        #expect(SegmenterWindow(for: large, in: picture(256, 256), side: 128) == nil)
    }

    @Test func theThingIsWhollyInside() throws {
        for (width, height) in [(256, 256), (256, 192), (250, 100), (129, 40)] {
            for x in stride(from: 0, through: width - 32, by: 7) {
                let y = min(x, height - 30)
                let box = Box(x: Double(x), y: Double(y), width: 32, height: 30)
                let window = try #require(SegmenterWindow(for: box, in: picture(width, height), side: 128))
                #expect(window.x <= x && x + 32 <= window.x + 128)
                #expect(window.y <= y && y + 30 <= window.y + 128)
            }
        }
    }

    @Test func masksGoBackToTheirPlace() throws {
        let image = picture(200, 100)
        let box = Box(x: 150, y: 50, width: 10, height: 10)
        let window = try #require(SegmenterWindow(for: box, in: image, side: 128))
        var bitmap = [UInt8](repeating: 0, count: 128 * 128)
        bitmap[(51 - window.y) * 128 + 152 - window.x] = 1
        let placed = try window.placed(Mask(width: 128, height: 128, bitmap: bitmap), in: image)
        #expect(placed.width == 200 && placed.height == 100)
        #expect(placed.boundingBox == Box(x: 152, y: 51, width: 1, height: 1))
    }
}
