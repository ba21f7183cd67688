import Checkpoints
import Datasets
import Encoders
import Foundation
import Media
import NN
import Text
public import Torch
public import Vitrail

/// Fine-tunes a model on someone's labels.
///
/// A run is a folder: `configuration.json`, `train.json` and `validation.json` (the labels, in COCO's form), `metrics.jsonl`, `validation.jsonl`, `checkpoint.safetensors` (the last, one
/// file, replaced whole), `model/` (the best so far) and at the end `report.html`. What a step learns from depends on
/// the configuration and the step's number alone, so a run that was killed continues exactly.
public final class FineTuning: TrainingRun {
    /// What was asked for, with the changes of its length so far.
    public private(set) var configuration: FineTuningConfiguration
    public let folder: String
    public let model: Lumen
    /// Steps done.
    public private(set) var step = 0
    /// What is read before training starts, a line each: sets, splits, what was skipped.
    public let summary: [String]
    /// Told of what a user should know while the run goes on.
    public var notice: (String) -> Void = { _ in }
    /// When all of the run, validations and report too, is to be over: where it will not, or will long before, its length is
    /// changed on the way, and the changes are written into its configuration. Wants ``pace``; nil for no limit.
    public var deadline: ContinuousClock.Instant?
    /// How long steps and validations take.
    public var pace: TrainingPace?
    package let labels: LabelSplit
    private let files: RunFolder
    private let samples: LabelSamples
    private let optimizers: [(optimizer: any Optimizer, factor: Double)]
    private let parameters: [(name: String, tensor: Tensor)]
    private let shards: [Shard]
    private let threads: ShardThreads
    private let group: ProcessGroup?
    /// Whether a rank was asked to stop.
    private var isStopping = false
    /// Asked after each step's work.
    private var wasAsked: () -> Bool = { false }
    /// What the next steps learn from, of a device that leaves the processor free.
    private lazy var ahead = batchesAhead()
    private var source: Source
    private let start: Start
    private let segmenterFolder: String?
    /// What the validations so far say.
    private(set) var record = Record()

    private var reported: Set<String> = []

    /// The validations of a run.
    struct Record: Codable, Equatable {
        /// The best score so far, the step that it is of, and the validations since.
        var best: Double?
        var bestStep = 0
        var since = 0
        /// Whether the run is at its end.
        var isOver = false
    }

    /// The model that the run started from.
    private struct Start {
        let model: Lumen
        let folder: ModelFolder
    }

    /// A network of the run's parameters with gradients of its own.
    private final class Shard: Replica, @unchecked Sendable {
        let losses: LabelLosses
        let parameters: [Tensor]

        init(of model: Lumen, _ configuration: FineTuningConfiguration) throws {
            let replica = try Lumen(sharing: model)
            losses = LabelLosses(
                model: replica, weights: configuration.losses,
                learnsHead: configuration.remakesHead)
            parameters = replica.parameters.map(\.tensor)
            for parameter in parameters { try parameter.requireGrad() }
        }

        /// Leaves the gradients of `share` times the losses in the parameters; the losses.
        func learn(from batch: LabelBatch, share: Double, seesOnly: Bool, inLowPrecision: Bool) throws
            -> [String: Double]
        {
            let parts = try withMixedPrecision(inLowPrecision, on: losses.model.device) {
                try losses(batch, seesOnly: seesOnly)
            }
            return Dictionary(try parts.learnt(share: share)) { $1 }
        }
    }

