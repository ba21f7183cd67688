public import Torch

/// Where the values of named parameters come from: a checkpoint, or several.
public protocol TensorSource {
    /// The tensor of that name; nil when there is none.
    func tensor(named name: String) throws -> Tensor?
    var names: [String] { get }
    /// What to call the source in an error, such as a file's path.
    var label: String { get }
    /// The name of a tensor in an error, as it is in the file: `name` itself, unless the source renames.
    func originalName(of name: String) -> String
}

extension TensorSource {
    public func originalName(of name: String) -> String { name }
}

/// The initial value of a parameter without a checkpoint.
public enum Initializer: Sendable {
    case zeros
    case ones
    case constant(Double)
    case normal(std: Double)
    case uniform(Double)
    /// PyTorch's default for linear layers and convolutions: uniform within 1 / sqrt(fan in).
    case fanIn(Int)

    func fill(_ tensor: Tensor, _ generator: Generator) throws {
        switch self {
        case .zeros: break
        case .ones: try tensor.fill(1)
        case .constant(let value): try tensor.fill(value)
        case .normal(let std): try tensor.fillNormal(std: std, generator: generator)
        case .uniform(let bound): try tensor.fillUniform(-bound, bound, generator: generator)
        case .fanIn(let count):
            let bound = 1 / Double(count).squareRoot()
            try tensor.fillUniform(-bound, bound, generator: generator)
        }
    }
}

/// All parameters of a network by name, in the order in which its layers were built.
///
/// Layers ask for their parameters by path while they are constructed. With a source, every value is read from it, and
/// ``finish()`` reports everything that is missing, superfluous or of another shape. Without one, values are
/// initialised.
public final class ParameterStore {
    public enum Origin {
        case initialised(Generator)
        case loaded(any TensorSource)
        /// No values: every parameter is a view of a single zero. Only names and shapes are of use.
        case outlined
    }

    public let origin: Origin
    public let device: Device
    /// The dtype that parameters are held in; nil keeps the source's.
    public let dtype: DType?
    /// The dtype in which linear layers and convolutions are held and computed; inputs and outputs keep theirs. Nil for
    /// ``dtype``.
    public let productDType: DType?
    /// Whether parameters never change. Layers may then hold copies that are faster to use.
    public let isFixed: Bool
    /// Which linear layers get a low-rank update.
    public let lora: LoRAConfiguration?
    /// Which tables get new rows.
    public let newRows: NewRowsConfiguration?
    public private(set) var names: [String] = []
    private var values: [String: Tensor] = [:]
    private var misfits: [Sort: Misfits] = [:]
    private var loraOrigin: Origin?

    /// The sort of a parameter. Each sort has a separate source.
    private enum Sort {
        case base, lora, newRows

        init(_ name: String) { self = LoRA.isPart(name) ? .lora : NewRows.isPart(name) ? .newRows : .base }
    }

    /// What a source lacks.
    private struct Misfits {
        var missing: [String] = []
        var misshaped: [String] = []
    }

    public init(
        _ origin: Origin, device: Device = .cpu, dtype: DType? = .float32, productDType: DType? = nil,
        isFixed: Bool = false, lora: LoRAConfiguration? = nil, newRows: NewRowsConfiguration? = nil
    ) {
        self.origin = origin
        self.device = device
        self.dtype = dtype
        self.productDType = productDType
        self.isFixed = isFixed
        self.lora = lora
        self.newRows = newRows
    }

    /// The parameters of another network with separate gradients: shared, or copies on another device.
    public convenience init(sharing other: ParameterStore, on device: Device? = nil) {
        struct Shared: TensorSource {
            let store: ParameterStore
            var names: [String] { store.names }
            var label: String { "the other network" }
            func tensor(named name: String) throws -> Tensor? { try store[name]?.detached() }
        }
        let source = Shared(store: other)
        var (lora, newRows) = (other.lora, other.newRows)
        lora?.source = source
        newRows?.source = source
        // Without a dtype every parameter keeps its own.
        self.init(
            .loaded(source), device: device ?? other.device, dtype: nil, productDType: other.productDType,
            lora: lora, newRows: newRows)
    }

