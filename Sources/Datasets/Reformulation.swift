public import Media
import Text

/// Turns labels into LUMEN's form of instruction and answer, in the sentences that the embedded model was trained on.
///
/// Each picture is asked something that its labels can answer: the task is drawn by `weights` among those that are
/// possible, then its words.
public struct Reformulation: Codable, Sendable, Hashable {
    /// What is asked of a picture.
    public enum Task: String, CaseIterable, Codable, Sendable, Hashable, CodingKeyRepresentable {
        /// "find every dog", "outline the dogs", "point at the dogs".
        case boxes, masks, points
        /// "find the joints of all people".
        case keypoints
        /// "point at the left wrist", of one person who is cut out of the picture.
        case joint
        /// "how many dogs are there?"
        case count
        /// "is there a dog?"
        case exist
        /// The box, and the mask, of the one thing that a sentence means.
        case grounding
        case referringSegmentation = "referring_segmentation"
        case caption
        /// A question of the set, with its answer.
        case question
        /// An exchange of one of the set's conversations.
        case dialogue
    }

    /// How often each task is chosen among those that a picture's labels can answer; a task without a weight never is.
    public var weights: [Task: Double]
    /// How often a class is asked for that is not there, 0 to 1.
    public var negativeRate: Double
    /// How often a place is asked for as users do, else in LUMEN's fixed form, 0 to 1.
    public var freeWording: Double
    /// Other words for classes: "RBC" as "red blood cell".
    public var names: [String: String]

    enum CodingKeys: String, CodingKey {
        case weights
        case negativeRate = "negative_rate"
        case freeWording = "free_wording"
        case names
    }

    public init(
        weights: [Task: Double] = Reformulation.evenly, negativeRate: Double = 0.25,
        freeWording: Double = 0.7,
        names: [String: String] = [:]
    ) {
        self.weights = weights
        self.negativeRate = negativeRate
        self.freeWording = freeWording
        self.names = names
    }

    /// Fields that are left out have the values of ``init(weights:negativeRate:freeWording:names:)``.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let standard = Reformulation()
        weights = try values.decodeIfPresent([Task: Double].self, forKey: .weights) ?? standard.weights
        negativeRate = try values.decodeIfPresent(Double.self, forKey: .negativeRate) ?? standard.negativeRate
        freeWording = try values.decodeIfPresent(Double.self, forKey: .freeWording) ?? standard.freeWording
        names = try values.decodeIfPresent([String: String].self, forKey: .names) ?? [:]
        func check(_ key: CodingKeys, _ isGood: Bool, _ reason: String) throws {
            if isGood { return }
            throw DecodingError.dataCorruptedError(forKey: key, in: values, debugDescription: reason)
        }
        try check(
            .negativeRate, (0...1).contains(negativeRate),
            "negative_rate is \(negativeRate), 0 to 1 is possible")
        try check(
            .freeWording, (0...1).contains(freeWording), "free_wording is \(freeWording), 0 to 1 is possible")
        let isGood =
            weights.values.allSatisfy { $0 >= 0 && $0.isFinite } && weights.values.contains { $0 > 0 }
        try check(.weights, isGood, "weights are 0 or more, and not all 0")
    }

    /// Every task as often as every other.
    public static var evenly: [Task: Double] {
        Dictionary(uniqueKeysWithValues: Task.allCases.map { ($0, 1) })
    }
}

/// What is asked of a labelled picture, and how it is answered.
public struct LabelledTurn: Sendable, Hashable {
    public var task: Reformulation.Task
    /// The objects of its queries are indices into the picture's things.
    public var turn: ConversationTurn
    /// The places that its one query means, where they are points and not things.
    public var points: [Point] = []
    /// The thing that it is asked of where that is cut out of the picture; nil for the whole picture.
    public var figure: Int?
}

