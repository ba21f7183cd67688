import Checkpoints
import Foundation
import NN
import Torch

/// The files of a run: `configuration.json`, `metrics.jsonl` and `checkpoint.safetensors`, the last checkpoint, which
/// is replaced atomically.
struct RunFolder {
    let path: String
    /// Of several ranks, only one writes.
    let isWriter: Bool

    private var checkpoint: String { "\(path)/checkpoint.safetensors" }
    private var metrics: String { "\(path)/metrics.jsonl" }

    /// Makes the folder of a new run, or checks that of a resumed one.
    ///
    /// - Parameters:
    ///   - path: the folder.
    ///   - configuration: what `configuration.json` holds, or must hold.
    ///   - resume: whether the run is resumed.
    ///   - isWriter: whether this process writes the folder; others write nothing.
    /// - Throws: ``TrainingError`` when the folder already holds a run, or holds none to resume.
    init(_ path: String, configuration: String, resume: Bool, isWriter: Bool = true) throws {
        self.path = path
        self.isWriter = isWriter
        let files = FileManager.default
        let hasCheckpoint = files.fileExists(atPath: "\(path)/checkpoint.safetensors")
        if resume {
            guard hasCheckpoint else {
                throw TrainingError.badRun(path, "there is no checkpoint to resume from")
            }
            guard let saved = files.contents(atPath: "\(path)/configuration.json"),
                String(decoding: saved, as: UTF8.self) == configuration
            else { throw TrainingError.badRun(path, "the run was made with another configuration") }
        } else if isWriter {
            guard !hasCheckpoint else {
                throw TrainingError.badRun(path, "there is a run already; resume it or name another folder")
            }
            try files.createDirectory(atPath: path, withIntermediateDirectories: true)
            try configuration.write(
                toFile: "\(path)/configuration.json", atomically: true, encoding: .utf8)
            try Data().write(to: URL(fileURLWithPath: metrics))
        }
    }

    /// Writes `configuration.json` anew.
    func replace(configuration: String) throws {
        guard isWriter else { return }
        try configuration.write(toFile: "\(path)/configuration.json", atomically: true, encoding: .utf8)
    }

    /// Adds a line of metrics.
    func log(_ line: [String: Double]) throws {
        guard isWriter else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let data = try encoder.encode(line.mapValues { ($0 * 1e6).rounded() / 1e6 })
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: metrics))
        defer { try? file.close() }
        try file.seekToEnd()
        try file.write(contentsOf: data + [UInt8(ascii: "\n")])
    }

    func save(
        _ parameters: [(name: String, tensor: Tensor)], _ optimizer: any Optimizer, step: Int
    ) throws {
        guard isWriter else { return }
        let weights = parameters.map { (name: "model.\($0.name)", tensor: $0.tensor) }
        let state = optimizer.state.map { (name: "optimizer.\($0.name)", tensor: $0.tensor) }
        try SafetensorsFile.write(weights + state, metadata: ["step": "\(step)"], to: checkpoint)
    }

    /// Reads the checkpoint, and removes the metrics of steps that will be repeated.
    ///
    /// - Returns: the number of the checkpoint's step.
    func restore(_ parameters: [(name: String, tensor: Tensor)], _ optimizer: any Optimizer) throws -> Int {
        let file = try SafetensorsFile(checkpoint)
        let step = try Self.step(of: file)
        try Self.copy(into: parameters, from: checkpoint) { try file.tensor(named: "model.\($0)") }
        try optimizer.load(OptimizerState(file: file))
        if isWriter { try dropMetrics(after: step) }
        return step
    }

    /// Which step a checkpoint is of.
    ///
    /// - Throws: ``TrainingError`` when it does not say, or says a number that no training reaches.
    static func step(of file: SafetensorsFile) throws -> Int {
        guard let step = file.metadata["step"].flatMap({ Int($0) }), (0...1_000_000_000).contains(step) else {
            throw TrainingError.badRun(file.path, "the checkpoint does not say which step it is of")
        }
        return step
    }

    /// Copies every parameter's value.
    ///
    /// - Throws: ``TrainingError`` that names the first parameter that is missing or of another shape.
    static func copy(
        into parameters: [(name: String, tensor: Tensor)], from path: String,
        _ value: (_ name: String) throws -> Tensor?
    ) throws {
        for (name, tensor) in parameters {
            guard let value = try value(name), value.shape == tensor.shape else {
                throw TrainingError.badRun(path, "the parameter \(name) is missing or of another shape")
            }
            try tensor.copy(from: value)
        }
    }

    private func dropMetrics(after step: Int) throws {
        struct Line: Decodable { let step: Double }
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: metrics)), as: UTF8.self)
        let kept = text.split(separator: "\n").filter {
            (try? JSONDecoder().decode(Line.self, from: Data($0.utf8))).map { $0.step <= Double(step) }
                ?? false
        }
        try Data(kept.map { $0 + "\n" }.joined().utf8).write(
            to: URL(fileURLWithPath: metrics), options: .atomic)
    }
}

/// The optimiser's part of a checkpoint.
private struct OptimizerState: TensorSource {
    static let prefix = "optimizer."
    let file: SafetensorsFile
    var label: String { file.label }
    var names: [String] {
        file.names.filter { $0.hasPrefix(Self.prefix) }.map { String($0.dropFirst(Self.prefix.count)) }
    }
    func tensor(named name: String) throws -> Tensor? { try file.tensor(named: Self.prefix + name) }
}
