/// What words say of a thing: any of its kind, colour, size and texture.
///
/// Without a kind it is "object", which stands for everything but people. People have no size and no texture, letters
/// and drawn things no texture: given together with such a kind these are ignored.
public struct MosaicDescription: Sendable, Hashable {
    public let kind: MosaicKind?
    public let colour: MosaicColour?
    public let size: MosaicSize?
    public let texture: MosaicTexture?

    public init(
        kind: MosaicKind? = nil, colour: MosaicColour? = nil, size: MosaicSize? = nil,
        texture: MosaicTexture? = nil
    ) {
        self.kind = kind
        self.colour = colour
        self.size = kind == .person ? nil : size
        self.texture = kind.map(\.isShape) == false ? nil : texture
    }

    /// What can be said of an object.
    struct Traits: OptionSet, Sendable {
        let rawValue: Int
        static let kind = Traits(rawValue: 1)
        static let colour = Traits(rawValue: 2)
        static let size = Traits(rawValue: 4)
        static let texture = Traits(rawValue: 8)
    }

    /// These traits of an object; a person is always called so.
    init(of object: MosaicObject, _ traits: Traits) {
        self.init(
            kind: traits.contains(.kind) || object.kind == .person ? object.kind : nil,
            colour: traits.contains(.colour) ? object.colour : nil,
            size: traits.contains(.size) ? object.size : nil,
            texture: traits.contains(.texture) ? object.texture : nil)
    }

    /// Whether all that is said is true of the object.
    public func matches(_ object: MosaicObject) -> Bool {
        (kind == nil ? object.kind != .person : kind == object.kind)
            && (colour == nil || colour == object.colour)
            && (size == nil || size == object.size)
            && (texture == nil || texture == object.texture)
    }

    /// The noun phrase without an article, in the words that answers use: "small striped red circle", "person in red",
    /// "object".
    public var phrase: String { phrase(noun: kind?.name ?? "object") }

    /// The noun phrase of several: "red circles", "people in red", "objects".
    public var plural: String { phrase(noun: kind?.plural ?? "objects") }

    private func phrase(noun: String) -> String {
        if kind == .person { return colour.map { "\(noun) in \($0.name)" } ?? noun }
        return [size?.name, texture?.name, colour?.name, noun].compactMap { $0 }.joined(separator: " ")
    }

    /// How often a phrase is said in other words than those of ``phrase`` and ``plural``.
    private static let variety = 0.25

    /// The noun phrase as users may say it: mostly ``phrase`` or ``plural``, else with synonyms or in another order,
    /// such as "tiny crimson disc", "circles with stripes", "star that is red", "human wearing violet".
    ///
    /// - Parameters:
    ///   - isPlural: whether several are meant.
    ///   - isCompact: whether no clause may follow the noun, as where the sentence goes on with "left of".
    ///   - random: where the choice comes from.
    public func phrase(
        isPlural: Bool, isCompact: Bool = false, using random: inout some RandomNumberGenerator
    ) -> String {
        guard random.chance(Self.variety) else { return isPlural ? plural : phrase }
        func varied(_ name: String, _ synonyms: [String]) -> String {
            random.chance(0.4) || synonyms.isEmpty ? name : random.element(of: synonyms)
        }
        let nouns = kind.map { [($0.name, $0.plural)] + $0.synonyms.map { ($0.one, $0.many) } }
        let (one, many) = random.element(
            of: nouns ?? [("object", "objects"), ("thing", "things"), ("item", "items")])
        let noun = isPlural ? many : one
        let colour = colour.map { varied($0.name, $0.synonyms) }
        if kind == .person {
            guard let colour else { return noun }
            let shirt = isPlural ? "\(colour) shirts" : "\(English.article(before: colour)) \(colour) shirt"
            let dress = random.element(of: [
                "in \(colour)", "wearing \(colour)", "dressed in \(colour)", "in \(shirt)", "with \(shirt)",
            ])
            return "\(noun) \(dress)"
        }
        var words = size.map { [varied($0.name, $0.synonyms)] } ?? []
        var tails: [String] = []
        if let texture {
            if let tail = texture.tail, random.chance(0.4) {
                tails.append(tail)
            } else {
                words.append(varied(texture.name, texture.synonyms))
            }
        }
        if let colour {
            if !isCompact, tails.isEmpty, random.chance(0.2) {
                tails.append("that \(isPlural ? "are" : "is") \(colour)")
            } else {
                words.append(!colour.contains("-") && random.chance(0.15) ? "\(colour)-colored" : colour)
            }
        }
        return (words + [noun] + tails).joined(separator: " ")
    }
}

