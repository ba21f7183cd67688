import Foundation
import Media
public import NN
public import Perception
public import Torch

/// The light decoders that turn a heatmap into boxes and points (LUMEN, section 3.3).
public struct Locator: Sendable, Hashable, Codable, CheckedConfiguration {
    /// The most peaks that are taken from a heatmap; LUMEN's K.
    public var maximumPeaks: Int
    /// The IoU with a better box above which a box is dropped.
    public var overlapLimit: Double
    /// Peaks below this heat are not answered. If none is left, there is no such thing in the picture.
    public var threshold: Double
    /// Peaks below this heat are not counted.
    public var countThreshold: Double
    /// Other count thresholds for some phrases, such as the classes of a fine-tuned model.
    public var countThresholds: [String: Double]?
    /// The most things of one request, over all its phrases; the best are kept, before masks are made. Nil for no
    /// limit.
    public var maximumDetections: Int?
    /// Whether boxes are drawn around the segmenter's masks, for a model whose segmenter was trained on the same
    /// pictures; nil for no.
    public var masksBoxes: Bool?
    /// The least probability, 0 to 1, with which a phrase with an unknown word must name one kind of thing, or none,
    /// to be searched for. A word is unknown if it has no single token. Words that training never showed get several
    /// kinds, none with a high probability. Nil searches for every phrase.
    public var knownThreshold: Double?
    /// The power that turns heat into the score of a thing of 64 input pixels or more. Below 1 it raises the scores of
    /// large things, whose centres have less heat though they are as often right. Up to 32 pixels the power is 1, and
    /// between 32 and 64 pixels it changes from 1 to this. Nil for 1.
    public var largePower: Double?

    /// - Parameters:
    ///   - maximumPeaks: the most peaks that are taken from a heatmap.
    ///   - overlapLimit: the IoU with a better box above which a box is dropped.
    ///   - threshold: the least heat of a place in an answer.
    ///   - countThreshold: the least heat of a place that is counted; `threshold` when left out.
    ///   - maximumDetections: the most things of one request; nil for no limit.
    ///   - masksBoxes: whether boxes are drawn around the segmenter's masks.
    ///   - knownThreshold: the least probability with which a phrase with an unknown word must name one kind, or none.
    ///   - largePower: the power that turns heat into the score of large things.
    public init(
        maximumPeaks: Int = 100, overlapLimit: Double = 0.6, threshold: Double = 0.4,
        countThreshold: Double? = nil, maximumDetections: Int? = nil, masksBoxes: Bool? = nil,
        knownThreshold: Double? = nil, largePower: Double? = nil
    ) {
        self.maximumPeaks = maximumPeaks
        self.overlapLimit = overlapLimit
        self.threshold = threshold
        self.countThreshold = countThreshold ?? threshold
        self.maximumDetections = maximumDetections
        self.masksBoxes = masksBoxes
        self.knownThreshold = knownThreshold
        self.largePower = largePower
    }

    enum CodingKeys: String, CodingKey {
        case maximumPeaks = "maximum_peaks"
        case overlapLimit = "overlap_limit"
        case threshold
        case countThreshold = "count_threshold"
        case countThresholds = "count_thresholds"
        case maximumDetections = "maximum_detections"
        case masksBoxes = "masks_boxes"
        case knownThreshold = "known_threshold"
        case largePower = "large_power"
    }

    public func check() throws {
        let check = ConfigurationCheck("the locator")
        try check.within(
            1...100_000,
            ["maximum_peaks": maximumPeaks, "maximum_detections": maximumDetections ?? 1])
        try check.within(
            0...1,
            [
                "overlap_limit": overlapLimit, "threshold": threshold, "count_threshold": countThreshold,
                "known_threshold": knownThreshold ?? 0,
            ])
        for (phrase, threshold) in countThresholds ?? [:] {
            try check.within(0...1, ["the count_threshold of \(phrase)": threshold])
        }
        try check.within(0...100, ["large_power": largePower ?? 1])
    }

    /// These thresholds with another locator's limits on how much is answered. Used for the model from before a fine-tuning,
    /// whose heat has its own scale.
    func limited(as other: Locator) -> Locator {
        var locator = self
        locator.threshold = other.threshold
        locator.maximumPeaks = other.maximumPeaks
        locator.maximumDetections = other.maximumDetections
        return locator
    }

