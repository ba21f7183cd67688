// The Llama architecture. Matches transformers 4.57, models/llama/modeling_llama.py, for `image_heads` 0 and causal
// prefixes, and Tools/reference/lumen.py, LanguageModel, with them; proven by LanguageTests.
public import NN
public import Torch

package struct LlamaAttention {
    let q: Linear
    let k: Linear
    let v: Linear
    let o: Linear
    /// The first three as one layer, if that is faster.
    private let qkv: Linear?
    let heads: Int
    let keyValueHeads: Int
    let headWidth: Int
    /// The number of image heads, the last ones: in them text sees only the image, and there is no rotary embedding.
    let imageHeads: Int
    let causalPrefix: Bool

    init(_ path: ParameterPath, _ configuration: LlamaConfiguration) throws {
        let width = configuration.hiddenSize
        heads = configuration.numAttentionHeads
        keyValueHeads = configuration.numKeyValueHeads
        headWidth = configuration.headWidth
        imageHeads = configuration.imageHeads
        causalPrefix = configuration.prefixAttention == .causal
        let bias = configuration.attentionBias
        q = try Linear(path["q_proj"], width, heads * headWidth, bias: bias)
        k = try Linear(path["k_proj"], width, keyValueHeads * headWidth, bias: bias)
        v = try Linear(path["v_proj"], width, keyValueHeads * headWidth, bias: bias)
        o = try Linear(path["o_proj"], heads * headWidth, width, bias: bias)
        qkv = try Linear(joining: [q, k, v])
    }

    /// Queries, keys and values [n, heads, length, e] of `x` [n, length, width], rotated except in the image heads.
    private func split(_ x: Tensor, _ rotation: Rotation) throws -> (Tensor, Tensor, Tensor) {
        guard let qkv else {
            let (keys, values) = try keysAndValues(x, rotation)
            return (try rotated(separated(q(x)), rotation), keys, values)
        }
        let all = try separated(qkv(x))
        return (
            try rotated(all.narrowed(1, 0, heads), rotation),
            try rotated(all.narrowed(1, heads, keyValueHeads), rotation),
            try all.narrowed(1, heads + keyValueHeads, keyValueHeads)
        )
    }

    func keysAndValues(_ x: Tensor, _ rotation: Rotation) throws -> (keys: Tensor, values: Tensor) {
        (try rotated(separated(k(x)), rotation), try separated(v(x)))
    }

    private func rotated(_ y: Tensor, _ rotation: Rotation) throws -> Tensor {
        try rotation(y, heads: y.size(1) - imageHeads)
    }

    private func separated(_ y: Tensor) throws -> Tensor {
        try y.view([y.size(0), y.size(1), -1, headWidth]).transposed(1, 2)
    }

    private func joined(_ out: Tensor, plus: Tensor) throws -> Tensor {
        try o(out.transposed(1, 2).flattened(2), plus: plus)
    }

    /// Attention of tokens that follow the cache. Their keys and values are added to it.
    ///
    /// - Parameters:
    ///   - x: [n, length, width], normed.
    ///   - plus: what the result is added to.
    ///   - mask: what each token sees; nil for a plain causal mask from the first position on.
    package func callAsFunction(
        _ x: Tensor, plus: Tensor, _ rotation: Rotation, _ cache: TextCache, layer: Int, mask: Tensor?
    ) throws -> Tensor {
        let (b, length, _) = x.shape3
        let (queries, newKeys, newValues) = try split(x, rotation)
        let (keys, values) = try cache.extend(layer, newKeys, newValues)
        guard length == 1 else {
            let out = try scaledDotProductAttention(
                queries, keys, values, mask: mask, causal: mask == nil, groupedQuery: keyValueHeads < heads)
            return try joined(out, plus: plus)
        }
        // The query heads of a group become rows of one query, so no key is copied.
        let rows = try queries.reshaped(b, keyValueHeads, heads / keyValueHeads, headWidth)
        return try joined(
            scaledDotProductAttention(rows, keys, values).reshaped(b, heads, 1, headWidth), plus: plus)
    }

    func prefix(
        _ x: Tensor, plus: Tensor, _ rotation: Rotation
    ) throws -> (out: Tensor, keys: Tensor, values: Tensor) {
        let (queries, keys, values) = try split(x, rotation)
        let out =
            try causalPrefix || keyValueHeads < heads
            ? scaledDotProductAttention(
                queries, keys, values, causal: causalPrefix, groupedQuery: keyValueHeads < heads)
            : attention(queries, keys, values)
        return (try joined(out, plus: plus), keys, values)
    }

    /// - Parameters:
    ///   - x: [b * texts, length, width], normed. The texts of an image are adjacent.
    ///   - plus: what the result is added to.
    ///   - prefix: the image's keys and values [b, heads, p, e], shared by its texts without copies.
    func text(
        _ x: Tensor, plus: Tensor, _ rotation: Rotation, prefix: (keys: Tensor, values: Tensor),
        past: TextCache?,
        layer: Int, mask: Tensor?
    ) throws -> Tensor {
        let (n, length, _) = x.shape3
        let (b, p) = (prefix.keys.size(0), prefix.keys.size(2))
        let texts = n / b
        var (queries, keys, values) = try split(x, rotation)
        if let past { (keys, values) = try past.extend(layer, keys, values) }

        // All texts of an image, and all query heads of a key head, are rows of one matrix:
        // [b * texts, heads, length, c] to [b, key heads, rows, c] and back.
        func folded(_ y: Tensor, _ keyHeads: Int) throws -> Tensor {
            let (_, h, l, c) = y.shape4
            if texts == 1 && h == keyHeads { return y }
            return try y.reshaped(b, texts, keyHeads, h / keyHeads, l, c).permuted(0, 2, 1, 3, 4, 5)
                .reshaped(b, keyHeads, -1, c)
        }
        func unfolded(_ y: Tensor, _ h: Int) throws -> Tensor {
            let (_, keyHeads, _, c) = y.shape4
            if texts == 1 && h == keyHeads { return y }
            return try y.reshaped(b, keyHeads, texts, h / keyHeads, length, c).permuted(0, 2, 1, 3, 4, 5)
                .reshaped(n, h, length, c)
        }

        let textHeads = heads - imageHeads
        let textKeyHeads = keyValueHeads - imageHeads
        let asked = try queries.narrowed(1, 0, textHeads) * (1 / Double(headWidth).squareRoot())
        let farKeys = try prefix.keys.narrowed(1, 0, textKeyHeads)
        let farValues = try prefix.values.narrowed(1, 0, textKeyHeads)
        let nearKeys = try keys.narrowed(1, 0, textKeyHeads).repeatedForGroups(textHeads / textKeyHeads)
        let nearValues = try values.narrowed(1, 0, textKeyHeads).repeatedForGroups(textHeads / textKeyHeads)
        let far = try unfolded(matmul(folded(asked, textKeyHeads), farKeys.transposed(2, 3)), textHeads)
        var near = try matmul(asked, nearKeys.transposed(2, 3))
        if let mask { near = try near + mask.to(near.dtype) }
        let weights = try Tensor.cat([far, near], axis: 3).softmax(-1).to(values.dtype)
        let fromImage = try unfolded(
            matmul(folded(weights.narrowed(3, 0, p), textKeyHeads), farValues), textHeads)
        var out = try fromImage + matmul(weights.narrowed(3, p, weights.size(3) - p), nearValues)
        if imageHeads > 0 {
            let seen = try attention(
                folded(queries.narrowed(1, textHeads, imageHeads), imageHeads),
                prefix.keys.narrowed(1, textKeyHeads, imageHeads),
                prefix.values.narrowed(1, textKeyHeads, imageHeads))
            out = try .cat([out, unfolded(seen, imageHeads)], axis: 1)
        }
        return try joined(out, plus: plus)
    }
}

