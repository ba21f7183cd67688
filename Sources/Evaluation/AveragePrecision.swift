import Dispatch
import Foundation

/// COCO's average precision and recall over any similarity, with pycocotools' definitions: greedy matching by score
/// at similarities of 0.5 to 0.95, crowds and ignored regions, precision at 101 recalls, areas, limits on the number of
/// detections, means over the categories that occur.
///
/// Equal to pycocotools 2.0.11 to rounding (AveragePrecisionTests), but for annotations with the id 0, which that takes for
/// none.
public struct AveragePrecision: Sendable {
    /// Something that a model gives.
    public struct Prediction<Shape> {
        public let image: Int
        public let category: Int
        /// Finite.
        public let score: Double
        /// In square pixels.
        public let area: Double
        public let shape: Shape

        public init(image: Int, category: Int, score: Double, area: Double, shape: Shape) {
            self.image = image
            self.category = category
            self.score = score
            self.area = area
            self.shape = shape
        }
    }

    /// Something that is there.
    public struct Truth<Shape> {
        public let image: Int
        public let category: Int
        /// In square pixels.
        public let area: Double
        /// Any number of predictions may match it; it is ignored as well.
        public let isCrowd: Bool
        /// Neither finding nor missing it counts.
        public let isIgnored: Bool
        public let shape: Shape

        public init(
            image: Int, category: Int, area: Double, isCrowd: Bool = false, isIgnored: Bool = false,
            shape: Shape
        ) {
            self.image = image
            self.category = category
            self.area = area
            self.isCrowd = isCrowd
            self.isIgnored = isIgnored || isCrowd
            self.shape = shape
        }
    }

    /// A range of areas in square pixels, both ends in it.
    public struct Areas: Sendable, Hashable {
        public let name: String
        public let least: Double
        public let most: Double

        public init(_ name: String, _ least: Double, _ most: Double) {
            self.name = name
            self.least = least
            self.most = most
        }
    }

    /// One of the figures that pycocotools prints.
    public struct Figure: Sendable, Hashable, Codable {
        /// "AP", "AP50", "APsmall", "AR10" …
        public let name: String
        /// 0 to 1; -1 when nothing of the kind is there.
        public let value: Double
        /// pycocotools' line for it.
        public let line: String
    }

    /// The ranges and limits of an evaluation; `areas[0]` holds everything, the last of `limits` is the greatest.
    public struct Settings: Sendable, Hashable {
        public var areas: [Areas]
        /// Detections of a picture and category that count, at most.
        public var limits: [Int]

        public init(areas: [Areas], limits: [Int]) {
            self.areas = areas
            self.limits = limits
        }

        /// Of boxes and masks.
        public static let instances = Settings(
            areas: [
                Areas("all", 0, 1e10), Areas("small", 0, 1024), Areas("medium", 1024, 9216),
                Areas("large", 9216, 1e10),
            ], limits: [1, 10, 100])
        /// Of people's joints.
        public static let keypoints = Settings(
            areas: [Areas("all", 0, 1e10), Areas("medium", 1024, 9216), Areas("large", 9216, 1e10)],
            limits: [20])
    }

    /// 0.50, 0.55 … 0.95, to the last bit as NumPy's `linspace` has them.
    public static let thresholds: [Double] = {
        let step = (0.95 - 0.5) / 9
        return (0..<9).map { Double($0) * step + 0.5 } + [0.95]
    }()
    /// 0, 0.01 … 1, likewise.
    public static let recalls = (0..<100).map { Double($0) * 0.01 } + [1.0]

    public let settings: Settings
    /// The categories of the truth, in order.
    public let categories: [Int]
    /// By category, area and threshold: the precision at each of ``recalls``; -1 where no truth is.
    private var precisions: [Double]
    /// By category, area and threshold; -1 where no truth is.
    private var recalled: [Double]
    /// By category, limit and threshold, over all areas.
    private var recalledWithin: [Double]

