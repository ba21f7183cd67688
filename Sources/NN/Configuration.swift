/// A configuration has numbers that no network can have.
public struct ConfigurationError: Error, CustomStringConvertible {
    /// The part whose configuration it is.
    public let part: String
    public let reason: String

    public var description: String { "the configuration of \(part) cannot be used: \(reason)" }
}

/// Checks a part's configuration before anything is built from it.
public struct ConfigurationCheck {
    public let part: String

    public init(_ part: String) { self.part = part }

    public func that(_ holds: Bool, _ reason: @autoclosure () -> String) throws {
        guard holds else { throw ConfigurationError(part: part, reason: reason()) }
    }

    /// Each value must be at least 1 and at most a million.
    public func positive(_ values: KeyValuePairs<String, Int>) throws {
        for (name, value) in values {
            try that((1...1_000_000).contains(value), "\(name) is \(value), 1 to 1000000 is possible")
        }
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
