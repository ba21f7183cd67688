/// Reads JSON from left to right without making a tree of it: label files have gigabytes.
///
/// Syntax is checked as far as it is read; what is skipped is checked for its brackets and strings.
struct JSONReader {
    /// What is wrong, and where: "annotations[3].bbox".
    struct Problem: Error, CustomStringConvertible {
        /// Whether the text is no JSON, so that nothing after it can be read.
        var isSyntax: Bool
        var place = ""
        var reason: String

        var description: String { place.isEmpty ? reason : "\(place): \(reason)" }

        func within(_ outer: String) -> Problem {
            var problem = self
            problem.place = place.isEmpty || place.hasPrefix("[") ? outer + place : "\(outer).\(place)"
            return problem
        }
    }

    enum Kind { case object, array, text, number, bool, null }

    private let bytes: [UInt8]
    private(set) var position = 0
    private var depth = 0
    /// Deeper nesting is refused, so that a hostile file cannot exhaust the stack.
    private static let depthLimit = 128

    init(_ bytes: [UInt8]) { self.bytes = LabelText.utf8(bytes) }

    private var syntax: Problem {
        Problem(isSyntax: true, reason: position < bytes.count ? "not JSON at byte \(position)" : "cut short")
    }

    private func mismatch(_ reason: String) -> Problem { Problem(isSyntax: false, reason: reason) }

    // MARK: Values

    /// What comes next.
    mutating func kind() throws -> Kind {
        skipSpace()
        guard position < bytes.count else { throw syntax }
        switch bytes[position] {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .text
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        // Python writes NaN and Infinity.
        case UInt8(ascii: "n"), UInt8(ascii: "N"), UInt8(ascii: "I"): return .null
        default: return .number
        }
    }

    /// Visits the members; what the visitor leaves unread it has to skip.
    mutating func object(_ visit: (inout JSONReader, String) throws -> Void) throws {
        guard try kind() == .object else { throw mismatch("an object is needed here") }
        try nest("}") { reader in
            reader.skipSpace()
            let key = try reader.string()
            reader.skipSpace()
            guard reader.take(":") else { throw reader.syntax }
            do { try visit(&reader, key) } catch let problem as Problem { throw problem.within(key) }
        }
    }

    /// Visits the elements.
    mutating func array(_ visit: (inout JSONReader, Int) throws -> Void) throws {
        guard try kind() == .array else { throw mismatch("a list is needed here") }
        var index = 0
        try nest("]") { reader in
            do { try visit(&reader, index) } catch let problem as Problem {
                throw problem.within("[\(index)]")
            }
            index += 1
        }
    }

    /// Visits the elements; one that is not of the form is skipped and reported.
    mutating func array(
        skipping report: (Problem) -> Void, _ visit: (inout JSONReader, Int) throws -> Void
    ) throws {
        try array { reader, index in
            if let problem = try reader.tolerating({ try visit(&$0, index) }) {
                report(problem.within("[\(index)]"))
            }
        }
    }

    /// Visits a value; one that is not of the form is skipped.
    ///
    /// - Returns: what is wrong with it.
    mutating func tolerating(_ visit: (inout JSONReader) throws -> Void) throws -> Problem? {
        let (start, depth) = (position, depth)
        do {
            try visit(&self)
            return nil
        } catch let problem as Problem where !problem.isSyntax {
            (position, self.depth) = (start, depth)
            try skip()
            return problem
        }
    }

