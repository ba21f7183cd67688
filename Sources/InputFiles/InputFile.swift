#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Darwin
#endif

/// How every file that a person names is opened and read.
package enum InputFile {
    /// Why a file cannot be read, without its name.
    package struct Problem: Error {
        package let reason: String
        /// Nothing is there, so that another place may be looked at.
        package var isMissing = false

        package init(reason: String, isMissing: Bool = false) {
            self.reason = reason
            self.isMissing = isMissing
        }

        fileprivate static var system: Problem {
            Problem(reason: systemReason, isMissing: [ENOENT, ENOTDIR].contains(errno))
        }
    }

    /// Why the last call to the system failed, in its own words.
    package static var systemReason: String {
        let text = String(cString: strerror(errno))
        return text.prefix(1).lowercased() + text.dropFirst()
    }

    /// Whether a folder lies at `path`.
    ///
    /// - Throws: ``Problem`` when nothing does, or it cannot be told.
    package static func isFolder(_ path: String) throws(Problem) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .system }
        return status.st_mode & S_IFMT == S_IFDIR
    }

    /// Opens a regular file. A pipe or a device is refused: who reads it may wait for ever.
    package static func open(_ path: String) throws(Problem) -> (descriptor: Int32, size: Int) {
        guard !path.isEmpty else { throw Problem(reason: "the path is empty") }
        guard !path.utf8.contains(0) else { throw Problem(reason: "the path holds a zero byte") }
        #if canImport(Glibc)
            let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        #elseif canImport(Musl)
            let descriptor = Musl.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        #else
            let descriptor = Darwin.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        #endif
        guard descriptor >= 0 else { throw .system }
        var status = stat()
        let code = fstat(descriptor, &status)
        let kind = status.st_mode & S_IFMT
        guard code == 0, kind == S_IFREG else {
            defer { close(descriptor) }
            if code != 0 { throw .system }
            throw Problem(
                reason: kind == S_IFDIR ? "it is a folder" : "it is a pipe or a device, not a regular file")
        }
        return (descriptor, Int(status.st_size))
    }

    /// The whole of a file.
    ///
    /// - Throws: ``Problem``, also for what ``stray(_:)`` knows.
    package static func read(_ path: String, limit: Int = .max) throws(Problem) -> [UInt8] {
        let (descriptor, size) = try open(path)
        defer { close(descriptor) }
        func tooLong(_ size: Int) -> Problem {
            Problem(reason: "\(size) bytes exceed the limit of \(limit >> 20) MiB")
        }
        guard size <= limit else { throw tooLong(size) }
        var failed = false
        // A byte more, so that the end is seen at once; what grows, or states no size, is read on.
        var capacity = size + 1
        var bytes: [UInt8] = []
        while true {
            let block = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                while count < capacity {
                    #if canImport(Glibc)
                        let read = Glibc.read(descriptor, buffer.baseAddress! + count, capacity - count)
                    #elseif canImport(Musl)
                        let read = Musl.read(descriptor, buffer.baseAddress! + count, capacity - count)
                    #else
                        let read = Darwin.read(descriptor, buffer.baseAddress! + count, capacity - count)
                    #endif
                    if read < 0, errno == EINTR { continue }
                    failed = read < 0
                    guard read > 0 else { break }
                    count += read
                }
            }
            guard !failed else { throw .system }
            if bytes.isEmpty { bytes = block } else { bytes += block }
            guard block.count == capacity else { break }
            guard bytes.count <= limit else { throw tooLong(bytes.count) }
            capacity = 1 << 16
        }
        if let stray = stray(bytes) { throw Problem(reason: stray) }
        return bytes
    }

    /// What downloads leave where a file should be; nil for anything else.
    package static func stray(_ bytes: some Collection<UInt8>) -> String? {
        var start = String(decoding: bytes.prefix(256), as: UTF8.self)[...]
        while let first = start.first, first.isWhitespace || first == "\u{FEFF}" { start.removeFirst() }
        let text = start.lowercased()
        if text.hasPrefix("version https://git-lfs.github.com/spec/") {
            return "it is a Git LFS pointer; `git lfs pull` fetches the file itself"
        }
        if text.hasPrefix("<!doctype html") || text.hasPrefix("<html") {
            return "it is a web page (HTML), such as a download without a login leaves"
        }
        return nil
    }
}
