import Foundation

/// COCO's average precision and recall over any similarity, with pycocotools' definitions: greedy matching by score
/// at similarities of 0.5 to 0.95, crowds and ignored regions, precision at 101 recalls, areas, limits on the number of
/// detections, means over the categories that occur.
///
/// Equal to pycocotools 2.0.11 to rounding (AveragePrecisionTests). The one difference: an annotation with the id 0,
/// which pycocotools takes for none, is as good as any.
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
        similarity: (Found, Truth<Real>) -> Double
    ) {
        self.settings = settings
        categories = Set(truth.map(\.category)).sorted()
        let place = Dictionary(uniqueKeysWithValues: categories.enumerated().map { ($1, $0) })
        let truthRows = truth.indices.map {
            Row(category: place[truth[$0].category]!, image: truth[$0].image, score: 0, index: $0)
        }.sorted()
        let predictionRows = predictions.indices.compactMap { index -> Row? in
            let prediction = predictions[index]
            guard let category = place[prediction.category] else { return nil }
            return Row(category: category, image: prediction.image, score: prediction.score, index: index)
        }.sorted()

        let (areas, steps) = (settings.areas.count, Self.thresholds.count)
        precisions = Array(repeating: -1, count: categories.count * areas * steps * Self.recalls.count)
        recalled = Array(repeating: -1, count: categories.count * areas * steps)
        recalledWithin = Array(repeating: -1, count: categories.count * settings.limits.count * steps)
        let limit = settings.limits.last!
        var (t, p) = (0, 0)
        var matches = Matches(areas: areas)
        for category in categories.indices {
            matches.removeAll()
            while true {
                let hasTruth = t < truthRows.count && truthRows[t].category == category
                let hasFound = p < predictionRows.count && predictionRows[p].category == category
                guard hasTruth || hasFound else { break }
                // Pictures in their order, as those of equal scores are ranked by it.
                let image = min(
                    hasTruth ? truthRows[t].image : .max, hasFound ? predictionRows[p].image : .max)
                let (firstTruth, firstFound) = (t, p)
                while t < truthRows.count, truthRows[t].category == category, truthRows[t].image == image {
                    t += 1
                }
                while p < predictionRows.count, predictionRows[p].category == category,
                    predictionRows[p].image == image
                { p += 1 }
                let there = truthRows[firstTruth..<t].map { truth[$0.index] }
                let found = predictionRows[firstFound..<min(p, firstFound + limit)].map {
                    predictions[$0.index]
                }
                matches.add(found, there, settings.areas, similarity)
            }
            accumulate(matches, category)
        }
    }

    /// The order of pycocotools: by category, picture and falling score, and else as given.
    private struct Row: Comparable {
        let category: Int
        let image: Int
        let score: Double
        let index: Int

        static func < (a: Row, b: Row) -> Bool {
            if a.category != b.category { return a.category < b.category }
            if a.image != b.image { return a.image < b.image }
            if a.score != b.score { return a.score > b.score }
            return a.index < b.index
        }
    }

    /// Precision and recall of one category from what matched in its pictures.
    private mutating func accumulate(_ matches: Matches, _ category: Int) {
        let order = matches.scores.indices.sorted {
            matches.scores[$0] != matches.scores[$1] ? matches.scores[$0] > matches.scores[$1] : $0 < $1
        }
        let (areas, steps, points) = (settings.areas.count, Self.thresholds.count, Self.recalls.count)
        var precision: [Double] = []
        var recall: [Double] = []
        func follow(_ area: Int, _ step: Int, limit: Int) {
            let (bit, count) = (UInt16(1) << step, Double(matches.counts[area]))
            precision.removeAll(keepingCapacity: true)
            recall.removeAll(keepingCapacity: true)
            var (right, all) = (0.0, 0.0)
            for index in order where matches.ranks[index] < limit {
                let flags = index * areas + area
                if matches.ignored[flags] & bit != 0 { continue }
                all += 1
                if matches.hits[flags] & bit != 0 { right += 1 }
                recall.append(right / count)
                precision.append(right / (all + .ulpOfOne))
            }
        }
        for area in 0..<areas where matches.counts[area] > 0 {
            for step in 0..<steps {
                follow(area, step, limit: .max)
                let row = (category * areas + area) * steps + step
                recalled[row] = recall.last ?? 0
                for index in precision.indices.dropFirst().reversed() {
                    precision[index - 1] = max(precision[index - 1], precision[index])
                }
                var index = 0
                for point in 0..<points {
                    while index < recall.count, recall[index] < Self.recalls[point] { index += 1 }
                    precisions[row * points + point] = index < recall.count ? precision[index] : 0
                }
            }
        }
        guard matches.counts[0] > 0 else { return }
        for (place, limit) in settings.limits.enumerated() {
            for step in 0..<steps {
                follow(0, step, limit: limit)
                recalledWithin[(category * settings.limits.count + place) * steps + step] = recall.last ?? 0
            }
        }
    }
}

