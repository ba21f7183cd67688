import Foundation
import Testing
import Text

@Suite("Tokenizer against PyPI tokenizers")
struct TokenizerParityTests {
    @Test("ids and texts are the same", arguments: ["plain", "prefixed", "trained_here"])
    func parity(name: String) throws {
        let tokenizer = try Fixtures.tokenizer(name)
        let texts = try Fixtures.texts()
        let expected = try Fixtures.read(Fixtures.Expected.self, "\(name).expected.json")
        #expect(tokenizer.vocabularySize == expected.vocabularySize)
        for ((text, ids), decoded) in zip(zip(texts, expected.ids), expected.decoded) {
            #expect(tokenizer.encode(text) == ids, "\(text.debugDescription)")
            #expect(same(tokenizer.decode(ids), decoded ?? text), "\(text.debugDescription)")
        }
    }

    @Test("any ids decode to the same text", arguments: ["plain", "prefixed", "trained_here"])
    func noise(name: String) throws {
        let tokenizer = try Fixtures.tokenizer(name)
        let expected = try Fixtures.read(Fixtures.Expected.self, "\(name).expected.json")
        for (index, ids) in expected.noise.enumerated() {
            #expect(same(tokenizer.decode(ids), expected.noiseDecoded[index]), "\(ids)")
            let text = tokenizer.decode(ids, skipSpecialTokens: true)
            #expect(same(text, expected.noiseWithoutSpecial[index]), "\(ids)")
        }
    }

    @Test("a tokenizer that was written and read again is the same", arguments: ["plain", "prefixed"])
    func roundTrip(name: String) throws {
        let tokenizer = try Fixtures.tokenizer(name)
        let (first, second) = try (TemporaryFile(), TemporaryFile())
        try tokenizer.write(to: first.url)
        let again = try Tokenizer(contentsOf: first.url)
        try again.write(to: second.url)
        #expect(try Data(contentsOf: first.url) == Data(contentsOf: second.url))
        #expect(again.addedTokens == tokenizer.addedTokens)
        for text in try Fixtures.texts() { #expect(again.encode(text) == tokenizer.encode(text)) }
    }

    /// Every scalar of Unicode is a letter, a number, white space or something else as in Hugging Face's
    /// pattern. Two merges show what a character joins: `x` or `1` or `!` and the first byte after it.
    @Test("the kind of every Unicode scalar is the same")
    func characterKinds() throws {
        var changes = try Fixtures.read([[Either]].self, "character_kinds.json")[...]
        let alphabet = Self.alphabet
        var vocabulary = alphabet
        var merges: [String] = []
        for probe in ["x", "1", "!"] {
            for byte in 0...255 {
                vocabulary.append(probe + alphabet[byte])
                merges.append("[\(json(probe)), \(json(alphabet[byte]))]")
            }
        }
        let entries = vocabulary.enumerated().map { "\(json($0.element)): \($0.offset)" }
        let part = #"{"type": "ByteLevel", "add_prefix_space": false}"#
        let file = try TemporaryFile(
            """
            {"pre_tokenizer": \(part), "decoder": \(part), "model": {"type": "BPE",
             "vocab": {\(entries.joined(separator: ","))}, "merges": [\(merges.joined(separator: ","))]}}
            """)
        let tokenizer = try Tokenizer(contentsOf: file.url)
        var kind = ""
        var wrong: [String] = []
        for value in UInt32(0)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            if case .number(Int(value))? = changes.first?.first,
                case .text(let next)? = changes.popFirst()?.last
            {
                kind = next
            }
            func joins(_ probe: String) -> Bool {
                tokenizer.encode("\(probe)\(scalar)").count == String(scalar).utf8.count
            }
            let found = joins("x") ? "l" : joins("1") ? "n" : joins("!") ? "o" : "s"
            if found != kind { wrong.append("U+\(String(value, radix: 16)) \(found), not \(kind)") }
        }
        #expect(wrong.isEmpty, "\(wrong.count) scalars differ: \(wrong.prefix(20))")
    }

    private func json(_ text: String) -> String {
        "\"" + text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
            + "\""
    }

    /// GPT-2's characters for the bytes.
    private static let alphabet: [String] = {
        var next: UInt32 = 0x100
        return (0...255).map { (byte: UInt32) in
            if (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE {
                return String(Unicode.Scalar(UInt8(byte)))
            }
            next += 1
            return String(Unicode.Scalar(next - 1)!)
        }
    }()

    private enum Either: Decodable {
        case number(Int)
        case text(String)

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let number = try? value.decode(Int.self) {
                self = .number(number)
            } else {
                self = .text(try value.decode(String.self))
            }
        }
    }
}

