internal import CPixels

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

    /// What ``resized(width:height:filter:)`` makes of the picture in the middle of a square with its longer side, which is
    /// never there as a whole: a long picture's square can have thousands of times its pixels.
    ///
    /// - Parameters:
    ///   - ground: the colour around the picture, three bytes.
    ///   - newWidth: of the square's picture.
    ///   - newHeight: of the square's picture.
    ///   - filter: how the pixels between pixels are found.
    /// - Precondition: `width` and `height` are at least 1.
    package func resizedOnSquare(
        of ground: [UInt8], width newWidth: Int, height newHeight: Int, filter: Filter
    ) -> Image {
        let side = max(width, height)
        let (left, top) = ((side - width) / 2, (side - height) / 2)
        func filled(_ width: Int, _ height: Int) -> Image {
            var pixels = [UInt8](repeating: 0, count: width * height * 3)
            for index in pixels.indices { pixels[index] = ground[index % 3] }
            return Image(width: width, height: height, pixels: pixels)
        }
        // Rows of the ground alone stay as they are, so only the picture's own are made longer, a few at a time.
        var narrow = filled(newWidth, side)
        let weights = newWidth == side ? nil : FilterWeights(from: side, to: newWidth, filter)
        let together = max(2, (1 << 20) / side)
        let lines = filled(side, min(together, height))
        for start in stride(from: 0, to: height, by: together) {
            let rows = min(together, height - start)
            var band = rows == lines.height ? lines : filled(side, rows)
            for row in 0..<rows {
                band.pixels.replaceSubrange(
                    (row * side + left) * 3..<(row * side + left + width) * 3,
                    with: pixels[(start + row) * width * 3..<(start + row + 1) * width * 3])
            }
            if let weights { band = band.resizedHorizontally(weights) }
            let place = (top + start) * newWidth * 3
            narrow.pixels.replaceSubrange(place..<place + band.pixels.count, with: band.pixels)
        }
        return newHeight == side
            ? narrow : narrow.resizedVertically(FilterWeights(from: side, to: newHeight, filter))
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
        resized(to: (weights.firsts.count, height), weights) { from, filter, to in
            vp_resize_horizontally(from, Int64(width), Int64(height), filter, to)
        }
    }

    private func resizedVertically(_ weights: FilterWeights) -> Image {
        resized(to: (width, weights.firsts.count), weights) { from, filter, to in
            vp_resize_vertically(from, Int64(width), filter, to)
        }
    }

    private func resized(
        to size: (width: Int, height: Int), _ weights: FilterWeights,
        _ body: (UnsafePointer<UInt8>, vp_filter_t, UnsafeMutablePointer<UInt8>) -> Void
    ) -> Image {
        let output = [UInt8](unsafeUninitializedCapacity: size.width * size.height * 3) { output, count in
            weights.withFilter { filter in
                pixels.withUnsafeBufferPointer { body($0.baseAddress!, filter, output.baseAddress!) }
            }
            count = size.width * size.height * 3
        }
        return Image(width: size.width, height: size.height, pixels: output)
    }
}

/// For every new pixel along one side: the old pixels it is made of, and their fixed-point weights.
private struct FilterWeights {
    /// Eight bits of value and two of overshoot leave 22 for the fraction.
    private static let precision = 22

    private let size: Int
    /// The first of the old pixels, and their count.
    private(set) var firsts: [Int32] = []
    private var counts: [Int32] = []
    private var values: [Int32]

    init(from oldCount: Int, to newCount: Int, _ filter: Image.Filter) {
        let scale = Double(oldCount) / Double(newCount)
        let stretch = max(scale, 1)
        let reach = (filter == .bilinear ? 1.0 : 2.0) * stretch
        size = Int(reach.rounded(.up)) * 2 + 1
        values = [Int32](repeating: 0, count: newCount * size)
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
            firsts.append(Int32(first))
            counts.append(Int32(end - first))
        }
    }

    func withFilter(_ body: (vp_filter_t) -> Void) {
        values.withUnsafeBufferPointer { values in
            firsts.withUnsafeBufferPointer { firsts in
                counts.withUnsafeBufferPointer { counts in
                    body(
                        vp_filter_t(
                            weights: values.baseAddress, firsts: firsts.baseAddress,
                            counts: counts.baseAddress, size: Int64(size), count: Int64(firsts.count)))
                }
            }
        }
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
