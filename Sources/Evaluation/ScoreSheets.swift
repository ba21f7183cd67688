import Foundation

/// The sheet of each metric, from files as from a model's answers.
extension ScoreSheet {
    /// - Parameter name: of a category.
    static func coco(_ scored: AveragePrecision, name: (Int) -> String) -> ScoreSheet {
        func figures(_ category: Int?) -> [Figure] {
            scored.figures(of: category).map { .init($0.name, $0.value, line: $0.line) }
        }
        return ScoreSheet(
            .coco, figures(nil), parts: scored.categories.map { .init(name: name($0), figures: figures($0)) })
    }

    static func crowdPose(_ score: CrowdPoseScore) -> ScoreSheet {
        let levels = [("easy", score.easy), ("medium", score.medium), ("hard", score.hard)].map {
            let (name, value) = ($0, $1.ap())
            let padded = String(repeating: " ", count: 6 - name.count) + name
            let line = String(
                format: " Average Precision  (AP) @[ IoU=0.50:0.95 | type=%@ | maxDets= 20 ] = %0.3f", padded,
                value)
            return Figure("AP\(name)", value, line: line)
        }
        return ScoreSheet(
            .crowdpose, score.all.figures.map { .init($0.name, $0.value, line: $0.line) } + levels)
    }

    /// - Parameters:
    ///   - found: by category.
    ///   - truth: by category.
    ///   - names: of the categories.
    static func voc(
        _ found: [Int: [VOCAveragePrecision.Entry]], truth: [Int: [VOCAveragePrecision.Entry]],
        names: [String]
    ) -> ScoreSheet {
        let parts = names.indices.compactMap { category -> Part? in
            func ap(_ interpolation: VOCAveragePrecision.Interpolation) -> Double? {
                VOCAveragePrecision.ap(found[category] ?? [], truth: truth[category] ?? [], interpolation)
            }
            guard let old = ap(.elevenPoint), let area = ap(.area) else { return nil }
            return .init(name: names[category], figures: [.init("AP07", old), .init("AP", area)])
        }
        func average(_ place: Int) -> Double? { mean(parts.map { $0.figures[place].value! }) }
        return ScoreSheet(.voc, [.init("mAP07", average(0)), .init("mAP", average(1))], parts: parts)
    }

    static func dsb(_ score: MaskPrecision) -> ScoreSheet {
        let steps = MaskPrecision.thresholds.enumerated().map { step, threshold in
            Figure("AP\(Int((threshold * 100).rounded()))", score.value(at: step))
        }
        return ScoreSheet(.dsb, [.init("mAP", score.mean)] + steps)
    }

    /// - Parameters:
    ///   - boxes: whose IoU is at least 0.5; nil when boxes are not scored.
    ///   - masks: nil when they are not scored.
    static func referring(boxes: Share?, masks: [ReferringScore]?) -> ScoreSheet {
        var figures: [Figure] = []
        if let boxes { figures.append(.init("accuracy@0.5", boxes.value)) }
        if let masks {
            figures += [
                .init("cIoU", ReferringScore.cIoU(masks)), .init("gIoU", ReferringScore.gIoU(masks)),
                .init("P@0.5", mean(masks.map { $0.maskIoU > 0.5 ? 1 : 0 })),
            ]
        }
        return ScoreSheet(.referring, figures)
    }

    static func counting(_ counts: [(found: Double, truth: Double)]) -> ScoreSheet {
        let errors = counts.map { abs($0.found - $0.truth) }
        return ScoreSheet(
            .counting,
            [
                .init("MAE", mean(errors)), .init("RMSE", mean(errors.map { $0 * $0 })?.squareRoot()),
                .init("exact", mean(errors.map { $0 == 0 ? 1 : 0 })),
            ])
    }

    /// An answer beside what people answered.
    struct Answered {
        let answer: String
        /// The single right one, to the letter.
        let one: String?
        /// All that were given.
        let all: [String]?
        /// Of the question and of its answer.
        let kinds: [String]
    }

    static func vqa(_ answers: [Answered]) -> ScoreSheet {
        let soft = answers.compactMap { entry in
            entry.all.map { (kinds: entry.kinds, score: VQAAccuracy.score(entry.answer, answers: $0)) }
        }
        let exact = answers.compactMap { entry in entry.one.map { entry.answer == $0 ? 1.0 : 0 } }
        var figures: [Figure] = []
        if !soft.isEmpty { figures.append(.init("accuracy", mean(soft.map(\.score)))) }
        if !exact.isEmpty { figures.append(.init("exact", mean(exact))) }
        return ScoreSheet(
            .vqa, figures,
            parts: Set(soft.flatMap(\.kinds)).sorted().map { kind in
                let scores = soft.filter { $0.kinds.contains(kind) }.map(\.score)
                return .init(name: kind, figures: [.init("accuracy", mean(scores))])
            })
    }

    /// - Parameter pairs: at least one.
    static func captions(_ pairs: [CaptionScores.Pair]) -> ScoreSheet {
        let scores = CaptionScores(pairs)
        return ScoreSheet(
            .captions,
            scores.bleu.enumerated().map { .init("BLEU-\($0 + 1)", $1) } + [
                .init("METEOR-style", Meteor(pairs).value), .init("ROUGE-L", scores.rougeL),
                .init("CIDEr-D", scores.cider),
            ])
    }

    static func mean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
}
