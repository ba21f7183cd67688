import Foundation
import Testing
import Text

/// Tokenizers that PyPI's `tokenizers` refuses as well, or that would take all memory or time.
@Suite("Broken tokenizers")
struct BrokenTokenizerTests {
    /// A `tokenizer.json` of two letters with these parts.
    private static func json(
        normalizer: String = "null", preTokenizer: String = "null", decoder: String = #"{"type": "Fuse"}"#,
        added: String = "[]"
    ) -> String {
        """
        {"added_tokens": \(added), "normalizer": \(normalizer), "pre_tokenizer": \(preTokenizer), \
        "decoder": \(decoder), "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}
        """
    }

    private static func sequence(_ key: String, _ part: String, _ count: Int) -> String {
        #"{"type": "Sequence", "\#(key)": [\#((0..<count).map { _ in part }.joined(separator: ","))]}"#
    }

    private static let doubling = #"{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}"#

    private static let refusals: [(String, String)] = [
        (
            json(preTokenizer: #"{"type": "Metaspace", "replacement": ""}"#),
            "pre_tokenizer.replacement is \"\", one character is needed"
        ),
        (
            json(preTokenizer: #"{"type": "Metaspace", "replacement": "__"}"#),
            "pre_tokenizer.replacement is \"__\", one character is needed"
        ),
        (
            json(decoder: #"{"type": "Metaspace", "replacement": ""}"#),
            "decoder.replacement is \"\", one character is needed"
        ),
        (
            json(decoder: #"{"type": "Strip", "content": "", "start": 9, "stop": 0}"#),
            "decoder.content is \"\", one character is needed"
        ),
        (
            json(decoder: #"{"type": "Strip", "content": " ", "start": -1, "stop": 0}"#),
            "decoder.start is -1, 0 to"
        ),
        (
            json(normalizer: sequence("normalizers", doubling, 40)),
            "normalizer can make a text 1000000000 times as long, 1000 times is possible"
        ),
        (json(decoder: sequence("decoders", doubling, 40)), "decoder can make a text"),
        (
            json(
                preTokenizer: sequence("pretokenizers", #"{"type": "Metaspace", "replacement": "_"}"#, 9999)),
            "pre_tokenizer has 9999 steps, 64 are possible"
        ),
        (
            json(added: #"[{"id": 9223372036854775807, "content": "<x>"}]"#),
            "token \"<x>\" has id 9223372036854775807"
        ),
    ]

    @Test("a part that cannot be is refused by name", arguments: refusals)
    func refused(content: String, message: String) throws {
        let file = try TemporaryFile(content)
        let error = try #require(throws: TokenizerError.self) { try Tokenizer(contentsOf: file.url) }
        #expect(error.description.contains(message), "\(error)")
        #expect(!error.description.contains("\n"))
    }

    @Test("steps that lengthen a text a little are taken")
    func lengthening() throws {
        let file = try TemporaryFile(Self.json(normalizer: Self.sequence("normalizers", Self.doubling, 3)))
        #expect(try Tokenizer(contentsOf: file.url).encode("ab") == [0, 0, 0, 0, 0, 0, 0, 0, 1])
    }

    @Test("an added id beside a tokenizer.model is held to the limit, whatever it is")
    func farID() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.copyItem(
            at: Fixtures.url("vicuna/tokenizer.model"),
            to: URL(fileURLWithPath: "\(folder.path)/tokenizer.model"))
        try folder.write(#"{"<image>": 9223372036854775807}"#, to: "added_tokens.json")
        let error = try #require(throws: TokenizerError.self) { try Tokenizer(folder: folder.path) }
        #expect(error.description.contains("9223372036854775807"), "\(error)")
    }

    @Test(
        "what a download left in place of a tokenizer is named",
        arguments: ["tokenizer.json", "tokenizer.model"],
        [
            ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "a Git LFS pointer"),
            ("\n<!DOCTYPE html><html><head><title>Login</title>", "a web page (HTML)"),
        ])
    func standsIn(name: String, _ file: (content: String, says: String)) throws {
        let folder = try TemporaryFolder()
        try folder.write(file.content, to: name)
        let error = try #require(throws: TokenizerError.self) { try Tokenizer(folder: folder.path) }
        #expect(error.description.contains("\(name): it is \(file.says)"), "\(error)")
    }
}
