#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// What a `tokenizer.json` holds; reading it refuses what this library does not have.
struct TokenizerFile: Decodable {
    var addedTokens: [(id: Int, token: AddedToken)]
    var preTokenizer: PreTokenizer
    var postProcessor: PostProcessor
    var decoder: Decoder
    var model: ModelEntry

    init(contentsOf url: URL) throws(TokenizerError) {
        guard let data = try? Data(contentsOf: url) else { throw .unreadable(file: url.path) }
        do {
            self = try JSONDecoder().decode(TokenizerFile.self, from: data)
        } catch let error as Unsupported {
            throw .unsupported(file: url.path, part: error.part)
        } catch let error as DecodingError {
            throw .malformed(file: url.path, reason: error.reason)
        } catch {
            throw .malformed(file: url.path, reason: "it is no JSON")
        }
    }

    private enum CodingKeys: String, CodingKey {
        case addedTokens = "added_tokens"
        case preTokenizer = "pre_tokenizer"
        case postProcessor = "post_processor"
        case truncation, padding, normalizer, decoder, model
    }

    init(from source: any Swift.Decoder) throws {
        let fields = try source.container(keyedBy: CodingKeys.self)
        for key in [CodingKeys.truncation, .padding]
        where try fields.decodeIfPresent(Part.self, forKey: key) != nil {
            throw Unsupported(part: key.rawValue)
        }
        func byteLevel(_ key: CodingKeys) throws -> ByteLevelOptions? {
            guard let part = try fields.decodeIfPresent(Part.self, forKey: key) else { return nil }
            guard let options = part.byteLevel else {
                throw Unsupported(part: "\(key.rawValue) \(part.name)")
            }
            return options
        }
        if let normalizer = try fields.decodeIfPresent(Part.self, forKey: .normalizer) {
            throw Unsupported(part: "normalizer \(normalizer.name)")
        }
        model = try fields.decode(ModelEntry.self, forKey: .model)
        guard let preTokenizer = try byteLevel(.preTokenizer) else {
            throw Unsupported(part: "having no pre_tokenizer")
        }
        guard let decoder = try byteLevel(.decoder) else { throw Unsupported(part: "having no decoder") }
        self.preTokenizer = .byteLevel(preTokenizer)
        self.decoder = .byteLevel(decoder)
        postProcessor = try byteLevel(.postProcessor).map { .byteLevel($0) } ?? .none
        addedTokens =
            try fields.decodeIfPresent([AddedTokenEntry].self, forKey: .addedTokens)?
            .map { ($0.id, $0.token) } ?? []
    }

    /// Something that a valid `tokenizer.json` may hold, but not here.
    struct Unsupported: Error {
        var part: String
    }

    /// A normalizer, pre-tokenizer, post-processor or decoder, of whatever type.
    private struct Part: Decodable {
        var name: String
        var byteLevel: ByteLevelOptions?

        private enum CodingKeys: String, CodingKey { case type }

        init(from source: any Swift.Decoder) throws {
            let type = try source.container(keyedBy: CodingKeys.self).decodeIfPresent(
                String.self, forKey: .type)
            name = quoted(type ?? "without a type")
            byteLevel = type == "ByteLevel" ? try ByteLevelOptions(from: source) : nil
        }
    }

    private struct AddedTokenEntry: Decodable {
        var id: Int
        var token: AddedToken

        private enum CodingKeys: String, CodingKey {
            case id, content, special, lstrip, rstrip, normalized
            case singleWord = "single_word"
        }

        init(from source: any Swift.Decoder) throws {
            let fields = try source.container(keyedBy: CodingKeys.self)
            id = try fields.decode(Int.self, forKey: .id)
            token = AddedToken(
                try fields.decode(String.self, forKey: .content),
                isSpecial: try fields.decode(Bool.self, forKey: .special),
                singleWord: try fields.decode(Bool.self, forKey: .singleWord),
                lstrip: try fields.decode(Bool.self, forKey: .lstrip),
                rstrip: try fields.decode(Bool.self, forKey: .rstrip),
                normalized: try fields.decode(Bool.self, forKey: .normalized))
        }
    }

    struct ModelEntry: Decodable {
        var vocabulary: [String: Int]
        var merges: [BPE.Merge]
        var ignoresMerges: Bool

        private enum CodingKeys: String, CodingKey {
            case type, dropout, vocab, merges
            case unknownToken = "unk_token"
            case prefix = "continuing_subword_prefix"
            case suffix = "end_of_word_suffix"
            case byteFallback = "byte_fallback"
            case ignoreMerges = "ignore_merges"
        }

