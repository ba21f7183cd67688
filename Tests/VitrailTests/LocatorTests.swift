import Foundation
import Media
import Testing
import Torch
import Vitrail

/// A heatmap made by hand: cells of `size` pixels, logits `low` but for the cells given.
private struct HandMade {
    var rows = 8
    var columns = 8
    var low: Float = -10
    /// Logits by (row, column).
    var cells: [(row: Int, column: Int, logit: Float)]
    /// Log sizes by cell; others are 0, which is 16 pixels.
    var sizes: [(row: Int, column: Int, width: Float, height: Float)] = []
    /// How far the centre is from the cell's, of every cell; nil for maps without offsets.
    var offset: (dx: Float, dy: Float)?

    func detections(_ locator: Locator = Locator(), in frame: PictureFrame? = nil) throws -> [Detection] {
        var heat = [Float](repeating: low, count: rows * columns)
        for cell in cells { heat[cell.row * columns + cell.column] = cell.logit }
        var size = [Float](repeating: 0, count: rows * columns * 2)
        for cell in sizes {
            size[(cell.row * columns + cell.column) * 2] = cell.width
            size[(cell.row * columns + cell.column) * 2 + 1] = cell.height
        }
        let offsets = try offset.map { offset in
            try Tensor(
                (0..<(rows * columns)).flatMap { _ in [offset.dx, offset.dy] }, [1, 1, rows * columns, 2])
        }
        return try locator.detections(
            heat: Tensor(heat, [1, 1, rows * columns]), logSize: Tensor(size, [1, 1, rows * columns, 2]),
            offset: offsets,
            grid: (height: rows, width: columns),
            in: frame ?? PictureFrame(width: 128, height: 128, sizes: 128...128))[0]
    }
}

@Suite struct LocatorTests {
    @Test func aPeakBecomesABoxAroundItsCell() throws {
        let found = try HandMade(cells: [(2, 3, 4)]).detections()
        #expect(found.count == 1)
        // Cells are 16 pixels wide: the middle of column 3, row 2 is at (56, 40).
        #expect(abs(found[0].point.x - 56) < 1e-4 && abs(found[0].point.y - 40) < 1e-4)
        #expect(abs(found[0].box.x - 48) < 1e-4 && abs(found[0].box.width - 16) < 1e-4)
        #expect(abs(found[0].score - 0.98201) < 1e-4)
    }

    @Test func boxSidesComeFromTheSizeMap() throws {
        let found = try HandMade(cells: [(4, 4, 4)], sizes: [(4, 4, 0.6931472, -0.6931472)]).detections()
        #expect(abs(found[0].box.width - 32) < 1e-3 && abs(found[0].box.height - 8) < 1e-3)
    }

    @Test func largeThingsMayNeedLessHeat() throws {
        // Heats of 0.5 and 0.4, of a box of 128 pixels, one of 45 and one of 16.
        let (half, less) = (Float(0), Float(-0.405465))
        let maps = HandMade(
            cells: [(1, 1, half), (4, 4, less), (6, 1, half)],
            sizes: [
                // The logarithms of 8, 4 and the root of 8.
                (4, 4, 2.0794415, 1.3862944), (6, 1, 1.0397208, 0),
            ])
        var locator = Locator(threshold: 0.3)
        #expect(try maps.detections(locator).map(\.score).allSatisfy { $0 < 0.51 })
        locator.largePower = 0.5
        let found = try maps.detections(locator)
        // Best first by what the heat is worth.
        let expected = [pow(0.4, 0.5), pow(0.5, 0.75), 0.5]
        #expect(found.count == 3)
        #expect(zip(found, expected).allSatisfy { abs($0.score - $1) < 1e-4 }, "\(found.map(\.score))")
        locator.threshold = 0.6
        #expect(try maps.detections(locator).count == 1)
        let coded = try JSONDecoder().decode(Locator.self, from: JSONEncoder().encode(locator))
        #expect(coded == locator)
    }

    @Test func onlyLocalMaximaCount() throws {
        // The neighbour is high as well, but lower.
        let found = try HandMade(cells: [(2, 2, 4), (2, 3, 3.5), (6, 6, 2)]).detections()
        #expect(found.count == 2)
        #expect(found[0].score > found[1].score)
    }

    @Test func aParabolaRefinesThePeak() throws {
        // Log heats whose parabola through (before, at, after) peaks a quarter of a cell to the right.
        func logit(_ logHeat: Double) -> Float {
            let heat = exp(logHeat)
            return Float(log(heat / (1 - heat)))
        }
        func height(_ x: Double) -> Double { -0.2 - 0.5 * (x - 0.25) * (x - 0.25) }
        let cells = [(3, 2, logit(height(-1))), (3, 3, logit(height(0))), (3, 4, logit(height(1)))]
        let found = try HandMade(cells: cells.map { (row: $0.0, column: $0.1, logit: $0.2) }).detections()
        #expect(found.count == 1)
        #expect(abs(found[0].point.x - (3.5 + 0.25) * 16) < 1e-2)
        #expect(abs(found[0].point.y - 3.5 * 16) < 1e-2)
    }

