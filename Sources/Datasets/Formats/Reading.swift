public import Media
import Text

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// One run of a format's reader: its files, its pictures, and the problems on the way.
final class Reading {
    let source: DataSource
    /// As given, made absolute or relative to the working directory.
    let path: String
    let images: String?
    let labels: String?
    /// Whether labels are left as they are, and pictures are not looked for.
    let asWritten: Bool
    var problems = LabelProblems()
    private var lastFolder = ""
    private var names: Set<String> = []

    init(_ source: DataSource, relativeTo folder: String?, asWritten: Bool) {
        func resolve(_ path: String) -> String { folder.map { $0.appending(path: path) } ?? path }
        self.source = source
        self.asWritten = asWritten
        path = resolve(source.path)
        images = source.images.map(resolve)
        labels = source.labels.map(resolve)
    }

    // MARK: Files

    func bytes(_ path: String) throws(LabelError) -> [UInt8] { try Self.bytes(path) }

    static func bytes(_ path: String) throws(LabelError) -> [UInt8] {
        do {
            return try Text.InputFile.read(path)
        } catch {
            throw .unreadable(path, reason: error.isMissing ? "there is no such file" : error.reason)
        }
    }

    func text(_ path: String) throws(LabelError) -> String {
        String(decoding: try bytes(path), as: UTF8.self)
    }

    /// Lines without the space around them, none of them empty.
    func lines(_ path: String) throws(LabelError) -> [Substring] {
        try text(path).split(whereSeparator: \.isNewline).map(\.trimmed).filter { !$0.isEmpty }
    }

    /// The names in a folder, sorted.
    func names(in folder: String) throws(LabelError) -> [String] {
        do {
            return try Self.list(folder)
        } catch {
            throw .unreadable(
                folder, reason: folder.fileExists ? "it is no folder" : "there is no such folder")
        }
    }

    static func list(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }

    /// - Throws: `LabelError` with the reader's place for what is not of the form.
    func json<Value>(
        _ path: String, _ read: (inout JSONReader) throws -> Value
    ) throws(LabelError) -> Value {
        var reader = JSONReader(try bytes(path))
        do {
            return try read(&reader)
        } catch let problem as JSONReader.Problem {
            throw .invalid(path, reason: problem.description)
        } catch let error as LabelError {
            throw error
        } catch {
            throw .invalid(path, reason: "\(error)")
        }
    }

    // MARK: Pictures

    /// Looks for a picture in these folders, by its name, then by the last parts of its name.
    ///
    /// - Parameters:
    ///   - name: as the label file has it.
    ///   - other: a second name to try.
    ///   - folders: where to look, unless the source names its folder of pictures.
    ///   - always: whether to look even when labels are read as they are written.
    /// - Returns: nil for a picture that is in none, after counting it as missing.
    func find(
        _ name: String, orElse other: String? = nil, in folders: [String], always: Bool = false
    ) -> PictureSource? {
        if asWritten, !always { return .file((images ?? folders.first ?? "").appending(path: name)) }
        for name in [name, other].compactMap(\.self) {
            if let path = path(of: name, in: folders) { return .file(path) }
        }
        problems.add(.missingPicture, name)
        return nil
    }

    private func path(of name: String, in folders: [String]) -> String? {
        let parts = name.split(separator: "/")
        let tails = (0..<max(1, parts.count)).map { parts.dropFirst($0).joined(separator: "/") }
        for tail in [name] + tails.dropFirst() {
            let candidates = images.map { [$0] } ?? [lastFolder] + folders
            for folder in candidates where !folder.isEmpty {
                let path = folder.appending(path: tail)
                if path.isFile {
                    lastFolder = folder
                    return path
                }
            }
        }
        return nil
    }

    /// The size of a picture as a viewer shows it; nil for one that is broken, after counting it.
    func size(of source: PictureSource) -> (width: Int, height: Int)? {
        do {
            return try Image.size(of: source.bytes(), name: source.name)
        } catch {
            problems.add(.brokenPicture, "\(error)")
            return nil
        }
    }

    /// Counts a name that was there before.
    func note(name: String) {
        if !names.insert(name).inserted { problems.add(.repeatedName, name) }
    }
}

extension PictureSource {
    /// The file's bytes.
    ///
    /// - Throws: `MediaError.unreadable`.
    public func bytes() throws(MediaError) -> [UInt8] {
        switch self {
        case .file(let path): return try Image.bytes(contentsOf: path)
        case .archive(let path, let offset, let length):
            let file = open(path, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else {
                throw .unreadable(name: name, reason: String(cString: strerror(errno)).lowercased())
            }
            defer { close(file) }
            let bytes = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
                while count < length {
                    let read = pread(file, buffer.baseAddress! + count, length - count, off_t(offset + count))
                    guard read > 0 else { break }
                    count += read
                }
            }
            guard bytes.count == length else {
                throw .unreadable(name: name, reason: "the archive is cut short")
            }
            return bytes
        }
    }
}

extension String {
    func appending(path: String) -> String {
        if path.hasPrefix("/") || isEmpty { return path }
        return hasSuffix("/") ? self + path : "\(self)/\(path)"
    }

    var isFile: Bool {
        var status = stat()
        return stat(self, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    var isFolder: Bool {
        var status = stat()
        return stat(self, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    var fileExists: Bool { isFile || isFolder }

    /// "a/b" of "a/b/c"; "." of "c".
    var folder: String {
        let path = hasSuffix("/") ? String(dropLast()) : self
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// "c.d" of "a/b/c.d".
    var lastPart: String { split(separator: "/").last.map(String.init) ?? self }

    /// "c" of "a/b/c.d".
    var stem: String {
        let name = lastPart
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return name }
        return String(name[..<dot])
    }

    /// "jpg" of "a/b/c.JPG".
    var ending: String {
        let name = lastPart
        return name.lastIndex(of: ".").map { name[name.index(after: $0)...].lowercased() } ?? ""
    }

    /// Whether it is called like a picture that can be read.
    var isPicture: Bool { ["png", "jpg", "jpeg", "webp", "bmp", "gif"].contains(ending) }
}

extension Substring {
    var trimmed: Substring {
        var text = self
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }
}
