public import Media
public import Text

/// What the model said to a request, and what its specialists found on the way.
public struct Answer: Sendable {
    public let request: String
    /// What there is to read: ``transcript`` without the sentences that only look something up, such as
    /// "Sure, the location is [LOC]. The task output is [COUNT] three.", which are left where nothing else was said.
    public let text: String
    /// Everything that was written: the model's words and tokens, and what the program read back to it.
    public let transcript: String
    /// One for each [LOC] that a routing token followed, in order; empty for an answer in words.
    public let findings: [Finding]
}

/// What one [LOC] of an answer stands for.
public struct Finding: Sendable {
    /// The decoder that the model chose.
    public let route: Route
    /// What was found, best first, in pixels of the original picture. Of ``Text/Route/grounding`` and
    /// ``Text/Route/referringSegmentation`` there is one at most.
    public let detections: [Detection]
    /// Where the model looked.
    public let heatmap: Heatmap
    /// Whether the model knows what was asked for; it finds nothing else, see ``Locator/knownThreshold``.
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
    /// Whether the model knows what the phrase means; it finds nothing else, see ``Locator/knownThreshold``.
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
    /// The thing's pixels, of the original picture's size, where masks were asked for.
    public var mask: Mask?
    /// COCO's 17 joints of a person, where they were asked for.
    public var keypoints: Keypoints?

    public init(box: Box, point: Point, score: Double, mask: Mask? = nil, keypoints: Keypoints? = nil) {
        self.box = box
        self.point = point
        self.score = score
        self.mask = mask
        self.keypoints = keypoints
    }
}
