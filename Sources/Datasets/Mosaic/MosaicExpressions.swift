public import Media

/// A phrase that asks for all things it fits.
public struct MosaicDetection: Sendable, Hashable {
    public let description: MosaicDescription
    /// The objects that match, by index; none when the phrase asks for something absent.
    public let matches: [Int]
}

/// A phrase that fits exactly one thing in its scene.
public struct MosaicReference: Sendable, Hashable {
    /// How the one thing is told from the others.
    public enum Kind: String, CaseIterable, Sendable, Hashable, Codable {
        /// "the small red circle".
        case attribute
        /// "the largest red circle", "the leftmost star".
        case superlative
        /// "the star left of the small heart".
        case relation
    }

    public let kind: Kind
    /// The expression, beginning with "the ".
    public let text: String
    /// The index of the object meant.
    public let target: Int
    /// What the expression states of the target itself, apart from comparisons.
    public let description: MosaicDescription
    /// The object that the target's place is told by; nil unless `kind` is `.relation`.
    public let anchor: Int?
    /// The noun phrases of `text`.
    public let mentions: [MosaicMention]
}

/// Where one thing is, seen from another: by the middles of their boxes.
public enum MosaicRelation: Int, CaseIterable, Sendable, Hashable, Codable {
    case left, right, above, below

    /// How far the first place lies in this direction of the second; negative when opposite.
    public func distance(of a: Point, from b: Point) -> Double {
        switch self {
        case .left: b.x - a.x
        case .right: a.x - b.x
        case .above: b.y - a.y
        case .below: a.y - b.y
        }
    }

    /// "left of", now and then "to the left of" and the like.
    func words(using random: inout some RandomNumberGenerator) -> String {
        let words =
            switch self {
            case .left: ["left of", "to the left of", "on the left of"]
            case .right: ["right of", "to the right of", "on the right of"]
            case .above: ["above", "higher than"]
            case .below: ["below", "under", "lower than"]
            }
        return random.chance(0.6) ? words[0] : random.element(of: words)
    }
}

extension MosaicScene {
    var ring: MosaicConfiguration.Ring { configuration.ring }

    /// Things less apart than this, in pixels, nobody would tell apart by their places: 7 of 128 in the plain ring, 10 of
    /// 256 in the rich one, where things are smaller.
    var clearDistance: Double { Double(size) * (ring == .plain ? 7.0 / 128 : 10.0 / 256) }

    /// A thing this far on the other side of level, in pixels, is clearly not there.
    var levelDistance: Double { clearDistance * 4 / 7 }

    /// The indices of the objects that match a description.
    public func matches(of description: MosaicDescription) -> [Int] {
        objects.indices.filter { description.matches(objects[$0]) }
    }

    /// A description to find all instances of.
    ///
    /// Mostly it is taken from one of the objects, so something matches. Else it is made up, another kind or with one word
    /// exchanged, and mostly absent.
    ///
    /// - Parameters:
    ///   - negativeRate: how often it is made up, from 0 to 1.
    ///   - random: where the choice comes from.
    public func detectionPhrase(
        negativeRate: Double = 0.4, using random: inout some RandomNumberGenerator
    ) -> MosaicDetection {
        typealias Traits = MosaicDescription.Traits
        let traits: [Traits] = [
            .kind, .kind, [.kind, .colour], [.kind, .colour], [.kind, .texture], [.kind, .size], .colour,
            .texture,
            [.kind, .colour, .texture], [.kind, .colour, .size],
        ]
        var description = MosaicDescription(
            of: random.element(of: objects), random.element(of: traits))
        if random.chance(negativeRate) {
            if random.chance(0.5) {
                let colour = random.chance(0.25) ? random.element(of: MosaicColour.allCases) : nil
                description = MosaicDescription(kind: random.element(of: ring.kinds), colour: colour)
            } else {
                description = altered(description, using: &random)
            }
        }
        return MosaicDetection(description: description, matches: matches(of: description))
    }

