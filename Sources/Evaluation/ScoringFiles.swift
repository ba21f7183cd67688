import Foundation
import Media
import Text

/// Reading the small files of predictions and truth that have no other reader.
enum ScoringFiles {
    static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }

    static func isFile(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: path) && !isFolder(path)
    }

    /// Names in a folder, sorted.
    static func names(_ path: String) throws(ScoringError) -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        } catch {
            throw ScoringError(path, isFile(path) ? "a folder is needed here" : "there is no such folder")
        }
    }

    static func data(_ path: String) throws(ScoringError) -> Data {
        do {
            return Data(try Text.InputFile.read(path))
        } catch {
            throw ScoringError(path, error.isMissing ? "there is no such file" : error.reason)
        }
    }

    static func lines(_ path: String) throws(ScoringError) -> [Substring] {
        String(decoding: try data(path), as: UTF8.self).split(whereSeparator: \.isNewline)
    }

    static func decode<Value: Decodable>(
        _ type: Value.Type, _ path: String, _ form: String
    ) throws(ScoringError) -> Value {
        let data = try data(path)
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch {
            let place: String? =
                switch error as? DecodingError {
                case .keyNotFound(let key, let context): "\(name(context)) has no \"\(key.stringValue)\""
                case .typeMismatch(_, let context) where !context.codingPath.isEmpty,
                    .valueNotFound(_, let context) where !context.codingPath.isEmpty:
                    "\(name(context)) is of another kind"
                case .dataCorrupted(let context):
                    context.codingPath.isEmpty ? "not JSON" : "\(name(context)): \(context.debugDescription)"
                default: nil
                }
            throw ScoringError(path, "\(form) is needed here\(place.map { "; \($0)" } ?? "")")
        }
    }

    private static func name(_ context: DecodingError.Context) -> String {
        let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
        return path.isEmpty ? "it" : "entry \(path)"
    }

    /// The first characters, by which kinds of files are told apart.
    static func beginning(_ path: String) -> String {
        guard let (descriptor, _) = try? Text.InputFile.open(path) else { return "" }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        return String(decoding: (try? file.read(upToCount: 1 << 14)) ?? Data(), as: UTF8.self)
    }
}

/// The name of a picture, a question or an expression: a number or a text in JSON.
struct EntryID: Decodable, Hashable, Comparable, CustomStringConvertible {
    let description: String

    init(_ text: String) { description = text }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        description =
            if let number = try? container.decode(Int.self) { String(number) } else {
                try container.decode(String.self)
            }
    }

    static func < (a: EntryID, b: EntryID) -> Bool { a.description < b.description }
}
