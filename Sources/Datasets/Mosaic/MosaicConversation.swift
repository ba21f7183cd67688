import Text

/// What is said about a scene: requests with the answers that are true of it.
extension MosaicScene {
    /// A request for a place, a mask, a point, a pose or a number.
    ///
    /// Boxes are asked for in 45 of 100, masks in 25, points in 10, the joints of people in 5, counts in 15.
    ///
    /// - Parameters:
    ///   - referringShare: how often it is about one thing, as in "where is the largest star?"; from 0 to 1.
    ///   - negativeRate: how often the phrase is made up, and then mostly of something absent; from 0 to 1.
    ///   - freeWording: how often it is said as users do, else in LUMEN's fixed form; from 0 to 1.
    ///   - phrasing: which sentences may be used.
    ///   - random: where the choice comes from.
    public func locationTurn(
        referringShare: Double, negativeRate: Double, freeWording: Double, phrasing: MosaicPhrasing,
        using random: inout some RandomNumberGenerator
    ) -> ConversationTurn {
        let wording = random.chance(freeWording) ? MosaicWording.free(phrasing) : .fixed
        let exchange = location(referringShare, negativeRate, wording, using: &random)
        // The fixed form is never dressed.
        guard case .free = wording else { return ConversationTurn(exchange.request, exchange) }
        return ConversationTurn(exchange.request.dressed(phrasing, using: &random), exchange)
    }

    /// A question.
    ///
    /// Attributes and relations are answered in plain words, whose piece has the subject; counts and existence by
    /// `[COUNT]`.
    ///
    /// - Parameters:
    ///   - kind: what it asks for; nil for a mixture of all.
    ///   - phrasing: which sentences may be used.
    ///   - random: where the choice comes from.
    /// - Returns: nil when none was found: a relation wants two things, a shape one that can be told without it.
    public func questionTurn(
        kind: MosaicQuestion.Kind? = nil, phrasing: MosaicPhrasing,
        using random: inout some RandomNumberGenerator
    ) -> ConversationTurn? {
        question(kind, .free(phrasing), using: &random).map {
            ConversationTurn($0.request.dressed(phrasing, using: &random), $0)
        }
    }

    /// A request for a caption, answered by first counting each kind of thing and then saying it.
    ///
    /// In three of ten lists there is also a kind that is not in the picture, as if the program had written it. So
    /// the model learns to leave out what the count does not bear out, and not to list it itself.
    ///
    /// - Parameters:
    ///   - phrasing: which sentences may be used.
    ///   - random: where the choice comes from.
    public func captionTurn(
        phrasing: MosaicPhrasing, using random: inout some RandomNumberGenerator
    ) -> ConversationTurn {
        let template = phrasing.sentence(.caption, using: &random)
        var answer: [AnswerPiece] = []
        var queries: [LocationQuery] = []
        var kinds = captionKinds
        if random.chance(Self.doubtShare), kinds.count < Self.captionLimit {
            let doubtful = random.element(of: configuration.ring.kinds)
            if !kinds.contains(where: { $0.kind == doubtful }) {
                let place = kinds.firstIndex { $0.kind.rawValue > doubtful.rawValue } ?? kinds.count
                kinds.insert((doubtful, []), at: place)
            }
        }
        for (index, (kind, members)) in kinds.enumerated() {
            let space = queries.isEmpty ? "" : " "
            answer.append(
                AnswerPiece(
                    "\(space)\(kind.name)\(Prompt.loc)\(Route.count.token)", isInserted: members.isEmpty,
                    unlisted: kinds[index...].flatMap(\.members)))
            answer.append(AnswerPiece(Prompt.counted(members.count), isInserted: true))
            queries.append(
                LocationQuery(objects: members, description: MosaicDescription(kind: kind), route: .count))
        }
        answer.append(AnswerPiece(" \(caption())", unlisted: []))
        let exchange = MosaicExchange(request: MosaicSentence(template), answer: answer, queries: queries)
        return ConversationTurn(exchange.request.dressed(phrasing, using: &random), exchange)
    }

    /// Two or three requests in one sentence, answered one by one: "outline the star and count the red circles".
    ///
    /// - Parameters:
    ///   - phrasing: which sentences may be used.
    ///   - random: where the choice comes from.
    /// - Returns: nil when there was nothing else to ask for.
    public func compoundTurn(
        phrasing: MosaicPhrasing, using random: inout some RandomNumberGenerator
    ) -> ConversationTurn? {
        let count = random.chance(0.15) ? 3 : 2
        var parts: [MosaicExchange] = []
        for _ in 0..<count {
            let part =
                random.chance(0.65)
                ? location(0.4, 0.15, .command(phrasing), using: &random)
                : question(nil, .command(phrasing), using: &random)
            guard let part, !parts.contains(where: { $0.request.text == part.request.text }) else {
                return nil
            }
            parts.append(part)
        }
        var rest = parts[...]
        let template = phrasing.sentence(count == 2 ? .pairs : .triples, using: &random)
        let request = MosaicSentence(template) { _ in rest.removeFirst().request }
        var answer = parts[0].answer
        for part in parts.dropFirst() {
            var following = part.answer
            following[0].text = " " + following[0].text
            answer += following
        }
        let exchange = MosaicExchange(request: request, answer: answer, queries: parts.flatMap(\.queries))
        return ConversationTurn(request.dressed(phrasing, using: &random), exchange)
    }