    /// The best detections over all queries, up to ``maximumDetections``.
    func best(of found: [[Detection]]) -> [[Detection]] {
        let scores = found.joined().map(\.score)
        guard let maximumDetections, scores.count > maximumDetections else { return found }
        let least = scores.sorted(by: >)[max(maximumDetections, 1) - 1]
        return found.map { $0.filter { $0.score >= least } }
    }

    /// The least heat of a place that is counted for a phrase; nil for an unknown phrase.
    public func countThreshold(for phrase: String?) -> Double {
        phrase.flatMap { countThresholds?[$0] } ?? countThreshold
    }

    /// A locator that finds everything that counts for these phrases.
    func counting(_ phrases: [String?]) -> Locator {
        var locator = self
        locator.threshold = phrases.map(countThreshold(for:)).min() ?? countThreshold
        return locator
    }

    /// What was found for every query of one picture, best first.
    ///
    /// - Parameters:
    ///   - maps: of one picture, [1, queries, cells].
    ///   - frame: how the picture was fitted into the encoder's input.
    public func detections(_ maps: AlignerMaps, in frame: PictureFrame) throws -> [[Detection]] {
        try detections(
            heat: maps.heat, logSize: maps.logSize, offset: maps.offset, grid: maps.grid, in: frame)
    }

    /// The same from the maps alone.
    ///
    /// - Parameters:
    ///   - heatLogits: [1, queries, cells].
    ///   - logSize: [1, queries, cells, 2], the logarithms of width and height in units of 16 input pixels.
    ///   - offset: [1, queries, cells, 2], how many cells right of and below a cell's centre the thing's centre is. If
    ///     nil, a parabola through the heat around a peak gives the centre.
    ///   - grid: the rows and columns of cells.
    ///   - frame: how the picture was fitted into the encoder's input.
    public func detections(
        heat heatLogits: Tensor, logSize: Tensor, offset: Tensor? = nil, grid: (height: Int, width: Int),
        in frame: PictureFrame
    ) throws -> [[Detection]] {
        let (rows, columns) = (grid.height, grid.width)
        let queries = heatLogits.size(1)
        let logHeat = try heatLogits.to(.float32).logSigmoid().view([queries, 1, rows, columns])
        // A peak is no lower than its eight neighbours.
        let highest = try maxPool2d(logHeat, kernel: 3, stride: 1, padding: 1)
        let peaks = try Tensor.where(
            logHeat .== highest, logHeat, Tensor.full([1], -1e4, device: logHeat.device)
        )
        .view([queries, -1])
        let count = min(maximumPeaks, rows * columns)
        let top = try peaks.topK(count)
        let (scores, cells) = (try top.values.exp().array(Float.self), try top.indices.array(Int.self))
        // Of the other maps only the peaks' cells are needed.
        func atPeaks(_ map: Tensor) throws -> [Float] {
            try map.to(.float32).reshaped(queries, rows * columns, 2)
                .gathered(1, top.indices.unsqueezed(2).expanded(queries, count, 2)).array(Float.self)
        }
        let sizes = try atPeaks(logSize)
        let offsets = try offset.map(atPeaks)
        // The least is NaN where any is, and no peak would be.
        let least = Float(try logHeat.min().item())
        guard !([least] + sizes + (offsets ?? [])).contains(where: \.isNaN) else {
            throw ModelError.noNumbers(of: "the aligner")
        }
        let around = offsets == nil ? LogHeat(try logHeat.array(Float.self), rows, columns) : nil
        let cellWidth = Double(frame.inputWidth) / Double(columns)
        let cellHeight = Double(frame.inputHeight) / Double(rows)

        return (0..<queries).map { query in
            var found: [Detection] = []
            for rank in (query * count)..<((query + 1) * count) {
                let heat = Double(scores[rank])
                guard pow(heat, min(1, largePower ?? 1)) >= threshold else { break }
                let cell = cells[rank]
                let (dx, dy) =
                    offsets.map { (Double($0[2 * rank]), Double($0[2 * rank + 1])) }
                    ?? around!.refinement(query, cell)
                let x = (Double(cell % columns) + 0.5 + dx) * cellWidth
                let y = (Double(cell / columns) + 0.5 + dy) * cellHeight
                let (width, height) = (boxSide(sizes[2 * rank]), boxSide(sizes[2 * rank + 1]))
                let box = Box(x: x - width / 2, y: y - height / 2, width: width, height: height)
                let score = score(of: heat, side: max(width, height))
                guard score >= threshold, let visible = frame.original(box) else { continue }
                found.append(Detection(box: visible, point: frame.original(Point(x: x, y: y)), score: score))
            }
            if largePower != nil { found.sort { $0.score > $1.score } }
            return suppressed(found)
        }
    }