extension Reformulation {
    /// The tasks that a picture's labels can answer.
    public func tasks(for picture: LabelledSet.Picture, in set: LabelledSet) -> [Task] {
        let classes = askable(picture, set)
        let hasThings = !classes.present.isEmpty || (!classes.absent.isEmpty && negativeRate > 0)
        return Task.allCases.filter { task in
            guard weights[task, default: 0] > 0 else { return false }
            return switch task {
            case .boxes: hasThings
            case .masks:
                hasThings
                    && classes.present.allSatisfy { category in
                        picture.things.allSatisfy { $0.category != category || $0.segmentation != nil }
                    } && set.hasSegmentation(picture)
            case .points, .count: hasThings || pointed(picture) != nil
            case .exist: hasThings || !picture.present.isEmpty || picture.absent?.isEmpty == false
            case .keypoints: picture.things.contains { $0.keypoints != nil && !$0.isCrowd }
            case .joint: picture.things.contains { !labelledJoints(of: $0, set).isEmpty }
            case .grounding: !picture.referring.isEmpty
            case .referringSegmentation:
                picture.referring.contains { picture.things[$0.thing].segmentation != nil }
            case .caption: !picture.captions.isEmpty
            case .question: picture.questions.contains { $0.answer != nil }
            case .dialogue: picture.dialogues.contains { $0.turns.count > 1 }
            }
        }
    }

    /// One exchange about a picture; nil when its labels answer nothing.
    ///
    /// - Parameters:
    ///   - picture: of the set.
    ///   - set: whose classes it has.
    ///   - phrasing: which sentences may be used.
    ///   - random: where the choice comes from.
    public func turn(
        for picture: LabelledSet.Picture, in set: LabelledSet, phrasing: MosaicPhrasing = .training,
        using random: inout some RandomNumberGenerator
    ) -> LabelledTurn? {
        let tasks = tasks(for: picture, in: set)
        guard !tasks.isEmpty else { return nil }
        let task = tasks[random.index(weighted: tasks.map { weights[$0]! })]
        return turn(task, for: picture, in: set, phrasing: phrasing, using: &random)
    }

    /// One exchange of a task that the picture's labels can answer.
    public func turn(
        _ task: Task, for picture: LabelledSet.Picture, in set: LabelledSet,
        phrasing: MosaicPhrasing = .training, using random: inout some RandomNumberGenerator
    ) -> LabelledTurn? {
        switch task {
        case .boxes: return places(.boxes, task, picture, set, phrasing, &random)
        case .masks: return places(.masks, task, picture, set, phrasing, &random)
        case .points: return places(.points, task, picture, set, phrasing, &random)
        case .keypoints: return places(.keypoints, task, picture, set, phrasing, &random)
        case .joint:
            let figures = picture.things.indices.filter {
                !labelledJoints(of: picture.things[$0], set).isEmpty
            }
            guard !figures.isEmpty else { return nil }
            return joint(
                of: random.element(of: figures), in: picture, set, phrasing: phrasing, using: &random)
        case .count: return places(.count, task, picture, set, phrasing, &random)
        case .exist: return existence(picture, set, phrasing, &random)
        case .grounding: return referring(.boxes, task, picture, phrasing, &random)
        case .referringSegmentation: return referring(.masks, task, picture, phrasing, &random)
        case .caption:
            guard !picture.captions.isEmpty else { return nil }
            let request = MosaicSentence(phrasing.sentence(.caption, using: &random))
            return plain(
                task, request.dressed(phrasing, using: &random).text, random.element(of: picture.captions))
        case .question:
            let questions = picture.questions.filter { $0.answer != nil }
            guard !questions.isEmpty else { return nil }
            let question = random.element(of: questions)
            return plain(task, question.text, question.answer!)
        case .dialogue:
            let dialogues = picture.dialogues.filter { $0.turns.count > 1 }
            guard !dialogues.isEmpty else { return nil }
            let turns = random.element(of: dialogues).turns
            let at = 2 * random.integer(below: turns.count / 2)
            return plain(task, turns[at].text, turns[at + 1].text)
        }
    }

    /// One of the sentences that ask for a caption.
    public static let captionRequest = MosaicTemplates.caption.training[0][0]

    /// What a class is called in a sentence: "RBC" as the configuration says, "Wine_Glass" as "wine glass", "bow
    /// (weapon)" as "bow".
    public func phrase(for category: LabelledSet.Category) -> String {
        names[category.name] ?? English.noun(category.name)
    }

    // MARK: Joints

