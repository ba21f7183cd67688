public import Media
public import Torch

/// How a picture lies in the input of an encoder: at the top left, with grey beside it. It keeps its size if the
/// encoder takes that, and is otherwise scaled until its longer side fits. Of a long picture with bars of one colour, only
/// the part between the bars is shown. The frame maps places back to the picture's pixels.
public struct PictureFrame: Sendable, Hashable {
    /// The sides of an input are multiples of this: two patches of the embedded encoder, four cells of its maps.
    public static let step = 16

    public let width: Int
    public let height: Int
    /// The longer sides, in pixels, that a picture may have in the input.
    public let sizes: ClosedRange<Int>
    /// The part of the picture that is shown, in whole pixels.
    public let content: Box

    /// - Parameters:
    ///   - width: the picture's, in pixels.
    ///   - height: the picture's, in pixels.
    ///   - sizes: what the encoder takes, see ``Encoders/ImageEncoder``. A single size means a square input.
    ///   - content: the part that is shown, in whole pixels; the whole picture when left out.
    public init(width: Int, height: Int, sizes: ClosedRange<Int>, content: Box? = nil) {
        self.width = width
        self.height = height
        self.sizes = sizes
        self.content = content ?? Box(x: 0, y: 0, width: Double(width), height: Double(height))
    }

    /// How a picture lies, without its bars where it is more than twice as long as it is wide.
    public init(of image: Image, sizes: ClosedRange<Int>) {
        self.init(
            width: image.width, height: image.height, sizes: sizes, content: image.partBetweenBars)
    }

    /// The size in input pixels of what is shown.
    public var fitted: (width: Int, height: Int) {
        let (width, height) = (Int(content.width), Int(content.height))
        let longest = max(width, height)
        let side = min(max(longest, sizes.lowerBound), sizes.upperBound)
        func scaled(_ length: Int) -> Int {
            max(1, Int((Double(length) * Double(side) / Double(longest)).rounded()))
        }
        return (scaled(width), scaled(height))
    }

    /// The input's size: the picture's, up to the next multiple of ``step``.
    public var inputWidth: Int { padded(fitted.width) }
    public var inputHeight: Int { padded(fitted.height) }

    private func padded(_ side: Int) -> Int {
        if sizes.lowerBound == sizes.upperBound { return sizes.upperBound }
        return (side + Self.step - 1) / Self.step * Self.step
    }

    /// Input pixels for each pixel of the picture, across and down.
    var scale: (x: Double, y: Double) {
        // Each axis has its own scale: the scaled picture has whole pixels, so its proportions change a little.
        let (w, h) = fitted
        return (Double(w) / content.width, Double(h) / content.height)
    }

    /// A place of the input in the picture's own pixels, inside what is shown.
    public func original(_ point: Point) -> Point {
        let (w, h) = fitted
        let (x, y) = (point.x * content.width / Double(w), point.y * content.height / Double(h))
        return Point(
            x: content.x + min(max(x, 0), content.width), y: content.y + min(max(y, 0), content.height))
    }

    /// The part of the box that is inside the picture; nil when none is.
    public func original(_ box: Box) -> Box? {
        let (low, high) = (
            original(Point(x: box.x, y: box.y)), original(Point(x: box.maxX, y: box.maxY))
        )
        guard high.x > low.x, high.y > low.y else { return nil }
        return Box(x: low.x, y: low.y, width: high.x - low.x, height: high.y - low.y)
    }

    /// Maps a place of the picture to the input's pixels.
    func input(_ point: Point) -> Point {
        Point(x: (point.x - content.x) * scale.x, y: (point.y - content.y) * scale.y)
    }

    private var isWhole: Bool { (content.width, content.height) == (Double(width), Double(height)) }

    /// What is shown of a picture.
    func shown(of image: Image) throws -> Image { isWhole ? image : try image.cropped(to: content) }

    /// A mask of what is shown as one of the picture.
    func original(_ mask: Mask) throws -> Mask {
        guard !isWhole else { return mask }
        let (part, x, y) = (mask.bitmap, Int(content.x), Int(content.y))
        var bitmap = [UInt8](repeating: 0, count: width * height)
        for row in 0..<mask.height {
            let to = (y + row) * width + x
            bitmap.replaceSubrange(
                to..<to + mask.width, with: part[row * mask.width..<(row + 1) * mask.width])
        }
        return try Mask(width: width, height: height, bitmap: bitmap)
    }

    /// Pixels [1, 3, inputHeight, inputWidth] of 0...255.
    public func pixels(of image: Image) throws -> Tensor {
        let (w, h) = fitted
        let shown = try shown(of: image)
        let scaled = shown.width == w && shown.height == h ? shown : shown.resized(width: w, height: h)
        let tensor = try Tensor(scaled.pixels, [1, h, w, 3]).permuted(0, 3, 1, 2).to(.float32)
        return try pad(tensor, [0, inputWidth - w, 0, inputHeight - h], value: 128)
    }
}

extension Image {
    /// Of a picture that is more than twice as long as it is wide the part between bars of one colour at its ends, at least a
    /// square; nil for one without bars. A video's frame or a scan is often filled up so, and would be shown small.
    var partBetweenBars: Box? {
        guard max(width, height) > 2 * min(width, height) else { return nil }
        let isWide = width > height
        let (length, breadth) = isWide ? (width, height) : (height, width)
        func offset(_ along: Int, _ across: Int) -> Int {
            3 * (isWide ? across * width + along : along * width + across)
        }
        // How many lines from an end on are of the colour of its corner, but for what JPEG changes.
        func bar(_ line: (Int) -> Int) -> Int {
            let corner = offset(line(0), 0)
            return (0..<(length - breadth)).first { number in
                (0..<breadth).contains { across in
                    let at = offset(line(number), across)
                    return (0..<3).contains { abs(Int(pixels[at + $0]) - Int(pixels[corner + $0])) > 8 }
                }
            } ?? length - breadth
        }
        var (first, last) = (bar { $0 }, bar { length - 1 - $0 })
        guard first + last > 0 else { return nil }
        // A picture of one colour has nothing between its bars.
        let excess = max(0, first + last - (length - breadth))
        first -= min(first, excess / 2)
        last = min(last, length - breadth - first)
        let part = (start: Double(first), length: Double(length - first - last))
        return isWide
            ? Box(x: part.start, y: 0, width: part.length, height: Double(height))
            : Box(x: 0, y: part.start, width: Double(width), height: part.length)
    }
}
