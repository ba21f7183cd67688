#if canImport(FoundationEssentials)
    public import FoundationEssentials
#else
    public import Foundation
#endif

extension Tokenizer {
    /// Reads the tokenizer of a model's folder: `tokenizer.json`; or `tokenizer.model` with `tokenizer_config.json`,
    /// `special_tokens_map.json` and `added_tokens.json`; or CLIP's `vocab.json` with `merges.txt`.
    ///
    /// Ids from a `tokenizer.model` are those of transformers' LlamaTokenizer, its `legacy` behaviour (a space put before
    /// the text after every special token) as the configuration says, and where it says nothing `legacy`. A vocabulary
    /// with merges is read as transformers' CLIPTokenizerFast does.
    ///
    /// Throws if there is none of these files, and as ``init(contentsOf:)``.
    public convenience init(folder: String) throws(TokenizerError) {
        let folder = URL(fileURLWithPath: folder)
        func file(_ name: String) -> URL? {
            let url = folder.appendingPathComponent(name)
            return FileManager.default.fileExists(atPath: url.path) ? url : nil
        }
        if let json = file("tokenizer.json") {
            try self.init(contentsOf: json)
        } else if let model = file("tokenizer.model") {
            let configuration = try SentencePieceFolder(
                model: model, configuration: file("tokenizer_config.json"),
                special: file("special_tokens_map.json"),
                added: file("added_tokens.json"))
            try self.init(configuration, file: model.path)
        } else if let vocabulary = file("vocab.json"), let merges = file("merges.txt") {
            try self.init(clipVocabulary: vocabulary, merges: merges)
        } else {
            throw .unreadable(
                file: folder.appendingPathComponent("tokenizer.json").path,
                reason: "no such file or directory")
        }
    }

    /// Saves a `tokenizer.json` that Hugging Face's `tokenizers` reads. A tokenizer read from a `tokenizer.model` has no
    /// such form: ``write(folder:)`` saves it.
    ///
    /// Throws if the file cannot be written.
    public func write(to url: URL) throws(TokenizerError) {
        guard case .json(let parts) = form else {
            throw .unsupported(file: url.path, part: "writing a SentencePiece model as a tokenizer.json")
        }
        try Data(json(parts).utf8).save(to: url)
    }

    /// Saves the tokenizer into a folder in the form it was read in: `tokenizer.json`, or `tokenizer.model` with its
    /// `tokenizer_config.json`.
    ///
    /// Throws if a file cannot be written.
    public func write(folder: String) throws(TokenizerError) {
        let folder = URL(fileURLWithPath: folder)
        switch form {
        case .json: try write(to: folder.appendingPathComponent("tokenizer.json"))
        case .sentencePiece(let files):
            try Data(files.model).save(to: folder.appendingPathComponent("tokenizer.model"))
            if let configuration = files.json {
                try Data(configuration.utf8).save(to: folder.appendingPathComponent("tokenizer_config.json"))
            }
        }
    }

    convenience init(_ folder: SentencePieceFolder, file: String) throws(TokenizerError) {
        let model = try SentencePieceModel(folder.model, file: file)
        var normalizer = model.normalizer
        let userDefined = model.pieces.enumerated().filter { $0.element.kind == .userDefined }
        normalizer.userDefined = Trie(userDefined.map { ($0.element.text, $0.offset) })
        let decoder = SentencePieceDecoder(
            kinds: model.pieces.map(\.kind), unknownSurface: model.unknownSurface, normalizer: normalizer)
        if folder.prefixesWholeText { normalizer.addsDummyPrefix = false }
        normalizer.keepsLeadingSpaces = folder.prefixesWholeText
        let bpe = try model.bpe(file: file)
        func ids(_ token: String?) throws(TokenizerError) -> [Int] {
            guard let token else { return [] }
            let id =
                bpe.vocabulary[Array(token.utf8)]
                ?? folder.addedTokens.first { $0.token.content == token }?.id
            guard let id else { throw .malformed(file: file, reason: "it has no token \(quoted(token))") }
            return [id]
        }
        var folder = folder
        folder.addedTokens = try folder.resolvedTokens(bpe.vocabulary, file: file)
        try self.init(
            addedTokens: folder.addedTokens, userDefined: userDefined.map { ($0.offset, $0.element.text) },
            normalizer: .sentencePiece(normalizer), preTokenizer: PreTokenizer(steps: []), model: bpe,
            postProcessor: PostProcessor(prefix: try ids(folder.beginning), suffix: try ids(folder.end)),
            decoder: Decoder(steps: [.sentencePiece(decoder)]), form: .sentencePiece(folder), file: file)
    }