    /// Prepares a run in `folder`: reads the labels and checks them, and makes the model ready for them.
    ///
    /// - Parameters:
    ///   - configuration: what to learn from and how.
    ///   - folder: where the run lies, or will lie.
    ///   - resume: whether to continue from the folder's checkpoint.
    ///   - threads: how many parts of a step run at the same time; the result does not depend on it.
    ///   - group: the processes that divide the pictures of a step among them; nil for this one alone. The first of them
    ///     validates, writes the run, and fine-tunes the segmenter.
    ///   - device: where to train.
    ///   - path: the folder of the model to start from; the embedded one when left out.
    ///   - data: what relative paths of the configuration's sets are relative to; the working directory when left out.
    /// - Throws: ``TrainingError`` for labels that cannot be learnt from, or when the folder holds a run already, or none
    ///   to resume; what a data set or the model throws, which names the file.
    public init(
        _ configuration: FineTuningConfiguration, folder: String, resume: Bool, threads: Int = 1,
        group: ProcessGroup? = nil, device: Device = .cpu, model path: String? = nil, data: String? = nil
    ) throws {
        self.configuration = configuration
        self.folder = folder
        self.group = group
        let ranks = group?.count ?? 1
        for (name, count) in [
            ("pictures", configuration.pictures), ("people", configuration.joints?.people ?? 0),
        ]
        where count % ranks != 0 {
            throw TrainingError.badConfiguration(
                "\(name) \(count)", "they cannot be divided among \(ranks) ranks")
        }
        let source = try ModelFolder(path ?? Engine.embeddedModel())
        let trained = try Lumen(contentsOf: source)
        start = Start(
            model: device == .cpu ? trained : try Lumen(sharing: trained, on: device), folder: source)
        labels = try LabelSplit(
            configuration, relativeTo: data, tokenizer: trained.tokenizer, group: group)
        try labels.checkNames(trained.tokenizer)
        let remade = try RemadeModel(
            trained, imageSize: configuration.imageSize,
            classes: configuration.remakesHead ? labels.classes : nil, seed: configuration.seed)
        model = device == .cpu ? remade.model : try Lumen(sharing: remade.model, on: device)
        summary =
            labels.summary + [
                "model: \(source.path), \(remade.fresh.count) of its \(model.parameters.count) parameters made anew"
            ]
        segmenterFolder = source.parts["segmenter"] == nil ? nil : try source.folder(of: "segmenter")
        guard configuration.segmenter == nil || segmenterFolder != nil else {
            throw TrainingError.badConfiguration(
                source.path, "the model has no segmenter that could be fine-tuned")
        }
        let known = model.configuration.encoder?.attributes[0] ?? []
        samples = LabelSamples(
            labels, configuration, rank: group?.rank ?? 0, sizes: model.encoder.sizes,
            hasSegmenter: segmenterFolder != nil)
        self.source = Source(
            configuration: configuration, samples: samples, writing: MosaicWriting(model),
            kinds: labels.classes.map(known.firstIndex(of:)),
            rank: group?.rank ?? 0, ranks: ranks)
        files = try RunFolder(
            folder, configuration: configuration.json(), resume: resume,
            isWriter: group.map { $0.rank == 0 } ?? true)
        let all = model.parameters
        parameters = all
        func isLanguage(_ name: String) -> Bool { name.hasPrefix("language_model.") }
        let groups: [(factor: Double, isMember: (String) -> Bool)] = [
            (1, { !remade.fresh.contains($0) && !isLanguage($0) }),
            (configuration.languageRate, { !remade.fresh.contains($0) && isLanguage($0) }),
            (configuration.freshRate, { remade.fresh.contains($0) }),
        ]
        let count = max(
            1, min(threads, (configuration.pictures + (configuration.joints?.people ?? 0)) / ranks))
        let workers = ShardThreads(count)
        self.threads = workers
        let movers = device.optimizerThreads(workers)
        optimizers = try groups.compactMap { factor, isMember in
            let members = all.filter { isMember($0.name) }
            guard !members.isEmpty, factor > 0 else { return nil }
            return (
                try configuration.optimizer.optimizer(
                    of: members, weightDecay: configuration.weightDecay, tables: Trainer.tables,
                    ends: Trainer.ends, threads: movers),
                factor
            )
        }
        let master = model
        shards = try (0..<count).map { _ in try Shard(of: master, configuration) }
        if resume { try restore() } else if files.isWriter { try labels.write(to: folder) }
        // The ranks begin with the same bits, whatever their machines are.
        try group?.broadcast(parameters.map(\.tensor))
    }