    /// A description that nothing matches, mostly of a thing that is nearly there; nil when none was found.
    func absentDescription(
        of traits: [MosaicDescription.Traits], using random: inout some RandomNumberGenerator
    ) -> MosaicDescription? {
        for _ in 0..<20 {
            var description = MosaicDescription(of: random.element(of: objects), random.element(of: traits))
            // Often the kind of one thing with the colour of another: both words alone are true.
            if description.colour != nil, random.chance(0.5) {
                let colour = random.element(of: objects).colour
                description = MosaicDescription(
                    kind: description.kind, colour: colour, size: description.size,
                    texture: description.texture)
            } else {
                description = altered(description, using: &random)
            }
            if matches(of: description).isEmpty { return description }
        }
        return nil
    }

    /// The description with one of its words exchanged, perhaps for the same.
    func altered(
        _ description: MosaicDescription, using random: inout some RandomNumberGenerator
    ) -> MosaicDescription {
        var (kind, colour) = (description.kind, description.colour)
        var (size, texture) = (description.size, description.texture)
        var words: [MosaicDescription.Traits] = []
        if kind != nil { words.append(.kind) }
        if colour != nil { words.append(.colour) }
        if size != nil { words.append(.size) }
        if texture != nil { words.append(.texture) }
        guard !words.isEmpty else { return description }
        switch random.element(of: words) {
        case .kind: kind = random.element(of: ring.kinds)
        case .colour: colour = random.element(of: MosaicColour.allCases)
        case .size: size = random.element(of: MosaicSize.allCases)
        default: texture = random.element(of: MosaicTexture.allCases)
        }
        return MosaicDescription(kind: kind, colour: colour, size: size, texture: texture)
    }

    /// A description that fits this object alone, or nil when there is none of the given traits.
    func uniqueDescription(
        of object: Int, _ traits: [MosaicDescription.Traits], using random: inout some RandomNumberGenerator
    ) -> MosaicDescription? {
        for traits in random.permuted(traits) {
            let description = MosaicDescription(of: objects[object], traits)
            if matches(of: description).count == 1 { return description }
        }
        return nil
    }

    /// Traits for a thing that is only the anchor of a relation.
    static let anchorTraits: [MosaicDescription.Traits] = [
        .kind, [.kind, .colour], [.kind, .texture], [.kind, .size], .colour,
    ]

    /// Traits that single out a thing.
    static let uniqueTraits: [MosaicDescription.Traits] =
        anchorTraits + [
            [.kind, .colour, .texture], [.kind, .colour, .size], [.kind, .size, .texture],
            [.kind, .colour, .size, .texture],
        ]

    // MARK: Referring expressions

    /// An expression that means exactly one of the objects.
    ///
    /// Comparisons are clear ones only: a largest thing has 1.3 times the box of the next, a leftmost one is farther out
    /// by 7 pixels of 128 (rich ring: 10 of 256), a thing left of another is so by as much and no other candidate nearly is.
    ///
    /// - Parameters:
    ///   - kind: how the thing is told from the others; nil for a mixture of the three.
    ///   - random: where the choice comes from.
    /// - Returns: nil when no such expression was found, as with two equal circles alone in a picture.
    public func referringExpression(
        kind: MosaicReference.Kind? = nil, using random: inout some RandomNumberGenerator
    ) -> MosaicReference? {
        let mixture: [MosaicReference.Kind] = [
            .attribute, .superlative, .superlative, .relation, .relation,
        ]
        for _ in 0..<12 {
            let found =
                switch kind ?? random.element(of: mixture) {
                case .attribute: attributeExpression(using: &random)
                case .superlative: superlativeExpression(using: &random)
                case .relation: relationExpression(using: &random)
                }
            if let found { return found }
        }
        return kind == nil ? attributeExpression(using: &random) : nil
    }

    private func attributeExpression(using random: inout some RandomNumberGenerator) -> MosaicReference? {
        for target in random.permuted(Array(objects.indices)) {
            guard let unique = uniqueDescription(of: target, Self.uniqueTraits, using: &random) else {
                continue
            }
            var phrase = unique.phrase(isPlural: false, using: &random)
            // "the red one among the stars".
            if let kind = unique.kind, kind != .person, unique.texture == nil,
                let word = unique.size.map(\.name) ?? unique.colour?.name,
                unique.size == nil || unique.colour == nil, random.chance(0.08),
                matches(of: MosaicDescription(kind: kind)).count > 1
            {
                phrase = "\(word) one among the \(kind.plural)"
            }
            return MosaicReference(
                .attribute, MosaicSentence("the ", phrase: phrase, unique, [target]), target: target, unique)
        }
        return nil
    }