/// Small rules of English.
enum English {
    /// "a" or "an", as the words that follow want it: single letters, digits and abbreviations sound as they are
    /// spelled, other words as they are written.
    static func article(before words: String) -> String {
        let first = words.prefix { $0 != " " }
        let isSpelled = first.allSatisfy { $0.isUppercase || $0.isNumber }
        let isVowel = (isSpelled ? "AEFHILMNORSX8" : "aeiou").contains(first.prefix(1))
        return isVowel ? "an" : "a"
    }

    /// "a, b and c".
    static func list(_ parts: [String]) -> String {
        guard let last = parts.last, parts.count > 1 else { return parts.first ?? "" }
        return parts.dropLast().joined(separator: ", ") + " and " + last
    }
}

/// A noun phrase in a sentence, and the objects that its words, up to its end, can mean.
public struct MosaicMention: Sendable, Hashable {
    /// Where the phrase stands in the sentence, in UTF-8 bytes; its article is not part of it.
    public let range: Range<Int>
    /// Indices into the scene's objects; several for "star" in "the star left of the ring" when there are
    /// several stars, none for what is not there.
    public let objects: [Int]
    /// What the phrase itself says, apart from comparisons such as "largest".
    public let description: MosaicDescription?
    /// Whether the place of another thing is told by this one: "ring" in "the star left of the ring".
    public var isAnchor = false
}

/// A sentence, or a part of one, with its noun phrases.
struct MosaicSentence: Sendable {
    private(set) var text = ""
    private(set) var mentions: [MosaicMention] = []

    init(_ text: String) { self.text = text }

    /// A noun phrase with the words before it.
    init(_ article: String = "", phrase: String, _ description: MosaicDescription, _ objects: [Int]) {
        text = article + phrase
        let range = article.utf8.count..<text.utf8.count
        mentions = [MosaicMention(range: range, objects: objects, description: description)]
    }

    /// The same, where its noun phrases tell the place of another thing.
    var asAnchor: MosaicSentence {
        var sentence = self
        for index in mentions.indices { sentence.mentions[index].isAnchor = true }
        return sentence
    }

    init(_ text: String, _ mentions: [MosaicMention]) {
        self.text = text
        self.mentions = mentions
    }

    /// A template with each `{name}` replaced by the part of that name.
    init(_ template: String, _ part: (Substring) -> MosaicSentence) {
        var rest = template[...]
        while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
            text += rest[..<open]
            append(part(rest[open..<close].dropFirst()))
            rest = rest[rest.index(after: close)...]
        }
        text += rest
    }

    private mutating func append(_ part: MosaicSentence) {
        let start = text.utf8.count
        text += part.text
        mentions += part.mentions.map {
            MosaicMention(
                range: $0.range.lowerBound + start..<$0.range.upperBound + start, objects: $0.objects,
                description: $0.description, isAnchor: $0.isAnchor)
        }
    }

    /// The sentence as people write it: a command politely or not, all with and without capital and full stop.
    func dressed(_ phrasing: MosaicPhrasing, using random: inout some RandomNumberGenerator) -> MosaicSentence
    {
        var sentence = self
        if text.hasSuffix("?") || text.hasSuffix(".") {
            if random.chance(0.2) { sentence.text.removeLast() }
        } else {
            if random.chance(0.5) {
                sentence = MosaicSentence(phrasing.frame(using: &random)) { _ in self }
            }
            if !sentence.text.hasSuffix("?"), random.chance(0.5) { sentence.text += "." }
        }
        if random.chance(0.5), let first = sentence.text.first {
            sentence.text = first.uppercased() + sentence.text.dropFirst()
        }
        return sentence
    }
}
