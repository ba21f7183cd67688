internal import CTorch

/// An n-dimensional array of libtorch's, on the CPU or a GPU.
///
/// A tensor is a reference: a copy of the struct names the same storage, as in PyTorch. It is not
/// `Sendable`; what owns tensors (an engine, a trainer) keeps them to itself.
public struct Tensor {
    /// Frees its one reference when the last copy of the struct is gone.
    final class Handle {
        let reference: vt_tensor_t
        init(_ reference: vt_tensor_t) { self.reference = reference }
        deinit { vt_tensor_release(reference) }
    }

    let handle: Handle

    var reference: vt_tensor_t { handle.reference }

    /// Takes over a reference that the C boundary handed out.
    init(owning reference: vt_tensor_t) { handle = Handle(reference) }

    /// How many tensor references are alive in the process; a loop that leaks shows here.
    public static var liveCount: Int { Int(vt_live_tensors()) }

    // MARK: Shape

    public var rank: Int { Int(vt_tensor_rank(reference)) }
    public var shape: [Int] { (0..<rank).map { Int(vt_tensor_size(reference, Int64($0))) } }
    public var strides: [Int] { (0..<rank).map { Int(vt_tensor_stride(reference, Int64($0))) } }
    public var count: Int { Int(vt_tensor_count(reference)) }
    public var dtype: DType { DType(rawValue: vt_tensor_dtype(reference))! }
    public var device: Device {
        Device(
            Device.Kind(rawValue: vt_tensor_device_type(reference)) ?? .cpu,
            index: Swift.max(0, Int(vt_tensor_device_index(reference))))
    }
    public var isContiguous: Bool { vt_tensor_is_contiguous(reference) }

    /// The length of an axis; negative axes count from the end.
    public func size(_ axis: Int) -> Int {
        let axis = axis < 0 ? axis + rank : axis
        precondition(axis >= 0 && axis < rank, "axis \(axis) of a tensor of rank \(rank)")
        return Int(vt_tensor_size(reference, Int64(axis)))
    }

    /// The lengths of a tensor of rank 2. Traps on any other rank.
    public var shape2: (Int, Int) {
        precondition(rank == 2, "rank 2 expected, shape is \(shape)")
        return (size(0), size(1))
    }
    /// The lengths of a tensor of rank 3. Traps on any other rank.
    public var shape3: (Int, Int, Int) {
        precondition(rank == 3, "rank 3 expected, shape is \(shape)")
        return (size(0), size(1), size(2))
    }
    /// The lengths of a tensor of rank 4. Traps on any other rank.
    public var shape4: (Int, Int, Int, Int) {
        precondition(rank == 4, "rank 4 expected, shape is \(shape)")
        return (size(0), size(1), size(2), size(3))
    }

    // MARK: From and to Swift

    /// A CPU tensor with a copy of `values`, in row-major order.
    ///
    /// - Throws: ``TorchError`` when `values` does not fill `shape`.
    public init<Element: TensorElement>(_ values: [Element], _ shape: [Int]? = nil) throws {
        let shape = shape ?? [values.count]
        guard elementCount(shape) == values.count else {
            throw TorchError(
                kind: .value, operation: "Tensor", shapes: [shape],
                message: "\(values.count) values do not fill the shape")
        }
        let box = Unmanaged.passRetained(ArrayBox(values))
        let data = box.takeUnretainedValue().pointer
        var out: vt_tensor_t?
        let status = shape.map(Int64.init).withUnsafeBufferPointer {
            vt_tensor_over(
                data, $0.baseAddress, $0.count, Element.dtype.rawValue, box.toOpaque(),
                { Unmanaged<AnyObject>.fromOpaque($0!).release() }, &out)
        }
        try check(status, "Tensor", [shape])
        self.init(owning: out!)
    }

    /// A tensor of rank 0.
    public init<Element: TensorElement>(_ value: Element) throws { try self.init([value], []) }

