/// Byte-pair encoding: neighbouring symbols are merged, the earliest learned merge first, leftmost first.
struct BPE: Sendable {
    /// The id of each token, by its UTF-8.
    let vocabulary: [[UInt8]: Int]
    /// The merges in order of learning, as pairs of tokens.
    let merges: [Merge]
    let options: Options

    private let symbols: SymbolTable
    /// The tokens that are taken as words, by their bytes; none unless merges are ignored for them.
    private let wholeWords: [ArraySlice<UInt8>: UInt32]
    /// What a pair of symbols becomes: its rank and the new symbol.
    private let steps: PairTable
    /// Whether a word may be cut before each run of U+2581, because no token holds one after something else.
    private let cutsAtSpaces: Bool

    struct Merge: Sendable {
        var left: String
        var right: String
    }

    struct Pair: Hashable {
        var left: UInt32
        var right: UInt32
    }

    /// What a `tokenizer.json` may say of its BPE beside vocabulary and merges.
    struct Options: Sendable {
        /// Whether symbols are bytes, in the vocabulary as GPT-2's visible characters; else they are characters.
        var isByteLevel = true
        /// The token for a symbol that the vocabulary lacks; without one it is dropped.
        var unknownToken: String?
        /// Whether one unknown token stands for a run of unknown characters.
        var fusesUnknown = false
        /// Whether the tokens `<0x00>` … `<0xFF>` stand for the bytes of a character that the vocabulary lacks.
        var byteFallback = false
        /// Whether a word that is itself a token is taken whole, merges or not.
        var ignoresMerges = false
        /// What the vocabulary appends to the last symbol of a word: CLIP's `</w>`.
        var endOfWordSuffix = ""
    }

