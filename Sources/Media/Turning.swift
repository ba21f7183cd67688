extension Image {
    /// Mirrored left to right, top to bottom.
    package func mirrored(across: Bool, down: Bool) -> Image {
        guard across || down else { return self }
        return rearranged(width: width, height: height) { x, y in
            (across ? width - 1 - x : x, down ? height - 1 - y : y)
        }
    }

    /// Turned clockwise by quarter turns, 0 to 3.
    package func turned(by turns: Int) -> Image {
        switch turns {
        case 1: rearranged(width: height, height: width) { x, y in (y, height - 1 - x) }
        case 2: mirrored(across: true, down: true)
        case 3: rearranged(width: height, height: width) { x, y in (width - 1 - y, x) }
        default: self
        }
    }

    /// Another picture of the same pixels; `source` tells where each comes from.
    private func rearranged(width newWidth: Int, height newHeight: Int, _ source: (Int, Int) -> (Int, Int))
        -> Image
    {
        let moved = [UInt8](unsafeUninitializedCapacity: newWidth * newHeight * 3) { output, count in
            pixels.withUnsafeBufferPointer { input in
                var target = 0
                for y in 0..<newHeight {
                    for x in 0..<newWidth {
                        let (fromX, fromY) = source(x, y)
                        let from = (fromY * width + fromX) * 3
                        output[target] = input[from]
                        output[target + 1] = input[from + 1]
                        output[target + 2] = input[from + 2]
                        target += 3
                    }
                }
            }
            count = newWidth * newHeight * 3
        }
        return Image(width: newWidth, height: newHeight, pixels: moved)
    }
}

extension Point {
    /// Where a place of a picture of this size lies once the picture is turned clockwise by quarter turns, 0 to 3.
    package func turned(by turns: Int, in size: (width: Double, height: Double)) -> Point {
        switch turns {
        case 1: Point(x: size.height - y, y: x)
        case 2: Point(x: size.width - x, y: size.height - y)
        case 3: Point(x: y, y: size.width - x)
        default: self
        }
    }
}
