import Foundation

/// BLEU, ROUGE-L and CIDEr-D of captions, with pycocoevalcap 1.2's definitions, over words that are there already.
///
/// Every picture has one caption that a model wrote and one or more of people's.
public struct CaptionScores: Sendable, Hashable {
    /// A picture's captions as words.
    public struct Pair: Sendable, Hashable {
        public var found: [String]
        /// At least one.
        public var truth: [[String]]

        public init(found: [String], truth: [[String]]) {
            self.found = found
            self.truth = truth
        }
    }

    /// BLEU-1 to BLEU-4 of the whole set, 0 to 1.
    public let bleu: [Double]
    /// The mean over pictures, 0 to 1.
    public let rougeL: Double
    /// The mean over pictures, 0 to 10; of a single picture 0, since every word is in all of them.
    public let cider: Double
    /// CIDEr-D of each picture.
    public let ciders: [Double]

    /// - Parameter pairs: at least one.
    public init(_ pairs: [Pair]) {
        bleu = Self.bleu(pairs)
        rougeL = pairs.reduce(0) { $0 + Self.rougeL($1) } / Double(pairs.count)
        ciders = Self.ciders(pairs)
        cider = ciders.reduce(0, +) / Double(pairs.count)
    }

    private static func grams(_ words: [String], _ length: Int) -> [ArraySlice<String>: Int] {
        var counts: [ArraySlice<String>: Int] = [:]
        for start in 0..<max(0, words.count - length + 1) {
            counts[words[start..<start + length], default: 0] += 1
        }
        return counts
    }

    // MARK: BLEU

    private static func bleu(_ pairs: [Pair]) -> [Double] {
        var (right, guesses) = ([0, 0, 0, 0], [0, 0, 0, 0])
        var (length, wanted) = (0.0, 0.0)
        for pair in pairs {
            length += Double(pair.found.count)
            // The length nearest to the caption's, of two equally near the shorter.
            let own = pair.found.count
            wanted += Double(pair.truth.map(\.count).min { (abs($0 - own), $0) < (abs($1 - own), $1) }!)
            for size in 1...4 {
                var most: [ArraySlice<String>: Int] = [:]
                for truth in pair.truth { most.merge(grams(truth, size), uniquingKeysWith: max) }
                guesses[size - 1] += max(0, pair.found.count - size + 1)
                right[size - 1] += grams(pair.found, size).reduce(0) { $0 + min(most[$1.key] ?? 0, $1.value) }
            }
        }
        // The reference's small numbers, which keep empty captions from dividing by zero.
        let (small, tiny) = (1e-9, 1e-15)
        let ratio = (length + tiny) / (wanted + small)
        let brevity = ratio < 1 ? exp(1 - 1 / ratio) : 1
        var product = 1.0
        return (0..<4).map { place in
            product *= (Double(right[place]) + tiny) / (Double(guesses[place]) + small)
            return pow(product, 1 / Double(place + 1)) * brevity
        }
    }

    // MARK: ROUGE

    private static func rougeL(_ pair: Pair) -> Double {
        // The reference splits at spaces, which makes one empty word of nothing.
        let found = pair.found.isEmpty ? [""] : pair.found
        var (precision, recall) = (0.0, 0.0)
        for truth in pair.truth {
            let truth = truth.isEmpty ? [""] : truth
            let shared = Double(longestCommonSubsequence(found, truth))
            precision = max(precision, shared / Double(found.count))
            recall = max(recall, shared / Double(truth.count))
        }
        guard precision > 0, recall > 0 else { return 0 }
        let beta = 1.2 * 1.2
        return (1 + beta) * precision * recall / (recall + beta * precision)
    }

    private static func longestCommonSubsequence(_ a: [String], _ b: [String]) -> Int {
        var lengths = [Int](repeating: 0, count: b.count + 1)
        for word in a {
            var diagonal = 0
            for (place, other) in b.enumerated() {
                let above = lengths[place + 1]
                lengths[place + 1] = word == other ? diagonal + 1 : max(above, lengths[place])
                diagonal = above
            }
        }
        return lengths[b.count]
    }

    // MARK: CIDEr-D

    private static func ciders(_ pairs: [Pair]) -> [Double] {
        var documents: [ArraySlice<String>: Int] = [:]
        for pair in pairs {
            var seen: Set<ArraySlice<String>> = []
            for truth in pair.truth {
                for size in 1...4 { seen.formUnion(grams(truth, size).keys) }
            }
            for gram in seen { documents[gram, default: 0] += 1 }
        }
        let all = log(Double(pairs.count))
        struct Vector {
            var weights: [[ArraySlice<String>: Double]] = []
            var norms: [Double] = []
            var length = 0
        }
        func vector(_ words: [String]) -> Vector {
            var vector = Vector()
            for size in 1...4 {
                let counts = grams(words, size)
                var weights: [ArraySlice<String>: Double] = [:]
                var square = 0.0
                for (gram, count) in counts {
                    let weight = Double(count) * (all - log(max(1, Double(documents[gram] ?? 0))))
                    weights[gram] = weight
                    square += weight * weight
                }
                vector.weights.append(weights)
                vector.norms.append(square.squareRoot())
                // The reference measures length in pairs of words.
                if size == 2 { vector.length = counts.values.reduce(0, +) }
            }
            return vector
        }
        return pairs.map { pair in
            let found = vector(pair.found)
            var score = 0.0
            for truth in pair.truth.map(vector) {
                let delta = Double(found.length - truth.length)
                for size in 0..<4 {
                    var value = found.weights[size].reduce(0.0) { sum, entry in
                        let real = truth.weights[size][entry.key] ?? 0
                        return sum + min(entry.value, real) * real
                    }
                    if found.norms[size] != 0, truth.norms[size] != 0 {
                        value /= found.norms[size] * truth.norms[size]
                    }
                    score += value * exp(-(delta * delta) / (2 * 6.0 * 6.0))
                }
            }
            return 10 * score / 4 / Double(pair.truth.count)
        }
    }
}
