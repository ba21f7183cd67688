import Foundation
package import Torch

/// The true heat on one grid of cells: a Gaussian for each target, exactly 1 in the cell that holds the centre
/// (LUMEN, equation 3; CenterNet's penalty-reduced truth).
///
/// It is written cell by cell near each target, which costs far less than operators on whole maps.
struct HeatGrid {
    /// The side of a cell of the embedded model's maps, in input pixels.
    static let stride = 4.0

    /// Input pixels a cell.
    let stride: Double

    let rows: Int
    let columns: Int
    /// [rows * columns]: the maximum over all targets.
    private(set) var heat: [Float]
    /// The number of the target that each cell belongs to, -1 for none.
    private(set) var owner: [Int32]

    init(rows: Int, columns: Int, stride: Double = HeatGrid.stride) {
        self.stride = stride
        self.rows = rows
        self.columns = columns
        heat = [Float](repeating: 0, count: rows * columns)
        owner = [Int32](repeating: -1, count: rows * columns)
    }

    /// - Parameters:
    ///   - centre: in input pixels. Outside the grid nothing is added.
    ///   - deviation: of the Gaussian, in input pixels along each axis.
    ///   - target: its number.
    mutating func add(centre: (x: Double, y: Double), deviation: (x: Double, y: Double), target: Int) {
        let (column, row) = (
            Int((centre.x / stride).rounded(.down)), Int((centre.y / stride).rounded(.down))
        )
        guard (0..<columns).contains(column), (0..<rows).contains(row) else { return }
        func profile(_ centre: Double, _ deviation: Double, _ count: Int) -> (
            range: Range<Int>, values: [Double]
        ) {
            let reach = 3.3 * deviation
            let low = max(0, Int(((centre - reach) / stride).rounded(.down)))
            let high = min(count, Int(((centre + reach) / stride).rounded(.up)) + 1)
            let values = (low..<high).map { cell in
                let distance = ((Double(cell) + 0.5) * stride - centre) / deviation
                return exp(-0.5 * distance * distance)
            }
            return (low..<high, values)
        }
        let across = profile(centre.x, deviation.x, columns)
        let down = profile(centre.y, deviation.y, rows)
        for (y, vertical) in zip(down.range, down.values) {
            for (x, horizontal) in zip(across.range, across.values) {
                let value = y == row && x == column ? 1 : Float(vertical * horizontal)
                if value > heat[y * columns + x] {
                    heat[y * columns + x] = value
                    owner[y * columns + x] = Int32(target)
                }
            }
        }
    }
}

/// The true boxes at the cells of a batch of maps that learn one.
///
/// Cells with a true heat over 0.5 learn the box of the target that they belong to.
package struct BoxTruth {
    /// [n]: cells in the flattened maps.
    package let cells: Tensor
    /// [n]: the true heat there, which is the weight of a cell's loss.
    package let weight: Tensor
    /// [n, 2]: log(width / 16), log(height / 16); and the vector from the cell's centre to the box's centre, in cells.
    package let logSize: Tensor
    package let offset: Tensor
    /// [n]: the number of the target in the caller's list.
    let target: [Int]
    /// Input pixels a cell.
    let stride: Double

    /// Collects cells, with one `append` for each map, in the order of the maps.
    struct Builder {
        private var maps = 0
        private var cells: [Int] = []
        private var weight: [Float] = []
        private var logSize: [Float] = []
        private var offset: [Float] = []
        private var target: [Int] = []
        private var stride = HeatGrid.stride

        /// - Parameters:
        ///   - grid: one map.
        ///   - boxes: of the targets by their numbers: centre and size in input pixels.
        ///   - first: an offset that is added to a target's number.
        mutating func append(_ grid: HeatGrid, boxes: [[Double]], first: Int = 0) {
            for (cell, heat) in grid.heat.enumerated() where heat > 0.5 {
                let number = Int(grid.owner[cell])
                let box = boxes[number]
                let (row, column) = (cell / grid.columns, cell % grid.columns)
                cells.append(maps * grid.rows * grid.columns + cell)
                weight.append(heat)
                logSize += [Float(log(max(box[2], 1) / 16)), Float(log(max(box[3], 1) / 16))]
                offset += [
                    Float(box[0] / grid.stride - Double(column) - 0.5),
                    Float(box[1] / grid.stride - Double(row) - 0.5),
                ]
                target.append(first + number)
            }
            maps += 1
            stride = grid.stride
        }

        /// A map without a box.
        mutating func skip() { maps += 1 }

        func finish() throws -> BoxTruth {
            BoxTruth(
                cells: try Tensor(cells), weight: try Tensor(weight),
                logSize: try Tensor(logSize, [cells.count, 2]),
                offset: try Tensor(offset, [cells.count, 2]), target: target, stride: stride)
        }
    }
}
