public import Datasets
import Foundation
import Media
import Text

/// Asks a model about the pictures of a labelled set and scores what it answers.
public struct LabelledBenchmark: Sendable {
    /// What can be asked about single pictures.
    public static let metrics: [ScoringMetric] = [.coco, .voc, .dsb, .referring, .counting, .vqa, .captions]
    /// What is asked for a caption.
    public static let captionRequest = "Describe the picture."
    /// Cases on the page.
    static let shownCases = 24

    public let metric: ScoringMetric
    public let type: COCOScoringType
    /// Pictures that are there, mended; and the labels as their file has them, by the same ids.
    let pictures: [LabelledSet.Picture]
    let truth: [LabelID: LabelledSet.Picture]
    let categories: [LabelledSet.Category]
    /// What was wrong with the labels.
    public let problems: LabelProblems
    public let name: String

    /// How many pictures are asked about.
    public var count: Int { pictures.count }

    /// Reads the set.
    ///
    /// - Parameters:
    ///   - source: where it is.
    ///   - folder: what the source's relative paths are relative to; nil for the working directory.
    ///   - metric: one of ``metrics``.
    ///   - type: what of things is compared, for `coco` and `referring`.
    ///   - limit: how many pictures at most, the first of the set.
    /// - Throws: `LabelError`, or ``ScoringError`` for a set without what is scored.
    public init(
        _ source: DataSource, relativeTo folder: String? = nil, metric: ScoringMetric,
        type: COCOScoringType = .boxes,
        limit: Int? = nil
    ) throws {
        precondition(Self.metrics.contains(metric))
        self.metric = metric
        self.type = type
        let set = try LabelledSet.read(source, relativeTo: folder)
        let written = try LabelledSet.read(source, relativeTo: folder, asWritten: true)
        let truth = Dictionary(written.pictures.map { ($0.id, $0) }) { first, _ in first }
        var pictures = set.pictures.filter { truth[$0.id] != nil }
        let what: String
        switch metric {
        case .vqa:
            pictures.removeAll { truth[$0.id]!.questions.allSatisfy(\.answers.isEmpty) }
            what = "no question with an answer"
        case .captions:
            pictures.removeAll { truth[$0.id]!.captions.isEmpty }
            what = "no caption"
        case .referring:
            pictures.removeAll { truth[$0.id]!.referring.isEmpty }
            what = "no referring expression"
        default: what = "no picture"
        }
        pictures = Array(pictures.prefix(limit ?? .max))
        let isThingMetric = [.coco, .voc, .dsb, .counting].contains(metric)
        guard !pictures.isEmpty else {
            throw ScoringError(source.path, "it has \(what), which \(metric.rawValue) is about")
        }
        guard !isThingMetric || !set.categories.isEmpty else {
            throw ScoringError(source.path, "it has no categories, which \(metric.rawValue) is about")
        }
        if metric == .coco, type == .keypoints {
            let posed = set.categories.filter { !$0.keypoints.isEmpty }
            guard !posed.isEmpty else { throw ScoringError(source.path, "no category has keypoints") }
            if let other = posed.first(where: { $0.keypoints.count != 17 }) {
                throw ScoringError(
                    source.path, "\(other.name) has \(other.keypoints.count) joints; models find 17")
            }
        }
        (self.pictures, self.truth, categories) = (pictures, truth, set.categories)
        (problems, name) = (set.problems, set.name)
    }

    /// Reads the set that a file names: a source of labels as JSON, whose paths are relative to the file.
    ///
    /// - Parameters:
    ///   - path: the source's file.
    ///   - metric: one of ``metrics``.
    ///   - type: what of things is compared, for `coco` and `referring`.
    ///   - limit: how many pictures at most, the first of the set.
    /// - Throws: `LabelError`, or ``ScoringError`` for a set without what is scored.
    public init(
        sourceFile path: String, metric: ScoringMetric, type: COCOScoringType = .boxes, limit: Int? = nil
    ) throws {
        try self.init(
            DataSource(contentsOf: path),
            relativeTo: URL(fileURLWithPath: path).deletingLastPathComponent().path, metric: metric,
            type: type,
            limit: limit)
    }

