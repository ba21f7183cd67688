// LUMEN's dense aligner (arXiv 2403.07304, section 3.2): the [LOC] query and the learned output tokens [M], [W], [H]
// attend to the image, and the image to them, in two two-way blocks. Each map is the inner product of its token with
// the image. Matches Tools/reference/lumen.py, Aligner; proven by PerceptionTests.
public import NN
public import Torch

/// Few tokens attend to many cells. The key and value projections of the cells are folded onto the tokens: the same
/// algebra, (q W_k^T) x in place of q (W_k x), with much less work.
struct TokensToImage {
    let q: Linear
    let k: Linear
    let v: Linear
    let o: Linear
    let heads: Int

    init(_ path: ParameterPath, _ width: Int, heads: Int) throws {
        q = try Linear(path["q_proj"], width, width)
        k = try Linear(path["k_proj"], width, width, bias: false)
        v = try Linear(path["v_proj"], width, width)
        o = try Linear(path["o_proj"], width, width)
        self.heads = heads
    }

    /// `tokens` [g, t, d], `image` [g, n, d] to [g, t, d].
    func callAsFunction(_ tokens: Tensor, _ image: Tensor) throws -> Tensor {
        let (g, t, d) = tokens.shape3
        let e = d / heads
        let queries = try q(tokens).view([g, t, heads, e]) * (1 / Double(e).squareRoot())
        let keys = try einsum("gthe,hed->gthd", queries, k.weight.view([heads, e, d]).to(queries.dtype))
        let scores = try matmul(keys.reshaped(g, t * heads, d), image.transposed(1, 2))
        let read = try matmul(scores.softmax(-1).to(image.dtype), image).view([g, t, heads, d])
        let values = try einsum("gthd,hed->gthe", read, v.weight.view([heads, e, d]).to(read.dtype))
        return try o(values.reshaped(g, t, d) + v.bias!.to(values.dtype))
    }
}

/// Many cells attend to few tokens. The query and output projections of the cells are folded onto the tokens.
struct ImageToTokens {
    let q: Linear
    let k: Linear
    let v: Linear
    let o: Linear
    let heads: Int

    init(_ path: ParameterPath, _ width: Int, heads: Int) throws {
        q = try Linear(path["q_proj"], width, width)
        k = try Linear(path["k_proj"], width, width)
        v = try Linear(path["v_proj"], width, width)
        o = try Linear(path["o_proj"], width, width)
        self.heads = heads
    }

    /// `image` [g, n, d], `tokens` [g, queries, t, d] to [g, queries, n, d].
    func callAsFunction(_ image: Tensor, _ tokens: Tensor) throws -> Tensor {
        let (g, queries, t, d) = tokens.shape4
        let (e, n) = (d / heads, image.size(1))
        let key = try k(tokens).view([g, queries, t, heads, e]) * (1 / Double(e).squareRoot())
        let keys = try einsum("gqthe,hed->gqhtd", key, q.weight.view([heads, e, d]).to(key.dtype))
        let bias = try einsum("gqthe,he->gqht", key, q.bias!.view([heads, e]).to(key.dtype))
        let scores = try matmul(image, keys.reshaped(g, -1, d).transposed(1, 2)) + bias.reshaped(g, 1, -1)
        let weights = try scores.view([g, n, queries, heads, t]).softmax(-1).to(image.dtype)
            .permuted(0, 2, 1, 3, 4).reshaped(g, queries, n, heads * t)
        let value = try v(tokens).view([g, queries, t, heads, e])
        let values = try einsum("gqthe,dhe->gqhtd", value, o.weight.view([d, heads, e]).to(value.dtype))
            .reshaped(g, queries, heads * t, d)
        return try matmul(weights, values) + o.bias!.to(values.dtype)
    }
}

/// One block of the aligner: tokens among themselves, tokens to image, feed-forward, image to tokens.
struct TwoWayBlock {
    let selfNorm: LayerNorm
    let selfAttention: SelfAttention
    let tokenNorm: LayerNorm
    let imageNorm: LayerNorm
    let tokensToImage: TokensToImage
    let mlpNorm: LayerNorm
    let mlp: MLP
    let imageToTokens: ImageToTokens
    let imageMLPNorm: LayerNorm
    let imageMLP: MLP