    // MARK: Running

    public func run(
        shouldStop: () -> Bool = { false }, progress: (Trainer.Progress) -> Void = { _ in }
    ) throws -> Bool {
        guard let group else { return try learn(shouldStop, progress) && finish(shouldStop, progress) }
        // Ranks stop together, after the step in which one of them was asked to.
        let isComplete = try withoutActuallyEscaping(shouldStop) { shouldStop in
            wasAsked = shouldStop
            defer { wasAsked = { false } }
            return try learn({ isStopping }, progress)
        }
        // Nobody leaves before what the first rank writes is whole; the rest is its own work.
        try group.barrier()
        group.leave()
        return try isComplete && (!files.isWriter || finish(shouldStop, progress))
    }

    /// What follows the steps.
    private func finish(_ shouldStop: () -> Bool, _ progress: (Trainer.Progress) -> Void) throws -> Bool {
        if let part = configuration.segmenter, let segmenterFolder {
            let tuning = try SegmenterTuning(
                part, labels, seed: configuration.seed, mixedPrecision: configuration.mixedPrecision,
                augmentation: configuration.augmentation, optimizer: configuration.optimizer,
                folder: "\(folder)/segmenter",
                from: segmenterFolder, log: (configuration.logEvery, configuration.checkpointEvery),
                threads: shards.count, device: model.device)
            guard try tuning.run(shouldStop: shouldStop, progress: progress) else {
                try report()
                return false
            }
        }
        try report()
        return true
    }

    private func learn(_ shouldStop: () -> Bool, _ progress: (Trainer.Progress) -> Void) throws -> Bool {
        if step == 0 { try validateStart() }
        let start = ContinuousClock.now
        let first = step
        var sums: [String: (total: Double, count: Int)] = [:]
        var lastLog = (time: start, step: step)
        var hasWarned = false
        // Of steps alone, since the length was last looked at.
        var spent = (seconds: 0.0, steps: 0)
        while step < configuration.lastStep, !record.isOver {
            if shouldStop() {
                try saveCheckpoint()
                if group == nil { try keepBest() }
                return false
            }
            let begin = ContinuousClock.now
            let losses = try advance()
            guard losses["loss"]!.isFinite else { throw TrainingError.diverged(step: step) }
            for (name, value) in losses {
                let sum = sums[name] ?? (0, 0)
                sums[name] = (sum.total + value, sum.count + 1)
            }
            let now = ContinuousClock.now
            spent = (spent.seconds + (now - begin).seconds, spent.steps + 1)
            if try keepTime(spent) { spent = (0, 0) }
            let steps = configuration.lastStep
            let elapsed = (now - start).seconds
            let done = step - first
            progress(
                Trainer.Progress(
                    step: step, steps: steps,
                    samplesPerSecond: Double(done * configuration.pictures) / elapsed,
                    secondsLeft: secondsLeft ?? elapsed / Double(done) * Double(steps - step),
                    loss: losses["loss"]!))
            let whole = elapsed / Double(done) * Double(steps) / 60
            if deadline == nil, let minutes = configuration.minutes, !hasWarned, done == 20,
                whole > 1.2 * minutes
            {
                hasWarned = true
                notice(
                    "\(steps) steps will take about \(Int(whole.rounded())) minutes here, not the configuration's \(Int(minutes)); about \(Int(Double(steps) * minutes / whole)) steps would fit"
                )
            }
            if step % configuration.logEvery == 0 || step == steps {
                var line = sums.mapValues { $0.total / Double($0.count) }
                line["step"] = Double(step)
                line["seconds_per_step"] = (now - lastLog.time).seconds / Double(step - lastLog.step)
                line["seconds"] = elapsed
                line["learning_rate"] = learningRate(of: step - 1)
                try files.log(line)
                reportBroken()
                sums = [:]
                lastLog = (now, step)
            }
            let isDue =
                step > configuration.length(at: step).visionSteps && step % configuration.validateEvery == 0
                || step == steps
            if isDue { try validate() }
            if isDue || step % configuration.checkpointEvery == 0 { try saveCheckpoint() }
        }
        return true
    }