@Suite("Tokenizer")
struct TokenizerTests {
    @Test("tokens and ids are found by each other")
    func lookUp() throws {
        let tokenizer = try Fixtures.tokenizer("plain")
        let image = try #require(tokenizer.id(of: "<image>"))
        #expect(tokenizer.token(of: image) == "<image>")
        #expect(tokenizer.addedTokens[image]?.isSpecial == true)
        #expect(tokenizer.addedTokens[image]?.lstrip == true)
        #expect(tokenizer.id(of: "no such token") == nil)
        #expect(tokenizer.token(of: -1) == nil)
        #expect(tokenizer.token(of: tokenizer.vocabularySize) == nil)
        #expect(tokenizer.decode([-1, image, Int.max]) == "<image>")
    }

    @Test("a word of a million letters is no trouble", .timeLimit(.minutes(1)))
    func longWord() throws {
        let tokenizer = try Fixtures.tokenizer("plain")
        let word = String(repeating: "thelong", count: 150_000)
        #expect(tokenizer.decode(tokenizer.encode(word)) == word)
    }

    @Test("one tokenizer serves many tasks")
    func concurrency() async throws {
        let tokenizer = try Fixtures.tokenizer("plain")
        let texts = try Fixtures.texts()
        let expected = texts.map { tokenizer.encode($0) }
        await withTaskGroup(of: [[Int]].self) { group in
            for _ in 0..<4 { group.addTask { texts.map { tokenizer.encode($0) } } }
            for await ids in group { #expect(ids == expected) }
        }
    }

    @Test("streamed pieces are whole characters and make up the text", arguments: [false, true])
    func streaming(skipSpecialTokens: Bool) throws {
        let tokenizer = try Fixtures.tokenizer("plain")
        let expected = try Fixtures.read(Fixtures.Expected.self, "plain.expected.json")
        for (ids, isText) in expected.ids.map({ ($0, true) }) + expected.noise.map({ ($0, false) }) {
            var decoder = StreamingDecoder(tokenizer, skipSpecialTokens: skipSpecialTokens)
            var pieces = ids.map { decoder.feed($0) }
            pieces.append(decoder.finish())
            let whole = tokenizer.decode(ids, skipSpecialTokens: skipSpecialTokens)
            #expect(same(pieces.joined(), whole), "\(ids)")
            if isText, !whole.unicodeScalars.contains("\u{FFFD}") {
                #expect(!pieces.contains { $0.unicodeScalars.contains("\u{FFFD}") }, "\(ids)")
            }
        }
    }
}

@Suite("Tokenizer files that are refused")
struct TokenizerErrorTests {
    private static let byteLevel = #"{"type": "ByteLevel", "add_prefix_space": false}"#

    private static func file(
        preTokenizer: String = byteLevel, decoder: String = byteLevel, extra: String = "",
        type: String = "BPE",
        vocabulary: String = #""a": 0, "b": 1, "ab": 2"#, merges: String = #"["a", "b"]"#, added: String = ""
    ) -> String {
        """
        {"added_tokens": [\(added)], "pre_tokenizer": \(preTokenizer), "decoder": \(decoder), \(extra)
         "model": {"type": "\(type)", "vocab": {\(vocabulary)}, "merges": [\(merges)]}}
        """
    }

    private static func added(_ id: Int, _ content: String) -> String {
        """
        {"id": \(id), "content": "\(content)", "single_word": false, "lstrip": false, "rstrip": false,
         "normalized": false, "special": true}
        """
    }

