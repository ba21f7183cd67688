import Datasets
import Encoders
import Evaluation
import Foundation
import Language
import Media
import Perception
import Text
import Torch
import Vitrail

/// What a model says of one picture of the validation.
struct PictureAnswers: Sendable {
    struct Said: Sendable {
        let question: LabelledSet.Question
        let answer: String
        let isRight: Bool
    }

    let picture: LabelledSet.Picture
    /// In pixels, as the picture was decoded.
    let size: Size
    /// Classes of which more may be there than is labelled: neither their things nor what is found of them counts.
    let unclear: Set<Int>
    /// Of each class, best first, in pixels of the picture.
    let found: [[Detection]]
    /// The joints of those that are surest to be people; none where joints are not learnt.
    let people: [Person]
    let said: [Said]
    /// Tokens of captions and conversations, after the right ones before them.
    let words: Words

    struct Person: Sendable {
        let box: Box
        let score: Double
        let joints: Keypoints
    }

    struct Words: Sendable {
        var right = 0
        var count = 0
    }

    struct Size: Sendable {
        let width: Int
        let height: Int
    }

    /// Names that are asked for at once.
    private static let batch = 64

    /// People of a picture whose joints COCO's metric takes.
    private static let peopleLimit = 20

    /// - Parameters:
    ///   - picture: what its labels say.
    ///   - image: its pixels.
    ///   - model: who answers.
    ///   - writing: how the model is told.
    ///   - classes: what is asked for.
    ///   - person: which of the classes has joints; nil where none is learnt.
    ///   - questions: of the picture, as far as they are learnt.
    ///   - texts: what is asked and answered beside them.
    ///   - locator: how places are taken from heatmaps.
    init(
        _ picture: LabelledSet.Picture, _ image: Image, _ model: Lumen, _ writing: MosaicWriting,
        classes: [String], person: Int?, questions: [LabelledSet.Question],
        texts: [(request: String, answer: String)], _ locator: Locator
    ) throws {
        self.picture = picture
        size = Size(width: image.width, height: image.height)
        let reading = try Reading(image, with: model)
        let specialists = Specialists(model: model, locator: locator, segmenter: nil)
        let found = try Swift.stride(from: 0, to: classes.count, by: Self.batch).flatMap { start in
            let names = classes[start..<min(start + Self.batch, classes.count)]
            return try specialists.find(Array(names), as: .boxes, in: reading).found
        }
        // What nobody looked for is neither right nor wrong.
        let unclear = picture.unclear(classes.count)
        self.unclear = unclear
        self.found = found.enumerated().map { unclear.contains($0) ? [] : $1 }
        let surest = person.map { Array(found[$0].prefix(Self.peopleLimit)) } ?? []
        people = zip(surest, try specialists.joints(of: surest.map(\.box), in: image)).map {
            Person(box: $0.box, score: $0.score, joints: $1)
        }
        said = try Self.said(questions, reading.prefix, model, writing)
        words = try Self.best(texts, reading.prefix, model, writing).reduce(into: Words()) { words, answer in
            words.right += zip(answer.best, answer.real).count { $0 == $1 }
            words.count += answer.real.count
        }
    }

    /// Whether greedy decoding would give the answer to the letter: whether each of its tokens, and the end, is the one
    /// with the highest score after those before it.
    private static func said(
        _ questions: [LabelledSet.Question], _ prefix: PrefixCache, _ model: Lumen, _ writing: MosaicWriting
    ) throws -> [Said] {
        let texts = questions.map { ($0.text, $0.answers.first { !$0.isEmpty } ?? "") }
        let end = writing.tokenizer.id(of: Prompt.end)
        return zip(questions, try best(texts, prefix, model, writing)).map { question, answer in
            let text = writing.tokenizer.decode(answer.best.prefix { $0 != end }, skipSpecialTokens: true)
            return Said(question: question, answer: text, isRight: answer.best == answer.real)
        }
    }

