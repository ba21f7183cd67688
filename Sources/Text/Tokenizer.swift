#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// Text to ids and back, as Hugging Face's `tokenizers` does it for the same `tokenizer.json`.
///
/// Byte-level BPE (GPT-2's kind) is what there is: any text has an encoding, and decoding gives it back
/// unless a token swallowed white space (`lstrip`, `rstrip`) or a space came in front (`add_prefix_space`).
/// A tokenizer never changes, and may be used from several threads at once.
public final class Tokenizer: Sendable {
    /// The largest number of ids a tokenizer may have.
    public static let idLimit = 1 << 24

    /// The tokens that are found in the text as it stands, by id.
    public let addedTokens: [Int: AddedToken]

    let normalizer: Normalizer
    let preTokenizer: PreTokenizer
    let model: Model
    let postProcessor: PostProcessor
    let decoder: Decoder

    private let addedVocabulary: AddedVocabulary
    private let ids: [[UInt8]: Int]
    private let tokens: [String?]
    private let bytes: [[UInt8]]

    /// Reads a `tokenizer.json`.
    ///
    /// Throws if the file is missing, is no JSON, has a part that is not supported (any kind but byte-level
    /// BPE), or contradicts itself: merges of unknown tokens, ids shared by two tokens or outside
    /// `0..<idLimit`.
    public convenience init(contentsOf url: URL) throws(TokenizerError) {
        try self.init(TokenizerFile(contentsOf: url), file: url.path)
    }

    convenience init(_ file: TokenizerFile, file name: String) throws(TokenizerError) {
        var vocabulary: [[UInt8]: Int] = [:]
        vocabulary.reserveCapacity(file.model.vocabulary.count)
        for (token, id) in file.model.vocabulary {
            guard (0..<Self.idLimit).contains(id) else {
                throw .idOutOfRange(file: name, token: token, id: id, limit: Self.idLimit)
            }
            vocabulary[Array(token.utf8)] = id
        }
        let bpe = try BPE(
            vocabulary: vocabulary, merges: file.model.merges, ignoresMerges: file.model.ignoresMerges,
            file: name)
        try self.init(
            addedTokens: file.addedTokens, preTokenizer: file.preTokenizer, model: .bpe(bpe),
            postProcessor: file.postProcessor, decoder: file.decoder, file: name)
    }

    init(
        addedTokens: [(id: Int, token: AddedToken)], preTokenizer: PreTokenizer, model: Model,
        postProcessor: PostProcessor, decoder: Decoder, file: String
    ) throws(TokenizerError) {
        var ids = model.vocabulary
        var added: [Int: AddedToken] = [:]
        for (id, token) in addedTokens {
            guard (0..<Self.idLimit).contains(id) else {
                throw .idOutOfRange(file: file, token: token.content, id: id, limit: Self.idLimit)
            }
            let key = Array(token.content.utf8)
            if let other = ids[key], other != id {
                throw .repeatedToken(file: file, token: token.content, ids: [other, id])
            }
            if let other = added[id] {
                throw .sharedID(file: file, id: id, tokens: [other.content, token.content])
            }
            ids[key] = id
            added[id] = token
        }
        let count = (ids.values.max() ?? -1) + 1
        var tokens = [String?](repeating: nil, count: count)
        var bytes = [[UInt8]](repeating: [], count: count)
        for (key, id) in ids {
            let token = String(decoding: key, as: UTF8.self)
            if let other = tokens[id] {
                throw .sharedID(file: file, id: id, tokens: [other, token].sorted())
            }
            tokens[id] = token
            bytes[id] = decoder.bytes(of: token)
        }
        normalizer = .none
        self.preTokenizer = preTokenizer
        self.model = model
        self.postProcessor = postProcessor
        self.decoder = decoder
        self.addedTokens = added
        addedVocabulary = AddedVocabulary(added)
        self.ids = ids
        self.tokens = tokens
        self.bytes = bytes
    }

    /// Saves the tokenizer as a `tokenizer.json` that Hugging Face's `tokenizers` reads.
    ///
    /// Throws if the file cannot be written.
    public func write(to url: URL) throws(TokenizerError) {
        do {
            try Data(json.utf8).write(to: url, options: .atomic)
        } catch {
            throw .unwritable(file: url.path)
        }
    }

    /// One more than the largest id: the number of rows that an embedding needs.
    public var vocabularySize: Int { tokens.count }

    /// The id of a token as the vocabulary writes it (`Ġred` for ` red`), or nil if there is none.
    public func id(of token: String) -> Int? { ids[Array(token.utf8)] }

    /// The token with this id as the vocabulary writes it, or nil if there is none.
    public func token(of id: Int) -> String? { tokens.indices.contains(id) ? tokens[id] : nil }

    /// The ids of a text, special tokens inside it included.
    public func encode(_ text: String) -> [Int] {
        let text = Array(text.utf8)
        var ids: [Int] = []
        addedVocabulary.forEachPiece(in: text[...]) { piece in
            switch piece {
            case .token(let id): ids.append(id)
            case .text(let rest): preTokenizer.forEachWord(in: rest) { model.encode($0, into: &ids) }
            }
        }
        return ids
    }

    /// The text of these ids. Ids without a token are left out; bytes that are no UTF-8 become U+FFFD.
    ///
    /// With `skipSpecialTokens` the special tokens are left out too.
    public func decode(_ ids: some Sequence<Int>, skipSpecialTokens: Bool = false) -> String {
        var text: [UInt8] = []
        for id in ids { text += bytes(of: id, skipSpecialTokens: skipSpecialTokens) }
        return String(decoding: text, as: UTF8.self)
    }

    /// The bytes that a token adds to a decoded text.
    func bytes(of id: Int, skipSpecialTokens: Bool) -> [UInt8] {
        guard bytes.indices.contains(id) else { return [] }
        if skipSpecialTokens, addedTokens[id]?.isSpecial ?? false { return [] }
        return bytes[id]
    }
}