    /// Scores predictions.
    ///
    /// - Parameters:
    ///   - predictions: of any pictures and categories; those of a category without truth do not count.
    ///   - truth: what is there.
    ///   - settings: areas and limits.
    ///   - similarity: of a prediction and a truth, 0 to 1: intersection over union, or ``ObjectKeypointSimilarity``.
    public init<Found, Real>(
        _ predictions: [Prediction<Found>], truth: [Truth<Real>], settings: Settings = .instances,
        similarity: @Sendable (Found, Truth<Real>) -> Double
    ) {
        self.settings = settings
        categories = Set(truth.map(\.category)).sorted()
        let place = Dictionary(uniqueKeysWithValues: categories.enumerated().map { ($1, $0) })
        let count = categories.count
        let truthRows = Rows(truth, count) { place[$0.category] }
        let foundRows = Rows(predictions, count) { place[$0.category] }
        let rows = settings.areas.count * Self.thresholds.count
        precisions = Array(repeating: -1, count: count * rows * Self.recalls.count)
        recalled = Array(repeating: -1, count: count * rows)
        recalledWithin = Array(repeating: -1, count: count * settings.limits.count * Self.thresholds.count)
        // The lists are only read, and each category writes its own part.
        nonisolated(unsafe) let (found, there) = (predictions, truth)
        precisions.withUnsafeMutableBufferPointer { precisions in
            recalled.withUnsafeMutableBufferPointer { recalled in
                recalledWithin.withUnsafeMutableBufferPointer { within in
                    nonisolated(unsafe) let parts = (
                        precisions.baseAddress, recalled.baseAddress, within.baseAddress
                    )
                    DispatchQueue.concurrentPerform(iterations: count) { category in
                        let matches = Matches(
                            foundRows.rows(category), of: found, truthRows.rows(category), of: there,
                            settings,
                            similarity)
                        matches.accumulate(
                            precisions: parts.0! + category * rows * Self.recalls.count,
                            recalled: parts.1! + category * rows,
                            within: parts.2! + category * settings.limits.count * Self.thresholds.count)
                    }
                }
            }
        }
    }
}

/// Places in a list by category, in the list's order.
private struct Rows: Sendable {
    private let order: [Int]
    private let starts: [Int]

    init<Entry>(_ entries: [Entry], _ categories: Int, _ category: (Entry) -> Int?) {
        let places = entries.map { category($0) ?? -1 }
        var starts = [Int](repeating: 0, count: categories + 1)
        for place in places where place >= 0 { starts[place + 1] += 1 }
        for place in 0..<categories { starts[place + 1] += starts[place] }
        var next = starts
        var order = [Int](repeating: 0, count: starts[categories])
        for (index, place) in places.enumerated() where place >= 0 {
            order[next[place]] = index
            next[place] += 1
        }
        (self.order, self.starts) = (order, starts)
    }

    func rows(_ category: Int) -> ArraySlice<Int> { order[starts[category]..<starts[category + 1]] }
}

/// What matched in the pictures of one category; a detection's flags have one bit a threshold.
private struct Matches {
    private struct Row {
        let image: Int
        let score: Double
        let index: Int
    }

    private let settings: AveragePrecision.Settings
    private var scores: [Double] = []
    /// A detection's rank in its picture.
    private var ranks: [Int] = []
    /// By detection and area.
    private var hits: [UInt16] = []
    private var ignored: [UInt16] = []
    /// By area: how many there are to be found.
    private var counts: [Int]

    private static let allSteps = UInt16(1 << AveragePrecision.thresholds.count) - 1