    init(_ path: ParameterPath, _ width: Int, heads: Int) throws {
        selfNorm = try LayerNorm(path["self_norm"], width)
        selfAttention = try SelfAttention(path["self_attention"], width, heads: heads)
        tokenNorm = try LayerNorm(path["token_norm"], width)
        imageNorm = try LayerNorm(path["image_norm"], width)
        tokensToImage = try TokensToImage(path["tokens_to_image"], width, heads: heads)
        mlpNorm = try LayerNorm(path["mlp_norm"], width)
        mlp = try MLP(path["mlp"], width, 2 * width, width)
        imageToTokens = try ImageToTokens(path["image_to_tokens"], width, heads: heads)
        imageMLPNorm = try LayerNorm(path["image_mlp_norm"], width)
        imageMLP = try MLP(path["image_mlp"], width, 2 * width, width)
    }

    /// - Parameters:
    ///   - tokens: [b, queries, t, d].
    ///   - image: [g, n, d]. In the first block g is b, because all queries still share their image; in later blocks it
    ///     is b * queries.
    /// - Returns: tokens [b, queries, t, d] and image [b * queries, n, d].
    func callAsFunction(_ tokens: Tensor, _ image: Tensor) throws -> (Tensor, Tensor) {
        let (b, queries, count, width) = tokens.shape4
        let (g, n, _) = image.shape3
        var t = try tokens.flattened(0, 1)
        t = try selfAttention(selfNorm(t), plus: t)
        let normed = try imageNorm(image)
        t =
            try t
            + tokensToImage(tokenNorm(t).reshaped(g, -1, width), normed).reshaped(b * queries, count, width)
        t = try mlp(mlpNorm(t), plus: t)
        let change = try imageToTokens(normed, t.reshaped(g, -1, count, width))
        let x = try (image.unsqueezed(1) + change).reshaped(b * queries, n, width)
        return (try t.view([b, queries, count, width]), try imageMLP(imageMLPNorm(x), plus: x))
    }
}

/// What an ``Aligner`` computes from pictures for all queries, once.
public struct AlignerImage {
    /// [b, n, hidden size].
    let cells: Tensor
    /// The patches' rows and columns.
    let grid: (height: Int, width: Int)
    /// [b, n, cells of the maps in a patch, map channels]: what the finer map adds to each cell.
    let fine: Tensor?
    /// [b, cells of the maps, features]: what the match compares a phrase with.
    let offered: Tensor?
    /// [b, 1, cells of the maps, 2 or 4]: the dense head's log sizes and offsets.
    let boxes: Tensor?
}

/// The aligner's answer to a query, on a grid of `height` x `width` cells.
public struct AlignerMaps {
    /// [b, queries, cells]: logits of the target's centre being in the cell.
    public let heat: Tensor
    /// [b, queries, cells, 2]: log(width / 16), log(height / 16), in pixels of the encoder's input.
    public let logSize: Tensor
    /// [b, queries, cells, 2]: the vector from the cell's centre to the target's, right and down, in cells; nil for an
    /// aligner without these maps.
    public let offset: Tensor?
    /// [b, queries, attributes + groups + 2 or 5]: what the attribute head reads from the query. In order: logits of
    /// the attributes that the phrase names; for each group a logit of "not said"; the centre x and y of the target,
    /// in 0...1. With ``AlignerConfiguration/placeMatch`` also: a logit of the phrase meaning one thing, and the
    /// centre of the thing that its relation starts from. Nil for an aligner without a match term.
    public let named: Tensor?
    public let grid: (height: Int, width: Int)
}

