// The rotary embedding. Matches transformers 4.57, modeling_rope_utils.py, operation by operation in float32: at
// thousands of positions, an error in the last digit of a frequency becomes a visible phase. Proven by LanguageTests.
package import Torch

/// Frequencies of the rotary embedding (Su et al., 2021).
package struct Rotary {
    /// [width / 2], float32: radians per position.
    let frequencies: Tensor

    init(width: Int, theta: Double, scaling: RotaryScaling?, device: Device) throws {
        let exponents = try Tensor.arange(0, Double(width), step: 2) / Double(width)
        let plain = try 1 / Operator("pow", "Scalar")(theta, exponents)
        frequencies = try Self.scaled(plain, scaling).to(device)
    }

    private static func scaled(_ plain: Tensor, _ scaling: RotaryScaling?) throws -> Tensor {
        switch scaling?.kind {
        case nil, .dynamic: return plain
        case .linear: return try plain / scaling!.factor
        case .llama3:
            guard let (low, high, context) = scaling!.llama3 else {
                throw TorchError(kind: .value, operation: "Rotary", message: "rope_scaling is incomplete")
            }
            let lengths = try 2 * Double.pi / plain
            let isLow = try lengths .> (context / low)
            let stretched = try Tensor.where(isLow, plain / scaling!.factor, plain)
            let share = try (context / lengths - low) / (high - low)
            let mixed = try (1 - share) * stretched / scaling!.factor + share * stretched
            let isBetween = try (.!(lengths .< (context / high))) .& (.!isLow)
            return try Tensor.where(isBetween, mixed, stretched)
        }
    }

    /// Cosines and sines of `length` positions from `start` on, in Hugging Face's layout of two equal halves.
    package func rotation(from start: Int, _ length: Int, _ dtype: DType) throws -> Rotation {
        let positions = try Tensor.arange(Double(start), Double(start + length), device: frequencies.device)
        let angles = try positions.unsqueezed(1) * frequencies
        let both = try Tensor.cat([angles, angles], axis: 1)
        return Rotation(cosines: try both.cos().to(dtype), sines: try both.sin().to(dtype))
    }
}

/// The cosines and sines that rotate queries and keys: [length, width] each, the same for every layer.
package struct Rotation {
    let cosines: Tensor
    let sines: Tensor

    /// - Parameters:
    ///   - x: [n, heads, length, width].
    ///   - heads: how many of the heads are rotated, the first ones; nil for all.
    package func callAsFunction(_ x: Tensor, heads: Int? = nil) throws -> Tensor {
        try rotated(x, cosines: cosines, sines: sines, heads: heads ?? x.size(1))
    }
}