    /// Asks about every picture in turn.
    ///
    /// - Parameters:
    ///   - model: who answers.
    ///   - folder: where `predictions.json` grows, whole after every picture; nil for nowhere.
    ///   - progress: called after every picture with how many are done.
    /// - Throws: what the model throws, and ``ReportError``.
    public func run(
        _ model: some BenchmarkModel, writingTo folder: String? = nil, progress: (Int) -> Void = { _ in }
    ) async throws -> LabelledOutcome {
        var answers = LabelledAnswers(self)
        let file = try folder.map { try ResultFile("\($0)/predictions.json") }
        for (index, picture) in pictures.enumerated() {
            defer { progress(index + 1) }
            let image: Image
            do {
                image = try picture.source.image()
            } catch {
                answers.problems.add(.brokenPicture, "\(error)")
                continue
            }
            try await model.look(at: image)
            let entries = try await answers.ask(model, about: truth[picture.id]!, image, place: index)
            try file?.append(entries)
        }
        return try answers.outcome()
    }
}

extension PictureSource {
    /// The decoded picture.
    func image() throws(MediaError) -> Image { try Image(decoding: bytes(), name: name) }
}

/// A list of JSON documents, one a line, that is whole after every addition: an interrupted run leaves a file that can be
/// read.
private final class ResultFile {
    private let path: String
    private let file: FileHandle
    private let encoder = JSONEncoder()
    private var isEmpty = true

    init(_ path: String) throws {
        self.path = path
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Data("[\n]\n".utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
            file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        } catch {
            throw ReportError(path: path)
        }
    }

    deinit { try? file.close() }

    /// The end of the list is overwritten by what comes and a new end, in one piece.
    func append(_ entries: [LabelledAnswers.Entry]) throws {
        guard !entries.isEmpty else { return }
        var data = Data(isEmpty ? "\n".utf8 : ",\n".utf8)
        for (index, entry) in entries.enumerated() {
            if index > 0 { data += Data(",\n".utf8) }
            data += try encoder.encode(entry)
        }
        data += Data("\n]\n".utf8)
        do {
            let end = try file.seekToEnd()
            try file.seek(toOffset: end - 3)
            do {
                try file.write(contentsOf: data)
            } catch {
                // On a full disk there is room for the list as it was.
                try file.truncate(atOffset: end - 3)
                try file.seek(toOffset: end - 3)
                try file.write(contentsOf: Data("\n]\n".utf8))
                throw error
            }
        } catch {
            throw ReportError(path: path)
        }
        isEmpty = false
    }
}

/// What a model answered so far.
struct LabelledAnswers {
    /// One result, in the form of its field.
    struct Entry: Encodable {
        var image_id: LabelID?
        var file_name: String?
        var category_id: LabelID?
        var question_id: LabelID?
        var ref_id: LabelID?
        var sent_id: LabelID?
        var score: Double?
        var bbox: [Double]?
        var segmentation: Mask?
        var keypoints: [Double]?
        var answer: String?
        var caption: String?
        var count: Int?
    }

    var problems: LabelProblems
    private let benchmark: LabelledBenchmark
    private var boxes: [AveragePrecision.Prediction<Box>] = []
    private var boxTruth: [AveragePrecision.Truth<Box>] = []
    private var masks: [AveragePrecision.Prediction<MaskShape>] = []
    private var maskTruth: [AveragePrecision.Truth<MaskShape>] = []
    private var people: [AveragePrecision.Prediction<JointPlaces>] = []
    private var peopleTruth: [AveragePrecision.Truth<JointPlaces>] = []
    private var vocFound: [Int: [VOCAveragePrecision.Entry]] = [:]
    private var vocTruth: [Int: [VOCAveragePrecision.Entry]] = [:]
    private var maskPrecision = MaskPrecision()
    private var right = Share()
    private var referred: [ReferringScore] = []
    private var counts: [(found: Double, truth: Double)] = []
    private var answered: [ScoreSheet.Answered] = []
    private var captions: [CaptionScores.Pair] = []
    private var cases: [LabelledCase] = []

    /// pycocotools' order of pictures and of categories.
    private let images: IDOrder
    private let categories: IDOrder

    init(_ benchmark: LabelledBenchmark) {
        self.benchmark = benchmark
        images = IDOrder(benchmark.pictures.map(\.id))
        categories = IDOrder(benchmark.categories.map(\.id))
        problems = benchmark.problems
    }

    /// Asks what the metric is about.
    ///
    /// - Returns: what goes into the file of results.
    mutating func ask(
        _ model: some BenchmarkModel, about picture: LabelledSet.Picture, _ image: Image, place: Int
    ) async throws -> [Entry] {
        switch benchmark.metric {
        case .coco, .voc: return try await askThings(model, picture, image, place)
        case .dsb: return try await askMasks(model, picture, image, place)
        case .referring: return try await askReferring(model, picture, image, place)
        case .counting: return try await askCounts(model, picture, place)
        case .vqa: return try await askQuestions(model, picture, place)
        case .captions: return try await askCaption(model, picture, place)
        case .crowdpose, .davis, .mot: preconditionFailure("a metric of files alone")
        }
    }

