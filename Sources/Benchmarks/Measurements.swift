internal import Checkpoints
internal import Datasets
internal import Encoders
internal import Foundation
internal import Language
internal import Media
internal import Perception
internal import Text
internal import Torch
internal import Training
internal import Vitrail

/// Answers to a picture file: read, resize, encode, read by the language model, locate, suppress. Swift and Python take
/// turns, so that whatever else the machine does meets both.
func measureAnswers(
    _ scene: BenchmarkScene, _ python: PythonSide?, _ rounds: Int, _ report: inout Report
) async throws {
    struct Answered: Decodable {
        let milliseconds: [Double]
        let boxes: [[[Double]]]
    }
    let engine = try Engine(model: scene.modelPath)
    for (name, phrases) in [
        ("answer, one phrase", Array(scene.phrases.prefix(1))), ("answer, eleven phrases", scene.phrases),
    ] {
        func answer() async throws -> [Location] {
            try await engine.locate(phrases, in: engine.open(Image(contentsOf: scene.picture)))
        }
        func asked(_ count: Int) -> [String: Any] {
            ["do": "answer", "picture": scene.picture, "rows": phrases.map(scene.tokens), "count": count]
        }
        let perRound = 8
        var (ours, theirs): ([Double], [Double]) = ([], [])
        let found = try await answer()
        let other = try python?.ask(asked(1), as: Answered.self)
        for _ in 0..<rounds {
            for _ in 0..<perRound {
                let start = ContinuousClock.now
                _ = try await answer()
                ours.append((ContinuousClock.now - start).milliseconds)
            }
            if let python { theirs += try python.ask(asked(perRound), as: Answered.self).milliseconds }
        }
        report.add(
            name, "ms", ours, python == nil ? nil : theirs, note: other.map { comparison(found, $0.boxes) })
    }
}

/// How far apart the two sides' boxes are.
private func comparison(_ ours: [Location], _ theirs: [[[Double]]]) -> String {
    let counts = (ours.map(\.detections.count), theirs.map(\.count))
    guard counts.0 == counts.1 else { return "Swift finds \(counts.0), Python \(counts.1) things" }
    let pairs = zip(ours.flatMap(\.detections), theirs.joined())
    let distance = pairs.map { detection, box in
        let mine = [detection.box.x, detection.box.y, detection.box.width, detection.box.height]
        return zip(mine, box).map { abs($0 - $1) }.max()!
    }.max()
    return
        "\(counts.0.reduce(0, +)) boxes, at most \(String(format: "%.2f", distance ?? 0)) px apart from Python's"
}

/// Where the time of an answer to one phrase goes.
func measureStages(_ scene: BenchmarkScene, _ report: inout Report) throws {
    let model = try Lumen(contentsOf: ModelFolder(scene.modelPath))
    let names = [
        "decode the file", "resize", "encode", "read the image (prefix)", "read the phrase (text)", "align",
        "peaks and boxes", "annotate and write",
    ]
    var times = names.map { _ in [Double]() }
    for turn in 0..<13 {
        var stage = 0
        func timed<Result>(_ body: () throws -> Result) rethrows -> Result {
            let start = ContinuousClock.now
            defer {
                if turn > 0 { times[stage].append((ContinuousClock.now - start).milliseconds) }
                stage += 1
            }
            return try body()
        }
        try withInference {
            let image = try timed { try Image(contentsOf: scene.picture) }
            let frame = PictureFrame(
                width: image.width, height: image.height, inputSize: model.encoder.imageSize)
            let pixels = try timed { try frame.pixels(of: image) }
            let features = try timed { try model.encode(pixels) }
            let prefix = try timed { try model.prefix(features) }
            let loc = try timed {
                let ids = scene.tokens(for: scene.phrases[0])
                return try model.language.text(Tensor(ids, [1, 1, ids.count]), after: prefix)[.all, .all, -1]
            }
            let maps = try timed { try model.align(loc, features) }
            let found = try timed { try Locator().detections(maps, in: frame)[0] }
            try timed {
                let marks = found.map { Annotation(box: $0.box, label: scene.phrases[0]) }
                try image.annotated(with: marks).writePNG(to: "\(scene.folder.path)/answer.png")
            }
        }
    }
    report.stages = zip(names, times).map { Report.Stage(name: $0, milliseconds: median($1)) }
}

