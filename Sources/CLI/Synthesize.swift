public import ArgumentParser
import Checkpoints
public import Datasets
import Foundation
import Torch

struct Synthesize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw pictures of the Mosaic world, or make a full-size model of random weights.",
        discussion: """
            With --count: writes images/000000000000.png and so on, and annotations.json: boxes, masks and keypoints as \
            COCO has them, which pycocotools loads. The same seed gives the same pictures everywhere. Seeds of 900000 \
            and above are for scoring: no model is trained on them.

            With --model: writes a folder of a published model's shape, with random weights and a tokenizer of its own, \
            shard by shard; for measuring speed and memory. It has learnt nothing.

            Examples:
              vitrail synthesize --seed 900001 --count 20 --output pictures
              vitrail synthesize --model llava-1.5-7b --output llava-random
            """)

    @Option(
        help: ArgumentHelp(
            "The seed of all pictures, or of the weights (0 unless given).", valueName: "number"))
    var seed: UInt64?

    @Option(help: ArgumentHelp("How many pictures, up to a million.", valueName: "number"))
    var count: Int?

    @Option(name: .shortAndLong, help: ArgumentHelp("A new or empty folder.", valueName: "folder"))
    var output: String

    @Option(
        help: ArgumentHelp(
            "A model instead of pictures: \(SyntheticModel.names.joined(separator: ", ")).", valueName: "name"
        ))
    var model: String?

    @Option(
        help: ArgumentHelp(
            "Of --model, for LLaVA: hf, as transformers has it, or original, as its authors have it (hf unless given).",
            valueName: "layout"))
    var layout: SyntheticModel.Layout?

    @Option(
        help: ArgumentHelp(
            "Of --model: bfloat16, float16 or float32 (bfloat16 unless given).", valueName: "dtype"),
        transform: Self.dtype)
    var dtype: DType?

    @Option(
        help: ArgumentHelp(
            "Of pictures: plain, ten shapes and people (unless given), or rich, all 43 kinds of things.",
            valueName: "ring"))
    var ring: MosaicConfiguration.Ring?

    @Option(
        help: ArgumentHelp(
            "The sides of pictures, 96 to 512 pixels; unless given, 128, or 256 in the rich ring.",
            valueName: "pixels"))
    var size: Int?

    func validate() throws {
        guard let model else {
            guard seed != nil, count != nil else {
                throw ValidationError("Pictures need --seed and --count, a model --model.")
            }
            guard layout == nil, dtype == nil else {
                throw ValidationError("--layout and --dtype are of a --model.")
            }
            return
        }
        guard SyntheticModel.names.contains(model) else {
            throw ValidationError(
                "'\(model)' is not a model; \(SyntheticModel.names.joined(separator: ", ")) are.")
        }
        guard count == nil, ring == nil, size == nil else {
            throw ValidationError("--count, --ring and --size are of pictures, not of a --model.")
        }
    }

    func run() throws {
        if let model { try make(model) } else { try draw(seed!, count!) }
    }

    private func draw(_ seed: UInt64, _ count: Int) throws {
        let ring = ring ?? .plain
        let standard: MosaicConfiguration = ring == .rich ? .rich : .standard
        let configuration = try MosaicConfiguration(
            size: size ?? standard.size, ring: ring, maximumObjects: standard.maximumObjects)
        let interrupt = Interrupt()
        let line = ProgressLine()
        let start = ContinuousClock.now
        try MosaicExport.write(seed: seed, count: count, configuration: configuration, to: output) { done in
            // The export removes what it has written so far.
            if interrupt.wasAsked { throw Failure(.interrupted, "interrupted; \(output) was not made") }
            let rate = Double(done) / (ContinuousClock.now - start).seconds
            line.update(
                Double(done) / Double(count), String(format: "%d of %d, %.0f pictures/s", done, count, rate),
                secondsLeft: Double(count - done) / rate)
        }
        print("wrote \(count) \(count == 1 ? "picture" : "pictures") and annotations.json to \(output)")
    }

    private func make(_ name: String) throws {
        let (layout, dtype) = (layout ?? .hf, dtype ?? .bfloat16)
        let model = try SyntheticModel(name, layout: layout, dtype: dtype)
        let files = FileManager.default
        guard try !files.fileExists(atPath: output) || files.contentsOfDirectory(atPath: output).isEmpty
        else {
            throw Failure(.cannotWrite, "\(output) is not empty")
        }
        let bytes = model.count * dtype.size
        try files.createDirectory(atPath: output, withIntermediateDirectories: true)
        let free = try files.attributesOfFileSystem(forPath: output)[.systemFreeSize] as? Int
        guard bytes < free ?? .max else {
            throw Failure(
                .cannotWrite,
                "\(name) takes \(size(bytes)), the disk of \(output) has \(size(free!)) left")
        }
        let interrupt = Interrupt()
        let line = ProgressLine()
        let start = ContinuousClock.now
        var written = 0
        var index: UInt64 = 0
        for folder in model.folders {
            let path = folder.path.isEmpty ? output : "\(output)/\(folder.path)"
            let writer = try ShardedSafetensorsWriter(folder: path)
            for (name, shape) in folder.parameters {
                if interrupt.wasAsked { throw Failure(.interrupted, "interrupted; \(output) has no weights") }
                // Far apart, as the generator counts elements from its seed on.
                index += 1
                let tensor = try randomParameter(
                    name, shape, dtype, seed: (seed ?? 0) &* 0xD1B5_4A32_D192_ED03 &+ index << 40)
                try writer.write(name, tensor)
                written += tensor.count * dtype.size
                let rate = Double(written) / (ContinuousClock.now - start).seconds
                line.update(
                    Double(written) / Double(bytes),
                    String(format: "%@ of %@, %.2f GB/s", size(written), size(bytes), rate / 1e9),
                    secondsLeft: Double(bytes - written) / rate)
            }
            try writer.finish()
            for (name, content) in folder.files {
                let options: JSONSerialization.WritingOptions = [
                    .prettyPrinted, .sortedKeys, .withoutEscapingSlashes,
                ]
                try JSONSerialization.data(withJSONObject: content, options: options)
                    .write(to: URL(fileURLWithPath: "\(path)/\(name)"), options: .atomic)
            }
        }
        print("wrote \(name) of random weights, \(model.count) parameters in \(dtype), to \(output)")
    }

    private func size(_ bytes: Int) -> String {
        bytes < 1_000_000_000
            ? "\((bytes + 999_999) / 1_000_000) MB" : String(format: "%.1f GB", Double(bytes) / 1e9)
    }

    private static func dtype(_ name: String) throws -> DType {
        let known: [String: DType] = ["bfloat16": .bfloat16, "float16": .float16, "float32": .float32]
        guard let dtype = known[name] else {
            throw ValidationError("'\(name)' is not a dtype; bfloat16, float16 and float32 are.")
        }
        return dtype
    }
}

extension Duration {
    /// The whole of it in seconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

extension MosaicConfiguration.Ring: ExpressibleByArgument {}
extension SyntheticModel.Layout: ExpressibleByArgument {}
