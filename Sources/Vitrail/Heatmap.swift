import Media
import Perception
import Torch

/// How likely the centre of what was asked for is at each place of a picture.
///
/// It is stored in the aligner's cells. Reading it enlarges it to the size at which the model saw the picture.
public struct Heatmap: Sendable, Hashable {
    /// The picture's size as the model saw it, in pixels of the encoder's input.
    public let width: Int
    public let height: Int
    /// Heat of 0...1, cells row by row from the top. The last cells of each row, and the last rows, may lie over the
    /// grey border.
    private let cells: [Float]
    private let rows: Int
    private let columns: Int
    /// The side of a cell in input pixels.
    private let cellWidth: Double
    private let cellHeight: Double
    /// Where what the model saw lies in it, in pixels: the rest is bars, without heat.
    private let across: Range<Int>
    private let down: Range<Int>

    /// - Parameters:
    ///   - cells: heat of 0...1, row by row from the top.
    ///   - grid: their rows and columns, over the whole of the encoder's input.
    ///   - frame: how the picture lies in that input.
    /// - Precondition: `cells` fills the grid.
    public init(cells: [Float], grid: (height: Int, width: Int), in frame: PictureFrame) {
        precondition(grid.height > 0 && grid.width > 0 && cells.count == grid.height * grid.width)
        let (fitted, scale) = (frame.fitted, frame.scale)
        let (x, y) = (Int((frame.content.x * scale.x).rounded()), Int((frame.content.y * scale.y).rounded()))
        (across, down) = (x..<x + fitted.width, y..<y + fitted.height)
        width = max(across.upperBound, Int((Double(frame.width) * scale.x).rounded()))
        height = max(down.upperBound, Int((Double(frame.height) * scale.y).rounded()))
        (rows, columns) = (grid.height, grid.width)
        cellWidth = Double(frame.inputWidth) / Double(columns)
        cellHeight = Double(frame.inputHeight) / Double(rows)
        self.cells = cells
    }

    /// The heatmaps of every query of one picture.
    static func all(_ maps: AlignerMaps, in frame: PictureFrame) throws -> [Heatmap] {
        let heat = try maps.heat.to(.float32).sigmoid().array(Float.self)
        let count = maps.grid.height * maps.grid.width
        return stride(from: 0, to: heat.count, by: count).map {
            Heatmap(cells: Array(heat[$0..<$0 + count]), grid: maps.grid, in: frame)
        }
    }

    /// The heat where it is highest.
    public var highest: Float { cells.max() ?? 0 }

    /// `width * height` values of 0...1, row by row from the top: the cells' heat, interpolated between their centres.
    public var values: [Float] {
        let places = across.map { Self.between($0 - across.lowerBound, cellWidth, columns) }
        return [Float](unsafeUninitializedCapacity: width * height) { output, count in
            output.initialize(repeating: 0)
            for y in down {
                let row = Self.between(y - down.lowerBound, cellHeight, rows)
                let (upper, lower) = (row.first * columns, row.second * columns)
                for (x, column) in zip(across, places) {
                    let (a, b) = (cells[upper + column.first], cells[upper + column.second])
                    let (c, d) = (cells[lower + column.first], cells[lower + column.second])
                    let above = a + (b - a) * column.share
                    let below = c + (d - c) * column.share
                    output[y * width + x] = above + (below - above) * row.share
                }
            }
            count = width * height
        }
    }

    /// The two cells whose centres surround a pixel's centre, and the weight of the second one.
    private static func between(_ pixel: Int, _ side: Double, _ cells: Int) -> (
        first: Int, second: Int, share: Float
    ) {
        let place = max(0, min(Double(cells - 1), (Double(pixel) + 0.5) / side - 0.5))
        let first = Int(place)
        return (first, min(first + 1, cells - 1), Float(place - Double(first)))
    }
}
