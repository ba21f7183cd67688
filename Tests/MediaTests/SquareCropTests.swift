import Media
import Testing

@Suite struct SquareCropTests {
    @Test func aSquareAroundTheBox() {
        let picture = Image(width: 120, height: 120, pixels: [UInt8](repeating: 9, count: 120 * 120 * 3))
        let crop = SquareCrop(of: picture, around: Box(x: 40, y: 20, width: 20, height: 80), side: 128)
        #expect(crop.extent == 100 && crop.origin == Point(x: 0, y: 10) && crop.image.width == 128)
        #expect(crop.outside(Point(x: 0, y: 0)) == Point(x: 0, y: 10))
        #expect(crop.outside(Point(x: 128, y: 64)) == Point(x: 100, y: 60))
        #expect(crop.inside(Point(x: 100, y: 60)) == Point(x: 128, y: 64))
    }

    @Test func greyWhereThePictureEnds() {
        let picture = Image(width: 40, height: 30, pixels: [UInt8](repeating: 255, count: 40 * 30 * 3))
        let crop = SquareCrop(of: picture, around: Box(x: 24, y: 0, width: 16, height: 16), side: 20)
        #expect(crop.extent == 20 && crop.origin == Point(x: 22, y: -2))
        func value(_ x: Int, _ y: Int) -> UInt8 { crop.image.pixels[(y * 20 + x) * 3] }
        #expect(value(0, 1) == 128 && value(0, 2) == 255)
        #expect(value(17, 10) == 255 && value(18, 10) == 128)
        #expect(value(17, 19) == 255)
    }

    @Test func aTinyBoxAndOneOutsideArePictures() {
        let picture = Image(width: 2, height: 2, pixels: [UInt8](repeating: 7, count: 12))
        for box in [Box(x: 1, y: 1, width: 0.1, height: 0.2), Box(x: 50, y: -50, width: 3, height: 3)] {
            #expect(SquareCrop(of: picture, around: box, side: 16).image.width == 16)
        }
    }
}
