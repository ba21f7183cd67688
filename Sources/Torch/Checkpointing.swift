internal import CTorch

/// Runs `body` without keeping its inner values for the gradient: `backward` runs it again and then goes through it
/// (Chen et al., arXiv 1604.06174). It costs a second forward pass of the piece and saves all but its inputs.
///
/// Gradients are the same to the last bit: the second run has the autocast and the default generator's random numbers
/// of the first. Numbers drawn from a ``Generator`` of the caller's would differ.
///
/// - Parameters:
///   - inputs: what flows into the piece and wants gradients, or is computed before it. Parameters may be captured.
///   - body: gives 8 new tensors at most. It runs later again, so what it captures must not change until then.
/// - Throws: what `body` throws; a failure in the second run is a ``TorchError`` of `backward`.
public func checkpointed(_ inputs: [Tensor], _ body: @escaping ([Tensor]) throws -> [Tensor]) throws
    -> [Tensor]
{
    guard vt_grad_enabled() else { return try body(inputs) }
    let piece = Piece(body)
    let context = Unmanaged.passRetained(piece).toOpaque()
    var outputs = [vt_tensor_t?](repeating: nil, count: 8)
    var count = 0
    let status = withExtendedLifetime(inputs) {
        inputs.map(\.reference).withUnsafeBufferPointer {
            vt_checkpoint(
                $0.baseAddress, $0.count, Piece.run, context,
                { Unmanaged<Piece>.fromOpaque($0).release() }, &outputs, outputs.count, &count)
        }
    }
    if let error = piece.error { throw error }
    try check(status, "checkpointed", inputs.map(\.shape))
    return outputs.prefix(count).map { Tensor(owning: $0!) }
}

/// A closure that C++ holds.
private final class Piece {
    let body: ([Tensor]) throws -> [Tensor]
    /// What the first run threw.
    var error: (any Error)?

    init(_ body: @escaping ([Tensor]) throws -> [Tensor]) { self.body = body }

    static let run: vt_piece = { context, inputs, count, outputs in
        let piece = Unmanaged<Piece>.fromOpaque(context).takeUnretainedValue()
        do {
            for tensor in try piece.body((0..<count).map { Tensor(owning: inputs![$0]) }) {
                vt_piece_output(outputs, tensor.reference)
            }
            return VT_OK
        } catch {
            piece.error = error
            return vt_piece_fail("\(error)")
        }
    }
}
