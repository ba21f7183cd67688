public import Media

/// DAVIS's measures of masks in videos, as davis2017-evaluation has them: J, the IoU of regions, and F, the agreement of
/// boundaries to within 0.008 of the picture's diagonal.
public struct VideoMaskScore: Sendable, Hashable {
    /// Mean over frames, share of frames above 0.5, and how much the first quarter is better than the last.
    public struct Statistics: Sendable, Hashable, Codable {
        public let mean: Double
        public let recall: Double
        public let decay: Double

        /// Of at least one frame.
        init(_ values: [Double]) {
            func average(_ values: some Collection<Double>) -> Double {
                values.reduce(0, +) / Double(values.count)
            }
            mean = average(values)
            recall = Double(values.count { $0 > 0.5 }) / Double(values.count)
            // The borders of four quarters, as NumPy's `linspace` and `round` give them.
            let borders = (0...4).map { quarter in
                let place =
                    quarter == 4
                    ? Double(values.count) : 1 + Double(quarter) * (Double(values.count - 1) / 4)
                return Int((place + 1e-10).rounded(.toNearestOrEven)) - 1
            }
            decay = average(values[borders[0]...borders[1]]) - average(values[borders[3]...borders[4]])
        }
    }

    public let j: Statistics
    public let f: Statistics

    /// Scores one thing of a video.
    ///
    /// - Parameters:
    ///   - found: a mask a frame, those frames alone that count: DAVIS leaves out the first and the last.
    ///   - truth: as many.
    /// - Throws: `MediaError.invalid` when the sizes differ, or there is no frame.
    public init(_ found: [Mask], truth: [Mask]) throws(MediaError) {
        guard found.count == truth.count, !found.isEmpty else {
            throw .invalid(
                "\(found.count) frames found and \(truth.count) there: both must be as many, at least 1")
        }
        var regions: [Double] = []
        var boundaries: [Double] = []
        for (found, truth) in zip(found, truth) {
            regions.append(try Self.j(found, truth))
            boundaries.append(try Self.f(found, truth))
        }
        j = Statistics(regions)
        f = Statistics(boundaries)
    }

    /// The IoU of two masks; 1 when both are empty.
    ///
    /// - Throws: `MediaError.invalid` when the sizes differ.
    public static func j(_ found: Mask, _ truth: Mask) throws(MediaError) -> Double {
        found.isEmpty && truth.isEmpty ? 1 : try found.iou(truth)
    }

    /// The harmonic mean of how much of each boundary has the other nearby; 1 when neither has any.
    ///
    /// - Throws: `MediaError.invalid` when the sizes differ.
    public static func f(_ found: Mask, _ truth: Mask) throws(MediaError) -> Double {
        let (width, height) = (truth.width, truth.height)
        guard found.width == width, found.height == height else {
            throw .invalid("masks of \(found.width) x \(found.height) and \(width) x \(height) do not match")
        }
        let diagonal = (Double(width * width) + Double(height * height)).squareRoot()
        let reach = Int((0.008 * diagonal).rounded(.up))
        let (ours, theirs) = (Boundary(found), Boundary(truth))
        let (foundCount, truthCount) = (ours.count, theirs.count)
        let precision, recall: Double
        switch (foundCount > 0, truthCount > 0) {
        case (false, true): (precision, recall) = (1, 0)
        case (true, false): (precision, recall) = (0, 1)
        case (false, false): (precision, recall) = (1, 1)
        case (true, true):
            precision = Double(ours.near(theirs, reach)) / Double(foundCount)
            recall = Double(theirs.near(ours, reach)) / Double(truthCount)
        }
        return precision + recall == 0 ? 0 : 2 * precision * recall / (precision + recall)
    }
}

/// Pixels whose right, lower or diagonal neighbour differs: a boundary one pixel wide, half a pixel towards the origin.
private struct Boundary {
    let width: Int
    let height: Int
    /// By row, the columns, rising.
    private var rows: [[Int]]

    var count: Int { rows.reduce(0) { $0 + $1.count } }

    init(_ mask: Mask) {
        (width, height) = (mask.width, mask.height)
        let (width, height) = (width, height)
        rows = Array(repeating: [], count: height)
        // Only near the thing can there be any.
        let box = mask.boundingBox
        guard box.width > 0 else { return }
        let bits = mask.bitmap
        for y in max(0, Int(box.y) - 1)..<min(height, Int(box.maxY)) {
            let below = min(y + 1, height - 1)
            for x in max(0, Int(box.x) - 1)..<min(width, Int(box.maxX)) {
                // On the lower and right border the neighbours outside do not count.
                let right = min(x + 1, width - 1)
                let own = bits[y * width + x]
                if own != bits[y * width + right] || own != bits[below * width + x]
                    || own != bits[below * width + right]
                {
                    rows[y].append(x)
                }
            }
        }
    }

    /// How many of the pixels have one of the other's within a distance.
    func near(_ other: Boundary, _ reach: Int) -> Int {
        // Half the width of a disk of that radius, by the distance from its middle row.
        let halves = (0...reach).map { dy in
            var half = reach
            while half * half + dy * dy > reach * reach { half -= 1 }
            return half
        }
        var count = 0
        for y in rows.indices where !rows[y].isEmpty {
            var isNear = [Bool](repeating: false, count: rows[y].count)
            for line in max(0, y - reach)...min(height - 1, y + reach) {
                let half = halves[abs(line - y)]
                let theirs = other.rows[line]
                guard !theirs.isEmpty else { continue }
                var next = 0
                for (index, x) in rows[y].enumerated() {
                    while next < theirs.count, theirs[next] < x - half { next += 1 }
                    guard next < theirs.count else { break }
                    if theirs[next] <= x + half { isNear[index] = true }
                }
            }
            count += isNear.count { $0 }
        }
        return count
    }
}
