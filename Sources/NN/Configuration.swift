/// A configuration whose numbers are checked before anything is made of them: as it is read, and by the network.
public protocol CheckedConfiguration {
    /// - Throws: ``ConfigurationError`` for numbers that cannot make a network.
    func check() throws
}

/// A configuration whose numbers cannot make a network.
public struct ConfigurationError: Error, CustomStringConvertible {
    /// The part whose configuration it is.
    public let part: String
    public let reason: String

    public var description: String { "the configuration of \(part) cannot be used: \(reason)" }
}

/// Checks a part's configuration before anything is built from it.
public struct ConfigurationCheck {
    /// Widths and numbers of channels. Shapes of layers within them have fewer numbers than an `Int` counts.
    public static let sizes = 1...(1 << 18)
    /// Layers are built before a checkpoint says how many it has.
    public static let layers = 1...1024
    /// Sides of a picture, and of its patches, in pixels.
    public static let sides = 1...(1 << 14)
    /// Factors by which a side is multiplied or divided.
    public static let factors = 1...64
    /// Rows of tables.
    public static let rows = 1...(1 << 28)

    public let part: String

    public init(_ part: String) { self.part = part }

    public func that(_ holds: Bool, _ reason: @autoclosure () -> String) throws {
        guard holds else { throw ConfigurationError(part: part, reason: reason()) }
    }

    public func within(_ range: ClosedRange<Int>, _ values: KeyValuePairs<String, Int>) throws {
        for (name, value) in values {
            try that(
                range.contains(value),
                "\(name) is \(value), \(range.lowerBound) to \(range.upperBound) is possible")
        }
    }

    public func within(_ range: ClosedRange<Double>, _ values: KeyValuePairs<String, Double>) throws {
        for (name, value) in values {
            try that(
                range.contains(value),
                "\(name) is \(value), \(range.lowerBound) to \(range.upperBound) is possible")
        }
    }

    /// Each value must be a number of channels or the like.
    public func positive(_ values: KeyValuePairs<String, Int>) throws {
        try within(Self.sizes, values)
    }

    public func multiple(_ name: String, _ value: Int, of unit: Int) throws {
        try positive([name: value])
        try that(value % unit == 0, "\(name) is \(value), a multiple of \(unit) is needed")
    }

    /// Attention heads must share the width evenly.
    public func heads(_ count: Int, width: Int) throws {
        try positive(["num_attention_heads": count])
        try that(
            width % count == 0, "num_attention_heads is \(count), which does not divide hidden_size \(width)")
    }
}

/// Refuses a configuration that names another activation function than the network's.
///
/// - Throws: `DecodingError` that names `hidden_act`.
public func requireActivation(_ known: String, in decoder: any Decoder) throws {
    enum Keys: String, CodingKey { case hiddenAct = "hidden_act" }
    let values = try decoder.container(keyedBy: Keys.self)
    let given = try values.decodeIfPresent(String.self, forKey: .hiddenAct) ?? known
    guard given == known else {
        throw DecodingError.dataCorruptedError(
            forKey: .hiddenAct, in: values, debugDescription: "hidden_act is \(given), \(known) is known")
    }
}
