/// Learns a byte-level BPE from texts.
///
/// The vocabulary holds the added tokens first, in the order given, then the 256 bytes, then what the merges
/// make. The most frequent pair is merged first; of equally frequent pairs the one that comes first in byte
/// order, so the same corpus always gives the same tokenizer.
public struct BPETrainer: Sendable {
    /// The number of tokens wanted, added tokens and bytes included.
    public var vocabularySize: Int
    /// Special tokens and phrases. They are cut out of the corpus before pairs are counted.
    public var addedTokens: [AddedToken]
    /// A pair seen less often than this is not merged.
    public var minimumFrequency: Int
    /// Whether the tokenizer puts a space before each text, so that its first word looks like the others.
    public var addPrefixSpace: Bool

    public init(
        vocabularySize: Int, addedTokens: [AddedToken] = [], minimumFrequency: Int = 2,
        addPrefixSpace: Bool = false
    ) {
        self.vocabularySize = vocabularySize
        self.addedTokens = addedTokens
        self.minimumFrequency = minimumFrequency
        self.addPrefixSpace = addPrefixSpace
    }

    /// Trains on `corpus`. A corpus with too few repeated pairs gives fewer tokens than wanted.
    ///
    /// Throws if an added token is empty, given twice, or would not decode to itself, or if the vocabulary
    /// has no room for the added tokens and the 256 bytes.
    public func train(on corpus: some Sequence<String>) throws(TokenizerError) -> Tokenizer {
        var vocabulary = try initialVocabulary()
        let preTokenizer = PreTokenizer(steps: [.byteLevel(addPrefixSpace: addPrefixSpace, useRegex: true)])
        let added = addedTokens.enumerated().map { (id: $0.offset, token: $0.element) }
        let addedVocabulary = AddedVocabulary(
            Dictionary(uniqueKeysWithValues: added.map { ($0.id, $0.token) }), normalizer: .sequence([]))

        var counts: [[UInt8]: Int] = [:]
        for text in corpus {
            let text = Array(text.utf8)
            addedVocabulary.forEachText(in: text[...]) { rest in
                preTokenizer.forEachWord(in: rest, startsText: false) { counts[Array($0), default: 0] += 1 }
            }
        }
        let words = counts.map { word, count in
            PairTable.Word(symbols: word.map { vocabulary.byteIDs[Int($0)] }, count: count)
        }
        let merges = learnMerges(from: PairTable(words), into: &vocabulary)

        let bpe = try BPE(
            vocabulary: vocabulary.ids, merges: merges, options: BPE.Options(), file: "trained tokenizer")
        func byteLevel(_ addPrefixSpace: Bool) -> JSON {
            [
                "type": "ByteLevel", "add_prefix_space": .bool(addPrefixSpace), "trim_offsets": true,
                "use_regex": true,
            ]
        }
        let parts = TokenizerFile.Parts(preTokenizer: byteLevel(addPrefixSpace), decoder: byteLevel(true))
        return try Tokenizer(addedTokens: added, parts: parts, model: bpe, file: "trained tokenizer")
    }

    private func initialVocabulary() throws(TokenizerError) -> Vocabulary {
        var vocabulary = Vocabulary()
        for token in addedTokens {
            let content = token.content
            guard !content.isEmpty else { throw .untrainable(reason: "an added token is empty") }
            guard ByteLevelAlphabet.bytes(of: content) == Array(content.utf8) else {
                throw .untrainable(
                    reason: "the added token \(quoted(content)) reads as byte-level characters")
            }
            guard vocabulary.ids[Array(content.utf8)] == nil else {
                throw .untrainable(reason: "the added token \(quoted(content)) is given twice")
            }
            vocabulary.insert(content)
        }
        vocabulary.insertBytes()
        guard vocabulary.count <= vocabularySize else {
            throw .untrainable(
                reason: "\(addedTokens.count) added tokens and the 256 bytes need a vocabulary of "
                    + "\(vocabulary.count), not \(vocabularySize)")
        }
        guard vocabularySize <= Tokenizer.idLimit else {
            throw .untrainable(
                reason: "a vocabulary of \(vocabularySize) is larger than \(Tokenizer.idLimit)")
        }
        return vocabulary
    }