    private func mask(of thing: LabelledSet.Thing, _ image: Image) throws -> Mask {
        guard let segmentation = thing.segmentation else {
            throw ScoringError(benchmark.name, "thing \(thing.id) has no mask, which is to be scored")
        }
        do {
            return try segmentation.mask(width: image.width, height: image.height)
        } catch {
            throw ScoringError(benchmark.name, "thing \(thing.id): \(error)")
        }
    }

    private mutating func askThings(
        _ model: some BenchmarkModel, _ picture: LabelledSet.Picture, _ image: Image, _ place: Int
    ) async throws -> [Entry] {
        let type = benchmark.metric == .voc ? .boxes : benchmark.type
        let asked = benchmark.categories.indices.filter {
            type != .keypoints || !benchmark.categories[$0].keypoints.isEmpty
        }
        let response: LocateResponse =
            switch type {
            case .boxes: .boxes
            case .masks: .masks
            case .keypoints: .keypoints
            }
        let found = try await model.find(asked.map { benchmark.categories[$0].name }, as: response)
        var entries: [Entry] = []
        var shown: [Annotation] = []
        var matched = 0
        for thing in picture.things where asked.contains(thing.category) {
            let area = thing.area ?? thing.box.area
            let at = places(picture, thing.category)
            let isIgnored = thing.isIgnored || thing.isDifficult
            switch type {
            case .boxes:
                boxTruth.append(
                    .init(
                        image: at.image, category: at.category, area: area, isCrowd: thing.isCrowd,
                        isIgnored: isIgnored,
                        shape: thing.box))
                vocTruth[thing.category, default: []].append(
                    .init(image: picture.id.name, box: thing.box, isDifficult: isIgnored || thing.isCrowd))
            case .masks:
                maskTruth.append(
                    .init(
                        image: at.image, category: at.category, area: area, isCrowd: thing.isCrowd,
                        isIgnored: isIgnored,
                        shape: MaskShape(try mask(of: thing, image))))
            case .keypoints:
                let joints =
                    thing.keypoints
                    ?? Keypoints(
                        Array(repeating: .init(point: Point(x: 0, y: 0), visibility: .absent), count: 17))
                let labelled = thing.keypointCount ?? joints.joints.count { $0.visibility != .absent }
                peopleTruth.append(
                    .init(
                        image: at.image, category: at.category, area: area, isCrowd: thing.isCrowd,
                        isIgnored: isIgnored || labelled == 0, shape: JointPlaces(joints, box: thing.box)))
            }
        }
        for (category, things) in zip(asked, found) {
            let at = places(picture, category)
            for thing in things {
                var entry = Entry(
                    image_id: picture.id, category_id: benchmark.categories[category].id, score: thing.score)
                switch type {
                case .boxes:
                    entry.bbox = thing.box.numbers
                    boxes.append(
                        .init(
                            image: at.image, category: at.category, score: thing.score, area: thing.box.area,
                            shape: thing.box))
                    vocFound[category, default: []].append(
                        .init(image: picture.id.name, box: thing.box, score: thing.score))
                case .masks:
                    guard let mask = thing.mask else { continue }
                    // With its box pycocotools would take the area from that.
                    entry.segmentation = mask
                    masks.append(
                        .init(
                            image: at.image, category: at.category, score: thing.score,
                            area: Double(mask.area),
                            shape: MaskShape(mask)))
                case .keypoints:
                    guard let joints = thing.keypoints?.joints else { continue }
                    entry.keypoints = joints.flatMap { [$0.point.x, $0.point.y, 1] }
                    let places = JointPlaces(places: joints.flatMap { [$0.point.x, $0.point.y] })
                    people.append(
                        .init(
                            image: at.image, category: at.category, score: thing.score, area: places.area,
                            shape: places))
                }
                entries.append(entry)
            }
            // What a user would see: the model's own number of things.
            let real = picture.things.filter { $0.category == category && !$0.isCrowd && !$0.isIgnored }
            var open = Set(real.indices)
            for thing in things.filter({ $0.score >= Self.shownScore }) {
                shown.append(Self.annotation(thing, benchmark.categories[category].name))
                let best = open.max { thing.box.iou(real[$0].box) < thing.box.iou(real[$1].box) }
                if let best, thing.box.iou(real[best].box) >= 0.5 {
                    open.remove(best)
                    matched += 1
                }
            }
        }
        let real = picture.things.filter { !$0.isCrowd && !$0.isIgnored && asked.contains($0.category) }
        let both = real.count + shown.count
        add(
            place, "", "\(real.count) things", "\(shown.count) with a score of \(Self.shownScore) or more",
            loss: both == 0 ? 0 : 1 - 2 * Double(matched) / Double(both), real: real.map { annotation($0) },
            found: shown)
        return entries
    }