/// Finds where something is in an image: a heatmap and box sizes from the last hidden state at [LOC].
public final class Aligner {
    public let configuration: AlignerConfiguration
    let query: Linear
    let outputTokens: Tensor
    let tokensProj: Linear
    let positions: Tensor
    let fineTokens: Conv2d?
    let blocks: [TwoWayBlock]
    let fuse: [Conv2d]
    let queryTokens: Tensor?
    let norm: LayerNorm
    let up: Linear
    let fineUp: Linear?
    let upNorm: LayerNorm
    let upProj: Linear
    let mapHeads: [MLP]
    let mapBias: Tensor
    let attributes: Linear?
    let matchNorm: LayerNorm?
    let matchQuery: Linear?
    let matchKey: Linear?
    let placeGain: Tensor?
    let relation: Linear?

    /// - Throws: ``NN/ConfigurationError`` for sizes that do not fit together.
    public init(_ path: ParameterPath, _ configuration: AlignerConfiguration) throws {
        try configuration.check()
        let (width, hidden) = (configuration.languageSize, configuration.hiddenSize)
        let (channels, factor) = (configuration.mapChannels, configuration.upsample)
        let (fine, names) = (configuration.fineChannels, configuration.attributeCount)
        query = try Linear(path["query"], width, hidden)
        let maps = configuration.mapCount
        outputTokens = try path.parameter("output_tokens", [maps, hidden], .normal(std: 0.5))
        tokensProj = try Linear(path["tokens_proj"], configuration.imageSize, hidden)
        positions = try path.parameter(
            "position_embedding", [1, configuration.tokenCount, hidden], .normal(std: 0.02))
        fineTokens =
            fine > 0
            ? try Conv2d(
                path["fine_tokens"], fine, hidden, kernel: factor, stride: factor, initializer: .zeros) : nil
        let fusion = configuration.fusion ?? .transformer
        blocks = try (0..<(fusion == .transformer ? configuration.numHiddenLayers : 0)).map {
            try TwoWayBlock(path["blocks"][$0], hidden, heads: configuration.numAttentionHeads)
        }
        fuse = try (0..<(fusion == .convolution ? 2 : 0)).map {
            try Conv2d(path["fuse"][$0], $0 == 0 ? 2 * hidden : hidden, hidden, kernel: 3, padding: 1)
        }
        queryTokens = try configuration.queryCount.map {
            try path.parameter("query_tokens", [$0, hidden], .normal(std: 0.5))
        }
        norm = try LayerNorm(path["norm"], hidden)
        up = try Linear(path["up"], hidden, factor * factor * channels)
        fineUp = fine > 0 ? try Linear(path["fine_up"], fine, channels, initializer: .zeros) : nil
        upNorm = try LayerNorm(path["up_norm"], channels)
        upProj = try Linear(path["up_proj"], channels, channels)
        mapHeads = try (0..<maps).map { try MLP(path["map_heads"][$0], hidden, hidden, channels) }
        mapBias = try path.parameter("map_bias", [maps], .zeros)
        let (matched, groups) = (names > 0, configuration.attributeGroups.count)
        let comparesPlaces = matched && configuration.placeMatch ?? false
        attributes =
            matched
            ? try Linear(path.exact["attributes"], width, names + groups + configuration.placeRows) : nil
        let compared = matched && configuration.match ?? true
        matchNorm = compared ? try LayerNorm(path["match_norm"], configuration.headChannels) : nil
        let match = configuration.matchChannels
        matchQuery = compared ? try Linear(path.exact["match_query"], width + names + groups, match) : nil
        matchKey =
            compared
            ? try Linear(path.exact["match_key"], configuration.headChannels + names + 1, match) : nil
        placeGain =
            comparesPlaces ? try path.parameter("place_gain", [1], .constant(Self.placeGainStart)) : nil
        relation =
            configuration.relations ?? false
            ? try Linear(path.exact["relation"], width, 5, initializer: .zeros) : nil
        self.configuration = configuration
    }

    /// At first, a cell at a distance of three tenths of the picture has the full cost. As places become exact,
    /// training makes this distance smaller.
    private static let placeGainStart = 4.5
    private static let placeCost = 8.0

