public import Datasets
import Media
import Text

/// A benchmark that cannot be made.
public struct BenchmarkError: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String
}

/// Which scenes a benchmark is made of.
public enum BenchmarkSuite: String, CaseIterable, Sendable, Hashable, Codable {
    /// 1,000 scenes of each are what the project is measured by.
    case plain, rich
    /// Plain scenes with colour-shape pairs that training may leave out; phrases ask for those.
    case compositional
    /// Plain scenes twice as wide, of 20 things and more.
    case wide

    /// What of a benchmark's tasks the suite has.
    var tasks: Set<BenchmarkTask> {
        self == .compositional
            ? [.attributes, .referring, .referringSegmentation] : Set(BenchmarkTask.allCases)
    }

    var leastObjects: Int { self == .wide ? 20 : 1 }

    /// - Parameter size: the height of pictures; that of the suite when nil. Things grow with it.
    func configuration(size: Int?) throws(MosaicError) -> MosaicConfiguration {
        switch self {
        case .plain: try MosaicConfiguration(size: size ?? 128)
        case .rich: try MosaicConfiguration(size: size ?? 256, ring: .rich, maximumObjects: 30)
        case .compositional: try MosaicConfiguration(size: size ?? 128, pairs: .heldOut)
        case .wide:
            try MosaicConfiguration(width: 2 * (size ?? 128), height: size ?? 128, maximumObjects: 30)
        }
    }
}

/// How well a model answers about unseen scenes of Mosaic; docs/evaluation.md says what is asked and how it is scored.
///
/// Scenes and requests are the same in every run: all random choices come from the seed and the scene's index.
public struct MosaicBenchmark: Sendable {
    public let suite: BenchmarkSuite
    public let seed: UInt64
    public let scenes: Int
    public let tasks: Set<BenchmarkTask>
    let configuration: MosaicConfiguration

    /// - Parameters:
    ///   - suite: which scenes.
    ///   - seed: 900,000 and above for a final score; anything else to look on the way.
    ///   - scenes: how many.
    ///   - tasks: what is asked, as far as the suite has it.
    ///   - size: the height in pixels at which scenes are drawn; nil for the suite's own.
    /// - Throws: `MosaicError` for a size that no picture can have.
    public init(
        suite: BenchmarkSuite, seed: UInt64 = MosaicSeeds.scoringStart, scenes: Int = 1000,
        tasks: Set<BenchmarkTask> = Set(BenchmarkTask.allCases), size: Int? = nil
    ) throws(MosaicError) {
        configuration = try suite.configuration(size: size)
        self.suite = suite
        self.seed = seed
        self.scenes = scenes
        self.tasks = tasks.intersection(suite.tasks)
    }

    /// Scores a model, scene after scene.
    ///
    /// - Parameters:
    ///   - model: what is asked.
    ///   - progress: called after each scene with how many are done.
    /// - Throws: what the model throws; ``BenchmarkError`` when the suite has too few scenes.
    public func run(
        _ model: some BenchmarkModel, progress: (Int) -> Void = { _ in }
    ) async throws -> BenchmarkOutcome {
        try await run([model], progress: progress)
    }

    /// Scores a model by several copies of it, each asked about one scene at a time.
    ///
    /// Scenes are handed out and their observations joined in order, so that the outcome is the same for any number of
    /// copies.
    ///
    /// - Parameters:
    ///   - models: what is asked; one at least.
    ///   - progress: called with how many scenes are done, each time that there are more.
    /// - Throws: what a model throws; ``BenchmarkError`` when the suite has too few scenes.
    public func run(
        _ models: [some BenchmarkModel], progress: (Int) -> Void = { _ in }
    ) async throws -> BenchmarkOutcome {
        precondition(!models.isEmpty)
        let observations = try await withThrowingTaskGroup { group in
            var observations = MosaicObservations()
            var idle = Array(models.indices.reversed())
            var waiting: [Int: MosaicObservations?] = [:]
            // Indices of scenes: what comes next to be asked about, and to be joined.
            var (next, joined) = (0, 0)
            while observations.scenes.count < scenes {
                // No more than may be needed, and few that wait for a slow one before them.
                let ahead = min(scenes - observations.scenes.count, Self.scenesAhead * models.count)
                while next < joined + ahead, let worker = idle.popLast() {
                    group.addTask { [next] in (worker, next, try await observe(next, models[worker])) }
                    next += 1
                }
                let (worker, index, part) = try await group.next()!
                idle.append(worker)
                waiting.updateValue(part, forKey: index)
                while let part = waiting.removeValue(forKey: joined) {
                    joined += 1
                    if let part {
                        observations.append(part)
                        progress(observations.scenes.count)
                    } else if joined >= 1000 * (observations.scenes.count + 1) {
                        // The world may have changed, so that there are none: better an error than no end.
                        throw BenchmarkError(
                            description: "of \(joined) scenes too few have \(suite.leastObjects) things")
                    }
                }
            }
            return observations
        }
        return BenchmarkOutcome(
            report: observations.report(suite, seed: seed, scenes: scenes, tasks: tasks),
            cases: observations.worstCases, observations: observations, configuration: configuration)
    }