/// Steps of Training/mosaic.json once everything learns together, on one ready batch; making the batch is shown apart.
func measureTraining(_ scene: BenchmarkScene, _ python: PythonSide?, _ rounds: Int, _ report: inout Report)
    throws
{
    struct Trained: Decodable {
        let milliseconds: [Double]
        let loss: Double
    }
    var configuration = try TrainingConfiguration(contentsOf: "Training/mosaic.json")
    (configuration.visionSteps, configuration.alignerFrom, configuration.rampSteps) = (0, 0, 1)
    let folder = "\(scene.folder.path)/run"
    let trainer = try Trainer(configuration, folder: folder, resume: false)
    // Both sides start from the same parameters.
    _ = try trainer.run(shouldStop: { true })
    let batch = try trainer.batch(step: 0)
    try SafetensorsFile.write(batch.named, to: "\(folder)/batch.safetensors")
    let words = (MosaicKind.names + MosaicColour.names + MosaicSize.names + MosaicTexture.names).map {
        trainer.model.tokenizer.encode(" \($0)")[0]
    }
    func asked(_ count: Int) -> [String: Any] {
        ["do": "train", "folder": folder, "words": words, "count": count]
    }

    let loss = try trainer.learn(from: batch)[0].value
    let other = try python?.ask(asked(1), as: Trained.self).loss
    _ = try trainer.learn(from: batch)
    _ = try python?.ask(asked(1), as: Trained.self)
    var (ours, theirs): ([Double], [Double]) = ([], [])
    for _ in 0..<rounds {
        for _ in 0..<2 { ours.append(try milliseconds { _ = try trainer.learn(from: batch) }) }
        if let python { theirs += try python.ask(asked(2), as: Trained.self).milliseconds }
    }
    let note = other.map { String(format: "first loss %.4f, in Python %.4f", loss, $0) }
    report.add(
        "training step, \(configuration.scenes) scenes", "ms", ours, python == nil ? nil : theirs, note: note)
    let making = try (0..<5).map { step in try milliseconds { _ = try trainer.batch(step: step + 1) } }
    report.add("making its batch", "ms", making, nil)
}

extension MosaicBatch {
    /// The tensors as Python reads them.
    fileprivate var named: [(name: String, tensor: Tensor)] {
        [
            ("pixels", pixels), ("boxes", boxes), ("present", present), ("traits", traits),
            ("words", wordTargets),
            ("location.ids", location.sequences.ids), ("location.sources", location.sequences.sources),
            ("location.targets", location.sequences.targets), ("location.loc", location.loc),
            ("location.members", location.members), ("location.named", location.named),
            ("location.single", location.single), ("texts.ids", texts.sequences.ids),
            ("texts.sources", texts.sequences.sources), ("texts.targets", texts.sequences.targets),
            ("texts.subject", texts.subject), ("texts.subject_traits", texts.subjectTraits),
            ("texts.subject_place", texts.subjectPlace),
        ]
    }
}

/// From the start of a process to the first line of its answer.
func measureStart(_ scene: BenchmarkScene, _ python: PythonSide?, _ threads: Int, _ report: inout Report)
    throws
{
    let tokens = scene.tokens(for: scene.phrases[0]).map(String.init).joined(separator: ",")
    let swift = Bundle.main.executablePath ?? CommandLine.arguments[0]
    let ours = [
        "first-answer", scene.picture, scene.phrases[0], "--model", scene.modelPath, "--threads",
        "\(threads)",
    ]
    let theirs = [PythonSide.script, "first-answer", scene.modelPath, "\(threads)", scene.picture, tokens]
    func seconds(_ program: String, _ arguments: [String]) throws -> Double {
        let start = ContinuousClock.now
        var time = 0.0
        let line = try LineReader.firstLine(of: program, arguments) {
            time = (ContinuousClock.now - start).milliseconds
        }
        guard line != nil else {
            throw PythonSide.Failed(description: "\(program) did not give its first answer")
        }
        return time
    }
    // The first of each brings files into memory.
    _ = try seconds(swift, ours)
    if let python { _ = try seconds(python.program, theirs) }
    var (mine, other): ([Double], [Double]) = ([], [])
    for _ in 0..<5 {
        mine.append(try seconds(swift, ours))
        if let python { other.append(try seconds(python.program, theirs)) }
    }
    report.add("start to first answer", "ms", mine, python == nil ? nil : other)
}

/// The cost of reaching libtorch: a sum of eight numbers with eight.
func measureOperator(_ python: PythonSide?, _ report: inout Report) throws {
    struct Timed: Decodable { let milliseconds: [Double] }
    let count = 100_000
    let (a, b) = (try Tensor.ones([8]), try Tensor.ones([8]))
    let ours = try withInference {
        try (0..<5).map { _ in
            try milliseconds { for _ in 0..<count { _ = try a + b } } / Double(count) * 1000
        }
    }
    let theirs = try python?.ask(["do": "operator", "count": count], as: Timed.self).milliseconds
    report.add("small operator", "µs", ours, theirs?.map { $0 / Double(count) * 1000 })
}

/// Scenes of Mosaic on one core.
func measureMosaic(_ report: inout Report) throws {
    for size in [128, 256] {
        let configuration = try MosaicConfiguration(size: size)
        var pixels = 0
        let count = size == 128 ? 150 : 50
        let times = (0..<5).map { turn in
            milliseconds {
                for index in 0..<count {
                    pixels +=
                        MosaicScene(seed: 3, index: turn * count + index, configuration: configuration)
                        .objects.count
                }
            }
        }
        report.add("Mosaic scenes of \(size) px", "/s", times.map { Double(count) / $0 * 1000 }, nil)
    }
}
