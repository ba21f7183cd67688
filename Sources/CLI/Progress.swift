import Foundation

/// A progress line on standard error: redrawn in place on a terminal, a plain line now and then elsewhere.
final class ProgressLine {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var lastDrawn: ContinuousClock.Instant?

    /// - Parameters:
    ///   - fraction: 0...1 of the whole.
    ///   - text: what stands after the bar, such as the rate.
    ///   - secondsLeft: an estimate.
    func update(_ fraction: Double, _ text: String, secondsLeft: Double) {
        let now = ContinuousClock.now
        let pause: Duration = isTerminal ? .milliseconds(200) : .seconds(30)
        if let lastDrawn, now - lastDrawn < pause, fraction < 1 { return }
        lastDrawn = now
        let left = "\(text), \(Self.clock(secondsLeft)) left"
        if isTerminal {
            let width = 24
            let full = Int(fraction * Double(width))
            let bar = String(repeating: "█", count: full) + String(repeating: "░", count: width - full)
            write("\r\u{1B}[K\(bar) \(Int(fraction * 100)) %  \(left)\(fraction >= 1 ? "\n" : "")")
        } else {
            write("\(Int(fraction * 100)) %  \(left)\n")
        }
    }

    private func write(_ text: String) { StandardError.write(text) }

    static func clock(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded())
        let (minutes, rest) = (whole / 60, whole % 60)
        return minutes >= 60
            ? "\(minutes / 60) h \(minutes % 60) min" : minutes > 0 ? "\(minutes) min \(rest) s" : "\(rest) s"
    }
}
