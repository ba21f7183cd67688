#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

/// Text to ids and back, as Hugging Face's `tokenizers` does it for the same `tokenizer.json`, and `sentencepiece` for
/// the same `tokenizer.model`.
///
/// Every kind is a byte-pair encoding: of bytes (GPT-2, Llama 3, Qwen 2, CLIP) or of characters with tokens for single
/// bytes where a character is unknown (Llama, Vicuna). Text that has a token for every byte comes back as it was, but
/// for what the tokenizer's own rules change: normalising, white space that a token swallows, a space put in front.
/// A tokenizer never changes, and may be used from several threads at once.
public final class Tokenizer: Sendable {
    /// The largest number of ids a tokenizer may have.
    public static let idLimit = 1 << 24

    /// The tokens that are found in the text as it stands, by id.
    public let addedTokens: [Int: AddedToken]

    let model: BPE
    let decoder: Decoder
    /// How the tokenizer is written.
    let form: Form

    private let normalizer: Normalizer
    private let preTokenizer: PreTokenizer
    private let postProcessor: PostProcessor
    private let addedVocabulary: AddedVocabulary
    private let ids: [[UInt8]: Int]
    private let tokens: [[UInt8]?]
    /// The tokens as the decoder takes them.
    private let prepared: [[UInt8]]

    /// A tokenizer is written as what it was read from.
    enum Form: Sendable {
        case json(TokenizerFile.Parts)
        case sentencePiece(SentencePieceFolder)
    }

    /// Reads a `tokenizer.json`, or a SentencePiece model if the file's name ends in `.model`.
    ///
    /// A `tokenizer.model` read by itself is what `sentencepiece` makes of it: no token is looked for in the text, and
    /// decoding leaves control tokens such as `<s>` out. With its folder (``init(folder:)``) it is what transformers makes
    /// of it.
    ///
    /// Throws if the file is missing, is not of its format, has a part that is not supported, or contradicts itself:
    /// merges of unknown tokens, ids shared by two tokens or outside `0..<idLimit`.
    public convenience init(contentsOf url: URL) throws(TokenizerError) {
        if url.pathExtension == "model" {
            try self.init(SentencePieceFolder(model: url), file: url.path)
        } else {
            let file = try TokenizerFile(contentsOf: url)
            try self.init(addedTokens: file.addedTokens, parts: file.parts, model: file.model, file: url.path)
        }
    }

    convenience init(
        addedTokens: [(id: Int, token: AddedToken)], parts: TokenizerFile.Parts, model: BPE, file: String
    ) throws(TokenizerError) {
        let (normalizer, preTokenizer, postProcessor, decoder) = try reading(file) {
            try (
                parts.compiledNormalizer, parts.compiledPreTokenizer, parts.compiledPostProcessor,
                parts.compiledDecoder
            )
        }
        try self.init(
            addedTokens: addedTokens, normalizer: normalizer, preTokenizer: preTokenizer, model: model,
            postProcessor: postProcessor, decoder: decoder, form: .json(parts), file: file)
    }

