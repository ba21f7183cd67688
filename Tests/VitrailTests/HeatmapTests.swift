import Testing
import Torch
import Vitrail

@Suite struct HeatmapTests {
    @Test(arguments: [(128, 128), (200, 120), (37, 211), (640, 480)])
    func itIsTheCellsEnlargedToTheInput(width: Int, height: Int) throws {
        let frame = PictureFrame(width: width, height: height, sizes: 64...256)
        let grid = (height: frame.inputHeight / 4, width: frame.inputWidth / 4)
        let cells = (0..<(grid.height * grid.width)).map { Float(($0 * 7919) % 101) / 101 }
        let map = Heatmap(cells: cells, grid: grid, in: frame)
        #expect((map.width, map.height) == frame.fitted)
        #expect(map.highest == cells.max())
        let whole = try interpolate(
            Tensor(cells, [1, 1, grid.height, grid.width]),
            to: (height: frame.inputHeight, width: frame.inputWidth), mode: .bilinear)
        let expected = try whole[0, 0, ..<map.height, ..<map.width].array(Float.self)
        #expect(map.values.count == expected.count)
        #expect(zip(map.values, expected).allSatisfy { abs($0 - $1) < 1e-5 })
    }
}
