import Media

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

    /// Less than this, in pixels of a 128-pixel picture, and nobody would say so.
    static let clearDistance = 7.0
    /// A thing this far on the other side of level is clearly not there.
    static let levelDistance = 4.0

    /// How far, in pixels, the first object lies in this direction of the second; negative when opposite.
    public func distance(of object: MosaicObject, from other: MosaicObject) -> Double {
        let (a, b) = (object.centre, other.centre)
        return switch self {
        case .left: b.x - a.x
        case .right: a.x - b.x
        case .above: b.y - a.y
        case .below: a.y - b.y
        }
    }

    /// "left of", now and then "to the left of".
    func words(using random: inout some RandomNumberGenerator) -> String {
        let isLong = random.chance(0.2)
        return switch self {
        case .left: isLong ? "to the left of" : "left of"
        case .right: isLong ? "to the right of" : "right of"
        case .above: "above"
        case .below: "below"
        }
    }
}

extension MosaicScene {
    /// Pixels of this picture per pixel of a 128-pixel one: distances in words grow with the picture.
    var magnification: Double { Double(size) / 128 }

    /// The indices of the objects that match a description.
    public func matches(of description: MosaicDescription) -> [Int] {
        objects.indices.filter { description.matches(objects[$0]) }
    }

    /// A description to find all instances of.
    ///
    /// Mostly it is taken from one of the objects, so something matches; with a larger `negativeRate` more
    /// often it is something else, that is mostly absent.
    ///
    /// - Parameters:
    ///   - negativeRate: from 0 to 1; at 0.4 about a third of the phrases are made up.
    ///   - random: where the choice comes from.
    public func detectionPhrase(
        negativeRate: Double = 0.4, using random: inout some RandomNumberGenerator
    ) -> MosaicDetection {
        typealias Traits = MosaicDescription.Traits
        let traits: [Traits] = [
            .kind, [.kind, .colour], [.kind, .colour], [.kind, .texture], [.kind, .size], .colour, .texture,
            [.kind, .colour, .texture], [.kind, .colour, .size],
        ]
        var description = MosaicDescription(
            of: random.element(of: objects), random.element(of: traits))
        if random.chance(0.6 * negativeRate) {
            let kind = random.element(of: MosaicKind.allCases)
            let colour = random.element(of: MosaicColour.allCases)
            description = MosaicDescription(kind: kind, colour: random.chance(0.2) ? colour : nil)
        } else if random.chance(0.4 * negativeRate) {
            description = altered(description, using: &random)
        }
        return MosaicDetection(description: description, matches: matches(of: description))
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
        case .kind: kind = random.element(of: MosaicKind.allCases)
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
    /// Comparisons are clear ones only: a largest thing has 1.3 times the box of the next, a leftmost one is
    /// 6 pixels farther out (of 128), a thing left of another is so by 7 and no other candidate nearly is.
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
            if let unique = uniqueDescription(of: target, Self.uniqueTraits, using: &random) {
                let sentence = MosaicSentence("the {}", [(unique.phrase, [target])])
                return MosaicReference(
                    kind: .attribute, text: sentence.text, target: target, description: unique, anchor: nil,
                    mentions: sentence.mentions)
            }
        }
        return nil
    }

    private func superlativeExpression(using random: inout some RandomNumberGenerator) -> MosaicReference? {
        let traits: [MosaicDescription.Traits] = [.kind, .kind, [.kind, .colour], .colour, .texture]
        var description = MosaicDescription(of: random.element(of: objects), random.element(of: traits))
        if random.chance(0.1) { description = MosaicDescription() }
        let candidates = matches(of: description)
        let superlative = random.integer(below: 6)
        let isBig = random.chance(0.2)
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
            : first - second >= 6 * magnification
        guard isClear else { return nil }
        let words = [
            isBig ? "biggest" : "largest", "smallest", "leftmost", "rightmost", "topmost", "bottommost",
        ]
        let target = ranked[0].index
        let sentence = MosaicSentence("the {}", [("\(words[superlative]) \(description.phrase)", [target])])
        return MosaicReference(
            kind: .superlative, text: sentence.text, target: target, description: description, anchor: nil,
            mentions: sentence.mentions)
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
                relation.distance(of: objects[$0], from: objects[anchor]) / magnification
            }
            let clear = distances.indices.filter { distances[$0] > MosaicRelation.clearDistance }
            let doubtful = distances.filter {
                $0 > -MosaicRelation.levelDistance && $0 <= MosaicRelation.clearDistance
            }
            // With one candidate alone the relation tells nothing new: keep few of those.
            guard clear.count == 1, doubtful.isEmpty, candidates.count > 1 || random.chance(0.25) else {
                continue
            }
            let target = candidates[clear[0]]
            let sentence = MosaicSentence(
                "the {} \(relation.words(using: &random)) the {}",
                [(description.phrase, candidates), (anchorDescription.phrase, [anchor])])
            return MosaicReference(
                kind: .relation, text: sentence.text, target: target, description: description,
                anchor: anchor,
                mentions: sentence.mentions)
        }
        return nil
    }
}