    /// A CPU tensor over memory that `owner` keeps alive; nothing is copied.
    ///
    /// The memory must not be written through the tensor when it is mapped read-only.
    public init(
        over data: UnsafeRawPointer, _ shape: [Int], _ dtype: DType, owner: AnyObject
    ) throws {
        var out: vt_tensor_t?
        let status = shape.map(Int64.init).withUnsafeBufferPointer {
            vt_tensor_over(
                UnsafeMutableRawPointer(mutating: data), $0.baseAddress, $0.count, dtype.rawValue,
                Unmanaged.passRetained(owner).toOpaque(), { Unmanaged<AnyObject>.fromOpaque($0!).release() },
                &out)
        }
        try check(status, "Tensor", [shape])
        self.init(owning: out!)
    }

    /// The elements in row-major order, converted to `Element`'s dtype and copied from whatever device.
    public func array<Element: TensorElement>(_ type: Element.Type = Element.self) throws -> [Element] {
        try withBytes(as: Element.dtype) { Array($0.bindMemory(to: Element.self)) }
    }

    /// Calls `body` with the elements in row-major order in the CPU's memory.
    public func withBytes<Result>(
        as dtype: DType? = nil, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        let plain = try detached().to(device: .cpu, dtype: dtype ?? self.dtype).contiguous()
        return try withExtendedLifetime(plain) {
            try body(
                UnsafeRawBufferPointer(
                    start: vt_tensor_data(plain.reference), count: plain.count * plain.dtype.size))
        }
    }

    /// The only element as a floating-point number.
    public func item() throws -> Double {
        var value = 0.0
        try check(vt_tensor_item_double(reference, &value), "item", [shape])
        return value
    }

    /// The only element as an integer.
    public func intItem() throws -> Int {
        var value: Int64 = 0
        try check(vt_tensor_item_int(reference, &value), "item", [shape])
        return Int(value)
    }

    // MARK: Gradients

    public var requiresGrad: Bool { vt_tensor_requires_grad(reference) }

    /// Marks a leaf as one whose gradient is wanted.
    @discardableResult
    public func requireGrad(_ value: Bool = true) throws -> Tensor {
        try check(vt_tensor_set_requires_grad(reference, value), "requires_grad", [shape])
        return self
    }

    /// The gradient that `backward` left here; nil before.
    public var grad: Tensor? { vt_tensor_grad(reference).map { Tensor(owning: $0) } }

    /// Sets or forgets the gradient.
    public func setGrad(_ grad: Tensor?) throws {
        try check(vt_tensor_set_grad(reference, grad?.reference), "grad", [shape])
    }

    /// Adds the gradient of this scalar to every leaf that it came from.
    public func backward() throws { try check(vt_tensor_backward(reference), "backward", [shape]) }
}

extension Tensor: CustomStringConvertible {
    public var description: String {
        let few = count <= 64 ? (try? array(Double.self)).map { " \($0)" } ?? "" : ""
        return "Tensor(\(shape), \(dtype), \(device))\(few)"
    }
}

/// The number of elements; nil for a shape with a negative length or too large for an integer.
private func elementCount(_ shape: [Int]) -> Int? {
    var count = 1
    for length in shape {
        let (product, overflow) = count.multipliedReportingOverflow(by: length)
        guard length >= 0, !overflow else { return nil }
        count = product
    }
    return count
}

/// Keeps the memory of a tensor that was made from an array.
private final class ArrayBox<Element> {
    let pointer: UnsafeMutableRawPointer
    init(_ values: [Element]) {
        let bytes = values.count * MemoryLayout<Element>.stride
        // libtorch's vector kernels like 64-byte alignment.
        pointer = .allocate(byteCount: max(bytes, 1), alignment: 64)
        values.withUnsafeBytes {
            pointer.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(pointer), byteCount: bytes)
        }
    }
    deinit { pointer.deallocate() }
}
