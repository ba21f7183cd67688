public import Torch

/// Softmax attention of tokens [b, n, width] over themselves.
public struct SelfAttention: Layer {
    public let qkv: Linear
    public let proj: Linear
    public let heads: Int

    public init(_ path: ParameterPath, _ width: Int, heads: Int) throws {
        qkv = try Linear(path["qkv"], width, 3 * width)
        proj = try Linear(path["proj"], width, width)
        self.heads = heads
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try self(x, plus: nil) }

    /// The same, and adds `plus`, of the tokens' shape.
    public func callAsFunction(_ x: Tensor, plus: Tensor?) throws -> Tensor {
        let (b, n, d) = x.shape3
        let parts = try qkv(x).view([b, n, 3, heads, d / heads]).permuted(2, 0, 3, 1, 4)
        let out = try attention(parts[0], parts[1], parts[2])
        return try proj(out.transposed(1, 2).reshaped(b, n, d), plus: plus)
    }
}

/// Softmax attention of queries [b, heads, n, e] over all keys and values [b, heads, m, e].
public func attention(_ queries: Tensor, _ keys: Tensor, _ values: Tensor) throws -> Tensor {
    // For few keys, plain products are 2.5 times as fast as libtorch's fused attention, forward and backward. For many
    // queries without a gradient there is a kernel of our own.
    guard keys.size(2) <= 256, isGradEnabled || queries.size(2) < 64 else {
        return try scaledDotProductAttention(queries, keys, values)
    }
    let scale = 1 / Double(queries.size(3)).squareRoot()
    let scores = try matmul(queries * scale, keys.transposed(2, 3))
    return try matmul(scores.softmaxKeepingType(-1), values)
}

/// [b, c, h, w] to [b, h * w, c].
public func cellRows(_ maps: Tensor) throws -> Tensor { try maps.flattened(2).transposed(1, 2) }

/// Resizes a table of position embeddings [1, n * n, d] to another grid, bicubic, as ViTs do for other input sizes.
public func resizedPositions(_ table: Tensor, to grid: (height: Int, width: Int)) throws -> Tensor {
    let (_, count, width) = table.shape3
    let side = Int(Double(count).squareRoot().rounded())
    if grid.height == side && grid.width == side { return table }
    // Each axis is resized by a product with a matrix: the resized identity. libtorch's own resizing takes twice as
    // long.
    func weights(_ length: Int) throws -> Tensor {
        let rows = try Tensor.eye(side, dtype: table.dtype, device: table.device).view([1, side, side, 1])
        return try interpolate(rows, to: (length, 1), mode: .bicubic).view([side, length]).transposed(0, 1)
    }
    let down = try weights(grid.height)
    let across = try grid.width == grid.height ? down : weights(grid.width)
    let rows = try matmul(down, table.view([side, side * width]))
    let cells = try matmul(across, rows.view([grid.height, side, width]))
    return try cells.view([1, grid.height * grid.width, width])
}
