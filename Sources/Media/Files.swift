internal import InputFiles

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
        do throws(InputFile.Problem) {
            let bytes = try InputFile.read(path, limit: maximumBytes)
            guard !bytes.isEmpty else { throw InputFile.Problem(reason: "the file is empty") }
            return bytes
        } catch {
            throw .unreadable(name: path, reason: error.reason)
        }
    }

    /// Throws what `read` would, for a file that somebody else is going to open.
    static func checkReadable(_ path: String) throws(MediaError) {
        do throws(InputFile.Problem) {
            let (descriptor, size) = try InputFile.open(path)
            close(descriptor)
            guard size > 0 else { throw InputFile.Problem(reason: "the file is empty") }
        } catch {
            throw .unreadable(name: path, reason: error.reason)
        }
    }

    /// Writes beside the target and renames, so that the target is the old file or the new one.
    static func write(_ bytes: [UInt8], to path: String) throws(MediaError) {
        func failure(_ reason: String) -> MediaError { .unwritable(name: path, reason: reason) }

        guard !path.isEmpty else { throw failure("the path is empty") }
        guard !path.utf8.contains(0) else { throw failure("the path holds a zero byte") }
        let temporary = "\(path).\(getpid())-\(UInt32.random(in: .min ... .max)).tmp"
        guard let file = fopen(temporary, "wbx") else { throw failure(InputFile.systemReason) }
        let written = fwrite(bytes, 1, bytes.count, file)
        let writeError = written == bytes.count && fflush(file) == 0 ? nil : InputFile.systemReason
        let closed = fclose(file)
        var reason = writeError ?? (closed == 0 ? nil : InputFile.systemReason)
        if reason == nil && rename(temporary, path) != 0 { reason = InputFile.systemReason }
        if let reason {
            unlink(temporary)
            throw failure(reason)
        }
    }
}