    // MARK: Time

    /// Seconds that are left for steps and the validations between them; nil without a limit.
    private var secondsLeft: Double? {
        guard let deadline, let pace else { return nil }
        // The last validation, one for each limit of overlaps, the test's, and the page.
        let share = Double(labels.test.count) / Double(labels.validation.count)
        let last = pace.validation * (Double(configuration.locator.overlapLimits.count + 1) + share) + 3
        return max(0, (deadline - .now).seconds - last)
    }

    /// Changes the length where the run would not end in time, or long before it.
    ///
    /// - Parameter spent: seconds for steps, and how many, since it was last looked at.
    /// - Returns: whether it was looked at now.
    private func keepTime(_ spent: (seconds: Double, steps: Int)) throws -> Bool {
        guard let left = secondsLeft, var pace else { return false }
        let (steps, visionSteps) = configuration.length(at: step)
        guard step < steps else { return false }
        if left < 2 * spent.seconds / Double(spent.steps) {
            try change(to: step, visionSteps: min(visionSteps, step))
            return true
        }
        // Steps before and after take different times.
        guard step != visionSteps else { return true }
        guard spent.steps >= Self.betweenLooks.steps || spent.seconds >= Self.betweenLooks.seconds else {
            return false
        }
        // What slows steps down slows validations down as well.
        let expected = step < visionSteps ? pace.visionStep : pace.step
        let slower = spent.seconds / Double(spent.steps) / expected
        // A moment in which nothing moved says little of the rest.
        pace.scale(by: min(max(slower, 0.5), 2).squareRoot())
        self.pace = pace
        let (vision, whole) = (max(0, visionSteps - step), steps - max(step, visionSteps))
        let validations = Double(whole / configuration.validateEvery)
        let room = left - pace.validation * validations
        let need = Double(vision) * pace.visionStep + Double(whole) * pace.step
        let factor = max(0, room) / need
        // A longer run warms up again: not at its end.
        guard factor < 0.97 || factor > 1.1 && (step < visionSteps || 2 * step < steps) else { return true }
        // A little less than what fits, so that there is not a change at every look.
        let newVision = vision == 0 ? visionSteps : step + Int(0.98 * factor * Double(vision))
        let newSteps = max(step, newVision) + max(1, Int(0.98 * factor * Double(whole)))
        try change(to: newSteps, visionSteps: min(newVision, newSteps))
        return true
    }

    private static let betweenLooks = (steps: 25, seconds: 30.0)

    private func change(to steps: Int, visionSteps: Int) throws {
        guard (steps, visionSteps) != configuration.length(at: step) else { return }
        configuration.changes =
            (configuration.changes ?? []) + [
                .init(at: step, steps: steps, visionSteps: visionSteps)
            ]
        source.configuration = configuration
        ahead = batchesAhead()
        try files.replace(configuration: configuration.json())
    }

    func learningRate(of step: Int) -> Double {
        configuration.schedule.rate(step: step, of: configuration.length(at: step).steps)
    }

    /// One step; its losses, of which "loss" is the whole.
    func advance() throws -> [String: Double] {
        try learn(from: ahead.next()!.result.get())
    }

    /// Makes what this and the following steps learn from on threads of their own.
    private func batchesAhead() -> Ahead<[(batch: LabelBatch, pictures: Int)]> {
        let (source, device) = (source, model.device)
        let loaders = device.loaders(beside: shards.count, readingFiles: true)
        return Ahead(step..<configuration.lastStep, threads: loaders, ahead: 2 * loaders) { step in
            try source.batches(step: step, on: ShardThreads(1)).map { (try $0.batch.to(device), $0.pictures) }
        }
    }

