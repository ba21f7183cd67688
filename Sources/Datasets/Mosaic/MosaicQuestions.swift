/// A question about a scene and its answer.
public struct MosaicQuestion: Sendable, Hashable {
    public enum Kind: String, CaseIterable, Sendable, Hashable, Codable {
        case colour, shape, texture, size, count, exist, relation
    }

    public let kind: Kind
    /// The question as a person writes it: "What color is the striped star?".
    public let text: String
    /// A short sentence in which one word varies after a fixed lead: "It is red.", "There are three.".
    public let answer: String
    /// The word that varies: "red", "three", "Yes".
    public let answerWord: String
    /// The object that the answer is about; nil for `.count` and `.exist`.
    public let subject: Int?
    /// The objects that the question's first phrase fits: those to be counted.
    public let matches: [Int]
    /// What the question's first phrase says.
    public let description: MosaicDescription
    /// The noun phrases of `text`.
    public let mentions: [MosaicMention]
}

extension MosaicScene {
    /// A question whose answer is known.
    ///
    /// - Parameters:
    ///   - kind: what it asks for; nil for a mixture of all.
    ///   - random: where the choice comes from.
    /// - Returns: nil when none was found: a relation wants two things, a shape one that can be told without it.
    public func question(
        kind: MosaicQuestion.Kind? = nil, using random: inout some RandomNumberGenerator
    ) -> MosaicQuestion? {
        for _ in 0..<16 {
            let kind = kind ?? random.element(of: MosaicQuestion.Kind.allCases)
            let found =
                switch kind {
                case .colour, .shape, .texture, .size: attributeQuestion(kind, using: &random)
                case .count: countQuestion(using: &random)
                case .exist: existQuestion(using: &random)
                case .relation: relationQuestion(using: &random)
                }
            if let found { return found }
        }
        return kind == nil ? existQuestion(using: &random) : nil
    }

    /// What is in the picture, by kind: "There are two circles, one star and three hearts.".
    public func caption() -> String {
        let counts = MosaicKind.allCases.compactMap { kind -> (kind: MosaicKind, count: Int)? in
            let count = matches(of: MosaicDescription(kind: kind)).count
            return count > 0 ? (kind, count) : nil
        }
        let parts = counts.map {
            "\(English.number($0.count)) \($0.count == 1 ? $0.kind.name : $0.kind.plural)"
        }
        return "There \(counts.first?.count == 1 ? "is" : "are") \(English.list(parts))."
    }

    private func attributeQuestion(
        _ kind: MosaicQuestion.Kind, using random: inout some RandomNumberGenerator
    ) -> MosaicQuestion? {
        let subject = random.integer(below: objects.count)
        let object = objects[subject]
        let isPerson = object.kind == .person
        let traits: [MosaicDescription.Traits]
        let templates: [String]
        let word: String
        switch kind {
        case .colour where isPerson:
            traits = [.kind]
            templates = ["What color is the {}'s shirt?", "What color does the {} wear?"]
            word = object.colour.name
        case .colour:
            traits = [.kind, [.kind, .texture], [.kind, .size], [.kind, .size, .texture]]
            templates = ["What color is the {}?", "Which color is the {}?", "What is the color of the {}?"]
            word = object.colour.name
        case .shape:
            traits = [.colour, .texture, [.colour, .texture], [.colour, .size]]
            templates = ["What shape is the {}?", "Which shape is the {}?", "What is the shape of the {}?"]
            word = object.kind.name
        case .texture:
            traits = [.kind, [.kind, .colour], .colour]
            templates = [
                "What pattern is the {}?", "What pattern does the {} have?", "What is the pattern of the {}?",
            ]
            word = object.texture?.name ?? ""
        default:
            traits = [.kind, [.kind, .colour], .colour]
            templates = ["What size is the {}?", "Which size is the {}?", "What is the size of the {}?"]
            word = object.size?.name ?? ""
        }
        // The first way to ask is the usual one.
        let template = random.chance(0.6) ? templates[0] : random.element(of: templates)
        guard kind == .colour || !isPerson else { return nil }
        guard let description = uniqueDescription(of: subject, traits, using: &random) else { return nil }
        let sentence = MosaicSentence(template, [(description.phrase, [subject])])
        let article = kind == .shape ? "\(English.article(before: word)) " : ""
        return MosaicQuestion(
            kind: kind, text: sentence.text, answer: "It is \(article)\(word).", answerWord: word,
            subject: subject,
            matches: [subject], description: description, mentions: sentence.mentions)
    }

