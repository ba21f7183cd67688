extension Image {
    /// The picture with a map of values laid over it as colours, stretched to the picture's size.
    ///
    /// The lowest value becomes night blue, the highest pale yellow; values that are not finite count as
    /// the lowest.
    ///
    /// - Parameters:
    ///   - heatmap: `mapHeight * mapWidth` values, row by row from the top.
    ///   - mapWidth: the map's columns.
    ///   - mapHeight: the map's rows.
    ///   - strength: 0 shows only the picture, 1 only the map.
    /// - Throws: `MediaError.invalid` when the number of values does not match.
    public func blended(
        heatmap: [Float], width mapWidth: Int, height mapHeight: Int, strength: Double = 0.55
    ) throws(MediaError) -> Image {
        guard mapWidth > 0, mapHeight > 0,
            mapWidth.multipliedReportingOverflow(by: mapHeight) == (heatmap.count, false)
        else {
            throw .invalid("heatmap of \(mapWidth) x \(mapHeight): \(heatmap.count) values do not fill it")
        }
        let finite = heatmap.lazy.filter(\.isFinite)
        let low = finite.min() ?? 0
        let range = max((finite.max() ?? 0) - low, .leastNormalMagnitude)
        let levels = heatmap.map { $0.isFinite ? ($0 - low) / range : 0 }
        let ramp = (0...1023).map { Colour.heat(Double($0) / 1023) }
        let share = Int32((max(0, min(1, strength)) * 256).rounded())

        let columns = (0..<width).map { Self.neighbours($0, of: width, among: mapWidth) }
        var output = pixels
        output.withUnsafeMutableBufferPointer { output in
            for y in 0..<height {
                let row = Self.neighbours(y, of: height, among: mapHeight)
                let (upper, lower) = (row.first * mapWidth, row.second * mapWidth)
                for (x, column) in columns.enumerated() {
                    let above =
                        levels[upper + column.first] * (1 - column.share) + levels[upper + column.second]
                        * column.share
                    let below =
                        levels[lower + column.first] * (1 - column.share) + levels[lower + column.second]
                        * column.share
                    let colour = ramp[Int(((above * (1 - row.share) + below * row.share) * 1023).rounded())]
                    let pixel = output.baseAddress! + (y * width + x) * 3
                    func blend(_ old: UInt8, _ new: UInt8) -> UInt8 {
                        UInt8((Int32(old) * (256 - share) + Int32(new) * share + 128) >> 8)
                    }
                    pixel[0] = blend(pixel[0], colour.red)
                    pixel[1] = blend(pixel[1], colour.green)
                    pixel[2] = blend(pixel[2], colour.blue)
                }
            }
        }
        return Image(width: width, height: height, pixels: output)
    }

    /// The two cells of a map between whose centres a pixel's centre lies, and how near the second is.
    private static func neighbours(
        _ pixel: Int, of count: Int, among cells: Int
    ) -> (first: Int, second: Int, share: Float) {
        let place = max(
            0, min(Double(cells - 1), (Double(pixel) + 0.5) * Double(cells) / Double(count) - 0.5))
        let first = Int(place)
        return (first, min(first + 1, cells - 1), Float(place - Double(first)))
    }
}
