import Checkpoints
import Datasets
import Encoders
import Foundation
import Media
import NN
import Perception
import Torch
import Vitrail

/// Fine-tunes a segmenter on the masks of someone's labels: boxes, most of them with a point, are the prompts, as a locator
/// gives them. The losses are those of ``SegmenterTrainer``.
///
/// A run is a folder of its own within the fine-tuning's, and continues exactly as that does.
final class SegmenterTuning: SteppedRun {
    private(set) var step = 0
    let files: RunFolder
    private let part: FineTuningConfiguration.SegmenterPart
    private let log: (every: Int, checkpointEvery: Int)
    private let source: SegmenterSource
    private let model: SAM
    private let optimizer: any Optimizer
    /// The next steps' pictures, of a device that leaves the processor free.
    private lazy var ahead = batchesAhead()
    private let parameters: [(name: String, tensor: Tensor)]
    private let shards: [SegmenterShard]
    private let threads: ShardThreads

    /// - Parameters:
    ///   - part: how long and on what size.
    ///   - labels: the pictures; those with masks are learnt from.
    ///   - seed: of the batches.
    ///   - mixedPrecision: whether matrix products and convolutions run in bfloat16.
    ///   - augmentation: how pictures are changed.
    ///   - optimizer: of the parameters.
    ///   - folder: where the run lies or will lie; one that is there goes on.
    ///   - path: the segmenter to start from.
    ///   - log: steps between two lines of metrics, and between two checkpoints.
    ///   - threads: pictures that are learnt from at the same time.
    ///   - device: where to train.
    init(
        _ part: FineTuningConfiguration.SegmenterPart, _ labels: LabelSplit, seed: UInt64,
        mixedPrecision: Bool, augmentation: Augmentation, optimizer: OptimizerKind, folder: String,
        from path: String,
        log: (every: Int, checkpointEvery: Int), threads: Int, device: Device
    ) throws {
        (self.part, self.log) = (part, log)
        let remade = try Self.remade(SAM(contentsOf: path), imageSize: part.imageSize)
        let model = device == .cpu ? remade : try SAM(sharing: remade, on: device)
        self.model = model
        self.source = SegmenterSource(
            part: part, seed: seed, augmentation: augmentation,
            pictures: labels.train.filter { $0.things.contains(where: Self.canBePrompt) },
            cellsAcross: 4 * model.configuration.vision.gridSize)
        let isThere = FileManager.default.fileExists(atPath: "\(folder)/checkpoint.safetensors")
        files = try RunFolder(folder, configuration: ConfigurationFile.json(part), resume: isThere)
        parameters = SegmenterShard.learnt(model)
        shards = try (0..<max(1, min(threads, part.pictures))).map { _ in
            try SegmenterShard(of: model, mixedPrecision: mixedPrecision)
        }
        self.threads = ShardThreads(shards.count)
        self.optimizer = try optimizer.optimizer(
            of: parameters, weightDecay: 0.05, tables: SegmenterTrainer.tables, ends: SegmenterTrainer.ends,
            threads: device.optimizerThreads(self.threads))
        if isThere { step = try files.restore(model.store.named, self.optimizer) }
    }

    fileprivate static func canBePrompt(_ thing: LabelledSet.Thing) -> Bool {
        thing.isLearnt && thing.segmentation != nil
    }

    func run(shouldStop: () -> Bool, progress: (Trainer.Progress) -> Void) throws -> Bool {
        try runSteps(shouldStop: shouldStop, progress: progress)
    }

    var steps: Int { part.steps }
    var logEvery: Int { log.every }
    var checkpointEvery: Int { log.checkpointEvery }
    var isModelDue: Bool { step == steps }
    func learningRate(of step: Int) -> Double { part.schedule.rate(step: step, of: steps) }
    func saveCheckpoint() throws { try files.save(model.store.named, optimizer, step: step) }
    func saveModel() throws { try model.save(to: "\(files.path)/model") }

