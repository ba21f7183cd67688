/// The mean average precision of the 2018 Data Science Bowl: TP / (TP + FP + FN) of a picture's masks, the mean over
/// IoU thresholds of 0.5 to 0.95 and over pictures.
public struct MaskPrecision: Sendable, Hashable {
    /// 0.5, 0.55 … 0.95.
    public static let thresholds = AveragePrecision.thresholds

    /// By threshold, the sum over pictures.
    private var sums = [Double](repeating: 0, count: thresholds.count)
    /// How many pictures were scored.
    public private(set) var pictures = 0

    public init() {}

    /// Scores one picture, in which a mask is a find when its IoU is above the threshold. Each mask is taken once, the
    /// most similar first, which matters only where masks of one side overlap.
    ///
    /// - Parameters:
    ///   - found: all of one size.
    ///   - truth: of that size; a picture with nothing there and nothing found scores 1.
    /// - Returns: the picture's own mean.
    @discardableResult
    public mutating func add(_ found: [MaskShape], truth: [MaskShape]) -> Double {
        var pairs: [(iou: Double, found: Int, truth: Int)] = []
        for (row, mask) in found.enumerated() {
            for (column, real) in truth.enumerated() {
                let iou = mask.iou(real)
                if iou > Self.thresholds[0] { pairs.append((iou, row, column)) }
            }
        }
        pairs.sort { ($0.iou, $1.found, $1.truth) > ($1.iou, $0.found, $0.truth) }
        var isFoundTaken = [Bool](repeating: false, count: found.count)
        var isTruthTaken = [Bool](repeating: false, count: truth.count)
        var matched: [Double] = []
        for pair in pairs where !isFoundTaken[pair.found] && !isTruthTaken[pair.truth] {
            (isFoundTaken[pair.found], isTruthTaken[pair.truth]) = (true, true)
            matched.append(pair.iou)
        }
        var own = 0.0
        for (step, threshold) in Self.thresholds.enumerated() {
            let right = matched.count { $0 > threshold }
            let all = found.count + truth.count - right
            let precision = all == 0 ? 1 : Double(right) / Double(all)
            sums[step] += precision
            own += precision
        }
        pictures += 1
        return own / Double(Self.thresholds.count)
    }

    /// The mean over thresholds; nil without a picture.
    public var mean: Double? {
        pictures == 0 ? nil : sums.reduce(0, +) / Double(pictures * Self.thresholds.count)
    }

    /// At one threshold, by its place in ``thresholds``; nil without a picture.
    public func value(at step: Int) -> Double? { pictures == 0 ? nil : sums[step] / Double(pictures) }
}
