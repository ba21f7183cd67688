import Datasets
import Foundation
import Media

/// Scores files of predictions against files of truth, with no model: what `vitrail evaluate --predictions` does.
///
/// docs/evaluation.md lists the files that each metric takes.
public struct PredictionScoring: Sendable, Hashable {
    public var predictions: String
    public var truth: String
    /// Nil for what the files themselves tell.
    public var metric: ScoringMetric?
    /// Of COCO results; nil for what the first of them has: boxes, keypoints or masks.
    public var type: COCOScoringType?
    /// Which part of a published folder is the truth, as its publisher names it: "val"; nil for all of it.
    public var split: String?
    /// How exactly each joint is labelled; nil for COCO's 17, or what the truth's category says.
    public var sigmas: [Double]?

    public init(
        predictions: String, truth: String, metric: ScoringMetric? = nil, type: COCOScoringType? = nil,
        split: String? = nil, sigmas: [Double]? = nil
    ) {
        self.predictions = predictions
        self.truth = truth
        self.metric = metric
        self.type = type
        self.split = split
        self.sigmas = sigmas
    }

    /// - Throws: ``ScoringError``, ``COCOScoringError``, `COCOReadError`, `LabelError` or `MediaError`: one line that
    ///   names the file.
    public func score() throws -> ScoreSheet {
        let metric = try metric ?? guess()
        let haveSplits: [ScoringMetric] = [.voc, .referring, .counting]
        guard split == nil || haveSplits.contains(metric) else {
            throw ScoringError(
                truth, "a split is for voc, referring and counting, not for \(metric.rawValue)")
        }
        guard split == nil || metric != .referring || ScoringFiles.isFolder(truth) else {
            throw ScoringError(truth, "a split is a part of the published folder, and this is a file")
        }
        return switch metric {
        case .coco: try coco(isGiven: self.metric != nil)
        case .crowdpose: try crowdPose()
        case .voc: try voc()
        case .dsb: try dsb()
        case .referring: try referring()
        case .counting: try counting()
        case .vqa: try vqa()
        case .captions: try captions()
        case .davis: try davis()
        case .mot: try mot()
        }
    }

    /// What the files tell of themselves.
    private func guess() throws -> ScoringMetric {
        if ScoringFiles.isFolder(truth) {
            let names = try ScoringFiles.names(truth)
            func holds(_ folder: String) -> Bool {
                names.contains { ScoringFiles.isFolder("\(truth)/\($0)/\(folder)") }
            }
            let isVOC = ["Annotations", "annotations", "annots"].contains(where: names.contains)
            if isVOC || names.contains(where: { $0.hasSuffix(".xml") }) {
                return .voc
            }
            if names.contains(where: { $0.hasPrefix("refs") && ($0.hasSuffix(".p") || $0.hasSuffix(".json")) }
            ) {
                return .referring
            }
            if holds("masks") { return .dsb }
            if holds("gt") || names.contains("gt") { return .mot }
            if names.contains(where: { ScoringFiles.isFolder("\(truth)/\($0)") }) { return .davis }
        }
        if truth.hasSuffix(".txt") { return .mot }
        let beginning = ScoringFiles.beginning(predictions)
        if predictions.hasSuffix(".csv") { return beginning.contains("EncodedPixels") ? .dsb : .counting }
        let keys: [(String, ScoringMetric)] = [
            ("ref_id", .referring), ("sent_id", .referring), ("caption", .captions), ("answer", .vqa),
            ("count", .counting), ("category_id", .coco),
        ]
        for (key, metric) in keys where beginning.contains("\"\(key)\"") { return metric }
        for path in [predictions, truth] where !FileManager.default.fileExists(atPath: path) {
            throw ScoringError(path, "there is no such file")
        }
        throw ScoringError(predictions, "it does not tell what it is scored by: give --metric")
    }

    // MARK: COCO

