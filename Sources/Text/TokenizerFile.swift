internal import InputFiles

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a `tokenizer.json` holds; reading it refuses what this library does not have.
struct TokenizerFile {
    var addedTokens: [(id: Int, token: AddedToken)]
    var parts: Parts
    var model: BPE

    /// The parts around the model, as the file writes them: so they are written again.
    struct Parts: Sendable {
        var normalizer: JSON = .null
        var preTokenizer: JSON = .null
        var postProcessor: JSON = .null
        var decoder: JSON = .null
    }

    /// Something that a valid `tokenizer.json` may hold, but not here.
    struct Unsupported: Error {
        var part: String
    }

    init(contentsOf url: URL) throws(TokenizerError) {
        let file = try JSONField(contentsOf: url)
        self = try reading(url.path) { try TokenizerFile(file, name: url.path) }
    }

    // Truncation and padding are what a program asks for, not what the text says: they are left aside, as in
    // transformers.
    private init(_ file: JSONField, name: String) throws {
        addedTokens =
            try file.member("added_tokens")?.elements().map { entry in
                (try entry.required("id").int(), try AddedToken(entry))
            } ?? []
        let model = try file.required("model")
        parts = Parts(
            normalizer: try file.member("normalizer")?.value ?? .null,
            preTokenizer: try file.member("pre_tokenizer")?.value ?? .null,
            postProcessor: try file.member("post_processor")?.value ?? .null,
            decoder: try file.member("decoder")?.value ?? .null)
        self.model = try BPE(model, isByteLevel: parts.compiledPreTokenizer.isByteLevel, file: name)
    }
}

/// Names the file in the errors of reading it.
func reading<Result>(_ file: String, _ body: () throws -> Result) throws(TokenizerError) -> Result {
    do {
        return try body()
    } catch let error as TokenizerError {
        throw error
    } catch let error as TokenizerFile.Unsupported {
        throw .unsupported(file: file, part: error.part)
    } catch let error as JSONField.Mismatch {
        throw .malformed(file: file, reason: error.reason)
    } catch {
        throw .malformed(file: file, reason: "\(error)")
    }
}

func contents(of url: URL) throws(TokenizerError) -> [UInt8] {
    do {
        return try InputFile.read(url.path)
    } catch {
        throw .unreadable(file: url.path, reason: error.reason)
    }
}

extension JSONField {
    init(contentsOf url: URL) throws(TokenizerError) {
        let data = try contents(of: url)
        do throws(JSON.Malformed) {
            self.init(try JSON(parsing: data))
        } catch {
            throw .malformed(file: url.path, reason: "it is no JSON from byte \(error.byte) on")
        }
    }

    /// The type of a part: "ByteLevel".
    fileprivate func type() throws -> String { try required("type").string() }

    fileprivate func unsupported(_ kind: String) throws -> TokenizerFile.Unsupported {
        TokenizerFile.Unsupported(part: "\(kind) \(quoted(try member("type")?.string() ?? "without a type"))")
    }
}

extension AddedToken {
    init(_ field: JSONField) throws(JSONField.Mismatch) {
        self.init(
            try field.required("content").string(),
            isSpecial: try field.member("special")?.bool() ?? false,
            singleWord: try field.member("single_word")?.bool() ?? false,
            lstrip: try field.member("lstrip")?.bool() ?? false,
            rstrip: try field.member("rstrip")?.bool() ?? false,
            normalized: try field.member("normalized")?.bool() ?? true)
    }
}

// Each part by its type.

extension TokenizerFile.Parts {
    var compiledNormalizer: Normalizer {
        get throws {
            try normalizer == .null ? .sequence([]) : Normalizer(JSONField(normalizer, path: "normalizer"))
        }
    }

    var compiledPreTokenizer: PreTokenizer {
        get throws {
            guard preTokenizer != .null else { return PreTokenizer(steps: []) }
            return try PreTokenizer(JSONField(preTokenizer, path: "pre_tokenizer"))
        }
    }

    var compiledPostProcessor: PostProcessor {
        get throws {
            guard postProcessor != .null else { return PostProcessor() }
            return try PostProcessor(JSONField(postProcessor, path: "post_processor"))
        }
    }

