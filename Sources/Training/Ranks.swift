import Foundation
import Torch

/// What the ranks of one training exchange.
extension ProcessGroup {
    /// Adds up the gradients of all ranks; all ranks end with the same bits. A parameter without a gradient on any
    /// rank has none afterwards.
    func add(_ gradients: inout [Tensor?], of parameters: [Tensor]) throws {
        let counts = try Tensor(gradients.map { $0 == nil ? 0 : 1 } as [Float]).to(device)
        try sum([counts])
        for (index, count) in try counts.array(Float.self).enumerated()
        where count > 0 && gradients[index] == nil {
            gradients[index] = try parameters[index].detached().zerosLike()
        }
        try sum(gradients.compactMap { $0 })
    }

    /// The values of every rank, by rank.
    func tell<Value: Codable>(_ value: Value) throws -> [Value] {
        let (encoder, decoder) = (JSONEncoder(), JSONDecoder())
        // A loss that is not a number must reach the other ranks, too.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try gather(Array(encoder.encode(value))).map {
            try decoder.decode(Value.self, from: Data($0))
        }
    }
}
