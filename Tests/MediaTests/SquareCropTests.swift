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

    @Test(arguments: 0..<4) func aTurnedCropKnowsItsPlaces(turns: Int) {
        // One white pixel of 20 x 20.
        var picture = Image(width: 20, height: 20, pixels: [UInt8](repeating: 0, count: 1200))
        for channel in 0..<3 { picture.pixels[(6 * 20 + 3) * 3 + channel] = 255 }
        let crop = SquareCrop(of: picture, around: Box(x: 2, y: 2, width: 12, height: 16), side: 40)
            .turned(by: turns)
        let place = crop.inside(Point(x: 3.5, y: 6.5))
        #expect(crop.turns == turns && crop.outside(place) == Point(x: 3.5, y: 6.5))
        #expect(crop.image.pixels[(Int(place.y) * 40 + Int(place.x)) * 3] > 150)
        #expect(crop.turned(by: (4 - turns) % 4).turns == 0)
    }

    @Test(arguments: 0..<4) func peopleAreTurnedUntilTheirHeadsAreUp(turns: Int) {
        let standing = Keypoints.cocoNames.indices.map { Point(x: 10 + Double($0 % 2), y: 5 + Double($0)) }
        let picture = Image(width: 30, height: 30, pixels: [UInt8](repeating: 0, count: 2700))
        let lying = SquareCrop(of: picture, around: Box(x: 3, y: 3, width: 24, height: 24), side: 30)
            .turned(by: turns)
        let joints = standing.map { Keypoints.Joint(point: lying.inside($0), visibility: .visible) }
        #expect(Keypoints(joints).turnsToUpright == (4 - turns) % 4)
        #expect(Keypoints(Array(joints.dropLast())).turnsToUpright == 0)
    }
}