    /// - Parameter isGiven: whether somebody said that it is COCO's measure that is wanted.
    private func coco(isGiven: Bool) throws -> ScoreSheet {
        let found = try COCOResult.read(contentsOf: predictions)
        let truth = try COCOTruth(contentsOf: truth)
        let type =
            type ?? found.first.map { one in
                one.keypoints != nil
                    ? .keypoints : one.box == nil && one.segmentation != nil ? .masks : .boxes
            } ?? .boxes
        if !isGiven, type == .keypoints, truth.images.values.contains(where: { $0.crowdIndex != nil }) {
            return try crowdPose(found, truth)
        }
        return try named {
            let scored = try AveragePrecision(
                found, truth: truth, by: type, sigmas: sigmas ?? ObjectKeypointSimilarity.cocoSigmas)
            let ids = truth.categoryIDs
            return .coco(scored) { truth.categories[ids[$0]]! }
        }
    }

    private func crowdPose() throws -> ScoreSheet {
        try crowdPose(COCOResult.read(contentsOf: predictions), COCOTruth(contentsOf: truth))
    }

    private func crowdPose(_ found: [COCOResult], _ truth: COCOTruth) throws -> ScoreSheet {
        try named {
            .crowdPose(try CrowdPoseScore(found, truth: truth, sigmas: sigmas ?? CrowdPoseScore.sigmas))
        }
    }

    /// - Throws: an error that names the file of the two that it is about.
    private func named(_ score: () throws -> ScoreSheet) throws -> ScoreSheet {
        do {
            return try score()
        } catch let error as COCOScoringError {
            throw ScoringError(error.isTruth ? truth : predictions, error.description)
        }
    }

    /// - Throws: an error that names the file and the entry.
    private static func mask(
        _ segmentation: COCOSegmentation, _ width: Int, _ height: Int, _ path: String,
        _ entry: @autoclosure () -> String
    ) throws(ScoringError) -> Mask {
        do {
            return try segmentation.mask(width: width, height: height)
        } catch {
            throw ScoringError(path, "\(entry()): \(error)")
        }
    }

    // MARK: VOC

    private func voc() throws -> ScoreSheet {
        let isCOCO = truth.hasSuffix(".json")
        let set = try LabelledSet.read(
            DataSource(format: isCOCO ? .coco : .voc, path: truth, split: split), asWritten: true)
        func name(_ picture: LabelledSet.Picture) -> String {
            isCOCO ? picture.id.name : Self.stem(picture.fileName)
        }
        var there: [Int: [VOCAveragePrecision.Entry]] = [:]
        for picture in set.pictures {
            for thing in picture.things {
                there[thing.category, default: []].append(
                    .init(
                        image: name(picture), box: thing.box, isDifficult: thing.isDifficult || thing.isCrowd)
                )
            }
        }
        let names = Set(set.pictures.map(name))
        let found = try vocPredictions(set)
        for entry in found.values.joined() where !names.contains(entry.image) {
            throw ScoringError(
                predictions, "it has a box of picture \(entry.image), which the truth does not have")
        }
        return .voc(found, truth: there, names: set.categories.map(\.name))
    }

    /// By category: VOC's `comp4_det_test_aeroplane.txt`, one or a folder of them, or COCO results.
    private func vocPredictions(_ set: LabelledSet) throws -> [Int: [VOCAveragePrecision.Entry]] {
        var found: [Int: [VOCAveragePrecision.Entry]] = [:]
        if predictions.hasSuffix(".json") {
            let places = Dictionary(set.categories.enumerated().map { ($1.id, $0) }) { first, _ in first }
            for (index, result) in try COCOResult.read(contentsOf: predictions).enumerated() {
                guard let box = result.box else {
                    throw ScoringError(predictions, "result \(index) has no bbox")
                }
                guard let category = places[result.categoryID] else { continue }
                found[category, default: []].append(
                    .init(image: result.imageID.name, box: box, score: result.score))
            }
            return found
        }
        let files =
            ScoringFiles.isFolder(predictions)
            ? try ScoringFiles.names(predictions).filter { $0.hasSuffix(".txt") }.map {
                "\(predictions)/\($0)"
            }
            : [predictions]
        for path in files {
            let stem = Self.stem(path)
            let category = set.categories.indices.filter {
                stem == set.categories[$0].name || stem.hasSuffix("_" + set.categories[$0].name)
            }.max { set.categories[$0].name.count < set.categories[$1].name.count }
            guard let category else {
                throw ScoringError(
                    path, "its name does not end with a class of the truth, as comp4_det_test_car.txt does")
            }
            for (number, line) in try ScoringFiles.lines(path).enumerated() {
                // A picture's name may have blanks.
                let fields = line.split(separator: " ")
                let values = fields.suffix(5).compactMap { LabelNumber.number($0) }
                guard fields.count >= 6, values.count == 5 else {
                    throw ScoringError(
                        path, "line \(number + 1): a picture, a score and 4 corners are needed")
                }
                // Corners count from 1, and both are inside.
                let box = Box(
                    x: values[1] - 1, y: values[2] - 1, width: values[3] - values[1] + 1,
                    height: values[4] - values[2] + 1)
                found[category, default: []].append(
                    .init(
                        image: String(line[..<fields[fields.count - 6].endIndex]), box: box, score: values[0])
                )
            }
        }
        return found
    }

