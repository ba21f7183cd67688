#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Reading whole files, and writing them so that a reader never sees half of one.
enum Files {
    /// A still picture longer than this is no picture anyone sends.
    static let maximumBytes = 1 << 30

    static func read(_ path: String) throws(MediaError) -> [UInt8] {
        func failure(_ reason: String) -> MediaError { .unreadable(name: path, reason: reason) }

        let (file, expected) = try open(path)
        defer { fclose(file) }
        guard expected <= maximumBytes else { throw failure("\(expected) bytes exceed the limit of 1 GiB") }

        // A pipe states no size: read it in pieces, to the same limit.
        var bytes = [UInt8]()
        var capacity = max(expected, 1 << 16) + 1
        while true {
            let start = bytes.count
            let block = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                count = fread(buffer.baseAddress, 1, capacity, file)
            }
            if start == 0 { bytes = block } else { bytes += block }
            if block.count < capacity { break }
            capacity = 1 << 20
            guard bytes.count <= maximumBytes else { throw failure("it exceeds the limit of 1 GiB") }
        }
        if ferror(file) != 0 { throw failure(lastError()) }
        guard !bytes.isEmpty else { throw failure("the file is empty") }
        return bytes
    }

    /// Throws what `read` would, for a file that somebody else is going to open.
    static func checkReadable(_ path: String) throws(MediaError) {
        let (file, size) = try open(path)
        fclose(file)
        if size == 0 { throw .unreadable(name: path, reason: "the file is empty") }
    }

    private static func open(_ path: String) throws(MediaError) -> (UnsafeMutablePointer<FILE>, size: Int) {
        func failure(_ reason: String) -> MediaError { .unreadable(name: path, reason: reason) }

        guard !path.isEmpty else { throw failure("the path is empty") }
        guard !path.utf8.contains(0) else { throw failure("the path holds a zero byte") }
        guard let file = fopen(path, "rb") else { throw failure(lastError()) }
        var status = stat()
        let code = fstat(fileno(file), &status)
        guard code == 0, status.st_mode & S_IFMT != S_IFDIR else {
            fclose(file)
            throw failure(code == 0 ? "it is a folder" : lastError())
        }
        return (file, Int(status.st_size))
    }

    /// Writes beside the target and renames, so that the target is the old file or the new one.
    static func write(_ bytes: [UInt8], to path: String) throws(MediaError) {
        func failure(_ reason: String) -> MediaError { .unwritable(name: path, reason: reason) }

        guard !path.isEmpty else { throw failure("the path is empty") }
        guard !path.utf8.contains(0) else { throw failure("the path holds a zero byte") }
        let temporary = "\(path).\(getpid())-\(UInt32.random(in: .min ... .max)).tmp"
        guard let file = fopen(temporary, "wbx") else { throw failure(lastError()) }
        let written = fwrite(bytes, 1, bytes.count, file)
        let writeError = written == bytes.count && fflush(file) == 0 ? nil : lastError()
        let closed = fclose(file)
        var reason = writeError ?? (closed == 0 ? nil : lastError())
        if reason == nil && rename(temporary, path) != 0 { reason = lastError() }
        if let reason {
            unlink(temporary)
            throw failure(reason)
        }
    }

    private static func lastError() -> String {
        let text = String(cString: strerror(errno))
        return text.prefix(1).lowercased() + text.dropFirst()
    }
}
