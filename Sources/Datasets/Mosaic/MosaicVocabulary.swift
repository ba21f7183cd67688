/// What a thing in a Mosaic scene is; the raw value is its class index, and its COCO category less one.
public enum MosaicKind: Int, CaseIterable, Sendable, Hashable, Codable {
    case circle, square, triangle, star, heart, cross, ring, moon, diamond, ellipse, person

    /// The English noun.
    public var name: String { Self.names[rawValue] }

    /// The English plural: "crosses", "people".
    public var plural: String {
        switch self {
        case .cross: "crosses"
        case .person: "people"
        default: name + "s"
        }
    }

    /// The nouns of all kinds, in order: what detection by class name asks for.
    public static let names = [
        "circle", "square", "triangle", "star", "heart", "cross", "ring", "moon", "diamond", "ellipse",
        "person",
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
}
