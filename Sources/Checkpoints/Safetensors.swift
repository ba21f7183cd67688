internal import NN
public import Torch

#if canImport(FoundationEssentials)
    internal import FoundationEssentials
#else
    internal import Foundation
#endif
#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// A checkpoint file that cannot be read or written, and why.
public struct CheckpointError: Error, CustomStringConvertible {
    public let path: String
    public let reason: String
    /// Whether the file could not be written, rather than read.
    public let isWriting: Bool

    public init(path: String, reason: String, isWriting: Bool = false) {
        self.path = path
        // Names come from the file, too: they may not break the line, nor fill the screen.
        let scalars = reason.unicodeScalars.prefix(1000).map { scalar in
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator: " " as Unicode.Scalar
            default: scalar
            }
        }
        self.reason = String(String.UnicodeScalarView(scalars))
        self.isWriting = isWriting
    }

    public var description: String { "\(path): \(reason)" }
}

/// A `.safetensors` file, memory-mapped: its header is checked when it is opened, and a tensor's pages are
/// read when they are first used.
///
/// Format: https://github.com/huggingface/safetensors, "Format".
public final class SafetensorsFile: CheckpointSource {
    public let path: String
    public let entries: [String: TensorEntry]
    /// The strings under `__metadata__`.
    public let metadata: [String: String]
    /// Bytes from the start of the file.
    private let ranges: [String: Range<Int>]
    private let mapping: FileMapping

    public var label: String { path }

    /// The header may not be larger than this; the reference library has the same limit.
    static let headerLimit = 100_000_000

    /// - Throws: ``CheckpointError`` for a file that is missing, too short, or whose header lies.
    public init(_ path: String) throws {
        let mapping = try FileMapping(path)
        func refuse(_ reason: String) -> CheckpointError { CheckpointError(path: path, reason: reason) }
        guard mapping.count >= 8 else {
            throw refuse("not a safetensors file: \(mapping.count) bytes, at least 8 are needed")
        }
        let length = mapping.bytes.loadUnaligned(as: UInt64.self).littleEndian
        guard length <= UInt64(Self.headerLimit) else {
            throw refuse("header of \(length) bytes is over the limit of \(Self.headerLimit)")
        }
        let start = 8 + Int(length)
        guard start <= mapping.count else {
            throw refuse("header of \(length) bytes does not fit in a file of \(mapping.count)")
        }
        let header: [String: HeaderValue]
        do {
            let json = Data(UnsafeRawBufferPointer(rebasing: mapping.bytes[8..<start]))
            header = try JSONDecoder().decode([String: HeaderValue].self, from: json)
        } catch {
            throw refuse("header is not the JSON of a safetensors file")
        }
        var entries: [String: TensorEntry] = [:]
        var ranges: [String: Range<Int>] = [:]
        var metadata: [String: String] = [:]
        for (name, value) in header {
            switch value {
            case .metadata(let strings):
                guard name == metadataName else {
                    throw refuse("header does not describe tensor \(name) fully")
                }
                metadata = strings
            case .tensor(let tensor):
                guard let dtype = dtypes[tensor.dtype] else {
                    throw refuse("tensor \(name) has dtype \(tensor.dtype), which is not supported")
                }
                let offsets = tensor.data_offsets
                let available = mapping.count - start
                guard offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= available
                else {
                    throw refuse(
                        "tensor \(name) has offsets \(offsets) outside the data of \(available) bytes")
                }
                // Strides are products of lengths too, so that a length of zero does not excuse the others.
                var extent = dtype.size
                for length in tensor.shape {
                    let (product, overflow) = extent.multipliedReportingOverflow(by: max(length, 1))
                    guard length >= 0, !overflow else {
                        throw refuse("tensor \(name) has the impossible shape \(tensor.shape)")
                    }
                    extent = product
                }
                let bytes = tensor.shape.contains(0) ? 0 : extent
                guard bytes == offsets[1] - offsets[0] else {
                    throw refuse(
                        "tensor \(name) of shape \(tensor.shape) needs \(bytes) bytes, its offsets hold \(offsets[1] - offsets[0])"
                    )
                }
                entries[name] = TensorEntry(dtype, tensor.shape)
                ranges[name] = (start + offsets[0])..<(start + offsets[1])
            }
        }
        // The data is what the header says, without holes, overlaps or a rest.
        var end = start
        for (name, range) in ranges.sorted(by: {
            ($0.value.lowerBound, $0.value.upperBound) < ($1.value.lowerBound, $1.value.upperBound)
        }) {
            guard range.lowerBound == end else {
                throw refuse("tensor \(name) begins at byte \(range.lowerBound), where \(end) is expected")
            }
            end = range.upperBound
        }
        guard end == mapping.count else {
            throw refuse("\(mapping.count - end) bytes follow the last tensor")
        }
        self.path = path
        self.entries = entries
        self.metadata = metadata
        self.ranges = ranges
        self.mapping = mapping
    }

    /// A tensor over the mapped file, whose pages are copied when they are written to; it stays valid after
    /// this object is gone.
    public func tensor(named name: String) throws -> Tensor? {
        guard let entry = entries[name], let range = ranges[name] else { return nil }
        guard !range.isEmpty else { return try Tensor.zeros(entry.shape, dtype: entry.dtype) }
        return try Tensor(
            over: mapping.bytes.baseAddress! + range.lowerBound, entry.shape, entry.dtype, owner: mapping)
    }

    /// Writes tensors to a file, whole or not at all: under another name first, then renamed.
    public static func write(
        _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:], to path: String
    ) throws {
        var header: [String: HeaderValue] = [:]
        if !metadata.isEmpty { header[metadataName] = .metadata(metadata) }
        var offset = 0
        for (name, tensor) in tensors {
            let end = offset + tensor.count * tensor.dtype.size
            guard header[name] == nil, name != metadataName else {
                throw CheckpointError(path: path, reason: "tensor name \(name) is already taken")
            }
            header[name] = .tensor(
                .init(dtype: dtypeNames[tensor.dtype]!, shape: tensor.shape, data_offsets: [offset, end]))
            offset = end
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        var json = try encoder.encode(header)
        // The data starts at a multiple of eight bytes.
        json.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - json.count % 8) % 8))
        try AtomicFile.write(to: path) { file in
            try withUnsafeBytes(of: UInt64(json.count).littleEndian) { try file.write($0) }
            try json.withUnsafeBytes { try file.write($0) }
            for (_, tensor) in tensors { try tensor.withBytes { try file.write($0) } }
        }
    }
}

let metadataName = "__metadata__"
private let dtypes: [String: DType] = [
    "U8": .uint8, "I8": .int8, "I16": .int16, "I32": .int32, "I64": .int64, "F16": .float16, "F32": .float32,
    "F64": .float64, "BOOL": .bool, "BF16": .bfloat16,
]
let dtypeNames = Dictionary(uniqueKeysWithValues: dtypes.map { ($1, $0) })

private struct HeaderTensor: Codable {
    let dtype: String
    let shape: [Int]
    let data_offsets: [Int]
}

private enum HeaderValue: Codable {
    case metadata([String: String])
    case tensor(HeaderTensor)

    init(from decoder: any Decoder) throws {
        if let tensor = try? HeaderTensor(from: decoder) {
            self = .tensor(tensor)
        } else {
            self = .metadata(try [String: String](from: decoder))
        }
    }

    func encode(to encoder: any Encoder) throws {
        switch self {
        case .metadata(let strings): try strings.encode(to: encoder)
        case .tensor(let tensor): try tensor.encode(to: encoder)
        }
    }
}