/// What matched in the pictures of one category; a detection's flags have one bit a threshold.
private struct Matches {
    let areas: Int
    private(set) var scores: [Double] = []
    /// A detection's rank in its picture.
    private(set) var ranks: [Int] = []
    /// By detection and area.
    private(set) var hits: [UInt16] = []
    private(set) var ignored: [UInt16] = []
    /// By area: how many there are to be found.
    private(set) var counts: [Int]
    // Kept from picture to picture, to be made once.
    private var similarities: [Double] = []
    private var order: [Int] = []
    private var isIgnored: [Bool] = []
    private var isTaken: [Bool] = []

    init(areas: Int) {
        self.areas = areas
        counts = Array(repeating: 0, count: areas)
    }

    mutating func removeAll() {
        scores.removeAll(keepingCapacity: true)
        ranks.removeAll(keepingCapacity: true)
        hits.removeAll(keepingCapacity: true)
        ignored.removeAll(keepingCapacity: true)
        for area in 0..<areas { counts[area] = 0 }
    }

    /// Matches one picture's detections, best first, with its truth.
    mutating func add<Found, Real>(
        _ found: [AveragePrecision.Prediction<Found>], _ there: [AveragePrecision.Truth<Real>],
        _ ranges: [AveragePrecision.Areas], _ similarity: (Found, AveragePrecision.Truth<Real>) -> Double
    ) {
        let start = hits.count
        for (rank, detection) in found.enumerated() {
            scores.append(detection.score)
            ranks.append(rank)
            for _ in 0..<areas {
                hits.append(0)
                ignored.append(0)
            }
        }
        similarities.removeAll(keepingCapacity: true)
        for detection in found {
            for truth in there { similarities.append(similarity(detection.shape, truth)) }
        }
        for (area, range) in ranges.enumerated() {
            isIgnored.removeAll(keepingCapacity: true)
            for truth in there {
                isIgnored.append(truth.isIgnored || truth.area < range.least || truth.area > range.most)
            }
            // Those that count come first: an ignored one is matched only where none of them fits.
            order.removeAll(keepingCapacity: true)
            for index in there.indices where !isIgnored[index] { order.append(index) }
            counts[area] += order.count
            for index in there.indices where isIgnored[index] { order.append(index) }
            for (step, threshold) in AveragePrecision.thresholds.enumerated() {
                let bit = UInt16(1) << step
                isTaken.removeAll(keepingCapacity: true)
                for _ in there { isTaken.append(false) }
                for rank in found.indices {
                    var best = min(threshold, 1 - 1e-10)
                    var match = -1
                    for index in order {
                        if isTaken[index], !there[index].isCrowd { continue }
                        if match >= 0, !isIgnored[match], isIgnored[index] { break }
                        let value = similarities[rank * there.count + index]
                        if value < best { continue }
                        best = value
                        match = index
                    }
                    let flags = start + rank * areas + area
                    if match >= 0 {
                        isTaken[match] = true
                        hits[flags] |= bit
                        if isIgnored[match] { ignored[flags] |= bit }
                    } else if found[rank].area < range.least || found[rank].area > range.most {
                        ignored[flags] |= bit
                    }
                }
            }
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
    public func ar(threshold: Int? = nil, area: Int = 0, limit: Int? = nil) -> Double {
        if let limit {
            return mean(threshold, limit, nil, of: settings.limits.count) { recalledWithin[$0] }
        }
        return mean(threshold, area, nil, of: settings.areas.count) { recalled[$0] }
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
    public var figures: [Figure] {
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
        add(true, "", all, "all", limit, ap())
        add(true, "50", "0.50", "all", limit, ap(threshold: 0))
        add(true, "75", "0.75", "all", limit, ap(threshold: 5))
        for size in sizes {
            add(true, settings.areas[size].name, all, settings.areas[size].name, limit, ap(area: size))
        }
        if settings.limits.count > 1 {
            for (place, limit) in settings.limits.enumerated() {
                add(false, String(limit), all, "all", limit, ar(limit: place))
            }
        } else {
            add(false, "", all, "all", limit, ar())
            add(false, "50", "0.50", "all", limit, ar(threshold: 0))
            add(false, "75", "0.75", "all", limit, ar(threshold: 5))
        }
        for size in sizes {
            add(false, settings.areas[size].name, all, settings.areas[size].name, limit, ar(area: size))
        }
        return figures
    }
}

extension AveragePrecision.Prediction: Sendable where Shape: Sendable {}
extension AveragePrecision.Truth: Sendable where Shape: Sendable {}
