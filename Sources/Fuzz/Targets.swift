import Checkpoints
import Datasets
import Encoders
import Evaluation
import Foundation
import Language
import Media
import NN
import Text
import Torch
import Training
import Vitrail

/// A reader that is given mutations of valid files.
struct FuzzTarget: Sendable {
    let name: String
    /// Whether inputs are texts, whose words are changed as such.
    var isText = false
    /// Valid inputs.
    let seeds: @Sendable () throws -> [[UInt8]]
    /// Reads one input, and does with it what a user would.
    let run: @Sendable ([UInt8]) throws -> Void

    static let all = [
        pictures, safetensors, archives, pickles, tokenizers, sentencePiece, configurations, trainings,
        labels,
        results, masks,
    ]

    // MARK: Pictures

    static let pictures = FuzzTarget(
        name: "pictures",
        seeds: { try Fixtures.files("MediaTests", "png", "jpg", "webp", "bmp", "gif") },
        run: { bytes in
            _ = try? Image.size(of: bytes)
            let image = try Image(decoding: bytes, limit: PixelLimit(1 << 20))
            if image.width * image.height < 1 << 14 {
                _ = try image.annotated(with: [Annotation(label: "1")])
            }
        })

    static let masks = FuzzTarget(
        name: "masks", isText: true,
        seeds: {
            [
                #"{"size":[10,20],"counts":[5,10,185]}"#, #"{"size":[10,20],"counts":"52d05"}"#,
                "[[1,2,4.5,2,4.5,6,1,6]]", "[[-3,-4,90.5,0,31,61],[1,1,9,1,9,9]]",
            ].map { Array($0.utf8) }
        },
        run: { bytes in
            let shape = try JSONDecoder().decode(Shape.self, from: Data(bytes))
            switch shape {
            case .polygons(let corners):
                let mask = try Mask(width: 60, height: 40, polygons: corners)
                _ = (mask.bitmap, mask.boundingBox, mask.area)
            case .mask(let mask): _ = (mask.area, mask.boundingBox)
            }
        })

    private enum Shape: Decodable {
        case polygons([[Double]])
        case mask(Mask)

        init(from decoder: any Decoder) throws {
            if let corners = try? [[Double]](from: decoder) {
                self = .polygons(corners)
            } else {
                self = .mask(try Mask(from: decoder))
            }
        }
    }

    // MARK: Weights

    static let safetensors = FuzzTarget(
        name: "safetensors",
        seeds: { try Fixtures.files("CheckpointsTests", "safetensors").filter { $0.count < 12_000 } },
        run: { try readWeights($0, "x.safetensors") })

    static let archives = FuzzTarget(
        name: "archives",
        seeds: { try Fixtures.files("CheckpointsTests", "pt", "pth", "bin").filter { $0.count < 12_000 } },
        run: { try readWeights($0, "x.pt") })

    /// The pickle alone, in an archive that is sound.
    static let pickles = FuzzTarget(
        name: "pickles",
        seeds: { try Fixtures.files("CheckpointsTests", "pt", "pth", "bin").compactMap(Zip.pickle) },
        run: { try readWeights(Zip.archive(pickle: $0), "x.pt") })

