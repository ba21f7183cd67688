// The only use of Foundation beyond its essentials: what a scalar decomposes to, and what two compose to.
import Foundation

/// Unicode's normalization forms, as of the version that tokenizers 0.22 has tables of.
///
/// Foundation is asked for single scalars and pairs only: of longer texts it leaves some marks out of their order.
enum UnicodeForm: String, Sendable {
    case nfc = "NFC"
    case nfd = "NFD"
    case nfkc = "NFKC"
    case nfkd = "NFKD"

    private var isCompatible: Bool { self == .nfkc || self == .nfkd }
    private var composes: Bool { self == .nfc || self == .nfkc }

    func apply(to text: inout [UInt8]) {
        let string = String(decoding: text, as: UTF8.self).unicodeScalars
        // Nothing below U+0300 composes with anything else below.
        let limit: UInt32 = self == .nfc ? 0x300 : 0xA0
        guard !string.allSatisfy({ $0.value < limit || Self.isInert($0) }) else { return }
        var tables = Tables(isCompatible: isCompatible)
        var scalars: [Unicode.Scalar] = []
        for scalar in string {
            if Self.isInert(scalar) {
                scalars.append(scalar)
            } else {
                scalars += tables.decomposition(of: scalar)
            }
        }
        Self.sortMarks(&scalars)
        if composes { scalars = Self.composed(scalars, &tables) }
        text = scalars.flatMap { Array(UTF8.encode($0)!) }
    }

    /// Whether a scalar neither decomposes nor is a mark: ASCII and most Chinese characters.
    private static func isInert(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0xA0 || (0x3400...0x9FFF).contains(scalar.value)
    }

    private static func combiningClass(_ scalar: Unicode.Scalar) -> UInt8 {
        scalar.value < 0x300 || !isKnown(scalar) ? 0 : scalar.properties.canonicalCombiningClass.rawValue
    }

    /// A character that is younger than Unicode 9 means nothing to the tables of tokenizers 0.22.
    private static func isKnown(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.age.map { $0.major <= 9 } ?? false
    }

    /// Puts each run of marks in the order of their classes.
    private static func sortMarks(_ scalars: inout [Unicode.Scalar]) {
        var start = 0
        while start < scalars.count {
            let end = scalars[start...].firstIndex { combiningClass($0) == 0 } ?? scalars.count
            if end > start + 1 {
                // Equal classes keep their order.
                let sorted = scalars[start..<end].map { (combiningClass($0), $0) }.enumerated()
                    .sorted { ($0.element.0, $0.offset) < ($1.element.0, $1.offset) }
                scalars.replaceSubrange(start..<end, with: sorted.map(\.element.1))
            }
            start = end + 1
        }
    }

    private static func composed(_ scalars: [Unicode.Scalar], _ tables: inout Tables) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        result.reserveCapacity(scalars.count)
        var starter: Int?
        var lastClass: UInt8 = 0
        for scalar in scalars {
            let combiningClass = combiningClass(scalar)
            if let starter, starter == result.count - 1 || lastClass < combiningClass,
                let composite = tables.composite(result[starter], scalar)
            {
                result[starter] = composite
                continue
            }
            if combiningClass == 0 { starter = result.count }
            lastClass = combiningClass
            result.append(scalar)
        }
        return result
    }

    /// What Foundation has said, each asked once for a text.
    private struct Tables {
        let isCompatible: Bool
        private var decompositions: [Unicode.Scalar: [Unicode.Scalar]] = [:]
        private var composites: [[Unicode.Scalar]: Unicode.Scalar?] = [:]

        init(isCompatible: Bool) { self.isCompatible = isCompatible }

        mutating func decomposition(of scalar: Unicode.Scalar) -> [Unicode.Scalar] {
            if let known = decompositions[scalar] { return known }
            var result = [scalar]
            if isKnown(scalar) {
                let text = String(scalar)
                let decomposed =
                    isCompatible
                    ? text.decomposedStringWithCompatibilityMapping
                    : text.decomposedStringWithCanonicalMapping
                result = Array(decomposed.unicodeScalars)
            }
            decompositions[scalar] = result
            return result
        }

        mutating func composite(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
            guard second.value >= 0x300, isKnown(first), isKnown(second) else { return nil }
            if let known = composites[[first, second]] { return known }
            // Foundation composes only what it was given in its parts, and beyond 16 bits takes one scalar for another.
            let parts = String(first).decomposedStringWithCanonicalMapping + String(second)
            let composed = parts.precomposedStringWithCanonicalMapping
            let isRight =
                composed.unicodeScalars.count == 1
                && composed.decomposedStringWithCanonicalMapping.utf8.elementsEqual(parts.utf8)
            let result = isRight ? composed.unicodeScalars.first : nil
            composites[[first, second]] = .some(result)
            return result
        }
    }
}
