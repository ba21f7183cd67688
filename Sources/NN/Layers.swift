public import Torch

/// A layer from one tensor to one tensor.
public protocol Layer {
    func callAsFunction(_ x: Tensor) throws -> Tensor
}

/// Runs `body` on `x` in another dtype, and casts the result back to the dtype of `x`; nil casts nothing.
public func inDType(_ dtype: DType?, _ x: Tensor, _ body: (Tensor) throws -> Tensor) throws -> Tensor {
    guard let dtype else { return try body(x) }
    return try body(x.to(dtype)).to(x.dtype)
}

/// `x @ weight^T + bias` over the last axis, with LoRA and new rows if its store asks for them.
public struct Linear: Layer {
    public let weight: Tensor
    public let bias: Tensor?
    public let lora: LoRA?
    public let newRows: NewRows?
    /// What the product is computed in, where that is not its input's dtype.
    public let productDType: DType?
    /// The weight, packed for this machine's kernel. Only for a store whose parameters never change.
    let packedWeight: Tensor?

    /// - Parameters:
    ///   - path: where `weight` and `bias` are registered.
    ///   - input: the length of the input's last axis.
    ///   - output: the length of the output's last axis.
    ///   - bias: whether there is a bias.
    ///   - initializer: nil for PyTorch's default.
    public init(
        _ path: ParameterPath, _ input: Int, _ output: Int, bias: Bool = true, initializer: Initializer? = nil
    ) throws {
        weight = try path.factor("weight", [output, input], initializer ?? .fanIn(input))
        self.bias = bias ? try path.factor("bias", [output], initializer ?? .fanIn(input)) : nil
        productDType = path.productDType
        packedWeight = try path.store.isFixed ? packed(weight) : nil
        lora = try path.lora(input, output, dtype: weight.dtype)
        newRows = try path.newRows(of: weight)
    }

    /// Joins layers with the same input into one, whose outputs lie side by side. Nil if that would be slower, or if a
    /// layer has more than a product and a bias.
    public init?(joining layers: [Linear]) throws {
        guard layers.allSatisfy({ $0.isPacked && $0.lora == nil && $0.newRows == nil }) else { return nil }
        let biases = layers.compactMap(\.bias)
        guard biases.isEmpty || biases.count == layers.count else { return nil }
        weight = try .cat(layers.map(\.weight), axis: 0)
        bias = try biases.isEmpty ? nil : .cat(biases, axis: 0)
        packedWeight = try packed(weight)
        (lora, newRows, productDType) = (nil, nil, nil)
    }

    /// Whether the weight is packed for this machine's kernel.
    private var isPacked: Bool { packedWeight?.rank == 1 && productDType == nil }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try self(x, activation: .none) }

    /// `plus + times * activation(outputs)`.
    public func callAsFunction(
        _ x: Tensor, activation: LinearActivation = .none, times: Tensor? = nil, plus: Tensor? = nil
    ) throws -> Tensor {
        guard lora != nil || newRows != nil || productDType != nil else {
            return try linear(
                x, weight, bias, packed: packedWeight, activation: activation, times: times, plus: plus)
        }
        var out = try inDType(productDType, x) { x in
            var out = try linear(x, weight, bias)
            if let lora { out = try out + lora(x).to(out.dtype) }
            if let newRows { out = try newRows.scored(x, out) }
            return try activation.applied(to: out)
        }
        if let times { out = try out.to(times.dtype) * times }
        return try plus.map { try $0 + out.to($0.dtype) } ?? out
    }
}

extension LinearActivation {
    fileprivate func applied(to x: Tensor) throws -> Tensor {
        switch self {
        case .none: x
        case .gelu: try x.gelu()
        case .silu: try x.silu()
        }
    }
}

/// A convolution of [n, in, h, w] with a square kernel.
public struct Conv2d: Layer {
    public let weight: Tensor
    public let bias: Tensor?
    public let stride: Int
    public let padding: Int
    /// What the product is computed in, where that is not its input's dtype.
    public let productDType: DType?
    /// The packed weight, as in ``Linear``.
    let packedWeight: Tensor?

    public init(
        _ path: ParameterPath, _ input: Int, _ output: Int, kernel: Int, stride: Int = 1, padding: Int = 0,
        bias: Bool = true, initializer: Initializer? = nil
    ) throws {
        let fanIn = input * kernel * kernel
        weight = try path.kernel("weight", [output, input, kernel, kernel], initializer ?? .fanIn(fanIn))
        self.bias = bias ? try path.factor("bias", [output], initializer ?? .fanIn(fanIn)) : nil
        productDType = path.productDType
        self.stride = stride
        self.padding = padding
        packedWeight = try path.store.isFixed ? packedKernel(weight, stride: stride, padding: padding) : nil
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try self(x, relu: false) }