    /// The dtypes of parameters and of products, for a `dtype` that is for products if it has 16 bits.
    public static func mixed(_ dtype: DType?) -> (dtype: DType?, productDType: DType?) {
        dtype == .bfloat16 || dtype == .float16 ? (.float32, dtype) : (dtype, nil)
    }

    /// Whether a parameter was added to the network by ``lora`` or ``newRows``.
    public static func isAdded(_ name: String) -> Bool { Sort(name) != .base }

    /// The place from which a network's layers build their paths.
    public var root: ParameterPath { ParameterPath(store: self, name: "", productDType: productDType) }

    public var parameters: [Tensor] { names.map { values[$0]! } }
    public var named: [(name: String, tensor: Tensor)] { names.map { ($0, values[$0]!) } }
    public subscript(name: String) -> Tensor? { values[name] }

    /// The number of elements of all parameters.
    public var count: Int { values.values.reduce(0) { $0 + $1.count } }

    fileprivate func parameter(
        _ name: String, _ shape: [Int], _ initializer: Initializer, dtype: DType?
    ) throws -> Tensor {
        try register(name, value(name, shape, initializer, from: origin, dtype: dtype, .base))
    }

    /// A convolution's kernel is stored channels-last, like its pictures; otherwise every call would reorder it. A
    /// kernel in this order is not copied, because it may be shared.
    fileprivate func kernel(
        _ name: String, _ shape: [Int], _ initializer: Initializer, dtype: DType?
    ) throws -> Tensor {
        let kernel = try value(name, shape, initializer, from: origin, dtype: dtype, .base)
        if case .outlined = origin { return register(name, kernel) }
        return register(name, try kernel.rank == 4 ? kernel.contiguous(.channelsLast) : kernel)
    }

    /// The low-rank update of the layer at `path`; nil if it gets none.
    fileprivate func lora(_ path: String, _ input: Int, _ output: Int, dtype: DType) throws -> LoRA? {
        guard let lora, lora.targets(path) else { return nil }
        if loraOrigin == nil {
            loraOrigin = try lora.source.map(Origin.loaded) ?? .initialised(Generator(seed: lora.seed))
        }
        let rank = lora.rank(of: path)
        func matrix(_ name: String, _ shape: [Int], _ initializer: Initializer) throws -> Tensor {
            let name = "\(path).\(name)"
            return try register(
                name, value(name, shape, initializer, from: loraOrigin!, dtype: lora.dtype ?? dtype, .lora))
        }
        return LoRA(
            a: try matrix(LoRA.names.a, [rank, input], .fanIn(input)),
            b: try matrix(LoRA.names.b, [output, rank], .zeros), scale: lora.scale(of: path))
    }

    /// The new rows of the table at `path`; nil if it gets none.
    fileprivate func newRows(_ path: String, of table: Tensor) throws -> NewRows? {
        guard let newRows, newRows.means(path), table.rank == 2 else { return nil }
        let (count, width) = table.shape2
        guard newRows.ids.lowerBound <= count else {
            throw ConfigurationError(
                part: path,
                reason: "new rows begin at \(newRows.ids.lowerBound), after the end of \(count) rows")
        }
        let (name, shape) = ("\(path).\(NewRows.name)", [newRows.ids.count, width])
        let dtype = newRows.dtype ?? table.dtype
        let rows: Tensor
        if let source = newRows.source {
            rows = try value(name, shape, .zeros, from: .loaded(source), dtype: dtype, .newRows)
        } else {
            let mean = try table.detached().to(.float32).mean(0, keepDims: true)
            rows = try mean.repeated(newRows.ids.count, 1).to(dtype)
        }
        return NewRows(ids: newRows.ids, weight: register(name, rows))
    }

    private func register(_ name: String, _ tensor: Tensor) -> Tensor {
        precondition(values[name] == nil, "parameter \(name) is registered twice")
        names.append(name)
        values[name] = tensor
        return tensor
    }

