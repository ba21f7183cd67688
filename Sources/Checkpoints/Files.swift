internal import InputFiles

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif
#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// Whether a folder lies at `path`; nil when nothing does.
func isFolder(_ path: String) -> Bool? { try? InputFile.isFolder(path) }

/// A small file beside the weights.
func contents(of path: String) throws -> Data {
    do {
        return Data(try InputFile.read(path))
    } catch {
        throw CheckpointError(path: path, reason: error.reason)
    }
}

/// A file mapped into memory for as long as the object lives. What is written there stays in this process, so
/// that a training may start from the mapped parameters; the file itself never changes.
final class FileMapping {
    let bytes: UnsafeRawBufferPointer
    var count: Int { bytes.count }

    init(_ path: String) throws {
        let (descriptor, size): (Int32, Int)
        do {
            (descriptor, size) = try InputFile.open(path)
        } catch {
            throw CheckpointError(path: path, reason: error.reason)
        }
        defer { close(descriptor) }
        guard size > 0 else {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        let protection = PROT_READ | PROT_WRITE
        // Pages that are only read need no memory of their own: none is set aside for a file larger than what
        // is free.
        let flags = MAP_PRIVATE | MAP_NORESERVE
        guard let address = mmap(nil, size, protection, flags, descriptor, 0), address != MAP_FAILED
        else {
            throw CheckpointError(path: path, reason: "cannot be mapped: \(String(cString: strerror(errno)))")
        }
        bytes = UnsafeRawBufferPointer(start: address, count: size)
        if let stray = InputFile.stray(bytes) { throw CheckpointError(path: path, reason: stray) }
    }

    deinit {
        if let address = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: address), bytes.count) }
    }
}

/// A file that appears under its name only when it is whole.
public final class AtomicFile {
    private let path: String
    private let temporary: String
    private var descriptor: Int32

    /// Begins a file beside `path`, which goes again unless it is committed.
    init(beside path: String) throws {
        self.path = path
        temporary = "\(path).\(getpid()).tmp"
        Self.removeLeftovers(of: path)
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure(path) }
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        unlink(temporary)
    }

    /// Removes what processes that were killed while they wrote `path` left beside it.
    private static func removeLeftovers(of path: String) {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { String(path[...$0]) } ?? "./"
        let start = "\(slash.map { String(path[path.index(after: $0)...]) } ?? path)."
        guard let directory = opendir(folder) else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name.hasPrefix(start), name.hasSuffix(".tmp"),
                let process = pid_t(name.dropFirst(start.count).dropLast(".tmp".count)), process > 0,
                kill(process, 0) != 0, errno == ESRCH
            else { continue }
            unlink(folder + name)
        }
    }

    private func failure(_ path: String) -> CheckpointError {
        CheckpointError(path: path, reason: String(cString: strerror(errno)), isWriting: true)
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        var written = 0
        while written < bytes.count {
            #if canImport(Glibc)
                let count = Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
            #else
                let count = Darwin.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
            #endif
            guard count > 0 else { throw failure(path) }
            written += count
        }
    }

    /// The next byte is written at `offset` from the start; what is skipped is zero.
    func seek(to offset: Int) throws {
        guard lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else { throw failure(path) }
    }

    /// Flushes the file to the disk and gives it its name.
    func commit(as path: String) throws {
        guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw failure(path) }
        close(descriptor)
        descriptor = -1
    }

    /// Calls `body` with a file beside `path`, flushes it to the disk and renames it to `path`; removes it on
    /// an error.
    public static func write(to path: String, _ body: (AtomicFile) throws -> Void) throws {
        let file = try AtomicFile(beside: path)
        try body(file)
        try file.commit(as: path)
    }
}