    var compiledDecoder: Decoder {
        get throws {
            guard decoder != .null else { throw TokenizerFile.Unsupported(part: "having no decoder") }
            return try Decoder(JSONField(decoder, path: "decoder"))
        }
    }
}

extension Normalizer {
    fileprivate init(_ part: JSONField) throws {
        switch try part.type() {
        case "Sequence":
            let steps = try part.required("normalizers").elements().map { try Normalizer($0) }
            self = .sequence(steps)
            try part.limit(steps.count, growth: growth)
        case "Lowercase": self = .lowercase
        case "Strip":
            self = .strip(
                left: try part.required("strip_left").bool(), right: try part.required("strip_right").bool())
        case "Prepend": self = .prepend(try part.required("prepend").bytes())
        case "Replace":
            let pattern = try part.required("pattern")
            let replaced: Replaced
            if let text = try pattern.member("String")?.bytes(), !text.isEmpty {
                replaced = .text(text)
            } else {
                let expression = try pattern.required("Regex").string()
                guard let known = [#"\s+"#: Replaced.whiteSpace, " {2,}": .severalSpaces][expression] else {
                    throw TokenizerFile.Unsupported(part: "the normalizer's pattern \(quoted(expression))")
                }
                replaced = known
            }
            self = .replace(replaced, with: try part.required("content").bytes())
        case let type:
            guard let form = UnicodeForm(rawValue: type) else { throw try part.unsupported("normalizer") }
            self = .unicode(form)
        }
    }
}

extension PreTokenizer {
    fileprivate init(_ part: JSONField) throws {
        steps = try Self.steps(part)
        try part.limit(steps.count, growth: 1)
        guard !steps.dropLast().contains(where: { PreTokenizer(steps: [$0]).isByteLevel }) else {
            throw TokenizerFile.Unsupported(part: "a pre_tokenizer after \"ByteLevel\"")
        }
    }

    private static func steps(_ part: JSONField) throws -> [Step] {
        switch try part.type() {
        case "Sequence": return try part.required("pretokenizers").elements().flatMap { try steps($0) }
        case "ByteLevel":
            return [
                .byteLevel(
                    addPrefixSpace: try part.member("add_prefix_space")?.bool() ?? true,
                    useRegex: try part.member("use_regex")?.bool() ?? true)
            ]
        case "Metaspace":
            let (scheme, _) = try part.prependScheme()
            return [
                .metaspace(
                    Metaspace(
                        replacement: try part.required("replacement").character(), prepends: scheme,
                        splits: try part.member("split")?.bool() ?? true))
            ]
        case "Split":
            let field = try part.required("pattern")
            let text = try (field.member("Regex") ?? field.required("String")).string()
            guard try field.member("Regex") != nil, let pattern = Pattern(text) else {
                throw TokenizerFile.Unsupported(part: "the pre_tokenizer's pattern \(quoted(text))")
            }
            switch (try part.required("behavior").string(), try part.member("invert")?.bool() ?? false) {
            case ("Isolated", _): return [.split(pattern, dropsGaps: false)]
            case ("Removed", true): return [.split(pattern, dropsGaps: true)]
            case (let behavior, let invert):
                throw TokenizerFile.Unsupported(
                    part: "pre_tokenizer \"Split\" with behavior \(quoted(behavior)), invert \(invert)")
            }
        default: throw try part.unsupported("pre_tokenizer")
        }
    }
}

extension JSONField {
    /// Holds a part that works in steps to what is possible: each is a call inside the one before, and a few that
    /// lengthen a text could lengthen it beyond any memory.
    fileprivate func limit(_ steps: Int, growth: Double) throws(Mismatch) {
        guard steps <= 64 else { throw mismatch("has \(steps) steps, 64 are possible") }
        guard growth <= 1000 else {
            throw mismatch("can make a text \(Int(min(growth, 1e9))) times as long, 1000 times is possible")
        }
    }

    /// Metaspace's scheme, and whether there is one of either the new or the old form.
    fileprivate func prependScheme() throws -> (scheme: PreTokenizer.Metaspace.Scheme, isGiven: Bool) {
        if let field = try member("prepend_scheme") {
            guard let scheme = PreTokenizer.Metaspace.Scheme(rawValue: try field.string()) else {
                throw field.mismatch("is none of \"always\", \"first\", \"never\"")
            }
            return (scheme, true)
        }
        let prepends = try member("add_prefix_space")?.bool()
        return (prepends ?? true ? .always : .never, prepends != nil)
    }
}

