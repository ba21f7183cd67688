/// What a thing in a Mosaic scene is; the raw value is its class index, and its COCO category less one.
///
/// The plain ring has the shapes and people, the first eleven; the rich ring has all.
public enum MosaicKind: Int, CaseIterable, Sendable, Hashable, Codable {
    case circle, square, triangle, star, heart, cross, ring, moon, diamond, ellipse, person
    case letterA, letterB, letterE, letterH, letterK, letterM, letterR, letterS
    case digit2, digit3, digit4, digit5, digit7, digit8
    case house, tree, car, boat, fish, bird, flower, cup, sun, cloud
    case key, umbrella, mushroom, apple, leaf, arrow, clock, lamp

    /// The kinds of the plain ring, in order.
    public static let plain = Array(allCases.prefix(11))

    /// Whether it is one of the ten shapes, the only kinds with a texture.
    public var isShape: Bool { rawValue < Self.person.rawValue }

    /// The English noun.
    public var name: String { Self.names[rawValue] }

    /// The English plural: "crosses", "people", "letters A".
    public var plural: String {
        switch self {
        case .cross: "crosses"
        case .person: "people"
        case .fish: "fish"
        case .leaf: "leaves"
        default:
            name.firstIndex(of: " ").map { "\(name[..<$0])s\(name[$0...])" } ?? name + "s"
        }
    }

    /// Other words for it, of one and of several. Only the names themselves are ever answered.
    var synonyms: [(one: String, many: String)] {
        switch self {
        case .circle: [("disc", "discs")]
        case .star: [("star-shaped object", "star-shaped objects")]
        case .heart: [("heart-shaped object", "heart-shaped objects")]
        case .cross: [("plus sign", "plus signs"), ("plus", "pluses")]
        case .ring: [("hoop", "hoops"), ("donut", "donuts")]
        case .moon: [("crescent", "crescents"), ("crescent moon", "crescent moons")]
        case .diamond: [("rhombus", "rhombuses")]
        case .ellipse: [("oval", "ovals")]
        case .person: [("human", "humans"), ("figure", "figures")]
        case .house: [("home", "homes"), ("building", "buildings")]
        case .car: [("automobile", "automobiles")]
        case .boat: [("ship", "ships")]
        case .flower: [("blossom", "blossoms")]
        case .cup: [("mug", "mugs")]
        case .umbrella: [("parasol", "parasols")]
        case .mushroom: [("toadstool", "toadstools")]
        case .letterA, .letterB, .letterE, .letterH, .letterK, .letterM, .letterR, .letterS:
            ["", "capital "].map { ("\($0)\(name.suffix(1))", "capital letters \(name.suffix(1))") }
        case .digit2, .digit3, .digit4, .digit5, .digit7, .digit8:
            ["number", "numeral"].map { ("\($0) \(name.suffix(1))", "\($0)s \(name.suffix(1))") }
        default: []
        }
    }

    /// The nouns of all kinds, in order: what detection by class name asks for.
    public static let names = [
        "circle", "square", "triangle", "star", "heart", "cross", "ring", "moon", "diamond", "ellipse",
        "person",
        "letter A", "letter B", "letter E", "letter H", "letter K", "letter M", "letter R", "letter S",
        "digit 2", "digit 3", "digit 4", "digit 5", "digit 7", "digit 8",
        "house", "tree", "car", "boat", "fish", "bird", "flower", "cup", "sun", "cloud",
        "key", "umbrella", "mushroom", "apple", "leaf", "arrow", "clock", "lamp",
    ]
}

/// The colour of a shape, or of a person's shirt.
public enum MosaicColour: Int, CaseIterable, Sendable, Hashable, Codable {
    case red, green, blue, yellow, orange, purple, pink, cyan, white, black

    /// The English adjective.
    public var name: String { Self.names[rawValue] }

    /// The adjectives of all colours, in order.
    public static let names = [
        "red", "green", "blue", "yellow", "orange", "purple", "pink", "cyan", "white", "black",
    ]

    /// Other words for it.
    var synonyms: [String] {
        switch self {
        case .red: ["crimson", "scarlet"]
        case .green: ["emerald"]
        case .blue: ["cobalt"]
        case .yellow: ["lemon"]
        case .orange: ["tangerine"]
        case .purple: ["violet"]
        case .pink: ["rose"]
        case .cyan: ["turquoise", "aqua"]
        case .white: ["snow-white"]
        case .black: ["jet-black"]
        }
    }

    /// Red, green and blue in 0 ... 255, before the scene's own variation.
    var rgb: SIMD3<Double> {
        switch self {
        case .red: [215, 35, 35]
        case .green: [40, 150, 50]
        case .blue: [40, 70, 210]
        case .yellow: [235, 215, 40]
        case .orange: [245, 140, 25]
        case .purple: [125, 45, 165]
        case .pink: [245, 145, 190]
        case .cyan: [60, 210, 220]
        case .white: [245, 245, 245]
        case .black: [22, 22, 22]
        }
    }
}

/// How large a shape is drawn; people have no size.
public enum MosaicSize: Int, CaseIterable, Sendable, Hashable, Codable {
    case small, medium, large

    /// The English adjective.
    public var name: String { Self.names[rawValue] }

    /// The adjectives of all sizes, in order.
    public static let names = ["small", "medium", "large"]

    /// Other words for it.
    var synonyms: [String] {
        switch self {
        case .small: ["little", "tiny"]
        case .medium: ["medium-sized", "mid-sized"]
        case .large: ["big", "huge"]
        }
    }

    /// The shape's radius in pixels of a 128-pixel picture.
    var radii: (Double, Double) {
        switch self {
        case .small: (6, 8)
        case .medium: (10, 13)
        case .large: (16, 21)
        }
    }
}

/// The pattern on a shape; people have none.
public enum MosaicTexture: Int, CaseIterable, Sendable, Hashable, Codable {
    case solid, striped, dotted

    /// The English adjective.
    public var name: String { Self.names[rawValue] }

    /// The adjectives of all textures, in order.
    public static let names = ["solid", "striped", "dotted"]
    /// Other words for it.
    var synonyms: [String] {
        switch self {
        case .solid: ["plain", "plain-colored"]
        case .striped: ["stripy"]
        case .dotted: ["spotted"]
        }
    }

    /// The words that may follow the noun instead: "star with stripes".
    var tail: String? {
        switch self {
        case .solid: nil
        case .striped: "with stripes"
        case .dotted: "with dots"
        }
    }
}

/// All words that phrases are made of.
package enum MosaicVocabulary {
    /// Names, plurals and synonyms of kinds, colours, sizes and textures.
    package static let words: [String] = {
        let kinds = MosaicKind.allCases.flatMap { kind in
            [kind.name, kind.plural] + kind.synonyms.flatMap { [$0.one, $0.many] }
        }
        let colours = MosaicColour.allCases.flatMap { [$0.name] + $0.synonyms }
        let sizes = MosaicSize.allCases.flatMap { [$0.name] + $0.synonyms }
        let textures = MosaicTexture.allCases.flatMap {
            [$0.name] + $0.synonyms + [$0.tail].compactMap { $0 }
        }
        return kinds + colours + sizes + textures
    }()
}

extension MosaicConfiguration.Ring {
    /// The kinds of things in it, in order.
    public var kinds: [MosaicKind] { self == .plain ? MosaicKind.plain : MosaicKind.allCases }
}

extension MosaicScene {
    /// The nouns of a ring's kinds, in the order of `MosaicKind`.
    public static func classNames(of ring: MosaicConfiguration.Ring) -> [String] { ring.kinds.map(\.name) }
}