    /// The same, and optionally adds `plus`, of the outputs' shape, and applies ReLU.
    public func callAsFunction(_ x: Tensor, plus: Tensor? = nil, relu: Bool) throws -> Tensor {
        guard productDType != nil else {
            return try conv2d(
                x, weight, bias, packed: packedWeight, stride: stride, padding: padding, plus: plus,
                relu: relu)
        }
        let out = try inDType(productDType, x) {
            try conv2d($0, weight, bias, stride: stride, padding: padding)
        }
        let sum = try plus.map { try $0 + out } ?? out
        return try relu ? sum.relu() : sum
    }
}

/// A transposed convolution of [n, in, h, w] with a square kernel.
public struct ConvTransposed2d: Layer {
    public let weight: Tensor
    public let bias: Tensor?
    public let stride: Int

    public init(_ path: ParameterPath, _ input: Int, _ output: Int, kernel: Int, stride: Int) throws {
        weight = try path.parameter(
            "weight", [input, output, kernel, kernel], .fanIn(output * kernel * kernel))
        bias = try path.parameter("bias", [output], .fanIn(output * kernel * kernel))
        self.stride = stride
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try convTransposed2d(x, weight, bias, stride: stride)
    }
}

/// Normalises the last axis to mean 0 and variance 1.
public struct LayerNorm: Layer {
    public let weight: Tensor
    public let bias: Tensor
    public let epsilon: Double

    public init(_ path: ParameterPath, _ width: Int, epsilon: Double = 1e-5) throws {
        weight = try path.parameter("weight", [width], .ones)
        bias = try path.parameter("bias", [width], .zeros)
        self.epsilon = epsilon
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try layerNorm(x, weight.shape, weight: weight, bias: bias, epsilon: epsilon)
    }
}

/// Divides the last axis by its root mean square (Zhang and Sennrich, 2019), as Llama does.
public struct RMSNorm: Layer {
    public let weight: Tensor
    public let epsilon: Double

    public init(_ path: ParameterPath, _ width: Int, epsilon: Double) throws {
        weight = try path.parameter("weight", [width], .ones)
        self.epsilon = epsilon
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try rmsNorm(x, weight: weight, epsilon: epsilon)
    }
}

/// Normalises groups of channels of [n, c, …].
public struct GroupNorm: Layer {
    public let weight: Tensor
    public let bias: Tensor
    public let groups: Int

    public init(_ path: ParameterPath, _ width: Int, groups: Int, initializer: Initializer = .ones) throws {
        weight = try path.parameter("weight", [width], initializer)
        bias = try path.parameter("bias", [width], .zeros)
        self.groups = groups
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try self(x, relu: false) }

    /// The same, and optionally adds `plus` and applies ReLU.
    public func callAsFunction(_ x: Tensor, plus: Tensor? = nil, relu: Bool) throws -> Tensor {
        try groupNorm(x, groups: groups, weight: weight, bias: bias, plus: plus, relu: relu)
    }
}

/// Rows of a table by their numbers.
public struct Embedding: Layer {
    public let weight: Tensor
    public let newRows: NewRows?

    public init(_ path: ParameterPath, _ count: Int, _ width: Int, std: Double = 0.02) throws {
        weight = try path.parameter("weight", [count, width], .normal(std: std))
        newRows = try path.newRows(of: weight)
    }

    public func callAsFunction(_ ids: Tensor) throws -> Tensor {
        try newRows.map { try $0.embedded(ids, weight) } ?? embedding(weight, ids)
    }
}

/// Two linear layers with GELU between them, under the names `first` and `second`.
public struct MLP: Layer {
    public let fc1: Linear
    public let fc2: Linear

    public init(
        _ path: ParameterPath, _ input: Int, _ hidden: Int, _ output: Int,
        names: (String, String) = ("fc1", "fc2")
    ) throws {
        fc1 = try Linear(path[names.0], input, hidden)
        fc2 = try Linear(path[names.1], hidden, output)
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor { try self(x, plus: nil) }

    /// The same, and adds `plus`, of the outputs' shape.
    public func callAsFunction(_ x: Tensor, plus: Tensor?) throws -> Tensor {
        try inDType(fc1.productDType, x) { try fc2(fc1($0, activation: .gelu), plus: plus) }
    }
}