extension PostProcessor {
    fileprivate init(_ part: JSONField) throws {
        switch try part.type() {
        case "ByteLevel": break  // It only trims offsets, which this library does not report.
        case "Sequence":
            for inner in try part.required("processors").elements() {
                let outer = try PostProcessor(inner)
                (prefix, suffix) = (outer.prefix + prefix, suffix + outer.suffix)
            }
        case "RobertaProcessing", "BertProcessing":
            func id(_ name: String) throws -> Int {
                let pair = try part.required(name).elements()
                guard pair.count == 2 else { throw part.mismatch("has no token and id in \(quoted(name))") }
                return try pair[1].int()
            }
            (prefix, suffix) = ([try id("cls")], [try id("sep")])
        case "TemplateProcessing":
            let tokens = try part.required("special_tokens")
            var isAfterText = false
            for piece in try part.required("single").elements() {
                if let token = try piece.member("SpecialToken") {
                    let ids = try tokens.required(token.required("id").string()).required("ids").elements()
                        .map { try $0.int() }
                    if isAfterText { suffix += ids } else { prefix += ids }
                } else {
                    guard !isAfterText, try piece.required("Sequence").required("id").string() == "A" else {
                        throw TokenizerFile.Unsupported(part: "a post_processor that repeats the text")
                    }
                    isAfterText = true
                }
            }
        default: throw try part.unsupported("post_processor")
        }
    }
}

extension Decoder {
    fileprivate init(_ part: JSONField) throws {
        steps = try Self.steps(part)
        try part.limit(steps.count, growth: steps.reduce(1) { $0 * $1.growth })
        var isFused = false
        for step in steps {
            switch step {
            case .strip, .fuse: break
            default:
                if isFused {
                    throw TokenizerFile.Unsupported(part: "a decoder that changes tokens after they are one")
                }
            }
            isFused = isFused || step.fusesTokens
        }
    }

    private static func steps(_ part: JSONField) throws -> [Step] {
        switch try part.type() {
        case "Sequence": return try part.required("decoders").elements().flatMap { try steps($0) }
        case "ByteLevel": return [.byteLevel]
        case "ByteFallback": return [.byteFallback]
        case "Fuse": return [.fuse]
        case "BPEDecoder":
            let suffix = try part.member("suffix")?.bytes() ?? Array("</w>".utf8)
            guard !suffix.isEmpty else {
                throw TokenizerFile.Unsupported(part: "decoder \"BPEDecoder\" without a suffix")
            }
            return [.bpe(suffix: suffix)]
        case "Metaspace":
            let scheme = try part.prependScheme().scheme
            return [
                .metaspace(
                    replacement: try part.required("replacement").character(), dropsFirst: scheme != .never)
            ]
        case "Replace":
            let pattern = try part.required("pattern")
            guard let text = try pattern.member("String")?.bytes(), !text.isEmpty else {
                throw TokenizerFile.Unsupported(
                    part: "the decoder's pattern \(quoted(try pattern.member("Regex")?.string() ?? ""))")
            }
            return [.replace(pattern: text, content: try part.required("content").bytes())]
        case "Strip":
            guard try part.required("stop").int() == 0 else {
                throw TokenizerFile.Unsupported(part: "decoder \"Strip\" at the end of tokens")
            }
            return [
                .strip(
                    content: try part.required("content").character(),
                    left: try part.required("start").int(in: 0...Int(Int32.max)))
            ]
        default: throw try part.unsupported("decoder")
        }
    }
}

