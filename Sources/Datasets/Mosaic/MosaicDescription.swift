/// What words say of a thing: any of its kind, colour, size and texture.
///
/// Without a kind it is "object", which stands for every shape but for no person. People have no size and
/// no texture: given together with `.person` these are ignored.
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
        self.texture = kind == .person ? nil : texture
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

    /// The noun phrase without an article: "small striped red circle", "person in red", "object".
    public var phrase: String { phrase(noun: kind?.name ?? "object") }

    /// The noun phrase of several: "red circles", "people in red", "objects".
    public var plural: String { phrase(noun: kind?.plural ?? "objects") }

    private func phrase(noun: String) -> String {
        if kind == .person { return colour.map { "\(noun) in \($0.name)" } ?? noun }
        return [size?.name, texture?.name, colour?.name, noun].compactMap { $0 }.joined(separator: " ")
    }
}

/// Small rules of English.
enum English {
    /// "a" or "an", as the words that follow want it; all of Mosaic's words sound as they are written.
    static func article(before words: String) -> String {
        words.first.map { "aeiou".contains($0) } == true ? "an" : "a"
    }

    /// The number as a word, from zero to twelve.
    static func number(_ count: Int) -> String {
        let words = [
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
            "twelve",
        ]
        return words.indices.contains(count) ? words[count] : String(count)
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
}

/// A sentence with its noun phrases.
struct MosaicSentence {
    private(set) var text = ""
    private(set) var mentions: [MosaicMention] = []

    /// - Parameters:
    ///   - template: text with `{}` where a phrase goes, in order.
    ///   - phrases: as many phrases as there are `{}`, and the objects that each can mean.
    init(_ template: String, _ phrases: [(text: String, objects: [Int])]) {
        var rest = phrases[...]
        var isPlace = false
        for character in template {
            switch character {
            case "{": isPlace = true
            case "}" where isPlace:
                isPlace = false
                guard let phrase = rest.popFirst() else { continue }
                let start = text.utf8.count
                text += phrase.text
                mentions.append(MosaicMention(range: start..<text.utf8.count, objects: phrase.objects))
            default: text.append(character)
            }
        }
    }
}