    mutating func string() throws -> String {
        guard try kind() == .text else { throw mismatch("a text is needed here") }
        position += 1
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return try text(bytes[start..<(position - 1)], from: start)
            case UInt8(ascii: "\\"): return try escapedString(from: start)
            default: position += 1
            }
        }
        throw syntax
    }

    mutating func double() throws -> Double {
        guard try kind() == .number else { throw mismatch("a number is needed here") }
        let start = position
        var (mantissa, digits, exponent) = (UInt64(0), 0, 0)
        let isNegative = take("-")
        func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }
        while position < bytes.count, isDigit(bytes[position]) {
            if digits < 19 { mantissa = mantissa * 10 + UInt64(bytes[position] - 48) }
            digits += 1
            position += 1
        }
        guard digits > 0 else {
            let isInfinite = bytes[start...].starts(with: Self.negativeInfinity)
            throw isInfinite ? mismatch("a number is needed here") : syntax
        }
        if take(".") {
            while position < bytes.count, isDigit(bytes[position]) {
                if digits < 19 { mantissa = mantissa * 10 + UInt64(bytes[position] - 48) }
                digits += 1
                exponent -= 1
                position += 1
            }
        }
        let hasExponent = position < bytes.count && bytes[position] | 0x20 == UInt8(ascii: "e")
        // Exact where both parts are; the rest is left to the library.
        if !hasExponent, digits < 19, mantissa < 1 << 53, exponent >= -22 {
            let value = Double(mantissa) / Self.powers[-exponent]
            return isNegative ? -value : value
        }
        while position < bytes.count, "+-.0123456789Ee".utf8.contains(bytes[position]) { position += 1 }
        guard let value = Double(String(decoding: bytes[start..<position], as: UTF8.self)) else {
            position = start
            throw syntax
        }
        return value
    }

    private static let negativeInfinity = "-Infinity".utf8

    private static let powers: [Double] = (0...22).map { (0..<$0).reduce(1.0) { value, _ in value * 10 } }

    /// A whole number within bounds; a text of digits is taken too.
    mutating func int(in bounds: ClosedRange<Int> = .min ... .max) throws -> Int {
        let value = try kind() == .text ? Int(try string()) : wholeNumber()
        guard let value else { throw mismatch("a whole number is needed here") }
        guard bounds.contains(value) else {
            throw mismatch("\(value) is not within \(bounds.lowerBound) to \(bounds.upperBound)")
        }
        return value
    }

    /// Nil for a number with a fraction, or of more than 64 bits.
    private mutating func wholeNumber() throws -> Int? {
        let start = position
        let value = try double()
        // Beyond that not every whole number is a Double.
        guard abs(value) >= 0x1p53 else { return Int(exactly: value) }
        return Int(String(decoding: bytes[start..<position], as: UTF8.self)) ?? Int(exactly: value)
    }

    /// A text, or a whole number.
    mutating func id() throws -> LabelID {
        if try kind() == .text { return .text(try string()) }
        guard try kind() == .number, let number = try wholeNumber() else {
            throw mismatch("an id is a whole number or a text")
        }
        return .number(number)
    }

    /// A text, or the digits of a number: publishers do not agree on the type of answers.
    mutating func identifier() throws -> String {
        if try kind() == .text { return try string() }
        let start = position
        let value = try double()
        return Int(exactly: value).map(String.init)
            ?? String(decoding: bytes[start..<position], as: UTF8.self)
    }

    /// A truth value, or a number that is not zero; the same as a text is taken too.
    mutating func bool() throws -> Bool {
        switch try kind() {
        case .number: return try double() != 0
        case .text:
            switch try string().lowercased() {
            case "0", "false": return false
            case "1", "true": return true
            default: throw mismatch("true or false is needed here")
            }
        case .bool:
            let value = bytes[position] == UInt8(ascii: "t")
            try skip()
            return value
        default: throw mismatch("true or false is needed here")
        }
    }

    mutating func doubles() throws -> [Double] {
        var values: [Double] = []
        try array { reader, _ in values.append(try reader.double()) }
        return values
    }

    /// Places and sizes in pixels.
    mutating func places() throws -> [Double] {
        let values = try doubles()
        if let value = values.first(where: { !LabelNumber.places.contains($0) }) {
            throw mismatch("\(value) is no place in a picture")
        }
        return values
    }

    mutating func ints(in bounds: ClosedRange<Int> = .min ... .max) throws -> [Int] {
        var values: [Int] = []
        try array { reader, _ in values.append(try reader.int(in: bounds)) }
        return values
    }

    mutating func strings() throws -> [String] {
        var values: [String] = []
        try array { reader, _ in values.append(try reader.string()) }
        return values
    }

    /// Nothing may follow.
    mutating func end() throws {
        skipSpace()
        guard position == bytes.count else { throw syntax }
    }

    mutating func skip() throws {
        switch try kind() {
        case .object: try object { reader, _ in try reader.skip() }
        case .array: try array { reader, _ in try reader.skip() }
        case .text:
            position += 1
            while position < bytes.count, bytes[position] != UInt8(ascii: "\"") {
                position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
            }
            guard position < bytes.count else { throw syntax }
            position += 1
        case .number where bytes[position...].starts(with: Self.negativeInfinity):
            position += Self.negativeInfinity.count
        case .number: _ = try double()
        case .bool, .null:
            for word in ["true", "false", "null", "NaN", "Infinity"]
            where bytes[position...].starts(with: word.utf8) {
                position += word.utf8.count
                return
            }
            throw syntax
        }
    }

    // MARK: Bytes

    private mutating func nest(_ end: Unicode.Scalar, _ item: (inout JSONReader) throws -> Void) throws {
        position += 1
        guard depth < Self.depthLimit else { throw syntax }
        depth += 1
        defer { depth -= 1 }
        skipSpace()
        if take(end) { return }
        repeat {
            try item(&self)
            skipSpace()
            if take(end) { return }
        } while take(",")
        throw syntax
    }

    private mutating func skipSpace() {
        while position < bytes.count, bytes[position] <= 0x20 { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private func text(_ bytes: ArraySlice<UInt8>, from start: Int) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Problem(isSyntax: true, reason: "not UTF-8 in the text at byte \(start)")
        }
        return text
    }

    private mutating func escapedString(from start: Int) throws -> String {
        var text = Array(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return try self.text(text[...], from: start)
            case UInt8(ascii: "\\"):
                guard position < bytes.count else { throw syntax }
                let escape = bytes[position]
                position += 1
                switch escape {
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(escape)
                case UInt8(ascii: "b"): text.append(0x08)
                case UInt8(ascii: "f"): text.append(0x0C)
                case UInt8(ascii: "n"): text.append(0x0A)
                case UInt8(ascii: "r"): text.append(0x0D)
                case UInt8(ascii: "t"): text.append(0x09)
                case UInt8(ascii: "u"):
                    var value = try fourDigits()
                    if (0xD800..<0xDC00).contains(value), position + 1 < bytes.count,
                        bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u")
                    {
                        let next = position
                        position += 2
                        let low = try fourDigits()
                        if (0xDC00..<0xE000).contains(low) {
                            value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
                        } else {
                            // Half a character; what follows is one by itself.
                            position = next
                        }
                    }
                    text += UTF8.encode(Unicode.Scalar(value) ?? "\u{FFFD}")!
                default: throw syntax
                }
            default: text.append(byte)
            }
        }
        throw syntax
    }

    private mutating func fourDigits() throws -> UInt32 {
        guard position + 4 <= bytes.count,
            let value = UInt32(String(decoding: bytes[position..<(position + 4)], as: UTF8.self), radix: 16)
        else { throw syntax }
        position += 4
        return value
    }
}