    /// For each model, so many scenes may be in work or wait for those before them.
    private static let scenesAhead = 4

    /// All about one scene; nil when it has too few things for the suite.
    private func observe(_ index: Int, _ model: some BenchmarkModel) async throws -> MosaicObservations? {
        let scene = MosaicScene(seed: seed, index: index, configuration: configuration)
        guard scene.objects.count >= suite.leastObjects else { return nil }
        var observations = MosaicObservations()
        observations.scenes = [index]
        observations.pictureSize = (scene.image.width, scene.image.height)
        try await model.look(at: scene.image)
        try await observe(scene, model, &observations)
        return observations
    }

    private func observe(
        _ scene: MosaicScene, _ model: some BenchmarkModel, _ observations: inout MosaicObservations
    ) async throws {
        let requests = MosaicRequests(scene, asksHeldOutPairs: suite == .compositional)
        if !tasks.isDisjoint(with: [.detection, .segmentation]) {
            try await observeClasses(scene, model, &observations)
        }
        if !tasks.isDisjoint(with: [.attributes, .counting]) {
            try await observePhrases(scene, requests, model, &observations)
        }
        if !tasks.isDisjoint(with: [.referring, .referringSegmentation]), !requests.referring.isEmpty {
            try await observeReferring(scene, requests.referring, model, &observations)
        }
        if tasks.contains(.pose) { try await observePeople(scene, model, &observations) }
        try await observeAnswers(scene, requests, model, &observations)
    }

    /// All class names at once, also those of kinds that are not there.
    private func observeClasses(
        _ scene: MosaicScene, _ model: some BenchmarkModel, _ observations: inout MosaicObservations
    ) async throws {
        let kinds = configuration.ring.kinds
        let found = try await model.find(
            kinds.map(\.name), as: tasks.contains(.segmentation) ? .masks : .boxes)
        for (kind, things) in zip(kinds, found) {
            observations.things += things.map {
                .init(
                    image: scene.index, category: kind.rawValue, score: $0.score, area: $0.box.area, shape: $0
                )
            }
        }
        let masks = tasks.contains(.segmentation) ? scene.objects.indices.map(scene.mask(of:)) : []
        for (number, object) in scene.objects.enumerated() {
            observations.truth.append(
                .init(
                    image: scene.index, category: object.kind.rawValue, area: Double(object.area),
                    shape: object.box))
            if tasks.contains(.segmentation) {
                observations.masks.append(
                    .init(
                        image: scene.index, category: object.kind.rawValue, area: Double(object.area),
                        shape: MaskShape(masks[number])))
            }
        }
        // What would be shown: the sure ones.
        let shown = zip(kinds, found).flatMap { kind, things in
            things.filter { $0.score >= 0.4 }.map { (kind: kind, thing: $0) }
        }
        func note(_ task: BenchmarkTask, _ fits: (FoundThing, Int) -> Bool) {
            var free = Set(scene.objects.indices)
            for (kind, thing) in shown {
                if let match = free.first(where: { scene.objects[$0].kind == kind && fits(thing, $0) }) {
                    free.remove(match)
                }
            }
            let hits = scene.objects.count - free.count
            let isMask = task == .segmentation
            observations.note(
                BenchmarkCase(
                    task: task, scene: scene.index, request: "all class names",
                    truth: "\(scene.objects.count) things",
                    answer: "\(shown.count) found, \(hits) of them right",
                    loss: 1 - 2 * Double(hits) / Double(max(1, scene.objects.count + shown.count)),
                    trueThings: scene.objects.enumerated().map {
                        Annotation(
                            box: isMask ? nil : $1.box, mask: isMask ? masks[$0] : nil, label: $1.kind.name,
                            colour: $1.kind.rawValue)
                    },
                    foundThings: shown.map {
                        Annotation(
                            box: isMask && $0.thing.mask != nil ? nil : $0.thing.box,
                            mask: isMask ? $0.thing.mask : nil, label: $0.kind.name, colour: $0.kind.rawValue)
                    }))
        }
        if tasks.contains(.detection) {
            note(.detection) { $0.box.iou(scene.objects[$1].box) >= 0.5 }
        }
        if tasks.contains(.segmentation) {
            note(.segmentation) { thing, object in
                thing.mask.flatMap { try? $0.iou(masks[object]) } ?? 0 >= 0.5
            }
        }
    }

