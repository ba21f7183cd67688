import Media
public import Text

/// What the model said to a request, and what its specialists found.
public struct Answer: Sendable {
    public let request: String
    /// The model's sentence. Where it writes `[LOC]`, ``detections`` holds the places.
    public let text: String
    /// Which decoder the model chose; nil for an answer in words.
    public let route: Route?
    /// What was found, best first, in pixels of the original picture.
    public let detections: [Detection]
    /// Where the model looked; nil for an answer in words.
    public let heatmap: Heatmap?
}

/// What was found for one phrase.
public struct Location: Sendable {
    public let phrase: String
    /// Best first, in pixels of the original picture.
    public let detections: [Detection]
    public let heatmap: Heatmap
}

/// How likely the centre of what was asked for is at each place of a picture, row by row from the top.
public struct Heatmap: Sendable {
    public let width: Int
    public let height: Int
    /// `width * height` values of 0...1.
    public let values: [Float]
}