    /// What a step learns from, in parts of one form each.
    package func batches(step: Int) throws -> [(batch: LabelBatch, pictures: Int)] {
        try source.batches(step: step, on: threads)
    }

    /// What it takes to make the batches.
    private struct Source: @unchecked Sendable {
        var configuration: FineTuningConfiguration
        let samples: LabelSamples
        let writing: MosaicWriting
        /// Which of the model's kinds each class is.
        let kinds: [Int?]
        /// Which of how many processes that divide a step among them.
        let rank: Int
        let ranks: Int

        /// The numbers of this rank's among `count` pictures or people a step. Of shards, which are its own, every one is.
        private func numbers(_ step: Int, _ count: Int) -> [Int] {
            let own = count / ranks
            return configuration.data.train.format.isSharded
                ? Array(step * own..<(step + 1) * own)
                : Array(stride(from: step * count + rank, to: (step + 1) * count, by: ranks))
        }

        func batches(step: Int, on threads: ShardThreads) throws -> [(batch: LabelBatch, pictures: Int)] {
            let pictures = numbers(step, configuration.pictures)
            let (steps, visionSteps) = configuration.length(at: step)
            let people =
                step < visionSteps ? [] : numbers(step, configuration.joints?.people ?? 0)
            let prepared = try threads.map(pictures.count + people.count) { number in
                try number < pictures.count
                    ? samples.prepared(pictures[number], step: step, of: steps)
                    : samples.figure(people[number - pictures.count], step: step, of: steps)
            }
            // Pictures of one form are learnt from together.
            var parts: [[PreparedPicture]] = []
            var open: [PreparedPicture.Form: Int] = [:]
            for picture in prepared {
                let form = picture.form
                if let part = open[form], parts[part].count < configuration.together {
                    parts[part].append(picture)
                } else {
                    open[form] = parts.count
                    parts.append([picture])
                }
            }
            // Those that run at the same time take about the same time.
            parts.sort { Self.pixels($0) > Self.pixels($1) }
            return try threads.map(parts.count) { [parts] number in
                let place = step * configuration.pictures + rank + number * ranks
                var random = SceneRandom(seed: configuration.seed, index: place, stream: 12)
                return (
                    try LabelBatch(
                        parts[number], writing, classes: kinds.count, kinds: kinds, using: &random),
                    parts[number].count
                )
            }
        }

        private static func pixels(_ part: [PreparedPicture]) -> Int {
            part.reduce(0) { $0 + $1.image.width * $1.image.height }
        }
    }

    /// Moves the parameters once; the losses before it.
    package func learn(from batches: [(batch: LabelBatch, pictures: Int)]) throws -> [String: Double] {
        let total = Double(batches.reduce(0) { $0 + $1.pictures } * (group?.count ?? 1))
        let seesOnly = step < configuration.length(at: step).visionSteps
        let mixedPrecision = configuration.mixedPrecision
        var (parts, gradients) = try threads.learn(
            batches.count, on: shards, check: { try group?.checkOthers() }
        ) { number, shard in
            let (batch, pictures) = batches[number]
            return try shard.learn(
                from: batch, share: Double(pictures) / total, seesOnly: seesOnly,
                inLowPrecision: mixedPrecision)
        }
        var losses: [String: Double] = [:]
        for (values, batch) in zip(parts, batches) {
            for (name, value) in values {
                losses[name, default: 0] += value * Double(batch.pictures) / total
            }
        }
        if let group {
            try group.add(&gradients, of: parameters.map(\.tensor))
            let all = try group.tell(Told(losses: losses, stops: wasAsked()))
            losses = all.reduce(into: [:]) { $0.merge($1.losses, uniquingKeysWith: +) }
            isStopping = all.contains(where: \.stops)
        }
        for (parameter, gradient) in zip(parameters, gradients) { try parameter.tensor.setGrad(gradient) }
        let used = gradients.compactMap { $0 }
        losses["gradient"] = try withoutGrad {
            let norm = try totalNorm(used)
            try scale(used, by: (configuration.gradientLimit / (norm + 1e-6)).clamped(max: 1))
            return try norm.item()
        }
        for (optimizer, factor) in optimizers {
            try optimizer.step(learningRate: factor * learningRate(of: step))
        }
        step += 1
        return losses
    }

