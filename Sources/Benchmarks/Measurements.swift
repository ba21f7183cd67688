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

/// Answers to a picture file: read, resize, encode, read by the language model, locate, suppress, and for masks segment.
/// Swift and Python take turns, so that whatever else the machine does meets both; either multiplies in `dtype`.
func measureAnswers(
    _ scene: BenchmarkScene, _ python: PythonSide?, _ rounds: Int, in dtype: DType, _ report: inout Report
) async throws {
    struct Answered: Decodable {
        let milliseconds: [Double]
        let boxes: [[[Double]]]
    }
    // Boxes are compared as the aligner gives them, before they are drawn around masks.
    var locator = try ModelFolder(scene.modelPath).locator ?? Locator()
    locator.masksBoxes = nil
    let engine = try Engine(model: scene.modelPath, dtype: dtype, locator: locator)
    var kinds: [(name: String, phrases: [String], response: LocateResponse)] = [
        ("one phrase", Array(scene.phrases.prefix(1)), .boxes),
        ("\(scene.phrases.count) phrases", scene.phrases, .boxes),
    ]
    if scene.segmenter != nil {
        kinds.append(("masks of one phrase", Array(scene.phrases.prefix(1)), .masks))
    } else if dtype == .float32 {
        report.remarks.append("masks: not measured, the model has no part segmenter")
    }
    for picture in scene.pictures {
        for (name, phrases, response) in kinds {
            func answer() async throws -> [Location] {
                try await engine.locate(
                    phrases, in: engine.open(Image(contentsOf: picture.path)), as: response)
            }
            func asked(_ count: Int) -> [String: Any] {
                [
                    "do": "answer", "picture": picture.path, "masks": response == .masks, "count": count,
                    "dtype": "\(dtype)",
                    "rows": phrases.map { scene.tokens(for: $0, as: response) },
                ]
            }
            let side = response == .masks && python?.hasTransformers == false ? nil : python
            let perRound = 4
            var (ours, theirs): ([Double], [Double]) = ([], [])
            let found = try await answer()
            let other = try side?.ask(asked(1), as: Answered.self)
            for _ in 0..<rounds {
                for _ in 0..<perRound {
                    let start = ContinuousClock.now
                    _ = try await answer()
                    ours.append((ContinuousClock.now - start).milliseconds)
                }
                if let side { theirs += try side.ask(asked(perRound), as: Answered.self).milliseconds }
            }
            var notes = other.map { [comparison(found, $0.boxes)] } ?? []
            if response == .masks { notes += segmenterNotes(scene, python) }
            report.add(
                "\(picture.side) px, \(name)\(dtype == .float32 ? "" : ", \(dtype)")", "ms", ours,
                side == nil ? nil : theirs,
                note: notes.isEmpty ? nil : notes.joined(separator: "; "))
        }
    }
}

/// In what Python's segmenter differs.
private func segmenterNotes(_ scene: BenchmarkScene, _ python: PythonSide?) -> [String] {
    guard let python, let segmenter = scene.segmenter else { return [] }
    guard python.hasTransformers else { return ["not measured in Python, which has no transformers"] }
    let missing =
        (segmenter.vision.skipChannels > 0 ? ["skip_channels"] : [])
        + (segmenter.maskDecoder.boxCoordinates ? ["box_coordinates"] : [])
        + (segmenter.maskDecoder.pointCoordinates ? ["point_coordinates"] : [])
    return missing.isEmpty
        ? [] : ["in Python transformers' SamModel, which has no \(missing.joined(separator: " and no "))"]
}