    private static func stem(_ path: String) -> String {
        URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
    }

    // MARK: DSB2018

    private func dsb() throws -> ScoreSheet {
        var score = MaskPrecision()
        let there = try dsbTruth()
        var found: [String: [MaskShape]] = [:]
        if predictions.hasSuffix(".csv") {
            for (name, runs) in try dsbRuns(predictions) {
                guard let truth = there[name] else {
                    throw ScoringError(predictions, "picture \(name) is not in the truth")
                }
                for (line, values) in runs.masks {
                    found[name, default: []].append(
                        try dsbMask(values, truth.width, truth.height, predictions, line))
                }
            }
        } else {
            for (index, result) in try COCOResult.read(contentsOf: predictions).enumerated() {
                let name = result.imageID.name
                guard let truth = there[name] else {
                    throw ScoringError(
                        predictions, "result \(index) is of picture \(name), which the truth does not have")
                }
                guard let segmentation = result.segmentation else {
                    throw ScoringError(predictions, "result \(index) has no segmentation")
                }
                found[name, default: []].append(
                    MaskShape(
                        try Self.mask(
                            segmentation, truth.width, truth.height, predictions, "result \(index)")))
            }
        }
        for (name, truth) in there.sorted(by: { $0.key < $1.key }) {
            score.add(found[name] ?? [], truth: truth.masks)
        }
        return .dsb(score)
    }

    private struct MaskedPicture {
        var width = 0
        var height = 0
        var masks: [MaskShape] = []
    }

    /// By name: a folder of masks, Kaggle's CSV, or a COCO data set.
    private func dsbTruth() throws -> [String: MaskedPicture] {
        var pictures: [String: MaskedPicture] = [:]
        if truth.hasSuffix(".csv") {
            for (name, runs) in try dsbRuns(truth) {
                guard let (height, width) = runs.size else {
                    throw ScoringError(
                        truth, "picture \(name) has no Height and Width, which the truth needs")
                }
                var picture = MaskedPicture(width: width, height: height)
                for (line, values) in runs.masks {
                    picture.masks.append(try dsbMask(values, width, height, truth, line))
                }
                pictures[name] = picture
            }
            return pictures
        }
        let isCOCO = truth.hasSuffix(".json")
        let set = try LabelledSet.read(
            DataSource(format: isCOCO ? .coco : .masks, path: truth), asWritten: true)
        for entry in set.pictures {
            var picture = MaskedPicture(width: entry.width, height: entry.height)
            for thing in entry.things {
                guard let segmentation = thing.segmentation else {
                    throw ScoringError(truth, "annotation \(thing.id) has no segmentation")
                }
                picture.masks.append(
                    MaskShape(
                        try Self.mask(
                            segmentation, entry.width, entry.height, truth, "annotation \(thing.id)")))
            }
            pictures[isCOCO ? entry.id.name : Self.stem(entry.fileName)] = picture
        }
        return pictures
    }

    /// Starts and lengths of runs: the pixels of the largest picture.
    private static let runs = -(1 << 40)...1 << 40

    private struct Runs {
        var size: (Int, Int)?
        var masks: [(line: Int, values: [Int])] = []
    }

