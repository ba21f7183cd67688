import Media
import Testing

@Suite struct AnnotationTests {
    private func grey(_ width: Int, _ height: Int) -> Image {
        Image(width: width, height: height, pixels: [UInt8](repeating: 128, count: width * height * 3))
    }

    @Test func drawsBoxMaskAndHole() throws {
        let image = grey(600, 500)
        var bits = [Bool](repeating: false, count: 600 * 500)
        for y in 300..<400 {
            for x in 100..<200 where !(130..<170).contains(x) || !(330..<370).contains(y) {
                bits[y * 600 + x] = true
            }
        }
        let drawn = try image.annotated(with: [
            Annotation(box: Box(x: 300, y: 100, width: 200, height: 100), colour: 0),
            Annotation(mask: Mask(width: 600, height: 500, bitmap: bits), colour: 2),
        ])
        #expect(drawn.width == 600 && drawn.height == 500)
        let line = drawn.colour(400, 100)
        #expect(line[0] > 200 && line[1] < 80 && line[2] < 90)
        #expect(drawn.colour(400, 150) == [128, 128, 128])
        #expect(drawn.colour(110, 350) != [128, 128, 128])
        #expect(drawn.colour(150, 350) == [128, 128, 128])
        #expect(drawn.colour(50, 50) == [128, 128, 128])
    }

    @Test(arguments: [(96, 96), (96, 30), (640, 480), (4000, 3000)])
    func labelsFitAnyPicture(width: Int, height: Int) throws {
        let image = grey(width, height)
        let whole = Box(x: 0, y: 0, width: Double(width), height: Double(height))
        let drawn = try image.annotated(with: [
            Annotation(box: whole, label: String(repeating: "a long name ", count: 30)),
            Annotation(point: Point(x: Double(width), y: Double(height)), label: "corner\nline"),
        ])
        #expect(max(drawn.width, drawn.height) >= 480)
        #expect(drawn.width * height == drawn.height * width)
        // Text in black or white on its tag.
        let tag = Colour.palette[0]
        let wanted = [[tag.red, tag.green, tag.blue], [255, 255, 255]]
        for colour in wanted {
            let share = (0..<drawn.width).filter {
                drawn.colour($0, drawn.height > 100 ? drawn.width / 60 : 8) == colour
            }
            #expect(!share.isEmpty)
        }
    }

    @Test func drawsKeypointsThatAreThere() throws {
        var joints = (0..<17).map { index in
            Keypoints.Joint(point: Point(x: Double(30 + 30 * index), y: 200), visibility: .visible)
        }
        joints[0].visibility = .absent
        joints[1].visibility = .occluded
        let drawn = try grey(600, 400).annotated(with: [Annotation(keypoints: Keypoints(joints), colour: 1)])
        #expect(drawn.colour(30, 200) == [128, 128, 128])
        #expect(drawn.colour(60, 200) == [255, 255, 255])
        let blue = Colour.palette[1]
        #expect(drawn.colour(90, 200) == [blue.red, blue.green, blue.blue])
    }

    @Test func survivesWhatLiesOutside() throws {
        let image = grey(50, 40)
        let drawn = try image.annotated(
            with: [
                Annotation(box: Box(x: -500, y: -500, width: 5000, height: 5000), label: "around"),
                Annotation(box: Box(x: .nan, y: 0, width: .infinity, height: -4), label: "nowhere"),
                Annotation(box: Box(x: 90, y: 90, width: 5, height: 5), label: ""),
                Annotation(keypoints: Keypoints([]), point: Point(x: 1e300, y: 0), label: "\0"),
                Annotation(label: "nothing"),
            ], scale: 1)
        #expect(drawn.width == 50 && drawn.height == 40)
        let mask = try Mask(width: 4, height: 4, counts: [16])
        #expect(
            mediaError { _ = try image.annotated(with: [Annotation(mask: mask)]) }
                == "mask of 4 x 4 on a picture of 50 x 40")
        #expect(mediaError { _ = try image.annotated(with: [], scale: 1000) } != nil)
        #expect(mediaError { _ = try image.annotated(with: [], scale: .nan) } != nil)
    }

    @Test func blendsHeatmaps() throws {
        let image = grey(40, 20)
        let drawn = try image.blended(heatmap: [0, 1], width: 2, height: 1, strength: 1)
        func lightness(_ x: Int) -> Int { drawn.colour(x, 10).reduce(0) { $0 + Int($1) } }
        let along = (0..<40).map(lightness)
        #expect(along.first! < 60 && along.last! > 600 && along == along.sorted())
        #expect(try image.blended(heatmap: [3], width: 1, height: 1, strength: 0) == image)
        #expect(try image.blended(heatmap: [.nan, .infinity, 1, 2], width: 2, height: 2).width == 40)
        #expect(mediaError { _ = try image.blended(heatmap: [1, 2, 3], width: 2, height: 2) } != nil)
    }
}
