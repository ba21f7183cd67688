package import Checkpoints
import Foundation
import NN
package import Torch

/// Checks whether a model fits into the free memory, before any of it is read.
public enum MemoryCheck {
    /// In bytes, in place of what the system says; for tests.
    @TaskLocal package static var assumed: Int?

    /// Computing with a model also takes memory: this share of the weights.
    static let margin = 1.05

    /// - Parameters:
    ///   - source: whose tensors are wanted.
    ///   - dtype: what they are held in; nil for their own.
    ///   - device: only the CPU's memory is checked.
    /// - Throws: ``ModelError/unsupported(_:)`` with the needed and the free memory.
    package static func require(_ source: some CheckpointSource, as dtype: DType?, on device: Device) throws {
        guard device.kind == .cpu, let available = assumed ?? available() else { return }
        let weights = source.entries.values.reduce(0) { sum, entry in
            // Mapped weights are counted: those that do not stay in memory are read from the disk for every token.
            sum + entry.count * (entry.dtype.isFloatingPoint ? dtype ?? entry.dtype : entry.dtype).size
        }
        let needed = Int(Double(weights) * margin)
        guard needed > available else { return }
        let kind = dtype.map { " in \($0)" } ?? ""
        throw ModelError.unsupported(
            "\(source.label): the model needs \(size(needed)) of memory\(kind), \(size(available)) are available"
        )
    }

    /// The bytes that a process can still use if the system drops only cached files; nil if the system does not say.
    ///
    /// - Parameter root: where Linux's `proc` and `sys` are.
    package static func available(root: String = "") -> Int? {
        #if os(Linux)
            func text(_ path: String) -> String? { try? String(contentsOfFile: root + path, encoding: .utf8) }
            func number(_ path: String) -> Int? {
                text(path).flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
            }
            /// The number after a name at the beginning of a line.
            func field(_ name: String, _ path: String) -> Int? {
                let line = text(path)?.split(separator: "\n").first { $0.hasPrefix("\(name) ") }
                return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
            }
            var limits = [field("MemAvailable:", "/proc/meminfo").map { $0 * 1024 }]
            // The limit of a container, by either version of control groups. Cached files do not count against it.
            for (limit, used, files) in [
                ("memory.max", "memory.current", "file"),
                ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_cache"),
            ] {
                let group = "/sys/fs/cgroup/"
                let folder = limit.hasPrefix("memory/") ? "memory/" : ""
                guard let limit = number(group + limit), let used = number(group + used) else { continue }
                let cached = field(files, "\(group)\(folder)memory.stat") ?? 0
                limits.append(max(0, limit - used + cached))
            }
            return limits.compactMap { $0 }.min()
        #elseif os(macOS)
            var size: UInt64 = 0
            var length = MemoryLayout<UInt64>.size
            // macOS has no single number. Compressed and cached pages can be dropped.
            return sysctlbyname("hw.memsize", &size, &length, nil, 0) == 0 ? Int(size) : nil
        #else
            return nil
        #endif
    }

    private static func size(_ bytes: Int) -> String {
        bytes < 1_000_000_000
            ? String(format: "%.1f MB", Double(bytes) / 1e6) : String(format: "%.1f GB", Double(bytes) / 1e9)
    }
}