extension Tensor {
    /// Repeats each key head for every query head of its group.
    fileprivate func repeatedForGroups(_ groups: Int) throws -> Tensor {
        groups == 1 ? self : try repeatedInterleaved(groups, axis: 1)
    }
}

package struct LlamaMLP: Layer {
    let gate: Linear
    let up: Linear
    let down: Linear

    init(_ path: ParameterPath, _ width: Int, _ intermediate: Int, bias: Bool) throws {
        gate = try Linear(path["gate_proj"], width, intermediate, bias: bias)
        up = try Linear(path["up_proj"], width, intermediate, bias: bias)
        down = try Linear(path["down_proj"], intermediate, width, bias: bias)
    }

    package func callAsFunction(_ x: Tensor) throws -> Tensor {
        try self(x, plus: nil)
    }

    /// The same, and adds `plus`, of the outputs' shape.
    func callAsFunction(_ x: Tensor, plus: Tensor?) throws -> Tensor {
        try inDType(gate.productDType, x) {
            try down(up($0, times: gate($0, activation: .silu)), plus: plus)
        }
    }
}

package struct LlamaBlock {
    package let attention: LlamaAttention
    package let mlp: LlamaMLP
    package let inputNorm: RMSNorm
    package let postAttentionNorm: RMSNorm

    init(_ path: ParameterPath, _ configuration: LlamaConfiguration) throws {
        let (width, epsilon) = (configuration.hiddenSize, configuration.rmsNormEps)
        attention = try LlamaAttention(path["self_attn"], configuration)
        mlp = try LlamaMLP(
            path["mlp"], width, configuration.intermediateSize, bias: configuration.mlpBias)
        inputNorm = try RMSNorm(path["input_layernorm"], width, epsilon: epsilon)
        postAttentionNorm = try RMSNorm(path["post_attention_layernorm"], width, epsilon: epsilon)
    }
}

