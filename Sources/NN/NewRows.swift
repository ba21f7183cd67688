public import Torch

/// Rows of a token table for tokens that were added to a tokenizer. They are trained; the other rows do not change.
///
/// A language model with new tokens needs them in its embeddings and in its head. A published table often has spare
/// rows; then the new rows replace those. Otherwise they extend the table.
public struct NewRowsConfiguration {
    /// The ids of the tokens; they begin within the table or right after it.
    public var ids: Range<Int>
    /// Names of the layers: the last part of a path, or several.
    public var layers: [String]
    /// The dtype of the rows; nil for that of the table. Training needs float32.
    public var dtype: DType?
    /// Where the rows come from; nil to begin with the mean of the table's rows.
    public var source: (any TensorSource)?

    public init(
        ids: Range<Int>, layers: [String] = ["embed_tokens", "lm_head"], dtype: DType? = nil,
        source: (any TensorSource)? = nil
    ) {
        self.ids = ids
        self.layers = layers
        self.dtype = dtype
        self.source = source
    }

    func means(_ path: String) -> Bool { layers.contains { isEnd($0, of: path) } }
}

/// The new rows of one table.
public struct NewRows {
    public let ids: Range<Int>
    /// [ids, width].
    public let weight: Tensor

    /// The name of the rows under their layer's.
    public static let name = "new_rows.weight"

    /// Whether a parameter of that name holds such rows.
    public static func isPart(_ name: String) -> Bool { name.hasSuffix(".\(Self.name)") }

    /// Rows of the table, or new ones, by token: [..., width].
    func embedded(_ numbers: Tensor, _ table: Tensor) throws -> Tensor {
        // Both tables are read with numbers that exist there; the right one of the two is selected below.
        func rows(_ table: Tensor, _ numbers: Tensor) throws -> Tensor {
            try embedding(table, numbers.clamped(min: 0, max: Double(table.size(0) - 1)).to(.int64))
        }
        let first = Double(ids.lowerBound)
        let (old, new) = (try rows(table, numbers), try rows(weight, numbers - first))
        let isNew = try numbers .>= first .& numbers .< Double(ids.upperBound)
        return try .where(isNew.unsqueezed(-1), new.to(old.dtype), old)
    }

    /// Inserts the scores of the new tokens among those of the others: [..., tokens].
    func scored(_ x: Tensor, _ scores: Tensor) throws -> Tensor {
        let new = try linear(x, weight.to(x.dtype)).to(scores.dtype)
        let (axis, count) = (scores.rank - 1, scores.size(-1))
        var parts = [try scores.narrowed(axis, 0, ids.lowerBound), new]
        if ids.upperBound < count {
            parts.append(try scores.narrowed(axis, ids.upperBound, count - ids.upperBound))
        }
        return try .cat(parts, axis: axis)
    }
}