    private func learnMerges(from table: PairTable, into vocabulary: inout Vocabulary) -> [BPE.Merge] {
        /// A pair with the count it had when it was pushed.
        struct Candidate: Comparable {
            var count: Int
            var left: [UInt8]
            var right: [UInt8]
            var pair: BPE.Pair
            static func < (a: Candidate, b: Candidate) -> Bool {
                if a.count != b.count { return a.count > b.count }
                if a.left != b.left { return a.left.lexicographicallyPrecedes(b.left) }
                return a.right.lexicographicallyPrecedes(b.right)
            }
        }
        var table = table
        var heap = Heap<Candidate>()
        func push(_ pair: BPE.Pair) {
            guard let count = table.counts[pair], count >= max(1, minimumFrequency) else { return }
            let (left, right) = (vocabulary.bytes[Int(pair.left)], vocabulary.bytes[Int(pair.right)])
            heap.push(Candidate(count: count, left: left, right: right, pair: pair))
        }
        for pair in table.counts.keys { push(pair) }

        var merges: [BPE.Merge] = []
        while vocabulary.count < vocabularySize, let best = heap.pop() {
            guard table.counts[best.pair] == best.count else {
                push(best.pair)
                continue
            }
            let left = vocabulary.tokens[Int(best.pair.left)]
            let right = vocabulary.tokens[Int(best.pair.right)]
            merges.append(BPE.Merge(left: left, right: right))
            let merged = vocabulary.insert(left + right)
            for pair in table.merge(best.pair, into: merged) { push(pair) }
        }
        return merges
    }
}

/// A vocabulary as it grows.
private struct Vocabulary {
    private(set) var tokens: [String] = []
    private(set) var bytes: [[UInt8]] = []
    private(set) var ids: [[UInt8]: Int] = [:]
    private(set) var byteIDs: [UInt32] = []

    var count: Int { tokens.count }

    /// The id of a token, which is new unless the vocabulary has it: a merge may make a word that is an added
    /// token too.
    @discardableResult
    mutating func insert(_ token: String) -> UInt32 {
        let key = Array(token.utf8)
        if let known = ids[key] { return UInt32(known) }
        ids[key] = count
        tokens.append(token)
        bytes.append(ByteLevelAlphabet.bytes(of: token))
        return UInt32(count - 1)
    }

    mutating func insertBytes() {
        byteIDs = (0...255).map { insert(ByteLevelAlphabet.token(of: [$0])) }
    }
}

/// The words of a corpus as symbols, and how often each pair of neighbours occurs.
private struct PairTable {
    struct Word {
        var symbols: [UInt32]
        var count: Int

        var pairs: some Sequence<BPE.Pair> {
            zip(symbols, symbols.dropFirst()).lazy.map { BPE.Pair(left: $0, right: $1) }
        }
    }

    private var words: [Word]
    private var places: [BPE.Pair: Set<Int>] = [:]
    private(set) var counts: [BPE.Pair: Int] = [:]

    init(_ words: [Word]) {
        self.words = words
        for (index, word) in words.enumerated() {
            for pair in word.pairs {
                counts[pair, default: 0] += word.count
                places[pair, default: []].insert(index)
            }
        }
    }

    /// Replaces a pair everywhere, and returns the pairs that the new symbol is part of.
    mutating func merge(_ pair: BPE.Pair, into merged: UInt32) -> Set<BPE.Pair> {
        var new: Set<BPE.Pair> = []
        for index in places[pair] ?? [] {
            let count = words[index].count
            for old in words[index].pairs { counts[old, default: 0] -= count }
            var symbols: [UInt32] = []
            for symbol in words[index].symbols {
                if symbol == pair.right, symbols.last == pair.left {
                    symbols[symbols.count - 1] = merged
                } else {
                    symbols.append(symbol)
                }
            }
            words[index].symbols = symbols
            for next in words[index].pairs {
                counts[next, default: 0] += count
                places[next, default: []].insert(index)
                if next.left == merged || next.right == merged { new.insert(next) }
            }
        }
        counts[pair] = nil
        places[pair] = nil
        return new
    }
}
