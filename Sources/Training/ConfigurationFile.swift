import Foundation

/// What the configurations of trainings have in common: strict JSON with snake-case keys.
enum ConfigurationFile {
    /// - Throws: ``TrainingError`` for a file that is missing or not of this form, naming the field.
    static func read<Configuration: Decodable>(_ path: String) throws -> Configuration {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw TrainingError.badConfiguration(path, "no such file")
        }
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            return try decoder.decode(Configuration.self, from: data)
        } catch let error as DecodingError {
            throw TrainingError.badConfiguration(path, describe(error))
        }
    }

    static func json(_ configuration: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(configuration), as: UTF8.self) + "\n"
    }

    /// - Throws: ``TrainingError`` that names the first field out of its bounds.
    static func check(
        _ fields: [(name: String, value: Double, range: ClosedRange<Double>)], in path: String
    ) throws {
        func text(_ value: Double) -> String { Int(exactly: value).map(String.init) ?? "\(value)" }
        for (name, value, range) in fields where !range.contains(value) {
            let (low, high) = (text(range.lowerBound), text(range.upperBound))
            throw TrainingError.badConfiguration(
                path, "\(name) is \(text(value)), \(low) to \(high) is possible")
        }
    }

    /// What is wrong with a file, naming the field as it stands there.
    private static func describe(_ error: DecodingError) -> String {
        func field(_ path: [any CodingKey]) -> String {
            let name = path.map { $0.intValue.map { "\($0)" } ?? $0.stringValue }.joined(separator: ".")
            return name.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : "\($1)" }
        }
        switch error {
        case .keyNotFound(let key, let context):
            return "the field \(field(context.codingPath + [key])) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            guard !context.codingPath.isEmpty else { return "not the JSON of a training configuration" }
            return "the field \(field(context.codingPath)) has the wrong kind of value"
        @unknown default: return "not the JSON of a training configuration"
        }
    }
}