    /// The tokens of each answer, the end among them, and which the model has for the likeliest after those before them.
    private static func best(
        _ texts: [(request: String, answer: String)], _ prefix: PrefixCache, _ model: Lumen,
        _ writing: MosaicWriting
    ) throws -> [(best: [Int], real: [Int])] {
        guard !texts.isEmpty else { return [] }
        let tokenizer = writing.tokenizer
        let rows = texts.map { text in
            let lead = tokenizer.encode(writing.form.question(text.request))
            return (ids: lead + tokenizer.encode(text.answer + Prompt.end), start: lead.count)
        }
        let length = rows.map(\.ids.count).max()!
        let ids = try Tensor(
            rows.flatMap { $0.ids + Array(repeating: 0, count: length - $0.ids.count) },
            [1, rows.count, length]
        ).to(model.device)
        let states = try model.language.text(ids, after: prefix)
        let best = try model.language.logits(states).argmax(-1).array(Int.self)
        return rows.enumerated().map { number, row in
            // The token that follows each of the places before the answer's tokens.
            let following = (row.start..<row.ids.count).map { best[number * length + $0 - 1] }
            return (following, Array(row.ids[row.start...]))
        }
    }

    /// Things that were found at least as surely, and those of them that are right: each thing once, at an IoU of 0.5.
    func agreement(at threshold: Double) -> (right: Int, found: Int, there: Int) {
        var (right, count) = (0, 0)
        let there = picture.things.filter { $0.isLearnt && !unclear.contains($0.category) }
        for (label, detections) in found.enumerated() {
            var left = there.filter { $0.category == label }
            for detection in detections where detection.score >= threshold {
                count += 1
                let overlaps = left.indices.map { left[$0].box.iou(detection.box) }
                guard let best = overlaps.indices.max(by: { overlaps[$0] < overlaps[$1] }),
                    overlaps[best] >= 0.5
                else { continue }
                right += 1
                left.remove(at: best)
            }
        }
        return (right, count, there.count)
    }
}

/// What a model says of all pictures of the validation.
struct ValidationAnswers: Sendable {
    let classes: [String]
    let pictures: [PictureAnswers]
    /// Of boxes; nil where no class is asked for, or nothing is there.
    let averagePrecision: AveragePrecision?
    /// Of people's joints by their OKS; nil where none is there or learnt.
    let joints: AveragePrecision?
    /// The share of questions that are answered to the letter; nil where there is none.
    let accuracy: Double?
    /// The share of the tokens of captions and conversations that the model has for the likeliest; nil where there is none.
    let words: Double?

    /// - Parameter person: which of the classes has joints; nil where none is learnt.
    init(classes: [String], person: Int?, pictures: [PictureAnswers]) {
        self.classes = classes
        self.pictures = pictures
        var truth: [AveragePrecision.Truth<Box>] = []
        var found: [AveragePrecision.Prediction<Box>] = []
        for (image, answers) in pictures.enumerated() {
            for thing in answers.picture.things {
                truth.append(
                    .init(
                        image: image, category: thing.category, area: thing.area ?? thing.box.area,
                        isCrowd: thing.isCrowd,
                        isIgnored: !thing.isLearnt || answers.unclear.contains(thing.category),
                        shape: thing.box))
            }
            for (label, detections) in answers.found.enumerated() {
                found += detections.map {
                    .init(
                        image: image, category: label, score: $0.score, area: $0.box.area, shape: $0.box)
                }
            }
        }
        var settings = AveragePrecision.Settings.instances
        // As many as there can be: a hundred are too few for cells in a culture.
        settings.limits = [1, 10, 1_000]
        averagePrecision =
            truth.contains { !$0.isIgnored }
            ? AveragePrecision(found, truth: truth, settings: settings) { box, truth in
                box.iou(truth.shape, isCrowd: truth.isCrowd)
            } : nil
        joints = person.flatMap { Self.joints(of: pictures, person: $0) }
        let said = pictures.flatMap(\.said)
        accuracy =
            said.isEmpty ? nil : Double(said.count { $0.isRight }) / Double(said.count)
        let (right, count) = pictures.reduce(into: (0, 0)) {
            $0.0 += $1.words.right
            $0.1 += $1.words.count
        }
        words = count == 0 ? nil : Double(right) / Double(count)
    }