    private func observePhrases(
        _ scene: MosaicScene, _ requests: MosaicRequests, _ model: some BenchmarkModel,
        _ observations: inout MosaicObservations
    ) async throws {
        let phrases = tasks.contains(.attributes) ? requests.phrases : []
        let counts = tasks.contains(.counting) ? requests.counts : []
        let found = try await model.find((phrases + counts).map(\.text), as: .boxes)
        func note(
            _ task: BenchmarkTask, _ phrase: MosaicRequests.Phrase, _ things: [FoundThing], _ loss: Double,
            _ answer: String
        ) {
            observations.note(
                BenchmarkCase(
                    task: task, scene: scene.index, request: phrase.text, truth: "\(phrase.matches.count)",
                    answer: answer, loss: loss,
                    trueThings: phrase.matches.map { Annotation(box: scene.objects[$0].box) },
                    foundThings: things.filter { $0.score >= 0.4 }.map {
                        Annotation(box: $0.box, label: Self.percent($0.score))
                    }))
        }
        for (number, (phrase, things)) in zip(phrases, found).enumerated() {
            // One category; every phrase is a picture of its own.
            let image = scene.index * 100 + number
            observations.phraseBoxes += things.map {
                .init(image: image, category: 0, score: $0.score, area: $0.box.area, shape: $0.box)
            }
            observations.phraseTruth += phrase.matches.map { match in
                let object = scene.objects[match]
                return .init(image: image, category: 0, area: Double(object.area), shape: object.box)
            }
            let shown = things.filter { $0.score >= 0.4 }
            let hits = phrase.matches.count { match in
                shown.contains { $0.box.iou(scene.objects[match].box) >= 0.5 }
            }
            let all = phrase.matches.count + shown.count
            note(
                .attributes, phrase, things, all == 0 ? 0 : 1 - 2 * Double(hits) / Double(all),
                "\(shown.count)")
        }
        guard !counts.isEmpty else { return }
        let counted = try await model.count(counts.map(\.text))
        for (number, phrase) in counts.enumerated() {
            let things = found[phrases.count + number]
            let expected = phrase.matches.count
            observations.counts.append(
                .init(expected: expected, counted: counted[number], scores: things.map(\.score)))
            let error = abs(counted[number] - expected)
            note(.counting, phrase, things, Double(error) / Double(max(1, expected)), "\(counted[number])")
        }
    }

    private func observeReferring(
        _ scene: MosaicScene, _ referring: [MosaicRequests.Referring], _ model: some BenchmarkModel,
        _ observations: inout MosaicObservations
    ) async throws {
        let response = tasks.contains(.referringSegmentation) ? LocateResponse.masks : .boxes
        let found = try await model.find(referring.map(\.text), as: response)
        for (request, things) in zip(referring, found) {
            let (object, mask) = (scene.objects[request.target], scene.mask(of: request.target))
            let best = things.first
            let score = try ReferringScore(
                box: best?.box, mask: best?.mask, truth: object.box, truthMask: mask)
            observations.referring.append((request.kind, score))
            observations.note(
                BenchmarkCase(
                    task: .referring, scene: scene.index, request: request.text, truth: object.kind.name,
                    answer: best.map { "IoU \(Self.percent($0.box.iou(object.box)))" } ?? "nothing",
                    loss: score.boxIoU >= 0.5 ? 0 : 1 - score.boxIoU,
                    trueThings: [Annotation(box: object.box)],
                    foundThings: best.map { [Annotation(box: $0.box, mask: $0.mask)] } ?? []))
        }
    }

