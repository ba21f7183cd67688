import Foundation
import Media

/// The files beside these tests, made by Tools/reference/media_fixtures.py.
enum Fixtures {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures")

    static var folderPath: String { folder.path }

    static func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    static func bytes(_ name: String) throws -> [UInt8] {
        try [UInt8](Data(contentsOf: folder.appendingPathComponent(name)))
    }

    static func cases<Cases: Decodable>(_ name: String) throws -> Cases {
        try JSONDecoder().decode(
            File<Cases>.self, from: Data(contentsOf: folder.appendingPathComponent("\(name).json"))
        ).cases
    }

    private struct File<Cases: Decodable>: Decodable { let cases: Cases }

    /// A new folder that is removed afterwards.
    static func withFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "media-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder)
    }
}

extension Image {
    /// The largest difference of any channel.
    func distance(to other: [UInt8]) -> Int {
        guard pixels.count == other.count else { return 256 }
        return zip(pixels, other).map { abs(Int($0) - Int($1)) }.max() ?? 0
    }

    func colour(_ x: Int, _ y: Int) -> [UInt8] {
        Array(pixels[(y * width + x) * 3..<(y * width + x) * 3 + 3])
    }
}

/// The message of the `MediaError` that `body` throws.
func mediaError(_ body: () throws -> Void) -> String? {
    do {
        try body()
        return nil
    } catch let error as MediaError {
        return error.description
    } catch {
        return nil
    }
}
