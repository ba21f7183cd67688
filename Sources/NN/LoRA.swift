// Low-rank adaptation (Hu et al., arXiv 2106.09685). Names, initial values and arithmetic are those of PEFT 0.18,
// peft/tuners/lora; proven by NNTests.
public import Torch

/// Which linear layers get a low-rank update, and its size.
public struct LoRAConfiguration {
    /// Rows of A and columns of B.
    public var rank: Int
    public var alpha: Double
    /// Whether the update is scaled by alpha / sqrt(rank) (Kalajdzievski, arXiv 2312.03732) instead of alpha / rank.
    public var isRankStabilised: Bool
    /// Names of layers: the last part of a path (`q_proj`), or several (`layers.3.mlp.up_proj`).
    public var targets: [String]
    /// A part of the path above the layers; nil for anywhere.
    public var root: String?
    /// Another rank or alpha for the layers that end in a name.
    public var rankPattern: [String: Int] = [:]
    public var alphaPattern: [String: Double] = [:]
    /// The dtype of A and B; nil for that of the layer. Training needs float32.
    public var dtype: DType?
    /// Where A and B come from; nil to begin with an update of zero.
    public var source: (any TensorSource)?
    /// The generator of A's random values, if there is no source.
    public var seed: UInt64 = 0

    public init(
        rank: Int, alpha: Double, isRankStabilised: Bool = false, targets: [String], dtype: DType? = nil,
        source: (any TensorSource)? = nil
    ) {
        self.rank = rank
        self.alpha = alpha
        self.isRankStabilised = isRankStabilised
        self.targets = targets
        self.dtype = dtype
        self.source = source
    }

    /// Whether the layer at `path` gets an update.
    public func targets(_ path: String) -> Bool {
        targets.contains { isEnd($0, of: path) } && (root.map { path.hasPrefix("\($0).") } ?? true)
    }

    /// The same, limited to the layers below `root`.
    public func under(_ root: String) -> LoRAConfiguration {
        var copy = self
        copy.root = root
        return copy
    }

    public func rank(of path: String) -> Int {
        rankPattern.first { isEnd($0.key, of: path) }?.value ?? rank
    }

    /// The factor of B(A(x)) in the layer at `path`.
    public func scale(of path: String) -> Double {
        let alpha = alphaPattern.first { isEnd($0.key, of: path) }?.value ?? alpha
        let rank = Double(rank(of: path))
        return alpha / (isRankStabilised ? rank.squareRoot() : rank)
    }

    /// Whether the parameter `name` is an A of a layer that `target` means.
    func isUpdate(_ name: String, by target: String) -> Bool {
        let end = ".\(LoRA.names.a)"
        return name.hasSuffix(end) && isEnd(target, of: String(name.dropLast(end.count)))
    }

}

/// Whether the last parts of a path are `name`.
func isEnd(_ name: String, of path: String) -> Bool { path == name || path.hasSuffix(".\(name)") }

/// The low-rank update of one linear layer: `scale * B(A(x))`.
public struct LoRA {
    /// [rank, input].
    public let a: Tensor
    /// [output, rank].
    public let b: Tensor
    public let scale: Double

    /// The names of A and B under their layer's, as PEFT writes them.
    public static let names = (a: "lora_A.weight", b: "lora_B.weight")

    /// Whether a parameter of that name is an A or a B.
    public static func isPart(_ name: String) -> Bool {
        name.hasSuffix(".\(names.a)") || name.hasSuffix(".\(names.b)")
    }

    /// The result has the dtype of `x`, so a bfloat16 layer stays in bfloat16 if A and B are float32.
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        try linear(linear(x, a.to(x.dtype)), b.to(x.dtype)) * scale
    }
}