    /// What a rank tells the others of a step.
    private struct Told: Codable {
        let losses: [String: Double]
        let stops: Bool
    }

    // MARK: Measuring

    /// How long the steps and validations of a configuration take here; the first one of each kind is not counted.
    ///
    /// - Parameters: as of ``init(_:folder:resume:threads:group:device:model:data:)``.
    static func pace(
        of configuration: FineTuningConfiguration, threads: Int, device: Device, model path: String?
    ) throws -> TrainingPace {
        var short = configuration
        (short.visionSteps, short.steps) = (4, 8)
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let run = try FineTuning(
            short, folder: folder, resume: false, threads: threads, device: device, model: path)
        func seconds(_ body: () throws -> Void) rethrows -> Double {
            let start = ContinuousClock.now
            try body()
            return (ContinuousClock.now - start).seconds
        }
        let steps = try (0..<short.steps).map { _ in try seconds { _ = try run.advance() } }
        let pictures = Array(run.labels.validation.prefix(16))
        let models = run.shards.map(\.losses.model)
        _ = try run.answers(of: models, threshold: Self.generousThreshold, to: [pictures[0]])
        let answering = try seconds {
            _ = try run.answers(of: models, threshold: Self.generousThreshold, to: pictures)
        }
        return TrainingPace(
            visionStep: steps[1..<4].reduce(0, +) / 3, step: steps[5..<8].reduce(0, +) / 3,
            validation: answering * Double(run.labels.validation.count) / Double(pictures.count))
    }

    // MARK: Validation

    /// Scores the model as it is, keeps it if it is the best so far, and ends the run when it has not been for long.
    private func validate() throws {
        if files.isWriter { try validateAlone() }
        if let group { record = try group.tell(record)[0] }
    }

    /// Scores the model from before, which stays where no step makes a better one.
    private func validateStart() throws {
        if files.isWriter {
            let models = try shards.map { _ in try Lumen(sharing: start.model) }
            let answers = try answers(of: models, threshold: Self.generousThreshold)
            try ValidationLog.append(answers.figures(step: 0), to: folder)
            record.best = answers.score
            try save(start.model)
            // It answers as it did.
            try ModelFolder("\(folder)/model").calibrate(
                start.folder.locator ?? Locator(), classes: start.folder.classes)
        }
        if let group { record = try group.tell(record)[0] }
    }

    private func validateAlone() throws {
        let begin = ContinuousClock.now
        let answers = try answers(of: shards.map(\.losses.model), threshold: Self.generousThreshold)
        pace?.validation = (ContinuousClock.now - begin).seconds
        let score = answers.score
        try ValidationLog.append(answers.figures(step: step), to: folder)
        // Of equally good models the first, but for the one from before, which does not know the classes' names.
        if score > record.best ?? -1 || record.bestStep == 0 && score == record.best {
            record.best = score
            record.bestStep = step
            record.since = 0
            try save(model)
        } else {
            record.since += 1
            record.isOver = record.since >= configuration.patience
        }
    }

    /// Down to which score answers count for average precision.
    private static let generousThreshold = 0.02

