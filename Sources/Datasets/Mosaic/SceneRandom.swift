/// A small counter-based generator (SplitMix64), so that a scene has the same bytes on every machine,
/// in every thread and in every version of the standard library.
///
/// The state is nothing but a counter: a generator is cheap to make, and there may be one for every
/// (seed, index, stream).
public struct SceneRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// - Parameters:
    ///   - seed: the name of a whole data set.
    ///   - index: the number of the scene in it; different indices give unrelated numbers.
    ///   - stream: what the numbers are for, so that one use never disturbs another; the scene itself
    ///     takes streams 0 and 1.
    public init(seed: UInt64, index: Int = 0, stream: UInt64 = 0) {
        let scene = Self.mixed(Self.mixed(seed) &+ UInt64(bitPattern: Int64(index)))
        state = Self.mixed(scene &+ stream &* Self.step)
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        state &+= Self.step
        return Self.finished(state)
    }

    static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// SplitMix64's output for a counter: also the noise of a pixel, which is counted, not drawn in turn.
    @inline(__always)
    static func mixed(_ counter: UInt64) -> UInt64 { finished(counter &+ step) }

    @inline(__always)
    private static func finished(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Draws whose algorithm never changes: the standard library promises no such thing of
/// `random(in:using:)` and `shuffled(using:)`.
extension RandomNumberGenerator {
    /// An unbiased integer in `0 ..< bound` (Lemire's method).
    ///
    /// - Precondition: `bound` is at least 1.
    public mutating func integer(below bound: Int) -> Int {
        precondition(bound > 0)
        let range = UInt64(bound)
        var product = next().multipliedFullWidth(by: range)
        if product.low < range {
            let threshold = (0 &- range) % range
            while product.low < threshold { product = next().multipliedFullWidth(by: range) }
        }
        return Int(product.high)
    }

    /// A number in `0 ..< 1`, a multiple of 2⁻⁵³.
    public mutating func unit() -> Double {
        Double(next() >> 11) * 0x1p-53
    }

    /// A number from `low` up to `high`.
    public mutating func number(_ low: Double, _ high: Double) -> Double {
        low + (high - low) * unit()
    }

    /// True with the given probability.
    public mutating func chance(_ probability: Double) -> Bool {
        unit() < probability
    }

    /// One of the elements, each as likely.
    ///
    /// - Precondition: there is at least one.
    public mutating func element<Element>(of elements: [Element]) -> Element {
        elements[integer(below: elements.count)]
    }

    /// The elements in a random order.
    public mutating func permuted<Element>(_ elements: [Element]) -> [Element] {
        var result = elements
        var last = result.count - 1
        while last > 0 {
            result.swapAt(last, integer(below: last + 1))
            last -= 1
        }
        return result
    }

    /// The place of one of the weights, which need not sum to 1, each as likely as it is heavy.
    mutating func index(weighted weights: [Double]) -> Int {
        var rest = unit() * weights.reduce(0, +)
        for (index, weight) in weights.enumerated() {
            rest -= weight
            if rest < 0 { return index }
        }
        return weights.count - 1
    }

    /// A number from the normal distribution, as the sum of twelve uniform ones: no logarithm, whose
    /// last bit differs from one C library to the next.
    mutating func normal() -> Double {
        var sum = -6.0
        for _ in 0..<12 { sum += unit() }
        return sum
    }
}

/// Sine and cosine from additions and products alone, because those of the C libraries differ in the
/// last bit, and a picture must not.
enum Trigonometry {
    /// The sine of an angle in radians; exact to about 1e-13 for angles of a few turns.
    static func sine(_ radians: Double) -> Double {
        var turns = radians / (2 * Double.pi)
        turns -= turns.rounded(.toNearestOrEven)
        if turns > 0.25 { turns = 0.5 - turns }
        if turns < -0.25 { turns = -0.5 - turns }
        let x = turns * 2 * Double.pi
        let square = x * x
        // Taylor's series by Horner's rule: 1 / (2k * (2k + 1)) down from x¹⁷.
        var sum = 1.0
        for k in stride(from: 8, through: 1, by: -1) {
            sum = 1 - sum * square / Double(2 * k * (2 * k + 1))
        }
        return x * sum
    }

    static func cosine(_ radians: Double) -> Double { sine(radians + Double.pi / 2) }
}