    /// A joint of one thing by its name, as LUMEN asks for the joints of a person who is cut out of the picture (section 3.3).
    ///
    /// Joints without a label are not asked for: labels do not tell whether they are to be seen. `points` of the turn is the
    /// joint's place in pixels of the picture.
    ///
    /// - Parameters:
    ///   - figure: the number of the thing.
    ///   - picture: of the set.
    ///   - set: whose classes it has.
    ///   - joint: the number of a labelled joint among those of the thing's class; nil for any.
    ///   - phrasing: which sentences may be used.
    ///   - random: where the choice comes from.
    /// - Returns: nil for a thing without a labelled joint, and for a joint without a label.
    public func joint(
        _ joint: Int? = nil, of figure: Int, in picture: LabelledSet.Picture, _ set: LabelledSet,
        phrasing: MosaicPhrasing = .training, using random: inout some RandomNumberGenerator
    ) -> LabelledTurn? {
        let thing = picture.things[figure]
        let labelled = labelledJoints(of: thing, set)
        guard !labelled.isEmpty else { return nil }
        let chosen = joint ?? random.element(of: labelled)
        guard labelled.contains(chosen) else { return nil }
        let name = English.noun(set.categories[thing.category].keypoints[chosen])
        let isFree = random.chance(freeWording)
        var request = MosaicSentence(
            isFree
                ? phrasing.sentence(MosaicTemplates.one(.points)!, using: &random)
                : LocateResponse.keypoints.request(for: "{one}")
        ) { gap in MosaicSentence(gap == "the" ? "the \(name)" : name) }
        if isFree { request = request.dressed(phrasing, using: &random) }
        return LabelledTurn(
            task: .joint,
            turn: ConversationTurn(
                request: request.text, answer: Self.found(.points, absent: nil),
                queries: [LocationQuery(objects: [], description: nil, route: .points)]),
            points: [thing.keypoints!.joints[chosen].point], figure: figure)
    }

    /// The numbers of a thing's joints that are labelled and have a name: none of a crowd, or of what is not to be counted.
    public func labelledJoints(of thing: LabelledSet.Thing, _ set: LabelledSet) -> [Int] {
        guard !thing.isCrowd, !thing.isIgnored, let joints = thing.keypoints?.joints else { return [] }
        let count = min(joints.count, set.categories[thing.category].keypoints.count)
        return (0..<count).filter { joints[$0].visibility != .absent }
    }

    // MARK: Classes

    /// Classes that can be asked for all their places: those whose every instance is labelled as one, and those that
    /// are not there.
    private func askable(
        _ picture: LabelledSet.Picture, _ set: LabelledSet
    ) -> (present: [Int], absent: [Int]) {
        guard picture.isLabelled else { return ([], []) }
        var unclear = Set(picture.incomplete)
        for thing in picture.things where thing.isCrowd || thing.isIgnored { unclear.insert(thing.category) }
        let labelled = Set(picture.things.map(\.category))
        let present = labelled.subtracting(unclear).filter { set.categories[$0].isThing }.sorted()
        // Captions and questions say nothing about classes.
        let known = Set(picture.present).union(labelled).union(unclear)
        let absent = (picture.absent ?? Array(set.categories.indices)).filter {
            !known.contains($0) && set.categories[$0].isThing
        }
        return (present, absent)
    }

    /// The class of things that are points alone, where all of them are there.
    private func pointed(_ picture: LabelledSet.Picture) -> Int? {
        guard !picture.points.isEmpty, let category = picture.present.first else { return nil }
        return picture.incomplete.contains(category) ? nil : category
    }

    // MARK: Places

