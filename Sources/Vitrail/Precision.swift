public import Checkpoints
import Foundation
public import Torch

/// The dtype in which a downloaded model is computed.
public enum Precision: String, Sendable, CaseIterable {
    /// The dtype of the weights, so that the mapped files are used without a copy. CPUs are slow at float16: such
    /// weights become float32 if that takes at most half of the machine's memory, else bfloat16.
    case auto
    case float32
    case bfloat16

    /// The dtype for a checkpoint's weights.
    ///
    /// - Parameters:
    ///   - source: whose dtype is that of most of its elements.
    ///   - device: on which the weights are to be.
    ///   - memory: in bytes; the machine's when nil.
    public func dtype(
        for source: any CheckpointSource, on device: Device = .cpu,
        memory: Int? = nil
    ) -> DType {
        switch self {
        case .float32: return .float32
        case .bfloat16: return .bfloat16
        case .auto:
            var counts: [DType: Int] = [:]
            for entry in source.entries.values where entry.dtype.isFloatingPoint {
                counts[entry.dtype, default: 0] += entry.count
            }
            let own =
                counts.max { ($0.value, $0.key.rawValue) < ($1.value, $1.key.rawValue) }?.key ?? .float32
            guard own == .float16 else { return own == .float64 ? .float32 : own }
            if device.kind != .cpu { return .float16 }
            let memory = memory ?? Int(ProcessInfo.processInfo.physicalMemory)
            return source.count * DType.float32.size <= memory / 2 ? .float32 : .bfloat16
        }
    }
}
