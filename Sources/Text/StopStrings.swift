/// Ends a text at the first of some stop strings, while it is generated piece by piece.
///
/// What may be the beginning of a stop string is held back until it is known not to be one, so nothing of a stop string
/// is ever given out. The cut is where the first stop string begins that is complete; of several that end at the same
/// place it is the longest. It does not matter how the text is cut into pieces.
public struct StopStrings: Sendable {
    /// Whether a stop string has come. From then on there is no more text.
    public private(set) var isStopped = false

    private let stops: [[UInt8]]
    private var held: [UInt8] = []

    /// `stops` are the strings that end a text; empty ones are left out.
    public init(_ stops: [String]) { self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty } }

    /// Takes the next piece and returns the text that is settled, without any stop string.
    public mutating func feed(_ piece: String) -> String {
        var settled: [UInt8] = []
        for byte in piece.utf8 where !isStopped {
            held.append(byte)
            let ended = stops.filter { held.count >= $0.count && held.suffix($0.count).elementsEqual($0) }
            if let longest = ended.map(\.count).max() {
                settled += held.dropLast(longest)
                held = []
                isStopped = true
                break
            }
            // What is held always ends with the longest beginning of a stop string.
            let beginning = stops.map { Self.overlap(held, $0) }.max() ?? 0
            settled += held.dropLast(beginning)
            held.removeFirst(held.count - beginning)
        }
        return String(decoding: settled, as: UTF8.self)
    }

    /// Ends the text: returns what was held back, as no stop string came of it, and starts afresh.
    public mutating func finish() -> String {
        defer { (held, isStopped) = ([], false) }
        return String(decoding: held, as: UTF8.self)
    }

    /// How many bytes at the end of `text` are the beginning of `stop`.
    private static func overlap(_ text: [UInt8], _ stop: [UInt8]) -> Int {
        (0...min(text.count, stop.count)).reversed().first { text.suffix($0).elementsEqual(stop.prefix($0)) }
            ?? 0
    }
}
