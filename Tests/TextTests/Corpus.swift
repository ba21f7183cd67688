import Foundation
import Text

/// The 20,000 strings that Tools/reference/tokenizer_fixtures.py makes alike, and how what comes of them is hashed.
enum Corpus {
    static let count = 20_000
    static let block = 200
    static let noiseCount = 4_000

    private struct Material: Decodable {
        var words: [String]
        var special: [String]
        var controls: [String]
        var spaces: [String]
        var blocks: [[UInt32]]
        var ascii: [String]
        var clusters: [String]
    }

    /// SplitMix64.
    private struct Random {
        var state: UInt64

        mutating func below(_ limit: Int) -> Int {
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return Int((z ^ (z >> 31)) % UInt64(limit))
        }

        mutating func one<Element>(of elements: [Element]) -> Element { elements[below(elements.count)] }
    }

    static let texts: [String] = {
        guard let material = try? Fixtures.read(Material.self, "corpus.json") else { return [] }
        return (0..<count).map { text(Random(state: UInt64($0)), material) }
    }()

    private static func text(_ random: Random, _ material: Material) -> String {
        var random = random
        var text = ""
        for _ in 0..<(1 + random.below(8)) {
            switch random.below(100) {
            case ..<40: text += random.one(of: material.words)
            case ..<52: text += random.one(of: material.special)
            case ..<57: text += random.one(of: material.controls)
            case ..<66: for _ in 0..<(1 + random.below(4)) { text += random.one(of: material.spaces) }
            case ..<80:
                for _ in 0..<(1 + random.below(5)) {
                    let block = random.one(of: material.blocks)
                    let value = block[0] + UInt32(random.below(Int(block[1])))
                    text.unicodeScalars.append(Unicode.Scalar(value)!)
                }
            case ..<92: for _ in 0..<(1 + random.below(8)) { text += random.one(of: material.ascii) }
            default: for _ in 0..<(1 + random.below(3)) { text += random.one(of: material.clusters) }
            }
            if random.below(100) < 55 { text += random.one(of: material.spaces) }
        }
        return text
    }

    /// Random ids below `size`.
    static func noise(_ size: Int) -> [[Int]] {
        (0..<noiseCount).map { index in
            var random = Random(state: UInt64(count + index))
            return (0..<(1 + random.below(12))).map { _ in random.below(size) }
        }
    }

    /// FNV-1a over lists of numbers, each ended by 2^32 - 1, folded to 32 bits.
    struct Digest {
        private var hash: UInt64 = 0xCBF2_9CE4_8422_2325

        mutating func add(_ values: some Sequence<Int>) {
            for value in values { add(UInt64(value)) }
            add(0xFFFF_FFFF)
        }

        mutating func add(_ text: String) { add(text.utf8.lazy.map { Int($0) }) }

        private mutating func add(_ value: UInt64) { hash = (hash ^ value) &* 0x100_0000_01B3 }

        var hex: String {
            let digits = String((hash >> 32) ^ (hash & 0xFFFF_FFFF), radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }
    }
}