    /// Sets the initial values of a training from random weights, beyond those of the layers.
    ///
    /// The match starts as gain x (groups that agree - (groups - 1)). A group agrees with the probability that phrase
    /// and cell name the same attribute. A group that the phrase does not name agrees fully; but an unnamed kind
    /// agrees with the probability that there is anything in the cell. So the heat of a named thing starts as the
    /// dense head's, before the transformer has bound any word to a place. The first channels are those of the names,
    /// and two more. The others are free to learn.
    public func initialise() throws {
        try withoutGrad {
            try mapBias.assign(-4, at: 0)
            // The maps begin as those of the encoder's dense head and the match.
            try upProj.weight.zero_()
            try upProj.bias!.zero_()
            if let attributes {
                // Before anything is learnt, a phrase names nothing.
                let (names, groups) = (configuration.attributeCount, configuration.attributeGroups.count)
                try attributes.bias!.assign(4, at: names..<(names + groups))
            }
            guard let matchQuery, let matchKey else { return }
            let (width, head) = (configuration.languageSize, configuration.headChannels)
            let (names, groups) = (configuration.attributeCount, configuration.attributeGroups)
            let gain = configuration.matchGain
            // A free channel adds nothing until its query weights are learnt.
            try matchQuery.weight.zero_()
            for (layer, offset) in [(matchQuery, width), (matchKey, head)] {
                try layer.weight.multiply_(0.3)
                try layer.weight.assign(0, at: .all, offset...)
                try layer.weight.assign(0, at: ..<(names + 2), ..<offset)
                try layer.bias!.zero_()
                for index in 0..<names {
                    try layer.weight.assign(gain.squareRoot(), at: index, offset + index)
                }
            }
            try matchQuery.weight.assign(gain.squareRoot(), at: names + 1, width + names)
            try matchKey.weight.assign(gain.squareRoot(), at: names + 1, head + names)
            var start = groups[0]
            for (group, count) in groups.enumerated().dropFirst() {
                try matchQuery.weight.assign(
                    gain.squareRoot(), at: start..<(start + count), width + names + group)
                start += count
            }
            let constant = (Double(groups.count - 1) * gain).squareRoot()
            try matchQuery.bias!.assign(constant, at: names)
            try matchKey.bias!.assign(-constant, at: names)
        }
    }

    /// Computes what is the same for all queries about the pictures.
    ///
    /// - Parameters:
    ///   - tokens: [b, n, image width], the encoder's patches.
    ///   - grid: the patches' rows and columns.
    ///   - fine: the encoder's finer map, where the configuration uses it.
    ///   - fineAttributes: the dense head's probabilities on it.
    ///   - dense: the dense head's logits, log sizes, and offsets where the configuration has offset maps.
    public func image(
        tokens: Tensor, grid: (height: Int, width: Int), fine: Tensor?, fineAttributes: Tensor?,
        dense: Tensor?
    ) throws -> AlignerImage {
        var x = try tokensProj(tokens, plus: resizedPositions(positions, to: grid))
        if let fineTokens, let fine {
            let map = try x.transposed(1, 2).view([x.size(0), x.size(2), grid.height, grid.width])
            x = try cellRows(fineTokens(fine, plus: map, relu: false))
        }
        let rows = try fine.map { try cellRows($0) }
        var boxes: Tensor?
        if configuration.attributeCount > 0, let dense {
            let channels = configuration.offsetMaps ? 4 : 2
            boxes = try cellRows(dense.narrowed(1, configuration.attributeCount, channels)).unsqueezed(1)
        }
        var offered: Tensor?
        if let rows, let fineAttributes, matchKey != nil { offered = try self.offered(rows, fineAttributes) }
        let (factor, channels) = (configuration.upsample, configuration.mapChannels)
        // The cells of a patch lie together, as in the upscaled tokens.
        let added = try fineUp.flatMap { layer in
            try rows.map { rows in
                try layer(rows).view([-1, grid.height, factor, grid.width, factor, channels])
                    .transposed(2, 3).reshaped(rows.size(0), -1, factor * factor, channels)
            }
        }
        return AlignerImage(cells: x, grid: grid, fine: added, offered: offered, boxes: boxes)
    }

