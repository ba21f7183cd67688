import Foundation

/// METEOR 1.5 for English (Denkowski and Lavie, 2014) with two of its four ways to match words: exactly, and by their
/// stems. The tables of synonyms and paraphrases, 60 MB that come with the Java program, are left out; so it equals
/// `meteor-1.5.jar -m "exact stem" -w "1.0 0.6"`, and lies below the usual figure.
public struct Meteor: Sendable, Hashable {
    /// What a score is made of; those of a set are sums.
    struct Counts: Sendable, Hashable {
        /// Content words and function words of each side.
        var found = (content: 0.0, function: 0.0)
        var truth = (content: 0.0, function: 0.0)
        /// Matched ones, each by the weight of its way to match.
        var foundMatched = (content: 0.0, function: 0.0)
        var truthMatched = (content: 0.0, function: 0.0)
        /// Words matched, and in how many stretches; a caption that is matched whole has none.
        var matches = 0.0
        var chunks = 0.0

        static func == (a: Counts, b: Counts) -> Bool { a.values == b.values }
        func hash(into hasher: inout Hasher) { hasher.combine(values) }

        private var values: [Double] {
            [
                found.content, found.function, truth.content, truth.function, foundMatched.content,
                foundMatched.function, truthMatched.content, truthMatched.function, matches, chunks,
            ]
        }

        static func += (sum: inout Counts, other: Counts) {
            func add(_ part: WritableKeyPath<Counts, (content: Double, function: Double)>) {
                sum[keyPath: part].content += other[keyPath: part].content
                sum[keyPath: part].function += other[keyPath: part].function
            }
            for part in [\Counts.found, \.truth, \.foundMatched, \.truthMatched] { add(part) }
            sum.matches += other.matches
            sum.chunks += other.chunks
        }

        var score: Double {
            let (alpha, beta, gamma, delta) = (0.85, 0.2, 0.6, 0.75)
            func weighted(_ words: (content: Double, function: Double)) -> Double {
                delta * words.content + (1 - delta) * words.function
            }
            let precision = weighted(foundMatched) / weighted(found)
            let recall = weighted(truthMatched) / weighted(truth)
            guard precision > 0, recall > 0 else { return 0 }
            let mean = 1 / ((1 - alpha) / precision + alpha / recall)
            return mean * (1 - gamma * pow(chunks / matches, beta))
        }
    }

    /// Of the whole set, 0 to 1: from the sums over its pictures, of each the best of people's captions.
    public let value: Double
    /// Of each picture.
    public let values: [Double]

    /// - Parameter pairs: captions as words.
    public init(_ pairs: [CaptionScores.Pair]) {
        var sum = Counts()
        values = pairs.map { pair in
            let counts = pair.truth.map { Self.counts(pair.found, $0) }
            let best = counts.max { $0.score < $1.score }!
            // Of several equally good ones the first.
            let chosen = counts.first { $0.score == best.score }!
            sum += chosen
            return chosen.score
        }
        value = sum.score
    }

    static func counts(_ found: [String], _ truth: [String]) -> Counts {
        var counts = Counts()
        func add(_ word: String, _ amount: Double, _ part: inout (content: Double, function: Double)) {
            if functionWords.contains(word) { part.function += amount } else { part.content += amount }
        }
        for word in found { add(word, 1, &counts.found) }
        for word in truth { add(word, 1, &counts.truth) }
        var previous: (found: Int, truth: Int)?
        for match in alignment(found, truth) {
            add(found[match.found], match.weight, &counts.foundMatched)
            add(truth[match.truth], match.weight, &counts.truthMatched)
            counts.matches += 1
            if previous.map({ $0.found + 1 != match.found || $0.truth + 1 != match.truth }) ?? true {
                counts.chunks += 1
            }
            previous = (match.found, match.truth)
        }
        if counts.chunks == 1, found.count == truth.count, Int(counts.matches) == found.count {
            counts.chunks = 0
        }
        return counts
    }

