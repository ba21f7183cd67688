import Foundation
import Text

/// What Tools/reference/tokenizer_fixtures.py wrote.
enum Fixtures {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures")

    static func url(_ name: String) -> URL { folder.appendingPathComponent(name) }

    static func read<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(contentsOf: url(name)))
    }

    static func tokenizer(_ name: String) throws -> Tokenizer {
        try Tokenizer(contentsOf: url("\(name).json"))
    }

    static func texts() throws -> [String] { try read([String].self, "texts.json") }

    /// What PyPI's tokenizers 0.22.2 gives for the first texts with one tokenizer.
    struct Expected: Decodable {
        var vocabularySize: Int
        var ids: [[Int]]
        /// Nil where the text comes back as it was.
        var decoded: [String?]
        var noise: [[Int]]
        var noiseDecoded: [String]
        var noiseWithoutSpecial: [String]
    }
}

/// A file that is removed when the value goes.
final class TemporaryFile {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).json")

    init(_ content: String? = nil) throws {
        if let content { try Data(content.utf8).write(to: url) }
    }

    deinit { try? FileManager.default.removeItem(at: url) }
}

/// Swift calls canonically equivalent strings equal; these tests do not.
func same(_ a: String, _ b: String) -> Bool { a.utf8.elementsEqual(b.utf8) }

/// An empty folder that is removed when the value goes.
final class TemporaryFolder {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ content: String, to name: String) throws {
        try Data(content.utf8).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    }
}
