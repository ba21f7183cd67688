/// A JSON value. Members keep their order, numbers their digits, and text its UTF-8: a Swift dictionary would take
/// canonically equivalent tokens for one.
enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    case number(String)
    case text([UInt8])
    case array([JSON])
    case object([Member])

    struct Member: Sendable, Equatable {
        var key: [UInt8]
        var value: JSON
    }

    /// Where a text stops being JSON.
    struct Malformed: Error {
        var byte: Int
    }

    init(parsing utf8: [UInt8]) throws(Malformed) {
        var parser = JSONParser(utf8)
        self = try parser.document()
    }

    /// The value in one line.
    var description: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let digits): digits
        case .text(let utf8): quoted(String(decoding: utf8, as: UTF8.self))
        case .array(let elements): "[\(elements.map(\.description).joined(separator: ", "))]"
        case .object(let members):
            "{"
                + members.map {
                    "\(quoted(String(decoding: $0.key, as: UTF8.self))): \($0.value.description)"
                }
                .joined(separator: ", ") + "}"
        }
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    init(stringLiteral value: String) { self = .string(value) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
    init(integerLiteral value: Int) { self = .number(String(value)) }
    init(arrayLiteral elements: JSON...) { self = .array(elements) }
    init(dictionaryLiteral members: (String, JSON)...) {
        self = .object(members.map { Member(key: Array($0.0.utf8), value: $0.1) })
    }

    static func string(_ value: String) -> JSON { .text(Array(value.utf8)) }
}

private struct JSONParser {
    private let text: [UInt8]
    private var position = 0
    /// Deeper nesting is refused, so that a hostile file cannot exhaust the stack.
    private static let depthLimit = 128

    init(_ text: [UInt8]) { self.text = text }

    private var malformed: JSON.Malformed { JSON.Malformed(byte: position) }

    mutating func document() throws(JSON.Malformed) -> JSON {
        guard String(validating: text, as: UTF8.self) != nil else { throw malformed }
        let result = try value(depth: 0)
        skipSpace()
        guard position == text.count else { throw malformed }
        return result
    }

    private mutating func skipSpace() {
        while position < text.count, [0x20, 0x09, 0x0A, 0x0D].contains(text[position]) { position += 1 }
    }

    private mutating func take(_ byte: Character) -> Bool {
        guard position < text.count, text[position] == byte.asciiValue else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ word: String) throws(JSON.Malformed) {
        guard text[position...].starts(with: word.utf8) else { throw malformed }
        position += word.utf8.count
    }

    private mutating func value(depth: Int) throws(JSON.Malformed) -> JSON {
        skipSpace()
        guard position < text.count, depth < Self.depthLimit else { throw malformed }
        switch text[position] {
        case UInt8(ascii: "n"):
            try expect("null")
            return .null
        case UInt8(ascii: "t"):
            try expect("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try expect("false")
            return .bool(false)
        case UInt8(ascii: "\""): return .text(try string())
        case UInt8(ascii: "["):
            position += 1
            var elements: [JSON] = []
            try items("]") { parser throws(JSON.Malformed) in
                elements.append(try parser.value(depth: depth + 1))
            }
            return .array(elements)
        case UInt8(ascii: "{"):
            position += 1
            var members: [JSON.Member] = []
            try items("}") { parser throws(JSON.Malformed) in
                parser.skipSpace()
                let key = try parser.string()
                parser.skipSpace()
                guard parser.take(":") else { throw parser.malformed }
                members.append(JSON.Member(key: key, value: try parser.value(depth: depth + 1)))
            }
            return .object(members)
        default: return .number(try number())
        }
    }

    /// What stands between an opening bracket and the closing one.
    private mutating func items(
        _ end: Character, _ item: (inout JSONParser) throws(JSON.Malformed) -> Void
    ) throws(JSON.Malformed) {
        skipSpace()
        if take(end) { return }
        repeat {
            try item(&self)
            skipSpace()
            if take(end) { return }
        } while take(",")
        throw malformed
    }

    private mutating func number() throws(JSON.Malformed) -> String {
        let start = position
        while position < text.count, "+-.0123456789Ee".utf8.contains(text[position]) { position += 1 }
        let digits = String(decoding: text[start..<position], as: UTF8.self)
        guard Double(digits) != nil else { throw malformed }
        return digits
    }

    private mutating func string() throws(JSON.Malformed) -> [UInt8] {
        guard take("\"") else { throw malformed }
        var result: [UInt8] = []
        while position < text.count {
            let byte = text[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return result
            case UInt8(ascii: "\\"): try escape(into: &result)
            case 0..<0x20: throw malformed
            default: result.append(byte)
            }
        }
        throw malformed
    }

    private mutating func escape(into result: inout [UInt8]) throws(JSON.Malformed) {
        guard position < text.count else { throw malformed }
        let byte = text[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(byte)
        case UInt8(ascii: "b"): result.append(0x08)
        case UInt8(ascii: "f"): result.append(0x0C)
        case UInt8(ascii: "n"): result.append(0x0A)
        case UInt8(ascii: "r"): result.append(0x0D)
        case UInt8(ascii: "t"): result.append(0x09)
        case UInt8(ascii: "u"):
            var value = try fourDigits()
            if (0xD800..<0xDC00).contains(value) {
                guard take("\\"), take("u"), case let low = try fourDigits(), (0xDC00..<0xE000).contains(low)
                else { throw malformed }
                value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(value) else { throw malformed }
            result += UTF8.encode(scalar)!
        default: throw malformed
        }
    }

    private mutating func fourDigits() throws(JSON.Malformed) -> UInt32 {
        let digits = text[position...].prefix(4)
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw malformed }
        position += 4
        return value
    }
}

/// A value in a file, and where it stands in it, for errors that say so.
struct JSONField {
    let value: JSON
    let path: String

