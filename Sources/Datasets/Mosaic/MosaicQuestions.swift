import Text

/// Questions about a scene.
public enum MosaicQuestion {
    /// What a question asks for.
    public enum Kind: String, CaseIterable, Sendable, Hashable, Codable {
        case colour, shape, texture, size, count, exist, relation
    }
}

/// A request that is not yet dressed, and what it is answered with.
struct MosaicExchange {
    var request: MosaicSentence
    var answer: [AnswerPiece]
    var queries: [LocationQuery] = []
}

/// What a request is said in.
enum MosaicWording {
    /// A sentence of its own.
    case free(MosaicPhrasing)
    /// A command that may be a part of a longer sentence.
    case command(MosaicPhrasing)
    /// LUMEN's fixed form.
    case fixed

    /// One of the templates; nil for the fixed form.
    func template(of templates: MosaicTemplates, using random: inout some RandomNumberGenerator) -> String? {
        switch self {
        case .free(let phrasing): phrasing.sentence(templates, using: &random)
        case .command(let phrasing): phrasing.command(templates, using: &random)
        case .fixed: nil
        }
    }
}

extension MosaicScene {
    /// A question whose answer is known; nil when none was found.
    func question(
        _ kind: MosaicQuestion.Kind?, _ wording: MosaicWording, using random: inout some RandomNumberGenerator
    ) -> MosaicExchange? {
        for _ in 0..<16 {
            let found =
                switch kind ?? random.element(of: MosaicQuestion.Kind.allCases) {
                case .count: countQuestion(wording, using: &random)
                case .exist: existQuestion(wording, using: &random)
                case .relation: relationQuestion(wording, using: &random)
                case let attribute: attributeQuestion(attribute, wording, using: &random)
                }
            if let found { return found }
        }
        return nil
    }

    private func attributeQuestion(
        _ kind: MosaicQuestion.Kind, _ wording: MosaicWording, using random: inout some RandomNumberGenerator
    ) -> MosaicExchange? {
        let subject = random.integer(below: objects.count)
        let object = objects[subject]
        var traits: [MosaicDescription.Traits] = [.kind, [.kind, .colour], .colour]
        var templates = MosaicTemplates.attribute
        let what: String
        let answer: String?
        switch kind {
        case .colour:
            traits = [.kind, [.kind, .texture], [.kind, .size], [.kind, .size, .texture]]
            if object.kind == .person { templates = .shirt }
            what = random.chance(0.2) ? "colour" : "color"
            answer = object.colour.name
        case .shape:
            traits = [.colour, .texture, [.colour, .texture], [.colour, .size]]
            if !object.kind.isShape || random.chance(0.3) { templates = .identity }
            what = "shape"
            answer = object.kind == .person ? nil : object.kind.name
        case .texture:
            what = "pattern"
            answer = object.texture?.name
        default:
            what = "size"
            answer = object.size?.name
        }
        guard let answer, let template = wording.template(of: templates, using: &random),
            let description = uniqueDescription(of: subject, traits, using: &random)
        else { return nil }
        let sentence = MosaicSentence(template) { name in
            name == "what" ? MosaicSentence(what) : definite(description, [subject], using: &random)
        }
        // The article before a noun depends on it: it too must know its subject.
        let article =
            kind == .shape ? [AnswerPiece(" \(English.article(before: answer))", subject: subject)] : []
        return MosaicExchange(
            request: sentence,
            answer: [AnswerPiece("It is")] + article + [AnswerPiece(" \(answer).", subject: subject)])
    }

    private func relationQuestion(
        _ wording: MosaicWording, using random: inout some RandomNumberGenerator
    ) -> MosaicExchange? {
        guard objects.count > 1 else { return nil }
        let subject = random.integer(below: objects.count)
        let anchor = (subject + 1 + random.integer(below: objects.count - 1)) % objects.count
        let relation = random.element(of: MosaicRelation.allCases)
        let distance = relation.distance(of: objects[subject].centre, from: objects[anchor].centre)
        guard abs(distance) >= clearDistance,
            let template = wording.template(of: .relation, using: &random),
            let first = uniqueDescription(of: subject, Self.anchorTraits, using: &random),
            let second = uniqueDescription(of: anchor, Self.anchorTraits, using: &random)
        else { return nil }
        let sentence = MosaicSentence(template) { name in
            switch name {
            case "the": definite(first, [subject], using: &random)
            case "where": MosaicSentence(relation.words(using: &random))
            default: definite(second, [anchor], using: &random).asAnchor
            }
        }
        let answer = distance > 0 ? "Yes, it is." : "No, it is not."
        return MosaicExchange(
            request: sentence,
            answer: [AnswerPiece(answer, subject: subject, anchor: anchor, relation: relation)])
    }