    private func observePeople(
        _ scene: MosaicScene, _ model: some BenchmarkModel, _ observations: inout MosaicObservations
    ) async throws {
        let people = scene.objects.filter { $0.kind == .person && $0.keypoints != nil }
        guard !people.isEmpty else { return }
        let found = try await model.find([MosaicKind.person.name], as: .keypoints)[0].filter {
            $0.keypoints != nil
        }
        let similarity = ObjectKeypointSimilarity()
        var truth: [AveragePrecision.Truth<JointPlaces>] = []
        for person in people {
            let places = JointPlaces(person.keypoints!, box: person.box)
            truth.append(
                .init(
                    image: scene.index, category: MosaicKind.person.rawValue, area: Double(person.area),
                    isIgnored: !places.isLabelled.contains(true), shape: places))
        }
        let predictions = found.map { thing in
            // Every joint's place counts, also of those that a model takes for hidden.
            let places = JointPlaces(places: thing.keypoints!.joints.flatMap { [$0.point.x, $0.point.y] })
            return AveragePrecision.Prediction(
                image: scene.index, category: MosaicKind.person.rawValue, score: thing.score,
                area: places.area, shape: places)
        }
        observations.peopleTruth += truth
        observations.people += predictions
        observations.posed += found.map {
            .init(
                image: scene.index, category: MosaicKind.person.rawValue, score: $0.score, area: $0.box.area,
                shape: $0)
        }
        let labelled = truth.filter { !$0.isIgnored }
        guard !labelled.isEmpty else { return }
        let best = labelled.map { truth in predictions.map { similarity($0.shape, truth) }.max() ?? 0 }
        let mean = best.reduce(0, +) / Double(best.count)
        observations.note(
            BenchmarkCase(
                task: .pose, scene: scene.index, request: "person", truth: "\(people.count) people",
                answer: "\(found.count) found, OKS \(Self.percent(mean))", loss: 1 - mean,
                trueThings: people.map { Annotation(box: $0.box, keypoints: $0.keypoints) },
                foundThings: found.filter { $0.score >= 0.2 }.map {
                    Annotation(box: $0.box, keypoints: $0.keypoints)
                }))
    }

    /// What is asked in free words.
    private func observeAnswers(
        _ scene: MosaicScene, _ requests: MosaicRequests, _ model: some BenchmarkModel,
        _ observations: inout MosaicObservations
    ) async throws {
        func note(
            _ task: BenchmarkTask, _ request: String, _ truth: String, _ answer: BenchmarkAnswer,
            isRight: Bool, matches: [Int] = []
        ) {
            observations.note(
                BenchmarkCase(
                    task: task, scene: scene.index, request: request, truth: truth, answer: answer.text,
                    loss: isRight ? 0 : 1, trueThings: matches.map { Annotation(box: scene.objects[$0].box) },
                    foundThings: answer.found.map { Annotation(box: $0.box, mask: $0.mask) }))
        }
        if tasks.contains(.questions) {
            for (kind, question) in requests.questions {
                let answer = try await model.answer(question.text)
                observations.questions.append(
                    .init(kind: kind.rawValue, expected: question.answer, answer: answer.text))
                note(
                    .questions, question.text, question.answer, answer,
                    isRight: answer.text == question.answer)
            }
        }
        if tasks.contains(.captions) {
            let caption = requests.caption
            let answer = try await model.answer(caption.text)
            observations.captions.append(.init(kind: "", expected: caption.answer, answer: answer.text))
            note(
                .captions, caption.text, caption.answer, answer,
                isRight: CaptionReading.agrees(answer.text, with: caption.answer))
        }
        if tasks.contains(.routes) {
            for request in requests.routes {
                let answer = try await model.answer(request.text)
                observations.routes.append((request.route, answer.routes))
                note(
                    .routes, request.text, request.route.token, answer,
                    isRight: answer.routes == [request.route], matches: request.matches)
            }
        }
        if tasks.contains(.absent) {
            for request in requests.absences {
                let answer = try await model.answer(request.text)
                let isAbsent = request.matches.isEmpty
                observations.absences.append(
                    .init(expected: request.answer, isAbsent: isAbsent, answer: answer.text))
                note(
                    .absent, request.text, isAbsent ? request.answer : "\(request.matches.count)",
                    answer, isRight: AbsenceScore.isDenial(answer.text) == isAbsent, matches: request.matches)
            }
        }
    }

    private static func percent(_ value: Double) -> String { "\(Int((100 * value).rounded())) %" }
}

/// The thresholds that suit a model best, found on scenes that are not for scoring.
public struct MosaicCalibration: Sendable, Hashable, Codable {
    /// Over which a peak is counted: the least mean absolute error, and that error.
    public let counting: Double
    public let countError: Double
    /// Under which nothing is there: the greatest F1, and that F1.
    public let absence: Double
    public let absenceF1: Double

    /// Development scenes: neither trained on nor scored.
    public static let seed: UInt64 = 800_000

    /// Nil when nothing was counted.
    public init?(_ outcome: BenchmarkOutcome) {
        let counts = outcome.observations.counts
        guard !counts.isEmpty else { return nil }
        let count = Calibration.best(Calibration.countErrors(counts), isLeast: true)
        let absent = Calibration.best(Calibration.absenceF1(counts), isLeast: false)
        (counting, countError, absence, absenceF1) = (
            count.threshold, count.value, absent.threshold, absent.value
        )
    }
}
