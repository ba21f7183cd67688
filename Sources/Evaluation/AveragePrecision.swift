public import Media

/// COCO's average precision of boxes, with pycocotools' definitions: greedy matching by score at IoU 0.5 to 0.95,
/// at most 100 boxes a picture and category, precision at 101 recalls, mean over the categories that occur.
public struct AveragePrecision: Sendable {
    /// A box that a model gives.
    public struct Prediction: Sendable {
        public let image: Int
        public let category: Int
        public let box: Box
        public let score: Double

        public init(image: Int, category: Int, box: Box, score: Double) {
            self.image = image
            self.category = category
            self.box = box
            self.score = score
        }
    }

    /// A box that is there.
    public struct Truth: Sendable {
        public let image: Int
        public let category: Int
        public let box: Box

        public init(image: Int, category: Int, box: Box) {
            self.image = image
            self.category = category
            self.box = box
        }
    }

    /// The thresholds 0.50, 0.55, … 0.95.
    public static let thresholds = (0..<10).map { 0.5 + 0.05 * Double($0) }
    static let recalls = (0...100).map { Double($0) / 100 }

    /// A category's precision, mean over the recalls, at each threshold.
    public let byCategory: [Int: [Double]]

    /// The mean over thresholds and categories; `nil` when nothing is there.
    public var ap: Double? { mean { $0.reduce(0, +) / Double($0.count) } }
    public var ap50: Double? { mean { $0[0] } }
    public var ap75: Double? { mean { $0[5] } }

    private func mean(_ value: ([Double]) -> Double) -> Double? {
        byCategory.isEmpty ? nil : byCategory.values.map(value).reduce(0, +) / Double(byCategory.count)
    }

    public init(_ predictions: [Prediction], truth: [Truth]) {
        let boxes = Dictionary(grouping: truth) { Key(image: $0.image, category: $0.category) }
        let found = Dictionary(grouping: predictions) { Key(image: $0.image, category: $0.category) }
        let images = Set(truth.map(\.image)).union(predictions.map(\.image)).sorted()
        var byCategory: [Int: [Double]] = [:]
        for category in Set(truth.map(\.category)).sorted() {
            var scored: [(score: Double, hits: [Bool])] = []
            var count = 0
            for image in images {
                let key = Key(image: image, category: category)
                let there = (boxes[key] ?? []).map(\.box)
                count += there.count
                scored += Self.match((found[key] ?? []), there)
            }
            // Equal scores stay in the order of the pictures, as with pycocotools' merge sort.
            let order = scored.indices.sorted { (scored[$0].score, -$0) > (scored[$1].score, -$1) }
            byCategory[category] = Self.thresholds.indices.map { threshold in
                Self.precision(order.map { scored[$0].hits[threshold] }, of: count)
            }
        }
        self.byCategory = byCategory
    }

    private struct Key: Hashable {
        let image: Int
        let category: Int
    }

    /// Which predictions of one picture and category hit a box of their own, at each threshold.
    private static func match(_ predictions: [Prediction], _ boxes: [Box]) -> [(score: Double, hits: [Bool])]
    {
        let order = predictions.indices.sorted { (predictions[$0].score, -$0) > (predictions[$1].score, -$1) }
        let best = order.prefix(100).map { predictions[$0] }
        let overlaps = best.map { prediction in boxes.map { prediction.box.iou($0) } }
        var hits = best.map { _ in [Bool](repeating: false, count: thresholds.count) }
        for (t, threshold) in thresholds.enumerated() {
            var taken = [Bool](repeating: false, count: boxes.count)
            for rank in best.indices {
                var overlap = min(threshold, 1 - 1e-10)
                var hit: Int?
                for index in boxes.indices where !taken[index] && overlaps[rank][index] >= overlap {
                    overlap = overlaps[rank][index]
                    hit = index
                }
                if let hit {
                    taken[hit] = true
                    hits[rank][t] = true
                }
            }
        }
        return zip(best, hits).map { ($0.score, $1) }
    }

    /// Precision, mean over the 101 recalls, of hits in order of their scores.
    private static func precision(_ hits: [Bool], of count: Int) -> Double {
        var (right, precisions, reached) = (0, [Double](), [Double]())
        for (rank, hit) in hits.enumerated() {
            right += hit ? 1 : 0
            precisions.append(Double(right) / (Double(rank + 1) + .ulpOfOne))
            reached.append(Double(right) / Double(count))
        }
        for index in precisions.indices.dropLast().reversed() {
            precisions[index] = max(precisions[index], precisions[index + 1])
        }
        var index = 0
        var sum = 0.0
        for recall in recalls {
            while index < reached.count, reached[index] < recall { index += 1 }
            if index < precisions.count { sum += precisions[index] }
        }
        return sum / Double(recalls.count)
    }
}