    /// Kaggle's `ImageId,EncodedPixels[,Height,Width,…]`: starts from 1 and lengths, column by column.
    private func dsbRuns(_ path: String) throws -> [String: Runs] {
        let lines = try ScoringFiles.lines(path)
        let columns = (lines.first ?? "").split(separator: ",").map(String.init)
        guard columns.count >= 2, columns[0] == "ImageId", columns[1] == "EncodedPixels" else {
            throw ScoringError(path, "its first line is not \"ImageId,EncodedPixels\"")
        }
        let places = (columns.firstIndex(of: "Height"), columns.firstIndex(of: "Width"))
        var pictures: [String: Runs] = [:]
        for (number, line) in lines.enumerated().dropFirst() {
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            let values =
                fields.count > 1
                ? fields[1].split(separator: " ").map { LabelNumber.whole($0, in: Self.runs) } : [nil]
            guard !values.contains(nil), values.count % 2 == 0 else {
                throw ScoringError(path, "line \(number + 1): pairs of a start and a length are needed")
            }
            var runs = pictures[String(fields[0])] ?? Runs()
            if let height = places.0, let width = places.1, max(height, width) < fields.count,
                !fields[height].isEmpty || !fields[width].isEmpty
            {
                let sizes = [height, width].map({ LabelNumber.whole(fields[$0], in: 1...1 << 20) })
                guard let height = sizes[0], let width = sizes[1] else {
                    throw ScoringError(
                        path,
                        "line \(number + 1): a picture of \(fields[width]) x \(fields[height]) is not possible"
                    )
                }
                runs.size = (height, width)
            }
            // No run at all says that a picture was looked at.
            if !values.isEmpty { runs.masks.append((number + 1, values.map { $0! })) }
            pictures[String(fields[0])] = runs
        }
        return pictures
    }

    private func dsbMask(
        _ values: [Int], _ width: Int, _ height: Int, _ path: String, _ line: Int
    ) throws -> MaskShape {
        var counts: [Int] = []
        var end = 0
        for index in stride(from: 0, to: values.count, by: 2) {
            let (start, length) = (values[index] - 1, values[index + 1])
            guard values[index] > 0, start >= end, length > 0, length <= width * height - start else {
                throw ScoringError(
                    path,
                    "line \(line): the run of \(length) from \(values[index]) is out of order or out of a picture of \(width) x \(height)"
                )
            }
            counts += [start - end, length]
            end = start + length
        }
        return MaskShape(try Mask(width: width, height: height, counts: counts + [width * height - end]))
    }

    // MARK: Referring

    private struct Referred: Decodable {
        let id: LabelID
        /// Whether it is about a sentence, and not about all of one reference.
        let isSentence: Bool
        let box: Box?
        let segmentation: COCOSegmentation?
        let width: Int?
        let height: Int?

