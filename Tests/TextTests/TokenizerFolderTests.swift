import Foundation
import Testing
import Text

@Suite("Tokenizer folders")
struct TokenizerFolderTests {
    @Test("tokens are added with new ids, are found in text, and are written")
    func adding() throws {
        for name in ["llama.json", "vicuna/", "clip/"] {
            let url = Fixtures.url(name)
            let plain = try name.hasSuffix("/") ? Tokenizer(folder: url.path) : Tokenizer(contentsOf: url)
            let tokenizer = try plain.adding([.special("[LOC]"), .special("</s>"), .phrase("find the")])
            let loc = try #require(tokenizer.id(of: "[LOC]"))
            #expect(loc == plain.vocabularySize)
            #expect(tokenizer.id(of: "</s>") == plain.id(of: "</s>") ?? loc + 1)
            let ids = tokenizer.encode("a[LOC] find the cat")
            #expect(ids.contains(loc))
            #expect(tokenizer.decode([loc]) == "[LOC]")
            #expect(tokenizer.decode([loc], skipSpecialTokens: true) == "")
            let folder = try TemporaryFolder()
            try tokenizer.write(folder: folder.path)
            let again = try Tokenizer(folder: folder.path)
            #expect(again.encode("a[LOC] find the cat") == ids)
            #expect(again.vocabularySize == tokenizer.vocabularySize)
        }
    }

