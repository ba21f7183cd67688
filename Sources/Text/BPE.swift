/// Byte-pair encoding: neighbouring symbols are merged, the earliest learned merge first, leftmost first.
struct BPE: Sendable {
    /// The id of each token, by its UTF-8.
    let vocabulary: [[UInt8]: Int]
    /// The merges in order of learning, as pairs of tokens.
    let merges: [Merge]
    /// Whether a word that is itself a token is taken whole, merges or not.
    let ignoresMerges: Bool
    /// A vocabulary without some byte drops that byte, as Hugging Face does without an unknown token.
    private let byteIDs: [UInt32?]
    private let ranks: [Pair: Step]

    struct Merge: Sendable {
        var left: String
        var right: String
    }

    struct Pair: Hashable {
        var left: UInt32
        var right: UInt32
    }

    private struct Step {
        var rank: UInt32
        var result: UInt32
    }

    /// `vocabulary` holds ids that fit into 32 bits; `file` is named in errors.
    init(
        vocabulary: [[UInt8]: Int], merges: [Merge], ignoresMerges: Bool, file: String
    ) throws(TokenizerError) {
        self.vocabulary = vocabulary
        self.merges = merges
        self.ignoresMerges = ignoresMerges
        byteIDs = (0...255).map {
            vocabulary[Array(ByteLevelAlphabet.token(of: [$0]).utf8)].map { UInt32($0) }
        }
        var ranks: [Pair: Step] = [:]
        ranks.reserveCapacity(merges.count)
        for (rank, merge) in merges.enumerated() {
            func id(_ token: String) throws(TokenizerError) -> UInt32 {
                guard let id = vocabulary[Array(token.utf8)] else {
                    throw .unknownMergeToken(file: file, merge: rank, token: token)
                }
                return UInt32(id)
            }
            let pair = try Pair(left: id(merge.left), right: id(merge.right))
            ranks[pair] = Step(rank: UInt32(rank), result: try id(merge.left + merge.right))
        }
        self.ranks = ranks
    }

    func encode(_ word: ArraySlice<UInt8>, into ids: inout [Int]) {
        if ignoresMerges, let id = vocabulary[Array(ByteLevelAlphabet.token(of: word).utf8)] {
            ids.append(id)
            return
        }
        var symbols = word.compactMap { byteIDs[Int($0)] }
        if symbols.count <= Self.longestScannedWord {
            mergeByScanning(&symbols)
        } else {
            mergeByHeap(&symbols)
        }
        for symbol in symbols { ids.append(Int(symbol)) }
    }

    // Looking through a short word again after every merge is faster than keeping a heap; a long one (a
    // hostile text may be one word of a million letters) would take quadratic time.
    private static let longestScannedWord = 48

    private func mergeByScanning(_ symbols: inout [UInt32]) {
        while symbols.count > 1 {
            var best: (step: Step, index: Int)?
            for index in 0..<symbols.count - 1 {
                guard let step = ranks[Pair(left: symbols[index], right: symbols[index + 1])] else {
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
            guard let step = ranks[pair] else { return }
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