    private func places(
        _ response: LocateResponse, _ task: Task, _ picture: LabelledSet.Picture, _ set: LabelledSet,
        _ phrasing: MosaicPhrasing, _ random: inout some RandomNumberGenerator
    ) -> LabelledTurn? {
        var (present, absent) = askable(picture, set)
        if response == .keypoints {
            let jointed = Set(picture.things.filter { $0.keypoints != nil }.map(\.category))
            present = present.filter(jointed.contains)
            absent = absent.filter { !set.categories[$0].keypoints.isEmpty }
        }
        // Things that are points alone are of the class that is named for the picture.
        let pointed =
            response == .boxes || response == .masks ? nil : pointed(picture)
        let isMadeUp = !absent.isEmpty && (random.chance(negativeRate) || (present.isEmpty && pointed == nil))
        let category: Int
        var (objects, points): ([Int], [Point]) = ([], [])
        if isMadeUp {
            category = random.element(of: absent)
        } else if let pointed {
            category = pointed
            points = picture.points
        } else if !present.isEmpty {
            category = random.element(of: present)
            objects = picture.things.indices.filter { picture.things[$0].category == category }
        } else {
            return nil
        }
        let name = phrase(for: set.categories[category])
        let count = objects.count + points.count
        let isFree = random.chance(freeWording)
        let template =
            isFree
            ? phrasing.sentence(.all(response), using: &random)
            : response.request(for: random.chance(0.5) ? "{one}" : "{many}")
        var request = sentence(template, name, objects)
        if isFree { request = request.dressed(phrasing, using: &random) }
        let route = Route(response, isReferring: false)
        let answer: [AnswerPiece]
        if route == .count {
            answer = Self.counted(count, " There \(count == 1 ? "is" : "are")\(Prompt.counted(count))")
        } else {
            answer = Self.found(route, absent: count == 0 ? name : nil)
        }
        return LabelledTurn(
            task: task,
            turn: ConversationTurn(
                request: request.text, answer: answer,
                queries: [LocationQuery(objects: objects, description: nil, route: route)],
                mentions: request.mentions),
            points: points)
    }

    private func existence(
        _ picture: LabelledSet.Picture, _ set: LabelledSet, _ phrasing: MosaicPhrasing,
        _ random: inout some RandomNumberGenerator
    ) -> LabelledTurn? {
        let (counted, missing) = askable(picture, set)
        let present = Array(Set(counted).union(picture.present)).sorted()
        let isThere = missing.isEmpty || (!present.isEmpty && random.chance(0.5))
        let choices = isThere ? present : missing
        guard !choices.isEmpty else { return nil }
        let category = random.element(of: choices)
        let objects = picture.things.indices.filter { picture.things[$0].category == category }
        let name = phrase(for: set.categories[category])
        let request = sentence(phrasing.sentence(.exist, using: &random), name, objects)
            .dressed(phrasing, using: &random)
        let words = isThere ? "Yes, there is." : "No, there is not."
        // Known to be there, but not how often: nothing to be counted.
        guard !isThere || counted.contains(category) else { return plain(.exist, request.text, words) }
        return LabelledTurn(
            task: .exist,
            turn: ConversationTurn(
                request: request.text, answer: Self.counted(objects.count, " \(words)"),
                queries: [LocationQuery(objects: objects, description: nil, route: .count)],
                mentions: request.mentions))
    }

    private func referring(
        _ response: LocateResponse, _ task: Task, _ picture: LabelledSet.Picture, _ phrasing: MosaicPhrasing,
        _ random: inout some RandomNumberGenerator
    ) -> LabelledTurn? {
        let expressions = picture.referring.filter {
            !$0.sentences.isEmpty && (response == .boxes || picture.things[$0.thing].segmentation != nil)
        }
        guard !expressions.isEmpty, let templates = MosaicTemplates.one(response) else { return nil }
        let expression = random.element(of: expressions)
        let words = English.definite(random.element(of: expression.sentences))
        let isFree = random.chance(freeWording)
        let template =
            isFree ? phrasing.sentence(templates, using: &random) : response.request(for: "{the}")
        var request = MosaicSentence(template) { _ in
            MosaicSentence(
                words,
                [MosaicMention(range: 4..<words.utf8.count, objects: [expression.thing], description: nil)])
        }
        if isFree { request = request.dressed(phrasing, using: &random) }
        let route = Route(response, isReferring: true)
        return LabelledTurn(
            task: task,
            turn: ConversationTurn(
                request: request.text, answer: Self.found(route, absent: nil),
                queries: [
                    LocationQuery(
                        objects: [expression.thing], description: nil, isReferring: true, route: route)
                ],
                mentions: request.mentions))
    }

