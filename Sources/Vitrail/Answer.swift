public import Media
public import Text

/// What the model said to a request, and what its specialists found on the way.
public struct Answer: Sendable {
    public let request: String
    /// The answer for a reader: ``transcript`` without the sentences that only look something up, such as
    /// "Sure, the location is [LOC]. The task output is [COUNT] three." They stay if there is nothing else.
    public let text: String
    /// Everything that was written: the model's words and tokens, and what the program read back to it.
    public let transcript: String
    /// One for each [LOC] with a routing token after it, in order; empty for an answer in words.
    public let findings: [Finding]
}

/// What one [LOC] of an answer stands for.
public struct Finding: Sendable {
    /// The decoder that the model chose.
    public let route: Route
    /// What was found, best first, in pixels of the original picture. ``Text/Route/grounding`` and
    /// ``Text/Route/referringSegmentation`` give at most one.
    public let detections: [Detection]
    /// Where the model looked.
    public let heatmap: Heatmap
    /// Whether the model knows the words of the request. If not, nothing is found; see ``Locator/knownThreshold``.
    public let isKnown: Bool

    public var count: Int { detections.count }

    public init(route: Route, detections: [Detection], heatmap: Heatmap, isKnown: Bool = true) {
        self.route = route
        self.detections = detections
        self.heatmap = heatmap
        self.isKnown = isKnown
    }
}

/// What was found for one phrase.
public struct Location: Sendable {
    public let phrase: String
    /// Best first, in pixels of the original picture.
    public let detections: [Detection]
    public let heatmap: Heatmap
    /// Whether the model knows the words of the phrase. If not, nothing is found; see ``Locator/knownThreshold``.
    public let isKnown: Bool

    public var count: Int { detections.count }
}

/// One thing found.
public struct Detection: Sendable, Hashable {
    /// In pixels of the original picture.
    public var box: Box
    /// Where the heat is highest, in pixels of the original picture.
    public var point: Point
    /// The heat there, 0...1.
    public var score: Double
    /// The pixels of the thing, at the size of the original picture, if masks were asked for.
    public var mask: Mask?
    /// COCO's 17 joints of a person, if they were asked for.
    public var keypoints: Keypoints?

    public init(box: Box, point: Point, score: Double, mask: Mask? = nil, keypoints: Keypoints? = nil) {
        self.box = box
        self.point = point
        self.score = score
        self.mask = mask
        self.keypoints = keypoints
    }
}