    /// Matches the detections of each picture, best first, with its truth.
    init<Found, Real>(
        _ foundRows: ArraySlice<Int>, of predictions: [AveragePrecision.Prediction<Found>],
        _ truthRows: ArraySlice<Int>, of truth: [AveragePrecision.Truth<Real>],
        _ settings: AveragePrecision.Settings, _ similarity: (Found, AveragePrecision.Truth<Real>) -> Double
    ) {
        self.settings = settings
        let areas = settings.areas.count
        counts = Array(repeating: 0, count: areas)
        var there = truthRows.map { Row(image: truth[$0].image, score: 0, index: $0) }
        there.sort { $0.image != $1.image ? $0.image < $1.image : $0.index < $1.index }
        var found = foundRows.map {
            Row(image: predictions[$0].image, score: predictions[$0].score, index: $0)
        }
        // Pictures in their order, as those of equal scores are ranked by it.
        found.sort {
            $0.image != $1.image
                ? $0.image < $1.image : $0.score != $1.score ? $0.score > $1.score : $0.index < $1.index
        }
        scores.reserveCapacity(found.count)
        ranks.reserveCapacity(found.count)
        hits.reserveCapacity(found.count * areas)
        ignored.reserveCapacity(found.count * areas)

        var cell = Cell()
        let limit = settings.limits.last!
        var (t, p) = (0, 0)
        while t < there.count || p < found.count {
            let image = min(
                t < there.count ? there[t].image : .max, p < found.count ? found[p].image : .max)
            let (firstTruth, firstFound) = (t, p)
            while t < there.count, there[t].image == image { t += 1 }
            while p < found.count, found[p].image == image { p += 1 }
            let truths = firstTruth..<t
            let ranked = firstFound..<min(p, firstFound + limit)

            cell.start(truths.count)
            if !truths.isEmpty {
                for row in ranked {
                    for column in truths {
                        cell.add(similarity(predictions[found[row].index].shape, truth[there[column].index]))
                    }
                }
            }
            let start = hits.count
            for row in ranked {
                scores.append(found[row].score)
                ranks.append(row - firstFound)
                let size = predictions[found[row].index].area
                for area in settings.areas {
                    hits.append(0)
                    ignored.append(size < area.least || size > area.most ? Self.allSteps : 0)
                }
            }
            for (area, range) in settings.areas.enumerated() {
                counts[area] += cell.setTruths(truths.map { truth[there[$0].index] }, range)
                guard cell.canMatch else { continue }
                for (step, threshold) in AveragePrecision.thresholds.enumerated() {
                    cell.match(ranked.count, threshold) { rank, isIgnored in
                        let (flags, bit) = (start + rank * areas + area, UInt16(1) << step)
                        hits[flags] |= bit
                        if isIgnored { ignored[flags] |= bit } else { ignored[flags] &= ~bit }
                    }
                }
            }
        }
    }

    /// Precision and recall from what matched.
    ///
    /// - Parameters:
    ///   - precisions: by area, threshold and recall.
    ///   - recalled: by area and threshold.
    ///   - within: by limit and threshold, over all areas.
    func accumulate(
        precisions: UnsafeMutablePointer<Double>, recalled: UnsafeMutablePointer<Double>,
        within: UnsafeMutablePointer<Double>
    ) {
        let (areas, steps) = (settings.areas.count, AveragePrecision.thresholds.count)
        let points = AveragePrecision.recalls
        let order = scores.indices.sorted {
            scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1
        }
        for area in 0..<areas where counts[area] > 0 {
            let count = Double(counts[area])
            // Precision rises only where something is found, so those places tell all.
            var found = [[Double]](repeating: [], count: steps)
            var all = [Double](repeating: 0, count: steps)
            var allOfAll = 0.0
            for index in order {
                let (isIgnored, hit) = (ignored[index * areas + area], hits[index * areas + area])
                if isIgnored == 0 {
                    allOfAll += 1
                } else if isIgnored == Self.allSteps {
                    continue
                } else {
                    for step in 0..<steps where isIgnored & (1 << step) == 0 { all[step] += 1 }
                }
                var right = hit & ~isIgnored
                while right != 0 {
                    let step = right.trailingZeroBitCount
                    right &= right - 1
                    found[step].append(
                        Double(found[step].count + 1) / (allOfAll + all[step] + .ulpOfOne))
                }
            }
            for step in 0..<steps {
                let row = area * steps + step
                var precision = found[step]
                recalled[row] = Double(precision.count) / count
                for index in precision.indices.dropFirst().reversed() {
                    precision[index - 1] = max(precision[index - 1], precision[index])
                }
                var index = 0
                for point in points.indices {
                    while index < precision.count, Double(index + 1) / count < points[point] { index += 1 }
                    precisions[row * points.count + point] = index < precision.count ? precision[index] : 0
                }
            }
        }
        guard counts[0] > 0 else { return }
        for (place, limit) in settings.limits.enumerated() {
            var right = [Int](repeating: 0, count: steps)
            for index in scores.indices where ranks[index] < limit {
                let hit = hits[index * areas] & ~ignored[index * areas]
                guard hit != 0 else { continue }
                for step in 0..<steps where hit & (1 << step) != 0 { right[step] += 1 }
            }
            for step in 0..<steps { within[place * steps + step] = Double(right[step]) / Double(counts[0]) }
        }
    }
}

