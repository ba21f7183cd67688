public import Checkpoints
internal import Foundation
public import NN
public import Torch

/// A safetensors file under a test target's `Fixtures`, with `inputs/…` and `outputs/…`.
@dynamicMemberLookup
public final class Fixture {
    public let file: SafetensorsFile

    /// - Parameter test: the caller's own file, beside which `Fixtures` lies.
    public init(_ name: String, test: String = #filePath) throws {
        let folder = URL(fileURLWithPath: test).deletingLastPathComponent().appendingPathComponent("Fixtures")
        file = try SafetensorsFile(folder.appendingPathComponent("\(name).safetensors").path)
    }

    public var names: [String] { file.names }
    public var metadata: [String: String] { file.metadata }

    public struct Missing: Error, CustomStringConvertible {
        public let description: String
    }

    public subscript(name: String) -> Tensor {
        get throws {
            guard let tensor = try file.tensor(named: name) else {
                throw Missing(description: "\(file.path) has no tensor \(name)")
            }
            return try tensor.clone()
        }
    }

    /// `fixture.image` is the tensor `inputs/image`.
    public subscript(dynamicMember name: String) -> Tensor {
        get throws { try self["inputs/\(name)"] }
    }

    /// The tensors whose names start with `prefix`, as a source in which they have lost it.
    public func source(_ prefix: String) -> PrefixedSource { PrefixedSource(file: file, prefix: prefix) }
}

/// The part of a file under a prefix.
public struct PrefixedSource: TensorSource {
    let file: SafetensorsFile
    let prefix: String

    public var label: String { file.path }
    public var names: [String] {
        file.names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }
    public func tensor(named name: String) throws -> Tensor? { try file.tensor(named: prefix + name) }
}

/// What is different between two tensors, in a line; nil when dtypes and shapes are equal and every element is
/// within `absolute + relative * |expected|`. Not-a-number equals itself.
public func difference(
    _ actual: Tensor, _ expected: Tensor, relative: Double = 1e-5, absolute: Double = 1e-6
) throws -> String? {
    guard actual.dtype == expected.dtype else { return "dtype \(actual.dtype), expected \(expected.dtype)" }
    guard actual.shape == expected.shape else { return "shape \(actual.shape), expected \(expected.shape)" }
    for (index, (a, b)) in zip(try actual.array(Double.self), try expected.array(Double.self)).enumerated() {
        let equal = a == b || a.isNaN && b.isNaN || Swift.abs(a - b) <= absolute + relative * Swift.abs(b)
        guard equal else { return "element \(index) of \(actual.shape) is \(a), expected \(b)" }
    }
    return nil
}

/// The largest difference between elements, as a share of the largest expected element.
public func relativeError(_ actual: Tensor, _ expected: Tensor) throws -> Double {
    guard actual.shape == expected.shape else { return .infinity }
    return try (actual - expected).abs().max().item() / expected.abs().max().item()
}

/// A folder that is removed when the value goes.
public final class TemporaryFolder {
    public let path: String

    public init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent(
            "vitrail-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    public func file(_ name: String) -> String { "\(path)/\(name)" }
    public var contents: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }
}