    private func superlativeExpression(using random: inout some RandomNumberGenerator) -> MosaicReference? {
        let traits: [MosaicDescription.Traits] = [.kind, .kind, [.kind, .colour], .colour, .texture]
        var description = MosaicDescription(of: random.element(of: objects), random.element(of: traits))
        if random.chance(0.1) { description = MosaicDescription() }
        let candidates = matches(of: description)
        let superlative = random.integer(below: 6)
        guard candidates.count > 1 else { return nil }
        // People stand upright or sprawl: a box says little about how large one looks.
        guard superlative > 1 || description.kind != .person else { return nil }

        func measure(_ index: Int) -> Double {
            let object = objects[index]
            return switch superlative {
            case 0: object.box.area
            case 1: -object.box.area
            case 2: -object.centre.x
            case 3: object.centre.x
            case 4: -object.centre.y
            default: object.centre.y
            }
        }
        let ranked = candidates.map { (index: $0, value: measure($0)) }.sorted { $0.value > $1.value }
        let (first, second) = (ranked[0].value, ranked[1].value)
        let isClear =
            superlative < 2
            ? max(abs(first), abs(second)) >= 1.3 * min(abs(first), abs(second))
            : first - second >= clearDistance
        guard isClear else { return nil }
        // The first word is the usual one; what has a space follows the noun.
        let words = [
            ["largest", "biggest"], ["smallest", "tiniest"], ["leftmost", "furthest to the left"],
            ["rightmost", "furthest to the right"], ["topmost", "highest", "uppermost"],
            ["bottommost", "lowest"],
        ][superlative]
        let word = random.chance(0.7) ? words[0] : random.element(of: words)
        let noun = description.phrase(isPlural: false, isCompact: true, using: &random)
        let phrase = word.contains(" ") ? "\(noun) \(word)" : "\(word) \(noun)"
        let target = ranked[0].index
        return MosaicReference(
            .superlative, MosaicSentence("the ", phrase: phrase, description, [target]), target: target,
            description)
    }

    private func relationExpression(using random: inout some RandomNumberGenerator) -> MosaicReference? {
        guard objects.count > 1 else { return nil }
        let anchor = random.integer(below: objects.count)
        let traits: [MosaicDescription.Traits] = [.kind, [.kind, .colour], .colour, .texture]
        var description = MosaicDescription(of: random.element(of: objects), random.element(of: traits))
        if random.chance(0.15) { description = MosaicDescription() }
        guard let anchorDescription = uniqueDescription(of: anchor, Self.anchorTraits, using: &random)
        else { return nil }
        let candidates = matches(of: description).filter { $0 != anchor }
        for relation in random.permuted(MosaicRelation.allCases) {
            let distances = candidates.map {
                relation.distance(of: objects[$0].centre, from: objects[anchor].centre)
            }
            let clear = distances.indices.filter { distances[$0] > clearDistance }
            let doubtful = distances.filter { $0 > -levelDistance && $0 <= clearDistance }
            // With one candidate alone the relation tells nothing new: keep few of those.
            guard clear.count == 1, doubtful.isEmpty, candidates.count > 1 || random.chance(0.25) else {
                continue
            }
            let target = candidates[clear[0]]
            let sentence = MosaicSentence("{the} {where} {anchor}") { name in
                switch name {
                case "the": definite(description, candidates, using: &random)
                case "where": MosaicSentence(relation.words(using: &random))
                default: definite(anchorDescription, [anchor], using: &random).asAnchor
                }
            }
            return MosaicReference(.relation, sentence, target: target, description, anchor: anchor)
        }
        return nil
    }

    /// "the red star", without a clause after the noun.
    func definite(
        _ description: MosaicDescription, _ objects: [Int], using random: inout some RandomNumberGenerator
    ) -> MosaicSentence {
        let phrase = description.phrase(isPlural: false, isCompact: true, using: &random)
        return MosaicSentence("the ", phrase: phrase, description, objects)
    }
}

extension MosaicReference {
    init(
        _ kind: Kind, _ sentence: MosaicSentence, target: Int, _ description: MosaicDescription,
        anchor: Int? = nil
    ) {
        self.init(
            kind: kind, text: sentence.text, target: target, description: description, anchor: anchor,
            mentions: sentence.mentions)
    }

    var sentence: MosaicSentence { MosaicSentence(text, mentions) }
}