    /// Where a picture and a category stand in pycocotools' order.
    private func places(_ picture: LabelledSet.Picture, _ category: Int) -> (image: Int, category: Int) {
        (images[picture.id]!, categories[benchmark.categories[category].id]!)
    }

    private static let shownScore = 0.3

    private mutating func askMasks(
        _ model: some BenchmarkModel, _ picture: LabelledSet.Picture, _ image: Image, _ place: Int
    ) async throws -> [Entry] {
        let names = benchmark.categories.map(\.name)
        // The measure knows no scores: as many count as the model counts itself, the best.
        let numbers = try await model.count(names)
        let found = try await model.find(names, as: .masks)
        var kept: [(thing: FoundThing, mask: Mask, category: LabelID)] = []
        for (category, (things, number)) in zip(found, numbers).enumerated() {
            kept += things.prefix(number).compactMap { thing in
                thing.mask.map { (thing, $0, benchmark.categories[category].id) }
            }
        }
        kept.sort { $0.thing.score > $1.thing.score }
        // A pixel is one thing's: the measure's masks do not overlap.
        let masks = try Mask.disjoint(kept.map(\.mask))
        var entries: [Entry] = []
        var shapes: [MaskShape] = []
        var shown: [Annotation] = []
        for ((thing, _, category), mask) in zip(kept, masks) {
            guard let mask else { continue }
            shapes.append(MaskShape(mask))
            shown.append(Self.annotation(thing, nil))
            entries.append(
                Entry(
                    image_id: picture.id, category_id: category, score: thing.score, segmentation: mask))
        }
        let real = try picture.things.map { MaskShape(try mask(of: $0, image)) }
        let own = maskPrecision.add(shapes, truth: real)
        add(
            place, "", "\(real.count) masks", "\(shapes.count) masks", loss: 1 - own,
            real: real.map { Annotation(mask: $0.mask) }, found: shown)
        return entries
    }

    private mutating func askReferring(
        _ model: some BenchmarkModel, _ picture: LabelledSet.Picture, _ image: Image, _ place: Int
    ) async throws -> [Entry] {
        let isMasks = benchmark.type == .masks
        var entries: [Entry] = []
        for expression in picture.referring {
            let thing = picture.things[expression.thing]
            for (number, sentence) in expression.sentences.enumerated() {
                let found = try await model.find([sentence], as: isMasks ? .masks : .boxes)[0].first
                let iou = found?.box.iou(thing.box) ?? 0
                right.add(iou >= 0.5)
                if isMasks {
                    referred.append(
                        try ReferringScore(
                            box: found?.box, mask: found?.mask, truth: thing.box,
                            truthMask: mask(of: thing, image)))
                }
                entries.append(
                    Entry(
                        image_id: picture.id, ref_id: expression.id,
                        sent_id: expression.sentenceIDs.isEmpty ? nil : expression.sentenceIDs[number],
                        score: found?.score,
                        bbox: found?.box.numbers,
                        segmentation: found?.mask, caption: sentence))
                add(
                    place, sentence, "", found == nil ? "nothing" : "", loss: 1 - iou,
                    real: [annotation(thing)],
                    found: found.map { [Self.annotation($0, nil)] } ?? [])
            }
        }
        return entries
    }

    private mutating func askCounts(
        _ model: some BenchmarkModel, _ picture: LabelledSet.Picture, _ place: Int
    ) async throws -> [Entry] {
        // Of what nobody looked for, or of which a label is lost, the number is not known.
        let known = benchmark.categories.indices.filter { category in
            if picture.incomplete.contains(category) { return false }
            return picture.absent == nil || picture.absent!.contains(category)
                || picture.present.contains(category)
                || picture.things.contains { $0.category == category }
        }
        guard !known.isEmpty else { return [] }
        let numbers = try await model.count(known.map { benchmark.categories[$0].name })
        var entries: [Entry] = []
        for (category, number) in zip(known, numbers) {
            // Points alone are of the category that is present.
            let points =
                picture.present.contains(category) || benchmark.categories.count == 1
                ? picture.points.count : 0
            let real = picture.things.count { $0.category == category && !$0.isIgnored } + points
            counts.append((Double(number), Double(real)))
            entries.append(
                Entry(
                    image_id: picture.id, file_name: picture.fileName,
                    category_id: benchmark.categories[category].id, count: number))
            add(
                place, benchmark.categories[category].name, "\(real)", "\(number)",
                loss: min(1, Double(abs(number - real)) / Double(max(1, real))),
                real: picture.things.filter { $0.category == category }.map { annotation($0) }
                    + (points > 0 ? picture.points.map { Annotation(point: $0) } : []), found: [])
        }
        return entries
    }