extension BPE {
    fileprivate init(_ model: JSONField, isByteLevel: Bool, file: String) throws {
        // Old files leave the type of a BPE model out.
        if let type = try model.member("type")?.string(), type != "BPE" {
            throw TokenizerFile.Unsupported(part: "model type \(quoted(type))")
        }
        if case .number(let dropout)? = try model.member("dropout")?.value, Double(dropout) != 0 {
            throw TokenizerFile.Unsupported(part: "model.dropout")
        }
        if let prefix = try model.member("continuing_subword_prefix"), try prefix.bytes() != [] {
            throw TokenizerFile.Unsupported(part: prefix.path)
        }
        var options = Options()
        options.isByteLevel = isByteLevel
        options.unknownToken = try model.member("unk_token")?.string()
        options.fusesUnknown = try model.member("fuse_unk")?.bool() ?? false
        options.byteFallback = try model.member("byte_fallback")?.bool() ?? false
        options.ignoresMerges = try model.member("ignore_merges")?.bool() ?? false
        options.endOfWordSuffix = try model.member("end_of_word_suffix")?.string() ?? ""
        if isByteLevel, options.byteFallback {
            throw TokenizerFile.Unsupported(part: "model.byte_fallback together with \"ByteLevel\"")
        }
        try self.init(
            vocabulary: Self.vocabulary(try model.required("vocab"), file: file),
            merges: try model.required("merges").elements().map { try Merge($0) }, options: options,
            file: file)
    }

    static func vocabulary(_ field: JSONField, file: String) throws -> [[UInt8]: Int] {
        var vocabulary: [[UInt8]: Int] = [:]
        let members = try field.members()
        vocabulary.reserveCapacity(members.count)
        for (key, field) in members {
            let id = try field.int()
            try Tokenizer.check(id, of: String(decoding: key, as: UTF8.self), file: file)
            vocabulary[key] = id
        }
        return vocabulary
    }
}

extension BPE.Merge {
    /// Either `["a", "b"]` or, as older files have it, `"a b"`.
    fileprivate init(_ field: JSONField) throws(JSONField.Mismatch) {
        let parts: [[UInt8]]
        switch field.value {
        case .text(let pair):
            parts = pair.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false).map(Array.init)
        case .array(let pair):
            parts = pair.compactMap { if case .text(let token) = $0 { token } else { nil } }
        default: parts = []
        }
        guard parts.count == 2 else { throw field.mismatch("is no pair of tokens") }
        self.init(
            left: String(decoding: parts[0], as: UTF8.self), right: String(decoding: parts[1], as: UTF8.self))
    }
}

// Writing.

extension Tokenizer {
    /// The tokenizer in Hugging Face's format, tokens in the order of their ids.
    func json(_ parts: TokenizerFile.Parts) -> String {
        let added = addedTokens.sorted { $0.key < $1.key }.map { $0.value.json(id: $0.key) }
        return """
            {
              "version": "1.0",
              "truncation": null,
              "padding": null,
              "added_tokens": [\(lines(added))],
              "normalizer": \(parts.normalizer.description),
              "pre_tokenizer": \(parts.preTokenizer.description),
              "post_processor": \(parts.postProcessor.description),
              "decoder": \(parts.decoder.description),
              "model": \(model.json)
            }

            """
    }
}

/// Items of a JSON list or object, each on a line of its own.
private func lines(_ items: [String]) -> String {
    items.isEmpty ? "" : "\n    " + items.joined(separator: ",\n    ") + "\n  "
}

extension AddedToken {
    /// As `tokenizer.json` has it, or without an id as `tokenizer_config.json` does.
    func json(id: Int? = nil) -> String {
        """
        {\(id.map { "\"id\": \($0), " } ?? "")"content": \(quoted(content)), "single_word": \(singleWord), "lstrip": \(lstrip), \
        "rstrip": \(rstrip), "normalized": \(normalized), "special": \(isSpecial)}
        """
    }
}

extension BPE {
    fileprivate var json: String {
        let tokens = vocabulary.sorted { $0.value < $1.value }
            .map { "\(quoted(String(decoding: $0.key, as: UTF8.self))): \($0.value)" }
        let pairs = merges.map { "[\(quoted($0.left)), \(quoted($0.right))]" }
        func text(_ value: String?) -> String { value.map(quoted) ?? "null" }
        return """
            {
                "type": "BPE",
                "dropout": null,
                "unk_token": \(text(options.unknownToken)),
                "continuing_subword_prefix": null,
                "end_of_word_suffix": \(text(options.endOfWordSuffix.isEmpty ? nil : options.endOfWordSuffix)),
                "fuse_unk": \(options.fusesUnknown),
                "byte_fallback": \(options.byteFallback),
                "ignore_merges": \(options.ignoresMerges),
                "vocab": {\(lines(tokens))},
                "merges": [\(lines(pairs))]
              }
            """
    }
}