    private struct Match {
        let found: Int
        let truth: Int
        let weight: Double
    }

    /// A partial alignment of the search, by its last match.
    private struct Path {
        /// The place of its last match in the list of all; nil where nothing is matched.
        var last: Int?
        /// Words of the truth that are matched, a bit each.
        var taken: [UInt64]
        var rank = Rank()
    }

    /// How good a partial alignment is.
    private struct Rank: Comparable {
        var matches = 0
        var chunks = 0
        var distance = 0

        /// More matches are better, then fewer stretches, then less distance: the better is the lesser.
        static func < (a: Rank, b: Rank) -> Bool {
            if a.matches != b.matches { return a.matches > b.matches }
            if a.chunks != b.chunks { return a.chunks < b.chunks }
            return a.distance < b.distance
        }
    }

    /// The alignment that METEOR's beam search over 40 partial alignments finds, in the order of the found caption.
    private static func alignment(_ found: [String], _ truth: [String]) -> [Match] {
        let foundStems = found.map(EnglishStemmer.stem)
        // Equal words have equal stems.
        let places = Dictionary(grouping: truth.indices) { EnglishStemmer.stem(truth[$0]) }
        /// All matches of paths that were kept, each with the one before it.
        var steps: [(match: Match, before: Int?)] = []
        var paths = [Path(last: nil, taken: [UInt64](repeating: 0, count: truth.count / 64 + 1))]
        for place in found.indices {
            guard let others = places[foundStems[place]] else { continue }
            /// The best, in order; of equally good ones those that came first.
            var kept: [(rank: Rank, path: Int, other: Int?)] = []
            func offer(_ rank: Rank, _ path: Int, _ other: Int?) {
                if kept.count == beam, !(rank < kept[beam - 1].rank) { return }
                let end = kept.lastIndex { !(rank < $0.rank) }
                kept.insert((rank, path, other), at: end.map { $0 + 1 } ?? 0)
                if kept.count > beam { kept.removeLast() }
            }
            for (number, path) in paths.enumerated() { offer(path.rank, number, nil) }
            for (number, path) in paths.enumerated() {
                let last = path.last.map { steps[$0].match }
                for other in others where path.taken[other / 64] & 1 << (other % 64) == 0 {
                    let isNext = last.map { $0.found + 1 == place && $0.truth + 1 == other } ?? false
                    var rank = path.rank
                    rank.matches += 1
                    rank.chunks += isNext ? 0 : 1
                    rank.distance += abs(place - other)
                    offer(rank, number, other)
                }
            }
            paths = kept.map { rank, number, other in
                var path = paths[number]
                guard let other else { return path }
                let weight = found[place] == truth[other] ? 1 : 0.6
                steps.append((Match(found: place, truth: other, weight: weight), path.last))
                path.last = steps.count - 1
                path.taken[other / 64] |= 1 << (other % 64)
                path.rank = rank
                return path
            }
        }
        var matches: [Match] = []
        var step = paths[0].last
        while let place = step {
            matches.append(steps[place].match)
            step = steps[place].before
        }
        return matches.reversed()
    }

    private static let beam = 40

    /// Words that make up more than a thousandth of English text, of which METEOR 1.5 thinks less.
    private static let functionWords: Set<String> = [
        "the", "to", "of", "and", "a", "in", "that", "for", "is", "on", "'s", "it", "with", "was", "as",
        "said", "at",
        "he", "by", "be", "from", "have", "has", "are", "his", "but", "an", "this", "not", "i", "will",
        "they", "who",
        "their", "had", "we", "which", "were", "been", "more", "or", "s", "its", "would", "about", "new",
        "one", "after",
        "you", "also", "up", "when", "there", "than", "$", "all", "out", "her", "people", "she", "year",
        "two", "can",
        "if", "last", "first", "over", "other", "into", "some", "what", "so", "no", "time", "years", "could",
        "'t",
    ]
}
