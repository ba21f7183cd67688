/// Why a tokenizer could not be read, written or trained, in one line.
public enum TokenizerError: Error, Equatable, CustomStringConvertible {
    /// The file could not be opened or read.
    case unreadable(file: String, reason: String)
    /// The tokenizer could not be saved.
    case unwritable(file: String)
    /// The file is no JSON or no protobuf, or not of the shape of a tokenizer.
    case malformed(file: String, reason: String)
    /// The file uses a part of the format that this library does not have.
    case unsupported(file: String, part: String)
    /// A merge names a token, or makes one, that the vocabulary lacks.
    case unknownMergeToken(file: String, merge: Int, token: String)
    /// An id is negative or too large.
    case idOutOfRange(file: String, token: String, id: Int, limit: Int)
    /// Tokens share an id.
    case sharedID(file: String, id: Int, tokens: [String])
    /// A token has more than one id.
    case repeatedToken(file: String, token: String, ids: [Int])
    /// The trainer cannot make what was asked for.
    case untrainable(reason: String)

    public var description: String {
        switch self {
        case .unreadable(let file, let reason): "\(file): \(reason)"
        case .unwritable(let file): "\(file): cannot be written"
        case .malformed(let file, let reason): "\(file): not a tokenizer: \(reason)"
        case .unsupported(let file, let part): "\(file): \(part) is not supported"
        case .unknownMergeToken(let file, let merge, let token):
            "\(file): merge \(merge) needs the token \(quoted(token)), which is not in the vocabulary"
        case .idOutOfRange(let file, let token, let id, let limit):
            "\(file): token \(quoted(token)) has id \(id), outside 0..<\(limit)"
        case .sharedID(let file, let id, let tokens):
            "\(file): the tokens \(tokens.map(quoted).joined(separator: " and ")) share the id \(id)"
        case .repeatedToken(let file, let token, let ids):
            "\(file): token \(quoted(token)) has the ids \(ids.map(String.init).joined(separator: " and "))"
        case .untrainable(let reason): "cannot train a tokenizer: \(reason)"
        }
    }
}

/// Text in quotation marks as JSON writes it, so that it stays on one line.
func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case "\u{2028}", "\u{2029}": result += "\\u\(String(scalar.value, radix: 16))"
        case _ where scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value):
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