        private enum Keys: String, CodingKey {
            case id, refID = "ref_id", sentenceID = "sent_id", box = "bbox", segmentation, width, height
        }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: Keys.self)
            let key = [Keys.sentenceID, .refID].first(where: values.contains) ?? .id
            id = try values.decode(LabelID.self, forKey: key)
            isSentence = key == .sentenceID
            let numbers = try values.decodeIfPresent([Double].self, forKey: .box)
            guard numbers.map({ $0.count == 4 }) ?? true else {
                throw DecodingError.dataCorruptedError(
                    forKey: .box, in: values, debugDescription: "a box has 4 numbers")
            }
            box = numbers.map { Box(x: $0[0], y: $0[1], width: $0[2], height: $0[3]) }
            segmentation =
                if !values.contains(.segmentation) {
                    nil
                } else if let polygons = try? values.decode([[Double]].self, forKey: .segmentation) {
                    .polygons(polygons)
                } else {
                    .mask(try values.decode(Mask.self, forKey: .segmentation))
                }
            width = try values.decodeIfPresent(Int.self, forKey: .width)
            height = try values.decodeIfPresent(Int.self, forKey: .height)
        }

        init(_ id: LabelID, _ thing: LabelledSet.Thing, _ picture: LabelledSet.Picture) {
            (self.id, box, segmentation) = (id, thing.box, thing.segmentation)
            isSentence = false
            (width, height) = (picture.width, picture.height)
        }

        /// - Parameter path: the file that it is from, for errors.
        func mask(_ size: (Int, Int)?, _ path: String) throws -> Mask? {
            guard let segmentation else { return nil }
            if case .mask(let mask) = segmentation { return mask }
            return try size.map {
                try PredictionScoring.mask(segmentation, $0.0, $0.1, path, "expression \(id)")
            }
        }
    }

    private func referring() throws -> ScoreSheet {
        let form = "a list of entries with an id (ref_id or sent_id), and a bbox or a segmentation"
        let answers = try ScoringFiles.decode([Referred].self, predictions, form)
        let entries: [Referred]
        if ScoringFiles.isFolder(truth) {
            let set = try LabelledSet.read(
                DataSource(format: .refCOCO, path: truth, split: split), asWritten: true)
            let bySentence = answers.contains(where: \.isSentence)
            entries = set.pictures.flatMap { picture in
                picture.referring.flatMap { expression in
                    (bySentence ? expression.sentenceIDs : [expression.id]).map {
                        Referred($0, picture.things[expression.thing], picture)
                    }
                }
            }
        } else {
            entries = try ScoringFiles.decode([Referred].self, truth, form)
        }
        try Self.checkOnce(answers.map(\.id), predictions, "expression")
        let found = Dictionary(uniqueKeysWithValues: answers.map { ($0.id, $0) })
        guard !entries.isEmpty else { throw ScoringError(truth, "it has no expression") }
        let ids = Set(entries.map(\.id))
        if let strange = found.keys.filter({ !ids.contains($0) }).min() {
            throw ScoringError(predictions, "expression \(strange) is not in the truth")
        }
        let isBoxes = found.values.contains { $0.box != nil } || found.isEmpty
        let isMasks = found.values.contains { $0.segmentation != nil }
        guard isBoxes || isMasks else {
            throw ScoringError(predictions, "none of its \(found.count) entries has a bbox or a segmentation")
        }
        var right = Share()
        var masks: [ReferringScore] = []
        for entry in entries {
            let answer = found[entry.id]
            if isBoxes {
                guard let box = entry.box else {
                    throw ScoringError(truth, "expression \(entry.id) has no bbox")
                }
                right.add((answer?.box?.iou(box) ?? 0) >= 0.5)
            }
            guard isMasks else { continue }
            let answerMask: Mask? = if case .mask(let mask)? = answer?.segmentation { mask } else { nil }
            let size =
                if let width = entry.width, let height = entry.height { (width, height) } else {
                    answerMask.map { ($0.width, $0.height) }
                }
            guard let real = try entry.mask(size, truth) else {
                throw ScoringError(
                    truth,
                    "expression \(entry.id) has no mask: runs, or polygons with width and height, are needed")
            }
            let answered = try answer?.mask((real.width, real.height), predictions)
            do {
                masks.append(
                    try ReferringScore(
                        box: answer?.box, mask: answered, truth: entry.box ?? real.boundingBox,
                        truthMask: real))
            } catch {
                throw ScoringError(predictions, "expression \(entry.id): \(error)")
            }
        }
        return .referring(boxes: isBoxes ? right : nil, masks: isMasks ? masks : nil)
    }

    // MARK: Counting

    private func counting() throws -> ScoreSheet {
        let found = try Self.counts(predictions)
        let there = try split.map(countsOfSplit) ?? Self.counts(truth)
        try Self.match(found.keys, there.keys, predictions, "count")
        return .counting(there.map { (found[$0.key]!, $0.value) })
    }

    /// By name: of a published FSC-147.
    private func countsOfSplit(_ split: String) throws -> [String: Double] {
        let set = try LabelledSet.read(
            DataSource(format: .fsc147, path: truth, split: split), asWritten: true)
        return Dictionary(set.pictures.map { ($0.fileName, Double($0.points.count)) }) { $1 }
    }

    /// By name: a JSON object of numbers or of FSC-147's points, a list of `image_id` and `count`, or CSV of both.
    private static func counts(_ path: String) throws(ScoringError) -> [String: Double] {
        struct Value: Decodable {
            struct Points: Decodable { let points: [[Double]] }
            let count: Double

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let number = try? container.decode(Double.self) {
                    count = number
                } else {
                    count = Double(try container.decode(Points.self).points.count)
                }
            }
        }
        struct Entry: Decodable {
            let id: LabelID
            let count: Double

            private enum Keys: String, CodingKey { case id, image_id, file_name, count }
            init(from decoder: any Decoder) throws {
                let values = try decoder.container(keyedBy: Keys.self)
                let key = [Keys.file_name, .image_id].first(where: values.contains) ?? .id
                id = try values.decode(LabelID.self, forKey: key)
                count = try values.decode(Double.self, forKey: .count)
            }
        }
        var counts: [String: Double] = [:]
        if path.hasSuffix(".csv") {
            for (number, line) in try ScoringFiles.lines(path).enumerated() {
                let fields = line.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
                guard fields.count == 2, let count = LabelNumber.number(fields[1]) else {
                    // The first line may name the columns.
                    if number == 0, fields.count == 2 { continue }
                    throw ScoringError(path, "line \(number + 1): a name and a count are needed")
                }
                counts[fields[0]] = count
            }
        } else if ScoringFiles.beginning(path).first(where: { !$0.isWhitespace }) == "[" {
            let entries = try ScoringFiles.decode([Entry].self, path, "a list of image_id and count")
            try checkOnce(entries.map(\.id), path, "picture")
            for entry in entries { counts[entry.id.name] = entry.count }
        } else {
            let form = "an object of names with counts, or with points"
            for (name, value) in try ScoringFiles.decode([String: Value].self, path, form) {
                counts[name] = value.count
            }
        }
        guard !counts.isEmpty else { throw ScoringError(path, "it has no count") }
        return counts
    }

    /// Nothing is answered twice.
    private static func checkOnce(_ ids: [LabelID], _ path: String, _ what: String) throws(ScoringError) {
        var seen: Set<LabelID> = []
        for id in ids where !seen.insert(id).inserted {
            throw ScoringError(path, "\(what) \(id) is there twice")
        }
    }

    /// Every entry of the truth is predicted, and nothing else.
    private static func match<ID: Hashable & Comparable>(
        _ found: some Collection<ID>, _ there: some Collection<ID>, _ path: String, _ what: String
    ) throws(ScoringError) {
        let (found, there) = (Set(found), Set(there))
        let (missing, strange) = (there.subtracting(found), found.subtracting(there))
        if let first = missing.min() {
            let more = missing.count > 1 ? " and \(missing.count - 1) more" : ""
            throw ScoringError(path, "it has no \(what) for \(first)\(more)")
        }
        if let first = strange.min() {
            throw ScoringError(path, "it has a \(what) for \(first), which the truth does not have")
        }
    }

    // MARK: Questions

    private struct AnswerEntry: Decodable {
        let question_id: LabelID
        let answer: String
    }

    private struct QuestionTruth: Decodable {
        struct Answer: Decodable { let answer: String }
        let question_id: LabelID
        let answers: [Answer]?
        let multiple_choice_answer: String?
        let answer: String?
        let question_type: String?
        let answer_type: String?
    }

    private func vqa() throws -> ScoreSheet {
        struct Document: Decodable { let annotations: [QuestionTruth] }
        let list = ScoringFiles.beginning(truth).first { !$0.isWhitespace } == "["
        let questions =
            list
            ? try ScoringFiles.decode([QuestionTruth].self, truth, "a list of question_id and answer")
            : try ScoringFiles.decode(Document.self, truth, "VQAv2's annotations").annotations
        let answers = try ScoringFiles.decode(
            [AnswerEntry].self, predictions, "a list of question_id and answer")
        try Self.checkOnce(answers.map(\.question_id), predictions, "question")
        let found = Dictionary(uniqueKeysWithValues: answers.map { ($0.question_id, $0.answer) })
        guard !questions.isEmpty else { throw ScoringError(truth, "it has no question") }
        try Self.match(found.keys, questions.map(\.question_id), predictions, "answer")
        return .vqa(
            try questions.map { question in
                let one = question.answer ?? question.multiple_choice_answer
                guard one != nil || question.answers != nil else {
                    throw ScoringError(truth, "question \(question.question_id) has no answer")
                }
                return .init(
                    answer: found[question.question_id]!, one: one, all: question.answers?.map(\.answer),
                    kinds: [question.answer_type, question.question_type].compactMap { $0 })
            })
    }

    // MARK: Captions

    private func captions() throws -> ScoreSheet {
        struct Entry: Decodable {
            let image_id: LabelID
            let caption: String
        }
        struct Document: Decodable { let annotations: [Entry] }
        let list = ScoringFiles.beginning(truth).first { !$0.isWhitespace } == "["
        let there = Dictionary(
            grouping: list
                ? try ScoringFiles.decode([Entry].self, truth, "a list of image_id and caption")
                : try ScoringFiles.decode(Document.self, truth, "COCO's captions").annotations,
            by: \.image_id)
        var seen: Set<LabelID> = []
        var pairs: [CaptionScores.Pair] = []
        for entry in try ScoringFiles.decode([Entry].self, predictions, "a list of image_id and caption") {
            guard let truth = there[entry.image_id] else {
                throw ScoringError(predictions, "picture \(entry.image_id) is not in the truth")
            }
            guard seen.insert(entry.image_id).inserted else {
                throw ScoringError(predictions, "picture \(entry.image_id) has two captions")
            }
            pairs.append(
                .init(
                    found: CaptionTokens.words(entry.caption),
                    truth: truth.map { CaptionTokens.words($0.caption) }))
        }
        // As pycocoevalcap: pictures without a prediction do not count.
        guard !pairs.isEmpty else { throw ScoringError(predictions, "it has no caption") }
        return .captions(pairs)
    }

    // MARK: Videos

    private func davis() throws -> ScoreSheet {
        func root(_ path: String) -> String {
            ["Annotations/480p", "Annotations/Full-Resolution", "Annotations"].map { "\(path)/\($0)" }
                .first(where: ScoringFiles.isFolder) ?? path
        }
        let (found, there) = (root(predictions), root(truth))
        var parts: [ScoreSheet.Part] = []
        var scores: [VideoMaskScore] = []
        for video in try ScoringFiles.names(there) where ScoringFiles.isFolder("\(there)/\(video)") {
            let frames = try ScoringFiles.names("\(there)/\(video)").filter { $0.hasSuffix(".png") }
            guard frames.count > 2 else {
                throw ScoringError(
                    "\(there)/\(video)",
                    "\(frames.count) frames; at least 3 are needed, as the first and the last do not count")
            }
            func read(_ folder: String, _ frame: String) throws -> (map: LabelMap, masks: [Int: Mask]) {
                let path = "\(folder)/\(video)/\(frame)"
                guard ScoringFiles.isFile(path) else { throw ScoringError(path, "there is no such file") }
                let map = try LabelMap(contentsOf: path)
                return (map, map.masks())
            }
            // The first frame says what is to be followed; 255 is void.
            let things = try (read(there, frames[0]).masks.keys.filter { $0 != 255 }.max() ?? 0)
            var maps: [(found: [Int: Mask], truth: [Int: Mask], width: Int, height: Int)] = []
            for frame in frames.dropFirst().dropLast() {
                let (truth, answer) = (try read(there, frame), try read(found, frame))
                guard answer.map.width == truth.map.width, answer.map.height == truth.map.height else {
                    throw ScoringError(
                        "\(found)/\(video)/\(frame)",
                        "it is \(answer.map.width) x \(answer.map.height), the truth \(truth.map.width) x \(truth.map.height)"
                    )
                }
                maps.append((answer.masks, truth.masks, truth.map.width, truth.map.height))
            }
            if let most = maps.flatMap(\.found.keys).max(), most > things {
                throw ScoringError("\(found)/\(video)", "it has an object \(most), the truth \(things)")
            }
            for thing in stride(from: 1, through: things, by: 1) {
                func masks(_ part: (([Int: Mask], [Int: Mask])) -> [Int: Mask]) throws -> [Mask] {
                    try maps.map { frame in
                        try part((frame.found, frame.truth))[thing]
                            ?? Mask(
                                width: frame.width, height: frame.height, counts: [frame.width * frame.height]
                            )
                    }
                }
                let score = try VideoMaskScore(masks { $0.0 }, truth: masks { $0.1 })
                scores.append(score)
                parts.append(
                    .init(
                        name: "\(video)_\(thing)",
                        figures: [.init("J-Mean", score.j.mean), .init("F-Mean", score.f.mean)]))
            }
        }
        guard !scores.isEmpty else {
            throw ScoringError(truth, "it has no folder of masks with a thing in its first")
        }
        func mean(_ value: KeyPath<VideoMaskScore, Double>) -> Double {
            scores.reduce(0) { $0 + $1[keyPath: value] } / Double(scores.count)
        }
        return ScoreSheet(
            .davis,
            [
                .init("J&F-Mean", (mean(\.j.mean) + mean(\.f.mean)) / 2), .init("J-Mean", mean(\.j.mean)),
                .init("J-Recall", mean(\.j.recall)), .init("J-Decay", mean(\.j.decay)),
                .init("F-Mean", mean(\.f.mean)), .init("F-Recall", mean(\.f.recall)),
                .init("F-Decay", mean(\.f.decay)),
            ], parts: parts)
    }

    private func mot() throws -> ScoreSheet {
        var videos: [(name: String, truth: String, found: String)] = []
        if ScoringFiles.isFolder(truth) {
            for name in try ScoringFiles.names(truth) {
                guard
                    let file = ["\(name)/gt/gt.txt", "\(name)/gt.txt"].map({ "\(truth)/\($0)" })
                        .first(where: ScoringFiles.isFile)
                else { continue }
                videos.append((name, file, "\(predictions)/\(name).txt"))
            }
            guard !videos.isEmpty else { throw ScoringError(truth, "no folder in it has gt/gt.txt") }
        } else {
            videos = [(Self.stem(truth), truth, predictions)]
        }
        var sum = TrackingScore()
        var parts: [ScoreSheet.Part] = []
        for video in videos {
            let score = TrackingScore(
                try Self.tracks(video.found, isTruth: false),
                truth: try Self.tracks(video.truth, isTruth: true))
            sum += score
            parts.append(.init(name: video.name, figures: Self.figures(score)))
        }
        return ScoreSheet(.mot, Self.figures(sum), parts: parts.count > 1 ? parts : [])
    }

    /// MOTChallenge's text: frame, track, corner and size, and in a truth whether it counts.
    private static func tracks(_ path: String, isTruth: Bool) throws(ScoringError) -> [TrackedBox] {
        struct Key: Hashable {
            let frame: Int
            let track: Int
        }
        var seen: Set<Key> = []
        var boxes: [TrackedBox] = []
        var ignored: [Double] = []
        let whole = -1_000_000_000...1_000_000_000
        for (number, line) in try ScoringFiles.lines(path).enumerated() {
            let fields = line.split { $0 == "," || $0 == " " || $0 == "\t" }
            let numbers = fields.compactMap { LabelNumber.number($0) }
            guard fields.count >= 6, numbers.count == fields.count,
                let frame = LabelNumber.whole(numbers[0], in: whole),
                let track = LabelNumber.whole(numbers[1], in: whole)
            else {
                throw ScoringError(
                    path,
                    "line \(number + 1): frame, track, x, y, width and height are needed, as MOTChallenge has them"
                )
            }
            if isTruth, numbers.count > 6, numbers[6] < 1 {
                ignored.append(numbers[6])
                continue
            }
            guard seen.insert(Key(frame: frame, track: track)).inserted else {
                throw ScoringError(path, "line \(number + 1): track \(track) has two boxes in frame \(frame)")
            }
            // Corners count from 1.
            boxes.append(
                .init(
                    frame: frame, track: track,
                    box: Box(x: numbers[2] - 1, y: numbers[3] - 1, width: numbers[4], height: numbers[5])))
        }
        if boxes.isEmpty, let first = ignored.first {
            throw ScoringError(
                path,
                "none of its \(ignored.count) boxes counts: their 7th number, which is 1 in a truth where a box counts, is \(first) in the first"
            )
        }
        return boxes
    }

    private static func figures(_ score: TrackingScore) -> [ScoreSheet.Figure] {
        func count(_ name: String, _ value: Int) -> ScoreSheet.Figure {
            .init(name, Double(value), isCount: true)
        }
        return [
            .init("IDF1", score.idf1), .init("IDP", score.idp), .init("IDR", score.idr),
            .init("Rcll", score.recall),
            .init("Prcn", score.precision),
            count("GT", score.mostlyTracked + score.partiallyTracked + score.mostlyLost),
            count("MT", score.mostlyTracked), count("PT", score.partiallyTracked),
            count("ML", score.mostlyLost),
            count("FP", score.falsePositives), count("FN", score.misses), count("IDs", score.switches),
            count("FM", score.fragmentations), .init("MOTA", score.mota), .init("MOTP", score.motp),
        ]
    }
}
