import Datasets
import Foundation
package import Media

/// How pictures are changed before they are learnt from, each time differently.
public struct Augmentation: Codable, Sendable, Hashable {
    /// How often a picture is mirrored left to right, and top to bottom.
    public var flip: Double
    public var flipVertically: Double
    /// Whether it is turned by a multiple of 90 degrees: for what has no up and down.
    public var turns: Bool
    /// The least and the greatest size, 1 for a picture that just fits. A part of a larger one is shown, at random.
    public var scale: [Double]
    /// How much wider or higher than it was a picture is shown at most, as a share; 0 when left out.
    public var stretch: Double?
    /// How much brightness, contrast and saturation change at most, as a share; and each channel by half as much.
    public var colour: Double
    /// How often colours are inverted: for what is dark on light here and light on dark there.
    public var invert: Double
    /// How often four pictures share an input, each in a quarter (YOLOv4's mosaic).
    public var mosaic: Double
    /// The share of a run's steps after which pictures are no longer mosaics, turned or upside down, so that what the labels
    /// have of up and down is learnt in the end; 1 when left out.
    public var until: Double?

    /// What is left of it at a step.
    func at(step: Int, of steps: Int) -> Augmentation {
        guard Double(step) >= (until ?? 1) * Double(steps) else { return self }
        var calm = self
        (calm.flipVertically, calm.turns, calm.mosaic) = (0, false, 0)
        return calm
    }

    /// Pictures as they are.
    public static let none = Augmentation(
        flip: 0, flipVertically: 0, turns: false, scale: [1, 1], colour: 0, invert: 0, mosaic: 0)

    var ranges: [(String, Double, ClosedRange<Double>)] {
        [
            ("augmentation.flip", flip, 0...1), ("augmentation.flip_vertically", flipVertically, 0...1),
            ("augmentation.colour", colour, 0...1), ("augmentation.invert", invert, 0...1),
            ("augmentation.mosaic", mosaic, 0...1), ("augmentation.until", until ?? 1, 0...1),
            ("augmentation.stretch", stretch ?? 0, 0...1),
        ] + scale.enumerated().map { ("augmentation.scale.\($0.offset)", $0.element, 0.1...10) }
    }

    /// How one picture is placed; drawn from a generator.
    package struct Draw {
        package var isMirrored = false
        package var isUpsideDown = false
        /// Quarter turns, clockwise.
        package var turns = 0
        package var scale = 1.0
        /// Width to height, in proportion to what it was.
        package var stretch = 1.0
        /// Which part of a picture is shown that is too large, and where one lies that is too small, 0...1.
        package var place: (x: Double, y: Double) = (0, 0)
        var tint = Tint()

        /// The picture as it is, at the top left.
        package init() {}

        init(_ augmentation: Augmentation, using random: inout SceneRandom) {
            isMirrored = random.chance(augmentation.flip)
            isUpsideDown = random.chance(augmentation.flipVertically)
            turns = augmentation.turns ? random.integer(below: 4) : 0
            let (low, high) = (log(augmentation.scale[0]), log(augmentation.scale[1]))
            scale = exp(random.number(low, high))
            if let most = augmentation.stretch, most > 0 {
                stretch = exp(random.number(-log(1 + most), log(1 + most)))
            }
            place = (random.unit(), random.unit())
            tint = Tint(augmentation, using: &random)
        }
    }

    /// How colours are changed.
    struct Tint {
        /// Of each channel: what it is multiplied by, and what is added.
        var gain = [1.0, 1, 1]
        var offset = 0.0
        var saturation = 1.0
        var isInverted = false

        init() {}

        init(_ augmentation: Augmentation, using random: inout SceneRandom) {
            let amount = augmentation.colour
            func about(_ share: Double) -> Double { 1 + random.number(-share, share) }
            let contrast = about(amount)
            gain = (0..<3).map { _ in contrast * about(amount / 2) }
            // Contrast turns about the middle.
            offset = 128 * (1 - contrast) + random.number(-amount, amount) * 64
            saturation = about(amount)
            isInverted = random.chance(augmentation.invert)
        }

        func apply(to image: inout Image) {
            guard gain != [1, 1, 1] || offset != 0 || saturation != 1 || isInverted else { return }
            let tables = gain.map { gain in
                (0..<256).map { value in
                    let value = Double(isInverted ? 255 - value : value)
                    return Int(min(max(value * gain + offset, 0), 255).rounded())
                }
            }
            // In 256ths, so that the pixels are the same on every machine.
            let share = Int((saturation * 256).rounded())
            image.pixels.withUnsafeMutableBufferPointer { pixels in
                for at in Swift.stride(from: 0, to: pixels.count, by: 3) {
                    let red = tables[0][Int(pixels[at])]
                    let green = tables[1][Int(pixels[at + 1])]
                    let blue = tables[2][Int(pixels[at + 2])]
                    let grey = (77 * red + 150 * green + 29 * blue) >> 8
                    func mixed(_ value: Int) -> UInt8 {
                        UInt8(min(max(grey + ((value - grey) * share) >> 8, 0), 255))
                    }
                    pixels[at] = mixed(red)
                    pixels[at + 1] = mixed(green)
                    pixels[at + 2] = mixed(blue)
                }
            }
        }
    }
}

