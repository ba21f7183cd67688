/// What is done to text before it is cut; the place of NFC and its like.
enum Normalizer: Sendable {
    case none
}

/// Turns the bytes of a word into ids.
enum Model: Sendable {
    case bpe(BPE)

    var vocabulary: [[UInt8]: Int] {
        switch self {
        case .bpe(let bpe): bpe.vocabulary
        }
    }

    func encode(_ word: ArraySlice<UInt8>, into ids: inout [Int]) {
        switch self {
        case .bpe(let bpe): bpe.encode(word, into: &ids)
        }
    }
}

/// What is done to ids after encoding. `ByteLevel` only trims offsets, which this library does not report.
enum PostProcessor: Sendable {
    case none
    case byteLevel(ByteLevelOptions)
}

/// Turns a token back into bytes of text.
enum Decoder: Sendable {
    case byteLevel(ByteLevelOptions)

    func bytes(of token: String) -> [UInt8] {
        switch self {
        case .byteLevel: ByteLevelAlphabet.bytes(of: token)
        }
    }
}
