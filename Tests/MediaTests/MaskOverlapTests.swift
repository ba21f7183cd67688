internal import Media
internal import Testing

@Suite struct MaskOverlapTests {
    /// The columns of a picture of one row.
    private func mask(_ columns: Range<Int>) throws -> Mask {
        try Mask(width: 10, height: 1, bitmap: (0..<10).map { columns.contains($0) })
    }

    @Test func aPixelIsLeftToTheFirst() throws {
        let left = try Mask.disjoint([mask(2..<6), mask(4..<10), mask(0..<2)])
        #expect(left == [try mask(2..<6), try mask(6..<10), try mask(0..<2)])
    }

    @Test func whatIsMostlyTakenIsGone() throws {
        let left = try Mask.disjoint([mask(0..<6), mask(2..<8), mask(6..<10), mask(0..<0)])
        #expect(left == [try mask(0..<6), nil, try mask(6..<10), nil])
        let more = try Mask.disjoint([mask(0..<6), mask(2..<8)], leastShare: 0.3)
        #expect(more == [try mask(0..<6), try mask(6..<8)])
    }

    @Test func masksOfTwoSizesAreRefused() throws {
        let other = try Mask(width: 2, height: 2, bitmap: [true, false, false, true])
        #expect(throws: MediaError.self) { try Mask.disjoint([mask(0..<2), other]) }
    }
}