/// A decoder-only language model.
///
/// A prefix (an image, or an image and the text before it) is computed once. Any number of texts can then follow it, in
/// parallel or token by token.
public final class Llama {
    public let configuration: LlamaConfiguration
    let embedTokens: Embedding
    package let blocks: [LlamaBlock]
    let norm: RMSNorm
    let head: Linear?
    package let rotary: Rotary
    /// Whether training keeps only the inputs of each block, and recomputes the block in the backward pass.
    public var recomputesBlocks = false

    /// - Throws: ``NN/ConfigurationError`` for sizes that do not fit together.
    public init(_ path: ParameterPath, _ configuration: LlamaConfiguration) throws {
        try configuration.check()
        let model = path["model"]
        embedTokens = try Embedding(
            model["embed_tokens"], configuration.vocabSize, configuration.hiddenSize,
            std: configuration.initializerRange)
        blocks = try (0..<configuration.numHiddenLayers).map {
            try LlamaBlock(model["layers"][$0], configuration)
        }
        norm = try RMSNorm(model["norm"], configuration.hiddenSize, epsilon: configuration.rmsNormEps)
        head =
            configuration.tieWordEmbeddings
            ? nil
            : try Linear(path["lm_head"], configuration.hiddenSize, configuration.vocabSize, bias: false)
        rotary = try Rotary(
            width: configuration.headWidth, theta: configuration.ropeTheta,
            scaling: configuration.ropeScaling,
            device: embedTokens.weight.device)
        self.configuration = configuration
    }

    /// Starts the image heads of all layers but the last as similarity maps, with equal, orthonormal query and key
    /// rows.
    public func initialise(_ generator: Generator) throws {
        let (width, e) = (configuration.hiddenSize, configuration.headWidth)
        try withoutGrad {
            for block in blocks.dropLast() {
                for index
                    in (configuration.numAttentionHeads - configuration.imageHeads)..<configuration
                    .numAttentionHeads
                {
                    let random = try Tensor.randn([width, e], generator: generator)
                    let basis = try orthonormal(random).transposed(0, 1) * 1.4
                    try block.attention.q.weight.assign(basis, at: (index * e)..<((index + 1) * e))
                    try block.attention.k.weight.assign(basis, at: (index * e)..<((index + 1) * e))
                }
            }
        }
    }

    /// The table of input embeddings [vocabulary, hidden].
    public var embeddingWeight: Tensor { embedTokens.weight }

    /// Input embeddings [..., hidden] of token ids.
    public func embed(_ ids: Tensor) throws -> Tensor { try embedTokens(ids) }

    /// Rows of the embedding table for the ids given.
    public func wordEmbeddings(_ ids: [Int]) throws -> Tensor {
        try embedTokens(Tensor(ids).to(embedTokens.weight.device))
    }

    /// Runs input embeddings [b, n, hidden] that follow the cache, and adds their keys and values to it.
    ///
    /// This is the path of a published Llama: the prompt at once, then token by token.
    ///
    /// - Returns: last hidden states [b, n, hidden].
    /// - Throws: ``LanguageError/tooLong(tokens:limit:)`` if there are more tokens in all than the context allows.
    public func callAsFunction(_ embeddings: Tensor, _ cache: TextCache) throws -> Tensor {
        let (start, length) = (cache.length, embeddings.size(1))
        try checkLength(start + length)
        let rotation = try rotary.rotation(from: start, length, embeddings.dtype)
        let mask =
            start == 0 || length == 1
            ? nil
            : try Tensor.ones([length, start + length], dtype: .bool, device: embeddings.device).tril(start)
        var x = embeddings
        for (layer, block) in blocks.enumerated() {
            x = try block.attention(
                block.inputNorm(x), plus: x, rotation, cache, layer: layer, mask: mask)
            x = try block.mlp(block.postAttentionNorm(x), plus: x)
        }
        return try norm(x)
    }

