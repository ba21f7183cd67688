import ArgumentParser
import Checkpoints
import Foundation
import Media
import Text
import Torch
import Vitrail

struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what is in a model's folder, a safetensors file or a picture.",
        discussion: """
            Of a model: its parts, their types, parameters, sizes and dtypes. Of a safetensors file: every key with \
            shape and dtype, and the metadata. Of a picture: its size.

            Examples:
              vitrail inspect                                   (the embedded model)
              vitrail inspect runs/first/model
              vitrail inspect runs/first/model/aligner/model.safetensors
              vitrail inspect photo.jpg --json
            """)

    @Argument(help: ArgumentHelp("A folder or file; the embedded model when left out.", valueName: "path"))
    var path: String?

    @Flag(help: "Print one JSON document (docs/json.md).")
    var json = false

    func run() throws {
        let path = try path ?? Engine.embeddedModel()
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw ModelError.missing(path)
        }
        if isFolder.boolValue {
            try show(ModelReport(path))
        } else if path.hasSuffix(".safetensors") {
            try show(TensorReport(path))
        } else {
            try show(PictureReport(path))
        }
    }

    private func show(_ report: some Report) throws {
        print(json ? try Documents.line(report) : report.lines.joined(separator: "\n"))
    }
}

private protocol Report: Encodable {
    var lines: [String] { get }
}

private struct ModelReport: Report {
    struct Part: Encodable {
        let type: String
        let path: String
        /// Numbers for a network, tokens for a tokenizer.
        var parameters: Int?
        var tokens: Int?
        let bytes: Int
        /// How many parameters are held in each dtype.
        var dtypes: [String: Int]?
    }

    let path: String
    let parts: [String: Part]
    let parameters: Int
    let bytes: Int

    init(_ path: String) throws {
        let folder = try ModelFolder(path)
        var parts: [String: Part] = [:]
        for (name, entry) in folder.parts {
            let place = try folder.folder(of: name)
            if entry.type == "Tokenizer" {
                let file = "\(place)/tokenizer.json"
                let tokens = try Tokenizer(contentsOf: URL(fileURLWithPath: file)).vocabularySize
                parts[name] = Part(type: entry.type, path: place, tokens: tokens, bytes: size(file))
            } else {
                let entries = try folder.weights(of: name).entries.values
                parts[name] = Part(
                    type: entry.type, path: place, parameters: entries.reduce(0) { $0 + $1.count },
                    bytes: size("\(place)/model.safetensors"),
                    dtypes: Dictionary(entries.map { ("\($0.dtype)", $0.count) }, uniquingKeysWith: +))
            }
        }
        self.path = path
        self.parts = parts
        parameters = parts.values.reduce(0) { $0 + ($1.parameters ?? 0) }
        bytes = parts.values.reduce(0) { $0 + $1.bytes }
    }

    var lines: [String] {
        let rows = parts.sorted { $0.key < $1.key }.map { name, part in
            [
                name, part.type, part.parameters.map(grouped) ?? "\(grouped(part.tokens ?? 0)) tokens",
                megabytes(part.bytes), (part.dtypes ?? [:]).keys.sorted().joined(separator: ", "),
            ]
        }
        let total = ["total", "", grouped(parameters), megabytes(bytes), ""]
        return [path] + table([["part", "type", "parameters", "size", "dtype"]] + rows + [total])
    }
}

private struct TensorReport: Report {
    struct Tensor: Encodable {
        let shape: [Int]
        let dtype: String
        let parameters: Int
    }

    let path: String
    let tensors: [String: Tensor]
    let metadata: [String: String]
    let parameters: Int
    let bytes: Int

    init(_ path: String) throws {
        let file = try SafetensorsFile(path)
        self.path = path
        tensors = file.entries.mapValues {
            Tensor(shape: $0.shape, dtype: "\($0.dtype)", parameters: $0.count)
        }
        metadata = file.metadata
        parameters = tensors.values.reduce(0) { $0 + $1.parameters }
        bytes = size(path)
    }

    var lines: [String] {
        let rows = tensors.sorted { $0.key < $1.key }.map { name, tensor in
            [name, tensor.dtype, tensor.shape.map(String.init).joined(separator: " x ")]
        }
        return ["\(path): \(tensors.count) tensors, \(grouped(parameters)) parameters, \(megabytes(bytes))"]
            + metadata.sorted { $0.key < $1.key }.map { "metadata \($0.key): \($0.value)" }
            + table([["key", "dtype", "shape"]] + rows)
    }
}

private struct PictureReport: Report {
    let path: String
    let width: Int
    let height: Int
    let bytes: Int

    init(_ path: String) throws {
        do {
            let picture = try Image(contentsOf: path)
            (width, height) = (picture.width, picture.height)
        } catch MediaError.unknownFormat {
            throw Failure(.badInput, "\(path): not a picture, a .safetensors file or a model's folder")
        }
        self.path = path
        bytes = size(path)
    }

    var lines: [String] { ["\(path): picture of \(width) x \(height) pixels, \(megabytes(bytes))"] }
}

private func size(_ file: String) -> Int {
    let attributes = try? FileManager.default.attributesOfItem(atPath: file)
    return (attributes?[.size] as? NSNumber)?.intValue ?? 0
}

/// 1234567 as "1,234,567".
private func grouped(_ number: Int) -> String {
    var text = String(number)
    for place in stride(from: text.count - 3, to: 0, by: -3) {
        text.insert(",", at: text.index(text.startIndex, offsetBy: place))
    }
    return text
}

private func megabytes(_ bytes: Int) -> String {
    bytes < 100_000 ? "\(grouped(bytes)) bytes" : String(format: "%.1f MB", Double(bytes) / 1e6)
}

/// Rows whose columns stand under each other.
private func table(_ rows: [[String]]) -> [String] {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
    return rows.map { row in
        let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
        return "  " + cells.joined(separator: "  ").trimmingCharacters(in: .whitespaces)
    }
}
