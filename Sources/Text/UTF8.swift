// Text is handled as UTF-8 bytes throughout: byte-level tokenizers see bytes, and Swift's `String` calls
// canonically equivalent texts equal, which a vocabulary must keep apart.

extension ArraySlice<UInt8> {
    /// The scalar that starts at `index`, which should be the first byte of one; U+FFFD for one that is cut short.
    func scalar(at index: Int) -> (scalar: Unicode.Scalar, length: Int) {
        let first = UInt32(self[index])
        let length = UTF8.sequenceLength(of: self[index]) ?? 1
        guard length > 1 else { return (Unicode.Scalar(self[index]), 1) }
        guard length <= endIndex - index else { return ("\u{FFFD}", endIndex - index) }
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

extension [UInt8] {
    /// The bytes with each occurrence of `pattern`, which is not empty, replaced by `content`.
    func replacing(_ pattern: [UInt8], with content: [UInt8]) -> [UInt8] {
        guard contains(pattern[0]) else { return self }
        var result: [UInt8] = []
        result.reserveCapacity(count)
        var index = 0
        while index < count {
            if self[index] == pattern[0], self[index...].starts(with: pattern) {
                result += content
                index += pattern.count
            } else {
                result.append(self[index])
                index += 1
            }
        }
        return result
    }
}

extension ArraySlice<UInt8> {
    func trimmingWhiteSpace(left: Bool, right: Bool) -> ArraySlice<UInt8> {
        var (start, end) = (startIndex, endIndex)
        while left, start < end, case let first = scalar(at: start), first.scalar.properties.isWhitespace {
            start += first.length
        }
        while right, start < end, let last = self[start..<end].scalar(before: end),
            last.scalar.properties.isWhitespace
        {
            end -= last.length
        }
        return self[start..<end]
    }
}
