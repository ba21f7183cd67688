import ArgumentParser
import Checkpoints
import Foundation
import InputFiles
import Media
import Text
import Torch
import Vitrail

struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what is in a model's folder, a file of weights or a picture.",
        discussion: """
            Of a model, Vitrail's own or one that was downloaded (LLaVA, SAM, CLIP, Llama, LoRA adapters): what it is, \
            parameters, dtypes, files, sizes, and the commands that use it. Files, names and shapes are checked as \
            when it is opened; no weight is read. Of a file of weights (.safetensors, .bin, .pt, .pth or an \
            .index.json): every tensor with shape and dtype. Of a picture: its size.

            Examples:
              vitrail inspect                                   (the embedded model)
              vitrail inspect runs/first/model
              vitrail inspect sam_vit_h_4b8939.pth
              vitrail inspect llava-v1.5-7b --vision-tower clip-vit-large-patch14-336
              vitrail inspect runs/first/model/aligner/model.safetensors
              vitrail inspect photo.jpg --json
            """)

    @Argument(help: ArgumentHelp("A folder or file; the embedded model when left out.", valueName: "path"))
    var path: String?

    @Option(help: ArgumentHelp("The model that a projector or LoRA completes.", valueName: "folder"))
    var base: String?

    @Option(help: ArgumentHelp("CLIP's folder, for a LLaVA in its authors' layout.", valueName: "folder"))
    var visionTower: String?

    @Flag(help: "Print one JSON document (docs/json.md).")
    var json = false

    func run() throws {
        let path = try path ?? Engine.embeddedModel()
        if try ModelError.of(path, { try InputFile.isFolder(path) }) {
            switch try CheckpointKind(of: path) {
            case .vitrail: try show(ModelReport(path))
            case let kind: try show(report(path, kind))
            }
        } else if [".safetensors", ".bin", ".pt", ".pth", ".index.json"].contains(where: path.hasSuffix) {
            let checkpoint = try Checkpoint(contentsOf: path)
            let isModel = (try? CheckpointKind(of: path)) == .sam(.original)
            try show(TensorReport(checkpoint, model: isModel ? report(path, .sam(.original)) : nil))
        } else {
            try show(PictureReport(path))
        }
    }

    private func report(_ path: String, _ kind: CheckpointKind) throws -> CheckpointReport {
        try CheckpointReport(path, kind, base: base, visionTower: visionTower)
    }

    private func show(_ report: some Report) throws {
        print(json ? try Documents.line(report) : report.lines.joined(separator: "\n"))
    }
}

protocol Report: Encodable {
    /// The report to be read.
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
    let type = "Vitrail"
    let parts: [String: Part]
    let parameters: Int
    let bytes: Int
    let computes_in = "float32"
    /// What can be done with it, as it is typed.
    let commands: [String]

    init(_ path: String) throws {
        let folder = try ModelFolder(path)
        var parts: [String: Part] = [:]
        // Several parts of a model may be one folder elsewhere, as it was downloaded.
        for (entry, members) in Dictionary(grouping: folder.parts, by: \.value) {
            let name = members.map(\.key).sorted().joined(separator: ", ")
            let place = try folder.folder(of: members[0].key)
            if entry.type == "Tokenizer" {
                let tokens = try Tokenizer(folder: place).vocabularySize
                let files = ["tokenizer.json", "tokenizer.model"].map { "\(place)/\($0)" }
                    .filter(FileManager.default.fileExists(atPath:))
                parts[name] = Part(
                    type: entry.type, path: place, tokens: tokens, bytes: files.map(fileSize).reduce(0, +))
            } else {
                let checkpoint = try Checkpoint(
                    contentsOf: entry.type == "LoRA" ? "\(place)/adapter_model.safetensors" : place)
                let entries = checkpoint.entries.values
                parts[name] = Part(
                    type: entry.type, path: place, parameters: entries.reduce(0) { $0 + $1.count },
                    bytes: checkpoint.bytes,
                    dtypes: Dictionary(entries.map { ("\($0.dtype)", $0.count) }, uniquingKeysWith: +))
            }
        }
        self.path = path
        self.parts = parts
        parameters = parts.values.reduce(0) { $0 + ($1.parameters ?? 0) }
        bytes = parts.values.reduce(0) { $0 + $1.bytes }
        let word = shellWord(path)
        commands =
            [
                "vitrail ask IMAGE \"find every star\" --model \(word)",
                "vitrail locate IMAGE --find star --as boxes --model \(word)",
            ]
            + (parts["segmenter"] == nil
                ? [] : ["vitrail segment IMAGE --box X0,Y0,X1,Y1 --model \(word) --output mask.png"])
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
            + ["computes in \(computes_in)"] + commandLines(commands)
    }
}

private struct TensorReport: Report {
    struct Tensor: Encodable {
        let shape: [Int]
        let dtype: String
        let parameters: Int
    }

    let path: String
    /// What the file is by itself, where it is a model.
    let model: CheckpointReport?
    let tensors: [String: Tensor]
    let metadata: [String: String]
    let parameters: Int
    let bytes: Int

    init(_ checkpoint: Checkpoint, model: CheckpointReport?) throws {
        path = checkpoint.path
        self.model = model
        tensors = checkpoint.entries.mapValues {
            Tensor(shape: $0.shape, dtype: "\($0.dtype)", parameters: $0.count)
        }
        metadata = path.hasSuffix(".safetensors") ? try SafetensorsFile(path).metadata : [:]
        parameters = checkpoint.count
        bytes = checkpoint.files.reduce(0) { $0 + fileSize($1) }
    }

    var lines: [String] {
        let rows = tensors.sorted { $0.key < $1.key }.map { name, tensor in
            [name, tensor.dtype, tensor.shape.map(String.init).joined(separator: " x ")]
        }
        return (model?.lines ?? [])
            + ["\(path): \(tensors.count) tensors, \(grouped(parameters)) parameters, \(megabytes(bytes))"]
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
            throw Failure(.badInput, "\(path): not a picture, a file of weights or a model's folder")
        }
        self.path = path
        bytes = fileSize(path)
    }

    var lines: [String] { ["\(path): picture of \(width) x \(height) pixels, \(megabytes(bytes))"] }
}

/// Bytes of a file; 0 when there is none.
func fileSize(_ file: String) -> Int {
    let attributes = try? FileManager.default.attributesOfItem(atPath: file)
    return (attributes?[.size] as? NSNumber)?.intValue ?? 0
}

/// 1234567 as "1,234,567".
func grouped(_ number: Int) -> String {
    var text = String(number)
    for place in stride(from: text.count - 3, to: 0, by: -3) {
        text.insert(",", at: text.index(text.startIndex, offsetBy: place))
    }
    return text
}

func megabytes(_ bytes: Int) -> String {
    bytes < 100_000 ? "\(grouped(bytes)) bytes" : String(format: "%.1f MB", Double(bytes) / 1e6)
}

/// Rows whose columns stand under each other.
func table(_ rows: [[String]]) -> [String] {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
    return rows.map { row in
        let cells = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
        let line = "  " + cells.joined(separator: "  ")
        return String(
            line.prefix(upTo: line.lastIndex { $0 != " " }.map { line.index(after: $0) } ?? line.startIndex))
    }
}
