/// A square cut out around a thing and brought to a fixed size, as pose networks see a person.
public struct SquareCrop: Sendable {
    /// `side` x `side` pixels.
    public private(set) var image: Image
    /// The square's corner and side in pixels of the picture it was cut from.
    public let origin: Point
    public let extent: Double
    /// By how many quarter turns clockwise the image is turned, 0 to 3.
    public private(set) var turns = 0

    /// - Parameters:
    ///   - source: the picture.
    ///   - box: the thing, in its pixels.
    ///   - margin: the square's side, in longer sides of the box.
    ///   - side: the side in pixels of the result; what lies outside the picture is grey.
    public init(of source: Image, around box: Box, margin: Double = 1.25, side: Int) {
        let extent = max(4, (max(box.width, box.height) * margin).rounded())
        let (left, top) = (
            Int((box.centre.x - extent / 2).rounded()), Int((box.centre.y - extent / 2).rounded())
        )
        let cells = Int(extent)
        var pixels = [UInt8](repeating: 128, count: cells * cells * 3)
        let columns = max(0, left)..<max(max(0, left), min(source.width, left + cells))
        for row in max(0, top)..<max(max(0, top), min(source.height, top + cells)) {
            let from = (row * source.width + columns.lowerBound) * 3
            let to = ((row - top) * cells + columns.lowerBound - left) * 3
            pixels.replaceSubrange(
                to..<(to + columns.count * 3), with: source.pixels[from..<(from + columns.count * 3)])
        }
        let square = Image(width: cells, height: cells, pixels: pixels)
        image = cells == side ? square : square.resized(width: side, height: side)
        origin = Point(x: Double(left), y: Double(top))
        self.extent = extent
    }

    /// The same square, its image turned clockwise by further quarter turns.
    public func turned(by more: Int) -> SquareCrop {
        var crop = self
        crop.image = image.turned(by: more)
        crop.turns = (turns + more) % 4
        return crop
    }

    /// A place of the picture in pixels of the crop.
    public func inside(_ point: Point) -> Point {
        let side = Double(image.width)
        return Point(x: (point.x - origin.x) * side / extent, y: (point.y - origin.y) * side / extent)
            .turned(by: turns, in: (side, side))
    }

    /// A place of the crop in pixels of the picture.
    public func outside(_ point: Point) -> Point {
        let side = Double(image.width)
        let place = point.turned(by: (4 - turns) % 4, in: (side, side))
        return Point(x: origin.x + place.x * extent / side, y: origin.y + place.y * extent / side)
    }
}
