import Media
import Testing
import Torch
import Vitrail

@Suite struct PictureFrameTests {
    @Test(arguments: [(640, 480), (480, 640), (128, 128), (1000, 10), (37, 211)])
    func boxesComeBackExactly(width: Int, height: Int) throws {
        // A white picture on grey: where the white ends in the input must be the picture's own border.
        let frame = PictureFrame(width: width, height: height, sizes: 128...128)
        let image = Image(
            width: width, height: height, pixels: [UInt8](repeating: 255, count: width * height * 3))
        let pixels = try frame.pixels(of: image)
        let white = try (pixels[0, 0] .== 255).nonzero()
        let rows = try white[.all, 0].max().intItem() + 1
        let columns = try white[.all, 1].max().intItem() + 1
        let inside = Box(x: 0, y: 0, width: Double(columns), height: Double(rows))
        #expect(
            frame.original(inside) == Box(x: 0, y: 0, width: Double(width), height: Double(height)))
        let half = try #require(
            frame.original(Box(x: 0, y: 0, width: Double(columns) / 2, height: Double(rows) / 2)))
        #expect(abs(half.width - Double(width) / 2) < 1e-9 && abs(half.height - Double(height) / 2) < 1e-9)
    }

    @Test func theWholePictureIsTheWholePicture() throws {
        let frame = PictureFrame(width: 640, height: 480, sizes: 128...128)
        #expect(frame.fitted == (128, 96))
        let whole = Box(x: -5, y: -5, width: 500, height: 500)
        #expect(frame.original(whole) == Box(x: 0, y: 0, width: 640, height: 480))
        #expect(frame.original(Box(x: 0, y: 100, width: 20, height: 20)) == nil)
        #expect(frame.original(Point(x: 500, y: -1)) == Point(x: 640, y: 0))
    }

    @Test(arguments: [
        ((200, 120), (200, 120), (208, 128)), ((640, 480), (256, 192), (256, 192)),
        ((16, 16), (128, 128), (128, 128)), ((128, 128), (128, 128), (128, 128)),
        ((8000, 200), (256, 6), (256, 16)), ((1, 5000), (1, 256), (16, 256)),
        ((100, 64), (128, 82), (128, 96)),
    ])
    func picturesKeepTheirSizeWithinBounds(picture: (Int, Int), fitted: (Int, Int), input: (Int, Int)) throws
    {
        let frame = PictureFrame(width: picture.0, height: picture.1, sizes: 128...256)
        #expect(frame.fitted == fitted)
        #expect((frame.inputWidth, frame.inputHeight) == input)
        let image = Image(
            width: picture.0, height: picture.1,
            pixels: [UInt8](repeating: 9, count: picture.0 * picture.1 * 3))
        #expect(try frame.pixels(of: image).shape == [1, 3, input.1, input.0])
        // The input's corner of the picture is the picture's own corner.
        let corner = frame.original(Point(x: Double(fitted.0), y: Double(fitted.1)))
        #expect(abs(corner.x - Double(picture.0)) < 1e-9 && abs(corner.y - Double(picture.1)) < 1e-9)
    }

    /// A picture on bars of one colour, at each of their ends in turn.
    @Test(arguments: [(40, 30), (30, 40), (36, 36)], [0.0, 0.3, 1])
    func barsOfLongPicturesAreNotShown(size: (Int, Int), share: Double) throws {
        let noise = (0..<size.0 * size.1 * 3).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ $0 / 7) }
        let picture = Image(width: size.0, height: size.1, pixels: noise)
        for isWide in [true, false] {
            let long = isWide ? (4 * size.1, size.1) : (size.0, 4 * size.0)
            let at =
                isWide ? (Int(Double(long.0 - size.0) * share), 0) : (0, Int(Double(long.1 - size.1) * share))
            var pixels = [UInt8](repeating: 77, count: long.0 * long.1 * 3)
            for y in 0..<size.1 {
                let to = ((y + at.1) * long.0 + at.0) * 3
                pixels.replaceSubrange(
                    to..<to + size.0 * 3, with: noise[y * size.0 * 3..<(y + 1) * size.0 * 3])
            }
            let padded = Image(width: long.0, height: long.1, pixels: pixels)
            let (frame, plain) = (
                PictureFrame(of: padded, sizes: 32...64), PictureFrame(of: picture, sizes: 32...64)
            )
            // Along the bars no more is shown than the picture, or than a square.
            let shorter = min(long.0, long.1)
            let length = max(isWide ? size.0 : size.1, shorter)
            #expect(Int(isWide ? frame.content.width : frame.content.height) == length)
            if length == (isWide ? size.0 : size.1) {
                #expect(frame.fitted == plain.fitted)
                #expect(
                    try frame.pixels(of: padded).array(Float.self)
                        == plain.pixels(of: picture).array(Float.self))
            }
            // Places come back to the whole picture's pixels, and its heat lies there.
            let corner = frame.original(Point(x: 0, y: 0))
            #expect(corner == Point(x: frame.content.x, y: frame.content.y))
            let map = Heatmap(cells: [1], grid: (1, 1), in: frame)
            #expect(map.values.count == map.width * map.height)
            let warm = Double(map.values.count { $0 > 0 }) / Double(map.values.count)
            #expect(abs(warm - frame.content.area / Double(long.0 * long.1)) < 0.03)
        }
    }

    @Test func picturesOfOneColourAndShortOnesStayWhole() {
        let plain = Image(width: 90, height: 30, pixels: [UInt8](repeating: 5, count: 8100))
        #expect(PictureFrame(of: plain, sizes: 32...64).content.area >= 900)
        let short = Image(width: 60, height: 30, pixels: [UInt8](repeating: 5, count: 5400))
        #expect(PictureFrame(of: short, sizes: 32...64).content.width == 60)
    }

    @Test func pixelsLieAtTheTopLeftAndGreyElsewhere() throws {
        // Left half black, right half white, 200 x 100.
        let row = [UInt8](repeating: 0, count: 300) + [UInt8](repeating: 255, count: 300)
        let image = Image(width: 200, height: 100, pixels: Array(repeatElement(row, count: 100).joined()))
        let pixels = try PictureFrame(width: 200, height: 100, sizes: 64...64).pixels(of: image)
        #expect(pixels.shape == [1, 3, 64, 64])
        func value(_ row: Int, _ column: Int) throws -> Float {
            try pixels[0, 0, row, column].array(Float.self)[0]
        }
        #expect(try value(10, 5) == 0)
        #expect(try value(10, 60) == 255)
        #expect(try value(31, 60) == 255)
        #expect(try value(32, 5) == 128)
        #expect(try value(63, 63) == 128)
    }

    @Test func aPictureOfTheInputsSizeIsNotResampled() throws {
        let bytes = (0..<(16 * 16 * 3)).map { UInt8(truncatingIfNeeded: $0 * 37) }
        let pixels = try PictureFrame(width: 16, height: 16, sizes: 16...16)
            .pixels(of: Image(width: 16, height: 16, pixels: bytes))
        let back = try pixels.squeezed(0).permuted(1, 2, 0).contiguous().array(Float.self)
        #expect(back.map { UInt8($0) } == bytes)
    }

    @Test(arguments: [(1, 1), (1, 5000), (5000, 1)])
    func extremeShapesWork(width: Int, height: Int) throws {
        let image = Image(
            width: width, height: height, pixels: [UInt8](repeating: 9, count: width * height * 3))
        let frame = PictureFrame(width: width, height: height, sizes: 64...64)
        #expect(try frame.pixels(of: image).shape == [1, 3, 64, 64])
    }
}
