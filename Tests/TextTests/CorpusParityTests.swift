import Foundation
import Testing
import Text

@Suite("Every tokenizer on 20,000 strings against PyPI")
struct CorpusParityTests {
    /// Hashes of what the reference makes of each block of strings; nil where there is no measure.
    private struct Expected: Decodable {
        var vocabularySize: Int
        var ids: String
        var whole: String
        var text: String?
        var plain: String
        var noiseText: String?
        var noisePlain: String?
        var sample: [Sample]
        struct Sample: Decodable {
            var text: String
            var ids: [Int]
        }
    }

    static func tokenizer(_ name: String) throws -> Tokenizer {
        if name.hasSuffix("/") { return try Tokenizer(folder: Fixtures.url(name).path) }
        return try Tokenizer(contentsOf: Fixtures.url(name.hasSuffix(".model") ? name : "\(name).json"))
    }

    static let names = [
        "plain", "prefixed", "trained_here", "llama3", "qwen2", "clip", "clip/", "llama", "llama_legacy",
        "metaspace",
        "first", "suffixed", "vicuna/tokenizer.model", "rules.model", "vicuna/", "vicuna_legacy/",
    ]

    private static let expected = Result { try Fixtures.read([String: Expected].self, "digests.json") }

    @Test("ids, texts, and texts of random ids are the same", arguments: names)
    func parity(name: String) throws {
        let tokenizer = try Self.tokenizer(name)
        let expected = try #require(try Self.expected.get()[name])
        #expect(tokenizer.vocabularySize == expected.vocabularySize)
        for sample in expected.sample {
            #expect(
                tokenizer.encode(sample.text, addSpecialTokens: true) == sample.ids,
                "\(sample.text.debugDescription)")
        }
        #expect(Corpus.texts.count == Corpus.count)
        let noise = Corpus.noise(tokenizer.vocabularySize)
        for block in 0..<(Corpus.count / Corpus.block) {
            let range = block * Corpus.block..<(block + 1) * Corpus.block
            let found = Outcome(
                tokenizer, Corpus.texts[range], range.upperBound <= noise.count ? noise[range] : [])
            var wrong: [String] = []
            func compare(_ kind: String, _ hash: String, _ expected: String?) {
                guard let expected, 8 * block < expected.utf8.count else { return }
                if hash != String(expected.dropFirst(8 * block).prefix(8)) { wrong.append(kind) }
            }
            compare("ids", found.hash(of: found.ids), expected.ids)
            compare("whole", found.hash(of: found.whole), expected.whole)
            compare("text", found.hash(of: found.text), expected.text)
            compare("plain", found.hash(of: found.plain), expected.plain)
            compare("noiseText", found.hash(of: found.noiseText), expected.noiseText)
            compare("noisePlain", found.hash(of: found.noisePlain), expected.noisePlain)
            if !wrong.isEmpty {
                let file = FileManager.default.temporaryDirectory.appendingPathComponent(
                    "tokenizer-block.json")
                try found.write(to: file, name: name, block: block)
                Issue.record(
                    """
                    block \(block) differs in \(wrong.joined(separator: ", ")): \
                    python Tools/reference/tokenizer_fixtures.py --compare \(file.path)
                    """)
                return
            }
        }
    }

    /// What a tokenizer makes of a block of strings and of random ids.
    private struct Outcome {
        var ids: [[Int]]
        var whole: [[Int]]
        var text: [String]
        var plain: [String]
        var noiseText: [String]
        var noisePlain: [String]

        init(_ tokenizer: Tokenizer, _ texts: ArraySlice<String>, _ noise: ArraySlice<[Int]>) {
            ids = texts.map { tokenizer.encode($0) }
            whole = texts.map { tokenizer.encode($0, addSpecialTokens: true) }
            text = whole.map { tokenizer.decode($0) }
            plain = whole.map { tokenizer.decode($0, skipSpecialTokens: true) }
            noiseText = noise.map { tokenizer.decode($0) }
            noisePlain = noise.map { tokenizer.decode($0, skipSpecialTokens: true) }
        }

        func hash(of lists: [[Int]]) -> String {
            var digest = Corpus.Digest()
            for list in lists { digest.add(list) }
            return digest.hex
        }

        func hash(of texts: [String]) -> String {
            var digest = Corpus.Digest()
            for text in texts { digest.add(text) }
            return digest.hex
        }

        func write(to file: URL, name: String, block: Int) throws {
            let values: [String: Any] = [
                "name": name, "block": block, "ids": ids, "whole": whole, "text": text, "plain": plain,
                "noiseText": noiseText, "noisePlain": noisePlain,
            ]
            try JSONSerialization.data(withJSONObject: values).write(to: file)
        }
    }

    @Test("a tokenizer that was written and read again is the same", arguments: names)
    func writtenAgain(name: String) throws {
        let tokenizer = try Self.tokenizer(name)
        let folder = try TemporaryFolder()
        try tokenizer.write(folder: folder.path)
        let again =
            name.hasSuffix(".model")
            ? try Tokenizer(contentsOf: URL(fileURLWithPath: "\(folder.path)/tokenizer.model"))
            : try Tokenizer(folder: folder.path)
        #expect(again.vocabularySize == tokenizer.vocabularySize)
        for text in Corpus.texts.prefix(2000) {
            let ids = tokenizer.encode(text, addSpecialTokens: true)
            #expect(again.encode(text, addSpecialTokens: true) == ids, "\(text.debugDescription)")
            #expect(same(again.decode(ids), tokenizer.decode(ids)), "\(text.debugDescription)")
        }
    }

    @Test("streamed pieces are whole characters and make up the text", arguments: names)
    func streaming(name: String) throws {
        let tokenizer = try Self.tokenizer(name)
        let texts = Corpus.texts.prefix(2000).map { tokenizer.encode($0, addSpecialTokens: true) }
        for ids in texts + Corpus.noise(tokenizer.vocabularySize).prefix(1000) {
            for skips in [false, true] {
                var decoder = StreamingDecoder(tokenizer, skipSpecialTokens: skips)
                let pieces = ids.map { decoder.feed($0) } + [decoder.finish()]
                #expect(same(pieces.joined(), tokenizer.decode(ids, skipSpecialTokens: skips)), "\(ids)")
            }
        }
    }
}

/// MB per second of one core, beside what `tokenizer_fixtures.py --speed FILE` says of PyPI's packages.
@Suite(
    "Tokenizer speed",
    .enabled(if: ProcessInfo.processInfo.environment["VITRAIL_TOKENIZER_SPEED"] != nil), .serialized)
struct TokenizerSpeedTests {
    @Test("a long text, the best of three", arguments: CorpusParityTests.names)
    func speed(name: String) throws {
        let file = try #require(ProcessInfo.processInfo.environment["VITRAIL_TOKENIZER_SPEED"])
        let text = try String(contentsOfFile: file, encoding: .utf8)
        let tokenizer = try CorpusParityTests.tokenizer(name)
        func rate(_ body: () -> Void) -> String {
            let seconds = (0..<3).map { _ in
                let start = clock()
                body()
                return Double(clock() - start) / Double(CLOCKS_PER_SEC)
            }.min()
            let value = Double(text.utf8.count) / 1e6 / (seconds ?? 0)
            return String(format: "%.1f MB/s", value)
        }
        let ids = tokenizer.encode(text)
        let encoding = rate { _ = tokenizer.encode(text) }
        print("\(name): encoded at \(encoding), decoded at \(rate { _ = tokenizer.decode(ids) })")
        #expect(!ids.isEmpty)
    }
}