    /// What the models, which are the same, say of the validation's pictures, or of others.
    func answers(
        of models: [Lumen], threshold: Double, overlapLimit: Double? = nil,
        to pictures: [LabelledSet.Picture]? = nil
    ) throws -> ValidationAnswers {
        let locator = Locator(
            maximumPeaks: configuration.locator.maximumPeaks,
            overlapLimit: overlapLimit ?? configuration.locator.overlapLimits[0], threshold: threshold)
        let (labels, writing, samples, configuration) = (labels, source.writing, samples, configuration)
        let person = configuration.joints == nil ? nil : labels.classes.firstIndex(of: "person")
        let asksQuestions = configuration.questions > 0 || configuration.wordTasks.contains(.question)
        let models = Models(models)
        let pictures = pictures ?? labels.validation
        // Each network answers a part of its own.
        let parts = try threads.map(models.all.count) { number in
            try withoutGrad {
                try Swift.stride(from: number, to: pictures.count, by: models.all.count).compactMap {
                    place in
                    let picture = pictures[place]
                    guard let image = samples.image(of: picture) else { return nil }
                    let answers = try PictureAnswers(
                        picture, image, models.all[number], writing, classes: labels.classes,
                        person: person, questions: asksQuestions ? picture.questions : [],
                        texts: configuration.texts(of: picture), locator)
                    return (place, answers)
                } as [(Int, PictureAnswers)]
            }
        }
        let ordered = parts.joined().sorted { $0.0 < $1.0 }.map(\.1)
        return ValidationAnswers(classes: labels.classes, person: person, pictures: ordered)
    }

    /// Says what cannot be decoded, each once, and in the end how much it was.
    private func reportBroken(isEnd: Bool = false) {
        let problems = samples.problems
        for problem in problems where !reported.contains(problem) { notice("\(problem); skipped") }
        reported = Set(problems)
        if isEnd, !problems.isEmpty { notice("\(problems.count) pictures could not be used") }
    }

    private struct Models: @unchecked Sendable {
        let all: [Lumen]
        init(_ all: [Lumen]) { self.all = all }
    }

    /// Leaves a run that was stopped with a model to be used: the best so far, the one of now where none was scored yet.
    private func keepBest() throws {
        let before = record
        // What is scored now is no validation of the run, which goes on as if it had not been stopped.
        if record.bestStep == 0 {
            let answers = try answers(of: shards.map(\.losses.model), threshold: Self.generousThreshold)
            if answers.score > record.best ?? -1 {
                record.bestStep = step
                try save(model)
            }
        }
        try report()
        record = before
    }

    private func save(_ model: Lumen) throws {
        try model.save(to: "\(folder)/model")
        if let segmenterFolder {
            try ModelFolder("\(folder)/model").add(Segmenter(contentsOf: segmenterFolder))
        }
    }

    /// Calibrates the best model, gives it its segmenter, and writes the report.
    private func report() throws {
        defer { reportBroken(isEnd: true) }
        let path = "\(folder)/model"
        let best = try Lumen(contentsOf: ModelFolder(path), device: model.device)
        let models = try shards.map { _ in try Lumen(sharing: best) }
        var chosen: (limit: Double, answers: ValidationAnswers)?
        for limit in configuration.locator.overlapLimits {
            let answers = try answers(of: models, threshold: Self.generousThreshold, overlapLimit: limit)
            if chosen.map({ answers.score > $0.answers.score }) ?? true { chosen = (limit, answers) }
            // Without places to be found there is nothing to choose.
            guard answers.averagePrecision != nil else { break }
        }
        let (limit, answers) = chosen!
        let isStart = record.bestStep == 0
        let calibration = answers.calibration(trained: labels.train.map { $0.counts(labels.classes.count) })
        var locator = Locator(
            maximumPeaks: configuration.locator.maximumPeaks, overlapLimit: limit,
            threshold: calibration.threshold)
        locator.countThresholds = calibration.countThresholds
        let test =
            labels.test.isEmpty
            ? nil
            : try self.answers(
                of: models, threshold: Self.generousThreshold, overlapLimit: limit, to: labels.test)
        // A run that was stopped has none yet.
        if FileManager.default.fileExists(atPath: "\(folder)/segmenter/model") {
            try ModelFolder(path).add(Segmenter(contentsOf: "\(folder)/segmenter/model"))
        }
        if !isStart {
            try ModelFolder(path).calibrate(locator, classes: labels.classes)
            if let before = try earlier { try ModelFolder(path).keep(before: before) }
        }
        let page = FineTuningReport(
            folder: folder, summary: summary, answers: answers, calibration: calibration, locator: locator,
            test: test, bestStep: record.bestStep, image: { [samples] in samples.image(of: $0) })
        try page.html().write(toFile: "\(folder)/report.html", atomically: true, encoding: .utf8)
    }