    private static func joints(of pictures: [PictureAnswers], person: Int) -> AveragePrecision? {
        var truth: [AveragePrecision.Truth<JointPlaces>] = []
        var found: [AveragePrecision.Prediction<JointPlaces>] = []
        for (image, answers) in pictures.enumerated() {
            for thing in answers.picture.things where thing.category == person {
                let none = Keypoints(
                    Keypoints.cocoNames.map { _ in .init(point: Point(x: 0, y: 0), visibility: .absent) })
                truth.append(
                    .init(
                        image: image, category: person, area: thing.area ?? thing.box.area,
                        isCrowd: thing.isCrowd, isIgnored: !thing.isPosed,
                        shape: JointPlaces(thing.keypoints ?? none, box: thing.box)))
            }
            for one in answers.people {
                let places = one.joints.joints.flatMap { [$0.point.x, $0.point.y] }
                found.append(
                    .init(
                        image: image, category: person, score: one.score, area: one.box.area,
                        shape: JointPlaces(places: places)))
            }
        }
        guard truth.contains(where: { !$0.isIgnored }) else { return nil }
        return AveragePrecision(keypoints: found, truth: truth)
    }

    /// By which the best model is chosen: the mean of the average precisions of boxes and of joints, the accuracy and the share
    /// of words, as far as there are.
    var score: Double {
        let precisions = [averagePrecision, joints].map { $0.map { max(0, $0.ap()) } }
        let parts = (precisions + [accuracy, words]).compactMap { $0 }
        return parts.isEmpty ? 0 : parts.reduce(0, +) / Double(parts.count)
    }

    /// A line of `validation.jsonl`.
    func figures(step: Int) -> [String: Double] {
        var line = ["step": Double(step), "score": score]
        if let averagePrecision {
            line["AP"] = averagePrecision.ap()
            line["AP50"] = averagePrecision.ap(threshold: 0)
            line["AP75"] = averagePrecision.ap(threshold: 5)
        }
        line["joints_AP"] = joints?.ap()
        line["accuracy"] = accuracy
        line["words"] = words
        return line
    }

    /// Thresholds that suit the validation's pictures.
    struct Calibration: Sendable {
        /// The one with the greatest F1 at an IoU of 0.5, over all classes.
        var threshold = Locator().threshold
        var f1: Double?
        /// Of each class the one with the least mean absolute error of its counts.
        var countThresholds: [String: Double] = [:]
        /// Of each class that error, and the error of always saying the training's median.
        var countErrors: [Double] = []
        var medianErrors: [Double] = []
    }

    /// - Parameter trained: how many things of each class the pictures of the training have.
    func calibration(trained: [[Int]]) -> Calibration {
        var calibration = Calibration()
        guard averagePrecision != nil else { return calibration }
        let thresholds = (1..<98).map { Double($0) / 100 }
        let scores = thresholds.map { threshold -> Double in
            let sums = pictures.map { $0.agreement(at: threshold) }
            let right = sums.reduce(0) { $0 + $1.right }
            let all = sums.reduce(0) { $0 + $1.found + $1.there }
            return all == 0 ? 0 : 2 * Double(right) / Double(all)
        }
        let best = scores.max()!
        calibration.threshold = Self.middle(thresholds, where: { scores[$0] == best })
        calibration.f1 = best

        let there = pictures.map { $0.picture.counts(classes.count) }
        func errors(_ counts: (_ picture: Int, _ label: Int) -> Double) -> [Double] {
            classes.indices.map { label in
                let known = pictures.indices.filter { !pictures[$0].unclear.contains(label) }
                let sum = known.reduce(0) { $0 + abs(counts($1, label) - Double(there[$1][label])) }
                return known.isEmpty ? 0 : sum / Double(known.count)
            }
        }
        let medians = classes.indices.map { label in
            let sorted = trained.map { $0[label] }.sorted()
            return Double(sorted[sorted.count / 2])
        }
        calibration.medianErrors = errors { medians[$1] }
        let counted = thresholds.map { threshold in
            errors { picture, label in
                Double(pictures[picture].found[label].count { $0.score >= threshold })
            }
        }
        for label in classes.indices {
            let wrong = counted.map { $0[label] }
            let least = wrong.min()!
            let threshold = Self.middle(thresholds, where: { wrong[$0] == least })
            calibration.countThresholds[classes[label]] = threshold
            calibration.countErrors.append(least)
        }
        return calibration
    }

    /// Of the thresholds that are equally good the one in the middle.
    private static func middle(_ thresholds: [Double], where isBest: (Int) -> Bool) -> Double {
        let best = thresholds.indices.filter(isBest)
        return thresholds[best[best.count / 2]]
    }
}
