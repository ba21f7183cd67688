import Foundation

/// Several files as one input: each begins with a line `=== name`.
struct FileBundle {
    var files: [(name: String, content: [UInt8])] = []

    init(_ files: KeyValuePairs<String, String>) {
        self.files = files.map { ($0.key, Array($0.value.utf8)) }
    }

    init(_ bytes: [UInt8]) {
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            if line.starts(with: "=== ".utf8) {
                files.append((String(decoding: line.dropFirst(4), as: UTF8.self), []))
            } else if !files.isEmpty {
                files[files.count - 1].content += line + [UInt8(ascii: "\n")]
            }
        }
    }

    var bytes: [UInt8] {
        files.flatMap { Array("=== \($0.name)\n".utf8) + $0.content + [UInt8(ascii: "\n")] }
    }

    subscript(name: String) -> String? {
        files.first { $0.name == name }.map {
            String(decoding: $0.content, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }

    /// Writes the files into a folder in memory that is empty before; names that lead out of it are left out.
    func write(to folder: ScratchFolder) throws {
        for (name, content) in files where !name.isEmpty && name.utf8.count < 100 && !name.leadsOut {
            try folder.write(content, name)
        }
    }
}

extension String {
    /// Whether a path may lead out of the folder that it is relative to.
    var leadsOut: Bool { contains("..") || hasPrefix("/") || contains("\0") }
}

/// A folder of this process's own, under SCRATCH.
struct ScratchFolder {
    let path: String

    /// Empty.
    init() throws {
        let place =
            ProcessInfo.processInfo.environment["SCRATCH"] ?? FileManager.default.temporaryDirectory.path
        path = "\(place)/\(getpid())"
        try? FileManager.default.removeItem(atPath: path)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ bytes: [UInt8], _ name: String) throws {
        let url = URL(fileURLWithPath: file(name))
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
