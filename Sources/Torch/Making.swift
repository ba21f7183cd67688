extension Tensor {
    /// All elements the same number.
    public static func full(
        _ shape: [Int], _ value: Double, dtype: DType = .float32, device: Device = .cpu
    ) throws -> Tensor {
        try Aten.full(shape, value, dtype, nil as Int?, device)
    }

    public static func zeros(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws -> Tensor
    {
        try full(shape, 0, dtype: dtype, device: device)
    }

    public static func ones(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
        try full(shape, 1, dtype: dtype, device: device)
    }

    /// Memory with whatever is in it.
    public static func empty(_ shape: [Int], dtype: DType = .float32, device: Device = .cpu) throws -> Tensor
    {
        try Aten.empty(shape, dtype, nil as Int?, device)
    }

    public func zerosLike() throws -> Tensor { try Aten.zerosLike(self) }
    public func onesLike() throws -> Tensor { try Aten.onesLike(self) }

    /// `start`, `start + step`, … before `end`.
    public static func arange(
        _ start: Double = 0, _ end: Double, step: Double = 1, dtype: DType = .float32, device: Device = .cpu
    ) throws -> Tensor {
        try Aten.arange(start, end, step, dtype, nil as Int?, device)
    }

    /// The identity matrix.
    public static func eye(_ size: Int, dtype: DType = .float32, device: Device = .cpu) throws -> Tensor {
        try Aten.eye(size, dtype, nil as Int?, device)
    }

    /// Standard normal numbers from `generator`'s stream.
    public static func randn(
        _ shape: [Int], generator: Generator, dtype: DType = .float32, device: Device = .cpu
    ) throws -> Tensor {
        try Aten.randn(shape, generator, dtype, nil as Int?, device)
    }

    /// Uniform numbers in 0..<1 from `generator`'s stream.
    public static func rand(
        _ shape: [Int], generator: Generator, dtype: DType = .float32, device: Device = .cpu
    ) throws -> Tensor {
        try Aten.rand(shape, generator, dtype, nil as Int?, device)
    }

    /// The integers before `count` in a random order.
    public static func randomPermutation(_ count: Int, generator: Generator) throws -> Tensor {
        try Aten.randperm(count, generator, DType.int64)
    }

    /// Integers from `range`, each as likely as the others.
    public static func randomIntegers(_ range: Range<Int>, _ shape: [Int], generator: Generator) throws
        -> Tensor
    {
        try Aten.randint(range.lowerBound, range.upperBound, shape, generator, DType.int64)
    }

    /// Draws `samples` column numbers a row, with the rows' weights as probabilities.
    public func multinomial(_ samples: Int, replacement: Bool = false, generator: Generator) throws -> Tensor
    {
        try Aten.multinomial(self, samples, replacement, generator)
    }

    /// Fills in place with normal numbers.
    public func fillNormal(mean: Double = 0, std: Double = 1, generator: Generator) throws {
        try withoutGrad { try Aten.normal_.perform(self, mean, std, generator) }
    }

    /// Fills in place with uniform numbers.
    public func fillUniform(_ low: Double, _ high: Double, generator: Generator) throws {
        try withoutGrad { try Aten.uniform_.perform(self, low, high, generator) }
    }

    /// Fills in place with nearly normal numbers that depend on nothing but the seed and the place, on all threads.
    ///
    /// For weights by the billion. The tensor must be contiguous, on the CPU, and of bfloat16, float16 or float32.
    public func fillRandom(mean: Double = 0, std: Double = 1, seed: UInt64) throws {
        try withoutGrad { try Aten.fillRandom_.perform(self, mean, std, Int(bitPattern: UInt(seed))) }
    }

    /// Joins tensors along an axis that they have.
    public static func cat(_ tensors: [Tensor], axis: Int = 0) throws -> Tensor {
        try Aten.cat(tensors, axis)
    }

    /// Joins tensors along a new axis.
    public static func stack(_ tensors: [Tensor], axis: Int = 0) throws -> Tensor {
        try Aten.stack(tensors, axis)
    }

    /// Elements of `a` where `mask` is true, of `b` elsewhere; all three broadcast.
    public static func `where`(_ mask: Tensor, _ a: Tensor, _ b: Tensor) throws -> Tensor {
        try Aten.whereSelf(mask, a, b)
    }
}

/// The order of an image tensor's elements in memory.
public enum MemoryFormat: Int, Sendable, OperatorArgument {
    case contiguous = 0
    case preserve = 1
    /// N, H, W, C in memory under an N, C, H, W shape: what oneDNN's convolutions are fastest on.
    case channelsLast = 2

    public func push() { rawValue.push() }
}

extension Tensor {
    /// Copies to another device or dtype; returns itself where nothing changes.
    public func to(device: Device? = nil, dtype: DType? = nil) throws -> Tensor {
        let (sameDevice, sameDtype) = (
            device == nil || device == self.device, dtype == nil || dtype == self.dtype
        )
        if sameDevice && sameDtype { return self }
        return try Aten.toDtypeLayout(self, dtype ?? self.dtype, nil as Int?, device ?? self.device)
    }

    public func to(_ dtype: DType) throws -> Tensor { try to(dtype: dtype) }
    public func to(_ device: Device) throws -> Tensor { try to(device: device) }

    public func clone() throws -> Tensor { try Aten.clone(self) }
    public func contiguous(_ format: MemoryFormat = .contiguous) throws -> Tensor {
        let x = try Aten.contiguous(self, format)
        // A batch of one is contiguous whatever its stride is, but convolutions know channels-last by that stride, too: where
        // it is not what it would be in a larger batch, they and all that follows them would lay pixels out anew.
        let isPlain =
            format != .channelsLast || x.rank != 4 || x.strides[0] == x.count / Swift.max(x.size(0), 1)
        return try isPlain ? x : Aten.clone(x, format)
    }
    /// The same storage, outside any gradient.
    public func detached() throws -> Tensor { try Aten.detach(self) }
    /// Overwrites the elements in place; shapes broadcast, dtypes convert.
    public func copy(from other: Tensor) throws { try withoutGrad { try Aten.copy_.perform(self, other) } }
    public func fill(_ value: Double) throws { try withoutGrad { try Aten.fill_.perform(self, value) } }

    public func view(_ shape: [Int]) throws -> Tensor { try Aten.view(self, shape) }
    /// The same bytes read as another dtype of the same size.
    public func bitcast(to dtype: DType) throws -> Tensor { try Aten.viewDtype(self, dtype) }
    /// -1 stands for what is left, once.
    public func reshaped(_ shape: Int...) throws -> Tensor { try Aten.reshape(self, shape) }
    public func reshaped(_ shape: [Int]) throws -> Tensor { try Aten.reshape(self, shape) }
    public func permuted(_ axes: Int...) throws -> Tensor { try Aten.permute(self, axes) }
    public func transposed(_ a: Int, _ b: Int) throws -> Tensor { try Aten.transpose(self, a, b) }
    public func unsqueezed(_ axis: Int) throws -> Tensor { try Aten.unsqueeze(self, axis) }
    public func squeezed(_ axis: Int) throws -> Tensor { try Aten.squeeze(self, axis) }
    /// Joins the axes from `start` to `end`, both included.
    public func flattened(_ start: Int = 0, _ end: Int = -1) throws -> Tensor {
        try Aten.flatten(self, start, end)
    }
    public func unflattened(_ axis: Int, _ sizes: [Int]) throws -> Tensor {
        try Aten.unflatten(self, axis, sizes)
    }
    /// Repeats axes of length 1 without copying; -1 keeps an axis.
    public func expanded(_ shape: Int...) throws -> Tensor { try Aten.expand(self, shape) }
    public func expanded(_ shape: [Int]) throws -> Tensor { try Aten.expand(self, shape) }
    /// Copies the whole tensor so many times along each axis.
    public func repeated(_ times: Int...) throws -> Tensor { try Aten.repeatOp(self, times) }
    /// Copies each element so many times in place along an axis.
    public func repeatedInterleaved(_ times: Int, axis: Int) throws -> Tensor {
        try Aten.repeatInterleave(self, times, axis)
    }
    public func narrowed(_ axis: Int, _ start: Int, _ length: Int) throws -> Tensor {
        try Aten.narrow(self, axis, start, length)
    }
    public func split(_ sizes: [Int], axis: Int = 0) throws -> [Tensor] {
        try Aten.split.all(self, sizes, axis)
    }
    public func chunked(_ chunks: Int, axis: Int = 0) throws -> [Tensor] {
        try Aten.chunk.all(self, chunks, axis)
    }
    public func flipped(_ axes: Int...) throws -> Tensor { try Aten.flip(self, axes) }
    public func rolled(_ shifts: [Int], axes: [Int]) throws -> Tensor { try Aten.roll(self, shifts, axes) }
    public func tril(_ diagonal: Int = 0) throws -> Tensor { try Aten.tril(self, diagonal) }
    public func triu(_ diagonal: Int = 0) throws -> Tensor { try Aten.triu(self, diagonal) }

    /// Rows (or other slices) of an axis, by their numbers.
    public func indexSelected(_ axis: Int, _ index: Tensor) throws -> Tensor {
        try Aten.indexSelect(self, axis, index)
    }
    /// `out[i][j] = self[index[i][j]][j]` for axis 0, and so on.
    public func gathered(_ axis: Int, _ index: Tensor) throws -> Tensor { try Aten.gather(self, axis, index) }
    public func scattered(_ axis: Int, _ index: Tensor, _ source: Tensor) throws -> Tensor {
        try Aten.scatter(self, axis, index, source)
    }
    public func scatterAdded(_ axis: Int, _ index: Tensor, _ source: Tensor) throws -> Tensor {
        try Aten.scatterAdd(self, axis, index, source)
    }
    public func maskedFilled(_ mask: Tensor, _ value: Double) throws -> Tensor {
        try Aten.maskedFill(self, mask, value)
    }
    /// The positions of non-zero elements, a row each: `[found, rank]`.
    public func nonzero() throws -> Tensor { try Aten.nonzero(self) }
}
