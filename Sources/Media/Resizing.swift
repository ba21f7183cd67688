internal import Foundation

extension Image {
    /// How the pixels between pixels are found; both filters widen when the picture shrinks.
    public enum Filter: Sendable {
        /// A triangle over two pixels.
        case bilinear
        /// Cubic convolution over four pixels (a = -0.5).
        case bicubic
    }

    /// The picture at another size, without aliasing.
    ///
    /// The arithmetic is that of Pillow 13's `Image.resize` (two passes, 8-bit in between), so models that were
    /// trained on Pillow's pixels see the same ones.
    ///
    /// - Precondition: `width` and `height` are at least 1.
    public func resized(width newWidth: Int, height newHeight: Int, filter: Filter = .bicubic) -> Image {
        precondition(newWidth > 0 && newHeight > 0, "a picture has at least one pixel")
        func horizontally(_ image: Image) -> Image {
            newWidth == width
                ? image : image.resizedHorizontally(FilterWeights(from: width, to: newWidth, filter))
        }
        func vertically(_ image: Image) -> Image {
            newHeight == height
                ? image : image.resizedVertically(FilterWeights(from: height, to: newHeight, filter))
        }
        // Which pass is first shows in the rounding between them. Pillow 13 begins with the rows where more than twice
        // as many of them go as columns, as its results tell.
        return height - newHeight > max(0, 2 * (width - newWidth))
            ? horizontally(vertically(self)) : vertically(horizontally(self))
    }

    /// The part of the picture that the box touches, in whole pixels.
    ///
    /// - Throws: `MediaError.invalid` when the box lies outside the picture or is empty.
    public func cropped(to box: Box) throws(MediaError) -> Image {
        guard let part = box.clipped(width: width, height: height) else {
            throw .invalid("box \(box) lies outside the picture of \(width) x \(height) pixels")
        }
        let (left, top) = (Int(part.x.rounded(.down)), Int(part.y.rounded(.down)))
        let (right, bottom) = (Int(part.maxX.rounded(.up)), Int(part.maxY.rounded(.up)))
        var cut = [UInt8]()
        cut.reserveCapacity((right - left) * (bottom - top) * 3)
        for y in top..<bottom { cut += pixels[(y * width + left) * 3..<(y * width + right) * 3] }
        return Image(width: right - left, height: bottom - top, pixels: cut)
    }

    private func resizedHorizontally(_ weights: FilterWeights) -> Image {
        let newWidth = weights.spans.count
        let output = [UInt8](unsafeUninitializedCapacity: newWidth * height * 3) { output, count in
            pixels.withUnsafeBufferPointer { input in
                weights.values.withUnsafeBufferPointer { values in
                    nonisolated(unsafe) let (from, to, shares) = (
                        input.baseAddress!, output.baseAddress!, values.baseAddress!
                    )
                    forRows(height) { y in
                        let row = from + y * width * 3
                        var target = to + y * newWidth * 3
                        for (x, span) in weights.spans.enumerated() {
                            let taps = shares + x * weights.size
                            var source = row + span.lowerBound * 3
                            var (red, green, blue) = (
                                FilterWeights.half, FilterWeights.half, FilterWeights.half
                            )
                            for tap in 0..<span.count {
                                red &+= Int32(source[0]) &* taps[tap]
                                green &+= Int32(source[1]) &* taps[tap]
                                blue &+= Int32(source[2]) &* taps[tap]
                                source += 3
                            }
                            target[0] = FilterWeights.round(red)
                            target[1] = FilterWeights.round(green)
                            target[2] = FilterWeights.round(blue)
                            target += 3
                        }
                    }
                }
            }
            count = newWidth * height * 3
        }
        return Image(width: newWidth, height: height, pixels: output)
    }

    private func resizedVertically(_ weights: FilterWeights) -> Image {
        let newHeight = weights.spans.count
        let row = width * 3
        let output = [UInt8](unsafeUninitializedCapacity: newHeight * row) { output, count in
            pixels.withUnsafeBufferPointer { input in
                nonisolated(unsafe) let (from, to) = (input.baseAddress!, output.baseAddress!)
                forRows(newHeight) { y in
                    withUnsafeTemporaryAllocation(of: Int32.self, capacity: row) { sums in
                        sums.update(repeating: FilterWeights.half)
                        // Row by row, so that the compiler works on many columns at once.
                        for (tap, sourceRow) in weights.spans[y].enumerated() {
                            let weight = weights.values[y * weights.size + tap]
                            let source = from + sourceRow * row
                            for x in 0..<row { sums[x] &+= Int32(source[x]) &* weight }
                        }
                        let target = to + y * row
                        for x in 0..<row { target[x] = FilterWeights.round(sums[x]) }
                    }
                }
            }
            count = newHeight * row
        }
        return Image(width: width, height: newHeight, pixels: output)
    }
}

/// Calls `body` with every row's number, on all cores where there are many rows.
private func forRows(_ count: Int, _ body: @Sendable (Int) -> Void) {
    let parts = min(ProcessInfo.processInfo.activeProcessorCount, count / 64)
    guard parts > 1 else { return (0..<count).forEach(body) }
    DispatchQueue.concurrentPerform(iterations: parts) { part in
        for row in (part * count / parts)..<((part + 1) * count / parts) { body(row) }
    }
}

/// For every new pixel along one side: the old pixels it is made of, and their fixed-point weights.
private struct FilterWeights: Sendable {
    /// Eight bits of value and two of overshoot leave 22 for the fraction.
    static let precision: Int32 = 22
    static let half: Int32 = 1 << (precision - 1)

    let size: Int
    var spans: [Range<Int>] = []
    var values: [Int32]

    init(from oldCount: Int, to newCount: Int, _ filter: Image.Filter) {
        let scale = Double(oldCount) / Double(newCount)
        let stretch = max(scale, 1)
        let reach = (filter == .bilinear ? 1.0 : 2.0) * stretch
        size = Int(reach.rounded(.up)) * 2 + 1
        values = [Int32](repeating: 0, count: newCount * size)
        spans.reserveCapacity(newCount)
        for position in 0..<newCount {
            let centre = (Double(position) + 0.5) * scale
            let first = max(0, Int(centre - reach + 0.5))
            let end = min(oldCount, Int(centre + reach + 0.5))
            let raw = (first..<end).map { Self.weight((Double($0) - centre + 0.5) / stretch, filter) }
            let sum = raw.reduce(0, +)
            for (tap, weight) in raw.enumerated() {
                let share = sum == 0 ? weight : weight / sum
                values[position * size + tap] = Int32(
                    (share * Double(1 << Self.precision)).rounded(.toNearestOrAwayFromZero))
            }
            spans.append(first..<end)
        }
    }

    @inline(__always)
    static func round(_ sum: Int32) -> UInt8 {
        UInt8(truncatingIfNeeded: max(0, min(255, sum >> precision)))
    }

    private static func weight(_ offset: Double, _ filter: Image.Filter) -> Double {
        let x = abs(offset)
        switch filter {
        case .bilinear: return max(0, 1 - x)
        case .bicubic:
            let a = -0.5
            if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
            if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
            return 0
        }
    }
}