    private convenience init(clipVocabulary url: URL, merges mergesURL: URL) throws(TokenizerError) {
        let field = try JSONField(contentsOf: url)
        let vocabulary = try reading(url.path) { try BPE.vocabulary(field, file: url.path) }
        let data = try contents(of: mergesURL)
        guard let text = String(validating: data, as: UTF8.self) else {
            throw .malformed(file: mergesURL.path, reason: "it is no UTF-8")
        }
        // By bytes: as characters, a line's end may be joined with what stands before it.
        var lines = Array(text.utf8).split(separator: UInt8(ascii: "\n"))
        if let first = lines.first,
            first.starts(with: "#version".utf8) || first.starts(with: "\"bpe_simple".utf8)
        {
            lines.removeFirst()
        }
        var merges: [BPE.Merge] = []
        for (index, line) in lines.enumerated() {
            let pair = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
            guard pair.count == 2 else {
                throw .malformed(file: mergesURL.path, reason: "merge \(index) is no pair of tokens")
            }
            merges.append(BPE.Merge(left: pair[0], right: pair[1]))
        }
        var options = BPE.Options()
        (options.unknownToken, options.endOfWordSuffix) = ("<|endoftext|>", "</w>")
        var added: [(id: Int, token: AddedToken)] = []
        for token in ["<|startoftext|>", "<|endoftext|>"] {
            guard let id = vocabulary[Array(token.utf8)] else {
                throw .malformed(file: url.path, reason: "it has no token \(quoted(token))")
            }
            added.append((id, AddedToken(token, isSpecial: true, normalized: true)))
        }
        try self.init(
            addedTokens: added, parts: .clip(start: added[0].id, end: added[1].id),
            model: try BPE(vocabulary: vocabulary, merges: merges, options: options, file: mergesURL.path),
            file: url.path)
    }
}