    private mutating func askQuestions(
        _ model: some BenchmarkModel, _ picture: LabelledSet.Picture, _ place: Int
    ) async throws -> [Entry] {
        var entries: [Entry] = []
        for question in picture.questions where !question.answers.isEmpty {
            let answer = try await model.answer(question.text).text
            let isSoft = question.answers.count > 1
            answered.append(
                .init(
                    answer: answer, one: question.answer, all: isSoft ? question.answers : nil, kinds: [])
            )
            entries.append(
                Entry(question_id: question.id, answer: answer))
            let score =
                isSoft
                ? VQAAccuracy.score(answer, answers: question.answers) : answer == question.answer ? 1 : 0
            add(place, question.text, question.answers[0], answer, loss: 1 - score)
        }
        return entries
    }

    private mutating func askCaption(
        _ model: some BenchmarkModel, _ picture: LabelledSet.Picture, _ place: Int
    ) async throws -> [Entry] {
        let answer = try await model.answer(LabelledBenchmark.captionRequest).text
        let pair = CaptionScores.Pair(
            found: CaptionTokens.words(answer), truth: picture.captions.map(CaptionTokens.words))
        captions.append(pair)
        add(place, "", picture.captions[0], answer, loss: 1 - Meteor([pair]).value)
        return [Entry(image_id: picture.id, caption: answer)]
    }

    // MARK: Cases

    private func annotation(_ thing: LabelledSet.Thing) -> Annotation {
        Annotation(
            box: thing.box, keypoints: benchmark.type == .keypoints ? thing.keypoints : nil,
            label: benchmark.categories.indices.contains(thing.category)
                ? benchmark.categories[thing.category].name : nil)
    }

    private static func annotation(_ thing: FoundThing, _ name: String?) -> Annotation {
        Annotation(box: thing.box, mask: thing.mask, keypoints: thing.keypoints, label: name)
    }

    private mutating func add(
        _ place: Int, _ request: String, _ truth: String, _ answer: String, loss: Double,
        real: [Annotation] = [],
        found: [Annotation] = []
    ) {
        guard loss > 0 else { return }
        cases.append(
            LabelledCase(
                picture: benchmark.pictures[place], request: request, truth: truth, answer: answer,
                loss: loss,
                trueThings: real, foundThings: found))
        // Only the worst are kept, sorted out now and then.
        if cases.count > 8 * LabelledBenchmark.shownCases { cases = worst }
    }

    private var worst: [LabelledCase] {
        Array(cases.sorted { $0.loss > $1.loss }.prefix(LabelledBenchmark.shownCases))
    }

    func outcome() throws -> LabelledOutcome {
        let names = benchmark.categories.sorted { $0.id < $1.id }.map(\.name)
        func coco(_ scored: AveragePrecision) -> ScoreSheet { .coco(scored) { names[$0] } }
        let sheet: ScoreSheet
        switch benchmark.metric {
        case .coco:
            switch benchmark.type {
            case .boxes: sheet = coco(AveragePrecision(boxes: boxes, truth: boxTruth))
            case .masks: sheet = coco(AveragePrecision(masks: masks, truth: maskTruth))
            case .keypoints:
                let sigmas = benchmark.categories.lazy.compactMap(\.sigmas).first
                sheet = coco(
                    AveragePrecision(
                        keypoints: people, truth: peopleTruth,
                        sigmas: sigmas ?? ObjectKeypointSimilarity.cocoSigmas))
            }
        case .voc:
            sheet = .voc(vocFound, truth: vocTruth, names: benchmark.categories.map(\.name))
        case .dsb: sheet = .dsb(maskPrecision)
        case .referring:
            sheet = .referring(boxes: right, masks: benchmark.type == .masks ? referred : nil)
        case .counting: sheet = .counting(counts)
        case .vqa: sheet = .vqa(answered)
        case .captions:
            guard !captions.isEmpty else {
                throw ScoringError(benchmark.name, "none of its pictures can be read")
            }
            sheet = .captions(captions)
        case .crowdpose, .davis, .mot: preconditionFailure("a metric of files alone")
        }
        return LabelledOutcome(
            name: benchmark.name, pictures: benchmark.count, sheet: sheet, problems: problems, cases: worst)
    }
}

extension Box {
    fileprivate var numbers: [Double] { [x, y, width, height] }
}