/// Many phrases about a picture at once, and one by one, each time with the picture taken in anew.
func measurePhrases(_ scene: BenchmarkScene, _ rounds: Int, _ report: inout Report) async throws {
    let engine = try Engine(model: scene.modelPath)
    let image = try Image(contentsOf: scene.pictures[0].path)
    let phrases = MosaicKind.plain.prefix(8).flatMap { kind in
        MosaicColour.names.map { "\($0) \(kind.name)" }
    }
    func ask(_ phrases: [String]) async throws {
        _ = try await engine.locate(phrases, in: engine.open(image))
    }
    try await ask(phrases)
    try await ask([phrases[0]])
    var (together, apart): ([Double], [Double]) = ([], [])
    for _ in 0..<rounds {
        var start = ContinuousClock.now
        try await ask(phrases)
        together.append((ContinuousClock.now - start).milliseconds)
        // Eighty passes are a mean of eighty already.
        guard apart.count < 2 else { continue }
        start = .now
        for phrase in phrases { try await ask([phrase]) }
        apart.append((ContinuousClock.now - start).milliseconds)
    }
    report.add("\(phrases.count) phrases at once", "ms", together, nil)
    report.add(
        "\(phrases.count) phrases one by one", "ms", apart, nil,
        note: String(format: "at once is 1/%.1f of that", median(apart) / median(together)))
}

/// How far apart the two sides' boxes are.
private func comparison(_ ours: [Location], _ theirs: [[[Double]]]) -> String {
    let counts = (ours.map(\.detections.count), theirs.map(\.count))
    guard counts.0 == counts.1 else { return "Swift finds \(counts.0), Python \(counts.1) things" }
    guard counts.0.contains(where: { $0 > 0 }) else { return "neither side finds anything" }
    let pairs = zip(ours.flatMap(\.detections), theirs.joined())
    let distance = pairs.map { detection, box in
        let mine = [detection.box.x, detection.box.y, detection.box.width, detection.box.height]
        return zip(mine, box).map { abs($0 - $1) }.max()!
    }.max()
    return
        "\(counts.0.reduce(0, +)) boxes, at most \(String(format: "%.2f", distance!)) px apart from Python's"
}

/// Where the time of an answer to one phrase goes.
func measureStages(_ scene: BenchmarkScene, _ report: inout Report) throws {
    let (timed, counts) = try stages(scene, in: .float32)
    let low = try stages(scene, in: .bfloat16).times
    let peak = try measurePeak()
    report.peak = peak
    report.stages = zip(timed, low).map { stage, low in
        let millions = counts[stage.name].map { Double($0) / 1e6 }
        return Report.Stage(
            name: stage.name, milliseconds: stage.milliseconds, bfloat16: low.milliseconds,
            multiplyAdds: millions, partOfPeak: millions.map { $0 / stage.milliseconds / peak })
    }
}

/// How long each stage takes, and how many multiply-adds it needs.
private func stages(
    _ scene: BenchmarkScene, in dtype: DType
) throws -> (times: [(name: String, milliseconds: Double)], multiplyAdds: [String: Int]) {
    let model = try Lumen(contentsOf: ModelFolder(scene.modelPath), dtype: dtype, isFixed: true)
    let segmenter =
        try scene.segmenter == nil ? nil : Segmenter(contentsOf: scene.modelPath, dtype: dtype)
    var names: [String] = []
    var times: [[Double]] = []
    var counts: [String: Int] = [:]
    for turn in 0..<13 {
        var stage = 0
        func timed<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
            let start = ContinuousClock.now
            let result = try body()
            // The first turn warms up.
            if turn == 0 {
                names.append(name)
                times.append([])
            } else {
                times[stage].append((ContinuousClock.now - start).milliseconds)
            }
            stage += 1
            return result
        }
        try withInference {
            let path = scene.pictures[0].path
            let image = try timed("decode the file") { try Image(contentsOf: path) }
            let frame = PictureFrame(
                width: image.width, height: image.height, sizes: model.encoder.sizes)
            let pixels = try timed("resize") { try frame.pixels(of: image) }
            let features = try timed("encode") { try model.encode(pixels) }
            let prefix = try timed("read the image (prefix)") { try model.prefix(features) }
            let ids = scene.tokens(for: scene.phrases[0])
            let loc = try timed("read the phrase (text)") {
                try model.language.text(Tensor(ids, [1, 1, ids.count]), after: prefix)[.all, .all, -1]
            }
            let maps = try timed("align") { try model.align(loc, features) }
            let found = try timed("peaks and boxes") { try Locator().detections(maps, in: frame)[0] }
            if let segmenter {
                let seen = try timed("segment: encode") { try segmenter.encode(image) }
                _ = try timed("segment: decode a mask") { try segmenter.masks([scene.prompt], in: seen) }
            }
            try timed("annotate and write") {
                let marks = found.map { Annotation(box: $0.box, label: scene.phrases[0]) }
                try image.annotated(with: marks).writePNG(to: "\(scene.folder.path)/answer.png")
            }
            let work = MultiplyAdds(model.configuration, frame: frame)
            counts = [
                "encode": work.encode, "read the image (prefix)": work.prefix,
                "read the phrase (text)": work.text(length: ids.count), "align": work.align,
            ]
        }
    }
    return (zip(names, times).map { ($0, median($1)) }, counts)
}