/// How a picture lies in a rectangle of an input: turned and mirrored, a part of it, at another size.
package struct PicturePlacement {
    let draw: Augmentation.Draw
    /// The picture's own size, and after the turns.
    let size: (width: Int, height: Int)
    private let turned: (width: Int, height: Int)
    /// The part that is shown, in whole pixels of the turned picture.
    private let part: (x: Int, y: Int, width: Int, height: Int)
    /// Where it lies in the input, in whole pixels.
    package let area: (x: Int, y: Int, width: Int, height: Int)

    /// - Parameters:
    ///   - size: the picture's.
    ///   - region: the rectangle of the input, in whole pixels.
    ///   - fitted: the size of the unscaled picture there after its turns; nil for the largest that fits.
    ///   - draw: what was drawn for it.
    package init(
        size: (width: Int, height: Int), into region: (x: Int, y: Int, width: Int, height: Int),
        fitted: (width: Int, height: Int)? = nil, _ draw: Augmentation.Draw
    ) {
        self.draw = draw
        self.size = size
        let turned = draw.turns % 2 == 0 ? size : (width: size.height, height: size.width)
        self.turned = turned
        let fit = min(
            Double(region.width) / Double(turned.width), Double(region.height) / Double(turned.height))
        let scale = (
            x: draw.scale * draw.stretch.squareRoot()
                * (fitted.map { Double($0.width) / Double(turned.width) } ?? fit),
            y: draw.scale / draw.stretch.squareRoot()
                * (fitted.map { Double($0.height) / Double(turned.height) } ?? fit)
        )
        func span(_ length: Int, _ limit: Int, _ scale: Double, _ place: Double) -> (
            start: Int, length: Int, at: Int, size: Int
        ) {
            // Half a pixel more is no reason to cut.
            let shown =
                Double(length) * scale <= Double(limit) + 0.5
                ? length : max(1, Int(Double(limit) / scale))
            let size = min(limit, max(1, Int((Double(shown) * scale).rounded())))
            return (
                Int((Double(length - shown) * place).rounded()), shown,
                Int((Double(limit - size) * place).rounded()), size
            )
        }
        let across = span(turned.width, region.width, scale.x, draw.place.x)
        let down = span(turned.height, region.height, scale.y, draw.place.y)
        part = (across.start, down.start, across.length, down.length)
        area = (region.x + across.at, region.y + down.at, across.size, down.size)
    }

    /// The pixels of `area`.
    package func pixels(of image: Image) throws -> Image {
        var image = image.mirrored(across: draw.isMirrored, down: draw.isUpsideDown).turned(by: draw.turns)
        if (part.width, part.height) != (image.width, image.height) {
            image = try image.cropped(
                to: Box(
                    x: Double(part.x), y: Double(part.y), width: Double(part.width),
                    height: Double(part.height)))
        }
        if (image.width, image.height) != (area.width, area.height) {
            image = image.resized(width: area.width, height: area.height)
        }
        draw.tint.apply(to: &image)
        return image
    }

    /// A place of the picture in the input's pixels, also outside of `area`.
    package func input(_ point: Point) -> Point {
        var (x, y) = (point.x, point.y)
        let (width, height) = (Double(size.width), Double(size.height))
        if draw.isMirrored { x = width - x }
        if draw.isUpsideDown { y = height - y }
        let place = Point(x: x, y: y).turned(by: draw.turns, in: (width, height))
        return Point(
            x: Double(area.x) + (place.x - Double(part.x)) * Double(area.width) / Double(part.width),
            y: Double(area.y) + (place.y - Double(part.y)) * Double(area.height) / Double(part.height))
    }

    /// Joints of the picture in the input's pixels; in a mirror a person's left is the right.
    package func input(_ joints: Keypoints) -> Keypoints {
        let places = joints.joints.map {
            Keypoints.Joint(point: input($0.point), visibility: $0.visibility, score: $0.score)
        }
        guard draw.isMirrored != draw.isUpsideDown, places.count == Keypoints.cocoMirrored.count else {
            return Keypoints(places)
        }
        return Keypoints(Keypoints.cocoMirrored.map { places[$0] })
    }

    /// A place of the input in the picture's own pixels; the inverse of ``input(_:)``.
    package func original(_ point: Point) -> Point {
        let place = Point(
            x: (point.x - Double(area.x)) * Double(part.width) / Double(area.width) + Double(part.x),
            y: (point.y - Double(area.y)) * Double(part.height) / Double(area.height) + Double(part.y)
        ).turned(by: (4 - draw.turns) % 4, in: (Double(turned.width), Double(turned.height)))
        var (x, y) = (place.x, place.y)
        let (width, height) = (Double(size.width), Double(size.height))
        if draw.isMirrored { x = width - x }
        if draw.isUpsideDown { y = height - y }
        return Point(x: x, y: y)
    }

    /// A box of the picture in the input's pixels, whole and as far as it is seen; nil when none of it is.
    package func input(_ box: Box) -> (whole: Box, seen: Box)? {
        let (a, b) = (input(Point(x: box.x, y: box.y)), input(Point(x: box.maxX, y: box.maxY)))
        let whole = Box(
            x: min(a.x, b.x), y: min(a.y, b.y), width: abs(a.x - b.x), height: abs(a.y - b.y))
        let area = Box(
            x: Double(self.area.x), y: Double(self.area.y), width: Double(self.area.width),
            height: Double(self.area.height))
        return whole.intersection(area).map { (whole, $0) }
    }
}

extension Image {
    /// Puts another picture over this one, wholly inside.
    mutating func paste(_ other: Image, x: Int, y: Int) {
        for row in 0..<other.height {
            let (from, to) = (row * other.width * 3, ((y + row) * width + x) * 3)
            pixels.replaceSubrange(
                to..<(to + other.width * 3), with: other.pixels[from..<(from + other.width * 3)])
        }
    }
}
