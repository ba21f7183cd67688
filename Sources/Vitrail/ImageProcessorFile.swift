import Foundation

/// What a folder says of its image processor: `processor_config.json`, which has it inside since transformers 5, or
/// `preprocessor_config.json`. Where both are there transformers follows the first.
enum ImageProcessorFile<Processor: Decodable> {
    private struct Outer: Decodable {
        let image_processor: Processor?
    }

    /// The file's path and the processor in it; nil where there is none.
    static func read(_ folder: String) throws -> (file: String, processor: Processor)? {
        func exists(_ file: String) -> Bool { FileManager.default.fileExists(atPath: file) }
        let outer = "\(folder)/processor_config.json"
        if exists(outer) {
            let fields: Outer = try ModelFolder.read(outer, .processor)
            if let processor = fields.image_processor { return (outer, processor) }
        }
        let file = "\(folder)/preprocessor_config.json"
        return exists(file) ? (file, try ModelFolder.read(file, .imageProcessor)) : nil
    }
}

/// A number for each of the three channels: a list, or one number for all.
struct ChannelValues: Decodable {
    let values: [Double]

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let value = try? container.decode(Double.self) {
            values = [value, value, value]
            return
        }
        values = try container.decode([Double].self)
        guard values.count == 3 else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription:
                    "\(decoder.codingPath.last?.stringValue ?? "a colour") has \(values.count) numbers, 3 are needed"
            )
        }
    }
}
