internal import CTorch

/// Where a tensor lives.
public struct Device: Sendable, Hashable, CustomStringConvertible {
    /// The raw value is libtorch's own number for the kind.
    public enum Kind: Int32, Sendable, Hashable {
        case cpu = 0
        case cuda = 1
        case mps = 13
    }

    public let kind: Kind
    public let index: Int

    public init(_ kind: Kind, index: Int = 0) {
        self.kind = kind
        self.index = index
    }

    public static let cpu = Device(.cpu)
    public static let cuda = Device(.cuda)
    public static let mps = Device(.mps)

    /// Reads `cpu`, `cuda`, `cuda:1` or `mps`; nil for anything else.
    public init?(_ name: String) {
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        let kinds: [Substring: Kind] = ["cpu": .cpu, "cuda": .cuda, "mps": .mps]
        guard let first = parts.first, let kind = kinds[first], parts.count <= 2 else { return nil }
        guard let index = parts.count == 2 ? Int(parts[1]) : 0, index >= 0 else { return nil }
        self.init(kind, index: index)
    }

    public var description: String {
        switch kind {
        case .cpu: "cpu"
        case .cuda: "cuda:\(index)"
        case .mps: "mps"
        }
    }

    /// True when tensors can be put there on this machine. Looking for CUDA opens libtorch's CUDA part once.
    public var isAvailable: Bool {
        switch kind {
        case .cpu: true
        case .cuda: vt_cuda_available() && index < vt_cuda_count()
        case .mps: vt_mps_available()
        }
    }

    /// The best device of this machine: CUDA, else MPS, else the CPU.
    public static var best: Device { [cuda, mps].first(where: \.isAvailable) ?? cpu }
}

/// The number of threads that libtorch's CPU operators use.
public enum Threads {
    public static var count: Int { Int(vt_threads()) }

    public static func set(_ count: Int) throws {
        try check(vt_set_threads(Int32(count)), "set threads to \(count)")
    }
}
