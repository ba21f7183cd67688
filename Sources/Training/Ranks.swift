import Foundation
import Torch

/// What ranks that train one model tell one another.
extension ProcessGroup {
    /// Adds up the gradients of all ranks; every one of them ends with the same bits. A parameter without a gradient anywhere
    /// stays without.
    func add(_ gradients: inout [Tensor?], of parameters: [Tensor]) throws {
        let counts = try Tensor(gradients.map { $0 == nil ? 0 : 1 } as [Float]).to(device)
        try sum([counts])
        for (index, count) in try counts.array(Float.self).enumerated()
        where count > 0 && gradients[index] == nil {
            gradients[index] = try parameters[index].detached().zerosLike()
        }
        try sum(gradients.compactMap { $0 })
    }

    /// What every rank says, by rank.
    func tell<Value: Codable>(_ value: Value) throws -> [Value] {
        let (encoder, decoder) = (JSONEncoder(), JSONDecoder())
        // A loss that is no number is to be told of, too.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try gather(Array(encoder.encode(value))).map {
            try decoder.decode(Value.self, from: Data($0))
        }
    }
}