    @Test("a SentencePiece model has no tokenizer.json")
    func noJSON() throws {
        let tokenizer = try Tokenizer(folder: Fixtures.url("vicuna").path)
        let file = try TemporaryFile()
        #expect(
            throws: TokenizerError.unsupported(
                file: file.url.path, part: "writing a SentencePiece model as a tokenizer.json")
        ) { try tokenizer.write(to: file.url) }
    }

    @Test("tokens of bytes wait for the end of their run, and no character is cut")
    func byteTokens() throws {
        for name in ["llama", "vicuna/tokenizer.model"] {
            let tokenizer = try Tokenizer(
                contentsOf: Fixtures.url(name.hasSuffix("model") ? name : "\(name).json"))
            let text = "cat \u{1F600}\u{1F9ED}!"
            var decoder = StreamingDecoder(tokenizer)
            var pieces = tokenizer.encode(text).map { decoder.feed($0) }
            pieces.append(decoder.finish())
            #expect(pieces.joined() == text)
            #expect(!pieces.contains { $0.contains("\u{FFFD}") })
        }
    }

    @Test("a folder without a tokenizer names the file that is looked for")
    func empty() throws {
        let folder = try TemporaryFolder()
        let reason = "no such file or directory"
        #expect(throws: TokenizerError.unreadable(file: "\(folder.path)/tokenizer.json", reason: reason)) {
            try Tokenizer(folder: folder.path)
        }
    }

    private static let whole = Result { try Data(contentsOf: Fixtures.url("vicuna/tokenizer.model")) }

    @Test("a truncated tokenizer.model is refused, wherever it ends, or it ends between two pieces")
    func truncated() throws {
        let data = try Self.whole.get()
        for length in stride(from: 0, to: data.count, by: 101) {
            let error = #expect(throws: TokenizerError.self, "\(length)") {
                try Self.read(data.prefix(length))
            }
            #expect(error.map { !$0.description.contains("\n") } ?? false)
        }
    }

    /// Reads a model from memory, by way of a file.
    private static func read(_ data: Data) throws -> Tokenizer {
        let folder = try TemporaryFolder()
        let url = URL(fileURLWithPath: "\(folder.path)/tokenizer.model")
        try data.write(to: url)
        return try Tokenizer(contentsOf: url)
    }

    /// One field of protobuf's wire format.
    private static func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
        var (length, rest): ([UInt8], Int) = ([], content.count)
        while rest >= 128 {
            length.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return [number << 3 | 2] + length + [UInt8(rest)] + content
    }

    private static func piece(_ text: String, _ kind: UInt8 = 1) -> [UInt8] {
        field(1, field(1, Array(text.utf8)) + [0x15, 0, 0, 0, 0, 0x18, kind])
    }

    /// A model of a few pieces: it has an unknown one, and these parts.
    private static func model(_ parts: [UInt8]...) -> [UInt8] { piece("<unk>", 2) + parts.flatMap { $0 } }

    private static let trainer: [UInt8] = field(2, [0x18, 2])
    private static let refusals: [([UInt8], String)] = [
        ([], "it has no pieces"),
        ([0xFF], "it ends or breaks at byte 1"),
        (model([0x0F]), "it ends or breaks at byte"),
        (model(), "SentencePiece's model type \"unigram\" is not supported"),
        (model(field(2, [0x18, 4])), "SentencePiece's model type \"char\" is not supported"),
        (model(piece("a", 5), trainer), "the piece \"a\", which is marked unused, is not supported"),
        (
            model(piece("a"), piece("ab"), trainer),
            "the piece \"ab\", made of a character that is no piece, is not supported"
        ),
        (model(piece("a"), piece("a"), trainer), "token \"a\" has the ids 1 and 2"),
        // SentencePiece's trainer makes pieces of at most 512 characters.
        (
            model(piece("a"), piece(String(repeating: "a", count: 200_000)), trainer),
            "has 200000 bytes and the score 0.0; at most 2048"
        ),
        (model(field(2, [0x18, 2, 0x98, 0x02, 1])), "it falls back to bytes, but has no piece for each"),
        (model(field(2, [0x18, 2, 0xC0, 0x01, 1])), "treat_whitespace_as_suffix is not supported"),
        (model(trainer, field(3, field(2, [9, 0, 0, 0, 1]))), "it ends or breaks at byte"),
    ]

    @Test("a tokenizer.model that is not for us is refused by name", arguments: refusals)
    func refused(content: [UInt8], message: String) throws {
        let error = try #require(throws: TokenizerError.self) { try Self.read(Data(content)) }
        #expect(error.description.contains(message), "\(error)")
        #expect(!error.description.contains("\n"))
    }

    /// A table that replaces the first byte of "é" by "x"; SentencePiece 0.2.3 calls such a table invalid.
    @Test("a table of characters that ends inside one leaves no half of it")
    func tableInsideACharacter() throws {
        var units = [UInt32](repeating: 0, count: 256)
        units[0xC3] = 0xC3 | 1 << 8 | (0xC3 ^ 0xC4) << 10
        units[0xC4] = 1 << 31
        let table = ([1024] + units).flatMap { unit in
            (0..<4).map { UInt8(truncatingIfNeeded: unit >> (8 * $0)) }
        }
        let pieces = ["a", "x", "\u{FFFD}"].flatMap { Self.piece($0) }
        let tokenizer = try Self.read(
            Data(Self.model(pieces, Self.trainer, Self.field(3, Self.field(2, table + Array("x\0".utf8))))))
        #expect(tokenizer.encode("aé") == [0, 1, 2, 3])
    }

    @Test(
        "broken files beside a vocabulary are refused by name",
        arguments: [
            (
                "merges.txt", "#version: 0.2\na b c\n",
                "merges.txt: not a tokenizer: merge 0 is no pair of tokens"
            ),
            ("merges.txt", "x qq\n", "merge 0 needs the token \"qq\""),
            ("vocab.json", "{\"a\": 0}", "vocab.json: not a tokenizer: it has no token \"<|startoftext|>\""),
            ("vocab.json", "{\"a\": 0", "vocab.json: not a tokenizer: it is no JSON from byte 7 on"),
        ])
    func brokenCLIP(file: String, content: String, message: String) throws {
        let folder = try TemporaryFolder()
        for name in ["vocab.json", "merges.txt"] {
            try folder.write(String(contentsOf: Fixtures.url("clip/\(name)"), encoding: .utf8), to: name)
        }
        try folder.write(content, to: file)
        let error = try #require(throws: TokenizerError.self) { try Tokenizer(folder: folder.path) }
        #expect(error.description.contains(message), "\(error)")
    }

    @Test(
        "broken files beside a tokenizer.model are refused by name",
        arguments: [
            (
                "tokenizer_config.json", "{\"legacy\": 3}",
                "tokenizer_config.json: not a tokenizer: legacy is no Bool"
            ),
            ("tokenizer_config.json", "{\"bos_token\": [1]}", "bos_token is no object"),
            (
                "tokenizer_config.json", #"{"added_tokens_decoder": {"x": {"content": "y"}}}"#,
                "added_tokens_decoder.x is no id"
            ),
            ("added_tokens.json", "{\"<pad>\": -1}", "token \"<pad>\" has id -1"),
            ("added_tokens.json", "{\"<pad>\": 5}", "share the id 5"),
            (
                "special_tokens_map.json", "[]",
                "special_tokens_map.json: not a tokenizer: the file is no object"
            ),
        ])
    func brokenSentencePiece(file: String, content: String, message: String) throws {
        let folder = try TemporaryFolder()
        try Self.whole.get().write(to: URL(fileURLWithPath: "\(folder.path)/tokenizer.model"))
        try folder.write(content, to: file)
        let error = try #require(throws: TokenizerError.self) { try Tokenizer(folder: folder.path) }
        #expect(error.description.contains(message), "\(error)")
    }
}