    /// The model that goes on answering what was not tuned for: of one that was tuned to the same classes before, its own.
    private var earlier: ModelFolder? {
        get throws {
            guard configuration.remakesHead else { return nil }
            return start.folder.classes == labels.classes ? try start.folder.before : start.folder
        }
    }

    // MARK: Checkpoints

    private var checkpoint: String { "\(folder)/checkpoint.safetensors" }

    private func saveCheckpoint() throws {
        guard files.isWriter else { return }
        let weights = parameters.map { (name: "model.\($0.name)", tensor: $0.tensor) }
        let state = optimizers.flatMap(\.optimizer.state)
            .map { (name: "optimizer.\($0.name)", tensor: $0.tensor) }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let said = String(decoding: try encoder.encode(record), as: UTF8.self)
        try SafetensorsFile.write(
            weights + state, metadata: ["step": "\(step)", "validation": said], to: checkpoint)
    }

    private func restore() throws {
        let file = try SafetensorsFile(checkpoint)
        let step = try RunFolder.step(of: file)
        guard let said = file.metadata["validation"],
            let record = try? JSONDecoder().decode(Record.self, from: Data(said.utf8)),
            (0...step).contains(record.since), (0...step).contains(record.bestStep)
        else { throw TrainingError.badRun(checkpoint, "the checkpoint does not say how it was validated") }
        try RunFolder.copy(into: parameters, from: checkpoint) {
            try file.tensor(named: "model.\($0)")
        }
        for (optimizer, _) in optimizers { try optimizer.load(SavedState(file: file)) }
        (self.step, self.record) = (step, record)
        guard files.isWriter else { return }
        for name in ["metrics.jsonl", ValidationLog.name] {
            try ValidationLog.drop(after: step, from: "\(folder)/\(name)")
        }
    }

    /// The optimizers' part of a checkpoint.
    private struct SavedState: TensorSource {
        let file: SafetensorsFile
        var label: String { file.label }
        var names: [String] { file.names }
        func tensor(named name: String) throws -> Tensor? { try file.tensor(named: "optimizer.\(name)") }
    }
}

/// Lines of JSON with a field `step`.
enum ValidationLog {
    static let name = "validation.jsonl"

    static func append(_ line: [String: Double], to folder: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let path = "\(folder)/\(name)"
        let before = FileManager.default.contents(atPath: path) ?? Data()
        let data = try encoder.encode(line.mapValues { ($0 * 1e6).rounded() / 1e6 })
        try (before + data + [UInt8(ascii: "\n")]).write(to: URL(fileURLWithPath: path), options: .atomic)
    }

    static func read(_ path: String) -> [[String: Double]] {
        let text = FileManager.default.contents(atPath: path) ?? Data()
        return text.split(separator: UInt8(ascii: "\n")).compactMap {
            try? JSONDecoder().decode([String: Double].self, from: $0)
        }
    }

    /// Removes the lines of steps that will be done again.
    static func drop(after step: Int, from path: String) throws {
        guard let text = FileManager.default.contents(atPath: path) else { return }
        let kept = text.split(separator: UInt8(ascii: "\n")).filter {
            let line = try? JSONDecoder().decode([String: Double].self, from: $0)
            return line?["step"].map { $0 <= Double(step) } ?? false
        }
        try Data(kept.map { $0 + [UInt8(ascii: "\n")] }.joined())
            .write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