/// Millions of multiply-adds a millisecond, the best of some float32 products of 2048 x 2048 matrices.
private func measurePeak() throws -> Double {
    let side = 2048
    let generator = try Generator(seed: 1)
    return try withInference {
        let (a, b) = (
            try Tensor.randn([side, side], generator: generator),
            try Tensor.randn([side, side], generator: generator)
        )
        let times = try (0..<9).map { _ in try milliseconds { _ = try matmul(a, b) } }
        return Double(side * side * side) / 1e6 / times.min()!
    }
}

/// Steps of Training/mosaic.json once everything learns together, on ready batches of either ring; making a batch is
/// shown apart. Swift learns as `vitrail train` does, from shards of the scenes at the same time with a thread each;
/// Python from all the scenes as one batch with all threads.
func measureTraining(
    _ scene: BenchmarkScene, _ python: PythonSide?, _ rounds: Int, _ threads: Int, _ report: inout Report
) throws {
    struct Trained: Decodable {
        let milliseconds: [Double]
        let losses: [String: Double]
    }
    try Threads.set(1)
    for (name, richShare) in [("plain", 0.0), ("rich", 1.0)] {
        var configuration = try TrainingConfiguration(contentsOf: "Training/mosaic.json")
        // Both sides have it fused; Muon's products are no different in either.
        configuration.optimizer = .adamW
        var stage = configuration.stages[0]
        (stage.visionSteps, stage.alignerFrom, stage.rampSteps, stage.easyShare) = (0, 0, 1, 0)
        (stage.richShare, stage.poseShare, stage.variedShare) = (richShare, 0, 0)
        stage.losses.look = 1
        configuration.stages = [stage]
        let shards = configuration.shards
        let scenes = richShare > 0 ? stage.richScenes : stage.plainScenes

        // One shard has the same scenes as one batch, so that the two sides' first losses can be compared.
        configuration.shards = 1
        let folder = "\(scene.folder.path)/\(name)"
        let whole = try Trainer(configuration, folder: folder, resume: false)
        // Leaves a checkpoint, from which Python starts with the same parameters.
        _ = try whole.run(shouldStop: { true })
        let batch = try whole.batch(step: 0, shard: 0)
        try SafetensorsFile.write(batch.named, to: "\(folder)/batch.safetensors")
        let words = [MosaicKind.names, MosaicColour.names, MosaicSize.names, MosaicTexture.names].joined()
        // The last token of a name stands for it, as in the trainer.
        let wordIDs = words.map { whole.model.tokenizer.encode(" \($0)").last! }
        func asked(_ count: Int) -> [String: Any] {
            ["do": "train", "folder": folder, "words": wordIDs, "count": count]
        }
        let first = try whole.learn(from: [batch])
        let other = try python?.ask(asked(1), as: Trained.self).losses

        configuration.shards = shards
        let trainer = try Trainer(
            configuration, folder: "\(folder)-shards", resume: false, threads: threads)
        let batches = try (0..<shards).map { try trainer.batch(step: 0, shard: $0) }
        _ = try trainer.learn(from: batches)
        _ = try python?.ask(asked(1), as: Trained.self)
        var (ours, theirs): ([Double], [Double]) = ([], [])
        for _ in 0..<rounds {
            for _ in 0..<2 { ours.append(try milliseconds { _ = try trainer.learn(from: batches) }) }
            if let python { theirs += try python.ask(asked(2), as: Trained.self).milliseconds }
        }
        report.add(
            "training step, \(scenes) \(name) scenes", "ms", ours, python == nil ? nil : theirs,
            note: try other.map { try comparison(first, $0) })
        let making = try (0..<5).map { step in
            try milliseconds { _ = try trainer.batch(step: step + 1, shard: 0) }
        }
        report.add("making a shard's batch, \(name)", "ms", making, nil)
    }
    try Threads.set(threads)
}