    /// The score of a peak whose box has this longer side, in input pixels.
    private func score(of heat: Double, side: Double) -> Double {
        guard let largePower else { return heat }
        return pow(heat, 1 + (largePower - 1) * min(max(log2(side / 32), 0), 1))
    }

    /// The highest place of every heatmap in input pixels, refined by a parabola, and its heat. This is LUMEN's K = 1
    /// for a joint, which always has a place.
    ///
    /// - Parameters:
    ///   - logHeat: [b, queries, rows, columns], the logarithms of heats.
    ///   - input: the size of the encoder's input.
    /// - Returns: for each of the b pictures, one place for each query.
    static func summits(_ logHeat: Tensor, input: (width: Int, height: Int)) throws -> [[(
        point: Point, score: Double
    )]] {
        let (pictures, queries, rows, columns) = logHeat.shape4
        let cells = try logHeat.reshaped(pictures, queries, -1).argmax(2).array(Int.self)
        let heat = LogHeat(try logHeat.array(Float.self), rows, columns)
        return (0..<pictures).map { picture in
            (0..<queries).map { query in
                let map = picture * queries + query
                let cell = cells[map]
                let (dx, dy) = heat.refinement(map, cell)
                let point = Point(
                    x: (Double(cell % columns) + 0.5 + dx) * Double(input.width) / Double(columns),
                    y: (Double(cell / columns) + 0.5 + dy) * Double(input.height) / Double(rows))
                return (point, exp(heat.value(map, cell / columns, cell % columns)))
            }
        }
    }

    /// Greedy non-maximum suppression; `found` comes best first.
    private func suppressed(_ found: [Detection]) -> [Detection] {
        var kept: [Detection] = []
        for detection in found where !kept.contains(where: { $0.box.iou(detection.box) > overlapLimit }) {
            kept.append(detection)
        }
        return kept
    }

    /// The side in pixels of a predicted log size, which the network gives relative to 16 pixels.
    private func boxSide(_ logSize: Float) -> Double {
        16 * exp(Double(min(max(logSize, -3), 4)))
    }
}

/// The logarithms of heat, one map after the other.
private struct LogHeat {
    let values: [Float]
    let rows: Int
    let columns: Int

    init(_ values: [Float], _ rows: Int, _ columns: Int) {
        self.values = values
        self.rows = rows
        self.columns = columns
    }

    func value(_ map: Int, _ row: Int, _ column: Int) -> Double {
        Double(values[(map * rows + row) * columns + column])
    }

    /// The distance, in cells, from a cell's centre to the peak of the parabolas through it and its neighbours; 0 along
    /// an axis on which a neighbour is missing.
    func refinement(_ map: Int, _ cell: Int) -> (dx: Double, dy: Double) {
        let (row, column) = (cell / columns, cell % columns)
        let here = value(map, row, column)
        let isInside = (x: column > 0 && column < columns - 1, y: row > 0 && row < rows - 1)
        return (
            isInside.x
                ? parabolaPeak(value(map, row, column - 1), here, value(map, row, column + 1)) : 0,
            isInside.y ? parabolaPeak(value(map, row - 1, column), here, value(map, row + 1, column)) : 0
        )
    }

    /// The peak of a parabola through three neighbours, between -0.5 and 0.5.
    private func parabolaPeak(_ before: Double, _ at: Double, _ after: Double) -> Double {
        let curvature = before - 2 * at + after
        guard curvature < -1e-4 else { return 0 }
        return min(max(0.5 * (before - after) / curvature, -0.5), 0.5)
    }
}
