internal import CTorch

/// A seeded source of random numbers; its stream is that of `torch.Generator` with the same seed.
public final class Generator {
    let reference: vt_generator_t

    public init(seed: UInt64, device: Device = .cpu) throws {
        var out: vt_generator_t?
        try check(vt_generator_new(device.kind.rawValue, Int32(device.index), seed, &out), "generator")
        reference = out!
    }

    deinit { vt_generator_release(reference) }

    /// The state as a tensor of bytes, to be saved with a checkpoint.
    public func state() throws -> Tensor {
        var out: vt_tensor_t?
        try check(vt_generator_state(reference, &out), "generator state")
        return Tensor(owning: out!)
    }

    public func setState(_ state: Tensor) throws {
        try check(vt_generator_set_state(reference, state.reference), "generator state", [state.shape])
    }
}

/// Seeds libtorch's default generators, which operators without a generator of their own draw from.
public func manualSeed(_ seed: UInt64) throws { try check(vt_manual_seed(seed), "manual seed") }