    init(_ value: JSON, path: String = "") {
        self.value = value
        self.path = path
    }

    /// What is wrong with a file, in one line.
    struct Mismatch: Error {
        var reason: String
    }

    private var place: String { path.isEmpty ? "the file" : path }

    func mismatch(_ reason: String) -> Mismatch { Mismatch(reason: "\(place) \(reason)") }

    private func inner(_ name: String, _ value: JSON) -> JSONField {
        JSONField(value, path: path.isEmpty ? name : "\(path).\(name)")
    }

    /// The member with this name unless it is absent or null; the last if there are several.
    func member(_ name: String) throws(Mismatch) -> JSONField? {
        guard case .object(let members) = value else { throw mismatch("is no object") }
        guard let found = members.last(where: { $0.key.elementsEqual(name.utf8) })?.value, found != .null
        else {
            return nil
        }
        return inner(name, found)
    }

    func required(_ name: String) throws(Mismatch) -> JSONField {
        guard let member = try member(name) else { throw mismatch("has no \(quoted(name))") }
        return member
    }

    func members() throws(Mismatch) -> [(key: [UInt8], field: JSONField)] {
        guard case .object(let members) = value else { throw mismatch("is no object") }
        return members.map { ($0.key, inner(String(decoding: $0.key, as: UTF8.self), $0.value)) }
    }

    func elements() throws(Mismatch) -> [JSONField] {
        guard case .array(let elements) = value else { throw mismatch("is no list") }
        return elements.enumerated().map { inner(String($0.offset), $0.element) }
    }

    func bytes() throws(Mismatch) -> [UInt8] {
        guard case .text(let utf8) = value else { throw mismatch("is no String") }
        return utf8
    }

    func string() throws(Mismatch) -> String { String(decoding: try bytes(), as: UTF8.self) }

    func bool() throws(Mismatch) -> Bool {
        guard case .bool(let value) = value else { throw mismatch("is no Bool") }
        return value
    }

    func int() throws(Mismatch) -> Int {
        guard case .number(let digits) = value, let value = Int(digits) else { throw mismatch("is no Int") }
        return value
    }

    func int(in range: ClosedRange<Int>) throws(Mismatch) -> Int {
        let value = try int()
        guard range.contains(value) else {
            throw mismatch("is \(value), \(range.lowerBound) to \(range.upperBound) is possible")
        }
        return value
    }

    /// One character, as Rust's `char` is: a single scalar.
    func character() throws(Mismatch) -> [UInt8] {
        let text = try bytes()
        guard String(decoding: text, as: UTF8.self).unicodeScalars.count == 1 else {
            throw mismatch(
                "is \(quoted(String(decoding: text.prefix(60), as: UTF8.self))), one character is needed")
        }
        return text
    }
}
