extension Mask {
    /// The mask at another size: each new pixel is what the old one at its middle is.
    ///
    /// - Precondition: both sides are at least 1, and their product below 2^32.
    public func resized(width newWidth: Int, height newHeight: Int) -> Mask {
        precondition(newWidth > 0 && newHeight > 0 && newWidth * newHeight <= UInt32.max)
        guard (newWidth, newHeight) != (width, height) else { return self }
        let bits = bitmap
        let columns = (0..<newWidth).map { min(width - 1, (2 * $0 + 1) * width / (2 * newWidth)) }
        var counts: [Int] = []
        var (current, length) = (UInt8(0), 0)
        for x in columns {
            for y in 0..<newHeight {
                let bit = bits[min(height - 1, (2 * y + 1) * height / (2 * newHeight)) * width + x]
                if bit != current {
                    counts.append(length)
                    (current, length) = (bit, 0)
                }
                length += 1
            }
        }
        counts.append(length)
        return Mask(unchecked: newWidth, newHeight, counts)
    }
}
