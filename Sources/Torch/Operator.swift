internal import CTorch

/// One of libtorch's operators, found by its schema name.
///
/// A call goes through libtorch's dispatcher, so autograd, autocast and every device work as they do in
/// PyTorch, and arguments that are left out take the defaults of the schema.
public struct Operator: @unchecked Sendable {
    public let name: String
    let reference: vt_operator_t?

    /// - Parameters:
    ///   - name: such as `matmul`; the `aten::` namespace is implied when there is none.
    ///   - overload: such as `Tensor` or `Scalar`; empty for the default one.
    public init(_ name: String, _ overload: String = "") {
        self.name = name.contains("::") ? name : "aten::\(name)"
        var found: vt_operator_t?
        // A name that does not exist is reported by the first call, where an error can be thrown.
        reference = vt_operator_find(self.name, overload, &found) == VT_OK ? found : nil
    }

    /// Calls the operator and returns the first tensor it gives.
    @discardableResult
    public func callAsFunction(_ arguments: any OperatorArgument...) throws -> Tensor {
        guard let first = try call(arguments) else {
            throw TorchError(kind: .other, operation: name, message: "returned no tensor")
        }
        return Tensor(owning: first)
    }

    /// Calls an operator that returns nothing.
    public func perform(_ arguments: any OperatorArgument...) throws {
        if let first = try call(arguments) { vt_tensor_release(first) }
    }

    /// Calls the operator and returns all the tensors it gives.
    public func all(_ arguments: any OperatorArgument...) throws -> [Tensor] {
        guard let first = try call(arguments) else { return [] }
        var tensors = [Tensor(owning: first)]
        for index in 1..<max(1, vt_result_count()) {
            if let next = vt_take_result(index) { tensors.append(Tensor(owning: next)) }
        }
        return tensors
    }

    private func call(_ arguments: [any OperatorArgument]) throws -> vt_tensor_t? {
        guard let reference else {
            if let problem = vt_load() {
                throw TorchError(kind: .notLoaded, operation: name, message: String(cString: problem))
            }
            throw TorchError(kind: .notImplemented, operation: name, message: "libtorch has no such operator")
        }
        for argument in arguments { argument.push() }
        var first: vt_tensor_t?
        try check(vt_call(reference, &first), name, shapes(in: arguments))
        return first
    }
}

/// The shapes to name in an error: of all tensors, and of the first few of a list.
private func shapes(in arguments: [any OperatorArgument]) -> [[Int]] {
    arguments.flatMap { argument in
        switch argument {
        case let tensor as Tensor: [tensor.shape]
        case let list as [Tensor]: list.prefix(4).map(\.shape)
        default: [] as [[Int]]
        }
    }
}

/// A value that can be passed to an ``Operator``.
public protocol OperatorArgument {
    /// Puts the value on the calling thread's argument stack.
    func push()
}

/// Stands for an argument that keeps the default of its schema.
public struct DefaultArgument: OperatorArgument {
    public func push() { vt_push_default() }
}

extension OperatorArgument where Self == DefaultArgument {
    /// Keeps the schema's default.
    public static var `default`: DefaultArgument { DefaultArgument() }
}

extension Tensor: OperatorArgument { public func push() { vt_push_tensor(reference) } }
extension Int: OperatorArgument { public func push() { vt_push_int(Int64(self)) } }
extension Double: OperatorArgument { public func push() { vt_push_double(self) } }
extension Bool: OperatorArgument { public func push() { vt_push_bool(self) } }
extension String: OperatorArgument { public func push() { vt_push_string(self) } }
extension DType: OperatorArgument { public func push() { vt_push_int(Int64(rawValue)) } }
extension Device: OperatorArgument { public func push() { vt_push_string(description) } }
extension Generator: OperatorArgument { public func push() { vt_push_generator(reference) } }

extension Optional: OperatorArgument where Wrapped: OperatorArgument {
    public func push() {
        if let self { self.push() } else { vt_push_none() }
    }
}

extension Array: OperatorArgument where Element: OperatorListElement {
    public func push() { Element.pushList(self) }
}

/// A value of which a list can be passed to an ``Operator``.
public protocol OperatorListElement {
    static func pushList(_ list: [Self])
}

extension Int: OperatorListElement {
    public static func pushList(_ list: [Int]) {
        list.map(Int64.init).withUnsafeBufferPointer { vt_push_ints($0.baseAddress, $0.count) }
    }
}

extension Double: OperatorListElement {
    public static func pushList(_ list: [Double]) {
        list.withUnsafeBufferPointer { vt_push_doubles($0.baseAddress, $0.count) }
    }
}

extension Tensor: OperatorListElement {
    public static func pushList(_ list: [Tensor]) { Tensor?.pushList(list) }
}

extension Optional: OperatorListElement where Wrapped == Tensor {
    public static func pushList(_ list: [Tensor?]) {
        withExtendedLifetime(list) {
            list.map { $0?.reference }.withUnsafeBufferPointer { vt_push_tensors($0.baseAddress, $0.count) }
        }
    }
}