    private func countQuestion(using random: inout some RandomNumberGenerator) -> MosaicQuestion? {
        let traits: [MosaicDescription.Traits] = [.kind, .kind, [.kind, .colour], .colour, .texture]
        var description = MosaicDescription(of: random.element(of: objects), random.element(of: traits))
        let choice = random.unit()
        if choice < 0.15 {
            description = MosaicDescription()
        } else if choice < 0.3 {
            description = altered(description, using: &random)
        }
        let matches = matches(of: description)
        // Most descriptions fit one thing alone: keep some of those.
        if matches.count == 1 && random.chance(0.4) { return nil }
        let templates = [
            "How many {} are there?", "How many {} can you see?", "How many {} are in the picture?",
            "Count the {}.", "What is the number of {}?",
        ]
        let template = random.chance(0.6) ? templates[0] : random.element(of: templates)
        let sentence = MosaicSentence(template, [(description.plural, matches)])
        let word = matches.isEmpty ? "none" : English.number(matches.count)
        return MosaicQuestion(
            kind: .count, text: sentence.text, answer: "There \(matches.count == 1 ? "is" : "are") \(word).",
            answerWord: word, subject: nil, matches: matches, description: description,
            mentions: sentence.mentions)
    }

    private func existQuestion(using random: inout some RandomNumberGenerator) -> MosaicQuestion? {
        let traits: [MosaicDescription.Traits] = [
            .kind, [.kind, .colour], [.kind, .colour], [.kind, .texture], [.kind, .size],
        ]
        let isWanted = random.chance(0.5)
        var description = MosaicDescription(of: random.element(of: objects), random.element(of: traits))
        if !isWanted {
            // Mostly the kind of one thing with the colour of another: both words alone are true.
            let other = random.element(of: objects)
            if random.chance(0.5), description.colour != nil {
                description = MosaicDescription(kind: description.kind, colour: other.colour)
            } else {
                description = altered(description, using: &random)
            }
        }
        var matches = matches(of: description)
        var attempts = 0
        while matches.isEmpty == isWanted {
            // Few kinds are ever there, so some other word soon makes it absent.
            guard !isWanted, attempts < 20 else { return nil }
            description = altered(description, using: &random)
            matches = self.matches(of: description)
            attempts += 1
        }
        let templates = [
            "Is there {}?", "Is there {} in the picture?", "Is there {} here?", "Is there {} anywhere?",
        ]
        let template = random.chance(0.6) ? templates[0] : random.element(of: templates)
        let article = English.article(before: description.phrase)
        let sentence = MosaicSentence(
            template.replacing("{}", with: "\(article) {}"), [(description.phrase, matches)])
        return MosaicQuestion(
            kind: .exist, text: sentence.text,
            answer: matches.isEmpty ? "No, there is not." : "Yes, there is.",
            answerWord: matches.isEmpty ? "No" : "Yes", subject: nil, matches: matches,
            description: description,
            mentions: sentence.mentions)
    }

    private func relationQuestion(using random: inout some RandomNumberGenerator) -> MosaicQuestion? {
        guard objects.count > 1 else { return nil }
        let subject = random.integer(below: objects.count)
        let anchor = (subject + 1 + random.integer(below: objects.count - 1)) % objects.count
        let relation = random.element(of: MosaicRelation.allCases)
        guard let first = uniqueDescription(of: subject, Self.anchorTraits, using: &random),
            let second = uniqueDescription(of: anchor, Self.anchorTraits, using: &random)
        else { return nil }
        let distance = relation.distance(of: objects[subject], from: objects[anchor]) / magnification
        guard abs(distance) >= MosaicRelation.clearDistance else { return nil }
        let sentence = MosaicSentence(
            "Is the {} \(relation.words(using: &random)) the {}?",
            [(first.phrase, [subject]), (second.phrase, [anchor])])
        return MosaicQuestion(
            kind: .relation, text: sentence.text, answer: distance > 0 ? "Yes, it is." : "No, it is not.",
            answerWord: distance > 0 ? "Yes" : "No", subject: subject, matches: [subject], description: first,
            mentions: sentence.mentions)
    }
}