    init(
        addedTokens: [(id: Int, token: AddedToken)], userDefined: [(id: Int, text: [UInt8])] = [],
        normalizer: Normalizer, preTokenizer: PreTokenizer, model: BPE, postProcessor: PostProcessor,
        decoder: Decoder,
        form: Form, file: String
    ) throws(TokenizerError) {
        var ids = model.vocabulary
        var added: [Int: AddedToken] = [:]
        for (id, token) in addedTokens {
            try Self.check(id, of: token.content, file: file)
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
        var tokens = [[UInt8]?](repeating: nil, count: (ids.values.max() ?? -1) + 1)
        for (token, id) in ids {
            if let other = tokens[id] {
                let both = [other, token].map { String(decoding: $0, as: UTF8.self) }
                throw .sharedID(file: file, id: id, tokens: both.sorted())
            }
            tokens[id] = token
        }
        for id in postProcessor.prefix + postProcessor.suffix where !tokens.indices.contains(id) {
            throw .malformed(
                file: file, reason: "the post_processor puts in the id \(id), which has no token")
        }
        self.addedTokens = added
        self.normalizer = normalizer
        self.preTokenizer = preTokenizer
        self.model = model
        self.postProcessor = postProcessor
        self.decoder = decoder
        self.form = form
        addedVocabulary = AddedVocabulary(added, normalizer: normalizer, others: userDefined)
        self.ids = ids
        self.tokens = tokens
        prepared = tokens.map { $0.map(decoder.prepared) ?? [] }
    }

    static func check(_ id: Int, of token: String, file: String) throws(TokenizerError) {
        guard (0..<idLimit).contains(id) else {
            throw .idOutOfRange(file: file, token: token, id: id, limit: idLimit)
        }
    }

    /// One more than the largest id: the number of rows that an embedding needs.
    public var vocabularySize: Int { tokens.count }

    /// The id of a token as the vocabulary writes it (`Ġred` for ` red`), or nil if there is none.
    public func id(of token: String) -> Int? { ids[Array(token.utf8)] }

    /// The token with this id as the vocabulary writes it, or nil if there is none.
    public func token(of id: Int) -> String? {
        guard tokens.indices.contains(id) else { return nil }
        return tokens[id].map { String(decoding: $0, as: UTF8.self) }
    }

    /// The ids of a text, special tokens inside it included.
    ///
    /// With `addSpecialTokens` also those that the tokenizer puts around a whole text: `<s>` in front for Llama and
    /// Vicuna, `<|startoftext|>` and `<|endoftext|>` for CLIP.
    public func encode(_ text: String, addSpecialTokens: Bool = false) -> [Int] {
        var text = Array(text.utf8)
        var isContinued = false
        if case .sentencePiece(let folder) = form { isContinued = folder.prepare(&text) }
        let prefix = addSpecialTokens ? postProcessor.prefix : []
        var run = model.start(prefix)
        addedVocabulary.exact.forEachPiece(in: text[...]) { piece in
            switch piece {
            case .token(let id): run.append(id)
            case .text(let rest): encode(rest, into: &run)
            }
        }
        var ids = run.ids
        // transformers' Llama tokenizer leaves the space out that it put before a special token.
        if isContinued, ids.count > prefix.count + 1, token(of: ids[prefix.count]) == "\u{2581}",
            addedTokens[ids[prefix.count + 1]]?.isSpecial ?? false
        {
            ids.remove(at: prefix.count)
        }
        if addSpecialTokens { ids += postProcessor.suffix }
        return ids
    }

    private func encode(_ piece: ArraySlice<UInt8>, into run: inout BPE.Run) {
        var (text, startsText) = (Array(piece), piece.startIndex == 0)
        normalizer.apply(to: &text, startsText: &startsText)
        addedVocabulary.normalized.forEachPiece(in: text[...]) { piece in
            switch piece {
            case .token(let id): run.append(id)
            case .text(let rest):
                preTokenizer.forEachWord(in: rest, startsText: startsText && rest.startIndex == 0) {
                    run.encode($0)
                }
            }
        }
    }

    /// The text of these ids. Ids without a token are left out; bytes that are no UTF-8 become U+FFFD.
    ///
    /// With `skipSpecialTokens` the special tokens are left out too.
    public func decode(_ ids: some Sequence<Int>, skipSpecialTokens: Bool = false) -> String {
        var text: [UInt8] = []
        var run = decoder.start()
        for id in ids { feed(id, skipSpecialTokens: skipSpecialTokens, to: &run, into: &text) }
        run.finish(into: &text)
        return String(decoding: text, as: UTF8.self)
    }

    func feed(_ id: Int, skipSpecialTokens: Bool, to run: inout Decoder.Run, into text: inout [UInt8]) {
        guard tokens.indices.contains(id), tokens[id] != nil else { return }
        let added = addedTokens[id]
        if skipSpecialTokens, added?.isSpecial ?? false { return }
        run.feed(prepared[id], id: id, isAdded: added != nil, into: &text)
    }

    /// This tokenizer with more tokens that are found in the text as it stands. One that the vocabulary has keeps its id,
    /// the others get the next ones.
    ///
    /// Throws if a token is empty, or if ids would run out.
    public func adding(_ newTokens: [AddedToken]) throws(TokenizerError) -> Tokenizer {
        var added = addedTokens
        var next = vocabularySize
        for token in newTokens {
            guard !token.content.isEmpty else { throw .untrainable(reason: "an added token is empty") }
            if let id = id(of: token.content)
                ?? added.first(where: { $0.value.content == token.content })?.key
            {
                added[id] = token
            } else {
                added[next] = token
                next += 1
            }
        }
        let sorted = added.sorted { $0.key < $1.key }.map { (id: $0.key, token: $0.value) }
        switch form {
        case .json(let parts):
            return try Tokenizer(addedTokens: sorted, parts: parts, model: model, file: "tokenizer")
        case .sentencePiece(var folder):
            folder.addedTokens = sorted
            return try Tokenizer(folder, file: "tokenizer.model")
        }
    }
}