    @Test func refinementStaysWithinHalfACell() throws {
        // A plateau of two equal cells: both are peaks, and neither leaves its own cell.
        let found = try HandMade(cells: [(3, 3, 4), (3, 4, 4)]).detections(Locator(overlapLimit: 1))
        #expect(found.count == 2)
        for detection in found { #expect(abs(detection.point.x - 64) <= 8 + 1e-6) }
    }

    @Test func theOffsetMapTakesTheParabolasPlace() throws {
        // The parabola would go to the right; the map says left and down.
        var map = HandMade(cells: [(3, 3, 1), (3, 4, 0.9)])
        #expect(try map.detections()[0].point.x > 56)
        map.offset = (-0.25, 0.5)
        let found = try map.detections()
        #expect(abs(found[0].point.x - 52) < 1e-4 && abs(found[0].point.y - 64) < 1e-4)
        #expect(abs(found[0].box.centre.x - 52) < 1e-4)
    }

    @Test func aRectangularInputHasCellsOfItsOwn() throws {
        // 200 x 100 pixels lie in an input of 208 x 112, which has 13 x 7 cells of 16 pixels.
        let frame = PictureFrame(width: 200, height: 100, sizes: 128...256)
        let found = try HandMade(rows: 7, columns: 13, cells: [(6, 12, 3), (2, 5, 4)]).detections(in: frame)
        #expect(abs(found[0].point.x - 88) < 1e-4 && abs(found[0].point.y - 40) < 1e-4)
        #expect(found[1].point == Point(x: 200, y: 100) && found[1].box.maxX == 200)
    }

    @Test func countingHasAThresholdOfItsOwn() {
        #expect(Locator(threshold: 0.3).countThreshold == 0.3)
        #expect(Locator(threshold: 0.3, countThreshold: 0.5).countThreshold == 0.5)
    }

    @Test func overlappingBoxesAreSuppressed() throws {
        // Two cells apart, boxes of 128 pixels: they overlap by more than 0.6.
        let sizes: [(row: Int, column: Int, width: Float, height: Float)] = [
            (4, 3, 1.6, 1.6), (4, 5, 1.6, 1.6),
        ]
        let map = HandMade(cells: [(4, 3, 4), (4, 5, 3)], sizes: sizes)
        let frame = PictureFrame(width: 128, height: 128, sizes: 128...128)
        #expect(try map.detections(Locator(overlapLimit: 0.3), in: frame).count == 1)
        #expect(try map.detections(Locator(overlapLimit: 0.95), in: frame).count == 2)
    }

    @Test func theThresholdIsInclusiveOfWhatLiesAbove() throws {
        let map = HandMade(cells: [(1, 1, 0), (5, 5, 2)])
        #expect(try map.detections(Locator(threshold: 0.49)).count == 2)
        #expect(try map.detections(Locator(threshold: 0.51)).count == 1)
        #expect(try map.detections(Locator(threshold: 0.99)).isEmpty)
    }

    @Test func noMorePeaksThanAskedFor() throws {
        let map = HandMade(cells: [(1, 1, 1), (1, 5, 2), (5, 1, 3), (5, 5, 4)])
        let found = try map.detections(Locator(maximumPeaks: 2))
        #expect(found.count == 2)
        #expect(found.map(\.score) == found.map(\.score).sorted(by: >))
        #expect(abs(found[0].point.x - 88) < 1e-3)
        #expect(try map.detections(Locator(maximumPeaks: 1000)).count == 4)
    }

    @Test func anEmptyMapFindsNothing() throws {
        #expect(try HandMade(cells: []).detections().isEmpty)
    }

    @Test func boxesAreCutAtThePicturesEdges() throws {
        let found = try HandMade(cells: [(0, 0, 4)], sizes: [(0, 0, 1, 1)]).detections()
        #expect(found[0].box.x == 0 && found[0].box.y == 0)
        #expect(found[0].box.maxX < 40)
    }

    @Test func placesInTheGreyBorderAreNoPlaces() throws {
        // The picture fills the upper half of the input alone.
        let frame = PictureFrame(width: 128, height: 64, sizes: 128...128)
        let found = try HandMade(cells: [(7, 3, 4), (1, 3, 3)]).detections(in: frame)
        #expect(found.count == 1)
        #expect(found[0].box.maxY <= 64)
    }
}
