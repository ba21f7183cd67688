internal import CTorch

/// A failure inside libtorch: which operation, on what shapes, and libtorch's own words.
public struct TorchError: Error, CustomStringConvertible, Sendable {
    public enum Kind: Sendable, Equatable {
        case index, type, value, notImplemented, outOfMemory
        /// libtorch, or the library beside it, cannot be opened: set-up was not run.
        case notLoaded
        case other
    }

    public let kind: Kind
    /// The operator's name, such as `aten::matmul`.
    public let operation: String
    /// The shapes of the tensors that were passed, in order.
    public let shapes: [[Int]]
    /// The first line of what libtorch said.
    public let message: String

    public init(kind: Kind, operation: String, shapes: [[Int]] = [], message: String) {
        self.kind = kind
        self.operation = operation
        self.shapes = shapes
        self.message = message
    }

    public var description: String {
        let operands = shapes.isEmpty ? "" : " on \(shapes.map { "\($0)" }.joined(separator: " and "))"
        return kind == .notLoaded ? message : "\(operation)\(operands): \(message)"
    }
}

/// Throws the calling thread's last libtorch failure when `status` is one.
func check(_ status: vt_status, _ operation: String, _ shapes: @autoclosure () -> [[Int]] = []) throws {
    guard status != VT_OK else { return }
    let kind: TorchError.Kind =
        switch status {
        case VT_INDEX_ERROR: .index
        case VT_TYPE_ERROR: .type
        case VT_VALUE_ERROR: .value
        case VT_NOT_IMPLEMENTED: .notImplemented
        case VT_OUT_OF_MEMORY: .outOfMemory
        case VT_NOT_LOADED: .notLoaded
        default: .other
        }
    let message = String(cString: vt_last_message())
    let firstLine = message.split(separator: "\n", maxSplits: 1).first.map(String.init) ?? message
    throw TorchError(kind: kind, operation: operation, shapes: shapes(), message: firstLine)
}