    /// `vocabulary` holds ids that fit into 32 bits; `file` is named in errors.
    init(
        vocabulary: [[UInt8]: Int], merges: [Merge], options: Options, file: String
    ) throws(TokenizerError) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.options = options
        symbols = try SymbolTable(vocabulary, options, file: file)
        wholeWords = Self.wholeWords(vocabulary, options)
        var steps = PairTable(capacity: merges.count)
        for (rank, merge) in merges.enumerated() {
            func id(_ token: String) throws(TokenizerError) -> UInt32 {
                guard let id = vocabulary[Array(token.utf8)] else {
                    throw .unknownMergeToken(file: file, merge: rank, token: token)
                }
                return UInt32(id)
            }
            let pair = try Pair(left: id(merge.left), right: id(merge.right))
            steps[pair] = Step(rank: UInt32(rank), result: try id(merge.left + merge.right))
        }
        self.steps = steps
        cutsAtSpaces = Self.cutsAtSpaces(vocabulary, options)
    }

    /// A BPE whose merges are given by their ids, as SentencePiece's pieces give them; of equal ranks the leftmost
    /// pair is merged first.
    init(
        vocabulary: [[UInt8]: Int], steps: [(pair: Pair, step: Step)], options: Options, file: String
    ) throws(TokenizerError) {
        self.vocabulary = vocabulary
        merges = []
        self.options = options
        symbols = try SymbolTable(vocabulary, options, file: file)
        wholeWords = Self.wholeWords(vocabulary, options)
        var table = PairTable(capacity: steps.count)
        for (pair, step) in steps { table[pair] = step }
        self.steps = table
        cutsAtSpaces = Self.cutsAtSpaces(vocabulary, options)
    }

    struct Step: Sendable {
        var rank: UInt32
        var result: UInt32
    }

    private static func wholeWords(_ vocabulary: [[UInt8]: Int], _ options: Options) -> [ArraySlice<UInt8>:
        UInt32]
    {
        guard options.ignoresMerges else { return [:] }
        var words: [ArraySlice<UInt8>: UInt32] = [:]
        for (token, id) in vocabulary {
            let bytes =
                options.isByteLevel
                ? ByteLevelAlphabet.bytes(spelledBy: String(decoding: token, as: UTF8.self)) : token
            if let bytes { words[bytes[...]] = UInt32(id) }
        }
        return words
    }

    private static let space = Array("\u{2581}".utf8)

    private static func cutsAtSpaces(_ vocabulary: [[UInt8]: Int], _ options: Options) -> Bool {
        guard !options.isByteLevel, !options.ignoresMerges, options.endOfWordSuffix.isEmpty,
            vocabulary[space] != nil
        else { return false }
        return vocabulary.keys.allSatisfy { token in
            // U+2581 only at the beginning.
            var index = 0
            while token[index...].starts(with: space) { index += space.count }
            return !token[index...].indices.contains { token[$0...].starts(with: space) }
        }
    }

    /// Encodes the words of one text, each different one once.
    struct Run {
        fileprivate let bpe: BPE
        /// Where in `ids` the ids of a word stand.
        private var known: [ArraySlice<UInt8>: Range<Int>] = [:]
        private var symbols: [UInt32] = []
        private(set) var ids: [Int]

        fileprivate init(_ bpe: BPE, ids: [Int]) { (self.bpe, self.ids) = (bpe, ids) }

        /// Adds the id of an added token.
        mutating func append(_ id: Int) { ids.append(id) }

        /// Adds the ids of a word.
        mutating func encode(_ word: ArraySlice<UInt8>) {
            guard bpe.cutsAtSpaces else { return merge(word) }
            var start = word.startIndex
            var isInSpaces = true
            var index = start
            while index < word.endIndex {
                let isSpace = word[index] == BPE.space[0] && word[index...].starts(with: BPE.space)
                if isSpace, !isInSpaces {
                    merge(word[start..<index])
                    start = index
                }
                isInSpaces = isSpace
                index += isSpace ? BPE.space.count : 1
            }
            merge(word[start...])
        }

        private mutating func merge(_ word: ArraySlice<UInt8>) {
            if let range = known[word] {
                for index in range { ids.append(ids[index]) }
                return
            }
            let start = ids.count
            if let id = bpe.wholeWords[word] {
                ids.append(Int(id))
            } else {
                bpe.symbols.write(word, to: &symbols)
                if symbols.count <= BPE.longestScannedWord {
                    bpe.mergeByScanning(&symbols)
                } else {
                    bpe.mergeByHeap(&symbols)
                }
                for symbol in symbols { ids.append(Int(symbol)) }
            }
            if word.count <= BPE.longestScannedWord { known[word] = start..<ids.count }
        }
    }

    /// The encoding of one text, whose first ids are these.
    func start(_ ids: [Int] = []) -> Run { Run(self, ids: ids) }

    // Looking through a short word again after every merge is faster than keeping a heap; a long one (a
    // hostile text may be one word of a million letters) would take quadratic time.
    private static let longestScannedWord = 48

    private func mergeByScanning(_ symbols: inout [UInt32]) {
        while symbols.count > 1 {
            var best: (step: Step, index: Int)?
            for index in 0..<symbols.count - 1 {
                guard let step = steps[Pair(left: symbols[index], right: symbols[index + 1])] else {
                    continue
                }
                if best.map({ step.rank < $0.step.rank }) ?? true { best = (step, index) }
            }
            guard let (step, index) = best else { return }
            symbols[index] = step.result
            symbols.remove(at: index + 1)
        }
    }

    private func mergeByHeap(_ symbols: inout [UInt32]) {
        /// A possible merge at `index`; void once either symbol has changed.
        struct Candidate: Comparable {
            var rank: UInt32
            var index: Int
            var pair: Pair
            var result: UInt32
            static func < (a: Candidate, b: Candidate) -> Bool { (a.rank, a.index) < (b.rank, b.index) }
        }
        // A linked list through the word; a symbol merged into its left neighbour is marked dead.
        let count = symbols.count
        var next = Array(1...count)
        var previous = Array(-1..<count - 1)
        var alive = [Bool](repeating: true, count: count)
        var heap = Heap<Candidate>()

        func consider(_ index: Int) {
            guard index >= 0, next[index] < count else { return }
            let pair = Pair(left: symbols[index], right: symbols[next[index]])
            guard let step = steps[pair] else { return }
            heap.push(Candidate(rank: step.rank, index: index, pair: pair, result: step.result))
        }

        for index in 0..<count - 1 { consider(index) }
        while let candidate = heap.pop() {
            let index = candidate.index
            let right = next[index]
            guard alive[index], right < count,
                candidate.pair == Pair(left: symbols[index], right: symbols[right])
            else { continue }
            symbols[index] = candidate.result
            alive[right] = false
            next[index] = next[right]
            if next[index] < count { previous[next[index]] = index }
            consider(previous[index])
            consider(index)
        }
        symbols = symbols.indices.filter { alive[$0] }.map { symbols[$0] }
    }
}

/// The first symbols of a word: ids of its bytes or characters, before anything is merged.
private struct SymbolTable: Sendable {
    /// By byte, or by ASCII character; `none` where the vocabulary lacks it.
    private let inside: [UInt32]
    /// The same for the last symbol of a word.
    private let last: [UInt32]
    /// The other characters, by their UTF-8 in one number, inside a word and at its end.
    private let insideCharacters: [UInt32: UInt32]
    private let lastCharacters: [UInt32: UInt32]
    private let suffix: [UInt8]
    private let isByteLevel: Bool
    private let unknown: UInt32?
    private let fusesUnknown: Bool
    /// The tokens of bytes.
    private let fallback: [UInt32]
    private static let none = UInt32.max

