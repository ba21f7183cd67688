/// Numbers of label files within bounds: the one way from what a file says to an index, a size or a place.
package enum LabelNumber {
    /// Places and sizes in pixels, with much room on all sides.
    package static let places = -1e9...1e9
    /// A picture's sides.
    static let sides = 1...1 << 24

    /// A whole number, also one that is written as 3.0; nil for anything else or beyond the bounds.
    package static func whole(_ text: some StringProtocol, in bounds: ClosedRange<Int>) -> Int? {
        if let number = Int(text) { return bounds.contains(number) ? number : nil }
        return Double(text).flatMap { whole($0, in: bounds) }
    }

    package static func whole(_ number: Double, in bounds: ClosedRange<Int>) -> Int? {
        Int(exactly: number).flatMap { bounds.contains($0) ? $0 : nil }
    }

    /// A number; nil for anything else, NaN or beyond the bounds.
    package static func number(
        _ text: some StringProtocol, in bounds: ClosedRange<Double> = places
    ) -> Double? {
        Double(text).flatMap { bounds.contains($0) ? $0 : nil }
    }
}