    private static func readWeights(_ bytes: [UInt8], _ name: String) throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        try folder.write(bytes, name)
        let checkpoint = try Checkpoint(contentsOf: folder.file(name))
        for (name, entry) in checkpoint.entries where entry.bytes < 1 << 16 {
            _ = try checkpoint.tensor(named: name)?.clone()
        }
    }

    // MARK: Texts

    static let tokenizers = FuzzTarget(
        name: "tokenizers", isText: true,
        seeds: {
            try [
                "clip", "first", "llama", "llama3", "llama_legacy", "metaspace", "prefixed", "qwen2",
                "suffixed",
            ].map { try Fixtures.small(tokenizer: Fixtures.file("TextTests/Fixtures/\($0).json")) }
        },
        run: { try useTokenizer($0, "tokenizer.json") })

    static let sentencePiece = FuzzTarget(
        name: "sentencepiece",
        seeds: { try Fixtures.files("TextTests", "model") },
        run: { try useTokenizer($0, "tokenizer.model") })

    private static func useTokenizer(_ bytes: [UInt8], _ name: String) throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        try folder.write(bytes, name)
        let tokenizer = try Tokenizer(contentsOf: URL(fileURLWithPath: folder.file(name)))
        let texts = [
            "", "Hello, world!  It's 2024\n\t naïve cafe\u{301} ½ ﬁ  \u{1F98A}\u{200D}<s> [INST]",
            String(repeating: "a", count: 2000),
        ]
        for text in texts { _ = tokenizer.decode(tokenizer.encode(text, addSpecialTokens: true)) }
        _ = tokenizer.decode(Array(0..<64) + [-1, 1 << 40], skipSpecialTokens: true)
    }

    // MARK: Configurations

    /// The JSON files of a model's folder, over the weights of a small model that is as it should be.
    static let configurations = FuzzTarget(
        name: "configurations", isText: true,
        seeds: {
            let models =
                ["llava/hf", "llava/original", "llava/clip-tiny", "llava/vicuna-tiny", "sam"].map {
                    "VitrailTests/Fixtures/\($0)"
                } + ["plain", "patterns", "llava"].map { "CheckpointsTests/Fixtures/adapters/\($0)" }
            return try models.map { model in
                var bundle = FileBundle(["model": model])
                for name in try Fixtures.names(model)
                where name.hasSuffix(".json") && !name.contains("token") && !name.contains("index") {
                    bundle.files.append((name, try Fixtures.file("\(model)/\(name)")))
                }
                return bundle.bytes
            }
        },
        run: { bytes in
            var bundle = FileBundle(bytes)
            guard let model = bundle["model"], !model.leadsOut else { return }
            bundle.files.removeAll { !$0.name.hasSuffix(".json") || $0.name.contains("/") }
            let folder = try ScratchFolder()
            defer { folder.remove() }
            try bundle.write(to: folder)
            try Fixtures.link(model, into: folder)
            try openModel(folder.path)
        })

    private static func openModel(_ path: String) throws {
        let picture = Image(width: 9, height: 5, pixels: [UInt8](repeating: 90, count: 135))
        switch try CheckpointKind(of: path) {
        case .llava:
            let folder = try LLaVAFolder(path)
            _ = try folder.processor(picture)
            let store = ParameterStore(.loaded(folder.base), dtype: nil)
            _ = try LLaVA(folder.configuration, store)
            try store.finish()
        case .llama: _ = try Llama(contentsOf: path)
        case .clip: _ = try CLIPVision(contentsOf: path)
        case .sam:
            let checkpoint = try SAMCheckpoint(contentsOf: path)
            _ = try checkpoint.processor(picture)
            _ = try SAM(checkpoint, dtype: nil)
        case .vitrail: _ = try ModelFolder(path)
        case .adapter, .llavaAdapter: _ = try LoRAAdapter(contentsOf: path)
        case .llavaProjector: break
        }
    }

    static let trainings = FuzzTarget(
        name: "trainings", isText: true,
        seeds: {
            try Fixtures.names("../Training").filter { $0.hasSuffix(".json") }.map {
                try Fixtures.file("../Training/\($0)")
            }
        },
        run: { bytes in
            let folder = try ScratchFolder()
            defer { folder.remove() }
            try folder.write(bytes, "x.json")
            let path = folder.file("x.json")
            if SegmenterTrainingConfiguration.isMeant(by: path) {
                _ = try SegmenterTrainingConfiguration(contentsOf: path)
            } else if FineTuningConfiguration.isMeant(by: path) {
                _ = try FineTuningConfiguration(contentsOf: path)
            } else {
                _ = try TrainingConfiguration(contentsOf: path)
            }
        })

    // MARK: Labels and results

    static let labels = FuzzTarget(
        name: "labels", isText: true, seeds: { LabelSeeds.all.map(\.bytes) },
        run: { bytes in
            let folder = try ScratchFolder()
            defer { folder.remove() }
            try FileBundle(bytes).write(to: folder)
            let source = try DataSource(contentsOf: folder.file("source.json"))
            let paths = [source.path, source.images, source.labels, source.split].compactMap(\.self)
            guard !paths.contains(where: \.leadsOut) else { return }
            for asWritten in [false, true] {
                let set = try LabelledSet.read(source, relativeTo: folder.path, asWritten: asWritten)
                _ = LabelSummary(set).text
                for picture in set.pictures.prefix(50) where picture.width * picture.height < 1 << 20 {
                    for thing in picture.things.prefix(50) {
                        _ = try? thing.segmentation?.mask(width: picture.width, height: picture.height)
                    }
                }
            }
        })

    static let results = FuzzTarget(
        name: "results", isText: true,
        seeds: {
            let data = try Data(Fixtures.file("EvaluationTests/Fixtures/yardsticks.json"))
            return try JSONDecoder().decode([Yardstick].self, from: data).compactMap { entry in
                guard entry.base64 != true else { return nil }
                var bundle = FileBundle([
                    "metric": entry.metric?.rawValue ?? "", "type": entry.type?.rawValue ?? "",
                    "predictions": entry.predictions, "truth": entry.truth,
                ])
                bundle.files += entry.files.sorted { $0.key < $1.key }.map { ($0.key, Array($0.value.utf8)) }
                return bundle.bytes
            }.filter { $0.count < 60_000 }
        },
        run: { bytes in
            let bundle = FileBundle(bytes)
            guard let predictions = bundle["predictions"], let truth = bundle["truth"],
                !predictions.leadsOut, !truth.leadsOut
            else { return }
            let folder = try ScratchFolder()
            defer { folder.remove() }
            try bundle.write(to: folder)
            _ = try PredictionScoring(
                predictions: folder.file(predictions), truth: folder.file(truth),
                metric: bundle["metric"].flatMap(ScoringMetric.init),
                type: bundle["type"].flatMap(COCOScoringType.init)
            ).score()
        })

    private struct Yardstick: Decodable {
        let metric: ScoringMetric?
        let files: [String: String]
        let base64: Bool?
        let predictions: String
        let truth: String
        let type: COCOScoringType?
    }
}