    @Test(
        "the error is one line that names the part",
        arguments: [
            ("", "it is no JSON"),
            ("{\"model\":", "it is no JSON"),
            ("[1]", "the file is no"),
            ("{}", "has no \"model\""),
            (file(type: "Unigram"), "model type \"Unigram\" is not supported"),
            (file(preTokenizer: #"{"type": "Digits"}"#), "pre_tokenizer \"Digits\" is not supported"),
            (
                file(
                    preTokenizer: #"{"type": "Split", "pattern": {"Regex": "\\d"}, "behavior": "Isolated"}"#),
                #"the pre_tokenizer's pattern "\\d" is not supported"#
            ),
            (
                file(preTokenizer: #"{"type": "Sequence", "pretokenizers": [\#(byteLevel), \#(byteLevel)]}"#),
                "a pre_tokenizer after \"ByteLevel\" is not supported"
            ),
            (
                file(preTokenizer: #"{"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"}"#),
                "pre_tokenizer.prepend_scheme is none of"
            ),
            (file(decoder: "null"), "having no decoder is not supported"),
            (
                file(
                    decoder:
                        #"{"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "ByteFallback"}]}"#),
                "a decoder that changes tokens after they are one is not supported"
            ),
            (
                file(decoder: #"{"type": "Strip", "content": " ", "start": 0, "stop": 1}"#),
                "decoder \"Strip\" at the end of tokens is not supported"
            ),
            (file(decoder: #"{"type": "WordPiece"}"#), "decoder \"WordPiece\" is not supported"),
            (file(extra: #""normalizer": {"type": "Nmt"},"#), "normalizer \"Nmt\" is not supported"),
            (
                file(
                    extra: #""normalizer": {"type": "Replace", "pattern": {"Regex": "a+"}, "content": ""},"#),
                "the normalizer's pattern \"a+\" is not supported"
            ),
            (
                file(
                    extra: #""normalizer": {"type": "Sequence", "normalizers": [{"type": "Precompiled"}]},"#),
                "normalizer \"Precompiled\" is not supported"
            ),
            (
                file(extra: #""post_processor": {"type": "Twice"},"#),
                "post_processor \"Twice\" is not supported"
            ),
            (
                file(
                    extra:
                        #""post_processor": {"type": "RobertaProcessing", "cls": ["<s>", 7], "sep": ["x", 0]},"#
                ),
                "the post_processor puts in the id 7, which has no token"
            ),
            (file(vocabulary: #""a": "x""#), "model.vocab.a is no Int"),
            (file(vocabulary: #""a": -1"#, merges: ""), "token \"a\" has id -1, outside 0..<16777216"),
            (file(vocabulary: #""a": 99999999999"#, merges: ""), "outside 0..<16777216"),
            (file(vocabulary: #""a": 1, "b": 1"#, merges: ""), "the tokens \"a\" and \"b\" share the id 1"),
            (file(merges: #"["a", "c"]"#), "merge 0 needs the token \"c\""),
            (file(merges: #"["a", "b"], ["ab", "a"]"#), "merge 1 needs the token \"aba\""),
            (file(merges: #""a b c""#), "model.merges.0 is no pair of tokens"),
            (file(merges: #"["a"]"#), "model.merges.0 is no pair of tokens"),
            (file(merges: "7"), "model.merges.0 is no"),
            (file(added: added(-3, "<s>")), "token \"<s>\" has id -3"),
            (file(added: added(2, "<s>")), "the tokens \"<s>\" and \"ab\" share the id 2"),
            (file(added: added(5, "a")), "token \"a\" has the ids 0 and 5"),
            (file(added: added(5, "x") + "," + added(5, "y")), "the tokens \"x\" and \"y\" share the id 5"),
            (file(added: #"{"id": 4}"#), "added_tokens.0 has no \"content\""),
        ])
    func refused(content: String, message: String) throws {
        let file = try TemporaryFile(content)
        let error = try #require(throws: TokenizerError.self) { try Tokenizer(contentsOf: file.url) }
        #expect(error.description.contains(message), "\(error)")
        #expect(error.description.hasPrefix(file.url.path))
        #expect(!error.description.contains { $0.isNewline })
    }

    @Test("a file of older versions is read: no type, merges as strings")
    func olderFile() throws {
        let content = Self.file(merges: #""a b""#).replacingOccurrences(of: #""type": "BPE", "#, with: "")
        let file = try TemporaryFile(content)
        #expect(try Tokenizer(contentsOf: file.url).encode("abba") == [2, 1, 0])
    }

    @Test("missing files and folders are named")
    func unreadable() throws {
        for (path, reason) in [
            ("/no/such/tokenizer.json", "no such file or directory"), ("/", "it is a folder"),
            ("/dev/zero", "it is a pipe or a device, not a regular file"),
        ] {
            let url = URL(fileURLWithPath: path)
            #expect(throws: TokenizerError.unreadable(file: path, reason: reason)) {
                try Tokenizer(contentsOf: url)
            }
        }
        let tokenizer = try Fixtures.tokenizer("plain")
        #expect(throws: TokenizerError.unwritable(file: "/no/such/tokenizer.json")) {
            try tokenizer.write(to: URL(fileURLWithPath: "/no/such/tokenizer.json"))
        }
    }
}