    init(_ vocabulary: [[UInt8]: Int], _ options: BPE.Options, file: String) throws(TokenizerError) {
        suffix = Array(options.endOfWordSuffix.utf8)
        isByteLevel = options.isByteLevel
        fusesUnknown = options.fusesUnknown
        func ids(_ suffix: [UInt8]) -> [UInt32] {
            (0...(options.isByteLevel ? 255 : 127)).map { (byte: UInt8) in
                let token = options.isByteLevel ? Array(ByteLevelAlphabet.token(of: [byte]).utf8) : [byte]
                return vocabulary[token + suffix].map { UInt32($0) } ?? Self.none
            }
        }
        inside = ids([])
        last = suffix.isEmpty ? inside : ids(suffix)
        func characters(_ suffix: [UInt8]) -> [UInt32: UInt32] {
            guard !options.isByteLevel else { return [:] }
            var result: [UInt32: UInt32] = [:]
            for (token, id) in vocabulary
            where token.count <= 4 + suffix.count && token.suffix(suffix.count) == suffix[...] {
                let character = token.dropLast(suffix.count)
                guard let lead = character.first, lead >= 0x80,
                    UTF8.sequenceLength(of: lead) == character.count
                else {
                    continue
                }
                result[Self.number(character)] = UInt32(id)
            }
            return result
        }
        insideCharacters = characters([])
        lastCharacters = suffix.isEmpty ? insideCharacters : characters(suffix)
        if let token = options.unknownToken {
            guard let id = vocabulary[Array(token.utf8)] else {
                throw .malformed(
                    file: file, reason: "the unknown token \(quoted(token)) is not in the vocabulary")
            }
            unknown = UInt32(id)
        } else {
            unknown = nil
        }
        fallback = (0...255).map { byte in
            options.byteFallback
                ? vocabulary[ByteFallback.token(of: byte)].map { UInt32($0) } ?? Self.none : Self.none
        }
    }

    func write(_ word: ArraySlice<UInt8>, to result: inout [UInt32]) {
        result.removeAll(keepingCapacity: true)
        // An unknown token waits for the next known symbol, as in Hugging Face's, even when tokens of bytes come.
        var isUnknownWaiting = false
        var index = word.startIndex
        while index < word.endIndex {
            let length = isByteLevel ? 1 : UTF8.sequenceLength(of: word[index]) ?? 1
            let end = min(index + length, word.endIndex)
            let id = self.id(word[index..<end], isLast: end == word.endIndex)
            if id != Self.none {
                if isUnknownWaiting, let unknown { result.append(unknown) }
                isUnknownWaiting = false
                result.append(id)
            } else {
                let bytes = word[index..<end] + (end == word.endIndex ? suffix : [])
                if bytes.allSatisfy({ fallback[Int($0)] != Self.none }) {
                    for byte in bytes { result.append(fallback[Int(byte)]) }
                } else if let unknown {
                    if isUnknownWaiting, !fusesUnknown { result.append(unknown) }
                    isUnknownWaiting = true
                }
            }
            index = end
        }
        if isUnknownWaiting, let unknown { result.append(unknown) }
    }

    @inline(__always)
    private func id(_ symbol: ArraySlice<UInt8>, isLast: Bool) -> UInt32 {
        let byte = Int(symbol[symbol.startIndex])
        if byte < inside.count { return isLast ? last[byte] : inside[byte] }
        return (isLast ? lastCharacters : insideCharacters)[Self.number(symbol)] ?? Self.none
    }

    private static func number(_ character: ArraySlice<UInt8>) -> UInt32 {
        character.reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// What pairs of symbols become: a hash table with open addresses, which costs a fraction of a dictionary's time.
private struct PairTable: Sendable {
    private struct Slot {
        var left = UInt32.max
        var right = UInt32.max
        var step = BPE.Step(rank: 0, result: 0)
    }

    private var slots: [Slot]
    private let shift: UInt64

    /// Room for `capacity` pairs, of which at most half is filled.
    init(capacity: Int) {
        var bits = 4
        while 1 << bits < 2 * capacity { bits += 1 }
        slots = Array(repeating: Slot(), count: 1 << bits)
        shift = UInt64(64 - bits)
    }

    subscript(pair: BPE.Pair) -> BPE.Step? {
        get {
            let slot = slots[index(of: pair)]
            return slot.left == .max ? nil : slot.step
        }
        set {
            guard let newValue else { return }
            slots[index(of: pair)] = Slot(left: pair.left, right: pair.right, step: newValue)
        }
    }

    /// The slot of a pair, or the empty one where it would be.
    private func index(of pair: BPE.Pair) -> Int {
        let key = UInt64(pair.left) << 32 | UInt64(pair.right)
        var index = Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> shift)
        while slots[index].left != .max, slots[index].left != pair.left || slots[index].right != pair.right {
            index = (index + 1) & (slots.count - 1)
        }
        return index
    }
}

/// The tokens `<0x00>` … `<0xFF>`, which stand for bytes.
enum ByteFallback {
    static func token(of byte: Int) -> [UInt8] {
        let digits = String(byte, radix: 16, uppercase: true)
        return Array("<0x\(digits.count < 2 ? "0" : "")\(digits)>".utf8)
    }

    /// The byte that a token stands for, digits in either case.
    static func byte(of token: [UInt8]) -> UInt8? {
        guard token.count == 6, token.starts(with: "<0x".utf8), token[5] == UInt8(ascii: ">") else {
            return nil
        }
        let digits = token[3..<5]
        guard digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else { return nil }
        return UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
    }
}