/// The matching of one picture's detections with its truth; kept from picture to picture, to be made once.
private struct Cell {
    private var truths = 0
    /// By detection and truth.
    private var similarities: [Double] = []
    private var greatest = 0.0
    private var order: [Int] = []
    private var isCrowd: [Bool] = []
    private var isIgnored: [Bool] = []
    private var isTaken: [Bool] = []

    mutating func start(_ truths: Int) {
        self.truths = truths
        greatest = 0
        similarities.removeAll(keepingCapacity: true)
    }

    mutating func add(_ similarity: Double) {
        similarities.append(similarity)
        if similarity > greatest { greatest = similarity }
    }

    /// Whether any detection is similar enough to any truth.
    var canMatch: Bool { greatest >= AveragePrecision.thresholds[0] }

    /// Says which of the truths count in a range of areas.
    ///
    /// - Returns: how many.
    mutating func setTruths<Real>(
        _ there: [AveragePrecision.Truth<Real>], _ range: AveragePrecision.Areas
    ) -> Int {
        isCrowd.removeAll(keepingCapacity: true)
        isIgnored.removeAll(keepingCapacity: true)
        order.removeAll(keepingCapacity: true)
        for (index, truth) in there.enumerated() {
            isCrowd.append(truth.isCrowd)
            isIgnored.append(truth.isIgnored || truth.area < range.least || truth.area > range.most)
            if !isIgnored[index] { order.append(index) }
        }
        // Those that count come first: an ignored one is matched only where none of them fits.
        let count = order.count
        for index in there.indices where isIgnored[index] { order.append(index) }
        return count
    }

    /// Matches at one threshold, and tells of each match its detection and whether its truth is ignored.
    mutating func match(_ found: Int, _ threshold: Double, _ take: (Int, Bool) -> Void) {
        guard greatest >= min(threshold, 1 - 1e-10) else { return }
        isTaken.removeAll(keepingCapacity: true)
        for _ in 0..<truths { isTaken.append(false) }
        for rank in 0..<found {
            var best = min(threshold, 1 - 1e-10)
            var match = -1
            for index in order {
                if isTaken[index], !isCrowd[index] { continue }
                if match >= 0, !isIgnored[match], isIgnored[index] { break }
                let value = similarities[rank * truths + index]
                if value < best { continue }
                best = value
                match = index
            }
            guard match >= 0 else { continue }
            isTaken[match] = true
            take(rank, isIgnored[match])
        }
    }
}

// MARK: - Figures

extension AveragePrecision {
    /// Mean precision over recalls and categories.
    ///
    /// - Parameters:
    ///   - threshold: the place of one in ``thresholds``; all of them when left out.
    ///   - area: the place of a range in the settings.
    ///   - category: one alone; all of them when left out.
    /// - Returns: 0 to 1; -1 when nothing is there.
    public func ap(threshold: Int? = nil, area: Int = 0, category: Int? = nil) -> Double {
        let points = Self.recalls.count
        return mean(threshold, area, category, of: settings.areas.count) { row in
            guard precisions[row * points] >= 0 else { return -1 }
            var sum = 0.0
            for point in 0..<points { sum += precisions[row * points + point] }
            return sum / Double(points)
        }
    }

