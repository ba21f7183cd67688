public import Text

/// A sentence that asks where things are, in the words of a user.
///
/// The words decide the route: "every", "all" or a plural ask for all instances, "the" with a singular for
/// one thing; "box", "outline" or "point" for the form of the answer.
public struct LocateRequest: Sendable, Hashable {
    /// The user's sentence.
    public let text: String
    /// The noun phrase as it stands in the sentence, but for the case of its first letter.
    public let phrase: String
    /// Where the phrase begins in the sentence, in UTF-8 bytes.
    public let phraseOffset: Int
    public let route: Route

    /// The fixed form: "Please find the location of red circle. Respond with boxes."
    ///
    /// A phrase that begins with "the " refers to one thing; any other asks for all instances.
    public init(canonical phrase: String, _ response: LocateResponse) {
        text = response.request(for: phrase)
        self.phrase = phrase
        phraseOffset = LocateResponse.lead.utf8.count
        route = Route(response, for: phrase)
    }

    /// A free wording that asks for all instances: "find every red circle", "Where are the red circles?".
    ///
    /// - Parameters:
    ///   - singular: the noun phrase of one: "red circle".
    ///   - plural: that of several: "red circles".
    ///   - response: what is asked for.
    ///   - random: where the choice comes from.
    public init(
        singular: String, plural: String, _ response: LocateResponse,
        using random: inout some RandomNumberGenerator
    ) {
        let templates =
            switch response {
            case .boxes: Self.detectionTemplates
            case .masks: Self.segmentationTemplates
            case .points: Self.allPointsTemplates
            }
        let template = random.element(of: templates)
        let phrase = template.contains("{many}") ? plural : singular
        self.init(template, phrase, Route(response, isReferring: false), using: &random)
    }

    /// A free wording that asks for the one thing an expression means: "where is the star left of the ring?".
    ///
    /// - Parameters:
    ///   - expression: the whole noun phrase, beginning with "the ".
    ///   - response: what is asked for.
    ///   - random: where the choice comes from.
    public init(
        expression: String, _ response: LocateResponse, using random: inout some RandomNumberGenerator
    ) {
        let templates =
            switch response {
            case .boxes: Self.groundingTemplates
            case .masks: Self.referringSegmentationTemplates
            case .points: Self.onePointTemplates
            }
        self.init(
            random.element(of: templates), expression, Route(response, isReferring: true), using: &random)
    }

    /// Fills a template and dresses it as people do: politely or not, with and without capital and full stop.
    private init(
        _ template: String, _ phrase: String, _ route: Route, using random: inout some RandomNumberGenerator
    ) {
        var sentence = template
        if sentence.hasSuffix("?") {
            if random.chance(0.2) { sentence.removeLast() }
        } else {
            let request = sentence
            switch random.integer(below: 10) {
            case 0, 1: sentence = "please \(request)"
            case 2: sentence = "\(request), please"
            case 3: sentence = "can you \(request)?"
            case 4: sentence = "could you please \(request)?"
            default: break
            }
            if !sentence.hasSuffix("?"), random.chance(0.5) { sentence += "." }
        }
        if random.chance(0.5), let first = sentence.first {
            sentence = first.uppercased() + sentence.dropFirst()
        }
        let parts = sentence.split(separator: "{", maxSplits: 1, omittingEmptySubsequences: false)
        let tail = parts[1].split(separator: "}", maxSplits: 1, omittingEmptySubsequences: false)[1]
        text = "\(parts[0])\(phrase)\(tail)"
        self.phrase = phrase
        phraseOffset = parts[0].utf8.count
        self.route = route
    }

    private static let detectionTemplates = [
        "find every {one}", "find all {many}", "find all the {many}", "find the {many}", "detect all {many}",
        "detect every {one}", "box the {many}", "box every {one}", "where are the {many}?",
        "where are all the {many}?", "locate all {many}", "locate every {one}",
        "draw a box around every {one}", "draw boxes around all {many}", "put a box on each {one}",
        "show me all {many}", "give me boxes for the {many}", "look for all {many}",
        "mark every {one} with a box",
    ]

    private static let segmentationTemplates = [
        "segment every {one}", "segment all {many}", "segment the {many}", "outline every {one}",
        "outline all {many}", "outline the {many}", "cut out every {one}", "cut out all the {many}",
        "mask every {one}", "mask all {many}", "trace each {one}", "trace the {many}",
        "give me masks for all {many}", "draw the outlines of all {many}", "extract all {many}",
        "separate the {many} from the background", "which pixels belong to the {many}?",
    ]

    private static let allPointsTemplates = [
        "point at every {one}", "point at all {many}", "point to every {one}", "point to the {many}",
        "mark the {many} with points", "mark every {one} with a point", "mark all {many} with points",
        "put a point on each {one}", "put points on all {many}", "place a point on every {one}",
        "click on every {one}", "click on all {many}", "show the {many} as points",
        "give me one point for each {one}", "point out all {many}",
    ]

    private static let onePointTemplates = [
        "point at {the}", "point to {the}", "mark {the} with a point", "put a point on {the}",
        "place a point on {the}", "click on {the}", "show {the} as a point", "give me a point on {the}",
        "point out {the}", "where should I click to hit {the}?", "which point lies on {the}?",
        "set a point on {the}", "touch {the} with a point",
    ]

    private static let groundingTemplates = [
        "find {the}", "where is {the}?", "locate {the}", "detect {the}", "box {the}",
        "draw a box around {the}", "put a box around {the}", "show me {the}", "give me the box of {the}",
        "look for {the}", "show me where {the} is", "mark {the} with a box", "where can I find {the}?",
    ]

    private static let referringSegmentationTemplates = [
        "outline {the}", "segment {the}", "cut out {the}", "mask {the}", "trace {the}", "extract {the}",
        "give me the mask of {the}", "draw the outline of {the}", "show the exact shape of {the}",
        "separate {the} from the background", "which pixels belong to {the}?",
        "trace the outline of {the}", "cut {the} out of the picture",
    ]
}