    /// A segmenter for another input size: its absolute positions and the relative ones of layers over the whole grid are
    /// resized, as segment-anything does.
    static func remade(_ source: SAM, imageSize: Int) throws -> SAM {
        var configuration = source.configuration
        let patch = configuration.vision.patchSize
        guard imageSize % patch == 0 else {
            throw TrainingError.badConfiguration(
                "segmenter.image_size", "\(imageSize) is no multiple of the segmenter's patches of \(patch)")
        }
        configuration.vision.imageSize = imageSize
        configuration.promptEncoder.imageSize = imageSize
        let model = try SAM(configuration, seed: 0)
        try withoutGrad {
            for (name, tensor) in model.store.named {
                let old = source.store[name]!
                if old.shape == tensor.shape {
                    try tensor.copy(from: old)
                } else if name.hasSuffix("pos_embed") {
                    let side = tensor.size(1)
                    let map = try interpolate(
                        old.permuted(0, 3, 1, 2), to: (height: side, width: side), mode: .bicubic)
                    try tensor.copy(from: map.permuted(0, 2, 3, 1))
                } else {
                    // [2 * side - 1, width]
                    let line = try old.transposed(0, 1).unsqueezed(0).unsqueezed(0)
                    let longer = try interpolate(
                        line, to: (height: old.size(1), width: tensor.size(0)), mode: .bilinear)
                    try tensor.copy(from: longer[0, 0].transposed(0, 1))
                }
            }
        }
        return model
    }

    func advance() throws -> (losses: [String: Double], pictures: Int) {
        let batches = try (0..<part.pictures).map { _ in try ahead.next()!.result.get() }
        let share = 1 / Double(part.pictures)
        let (parts, gradients) = try threads.learn(part.pictures, on: shards) { number, shard in
            try shard.learn(from: batches[number], share: share)
        }
        for (parameter, gradient) in zip(parameters, gradients) { try parameter.tensor.setGrad(gradient) }
        var losses = parts.mean
        losses["gradient"] = try optimizer.clipGradients(to: 5)
        try optimizer.step(learningRate: learningRate(of: step))
        self.step += 1
        return (losses, part.pictures)
    }

    /// Makes the pictures of this and the following steps on threads of their own.
    private func batchesAhead() -> Ahead<SegmenterBatch> {
        let (source, device) = (source, model.store.device)
        let loaders = device.loaders(beside: shards.count, readingFiles: true)
        return Ahead(step * part.pictures..<steps * part.pictures, threads: loaders, ahead: 2 * loaders) {
            try source.batch($0).to(device)
        }
    }
}

/// What the steps of a ``SegmenterTuning`` learn from.
private struct SegmenterSource: @unchecked Sendable {
    let part: FineTuningConfiguration.SegmenterPart
    let seed: UInt64
    let augmentation: Augmentation
    let pictures: [LabelledSet.Picture]
    /// Cells of a mask along an axis.
    let cellsAcross: Int

    /// The prompt's box alone, or with a point.
    private static let guidedShare = 0.75
    /// A thing of which less is seen is no prompt.
    private static let leastSeen = 0.5

    /// The n-th picture with its prompts.
    func batch(_ number: Int) throws -> SegmenterBatch {
        var random = SceneRandom(seed: seed, index: number, stream: 14)
        let side = part.imageSize
        // A crop may show nothing; then another picture is tried.
        for _ in 0..<1_000 {
            let picture = random.element(of: pictures)
            guard let image = try? Image(decoding: picture.source.bytes(), name: picture.source.name) else {
                continue
            }
            let draw = Augmentation.Draw(augmentation, using: &random)
            let placement = PicturePlacement(
                size: (image.width, image.height), into: (0, 0, side, side), draw)
            let seen = picture.things.filter { thing in
                guard SegmenterTuning.canBePrompt(thing), let (whole, seen) = placement.input(thing.box)
                else {
                    return false
                }
                return seen.area >= max(4, Self.leastSeen * whole.area)
            }
            guard !seen.isEmpty else { continue }
            var canvas = Image(
                width: side, height: side,
                pixels: (0..<side * side).flatMap { _ in [124, 116, 104] as [UInt8] })
            canvas.paste(try placement.pixels(of: image), x: placement.area.x, y: placement.area.y)
            let chosen = random.permuted(seen)
            let guided = Int((Double(part.prompts) * Self.guidedShare).rounded(.up))
            var next = 0
            func things(_ count: Int) -> [LabelledSet.Thing] {
                (0..<count).map { _ in
                    defer { next += 1 }
                    return chosen[next % chosen.count]
                }
            }
            let counts = [("guided", guided), ("box", part.prompts - guided)].filter { $0.1 > 0 }
            let groups = try counts.map { name, count in
                try group(
                    name, things(count), placement, (image.width, image.height), &random)
            }
            return SegmenterBatch(pixels: try SAMImageProcessor(imageSize: side)(canvas), groups: groups)
        }
        throw TrainingError.badConfiguration(
            "augmentation.scale",
            "no thing with a mask was seen in a thousand parts of pictures of \(side) pixels")
    }

