/// An axis-aligned rectangle in pixels: the corner nearest the origin and the size, as COCO writes it.
///
/// Pixel `(i, j)` covers the square from `(i, j)` to `(i + 1, j + 1)`, so a box around the whole of a
/// picture is `(0, 0, width, height)`.
public struct Box: Sendable, Hashable, Codable {
    public var x: Double
    public var y: Double
    public var width: Double
    public var height: Double

    public init(x: Double, y: Double, width: Double, height: Double) {
        self.x = x
        self.y = y
        self.width = width
        self.height = height
    }

    public var maxX: Double { x + width }
    public var maxY: Double { y + height }
    public var area: Double { width * height }
    public var centre: Point { Point(x: x + width / 2, y: y + height / 2) }

    /// The part of the box inside a picture of this size; `nil` when nothing of it is, or a number is
    /// not finite.
    public func clipped(width pictureWidth: Int, height pictureHeight: Int) -> Box? {
        intersection(Box(x: 0, y: 0, width: Double(pictureWidth), height: Double(pictureHeight)))
    }

    /// What two boxes share; `nil` when that is nothing.
    public func intersection(_ other: Box) -> Box? {
        let (left, top) = (max(x, other.x), max(y, other.y))
        let shared = Box(
            x: left, y: top, width: min(maxX, other.maxX) - left, height: min(maxY, other.maxY) - top)
        let isFinite = [x, y, width, height, other.x, other.y, other.width, other.height]
            .allSatisfy(\.isFinite)
        return isFinite && shared.width > 0 && shared.height > 0 ? shared : nil
    }

    /// Intersection over union, 0 to 1.
    ///
    /// - Parameters:
    ///   - other: the box to compare with.
    ///   - isCrowd: `other` is a COCO crowd region, of which a part is as good as the whole: the
    ///     denominator is this box's own area.
    public func iou(_ other: Box, isCrowd: Bool = false) -> Double {
        guard let shared = intersection(other)?.area else { return 0 }
        return shared / (isCrowd ? area : area + other.area - shared)
    }
}

extension Box: CustomStringConvertible {
    public var description: String { "(\(x), \(y), \(width), \(height))" }
}

/// A place in a picture, in pixels.
public struct Point: Sendable, Hashable, Codable {
    public var x: Double
    public var y: Double

    public init(x: Double, y: Double) {
        self.x = x
        self.y = y
    }
}