    /// - Parameters:
    ///   - loc: [b, queries, language width], the last hidden states at [LOC].
    ///   - image: the result of ``image(tokens:grid:fine:fineAttributes:dense:)``.
    public func callAsFunction(_ loc: Tensor, _ image: AlignerImage) throws -> AlignerMaps {
        let (count, together) = (loc.size(1), max(1, Self.mapsTogether / loc.size(0)))
        guard count > together, !isGradEnabled, loc.device == .cpu else { return try maps(loc, image) }
        let parts = try stride(from: 0, to: count, by: together).map { first in
            try maps(loc.narrowed(1, first, min(together, count - first)), image)
        }
        func joined(_ part: (AlignerMaps) -> Tensor) throws -> Tensor { try .cat(parts.map(part), axis: 1) }
        return AlignerMaps(
            heat: try joined(\.heat), logSize: try joined(\.logSize),
            offset: try parts[0].offset.map { _ in try joined { $0.offset! } },
            named: try parts[0].named.map { _ in try joined { $0.named! } }, grid: parts[0].grid)
    }

    /// The number of maps that are computed together without gradients: as many as fit a processor's caches.
    private static let mapsTogether = 8

    private func maps(_ loc: Tensor, _ image: AlignerImage) throws -> AlignerMaps {
        let (factor, hidden) = (configuration.upsample, configuration.hiddenSize)
        var asked = try query(loc)
        let (b, phrases, _) = asked.shape3
        if let queryTokens {
            asked = try (asked.unsqueezed(2) + queryTokens.to(loc.dtype)).reshaped(b, -1, hidden)
        }
        let queries = asked.size(1)
        var t = try Tensor.cat(
            [
                asked.unsqueezed(2),
                outputTokens.to(loc.dtype).expanded(b, queries, mapHeads.count, hidden),
            ], axis: 2)
        var x = image.cells
        if !fuse.isEmpty { x = try fused(x, asked, image.grid) }
        for block in blocks { (t, x) = try block(t, x) }
        let outputs = try norm(t)

        // Each token becomes factor x factor cells.
        let (rows, columns, channels) = (image.grid.height, image.grid.width, configuration.mapChannels)
        let cells = rows * columns * factor * factor
        var u = try up(x).view([b, queries, -1, factor * factor, channels])
        if let fine = image.fine { u = try u + fine.unsqueezed(1) }
        u = try upNorm(u).gelu().view([b, queries, cells, channels])
        let kernels = try Tensor.stack(
            mapHeads.enumerated().map { try $1(outputs[.all, .all, 1 + $0]) }, axis: 2)
        // No activation stands between the projection and the inner products; a ReLU's channels all died at high
        // learning rates. So the few kernels can be projected, and not the many cells.
        let (projected, raised) = (
            try matmul(kernels, upProj.weight.to(kernels.dtype)),
            try matmul(kernels, upProj.bias!.to(kernels.dtype)).unsqueezed(2)
        )
        var maps = try (matmul(u, projected.transposed(2, 3)) + raised).to(.float32) / 8 + mapBias
        maps = try maps.view([b, queries, rows, columns, factor, factor, -1]).transposed(3, 4)
            .reshaped(b, queries, cells, -1)
        if queryTokens != nil {
            // Each cell has the answer of the query with the most heat there.
            let all = try maps.view([b, phrases, -1, cells, configuration.mapCount])
            let surest = try all[.ellipsis, 0].argmax(2, keepDims: true).unsqueezed(4)
            maps = try all.gathered(2, surest.expanded(b, phrases, 1, cells, configuration.mapCount))
                .squeezed(2)
        }

        let grid = (height: rows * factor, width: columns * factor)
        var heat = try maps[.ellipsis, 0]
        var logSize = try maps[.ellipsis, 1..<3]
        var offset = configuration.offsetMaps ? try maps[.ellipsis, 3..<5] : nil
        let named = try attributes.map { try $0(loc).to(.float32) }
        if let named, let offered = image.offered {
            heat = try heat + match(loc, named, offered)
            if let placeGain { heat = try heat - offPlace(named, placeGain, grid) }
        }
        if let boxes = image.boxes {
            logSize = try logSize + boxes[.ellipsis, 0..<2]
            offset = try offset.map { try $0 + boxes[.ellipsis, 2..<4] }
        }
        return AlignerMaps(heat: heat, logSize: logSize, offset: offset, named: named, grid: grid)
    }