    /// Runs a prefix of input embeddings [b, p, hidden]. The last layer computes only keys and values, because texts
    /// need nothing else of it.
    public func prefix(_ embeddings: Tensor) throws -> PrefixCache {
        try checkLength(embeddings.size(1))
        let rotation = try rotary.rotation(from: 0, embeddings.size(1), embeddings.dtype)
        var x = embeddings
        var layers: [(keys: Tensor, values: Tensor)] = []
        for (index, block) in blocks.enumerated() {
            let isLast = index == blocks.count - 1
            let results = try run([x]) { inputs in
                let normed = try block.inputNorm(inputs[0])
                if isLast {
                    let (keys, values) = try block.attention.keysAndValues(normed, rotation)
                    return [keys, values]
                }
                let (x, keys, values) = try block.attention.prefix(normed, plus: inputs[0], rotation)
                return [keys, values, try block.mlp(block.postAttentionNorm(x), plus: x)]
            }
            x = results.last!
            layers.append((results[0], results[1]))
        }
        return PrefixCache(layers: layers)
    }

    /// Runs texts that follow a prefix.
    ///
    /// - Parameters:
    ///   - ids: [b, texts, length].
    ///   - prefix: of the b images.
    ///   - past: the tokens between the prefix and these; these are added to it.
    /// - Returns: last hidden states [b, texts, length, hidden].
    public func text(_ ids: Tensor, after prefix: PrefixCache, past: TextCache? = nil) throws -> Tensor {
        try text(ids, after: prefix, past: past, depths: [blocks.count])[0]
    }

    /// The same, and the hidden states [b, texts, length, hidden] at each of `depths`, which ascend: numbers of
    /// layers, 0 before the first one. They are normalised like the last hidden states.
    public func text(
        _ ids: Tensor, after prefix: PrefixCache, past: TextCache? = nil, depths: [Int]
    ) throws -> [Tensor] {
        let (b, texts, length) = ids.shape3
        var states: [Tensor] = []
        let before = past?.length ?? 0
        try checkLength(prefix.length + before + length)
        var x = try embedTokens(ids.flattened(0, 1))
        let rotation = try rotary.rotation(from: prefix.length + before, length, x.dtype)
        // A single token needs no mask. Of several, none sees later ones.
        let mask =
            length == 1
            ? nil : try Tensor.full([length, before + length], -1e4, device: ids.device).triu(before + 1)
        func keep(_ depth: Int) throws {
            guard depths.contains(depth) else { return }
            states.append(try norm(x).view([b, texts, length, configuration.hiddenSize]))
        }
        try keep(0)
        for (index, block) in blocks.enumerated() {
            let (keys, values) = prefix.layers[index]
            x = try run([x, keys, values], isRepeatable: past == nil) { inputs in
                let x = try block.attention.text(
                    block.inputNorm(inputs[0]), plus: inputs[0], rotation, prefix: (inputs[1], inputs[2]),
                    past: past, layer: index, mask: mask)
                return [try block.mlp(block.postAttentionNorm(x), plus: x)]
            }[0]
            try keep(index + 1)
        }
        return states
    }

    /// How strongly states attend to each token of their image: the scores of the image heads before the softmax, in
    /// the next block.
    ///
    /// - Parameters:
    ///   - states: [n, hidden], as ``text(_:after:past:depths:)`` gives them after `depth` blocks.
    ///   - depth: below the number of blocks.
    ///   - images: [n], the number of each state's image.
    ///   - prefix: of the images.
    /// - Returns: [n, image heads, p].
    public func imageScores(
        _ states: Tensor, depth: Int, images: Tensor, prefix: PrefixCache
    ) throws -> Tensor {
        let (block, heads, e) = (blocks[depth], configuration.imageHeads, configuration.headWidth)
        let queries = try block.attention.q(normed(states, for: block))
            .narrowed(1, (configuration.numAttentionHeads - heads) * e, heads * e).view([-1, heads, e, 1])
        let keys = prefix.layers[depth].keys
        let seen = try keys.narrowed(1, keys.size(1) - heads, heads).indexSelected(0, images)
        return try matmul(seen, queries.to(seen.dtype)).squeezed(3) * (1 / Double(e).squareRoot())
    }