        init(from source: any Swift.Decoder) throws {
            let fields = try source.container(keyedBy: CodingKeys.self)
            // Old files leave the type of a BPE model out.
            if let type = try fields.decodeIfPresent(String.self, forKey: .type), type != "BPE" {
                throw Unsupported(part: "model type \(quoted(type))")
            }
            if try fields.decodeIfPresent(Double.self, forKey: .dropout) ?? 0 != 0 {
                throw Unsupported(part: "model.dropout")
            }
            for key in [CodingKeys.unknownToken, .prefix, .suffix]
            where try fields.decodeIfPresent(String.self, forKey: key) ?? "" != "" {
                throw Unsupported(part: "model.\(key.rawValue)")
            }
            if try fields.decodeIfPresent(Bool.self, forKey: .byteFallback) ?? false {
                throw Unsupported(part: "model.byte_fallback")
            }
            ignoresMerges = try fields.decodeIfPresent(Bool.self, forKey: .ignoreMerges) ?? false
            vocabulary = try fields.decode([String: Int].self, forKey: .vocab)
            merges = try fields.decode([BPE.Merge].self, forKey: .merges)
        }
    }
}

extension BPE.Merge: Decodable {
    /// Either `["a", "b"]` or, as older files have it, `"a b"`.
    init(from source: any Swift.Decoder) throws {
        if let pair = try? source.singleValueContainer().decode(String.self) {
            let parts = pair.split(separator: " ", omittingEmptySubsequences: false)
            if parts.count == 2 {
                self.init(left: String(parts[0]), right: String(parts[1]))
                return
            }
        } else if case let pair = try source.singleValueContainer().decode([String].self), pair.count == 2 {
            self.init(left: pair[0], right: pair[1])
            return
        }
        throw DecodingError.dataCorrupted(
            DecodingError.Context(codingPath: source.codingPath, debugDescription: "is no pair of tokens"))
    }
}

extension DecodingError {
    /// What is wrong and where, in one line.
    fileprivate var reason: String {
        func place(_ path: [any CodingKey]) -> String {
            path.isEmpty
                ? "the file"
                : path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        }
        switch self {
        case .keyNotFound(let key, let context):
            return "\(place(context.codingPath)) has no \(quoted(key.stringValue))"
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            return "\(place(context.codingPath)) is no \(type)"
        case .dataCorrupted(let context):
            return context.codingPath.isEmpty
                ? "it is no JSON" : "\(place(context.codingPath)) \(context.debugDescription)"
        @unknown default: return "it is no JSON"
        }
    }
}

// Writing. Every kind of part writes itself, so that a new kind does not compile until it can be saved.

extension Tokenizer {
    /// The tokenizer in Hugging Face's format, tokens in the order of their ids.
    var json: String {
        let added = addedTokens.sorted { $0.key < $1.key }.map { $0.value.json(id: $0.key) }
        return """
            {
              "version": "1.0",
              "truncation": null,
              "padding": null,
              "added_tokens": [\(lines(added))],
              "normalizer": \(normalizer.json),
              "pre_tokenizer": \(preTokenizer.json),
              "post_processor": \(postProcessor.json),
              "decoder": \(decoder.json),
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
    fileprivate func json(id: Int) -> String {
        """
        {"id": \(id), "content": \(quoted(content)), "single_word": \(singleWord), "lstrip": \(lstrip), \
        "rstrip": \(rstrip), "normalized": \(normalized), "special": \(isSpecial)}
        """
    }
}

extension Normalizer {
    fileprivate var json: String {
        switch self {
        case .none: "null"
        }
    }
}

extension PreTokenizer {
    fileprivate var json: String {
        switch self {
        case .byteLevel(let options): options.json
        }
    }
}

extension PostProcessor {
    fileprivate var json: String {
        switch self {
        case .none: "null"
        case .byteLevel(let options): options.json
        }
    }
}

extension Decoder {
    fileprivate var json: String {
        switch self {
        case .byteLevel(let options): options.json
        }
    }
}

extension ByteLevelOptions {
    fileprivate var json: String {
        """
        {"type": "ByteLevel", "add_prefix_space": \(addPrefixSpace), "trim_offsets": \(trimOffsets), \
        "use_regex": \(useRegex)}
        """
    }
}

extension Model {
    fileprivate var json: String {
        switch self {
        case .bpe(let bpe): bpe.json
        }
    }
}

extension BPE {
    fileprivate var json: String {
        let tokens = vocabulary.sorted { $0.value < $1.value }
            .map { "\(quoted(String(decoding: $0.key, as: UTF8.self))): \($0.value)" }
        let pairs = merges.map { "[\(quoted($0.left)), \(quoted($0.right))]" }
        return """
            {
                "type": "BPE",
                "dropout": null,
                "unk_token": null,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": false,
                "byte_fallback": false,
                "ignore_merges": \(ignoresMerges),
                "vocab": {\(lines(tokens))},
                "merges": [\(lines(pairs))]
              }
            """
    }
}