    /// The paper's other aligner (table 3a, "Conv."): the query is joined to every patch, and two convolutions follow.
    ///
    /// - Parameters:
    ///   - image: [b, n, d].
    ///   - asked: [b, queries, d].
    ///   - grid: rows and columns of the n patches.
    /// - Returns: [b * queries, n, d].
    private func fused(_ image: Tensor, _ asked: Tensor, _ grid: (height: Int, width: Int)) throws -> Tensor {
        let (b, queries, d) = asked.shape3
        let n = image.size(1)
        var x = try Tensor.cat(
            [
                image.unsqueezed(1).expanded(b, queries, n, d),
                asked.to(image.dtype).unsqueezed(2).expanded(b, queries, n, d),
            ], axis: 3)
        x = try x.reshaped(b * queries, grid.height, grid.width, 2 * d).permuted(0, 3, 1, 2)
        return try cellRows(fuse[1](fuse[0](x).relu()).relu())
    }

    /// Reads attributes from hidden states [..., language width]: see ``AlignerMaps/named``.
    /// Traps for an aligner without a match term.
    public func readAttributes(_ states: Tensor) throws -> Tensor { try attributes!(states) }

    /// The likeliest name of each state in each group of attributes.
    ///
    /// - Parameter read: [n, values], from ``readAttributes(_:)`` or ``AlignerMaps/named``.
    /// - Returns: for each state and group, the number of the name, nil for "not said", and its probability.
    public func names(_ read: Tensor) throws -> [[(name: Int?, probability: Double)]] {
        var names = [[(name: Int?, probability: Double)]](repeating: [], count: read.size(0))
        var start = 0
        for (group, count) in configuration.attributeGroups.enumerated() {
            let unsaid = configuration.attributeCount + group
            let logits = try Tensor.cat(
                [read.narrowed(1, start, count), read.narrowed(1, unsaid, 1)], axis: 1)
            let best = try logits.detached().to(.float32).softmax(1).topK(1)
            let (values, places) = (try best.values.array(Float.self), try best.indices.array(Int.self))
            for row in names.indices {
                names[row].append((places[row] < count ? places[row] : nil, Double(values[row])))
            }
            start += count
        }
        return names
    }

    /// Reads a relation from hidden states [n, language width] before an answer: logits [n, 4] of the direction in the
    /// question (left, right, above, below), and [n] how far one thing lies from the other in that direction, in
    /// shares of the picture, negative on the other side. Traps for an aligner without a relation head.
    public func readRelation(_ states: Tensor) throws -> (direction: Tensor, distance: Tensor) {
        let read = try relation!(states)
        return (try read.narrowed(1, 0, 4), try read[.all, 4])
    }

    /// [b, queries, cells]: the cost of a cell's distance from the place that a phrase for one thing means. It is the
    /// square of the distance in shares of the picture times a gain, up to a limit, and 0 for a phrase that does not
    /// mean one thing. As in the match, no gradient goes through what is read from the phrase.
    private func offPlace(
        _ named: Tensor, _ gain: Tensor, _ grid: (height: Int, width: Int)
    ) throws -> Tensor {
        let first = configuration.attributeCount + configuration.attributeGroups.count
        let read = try named.detached()
        func squares(_ count: Int, _ channel: Int) throws -> Tensor {
            let centres = try (Tensor.arange(0, Double(count), device: named.device) + 0.5) / Double(count)
            return try (centres - read.narrowed(2, first + channel, 1)).pow(2)
        }
        let distance = try squares(grid.height, 1).unsqueezed(3) + squares(grid.width, 0).unsqueezed(2)
        let cost = try minimum(
            distance.flattened(2) * gain.to(.float32).exp(),
            Tensor.full([1], Self.placeCost, device: named.device))
        return try cost * read.narrowed(2, first + 2, 1).sigmoid()
    }