/// How far apart the two sides' losses are; ours come with their sum and the gradient's norm.
private func comparison(_ ours: [(name: String, value: Double)], _ theirs: [String: Double]) throws -> String
{
    let all = Dictionary(uniqueKeysWithValues: ours.map { ($0.name, $0.value) })
    let parts = all.filter { !["loss", "gradient"].contains($0.key) }
    guard let sum = all["loss"], parts.keys == theirs.keys else {
        throw PythonSide.Failed(
            description: "Swift has the losses \(parts.keys.sorted()), Python \(theirs.keys.sorted())")
    }
    let apart = parts.map { (name: $0.key, part: abs($0.value - theirs[$0.key]!) / abs($0.value)) }
    let most = apart.max { $0.part < $1.part }!
    return String(format: "first loss %.4f, in Python %.4f; ", sum, theirs.values.reduce(0, +))
        + "of its parts \(most.name) differs most, by \(String(format: "%.1g", 100 * most.part)) %"
}

extension MosaicBatch {
    /// The tensors as Python reads them.
    fileprivate var named: [(name: String, tensor: Tensor)] {
        var tensors: [(name: String, tensor: Tensor)] = [("pixels", pixels)]
        func add(_ name: String, _ boxes: BoxTruth) {
            tensors += [
                ("\(name).cells", boxes.cells), ("\(name).weight", boxes.weight),
                ("\(name).log_size", boxes.logSize), ("\(name).offset", boxes.offset),
            ]
        }
        func add(_ name: String, _ things: Things?) {
            guard let things else { return }
            tensors += [
                ("\(name).told", things.told), ("\(name).images", things.images),
                ("\(name).patches", things.patches),
            ]
        }
        tensors += [("dense.heat", dense.heat), ("dense.traits", dense.traits)]
        add("dense", dense.boxes)
        if let wordTargets { tensors.append(("words", wordTargets)) }
        guard let words else { return tensors }
        tensors += words.ids.enumerated().map { ("ids.\($0)", $1) }
        for (name, following) in [
            ("location", words.location), ("text", words.text), ("varying", words.varying),
        ] {
            tensors += [("\(name).sources", following.sources), ("\(name).targets", following.targets)]
        }
        for (name, told) in [("loc", words.loc), ("mentions", words.mentions), ("subjects", words.subjects)] {
            tensors += [
                ("\(name).positions", told.positions), ("\(name).named", told.named),
                ("\(name).place", told.place), ("\(name).single", told.single),
                ("\(name).anchor", told.anchor), ("\(name).anchored", told.anchored),
            ]
            if let one = told.one { tensors.append(("\(name).one", one)) }
            add("\(name)_things", told.things)
        }
        tensors += [
            ("relations.positions", words.relations.positions),
            ("relations.directions", words.relations.directions),
            ("relations.distances", words.relations.distances),
        ]
        tensors += [("lists.positions", words.lists.positions), ("lists.kinds", words.lists.kinds)]
        add("lists_things", words.lists.things)
        if let anchors = words.anchors {
            tensors += [
                ("anchors.texts", anchors.texts), ("anchors.tokens", anchors.tokens),
                ("anchors.phrases", anchors.phrases), ("anchors.images", anchors.images),
            ]
        }
        tensors += [("aligned", words.aligned), ("heat", words.heat)]
        add("boxes", words.boxes)
        return tensors
    }
}

/// From the start of a process to the first line of its answer.
func measureStart(_ scene: BenchmarkScene, _ python: PythonSide?, _ threads: Int, _ report: inout Report)
    throws
{
    let tokens = scene.tokens(for: scene.phrases[0]).map(String.init).joined(separator: ",")
    let swift = Bundle.main.executablePath ?? CommandLine.arguments[0]
    let ours = [
        "first-answer", scene.pictures[0].path, scene.phrases[0], "--model", scene.modelPath, "--threads",
        "\(threads)",
    ]
    let theirs = [
        PythonSide.script, "first-answer", scene.modelPath, "\(threads)", scene.pictures[0].path, tokens,
    ]
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