    /// How strongly one token of each text attends to the tokens of the image and of the text: the scores, before the
    /// softmax, of the last head that sees text, in the next block.
    ///
    /// - Parameters:
    ///   - states: [n, length, hidden] of whole texts, as ``text(_:after:past:depths:)`` gives them after `depth`
    ///     blocks.
    ///   - tokens: [n], the attending token of each text; it sees no later ones.
    ///   - depth: below the number of blocks.
    ///   - images: [n], the number of each text's image.
    ///   - prefix: of the images.
    /// - Returns: [n, p + length].
    public func textScores(
        _ states: Tensor, of tokens: Tensor, depth: Int, images: Tensor, prefix: PrefixCache
    ) throws -> Tensor {
        let (block, e) = (blocks[depth], configuration.headWidth)
        let (n, length, _) = states.shape3
        let head = configuration.numAttentionHeads - configuration.imageHeads - 1
        let keyHead = configuration.numKeyValueHeads - configuration.imageHeads - 1
        let normed = try normed(states, for: block)
        let rotation = try rotary.rotation(from: prefix.length, length, normed.dtype)
        func turned(_ layer: Linear, _ head: Int) throws -> Tensor {
            try rotation(layer(normed).narrowed(2, head * e, e).unsqueezed(1)).squeezed(1)
        }
        let first = try Tensor.arange(0, Double(n), dtype: .int64, device: tokens.device) * Double(length)
        let query = try turned(block.attention.q, head).reshaped(-1, e)
            .indexSelected(0, (first + tokens).to(.int64)).unsqueezed(2)
        let far = try prefix.layers[depth].keys.narrowed(1, keyHead, 1).squeezed(1).indexSelected(0, images)
        let near = try matmul(turned(block.attention.k, keyHead), query).to(.float32)
        let later =
            try Tensor.arange(0, Double(length), device: tokens.device).unsqueezed(0)
            .> tokens.to(.float32).unsqueezed(1)
        return try Tensor.cat(
            [matmul(far, query.to(far.dtype)).to(.float32), near], axis: 1
        ).squeezed(2) * (1 / Double(e).squareRoot())
            + Tensor.cat(
                [Tensor.zeros([n, prefix.length], device: tokens.device), later.to(.float32) * -1e4], axis: 1)
    }

    /// Turns states of `text` into the input of a block's attention: the two norms differ only in their weights.
    private func normed(_ states: Tensor, for block: LlamaBlock) throws -> Tensor {
        try states / norm.weight * block.inputNorm.weight
    }

    /// Runs a block. It is recomputed in the backward pass if that is wanted and a second run gives the same result.
    private func run(
        _ inputs: [Tensor], isRepeatable: Bool = true, _ block: @escaping ([Tensor]) throws -> [Tensor]
    ) throws -> [Tensor] {
        try recomputesBlocks && isRepeatable ? checkpointed(inputs, block) : block(inputs)
    }

    /// Scores [..., vocabulary] of the next token, from hidden states.
    public func logits(_ hidden: Tensor) throws -> Tensor {
        try head.map { try $0(hidden) } ?? linear(hidden, embedTokens.weight)
    }

    private func checkLength(_ length: Int) throws {
        guard length <= configuration.maxPositionEmbeddings else {
            throw LanguageError.tooLong(tokens: length, limit: configuration.maxPositionEmbeddings)
        }
    }
}

public enum LanguageError: Error, CustomStringConvertible {
    case tooLong(tokens: Int, limit: Int)
    /// An option of a generation is out of its bounds.
    case badOption(String)
    /// Scores of tokens are NaN or infinite.
    case notNumbers

    public var description: String {
        switch self {
        case .tooLong(let tokens, let limit):
            "text of \(tokens) tokens, image included, is over the model's limit of \(limit)"
        case .badOption(let text): text
        case .notNumbers:
            "what the language model computes is no number (NaN or infinite): its weights hold some that are none, or are too large "
                + "for what is computed in (--dtype float32)"
        }
    }
}