    /// [b, queries, cells], in float32, because large terms cancel in the sum.
    ///
    /// No gradient goes through the probabilities on either side. They have separate losses, and at this gain the
    /// gradients of the heat would drown those.
    private func match(_ loc: Tensor, _ named: Tensor, _ offered: Tensor) throws -> Tensor {
        let (names, groups) = (configuration.attributeCount, configuration.attributeGroups)
        var start = 0
        var said: [Tensor] = []
        var unsaid: [Tensor] = []
        for (group, count) in groups.enumerated() {
            let logits = try Tensor.cat(
                [named.narrowed(2, start, count), named.narrowed(2, names + group, 1)], axis: 2)
            let probabilities = try logits.detached().softmax(2)
            said.append(try probabilities.narrowed(2, 0, count))
            unsaid.append(try probabilities.narrowed(2, count, 1))
            start += count
        }
        return try withFullPrecision(on: loc.device) {
            // There are few phrases and many cells, so the projection of the cells is folded onto the phrases.
            let asked = try matchQuery!(Tensor.cat([loc.to(.float32)] + said + unsaid, axis: 2))
            let (weight, bias) = (try matchKey!.weight.to(.float32), try matchKey!.bias!.to(.float32))
            return try matmul(matmul(asked, weight), offered.transposed(1, 2))
                + matmul(asked, bias).unsqueezed(2)
        }
    }

    /// [b, cells, head channels + attributes + 1]: what the match compares with a phrase, from the cells `fine`
    /// [b, cells, fine channels].
    private func offered(_ fine: Tensor, _ seen: Tensor) throws -> Tensor {
        try withFullPrecision(on: fine.device) {
            let head = try fine.narrowed(2, configuration.fineMapChannels, configuration.headChannels)
                .to(.float32)
            let probabilities = try cellRows(seen.detached())
            let things = configuration.attributeGroups[0] - (configuration.jointCount ?? 0)
            let anything = try probabilities.narrowed(2, 0, things).amax(2, keepDims: true)
            return try Tensor.cat([matchNorm!(head), probabilities, anything], axis: 2)
        }
    }
}

public struct AlignerConfiguration: Codable, CheckedConfiguration, Sendable, Hashable {
    /// Width of the language model, whose [LOC] state is the query.
    public var languageSize: Int
    /// Channels of the encoder's tokens.
    public var imageSize: Int
    public var hiddenSize: Int
    public var numHiddenLayers: Int
    public var numAttentionHeads: Int
    /// Image tokens of the training size.
    public var tokenCount: Int
    /// The number of cells of the maps for each token, along an axis.
    public var upsample: Int
    public var mapChannels: Int
    /// The channels of the encoder's finer map; 0 for an encoder without one.
    public var fineChannels: Int
    /// Of these, the map itself comes first, then the dense head's features.
    public var fineMapChannels: Int
    public var headChannels: Int
    /// The sizes of the groups of attributes that the match term compares; empty for none.
    public var attributeGroups: [Int]
    /// The initial gain of the match, and its channels.
    public var matchGain: Double
    public var matchChannels: Int
    /// Whether two more output tokens give the target's centre within its cell. LUMEN takes the centre of the cell.
    public var offsetMaps: Bool
    /// How many attributes of the first group, the last ones, are joints of a body. A phrase that names no kind does
    /// not mean them. Nil for none.
    public var jointCount: Int?
    /// How query and picture are combined: nil for LUMEN's transformer, or the convolutions of the paper's comparison.
    public var fusion: Fusion?
    /// The number of queries for one [LOC]. At each cell the one with the most heat counts. Nil for LUMEN's single
    /// query.
    public var queryCount: Int?
    /// False for no match term; nil for one.
    public var match: Bool?
    /// Whether the match also compares places, for phrases that mean one thing; nil for no.
    public var placeMatch: Bool?
    /// Whether there is a head for relations, as in "is the star left of the ring?"; only training uses it. Nil for no.
    public var relations: Bool?

