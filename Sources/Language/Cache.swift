public import Torch

/// Keys and values of a prefix that many continuations share: [b, key-value heads, length, head width] for each layer.
public struct PrefixCache {
    public let layers: [(keys: Tensor, values: Tensor)]
    public var length: Int { layers.first.map { $0.keys.size(2) } ?? 0 }

    /// The first `count` images of the batch.
    public func first(_ count: Int) throws -> PrefixCache {
        PrefixCache(
            layers: try layers.map {
                (try $0.keys.narrowed(0, 0, count), try $0.values.narrowed(0, 0, count))
            })
    }
}

/// Keys and values of a text for each layer. It grows when tokens are added.
///
/// There is room for further tokens, and it doubles when it is used up. So a text of n tokens is copied less than
/// twice in all, however it is divided. Attention gets views. No gradient reaches the cache.
public final class TextCache {
    private struct Layer {
        /// [b, key-value heads, room, head width]
        var keys: Tensor
        var values: Tensor
        var length: Int
    }

    /// The initial room, in tokens.
    static let firstRoom = 64

    private var layers: [Layer?]

    public init(layers: Int) { self.layers = Array(repeating: nil, count: layers) }

    /// The number of tokens held.
    public var length: Int { layers.first.flatMap { $0?.length } ?? 0 }

    /// The number of tokens for which there is room without copying.
    public var room: Int { layers.first.flatMap { $0?.keys.size(2) } ?? 0 }

    func length(of layer: Int) -> Int { layers[layer]?.length ?? 0 }

    /// Adds the keys and values [b, key-value heads, tokens, head width] of the next tokens to a layer.
    ///
    /// - Returns: views of everything that the layer holds, valid until more is added.
    func extend(_ layer: Int, _ keys: Tensor, _ values: Tensor) throws -> (keys: Tensor, values: Tensor) {
        let (added, before) = (keys.size(2), layers[layer]?.length ?? 0)
        let length = before + added
        var held = layers[layer] ?? Layer(keys: keys, values: values, length: 0)
        if layers[layer] == nil || length > held.keys.size(2) {
            // An answer is often shorter than its prompt.
            let room = max(Self.firstRoom, 2 * before, length + length / 4)
            held.keys = try grown(held.keys, before, to: room)
            held.values = try grown(held.values, before, to: room)
        }
        try held.keys.narrowed(2, before, added).copy(from: keys)
        try held.values.narrowed(2, before, added).copy(from: values)
        held.length = length
        layers[layer] = held
        return (try held.keys.narrowed(2, 0, length), try held.values.narrowed(2, 0, length))
    }

    /// Drops all tokens but the first `count`, so that another text can follow them.
    public func truncate(to count: Int) {
        for index in layers.indices where length(of: index) > count { layers[index]?.length = count }
    }

    /// A tensor with room for more tokens, of which the first `length` are copied.
    private func grown(_ tensor: Tensor, _ length: Int, to room: Int) throws -> Tensor {
        let (b, heads, _, width) = tensor.shape4
        let larger = try Tensor.empty([b, heads, room, width], dtype: tensor.dtype, device: tensor.device)
        if length > 0 { try larger.narrowed(2, 0, length).copy(from: tensor.narrowed(2, 0, length)) }
        return larger
    }
}
