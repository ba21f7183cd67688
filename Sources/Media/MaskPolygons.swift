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

        // The outline is a chain of fine pixels, one step along the longer side of an edge at a time. A column of
        // pixels begins or ends where it passes the column's middle, between fine columns 5 x + 2 and 5 x + 3: only
        // there is it looked at, however far it goes outside.
        var crossings: [Int] = []
        for (index, from) in corners.enumerated() {
            let to = corners[(index + 1) % corners.count]
            let (dx, dy) = (abs(to.x - from.x), abs(to.y - from.y))
            let isFlat = dx >= dy
            // Always traced in the same direction, so that neighbours share their edge exactly.
            let isBackwards = isFlat ? from.x > to.x : from.y > to.y
            let (start, end) = isBackwards ? (to, from) : (from, to)
            let slope =
                dx == 0
                ? 0 : isFlat ? Double(end.y - start.y) / Double(dx) : Double(end.x - start.x) / Double(dy)
            /// The place across the longer side after so many steps.
            func across(_ steps: Int) -> Int {
                Int(Double(isFlat ? start.y : start.x) + slope * Double(steps) + 0.5)
            }
            let (left, right) = (min(start.x, end.x), max(start.x, end.x))
            let first = max(0, (left + 2) / 5)
            let last = min(width - 1, (right - 3) / 5)
            guard right >= 3, first <= last else { continue }
            for x in first...last {
                let column = 5 * x + 2
                let fineY: Int
                if isFlat {
                    fineY = min(across(column - start.x), across(column + 1 - start.x))
                } else {
                    // The first step on the other side, by halving: `across` never turns back.
                    var (before, after) = (0, dy)
                    while after - before > 1 {
                        let middle = (before + after) / 2
                        if slope > 0 ? across(middle) > column : across(middle) <= column {
                            after = middle
                        } else {
                            before = middle
                        }
                    }
                    fineY = start.y + before
                }
                let y = ((Double(fineY) + 0.5) / scale - 0.5).rounded(.up)
                crossings.append(x * height + Int(max(0, min(Double(height), y))))
            }
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
