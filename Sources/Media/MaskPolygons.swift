extension Mask {
    /// The union of polygons, each a flat list `x1, y1, x2, y2, …`, as COCO's annotations have them.
    ///
    /// Drawn exactly as pycocotools does: outlines are traced at five times the resolution, and every
    /// column is filled between the places where the outline crosses its middle.
    ///
    /// - Throws: `MediaError.invalid` when a polygon has fewer than three corners, an odd number of
    ///   values, or a value that is not finite or more than 100,000 pixels from the origin.
    public init(width: Int, height: Int, polygons: [[Double]]) throws(MediaError) {
        try Self.check(width, height)
        var masks: [Mask] = []
        for polygon in polygons {
            guard polygon.count >= 6, polygon.count % 2 == 0 else {
                throw .invalid("polygon of \(polygon.count) values: an even number of at least 6 is needed")
            }
            if let value = polygon.first(where: { !(abs($0) <= 100_000) }) {
                throw .invalid("polygon corner at \(value): the limit is 100000 pixels from the origin")
            }
            masks.append(Mask(unchecked: width, height, Self.runs(width, height, around: polygon)))
        }
        self = try .union(masks)
    }

    /// The pixels of a box, as pycocotools turns boxes into masks.
    ///
    /// - Throws: `MediaError.invalid` as for polygons.
    public init(width: Int, height: Int, box: Box) throws(MediaError) {
        let corners = [box.x, box.y, box.x, box.maxY, box.maxX, box.maxY, box.maxX, box.y]
        try self.init(width: width, height: height, polygons: [corners])
    }

    private static func runs(_ width: Int, _ height: Int, around polygon: [Double]) -> [Int] {
        let scale = 5.0
        let corners = stride(from: 0, to: polygon.count, by: 2).map {
            (x: Int(scale * polygon[$0] + 0.5), y: Int(scale * polygon[$0 + 1] + 0.5))
        }

        // The outline as a chain of fine pixels: one step along the longer side at a time.
        var outline: [(x: Int, y: Int)] = []
        for (index, from) in corners.enumerated() {
            let to = corners[(index + 1) % corners.count]
            let (dx, dy) = (abs(to.x - from.x), abs(to.y - from.y))
            let isFlat = dx >= dy
            // Always traced in the same direction, so that neighbours share their edge exactly.
            let isBackwards = isFlat ? from.x > to.x : from.y > to.y
            let (start, end) = isBackwards ? (to, from) : (from, to)
            let length = max(dx, dy)
            let slope =
                length == 0
                ? 0 : isFlat ? Double(end.y - start.y) / Double(dx) : Double(end.x - start.x) / Double(dy)
            for step in 0...length {
                let along = isBackwards ? length - step : step
                outline.append(
                    isFlat
                        ? (start.x + along, Int(Double(start.y) + slope * Double(along) + 0.5))
                        : (Int(Double(start.x) + slope * Double(along) + 0.5), start.y + along))
            }
        }

        // Where the outline passes from one column to the next: a change of background to foreground.
        var crossings: [Int] = []
        for (previous, point) in zip(outline, outline.dropFirst()) where point.x != previous.x {
            let fineX = Double(point.x < previous.x ? point.x : point.x - 1)
            let x = (fineX + 0.5) / scale - 0.5
            guard x == x.rounded(.down), x >= 0, x <= Double(width - 1) else { continue }
            let fineY = Double(min(point.y, previous.y))
            let y = ((fineY + 0.5) / scale - 0.5).rounded(.up)
            crossings.append(Int(x) * height + Int(max(0, min(Double(height), y))))
        }
        crossings.append(width * height)
        crossings.sort()

        // Differences are runs. Two crossings at one place cancel: the run after them continues the one
        // before.
        var counts: [Int] = []
        var previous = 0
        var continues = false
        for crossing in crossings {
            let length = crossing - previous
            previous = crossing
            if continues {
                counts[counts.count - 1] += length
                continues = false
            } else if length == 0 && !counts.isEmpty {
                continues = true
            } else {
                counts.append(length)
            }
        }
        return counts
    }
}
