/// What a file calls a picture, a class, a label or a question: a number or a text, as it is written.
///
/// Texts are texts: "0007", "7" and 7 are three.
public enum LabelID: Sendable, Hashable {
    case number(Int)
    case text(String)

    /// Without a sign of which of the two it is.
    public var name: String {
        switch self {
        case .number(let number): String(number)
        case .text(let text): text
        }
    }

    /// The number 7 of the text "7", and the other way round; publishers mix them within a file.
    var otherKind: LabelID? {
        switch self {
        case .number(let number): .text(String(number))
        case .text(let text): Int(text).flatMap { String($0) == text ? .number($0) : nil }
        }
    }
}

extension LabelID: CustomStringConvertible {
    public var description: String {
        switch self {
        case .number(let number): String(number)
        case .text(let text): "\"\(text)\""
        }
    }
}

/// Numbers by size, then texts letter by letter.
extension LabelID: Comparable {
    public static func < (a: LabelID, b: LabelID) -> Bool {
        switch (a, b) {
        case (.number(let a), .number(let b)): a < b
        case (.text(let a), .text(let b)): a.unicodeScalars.lexicographicallyPrecedes(b.unicodeScalars)
        case (.number, .text): true
        case (.text, .number): false
        }
    }
}

extension LabelID: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        self =
            if let number = try? container.decode(Int.self) { .number(number) } else {
                .text(try container.decode(String.self))
            }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .number(let number): try container.encode(number)
        case .text(let text): try container.encode(text)
        }
    }
}

extension LabelID: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
    public init(integerLiteral number: Int) { self = .number(number) }
    public init(stringLiteral text: String) { self = .text(text) }
}

extension Dictionary where Key == LabelID {
    /// What is under an id, or else under the same one of the other kind.
    func entry(_ id: LabelID) -> Value? { self[id] ?? id.otherKind.flatMap { self[$0] } }
}
