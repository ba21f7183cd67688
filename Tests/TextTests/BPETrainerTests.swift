import Foundation
import Testing
import Text

@Suite("BPETrainer", .serialized)
struct BPETrainerTests {
    private static let trainer = BPETrainer(
        vocabularySize: 600,
        addedTokens: [
            .special("<s>"), .special("</s>"), .special("<image>", lstrip: true),
            .special("[LOC]", lstrip: true),
            .phrase("Please find the location of"), .phrase("Please find"), .phrase("circle"),
            .phrase(" it's"),
        ])

    private static func corpus() throws -> [String] { Array(try Fixtures.texts().prefix(300)) }

    /// The file that was trained here is committed, so that PyPI's tokenizers could say what it encodes to
    /// (`trained_here.expected.json`, see `TokenizerParityTests`).
    @Test("the same corpus gives the committed file, whatever its order")
    func deterministic() throws {
        let corpus = try Self.corpus()
        if ProcessInfo.processInfo.environment["VITRAIL_WRITE_FIXTURES"] != nil {
            try Self.trainer.train(on: corpus).write(to: Fixtures.url("trained_here.json"))
        }
        for corpus in [corpus, corpus.reversed()] {
            let file = try TemporaryFile()
            try Self.trainer.train(on: corpus).write(to: file.url)
            #expect(try Data(contentsOf: file.url) == Data(contentsOf: Fixtures.url("trained_here.json")))
        }
    }

    @Test("a trained tokenizer is the one it writes, and loses no text")
    func encodes() throws {
        let tokenizer = try Self.trainer.train(on: Self.corpus())
        let read = try Fixtures.tokenizer("trained_here")
        #expect(tokenizer.vocabularySize == 600)
        for text in try Fixtures.texts() {
            #expect(tokenizer.encode(text) == read.encode(text))
            if !text.contains("<image>"), !text.contains("[LOC]") {
                #expect(same(tokenizer.decode(tokenizer.encode(text)), text))
            }
        }
    }

    @Test("merges follow counts, then byte order, and never cross words or phrases")
    func merges() throws {
        let trainer = BPETrainer(vocabularySize: 1000, addedTokens: [.phrase("find the")])
        let tokenizer = try trainer.train(on: ["cd ab", "ab cd", "find thexy", "find thexy"])
        let learned = (257..<tokenizer.vocabularySize).map { tokenizer.token(of: $0) }
        #expect(learned == ["ab", "cd", "xy"])
        #expect(tokenizer.encode("find the ab").count == 3)
    }

    @Test("what cannot be trained is refused in one line")
    func refused() throws {
        let requests: [(BPETrainer, String)] = [
            (
                BPETrainer(vocabularySize: 256, addedTokens: [.special("<s>")]),
                "need a vocabulary of 257, not 256"
            ),
            (BPETrainer(vocabularySize: 300, addedTokens: [.phrase("")]), "is empty"),
            (
                BPETrainer(vocabularySize: 300, addedTokens: [.phrase("a b"), .special("a b")]),
                "is given twice"
            ),
            (BPETrainer(vocabularySize: 300, addedTokens: [.phrase("café")]), "\"café\" reads as byte"),
            (BPETrainer(vocabularySize: 1 << 25), "is larger than 16777216"),
        ]
        for (trainer, message) in requests {
            let error = try #require(throws: TokenizerError.self) { try trainer.train(on: ["text"]) }
            #expect(error.description.contains(message), "\(error)")
        }
    }
}
