public import Checkpoints
public import Foundation
public import Torch

/// What a network computes in, as `--dtype` has it.
public enum Precision: String, Sendable, CaseIterable {
    /// The weights' own dtype; float16 becomes float32 where that fits in half of the memory, else bfloat16, because
    /// CPUs have no fast float16.
    case auto
    case float32
    case bfloat16

    /// The dtype for weights that are held as they are.
    ///
    /// - Parameters:
    ///   - entries: the weights. Where they differ, the dtype that most numbers have counts.
    ///   - memory: bytes of the machine's memory.
    public func dtype(
        for entries: some Collection<TensorEntry>, memory: UInt64 = ProcessInfo.processInfo.physicalMemory
    ) -> DType {
        switch self {
        case .float32: return .float32
        case .bfloat16: return .bfloat16
        case .auto:
            let held = Dictionary(entries.map { ($0.dtype, $0.count) }, uniquingKeysWith: +)
                .filter { $0.key.isFloatingPoint }
            switch held.max(by: { ($0.value, $0.key.rawValue) < ($1.value, $1.key.rawValue) })?.key {
            case .bfloat16: return .bfloat16
            case .float16:
                let bytes = entries.reduce(0) { $0 + $1.count * DType.float32.size }
                return UInt64(bytes) <= memory / 2 ? .float32 : .bfloat16
            default: return .float32
            }
        }
    }
}