extension TokenizerFile.Parts {
    /// transformers' CLIPConverter.
    fileprivate static func clip(start: Int, end: Int) -> Self {
        let byteLevel: JSON = [
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true,
        ]
        return Self(
            normalizer: [
                "type": "Sequence",
                "normalizers": [
                    ["type": "NFC"], ["type": "Replace", "pattern": ["Regex": #"\s+"#], "content": " "],
                    ["type": "Lowercase"],
                ],
            ],
            preTokenizer: [
                "type": "Sequence",
                "pretokenizers": [
                    [
                        "type": "Split",
                        "pattern": ["Regex": #"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"#],
                        "behavior": "Removed", "invert": true,
                    ], byteLevel,
                ],
            ],
            postProcessor: [
                "type": "RobertaProcessing", "sep": ["<|endoftext|>", .number("\(end)")],
                "cls": ["<|startoftext|>", .number("\(start)")], "trim_offsets": false,
                "add_prefix_space": false,
            ],
            decoder: byteLevel)
    }
}

/// A `tokenizer.model` and what the files beside it say of it.
struct SentencePieceFolder: Sendable {
    var model: [UInt8]
    /// The tokens found in the text as it stands.
    var addedTokens: [(id: Int, token: AddedToken)] = []
    private var namedTokens: [AddedToken] = []
    /// What stands before and after a text.
    private(set) var beginning: String?
    private(set) var end: String?
    /// transformers' `legacy` being false: one space before the whole text, instead of one before every piece between
    /// special tokens.
    private(set) var prefixesWholeText = false
    private var addsPrefixSpace = true
    private var hasConfiguration = false

    init(model url: URL) throws(TokenizerError) {
        model = try contents(of: url)
    }

    init(model: URL, configuration: URL?, special: URL?, added: URL?) throws(TokenizerError) {
        try self.init(model: model)
        hasConfiguration = true
        func read(_ url: URL?, _ body: (JSONField) throws -> Void) throws(TokenizerError) {
            guard let url else { return }
            let field = try JSONField(contentsOf: url)
            try reading(url.path) { try body(field) }
        }
        var names = [SpecialTokenName: AddedToken](uniqueKeysWithValues: [
            (.bos, .special("<s>")), (.eos, .special("</s>")), (.unk, .special("<unk>")),
        ])
        var additional: [AddedToken] = []
        var (addsBeginning, addsEnd, knowsTokens) = (true, false, false)
        func take(_ field: JSONField) throws {
            for name in SpecialTokenName.allCases {
                guard let token = try field.member(name.rawValue) else { continue }
                if name == .additional {
                    additional = try token.elements().map { try AddedToken(special: $0) }
                } else {
                    names[name] = try AddedToken(special: token)
                }
            }
        }
        // The configuration's tokens are the later word; without its table of added tokens, the other files count.
        try read(special) { try take($0) }
        try read(configuration) { field in
            try take(field)
            addsBeginning = try field.member("add_bos_token")?.bool() ?? true
            addsEnd = try field.member("add_eos_token")?.bool() ?? false
            prefixesWholeText = try field.member("legacy").map { try !$0.bool() } ?? false
            addsPrefixSpace = try field.member("add_prefix_space")?.bool() ?? true
            guard let table = try field.member("added_tokens_decoder") else { return }
            knowsTokens = true
            addedTokens = try table.members().map { key, entry in
                guard let id = Int(String(decoding: key, as: UTF8.self)) else {
                    throw entry.mismatch("is no id")
                }
                return (id, try AddedToken(entry))
            }
        }
        if !knowsTokens {
            let special = Set(names.values.map(\.content) + additional.map(\.content))
            try read(added) { field in
                addedTokens = try field.members().map { key, entry in
                    let content = String(decoding: key, as: UTF8.self)
                    return (try entry.int(), AddedToken(content, isSpecial: special.contains(content)))
                }
            }
        }
        namedTokens = SpecialTokenName.allCases.compactMap { names[$0] } + additional
        beginning = addsBeginning ? names[.bos]?.content : nil
        end = addsEnd ? names[.eos]?.content : nil
    }

    private enum SpecialTokenName: String, CaseIterable {
        case bos = "bos_token", eos = "eos_token", unk = "unk_token", sep = "sep_token", pad = "pad_token"
        case cls = "cls_token", mask = "mask_token", additional = "additional_special_tokens"
    }

    /// The added tokens, those that are only named with their ids.
    func resolvedTokens(
        _ vocabulary: [[UInt8]: Int], file: String
    ) throws(TokenizerError) -> [(id: Int, token: AddedToken)] {
        for (id, token) in addedTokens { try Tokenizer.check(id, of: token.content, file: file) }
        var result = addedTokens
        for named in namedTokens {
            if let index = result.firstIndex(where: { $0.token.content == named.content }) {
                result[index].token.isSpecial = true
                continue
            }
            let next = max(vocabulary.count, (result.map(\.id).max() ?? 0) + 1)
            result.append((vocabulary[Array(named.content.utf8)] ?? next, named))
        }
        // Pieces are cut at these before anything is normalised.
        return result.map { id, token in
            var token = token
            token.normalized = false
            return (id, token)
        }
    }

    /// What is done to a whole text; returns whether it was.
    func prepare(_ text: inout [UInt8]) -> Bool {
        guard prefixesWholeText, !text.isEmpty else { return false }
        let space = Array("\u{2581}".utf8)
        text = (addsPrefixSpace ? space : []) + text.replacing(space, with: [UInt8(ascii: " ")])
        return true
    }

    /// The `tokenizer_config.json` that says this, unless the model was read by itself.
    var json: String? {
        guard hasConfiguration || !addedTokens.isEmpty else { return nil }
        let tokens = addedTokens.map { "\(quoted(String($0.id))): \($0.token.json())" }
        return """
            {
              "tokenizer_class": "LlamaTokenizer",
              "legacy": \(!prefixesWholeText),
              "add_prefix_space": \(addsPrefixSpace),
              "add_bos_token": \(beginning != nil),
              "add_eos_token": \(end != nil),
              "bos_token": \(quoted(beginning ?? "<s>")),
              "eos_token": \(quoted(end ?? "</s>")),
              "added_tokens_decoder": {\(tokens.isEmpty ? "" : "\n    " + tokens.joined(separator: ",\n    ") + "\n  ")}
            }

            """
    }
}

extension AddedToken {
    /// A special token as its text alone, or with its options.
    fileprivate init(special field: JSONField) throws(JSONField.Mismatch) {
        if case .text(let content) = field.value {
            self = .special(String(decoding: content, as: UTF8.self))
        } else {
            try self.init(field)
            isSpecial = true
        }
    }
}

extension Data {
    fileprivate func save(to url: URL) throws(TokenizerError) {
        do {
            try write(to: url, options: .atomic)
        } catch {
            throw .unwritable(file: url.path)
        }
    }
}
