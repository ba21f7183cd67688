import Foundation
import TestSupport

/// The built program, run as a process of its own.
struct Program {
    struct Result {
        let code: Int32
        let output: String
        let error: String

        /// Whether standard error is one line that begins as all of the program's errors do.
        var isOneLine: Bool {
            error.hasPrefix("vitrail: ") && error.hasSuffix("\n") && error.filter(\.isNewline).count == 1
        }
    }

    enum Problem: Error {
        case notBuilt(String)
        case crashed(String)
    }

    /// Tests are built beside the program.
    static var path: String {
        get throws {
            let root = URL(fileURLWithPath: #filePath)
                .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            let folders = [
                Bundle.main.executableURL?.deletingLastPathComponent(),
                root.appendingPathComponent(".build/release"),
            ]
            let places = folders.compactMap { $0?.appendingPathComponent("vitrail").path }
            guard let found = places.first(where: FileManager.default.isExecutableFile) else {
                throw Problem.notBuilt(places.joined(separator: ", "))
            }
            return found
        }
    }

    /// Runs the program in an empty folder, or in `folder`.
    static func run(
        _ arguments: [String], in folder: TemporaryFolder? = nil, program: String? = nil,
        environment: [String: String] = [:]
    ) async throws -> Result {
        let scratch = try TemporaryFolder()
        let current = try folder ?? TemporaryFolder()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try program ?? path)
        process.arguments = arguments
        process.currentDirectoryURL = URL(fileURLWithPath: current.path)
        process.environment = ProcessInfo.processInfo.environment
            .merging(["GOMP_SPINCOUNT": "0"]) { $1 }.merging(environment) { $1 }
        // Files rather than pipes: nobody has to read while the program runs.
        let handles = try ["out", "err"].map { name in
            _ = FileManager.default.createFile(atPath: scratch.file(name), contents: nil)
            return try FileHandle(forWritingTo: URL(fileURLWithPath: scratch.file(name)))
        }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = handles[0]
        process.standardError = handles[1]
        try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in done.resume() }
            do { try process.run() } catch { done.resume(throwing: error) }
        }
        func text(_ name: String) throws -> String {
            try String(contentsOfFile: scratch.file(name), encoding: .utf8)
        }
        let result = Result(code: process.terminationStatus, output: try text("out"), error: try text("err"))
        guard process.terminationReason == .exit else {
            throw Problem.crashed("\(arguments): \(result.error)")
        }
        return result
    }
}