    /// The fixed form's question for a joint in the picture of one person; the objects of its query are left to the
    /// caller, who knows the person.
    ///
    /// - Parameter name: one of COCO's 17 names, such as "left wrist".
    public static func keypointTurn(_ name: String) -> ConversationTurn {
        ConversationTurn(
            request: LocateResponse.keypoints.request(for: name),
            answer: [AnswerPiece(Prompt.location(.points) + ".")],
            queries: [LocationQuery(objects: [], description: nil, route: .points)])
    }

    /// What is in the picture, by kind: "There are two circles, one star and three hearts."
    public func caption() -> String {
        let parts = captionKinds.map { kind, members in
            "\(Prompt.number(members.count)) \(members.count == 1 ? kind.name : kind.plural)"
        }
        return "There \(captionKinds.first?.members.count == 1 ? "is" : "are") \(English.list(parts))."
    }

    /// No caption names more kinds of things than this.
    static let captionLimit = 8
    /// How many lists of a caption have a kind that is not there.
    static let doubtShare = 0.3

    /// What a caption names, in the order of `MosaicKind`: of many kinds those that there is most of.
    private var captionKinds: [(kind: MosaicKind, members: [Int])] {
        let kinds = Dictionary(grouping: objects.indices) { objects[$0].kind }
        let most = kinds.sorted { ($1.value.count, $0.key.rawValue) < ($0.value.count, $1.key.rawValue) }
        return most.prefix(Self.captionLimit).map { ($0.key, $0.value) }.sorted {
            $0.kind.rawValue < $1.kind.rawValue
        }
    }

    private func location(
        _ referringShare: Double, _ negativeRate: Double, _ wording: MosaicWording,
        using random: inout some RandomNumberGenerator
    ) -> MosaicExchange {
        let choice = random.index(weighted: [0.45, 0.25, 0.1, 0.05, 0.15])
        let response = [LocateResponse.boxes, .masks, .points, .keypoints, .count][choice]
        if response == .keypoints { return pose(referringShare, negativeRate, wording, using: &random) }
        if response != .count, random.chance(referringShare) {
            if random.chance(0.3 * negativeRate),
                let absent = absentDescription(of: Self.anchorTraits, using: &random),
                let exchange = located(
                    definite(absent, [], using: &random), [], absent, response, wording, using: &random)
            {
                return exchange
            }
            if let reference = referringExpression(using: &random),
                let exchange = located(
                    reference.sentence, [reference.target], reference.description,
                    anchor: reference.anchor, response, wording, using: &random)
            {
                return exchange
            }
        }
        let description = detectionPhrase(negativeRate: negativeRate, using: &random).description
        return located(description, response, wording, using: &random)
    }

    /// A request for the joints of people; for points of other things where there are none, but for some about absent
    /// people.
    private func pose(
        _ referringShare: Double, _ negativeRate: Double, _ wording: MosaicWording,
        using random: inout some RandomNumberGenerator
    ) -> MosaicExchange {
        let people = objects.indices.filter { objects[$0].kind == .person }
        let isMadeUp = random.chance(negativeRate)
        guard !people.isEmpty else {
            guard isMadeUp else {
                let description = detectionPhrase(negativeRate: 0, using: &random).description
                return located(description, .points, wording, using: &random)
            }
            return located(MosaicDescription(kind: .person), .keypoints, wording, using: &random)
        }
        if random.chance(referringShare) {
            for _ in 0..<6 {
                guard let reference = referringExpression(using: &random), people.contains(reference.target),
                    let exchange = located(
                        reference.sentence, [reference.target], reference.description,
                        anchor: reference.anchor, .keypoints, wording, using: &random)
                else { continue }
                return exchange
            }
        }
        let person = objects[random.element(of: people)]
        let colour = isMadeUp ? random.element(of: MosaicColour.allCases) : person.colour
        let description = MosaicDescription(kind: .person, colour: random.chance(0.5) ? colour : nil)
        return located(description, .keypoints, wording, using: &random)
    }
}

extension ConversationTurn {
    init(_ request: MosaicSentence, _ exchange: MosaicExchange) {
        self.init(
            request: request.text, answer: exchange.answer, queries: exchange.queries,
            mentions: request.mentions)
    }
}
