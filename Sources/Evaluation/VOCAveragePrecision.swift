import Foundation
public import Media

/// Pascal VOC's average precision at IoU 0.5, as the development kit of VOC2007 and its Python form `voc_eval.py`
/// (py-faster-rcnn) have it: detections by falling score, each to the truth that fits it best, difficult things ignored.
public enum VOCAveragePrecision {
    /// How the area under the curve is taken.
    public enum Interpolation: String, Sendable, CaseIterable, Codable {
        /// The mean of the greatest precisions at recalls of 0, 0.1 … 1: VOC2007.
        case elevenPoint = "07"
        /// The area under the curve, made to fall: VOC2010 and after.
        case area
    }

    /// A box that was found, or is there.
    public struct Entry: Sendable, Hashable {
        public var image: String
        /// In pixels; VOC's corners, both inside, are a box of `xmax - xmin + 1`.
        public var box: Box
        /// Of a detection.
        public var score: Double
        /// Of a truth: neither finding nor missing it counts.
        public var isDifficult: Bool

        public init(image: String, box: Box, score: Double = 0, isDifficult: Bool = false) {
            self.image = image
            self.box = box
            self.score = score
            self.isDifficult = isDifficult
        }
    }

    /// The average precision of one class.
    ///
    /// - Parameters:
    ///   - found: of the class, in any order; those of equal scores are ranked as given.
    ///   - truth: of the class.
    ///   - interpolation: the year's way.
    ///   - threshold: an IoU above it is a find.
    /// - Returns: 0 to 1; nil when nothing is there that counts.
    public static func ap(
        _ found: [Entry], truth: [Entry], _ interpolation: Interpolation, threshold: Double = 0.5
    ) -> Double? {
        let count = truth.count { !$0.isDifficult }
        guard count > 0 else { return nil }
        let there = Dictionary(grouping: truth.indices) { truth[$0].image }
        var isTaken = [Bool](repeating: false, count: truth.count)
        var (right, wrong) = (0.0, 0.0)
        var recall: [Double] = []
        var precision: [Double] = []
        let order = found.indices.sorted {
            found[$0].score != found[$1].score ? found[$0].score > found[$1].score : $0 < $1
        }
        for index in order {
            var (best, match) = (-Double.infinity, -1)
            for place in there[found[index].image] ?? [] {
                let iou = found[index].box.iou(truth[place].box)
                if iou > best { (best, match) = (iou, place) }
            }
            if best > threshold {
                if truth[match].isDifficult {
                    // Counts neither way.
                } else if isTaken[match] {
                    wrong += 1
                } else {
                    right += 1
                    isTaken[match] = true
                }
            } else {
                wrong += 1
            }
            recall.append(right / Double(count))
            precision.append(right / max(right + wrong, .ulpOfOne))
        }
        switch interpolation {
        case .elevenPoint:
            var sum = 0.0
            // NumPy's `arange(0, 1.1, 0.1)`, to the last bit.
            for point in 0...10 {
                let least = Double(point) * 0.1
                let greatest = recall.indices.lazy.filter { recall[$0] >= least }.map { precision[$0] }.max()
                sum += (greatest ?? 0) / 11
            }
            return sum
        case .area:
            var sum = 0.0
            var envelope = 0.0
            for index in recall.indices.reversed() {
                envelope = max(envelope, precision[index])
                sum += (recall[index] - (index > 0 ? recall[index - 1] : 0)) * envelope
            }
            return sum
        }
    }
}
