public import Media

/// A box of a thing that is followed through a video.
public struct TrackedBox: Sendable, Hashable {
    public var frame: Int
    /// Which thing it is, in all frames.
    public var track: Int
    /// In pixels.
    public var box: Box

    public init(frame: Int, track: Int, box: Box) {
        self.frame = frame
        self.track = track
        self.box = box
    }
}

/// How well things are followed: the CLEAR measures (MOTA, MOTP, switches, fragments) and the identity measures (IDF1), as
/// py-motmetrics 1.4 and MOTChallenge have them, at IoU 0.5.
///
/// Scores of several videos are added up; every figure follows from the sums.
public struct TrackingScore: Sendable, Hashable {
    public private(set) var frames = 0
    /// Boxes that are there, and that were found, over all frames.
    public private(set) var objects = 0
    public private(set) var predictions = 0
    public private(set) var matches = 0
    public private(set) var switches = 0
    public private(set) var falsePositives = 0
    public private(set) var misses = 0
    public private(set) var fragmentations = 0
    /// Things followed in at least 80 % of their frames, in at least 20 %, and in less.
    public private(set) var mostlyTracked = 0
    public private(set) var partiallyTracked = 0
    public private(set) var mostlyLost = 0
    /// Boxes whose identity is right, under the best pairing of whole tracks.
    public private(set) var idTruePositives = 0
    /// The sum of 1 - IoU over what was found.
    private var distance = 0.0

    public init() {}

    /// Adds the figures of another video.
    public static func += (sum: inout TrackingScore, other: TrackingScore) {
        for part in [
            \TrackingScore.frames, \.objects, \.predictions, \.matches, \.switches, \.falsePositives,
            \.misses,
            \.fragmentations, \.mostlyTracked, \.partiallyTracked, \.mostlyLost, \.idTruePositives,
        ] { sum[keyPath: part] += other[keyPath: part] }
        sum.distance += other.distance
    }

    private static func quotient(_ a: Int, _ b: Int) -> Double? { b == 0 ? nil : Double(a) / Double(b) }

    /// 1 less misses, switches and false positives over what is there; below 0 for a poor tracker.
    public var mota: Double? { Self.quotient(misses + switches + falsePositives, objects).map { 1 - $0 } }
    /// The mean of 1 - IoU over what was found: less is better.
    public var motp: Double? {
        matches + switches == 0 ? nil : distance / Double(matches + switches)
    }
    public var recall: Double? { Self.quotient(matches + switches, objects) }
    public var precision: Double? {
        Self.quotient(matches + switches, matches + switches + falsePositives)
    }
    public var idf1: Double? { Self.quotient(2 * idTruePositives, objects + predictions) }
    public var idp: Double? { Self.quotient(idTruePositives, predictions) }
    public var idr: Double? { Self.quotient(idTruePositives, objects) }

    /// Scores one video.
    ///
    /// - Parameters:
    ///   - found: in any order of frames; a track has one box a frame.
    ///   - truth: likewise.
    public init(_ found: [TrackedBox], truth: [TrackedBox]) {
        let foundFrames = Dictionary(grouping: found, by: \.frame)
        let truthFrames = Dictionary(grouping: truth, by: \.frame)
        // By thing, whether it was followed in each of its frames.
        var isFollowed: [Int: [Bool]] = [:]
        var lastMatch: [Int: Int] = [:]
        struct Pair: Hashable {
            let truth: Int
            let found: Int
        }
        var together: [Pair: Int] = [:]
        for frame in Set(foundFrames.keys).union(truthFrames.keys).sorted() {
            let (there, here) = (truthFrames[frame] ?? [], foundFrames[frame] ?? [])
            let distances = there.map { real in here.map { Self.distance(real.box, $0.box) } }
            frames += 1
            objects += there.count
            predictions += here.count
            for (row, real) in there.enumerated() {
                for (column, one) in here.enumerated() where distances[row][column] != nil {
                    together[Pair(truth: real.track, found: one.track), default: 0] += 1
                }
            }
            var isTruthTaken = [Bool](repeating: false, count: there.count)
            var isFoundTaken = [Bool](repeating: false, count: here.count)
            let columnOf = Dictionary(zip(here.map(\.track), here.indices)) { first, _ in first }
            // Who was a pair stays one while both overlap.
            for (row, real) in there.enumerated() {
                guard let last = lastMatch[real.track],
                    let column = columnOf[last], !isFoundTaken[column], let apart = distances[row][column]
                else { continue }
                (isTruthTaken[row], isFoundTaken[column]) = (true, true)
                matches += 1
                distance += apart
            }
            let (rows, columns) = (
                there.indices.filter { !isTruthTaken[$0] }, here.indices.filter { !isFoundTaken[$0] }
            )
            for pair in Assignment.leastCost(
                rows: rows.count, columns: columns.count, { distances[rows[$0]][columns[$1]] })
            {
                let (row, column) = (rows[pair.row], columns[pair.column])
                (isTruthTaken[row], isFoundTaken[column]) = (true, true)
                let last = lastMatch.updateValue(here[column].track, forKey: there[row].track)
                if let last, last != here[column].track { switches += 1 } else { matches += 1 }
                distance += distances[row][column]!
            }
            misses += isTruthTaken.count { !$0 }
            falsePositives += isFoundTaken.count { !$0 }
            for (row, real) in there.enumerated() {
                isFollowed[real.track, default: []].append(isTruthTaken[row])
            }
        }
        for followed in isFollowed.values {
            let share = Double(followed.count { $0 }) / Double(followed.count)
            if share >= 0.8 {
                mostlyTracked += 1
            } else if share >= 0.2 {
                partiallyTracked += 1
            } else {
                mostlyLost += 1
            }
            // Lost between the first and the last time that it was followed.
            guard let first = followed.firstIndex(of: true), let last = followed.lastIndex(of: true) else {
                continue
            }
            for place in first..<last where followed[place] && !followed[place + 1] { fragmentations += 1 }
        }
        let (rows, columns) = (Set(truth.map(\.track)).sorted(), Set(found.map(\.track)).sorted())
        let rowOf = Dictionary(uniqueKeysWithValues: zip(rows, rows.indices))
        let columnOf = Dictionary(uniqueKeysWithValues: zip(columns, columns.indices))
        let gains = together.map { (row: rowOf[$0.truth]!, column: columnOf[$0.found]!, gain: $1) }
        for pair in Assignment.greatestSum(rows: rows.count, columns: columns.count, gains) {
            idTruePositives += together[Pair(truth: rows[pair.row], found: columns[pair.column])]!
        }
    }

    /// 1 - IoU with the reference's arithmetic; nil above 0.5, and where the boxes are no numbers.
    private static func distance(_ a: Box, _ b: Box) -> Double? {
        let width = max(min(a.maxX, b.maxX) - max(a.x, b.x), 0)
        let height = max(min(a.maxY, b.maxY) - max(a.y, b.y), 0)
        let shared = width * height
        func size(_ box: Box) -> Double { max(box.maxX - box.x, 0) * max(box.maxY - box.y, 0) }
        let iou = shared == 0 ? 0 : shared / (size(a) + size(b) - shared)
        return 1 - iou <= 0.5 ? 1 - iou : nil
    }
}
