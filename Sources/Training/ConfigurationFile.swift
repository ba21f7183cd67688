import Foundation
import InputFiles

/// Reading and writing of training configurations: strict JSON with snake-case keys.
enum ConfigurationFile {
    /// - Parameters:
    ///   - path: the file.
    ///   - setting: fields that differ from the file, each as `path.of.field=value`. The entries of a list are named by
    ///     their numbers, and a value is JSON.
    /// - Throws: ``TrainingError`` for a file that is missing or has another form; it names the field.
    static func read<Configuration: Codable>(
        _ path: String, setting: [String] = []
    ) throws -> Configuration {
        var data: Data
        do {
            data = Data(try InputFile.read(path))
        } catch {
            throw TrainingError.unreadable(path, error.isMissing ? "no such file" : error.reason)
        }
        for change in setting {
            let parts = change.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, let object = try? JSONSerialization.jsonObject(with: data) else {
                throw TrainingError.badConfiguration(path, "\(change) is no change, FIELD=VALUE is needed")
            }
            let field = parts[0].split(separator: ".").map(String.init)
            let value =
                (try? JSONSerialization.jsonObject(with: Data(parts[1].utf8), options: .fragmentsAllowed))
                ?? parts[1]
            data = try JSONSerialization.data(withJSONObject: changed(object, field[...], to: value))
        }
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let configuration = try decoder.decode(Configuration.self, from: data)
            // A field that nothing reads is an error.
            let known = try JSONSerialization.jsonObject(with: Data(json(configuration).utf8))
            if let field = unknownField(of: try JSONSerialization.jsonObject(with: data), in: known) {
                throw TrainingError.badConfiguration(path, "there is no field \(field)")
            }
            return configuration
        } catch let error as DecodingError {
            throw TrainingError.badConfiguration(path, describe(error))
        }
    }

    /// `object` with another value at `field`.
    private static func changed(_ object: Any, _ field: ArraySlice<String>, to value: Any) -> Any {
        guard let name = field.first else { return value }
        let rest = field.dropFirst()
        if var list = object as? [Any], let index = Int(name), list.indices.contains(index) {
            list[index] = changed(list[index], rest, to: value)
            return list
        }
        var fields = object as? [String: Any] ?? [:]
        fields[name] = changed(fields[name] ?? [String: Any](), rest, to: value)
        return fields
    }

    /// The first field of `object`, in the order of names, that `known` does not have.
    private static func unknownField(of object: Any, in known: Any) -> String? {
        if let list = object as? [Any], let known = known as? [Any] {
            for (number, pair) in zip(list, known).enumerated() {
                if let field = unknownField(of: pair.0, in: pair.1) { return "\(number).\(field)" }
            }
        } else if let fields = object as? [String: Any], let known = known as? [String: Any] {
            for (name, value) in fields.sorted(by: { $0.key < $1.key }) where !(value is NSNull) {
                guard let next = known[name] else { return name }
                if let field = unknownField(of: value, in: next) { return "\(name).\(field)" }
            }
        }
        return nil
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

    /// What is wrong with a file; the field has its name in the file.
    private static func describe(_ error: DecodingError) -> String {
        func field(_ path: [any CodingKey]) -> String {
            let name = path.map { $0.intValue.map { "\($0)" } ?? $0.stringValue }.joined(separator: ".")
            return name.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : "\($1)" }
        }
        switch error {
        case .keyNotFound(let key, let context):
            return "the field \(field(context.codingPath + [key])) is missing"
        case .dataCorrupted(let context) where field(context.codingPath).hasSuffix("format"):
            return context.debugDescription
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            guard !context.codingPath.isEmpty else { return "not the JSON of a training configuration" }
            return "the field \(field(context.codingPath)) has the wrong kind of value"
        @unknown default: return "not the JSON of a training configuration"
        }
    }
}
