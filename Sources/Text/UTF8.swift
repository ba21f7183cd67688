// Text is handled as UTF-8 bytes throughout: byte-level tokenizers see bytes, and Swift's `String` calls
// canonically equivalent texts equal, which a vocabulary must keep apart.

extension ArraySlice<UInt8> {
    /// The scalar that starts at `index`, which must be the first byte of one in valid UTF-8.
    func scalar(at index: Int) -> (scalar: Unicode.Scalar, length: Int) {
        let first = UInt32(self[index])
        let length = UTF8.sequenceLength(of: self[index]) ?? 1
        guard length > 1 else { return (Unicode.Scalar(self[index]), 1) }
        var value = first & (0x7F >> UInt32(length))
        for offset in 1..<length { value = value << 6 | UInt32(self[index + offset] & 0x3F) }
        return (Unicode.Scalar(value) ?? "\u{FFFD}", length)
    }

    /// The scalar that ends just before `index`, or nil at the start.
    func scalar(before index: Int) -> (scalar: Unicode.Scalar, length: Int)? {
        guard index > startIndex else { return nil }
        var start = index - 1
        while start > startIndex, UTF8.isContinuation(self[start]) { start -= 1 }
        return scalar(at: start)
    }
}

extension UTF8 {
    /// How many bytes a sequence has that starts with this byte, or nil for a byte that starts none.
    static func sequenceLength(of lead: UInt8) -> Int? {
        switch lead {
        case 0x00...0x7F: 1
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: nil
        }
    }
}
