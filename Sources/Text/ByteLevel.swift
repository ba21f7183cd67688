/// GPT-2's way of writing bytes as visible characters: printable Latin-1 stands for itself, the other bytes
/// for U+0100 and up.
enum ByteLevelAlphabet {
    /// The character of each byte.
    static let characters: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (0...255).map { (byte: UInt32) in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(UInt8(byte))
            default:
                defer { next += 1 }
                return Unicode.Scalar(next) ?? " "
            }
        }
    }()

    private static let bytes = Dictionary(
        uniqueKeysWithValues: zip(characters, (0...255).map { UInt8($0) }))

    /// How a vocabulary writes these bytes.
    static func token(of bytes: some Sequence<UInt8>) -> String {
        var token = String.UnicodeScalarView()
        for byte in bytes { token.append(characters[Int(byte)]) }
        return String(token)
    }

    /// The bytes that a token stands for: a token with any character outside the alphabet (an added token
    /// with a space, say) stands for its own UTF-8, as in Hugging Face's decoder.
    static func bytes(of token: String) -> [UInt8] { bytes(spelledBy: token) ?? Array(token.utf8) }

    /// The bytes whose characters make up a token, or nil if it has others.
    static func bytes(spelledBy token: String) -> [UInt8]? {
        var result: [UInt8] = []
        for scalar in token.unicodeScalars {
            guard let byte = bytes[scalar] else { return nil }
            result.append(byte)
        }
        return result
    }
}
