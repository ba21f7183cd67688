public import NN
public import Torch

/// What a checkpoint says about a tensor before any of it is read.
public struct TensorEntry: Sendable, Hashable {
    public let dtype: DType
    public let shape: [Int]

    public init(_ dtype: DType, _ shape: [Int]) {
        self.dtype = dtype
        self.shape = shape
    }

    /// How many elements there are.
    public var count: Int { shape.reduce(1, *) }
    /// What the elements take in memory.
    public var bytes: Int { count * dtype.size }
}

/// A source that knows dtypes and shapes without reading a tensor.
public protocol CheckpointSource: TensorSource {
    var entries: [String: TensorEntry] { get }
}

extension CheckpointSource {
    public var names: [String] { entries.keys.sorted() }
    /// What all tensors together take in memory.
    public var bytes: Int { entries.values.reduce(0) { $0 + $1.bytes } }
    /// How many numbers all tensors together hold.
    public var count: Int { entries.values.reduce(0) { $0 + $1.count } }
}