    private func group(
        _ name: String, _ things: [LabelledSet.Thing], _ placement: PicturePlacement,
        _ size: (width: Int, height: Int), _ random: inout SceneRandom
    ) throws -> SegmenterBatch.Group {
        let side = part.imageSize
        let cell = Double(side) / Double(cellsAcross)
        var points: [Float] = []
        var boxes: [Float] = []
        var targets: [Float] = []
        var weights: [Float] = []
        func off(_ length: Double, _ share: Double) -> Double {
            (random.unit() + random.unit() - 1) * share * length
        }
        func inside(_ value: Double) -> Double { min(max(value, 0), Double(side)) }
        for thing in things {
            let box = placement.input(thing.box)!.seen
            points += [
                Float(inside(box.centre.x + off(box.width, 0.15))),
                Float(inside(box.centre.y + off(box.height, 0.15))),
            ]
            boxes += [
                Float(inside(box.x + off(box.width, part.jitter))),
                Float(inside(box.y + off(box.height, part.jitter))),
                Float(inside(box.maxX + off(box.width, part.jitter))),
                Float(inside(box.maxY + off(box.height, part.jitter))),
            ]
            let bitmap = try thing.segmentation!.mask(width: size.width, height: size.height).bitmap
            var target = [Float](repeating: 0, count: cellsAcross * cellsAcross)
            func cells(_ low: Double, _ high: Double) -> Range<Int> {
                let first = max(0, Int((low / cell).rounded(.down)))
                return first..<max(first + 1, min(cellsAcross, Int((high / cell).rounded(.up))))
            }
            let (rows, columns) = (cells(box.y, box.maxY), cells(box.x, box.maxX))
            for row in rows {
                for column in columns {
                    // Four places a cell tell how much of it is the thing's.
                    var share: Float = 0
                    for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                        let place = placement.original(
                            Point(x: (Double(column) + dx) * cell, y: (Double(row) + dy) * cell))
                        let (x, y) = (Int(place.x.rounded(.down)), Int(place.y.rounded(.down)))
                        if (0..<size.width).contains(x), (0..<size.height).contains(y),
                            bitmap[y * size.width + x] != 0
                        {
                            share += 0.25
                        }
                    }
                    target[row * cellsAcross + column] = share
                }
            }
            targets += target
            // As in Mosaic's training: what is near counts as much as all the rest, whatever the size.
            let (marginX, marginY) = (0.15 * box.width + cell, 0.15 * box.height + cell)
            let (across, down) = (
                cells(box.x - marginX, box.maxX + marginX), cells(box.y - marginY, box.maxY + marginY)
            )
            var weight = [Float](
                repeating: 2 / Float(cellsAcross * cellsAcross), count: cellsAcross * cellsAcross)
            let near = 1 / Float(across.count * down.count)
            for row in down { for column in across { weight[row * cellsAcross + column] += near } }
            weights += weight
        }
        let count = things.count
        var prompts = SAMPrompts()
        if name == "guided" {
            prompts.points = try Tensor(points, [1, count, 1, 2])
            prompts.labels = try Tensor([Int](repeating: 1, count: count), [1, count, 1])
        }
        prompts.boxes = try Tensor(boxes, [1, count, 4])
        let cells = cellsAcross * cellsAcross
        return SegmenterBatch.Group(
            name: name, prompts: prompts, targets: try Tensor(targets, [count, 1, cells]),
            weights: try Tensor(weights, [count, 1, cells]))
    }
}
