import Datasets
import Foundation
import InputFiles

/// Reading the small files of predictions and truth that have no other reader.
enum ScoringFiles {
    static func isFolder(_ path: String) -> Bool { (try? InputFile.isFolder(path)) ?? false }

    static func isFile(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: path) && !isFolder(path)
    }

    /// Names in a folder, sorted, without those of macOS' own files.
    static func names(_ path: String) throws(ScoringError) -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path)
                .filter { !$0.hasPrefix("._") }.sorted()
        } catch {
            throw ScoringError(path, isFile(path) ? "a folder is needed here" : "there is no such folder")
        }
    }

    static func data(_ path: String) throws(ScoringError) -> Data {
        do {
            return Data(try InputFile.read(path))
        } catch {
            throw ScoringError(path, error.isMissing ? "there is no such file" : error.reason)
        }
    }

    static func lines(_ path: String) throws(ScoringError) -> [Substring] {
        let data = try data(path)
        do {
            return try LabelText.string(Array(data)).split(whereSeparator: \.isNewline)
        } catch {
            throw ScoringError(path, error.description)
        }
    }

    static func decode<Value: Decodable>(
        _ type: Value.Type, _ path: String, _ form: String
    ) throws(ScoringError) -> Value {
        let data = Data(LabelText.utf8(Array(try data(path))))
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
        guard isFile(path), let (descriptor, _) = try? InputFile.open(path) else { return "" }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        let bytes = [UInt8]((try? file.read(upToCount: 1 << 14)) ?? Data())
        return String(decoding: LabelText.utf8(bytes), as: UTF8.self)
    }
}
