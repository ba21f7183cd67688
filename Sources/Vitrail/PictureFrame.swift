public import Media
public import Torch

/// How a picture lies in the input of an encoder: at the top left, with grey beside it. It keeps its size if the
/// encoder takes that, and is otherwise scaled until its longer side fits. The frame maps places back to the picture's
/// pixels.
public struct PictureFrame: Sendable, Hashable {
    /// The sides of an input are multiples of this: two patches of the embedded encoder, four cells of its maps.
    public static let step = 16

    public let width: Int
    public let height: Int
    /// The longer sides, in pixels, that a picture may have in the input.
    public let sizes: ClosedRange<Int>

    /// - Parameters:
    ///   - width: the picture's, in pixels.
    ///   - height: the picture's, in pixels.
    ///   - sizes: what the encoder takes, see ``Encoders/ImageEncoder``. A single size means a square input.
    public init(width: Int, height: Int, sizes: ClosedRange<Int>) {
        self.width = width
        self.height = height
        self.sizes = sizes
    }

    /// The picture's size in input pixels.
    public var fitted: (width: Int, height: Int) {
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

    /// Maps a place of the input to the picture's pixels, clipped to the picture.
    public func original(_ point: Point) -> Point {
        // Each axis has its own scale: the scaled picture has whole pixels, so its proportions change a little.
        let (w, h) = fitted
        let (x, y) = (point.x * Double(width) / Double(w), point.y * Double(height) / Double(h))
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

    /// Maps a place of the picture to the input's pixels.
    func input(_ point: Point) -> Point {
        let (w, h) = fitted
        return Point(x: point.x * Double(w) / Double(width), y: point.y * Double(h) / Double(height))
    }

    /// Pixels [1, 3, inputHeight, inputWidth] of 0...255.
    public func pixels(of image: Image) throws -> Tensor {
        let (w, h) = fitted
        let scaled = image.width == w && image.height == h ? image : image.resized(width: w, height: h)
        let tensor = try Tensor(scaled.pixels, [1, h, w, 3]).permuted(0, 3, 1, 2).to(.float32)
        return try pad(tensor, [0, inputWidth - w, 0, inputHeight - h], value: 128)
    }
}
