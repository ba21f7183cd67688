public import Media
public import Torch

/// How a picture lies in the square input of an encoder: scaled so that its longer side fits, at the top left, grey
/// elsewhere. It carries places back to the picture's own pixels.
public struct PictureFrame: Sendable, Hashable {
    public let width: Int
    public let height: Int
    public let inputSize: Int

    public init(width: Int, height: Int, inputSize: Int) {
        self.width = width
        self.height = height
        self.inputSize = inputSize
    }

    /// Input pixels a picture pixel, before the sides are rounded to whole ones.
    var scale: Double { Double(inputSize) / Double(max(width, height)) }

    /// The picture's size in input pixels.
    public var fitted: (width: Int, height: Int) {
        func side(_ length: Int) -> Int { max(1, min(inputSize, Int((Double(length) * scale).rounded()))) }
        return (side(width), side(height))
    }

    public func original(_ point: Point) -> Point {
        // Each side on its own: the scaled picture has whole pixels, so its sides are not quite in proportion.
        let (x, y) = (
            point.x * Double(width) / Double(fitted.width), point.y * Double(height) / Double(fitted.height)
        )
        return Point(x: min(max(x, 0), Double(width)), y: min(max(y, 0), Double(height)))
    }

    /// The part of the box that is inside the picture; nil when none is.
    public func original(_ box: Box) -> Box? {
        let (low, high) = (
            original(Point(x: box.x, y: box.y)), original(Point(x: box.maxX, y: box.maxY))
        )
        guard high.x > low.x, high.y > low.y else { return nil }
        return Box(x: low.x, y: low.y, width: high.x - low.x, height: high.y - low.y)
    }

    /// Pixels [1, 3, inputSize, inputSize] of 0...255.
    public func pixels(of image: Image) throws -> Tensor {
        let (w, h) = (fitted.width, fitted.height)
        let scaled = image.width == w && image.height == h ? image : image.resized(width: w, height: h)
        let tensor = try Tensor(scaled.pixels, [h, w, 3]).permuted(2, 0, 1).unsqueezed(0).to(.float32)
        return try pad(tensor, [0, inputSize - w, 0, inputSize - h], value: 128)
    }
}
