public import Torch

/// The activation functions that CLIP and LLaVA's projector are published with, by the names that
/// transformers' `ACT2FN` has for them.
public enum Activation: String, Codable, Sendable {
    case gelu
    case quickGELU = "quick_gelu"
    case geluNew = "gelu_new"
    case geluTanh = "gelu_pytorch_tanh"
    case relu
    case silu

    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        switch self {
        case .gelu: try x.gelu()
        case .quickGELU: try x * (x * 1.702).sigmoid()
        case .geluNew, .geluTanh: try x.gelu(approximate: true)
        case .relu: try x.relu()
        case .silu: try x.silu()
        }
    }
}
