internal import Foundation

/// The learning rate over a training: a linear warm-up, a constant part, and a cosine down to the end.
public struct Schedule: Sendable, Codable, Hashable {
    public var peak: Double
    public var warmupSteps: Int
    /// The share of all steps, at the end, over which the rate falls; 1 for a cosine from the start, 0 for none.
    public var decayShare: Double
    /// The rate at the end, as a share of the peak.
    public var floor: Double

    public init(peak: Double, warmupSteps: Int = 0, decayShare: Double = 1, floor: Double = 0) {
        self.peak = peak
        self.warmupSteps = warmupSteps
        self.decayShare = decayShare
        self.floor = floor
    }

    /// The rate of a step, counted from zero, of `steps` in all.
    public func rate(step: Int, of steps: Int) -> Double {
        let warmup = warmupSteps > 0 ? min(1, Double(step + 1) / Double(warmupSteps)) : 1
        let progress = steps > 0 ? min(1, Double(step) / Double(steps)) : 1
        guard decayShare > 0, progress > 1 - decayShare else { return peak * warmup }
        let fall = (progress - (1 - decayShare)) / decayShare
        return peak * warmup * (floor + (1 - floor) * 0.5 * (1 + cos(fall * .pi)))
    }
}
