/// What a located thing is answered with.
public enum LocateResponse: String, CaseIterable, Sendable, Hashable, Codable {
    /// `keypoints` are the 17 joints of people, and the point of anything else; `count` is a number.
    case boxes, masks, points, keypoints, count

    /// What stands before the phrase in LUMEN's fixed form.
    public static let lead = "Please find the location of "

    /// What stands after it.
    public var tail: String {
        switch self {
        case .boxes, .masks, .points: ". Respond with \(rawValue)."
        case .keypoints: Self.points.tail
        case .count: ". Respond with the count."
        }
    }

    /// The tails, each once.
    static let tails = [Self.boxes, .masks, .points, .count].map(\.tail)

    /// LUMEN's fixed form of a request: "Please find the location of red circle. Respond with boxes."
    public func request(for phrase: String) -> String { "\(Self.lead)\(phrase)\(tail)" }
}

/// Which decoder answers a request: the token that the language model writes for it.
public enum Route: String, CaseIterable, Sendable, Hashable, Codable {
    /// Boxes of all instances.
    case detection
    /// Masks of all instances.
    case segmentation
    /// Points on one or all; the 17 joints of a person.
    case points
    /// The box of the one thing referred to.
    case grounding
    /// The mask of the one thing referred to.
    case referringSegmentation
    /// How many there are, which the model is then told. LUMEN counts by the same peaks but has no token for it.
    case count

    /// The routing token: "[DET]", "[SEG]", "[POINT]", "[GROUND]", "[REFSEG]" or "[COUNT]".
    public var token: String {
        switch self {
        case .detection: "[DET]"
        case .segmentation: "[SEG]"
        case .points: "[POINT]"
        case .grounding: "[GROUND]"
        case .referringSegmentation: "[REFSEG]"
        case .count: "[COUNT]"
        }
    }

    /// Whether a phrase of the fixed form means one thing alone: it begins with "the ".
    public static func isSingle(_ phrase: String) -> Bool { phrase.hasPrefix("the ") }

    /// Whether it answers with one place alone.
    public var isSingle: Bool { self == .grounding || self == .referringSegmentation }

    /// The route of a request in the fixed form: a phrase that begins with "the " refers to one thing.
    public init(_ response: LocateResponse, for phrase: String) {
        self.init(response, isReferring: Self.isSingle(phrase))
    }

    /// The route of a request for one referred thing, or for all instances.
    public init(_ response: LocateResponse, isReferring: Bool) {
        self =
            switch response {
            case .boxes: isReferring ? .grounding : .detection
            case .masks: isReferring ? .referringSegmentation : .segmentation
            case .points, .keypoints: .points
            case .count: .count
            }
    }
}