    private func value(
        _ name: String, _ shape: [Int], _ initializer: Initializer, from origin: Origin, dtype: DType?,
        _ sort: Sort
    ) throws -> Tensor {
        switch origin {
        case .initialised(let generator):
            let tensor = try Tensor.zeros(shape, dtype: .float32)
            try initializer.fill(tensor, generator)
            return try tensor.to(device: device, dtype: dtype)
        case .outlined: return try Tensor.zeros([1], dtype: dtype ?? .float32).expanded(shape)
        case .loaded(let source):
            guard let tensor = try source.tensor(named: name) else {
                misfits[sort, default: Misfits()].missing.append(source.originalName(of: name))
                return try Tensor.zeros([0])
            }
            guard tensor.shape == shape else {
                let original = source.originalName(of: name)
                misfits[sort, default: Misfits()].misshaped.append(
                    "\(original) is \(tensor.shape), expected \(shape)")
                return tensor
            }
            return try tensor.to(device: device, dtype: dtype)
        }
    }

    /// To be called when the network is built.
    ///
    /// - Throws: ``ParameterError`` that lists the names that are missing, superfluous or of another shape, in the
    ///   source or in LoRA's; ``ConfigurationError`` when a target of LoRA's is no layer.
    public func finish() throws {
        if case .loaded(let source) = origin { try check(source, .base) }
        if let source = lora?.source { try check(source, .lora) }
        if let source = newRows?.source { try check(source, .newRows) }
        guard let lora, lora.source == nil else { return }
        for target in lora.targets where !names.contains(where: { lora.isUpdate($0, by: target) }) {
            throw ConfigurationError(part: "LoRA", reason: "the target \(target) is no linear layer")
        }
    }

    private func check(_ source: any TensorSource, _ sort: Sort) throws {
        let misfits = misfits[sort] ?? Misfits()
        let unexpected = source.names.filter { values[$0] == nil || Sort($0) != sort }
            .map(source.originalName).sorted()
        guard misfits.missing.isEmpty, misfits.misshaped.isEmpty, unexpected.isEmpty else {
            throw ParameterError(
                label: source.label, missing: misfits.missing, misshaped: misfits.misshaped,
                unexpected: unexpected)
        }
    }
}

/// A checkpoint does not fit the network it was opened for.
public struct ParameterError: Error, CustomStringConvertible {
    public let label: String
    public let missing: [String]
    public let misshaped: [String]
    public let unexpected: [String]

    public var description: String {
        func part(_ title: String, _ names: [String]) -> [String] {
            guard !names.isEmpty else { return [] }
            let shown = names.prefix(8).joined(separator: ", ")
            return ["\(names.count) \(title): \(shown)\(names.count > 8 ? ", …" : "")"]
        }
        let parts =
            part("missing", missing) + part("of the wrong shape", misshaped) + part("unexpected", unexpected)
        return "\(label): parameters do not fit the configuration (\(parts.joined(separator: "; ")))"
    }
}

/// A place in the tree of parameter names; `path["q_proj"]` goes one step down.
public struct ParameterPath {
    let store: ParameterStore
    public let name: String
    /// The dtype of products here; nil for that of their input.
    let productDType: DType?

    public subscript(_ child: String) -> ParameterPath {
        ParameterPath(
            store: store, name: name.isEmpty ? child : "\(name).\(child)", productDType: productDType)
    }
    public subscript(_ child: Int) -> ParameterPath { self["\(child)"] }

    /// The same place without the store's ``ParameterStore/productDType``, for layers that need exact products.
    public var exact: ParameterPath { ParameterPath(store: store, name: name, productDType: nil) }

    /// Registers the parameter `name` under this path and returns its tensor.
    public func parameter(_ name: String, _ shape: [Int], _ initializer: Initializer) throws -> Tensor {
        try store.parameter(self[name].name, shape, initializer, dtype: store.dtype)
    }

    /// The same for the weight or bias of a product.
    func factor(_ name: String, _ shape: [Int], _ initializer: Initializer) throws -> Tensor {
        try store.parameter(self[name].name, shape, initializer, dtype: productDType ?? store.dtype)
    }

    /// The same for the kernel of a convolution, channels-last.
    func kernel(_ name: String, _ shape: [Int], _ initializer: Initializer) throws -> Tensor {
        try store.kernel(self[name].name, shape, initializer, dtype: productDType ?? store.dtype)
    }

    /// The low-rank update of the linear layer at this path, when the store gives it one.
    func lora(_ input: Int, _ output: Int, dtype: DType) throws -> LoRA? {
        try store.lora(name, input, output, dtype: dtype)
    }

    /// The new rows of the table at this path, when the store gives it some.
    func newRows(of table: Tensor) throws -> NewRows? { try store.newRows(name, of: table) }
}