    private func countQuestion(
        _ wording: MosaicWording, using random: inout some RandomNumberGenerator
    ) -> MosaicExchange? {
        let traits: [MosaicDescription.Traits] = [.kind, .kind, [.kind, .colour], .colour, .texture]
        var description = MosaicDescription(of: random.element(of: objects), random.element(of: traits))
        let choice = random.unit()
        if choice < 0.1 {
            description = MosaicDescription()
        } else if choice < 0.25 {
            description = altered(description, using: &random)
        }
        // Most descriptions fit one thing alone: keep some of those.
        if matches(of: description).count == 1 && random.chance(0.4) { return nil }
        return located(description, .count, wording, using: &random)
    }

    private func existQuestion(
        _ wording: MosaicWording, using random: inout some RandomNumberGenerator
    ) -> MosaicExchange? {
        let traits: [MosaicDescription.Traits] = [
            .kind, .kind, [.kind, .colour], [.kind, .colour], [.kind, .texture], [.kind, .size],
        ]
        let description =
            random.chance(0.5)
            ? MosaicDescription(of: random.element(of: objects), random.element(of: traits))
            : absentDescription(of: traits, using: &random)
        guard let description, let template = wording.template(of: .exist, using: &random) else { return nil }
        let matches = matches(of: description)
        let sentence = MosaicSentence(template) { noun(description, matches, $0, using: &random) }
        let words = matches.isEmpty ? " No, there is not." : " Yes, there is."
        return MosaicExchange(
            request: sentence, answer: Self.counted(matches.count, words),
            queries: [LocationQuery(objects: matches, description: description, route: .count)])
    }

    // MARK: Places

    /// A request for all that a description fits.
    func located(
        _ description: MosaicDescription, _ response: LocateResponse, _ wording: MosaicWording,
        using random: inout some RandomNumberGenerator
    ) -> MosaicExchange {
        let matches = matches(of: description)
        let sentence =
            if let template = wording.template(of: .all(response), using: &random) {
                MosaicSentence(template) { noun(description, matches, $0, using: &random) }
            } else {
                MosaicSentence(response.request(for: "{one}")) {
                    noun(description, matches, $0, using: &random)
                }
            }
        let route = Route(response, isReferring: false)
        let verb = matches.count == 1 ? "is" : "are"
        return MosaicExchange(
            request: sentence,
            answer: route == .count
                ? Self.counted(matches.count, " There \(verb)\(Prompt.counted(matches.count))")
                : Self.found(route, matches.isEmpty ? description : nil),
            queries: [LocationQuery(objects: matches, description: description, route: route)])
    }

    /// A request for the one thing that a sentence such as "the largest star" means; `matches` is empty when it is not
    /// there.
    func located(
        _ expression: MosaicSentence, _ matches: [Int], _ description: MosaicDescription, anchor: Int? = nil,
        _ response: LocateResponse, _ wording: MosaicWording, using random: inout some RandomNumberGenerator
    ) -> MosaicExchange? {
        guard let templates = MosaicTemplates.one(response) else { return nil }
        let template = wording.template(of: templates, using: &random) ?? response.request(for: "{the}")
        let route = Route(response, isReferring: true)
        return MosaicExchange(
            request: MosaicSentence(template) { _ in expression },
            answer: Self.found(route, matches.isEmpty ? description : nil),
            queries: [
                LocationQuery(
                    objects: matches, description: description, isReferring: !matches.isEmpty, anchor: anchor,
                    route: route)
            ])
    }

    /// The noun phrase as a template's gap wants it.
    private func noun(
        _ description: MosaicDescription, _ objects: [Int], _ gap: Substring,
        using random: inout some RandomNumberGenerator
    ) -> MosaicSentence {
        let phrase = description.phrase(isPlural: gap == "many", using: &random)
        let article = gap == "a" ? "\(English.article(before: phrase)) " : ""
        return MosaicSentence(article, phrase: phrase, description, objects)
    }

    // MARK: Answers

    /// LUMEN's answer, and for what is absent the sentence that the program begins.
    private static func found(_ route: Route, _ absent: MosaicDescription?) -> [AnswerPiece] {
        let answer = [AnswerPiece(Prompt.location(route) + ".")]
        guard let absent else { return answer }
        return answer + [AnswerPiece(Prompt.nothing, isInserted: true), AnswerPiece(" \(absent.phrase).")]
    }

    /// The number that the program puts in, and what is said then.
    private static func counted(_ count: Int, _ words: String) -> [AnswerPiece] {
        [
            AnswerPiece(Prompt.location(.count)), AnswerPiece(Prompt.counted(count), isInserted: true),
            AnswerPiece(words),
        ]
    }
}
