import Foundation
public import Media
public import Perception
public import Torch

/// One thing found.
public struct Detection: Sendable, Hashable {
    /// In pixels of the original picture.
    public var box: Box
    /// Where the heat is highest, in pixels of the original picture.
    public var point: Point
    /// The heat there, 0...1.
    public var score: Double
}

/// The light decoders that turn a heatmap into boxes and points (LUMEN, section 3.3).
public struct Locator: Sendable, Hashable {
    /// Peaks taken from a heatmap at most; LUMEN's K.
    public var maximumPeaks = 100
    /// Boxes that overlap a better one by more than this are dropped.
    public var overlapLimit = 0.6
    /// Peaks below this are not answered.
    public var threshold = 0.4

    public init(maximumPeaks: Int = 100, overlapLimit: Double = 0.6, threshold: Double = 0.4) {
        self.maximumPeaks = maximumPeaks
        self.overlapLimit = overlapLimit
        self.threshold = threshold
    }

    /// What was found for every query of one picture, best first.
    ///
    /// - Parameters:
    ///   - maps: of one picture, [1, queries, cells].
    ///   - frame: how the picture was fitted into the encoder's input.
    public func detections(_ maps: AlignerMaps, in frame: PictureFrame) throws -> [[Detection]] {
        try detections(heat: maps.heat, logSize: maps.logSize, grid: maps.grid, in: frame)
    }

    /// The same from the two maps alone.
    ///
    /// - Parameters:
    ///   - heatLogits: [1, queries, cells].
    ///   - logSize: [1, queries, cells, 2], the logarithms of width and height in units of 16 input pixels.
    ///   - grid: the rows and columns of cells.
    ///   - frame: how the picture was fitted into the encoder's input.
    public func detections(
        heat heatLogits: Tensor, logSize: Tensor, grid: (height: Int, width: Int), in frame: PictureFrame
    ) throws -> [[Detection]] {
        let (rows, columns) = (grid.height, grid.width)
        let queries = heatLogits.size(1)
        let logHeat = try heatLogits.to(.float32).logSigmoid().view([queries, 1, rows, columns])
        // A peak is no lower than its eight neighbours.
        let highest = try maxPool2d(logHeat, kernel: 3, stride: 1, padding: 1)
        let peaks = try Tensor.where(logHeat .== highest, logHeat, Tensor.full([1], -1e4)).view([queries, -1])
        let top = try peaks.topK(min(maximumPeaks, rows * columns))
        let (scores, cells) = (try top.values.exp().array(Float.self), try top.indices.array(Int.self))
        let heat = try logHeat.array(Float.self)
        let sizes = try logSize.to(.float32).array(Float.self)
        let count = cells.count / max(queries, 1)
        let cellWidth = Double(frame.inputSize) / Double(columns)
        let cellHeight = Double(frame.inputSize) / Double(rows)

        return (0..<queries).map { query in
            var found: [Detection] = []
            for rank in 0..<count {
                let score = Double(scores[query * count + rank])
                guard score >= threshold else { break }
                let cell = cells[query * count + rank]
                let (row, column) = (cell / columns, cell % columns)
                func value(_ r: Int, _ c: Int) -> Double {
                    let (r, c) = (min(max(r, 0), rows - 1), min(max(c, 0), columns - 1))
                    return Double(heat[query * rows * columns + r * columns + c])
                }
                let dx = parabolaPeak(value(row, column - 1), value(row, column), value(row, column + 1))
                let dy = parabolaPeak(value(row - 1, column), value(row, column), value(row + 1, column))
                let x = (Double(column) + 0.5 + dx) * cellWidth
                let y = (Double(row) + 0.5 + dy) * cellHeight
                let size = (query * rows * columns + cell) * 2
                let width = boxSide(sizes[size])
                let height = boxSide(sizes[size + 1])
                let box = Box(x: x - width / 2, y: y - height / 2, width: width, height: height)
                guard let visible = frame.original(box) else { continue }
                found.append(Detection(box: visible, point: frame.original(Point(x: x, y: y)), score: score))
            }
            return suppressed(found)
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

    /// Where between -0.5 and 0.5 a parabola through three neighbours has its peak.
    private func parabolaPeak(_ before: Double, _ at: Double, _ after: Double) -> Double {
        let curvature = before - 2 * at + after
        guard curvature < -1e-4 else { return 0 }
        return min(max(0.5 * (before - after) / curvature, -0.5), 0.5)
    }

    /// The side in pixels of a predicted log size, which the network gives relative to 16 pixels.
    private func boxSide(_ logSize: Float) -> Double {
        16 * exp(Double(min(max(logSize, -3), 4)))
    }
}
