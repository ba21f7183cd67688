internal import CTorch

/// Runs `body` without recording gradients.
public func withoutGrad<Result>(_ body: () throws -> Result) rethrows -> Result {
    let before = vt_grad_enabled()
    vt_set_grad_enabled(false)
    defer { vt_set_grad_enabled(before) }
    return try body()
}

/// Whether gradients are being recorded.
package var isGradEnabled: Bool { vt_grad_enabled() }

/// Runs `body` recording gradients, also inside ``withoutGrad(_:)``.
public func withGrad<Result>(_ body: () throws -> Result) rethrows -> Result {
    let before = vt_grad_enabled()
    vt_set_grad_enabled(true)
    defer { vt_set_grad_enabled(before) }
    return try body()
}

/// Runs `body` in libtorch's inference mode: nothing is recorded, and tensors made inside can never be
/// part of a gradient.
public func withInference<Result>(_ body: () throws -> Result) rethrows -> Result {
    let scope = vt_inference_enter()
    defer { vt_inference_leave(scope) }
    return try body()
}

/// Runs `body` with matrix products and convolutions in `dtype`; weights are cast at each use.
///
/// `nil` leaves everything as it is, so that a configuration's choice can be passed on.
public func withAutocast<Result>(
    _ dtype: DType?, on device: Device = .cpu, _ body: () throws -> Result
) throws -> Result {
    guard let dtype else { return try body() }
    return try autocast(true, dtype.rawValue, device.kind.rawValue, body)
}

/// Runs `body` with autocast switched off, for the few places where float32 is needed inside it.
public func withFullPrecision<Result>(on device: Device = .cpu, _ body: () throws -> Result) throws -> Result
{
    try autocast(false, vt_autocast_dtype(device.kind.rawValue), device.kind.rawValue, body)
}

private func autocast<Result>(
    _ wanted: Bool, _ dtype: Int32, _ type: Int32, _ body: () throws -> Result
) throws -> Result {
    let (enabled, before) = (vt_autocast_enabled(type), vt_autocast_dtype(type))
    try check(vt_autocast_enter(type, wanted, dtype), "autocast")
    let result: Result
    do {
        result = try body()
    } catch {
        try check(vt_autocast_leave(type, enabled, before), "autocast")
        throw error
    }
    try check(vt_autocast_leave(type, enabled, before), "autocast")
    return result
}
