public import Torch

/// Where the values of named parameters come from: a checkpoint, or several.
public protocol TensorSource {
    /// The tensor of that name; nil when there is none.
    func tensor(named name: String) throws -> Tensor?
    var names: [String] { get }
    /// What to call the source in an error, such as a file's path.
    var label: String { get }
}

/// How a parameter starts when no checkpoint gives it.
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
/// Layers ask for their parameters by path as they are constructed. With a source every value is read from it, and
/// ``finish()`` reports everything that is missing, mis-shaped or left over; without one the values are initialised.
public final class ParameterStore {
    public enum Origin {
        case initialised(Generator)
        case loaded(any TensorSource)
    }

    public let origin: Origin
    public let device: Device
    /// The dtype that parameters are held in; nil keeps the source's.
    public let dtype: DType?
    public private(set) var names: [String] = []
    private var values: [String: Tensor] = [:]
    private var missing: [String] = []
    private var misshaped: [String] = []

    public init(_ origin: Origin, device: Device = .cpu, dtype: DType? = .float32) {
        self.origin = origin
        self.device = device
        self.dtype = dtype
    }

    /// The place from which a network's layers build their paths.
    public var root: ParameterPath { ParameterPath(store: self, name: "") }

    public var parameters: [Tensor] { names.map { values[$0]! } }
    public var named: [(name: String, tensor: Tensor)] { names.map { ($0, values[$0]!) } }
    public subscript(name: String) -> Tensor? { values[name] }

    /// How many numbers the parameters hold.
    public var count: Int { values.values.reduce(0) { $0 + $1.count } }

    fileprivate func parameter(_ name: String, _ shape: [Int], _ initializer: Initializer) throws -> Tensor {
        precondition(values[name] == nil, "parameter \(name) is registered twice")
        let tensor = try value(name, shape, initializer)
        names.append(name)
        values[name] = tensor
        return tensor
    }

    private func value(_ name: String, _ shape: [Int], _ initializer: Initializer) throws -> Tensor {
        switch origin {
        case .initialised(let generator):
            let tensor = try Tensor.zeros(shape, dtype: .float32)
            try initializer.fill(tensor, generator)
            return try tensor.to(device: device, dtype: dtype)
        case .loaded(let source):
            guard let tensor = try source.tensor(named: name) else {
                missing.append(name)
                return try Tensor.zeros([0])
            }
            guard tensor.shape == shape else {
                misshaped.append("\(name) is \(tensor.shape), expected \(shape)")
                return tensor
            }
            return try tensor.to(device: device, dtype: dtype)
        }
    }

    /// To be called when the network is built.
    ///
    /// - Throws: ``ParameterError`` that lists missing, mis-shaped and unexpected names of the source.
    public func finish() throws {
        guard case .loaded(let source) = origin else { return }
        let unexpected = source.names.filter { values[$0] == nil }.sorted()
        guard missing.isEmpty, misshaped.isEmpty, unexpected.isEmpty else {
            throw ParameterError(
                label: source.label, missing: missing, misshaped: misshaped, unexpected: unexpected)
        }
    }
}

/// A checkpoint that does not fit the network it was opened for.
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

    public subscript(_ child: String) -> ParameterPath {
        ParameterPath(store: store, name: name.isEmpty ? child : "\(name).\(child)")
    }
    public subscript(_ child: Int) -> ParameterPath { self["\(child)"] }

    /// Registers the parameter `name` under this path and gives its tensor.
    public func parameter(_ name: String, _ shape: [Int], _ initializer: Initializer) throws -> Tensor {
        try store.parameter(self[name].name, shape, initializer)
    }
}