    /// Mean greatest recall over categories, of the `limit`-th of the settings' limits, or of the last in an area.
    public func ar(
        threshold: Int? = nil, area: Int = 0, limit: Int? = nil, category: Int? = nil
    ) -> Double {
        if let limit {
            return mean(threshold, limit, category, of: settings.limits.count) { recalledWithin[$0] }
        }
        return mean(threshold, area, category, of: settings.areas.count) { recalled[$0] }
    }

    /// The precision at each of ``recalls``, mean over the categories; empty when nothing is there.
    ///
    /// - Parameters:
    ///   - threshold: the place of one in ``thresholds``; the mean over all of them when left out.
    ///   - area: the place of a range in the settings.
    public func curve(threshold: Int? = nil, area: Int = 0) -> [Double] {
        let points = Self.recalls.count
        let curve = (0..<points).map { point in
            mean(threshold, area, nil, of: settings.areas.count) { precisions[$0 * points + point] }
        }
        return curve[0] < 0 ? [] : curve
    }

    private func mean(
        _ threshold: Int?, _ column: Int, _ category: Int?, of columns: Int, _ value: (Int) -> Double
    ) -> Double {
        var (sum, count) = (0.0, 0)
        for (place, name) in categories.enumerated() where category == nil || category == name {
            for step in Self.thresholds.indices where threshold == nil || threshold == step {
                let value = value((place * columns + column) * Self.thresholds.count + step)
                guard value >= 0 else { continue }
                sum += value
                count += 1
            }
        }
        return count == 0 ? -1 : sum / Double(count)
    }

    /// The figures of pycocotools' summary in its order: 12 of boxes and masks, 10 of keypoints.
    public var figures: [Figure] { figures(of: nil) }

    /// The same of one category alone.
    public func figures(of category: Int?) -> [Figure] {
        var figures: [Figure] = []
        let limit = settings.limits.last!
        func add(
            _ isPrecision: Bool, _ suffix: String, _ iou: String, _ area: String, _ limit: Int,
            _ value: Double
        ) {
            let (title, short) = isPrecision ? ("Average Precision ", "AP") : ("Average Recall    ", "AR")
            func padded(_ text: String, _ width: Int) -> String {
                String(repeating: " ", count: max(0, width - text.count)) + text
            }
            let range = iou.padding(toLength: 9, withPad: " ", startingAt: 0)
            let places = "IoU=\(range) | area=\(padded(area, 6)) | maxDets=\(padded(String(limit), 3))"
            let line = " \(title) (\(short)) @[ \(places) ] = \(String(format: "%0.3f", value))"
            figures.append(Figure(name: short + suffix, value: value, line: line))
        }
        let sizes = settings.areas.indices.dropFirst()
        let all = "0.50:0.95"
        add(true, "", all, "all", limit, ap(category: category))
        add(true, "50", "0.50", "all", limit, ap(threshold: 0, category: category))
        add(true, "75", "0.75", "all", limit, ap(threshold: 5, category: category))
        for size in sizes {
            add(
                true, settings.areas[size].name, all, settings.areas[size].name, limit,
                ap(area: size, category: category))
        }
        if settings.limits.count > 1 {
            for (place, limit) in settings.limits.enumerated() {
                add(false, String(limit), all, "all", limit, ar(limit: place, category: category))
            }
        } else {
            add(false, "", all, "all", limit, ar(category: category))
            add(false, "50", "0.50", "all", limit, ar(threshold: 0, category: category))
            add(false, "75", "0.75", "all", limit, ar(threshold: 5, category: category))
        }
        for size in sizes {
            add(
                false, settings.areas[size].name, all, settings.areas[size].name, limit,
                ar(area: size, category: category))
        }
        return figures
    }
}

extension AveragePrecision.Prediction: Sendable where Shape: Sendable {}
extension AveragePrecision.Truth: Sendable where Shape: Sendable {}
