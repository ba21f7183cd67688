import InputFiles
public import Media

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
            return try InputFile.read(path)
        } catch {
            throw .unreadable(path, reason: error.isMissing ? "there is no such file" : error.reason)
        }
    }

    func text(_ path: String) throws(LabelError) -> String {
        let bytes = try bytes(path)
        do {
            return try LabelText.string(bytes)
        } catch {
            throw .invalid(path, reason: error.description)
        }
    }

    /// Lines without the space around them, none of them empty.
    func lines(_ path: String) throws(LabelError) -> [Substring] {
        try text(path).split(whereSeparator: \.isNewline).map(\.trimmed).filter { !$0.isEmpty }
    }

    /// The names in a folder, sorted, but those of macOS' own files, which are counted.
    func names(in folder: String) throws(LabelError) -> [String] {
        guard let (names, macFiles) = Self.list(folder) else {
            throw .unreadable(
                folder, reason: folder.fileExists ? "it is no folder" : "there is no such folder")
        }
        for name in macFiles { problems.add(.macFile, name) }
        return names
    }

    /// The names in a folder, sorted, those of macOS' own files apart; nil for what is no folder.
    static func list(_ folder: String) -> (names: [String], macFiles: [String])? {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder).sorted() else {
            return nil
        }
        return (names.filter { !$0.isMacFile }, names.filter(\.isMacFile))
    }

    /// The files in a folder and in those within it, by their paths from it, sorted; hidden ones are passed over.
    func files(under folder: String, where isWanted: (String) -> Bool) throws(LabelError) -> [String] {
        var files: [String] = []
        // A link may lead back.
        var seen: Set<[UInt64]> = []
        func add(_ part: String) throws(LabelError) {
            let path = part.isEmpty ? folder : folder.appending(path: part)
            let names = try names(in: path)
            var status = stat()
            guard stat(path, &status) == 0,
                seen.insert([UInt64(status.st_dev), UInt64(status.st_ino)]).inserted
            else { return }
            for name in names where !name.hasPrefix(".") {
                let inner = part.isEmpty ? name : "\(part)/\(name)"
                if isWanted(name) {
                    files.append(inner)
                } else if path.appending(path: name).isFolder {
                    try add(inner)
                }
            }
        }
        try add("")
        return files.sorted()
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
    ///   - others: more names to try.
    ///   - folders: where to look, unless the source names its folder of pictures.
    ///   - always: whether to look even when labels are read as they are written.
    /// - Returns: nil for a picture that is in none, after counting it as missing.
    func find(
        _ name: String, orElse others: [String] = [], in folders: [String], always: Bool = false
    ) -> PictureSource? {
        if asWritten, !always { return .file((images ?? folders.first ?? "").appending(path: name)) }
        let folders = images.map { [$0] } ?? [lastFolder] + folders
        for name in [name] + others {
            if let path = path(of: name, in: folders) { return .file(path) }
        }
        problems.add(.missingPicture, name)
        return nil
    }

    /// The file with a name, or with the last parts of it, in one of these folders.
    func path(of name: String, in folders: [String]) -> String? {
        for name in name.spellings {
            let parts = name.split(separator: "/")
            let tails = (0..<max(1, parts.count)).map { parts.dropFirst($0).joined(separator: "/") }
            for tail in [name] + tails.dropFirst() {
                for folder in folders where !folder.isEmpty {
                    let path = folder.appending(path: tail)
                    if path.isFile {
                        lastFolder = folder
                        return path
                    }
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

    var isFolder: Bool { (try? InputFile.isFolder(self)) ?? false }

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

    /// The endings of pictures that can be read.
    static let pictureEndings = ["jpg", "jpeg", "png", "webp", "bmp", "gif"]

    /// Whether it is called like a picture that can be read.
    var isPicture: Bool { Self.pictureEndings.contains(ending) }

    /// Without its ending where that is a picture's, or one of these: "a.b" of "a.b.jpg", and of "a.b".
    func withoutEnding(_ others: String...) -> String {
        isPicture || others.contains(ending) ? String(self[..<lastIndex(of: ".")!]) : self
    }

    /// Whether macOS keeps under this name what belongs to another file.
    var isMacFile: Bool { lastPart.hasPrefix("._") }

    /// A name as it is written, and the path that it means where Label Studio or Windows wrote it:
    /// `/data/local-files/?d=my%20set\a.jpg` is `my set/a.jpg`.
    var spellings: [String] {
        var path = self[...]
        if let start = path.firstRange(of: "?d=") {
            path = path[start.upperBound...]
        } else {
            path = path.prefix { $0 != "?" }
        }
        let plain = path.withoutPercents.replacing("\\", with: "/")
        return plain == self || plain.isEmpty ? [self] : [self, plain]
    }
}

extension Substring {
    /// With bytes for their two hexadecimal digits after a percent sign; itself where that is no text.
    fileprivate var withoutPercents: String {
        guard utf8.contains(UInt8(ascii: "%")) else { return String(self) }
        var bytes: [UInt8] = []
        var rest = utf8[...]
        while let byte = rest.popFirst() {
            let digits = String(rest.prefix(2)) ?? ""
            if byte == UInt8(ascii: "%"), digits.utf8.count == 2, let value = UInt8(digits, radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self) ?? String(self)
    }

    var trimmed: Substring {
        var text = self
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }
}