    private func sentence(_ template: String, _ name: String, _ objects: [Int]) -> MosaicSentence {
        MosaicSentence(template) { gap in
            let noun = gap == "many" ? English.plural(name) : name
            let article = gap == "a" ? "\(English.article(before: noun)) " : ""
            let range = article.utf8.count..<(article.utf8.count + noun.utf8.count)
            return MosaicSentence(
                article + noun, [MosaicMention(range: range, objects: objects, description: nil)])
        }
    }

    private func plain(_ task: Task, _ request: String, _ answer: String) -> LabelledTurn {
        LabelledTurn(task: task, turn: ConversationTurn(request: request, answer: [AnswerPiece(answer)]))
    }

    // MARK: Answers, as Mosaic's

    private static func found(_ route: Route, absent name: String?) -> [AnswerPiece] {
        let answer = [AnswerPiece(Prompt.location(route) + ".")]
        guard let name else { return answer }
        return answer + [AnswerPiece(Prompt.nothing, isInserted: true), AnswerPiece(" \(name).")]
    }

    private static func counted(_ count: Int, _ words: String) -> [AnswerPiece] {
        [
            AnswerPiece(Prompt.location(.count)), AnswerPiece(Prompt.counted(count), isInserted: true),
            AnswerPiece(words),
        ]
    }
}

extension LabelledSet {
    /// Whether its things have outlines: those of the picture, or of an empty one any of the set.
    fileprivate func hasSegmentation(_ picture: Picture) -> Bool {
        if let first = picture.things.first { return first.segmentation != nil }
        return pictures.lazy.compactMap(\.things.first).first?.segmentation != nil
    }
}

extension English {
    /// A class's name as a noun: without underlines and what is in brackets, without capitals but in abbreviations.
    static func noun(_ name: String) -> String {
        var text = name[...]
        if let bracket = text.firstIndex(of: "(") { text = text[..<bracket] }
        let words = text.split { $0 == "_" || $0 == " " }.map { word in
            word.count > 1 && word.dropFirst().allSatisfy({ !$0.isLowercase })
                ? String(word) : word.lowercased()
        }
        return words.isEmpty ? name : words.joined(separator: " ")
    }

    /// Several of a noun: the last word's plural, or that of the word before "of".
    static func plural(_ noun: String) -> String {
        if let of = noun.firstRange(of: " of ") {
            return plural(String(noun[..<of.lowerBound])) + noun[of.lowerBound...]
        }
        let split = noun.lastIndex(of: " ").map { noun.index(after: $0) } ?? noun.startIndex
        let (head, word) = (noun[..<split], String(noun[split...]))
        if let irregular = irregular[word] { return head + irregular }
        func ends(_ endings: String...) -> Bool { endings.contains { word.hasSuffix($0) } }
        if ends("ss", "x", "ch", "sh", "us", "z") { return head + word + "es" }
        // "platelets", "scissors" and "skis" are plurals already.
        if ends("s") { return String(noun) }
        if ends("y"), let before = word.dropLast().last, !"aeiou".contains(before) {
            return head + word.dropLast() + "ies"
        }
        if ends("fe") { return head + word.dropLast(2) + "ves" }
        return head + word + "s"
    }

    /// With "the" before it, and no other article.
    static func definite(_ expression: String) -> String {
        var words = expression.split(separator: " ")
        if let last = words.last, last.hasSuffix(".") { words[words.count - 1] = last.dropLast() }
        if let first = words.first, ["the", "a", "an"].contains(first.lowercased()), words.count > 1 {
            words.removeFirst()
        }
        return "the " + words.joined(separator: " ")
    }

    private static let irregular = [
        "person": "people", "man": "men", "woman": "women", "child": "children", "mouse": "mice",
        "foot": "feet", "tooth": "teeth", "goose": "geese", "sheep": "sheep", "deer": "deer", "fish": "fish",
        "leaf": "leaves", "loaf": "loaves", "shelf": "shelves", "wolf": "wolves", "calf": "calves",
        "nucleus": "nuclei", "cactus": "cacti", "tomato": "tomatoes", "potato": "potatoes",
        "series": "series", "aircraft": "aircraft", "species": "species", "bus": "buses", "gas": "gases",
        "snowman": "snowmen", "fireman": "firemen", "policeman": "policemen", "broccoli": "broccoli",
    ]
}
