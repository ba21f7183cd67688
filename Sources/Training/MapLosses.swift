import NN
import Torch

/// Products in bfloat16 if that is wanted and the processor has instructions for it.
func withMixedPrecision<Result>(
    _ isWanted: Bool, on device: Device, _ body: () throws -> Result
) throws -> Result {
    let isPossible = device != .cpu || Processor.multipliesBFloat16
    return try withAutocast(isWanted && isPossible ? .bfloat16 : nil, on: device, body)
}

// The losses of heatmaps and boxes, for Mosaic's scenes and for labelled pictures.

/// L1 of the log sizes (LUMEN's), half of the L1 of the offsets, and 1 - IoU; all [n, 2], in the order of the truth.
func boxLoss(logSize: Tensor, offset: Tensor, _ truth: BoxTruth) throws -> Tensor {
    let size = try (logSize - truth.logSize).abs().sum(1)
    let shift = try (offset - truth.offset).abs().sum(1)
    // On each axis there are two intervals: the centres are `offset` in pixels, the lengths come from the logarithms.
    func sides(_ logSize: Tensor, _ offset: Tensor) throws -> (low: Tensor, high: Tensor, length: Tensor) {
        let length = try logSize.clamped(min: -3, max: 4).exp() * 16
        let centre = try offset * truth.stride
        return (try centre - length / 2, try centre + length / 2, length)
    }
    let (a, b) = (try sides(logSize, offset), try sides(truth.logSize, truth.offset))
    let common = try (minimum(a.high, b.high) - maximum(a.low, b.low)).clamped(min: 0)
    func area(_ sides: Tensor) throws -> Tensor { try sides[.all, 0] * sides[.all, 1] }
    let shared = try area(common)
    let overlap = try shared / (area(a.length) + area(b.length) - shared)
    let loss = try size + shift * 0.5 + (1 - overlap)
    return try (loss * truth.weight).sum() / truth.weight.sum()
}

/// CornerNet's penalty-reduced focal loss with a = 2, b = 4, divided by the number of cells that are exactly 1.
/// `attention` is the weight of each cell; nil weighs all equally.
func focal(_ logits: Tensor, _ target: Tensor, _ attention: Tensor? = nil) throws -> Tensor {
    let positive = try (target .>= 0.9999).to(.float32)
    let p = try logits.sigmoid()
    let hit = try positive * (1 - p).pow(2) * logits.logSigmoid()
    let miss = try (1 - positive) * (1 - target).pow(4) * p.pow(2) * (-logits).logSigmoid()
    let all = try attention.map { try (hit + miss) * $0 } ?? hit + miss
    return try -all.sum() / positive.sum().clamped(min: 1)
}
