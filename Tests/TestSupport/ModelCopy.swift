internal import Checkpoints
internal import Foundation
public import Torch

/// A copy of a model's folder to be spoilt; it is removed when the value goes. Weights are links until they are
/// rewritten.
public final class ModelCopy {
    private let folder: TemporaryFolder
    public var path: String { folder.path }

    public init(of model: String) throws {
        folder = try TemporaryFolder()
        let files = FileManager.default
        let model = URL(fileURLWithPath: model).resolvingSymlinksInPath().path
        try files.copyItem(atPath: "\(model)/model_index.json", toPath: file("model_index.json"))
        for part in try files.contentsOfDirectory(atPath: model) where part != "model_index.json" {
            try files.createDirectory(atPath: file(part), withIntermediateDirectories: true)
            for name in try files.contentsOfDirectory(atPath: "\(model)/\(part)") {
                try files.createSymbolicLink(
                    atPath: file("\(part)/\(name)"), withDestinationPath: "\(model)/\(part)/\(name)")
            }
        }
    }

    public func file(_ name: String) -> String { folder.file(name) }

    /// Puts bytes in the place of a file.
    public func write(_ text: String, to name: String) throws {
        try? FileManager.default.removeItem(atPath: file(name))
        try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
    }

    public func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: file(name)) }

    /// Makes it a model without a part, or with another in its place.
    public func setPart(_ name: String, to type: String?) throws {
        try? remove(name)
        let index = file("model_index.json")
        let data = try Data(contentsOf: URL(fileURLWithPath: index))
        guard var object = try JSONSerialization.jsonObject(with: data) as? [String: Any],
            var parts = object["parts"] as? [String: Any]
        else { return }
        parts[name] = type.map { ["type": $0, "path": name] }
        object["parts"] = parts
        let changed = try JSONSerialization.data(withJSONObject: object)
        try write(String(decoding: changed, as: UTF8.self), to: "model_index.json")
    }

    /// Writes the weights of a part anew, after a change to the list.
    public func rewrite(_ part: String, _ change: (inout [(name: String, tensor: Tensor)]) throws -> Void)
        throws
    {
        let path = file("\(part)/model.safetensors")
        let source = try SafetensorsFile(path)
        var tensors = try source.names.map { (name: $0, tensor: try source.tensor(named: $0)!) }
        try change(&tensors)
        try SafetensorsFile.write(tensors, to: path)
    }

    /// Weights of a part whose header promises data behind the end of the file.
    public func lie(_ part: String) throws {
        let header = #"{"x":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}}"#
        let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) }
        let path = file("\(part)/model.safetensors")
        try FileManager.default.removeItem(atPath: path)
        try Data(length + Array(header.utf8) + [0, 0, 0, 0]).write(to: URL(fileURLWithPath: path))
    }
}
