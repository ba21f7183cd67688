/// Text of label files, whatever wrote it: byte order marks, UTF-16 and UTF-32 are dealt with here alone.
package enum LabelText {
    /// Bytes that are no text in UTF-8.
    package struct Problem: Error, CustomStringConvertible {
        /// Counted from 1.
        let line: Int
        package var description: String { "not UTF-8 in line \(line): save it as UTF-8" }
    }

    /// As UTF-8 without a byte order mark; bytes that are in none of Unicode's encodings stay as they are.
    package static func utf8(_ bytes: [UInt8]) -> [UInt8] {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { return Array(bytes.dropFirst(3)) }
        let scalars: [UInt8]?
        // UTF-32's little-endian mark begins with UTF-16's.
        if bytes.starts(with: [0xFF, 0xFE, 0, 0]) {
            scalars = converted(bytes.dropFirst(4), width: 4, isBig: false)
        } else if bytes.starts(with: [0, 0, 0xFE, 0xFF]) {
            scalars = converted(bytes.dropFirst(4), width: 4, isBig: true)
        } else if bytes.starts(with: [0xFF, 0xFE]) {
            scalars = converted(bytes.dropFirst(2), width: 2, isBig: false)
        } else if bytes.starts(with: [0xFE, 0xFF]) {
            scalars = converted(bytes.dropFirst(2), width: 2, isBig: true)
        } else if let (first, second) = bytes.pair, (first == 0) != (second == 0), max(first, second) < 0x7F {
            // Without a mark: every other byte of plain text is 0.
            scalars = converted(bytes[...], width: 2, isBig: first == 0)
        } else {
            return bytes
        }
        return scalars ?? bytes
    }

    /// - Throws: ``Problem`` that names the line.
    package static func string(_ bytes: [UInt8]) throws(Problem) -> String {
        let bytes = utf8(bytes)
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let bad = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil }
        throw Problem(line: (bad ?? 0) + 1)
    }

    private static func converted(_ bytes: ArraySlice<UInt8>, width: Int, isBig: Bool) -> [UInt8]? {
        guard bytes.count % width == 0 else { return nil }
        let units = stride(from: bytes.startIndex, to: bytes.endIndex, by: width).map { start in
            (0..<width).reduce(UInt32(0)) { unit, byte in
                unit << 8 | UInt32(bytes[start + (isBig ? byte : width - 1 - byte)])
            }
        }
        let text =
            width == 2
            ? String(validating: units.lazy.map { UInt16($0) }, as: UTF16.self)
            : String(validating: units, as: UTF32.self)
        return text.map { Array($0.utf8) }
    }
}

extension [UInt8] {
    fileprivate var pair: (UInt8, UInt8)? { count < 2 ? nil : (self[0], self[1]) }
}