    public enum Fusion: String, Codable, Sendable, Hashable {
        case transformer, convolution
    }

    /// Output tokens: [M], [W], [H], and two for offsets.
    var mapCount: Int { offsetMaps ? 5 : 3 }
    public var attributeCount: Int { attributeGroups.reduce(0, +) }
    /// Rows of the attribute head after those of the names and groups.
    package var placeRows: Int { placeMatch ?? false ? 5 : 2 }

    public init(
        languageSize: Int, imageSize: Int, hiddenSize: Int, numHiddenLayers: Int, numAttentionHeads: Int,
        tokenCount: Int, upsample: Int, mapChannels: Int, fineChannels: Int = 0, fineMapChannels: Int = 0,
        headChannels: Int = 0, attributeGroups: [Int] = [], matchGain: Double = 8,
        matchChannels: Int = 128, offsetMaps: Bool = false, jointCount: Int? = nil,
        placeMatch: Bool? = nil, relations: Bool? = nil
    ) {
        self.languageSize = languageSize
        self.imageSize = imageSize
        self.hiddenSize = hiddenSize
        self.numHiddenLayers = numHiddenLayers
        self.numAttentionHeads = numAttentionHeads
        self.tokenCount = tokenCount
        self.upsample = upsample
        self.mapChannels = mapChannels
        self.fineChannels = fineChannels
        self.fineMapChannels = fineMapChannels
        self.headChannels = headChannels
        self.attributeGroups = attributeGroups
        self.matchGain = matchGain
        self.matchChannels = matchChannels
        self.offsetMaps = offsetMaps
        self.jointCount = jointCount
        self.placeMatch = placeMatch
        self.relations = relations
    }

    public func check() throws {
        let check = ConfigurationCheck("aligner")
        try check.within(ConfigurationCheck.layers, ["num_hidden_layers": numHiddenLayers])
        try check.within(ConfigurationCheck.rows, ["token_count": tokenCount])
        try check.within(ConfigurationCheck.factors, ["upsample": upsample])
        try check.positive([
            "language_hidden_size": languageSize, "image_hidden_size": imageSize, "hidden_size": hiddenSize,
            "map_channels": mapChannels,
        ])
        try check.heads(numAttentionHeads, width: hiddenSize)
        try check.within(
            0...ConfigurationCheck.sizes.upperBound,
            [
                "fine_channels": fineChannels, "head_channels": headChannels,
                "fine_map_channels": fineMapChannels, "match_channels": matchChannels,
                "joint_count": jointCount ?? 0,
            ])
        for count in attributeGroups { try check.within(1...4096, ["attribute_groups": count]) }
        try check.that(attributeGroups.count <= 4096, "attribute_groups has \(attributeGroups.count) groups")
        try check.within(1...1024, ["query_count": queryCount ?? 1])
        try check.within(-1e6...1e6, ["match_gain": matchGain])
        try check.that(
            attributeGroups.isEmpty || fineMapChannels + headChannels <= fineChannels,
            "fine_channels is less than fine_map_channels and head_channels together")
        try check.that(
            attributeGroups.isEmpty || matchChannels >= attributeCount + 2,
            "match_channels is \(matchChannels), fewer than the attributes and two more")
    }

    enum CodingKeys: String, CodingKey {
        case languageSize = "language_hidden_size"
        case imageSize = "image_hidden_size"
        case hiddenSize = "hidden_size"
        case numHiddenLayers = "num_hidden_layers"
        case numAttentionHeads = "num_attention_heads"
        case tokenCount = "token_count"
        case upsample
        case mapChannels = "map_channels"
        case fineChannels = "fine_channels"
        case fineMapChannels = "fine_map_channels"
        case headChannels = "head_channels"
        case attributeGroups = "attribute_groups"
        case matchGain = "match_gain"
        case matchChannels = "match_channels"
        case offsetMaps = "offset_maps"
        case jointCount = "joint_count"
        case fusion
        case queryCount = "query_count"
        case match
        case placeMatch = "place_match"
        case relations
    }
}
