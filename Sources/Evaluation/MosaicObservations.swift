import Datasets
import Media
import Text

/// All that was asked, found and true, of any number of scenes; the figures are made of it at the end.
struct MosaicObservations: Sendable {
    struct Counting: Sendable {
        let expected: Int
        let counted: Int
        /// Of all that was found for the phrase, however unsure.
        let scores: [Double]
    }

    struct Text: Sendable {
        let kind: String
        let expected: String
        let answer: String
    }

    struct Absence: Sendable {
        let expected: String
        let isAbsent: Bool
        let answer: String
    }

    /// The indices of the scenes that were looked at.
    var scenes: [Int] = []
    var pictureSize = (width: 0, height: 0)
    var things: [AveragePrecision.Prediction<FoundThing>] = []
    var truth: [AveragePrecision.Truth<Box>] = []
    var masks: [AveragePrecision.Truth<MaskShape>] = []
    var phraseBoxes: [AveragePrecision.Prediction<Box>] = []
    var phraseTruth: [AveragePrecision.Truth<Box>] = []
    var people: [AveragePrecision.Prediction<JointPlaces>] = []
    var peopleTruth: [AveragePrecision.Truth<JointPlaces>] = []
    /// The same people, for the files.
    var posed: [AveragePrecision.Prediction<FoundThing>] = []
    var referring: [(kind: MosaicReference.Kind, score: ReferringScore)] = []
    var counts: [Counting] = []
    var questions: [Text] = []
    var captions: [Text] = []
    var routes: [(expected: Route, answer: [Route])] = []
    var absences: [Absence] = []
    private(set) var cases: [BenchmarkTask: [BenchmarkCase]] = [:]

    /// As many of the worst as a page shows.
    static let casesShown = 24

    /// Keeps a case when it is among the worst of its task.
    mutating func note(_ entry: BenchmarkCase) {
        guard entry.loss > 0 else { return }
        var kept = cases[entry.task] ?? []
        let place = kept.firstIndex { $0.loss < entry.loss } ?? kept.count
        guard place < Self.casesShown else { return }
        kept.insert(entry, at: place)
        cases[entry.task] = Array(kept.prefix(Self.casesShown))
    }

    /// Adds what was observed of later scenes, as if all had been noted here.
    mutating func append(_ later: MosaicObservations) {
        scenes += later.scenes
        pictureSize = later.pictureSize
        things += later.things
        truth += later.truth
        masks += later.masks
        phraseBoxes += later.phraseBoxes
        phraseTruth += later.phraseTruth
        people += later.people
        peopleTruth += later.peopleTruth
        posed += later.posed
        referring += later.referring
        counts += later.counts
        questions += later.questions
        captions += later.captions
        routes += later.routes
        absences += later.absences
        for entry in later.cases.values.joined() { note(entry) }
    }

    /// The worst case of every task, then the second worst, and so on.
    var worstCases: [BenchmarkCase] {
        var result: [BenchmarkCase] = []
        for rank in 0..<Self.casesShown {
            for task in BenchmarkTask.allCases {
                if let list = cases[task], rank < list.count, result.count < Self.casesShown {
                    result.append(list[rank])
                }
            }
        }
        return result
    }

    func report(
        _ suite: BenchmarkSuite, seed: UInt64, scenes: Int, tasks: Set<BenchmarkTask>
    ) -> BenchmarkReport {
        var maker = FigureMaker(suite: suite)
        var parts: [BenchmarkPart] = []
        var curves: [BenchmarkCurve] = []
        func trace(_ task: BenchmarkTask, _ scored: AveragePrecision) {
            for (name, threshold) in [("0.50", 0), ("0.75", 5), ("mean", nil)] as [(String, Int?)] {
                let curve = scored.curve(threshold: threshold)
                guard !curve.isEmpty else { continue }
                curves.append(
                    BenchmarkCurve(name: "\(task.rawValue) \(name)", x: AveragePrecision.recalls, y: curve))
            }
        }
        func split(_ task: BenchmarkTask, _ scored: AveragePrecision) {
            for (area, range) in scored.settings.areas.enumerated().dropFirst() {
                let value = scored.ap(area: area)
                if value >= 0 { parts.append(BenchmarkPart(task: task, name: range.name, value: value)) }
            }
            for category in scored.categories {
                let value = scored.ap(category: category)
                guard value >= 0, let kind = MosaicKind(rawValue: category) else { continue }
                parts.append(BenchmarkPart(task: task, name: kind.name, value: value))
            }
        }
        if tasks.contains(.detection) {
            let scored = AveragePrecision(
                boxes: things.map {
                    .init(
                        image: $0.image, category: $0.category, score: $0.score, area: $0.shape.box.area,
                        shape: $0.shape.box)
                }, truth: truth)
            maker.precision("detection", "detection by class name", scored, count: truth.count)
            trace(.detection, scored)
            split(.detection, scored)
        }
        if tasks.contains(.attributes) {
            let scored = AveragePrecision(boxes: phraseBoxes, truth: phraseTruth)
            maker.precision("attributes", "detection by attribute phrase", scored, count: phraseTruth.count)
            trace(.attributes, scored)
        }
        if tasks.contains(.segmentation) {
            let scored = AveragePrecision(
                masks: things.compactMap { thing in
                    thing.shape.mask.map {
                        .init(
                            image: thing.image, category: thing.category, score: thing.score,
                            area: Double($0.area), shape: MaskShape($0))
                    }
                }, truth: masks)
            maker.precision("segmentation", "instance segmentation, masks", scored, count: masks.count)
            trace(.segmentation, scored)
            split(.segmentation, scored)
        }
        if tasks.contains(.referring) {
            maker.share("referring", "referring, box IoU 0.5", referring.map { $0.score.boxIoU >= 0.5 })
            for kind in MosaicReference.Kind.allCases {
                maker.share(
                    "referring.\(kind.rawValue)", "referring by \(kind.rawValue)",
                    referring.filter { $0.kind == kind }.map { $0.score.boxIoU >= 0.5 })
            }
        }
        if tasks.contains(.referringSegmentation) {
            let scores = referring.map(\.score)
            maker.add(
                "referringSegmentation.ciou", "referring segmentation, cIoU", ReferringScore.cIoU(scores),
                scores.count)
            maker.add(
                "referringSegmentation.giou", "referring segmentation, mean IoU", ReferringScore.gIoU(scores),
                scores.count)
        }
        if tasks.contains(.pose) {
            let scored = AveragePrecision(keypoints: people, truth: peopleTruth)
            let count = peopleTruth.count { !$0.isIgnored }
            maker.precision("pose", "pose, OKS", scored, count: count)
            trace(.pose, scored)
        }
        if tasks.contains(.counting) {
            var score = CountScore()
            for count in counts { score.add(counted: count.counted, expected: count.expected) }
            let all = score.exact.count
            maker.add(
                "counting.mae", "counting by phrase, mean absolute error", score.mae, all,
                score.standardError, isError: true)
            maker.add(
                "counting.rmse", "counting by phrase, root mean square error", score.rmse, all, isError: true)
            maker.share(
                "counting.exact", "counting by phrase, exact", counts.map { $0.counted == $0.expected })
        }
        if tasks.contains(.questions) {
            maker.share("questions", "questions", questions.map { $0.answer == $0.expected })
            for kind in MosaicQuestion.Kind.allCases {
                maker.share(
                    "questions.\(kind.rawValue)", "questions of \(kind.rawValue)",
                    questions.filter { $0.kind == kind.rawValue }.map { $0.answer == $0.expected })
            }
        }
        if tasks.contains(.captions) {
            maker.share(
                "captions.right", "captions, every kind and number",
                captions.map { CaptionReading.agrees($0.answer, with: $0.expected) })
            maker.share("captions.exact", "captions, to the word", captions.map { $0.answer == $0.expected })
        }
        if tasks.contains(.routes) {
            maker.share(
                "routes", "right route, phrasings never trained on", routes.map { $0.answer == [$0.expected] }
            )
        }
        if tasks.contains(.absent) {
            var score = AbsenceScore()
            for entry in absences {
                score.add(entry.answer, expected: entry.expected, isAbsent: entry.isAbsent)
            }
            maker.share("absent.precision", "\"There is no …\", precision", score.precision)
            maker.share("absent.recall", "\"There is no …\", recall", score.recall)
            maker.share("absent.named", "\"There is no …\", named rightly", score.named)
        }
        let curve = tasks.contains(.counting) && !counts.isEmpty ? Calibration.countErrors(counts) : nil
        return BenchmarkReport(
            suite: suite.rawValue, seed: seed, scenes: scenes,
            tasks: BenchmarkTask.allCases.filter(tasks.contains), figures: maker.figures, curves: curves,
            parts: parts, calibration: curve)
    }
}

/// Names and collects figures.
private struct FigureMaker {
    let suite: BenchmarkSuite
    private(set) var figures: [BenchmarkFigure] = []

    init(suite: BenchmarkSuite) { self.suite = suite }

    mutating func add(
        _ name: String, _ title: String, _ value: Double?, _ count: Int, _ standardError: Double? = nil,
        isError: Bool = false
    ) {
        figures.append(
            BenchmarkFigure(
                name: name, title: title, value: value, standardError: standardError, count: count,
                aim: BenchmarkAims.aim(name, suite), isError: isError))
    }

    mutating func share(_ name: String, _ title: String, _ share: Share) {
        add(name, title, share.value, share.count, share.standardError)
    }

    mutating func share(_ name: String, _ title: String, _ right: [Bool]) {
        share(name, title, right.reduce(into: Share()) { $0.add($1) })
    }

    mutating func precision(_ name: String, _ title: String, _ scored: AveragePrecision, count: Int) {
        for (suffix, threshold) in [("ap", nil), ("ap50", 0), ("ap75", 5)] as [(String, Int?)] {
            let value = scored.ap(threshold: threshold)
            add("\(name).\(suffix)", "\(title), \(suffix.uppercased())", value < 0 ? nil : value, count)
        }
    }
}

/// Which threshold is best.
enum Calibration {
    static let thresholds = (1..<100).map { Double($0) / 100 }

    /// The mean absolute error of counts over the threshold.
    static func countErrors(_ counts: [MosaicObservations.Counting]) -> BenchmarkCurve {
        BenchmarkCurve(
            name: "mean absolute error of counts", x: thresholds,
            y: thresholds.map { threshold in
                let errors = counts.map { entry in
                    abs(entry.scores.count { $0 >= threshold } - entry.expected)
                }
                return Double(errors.reduce(0, +)) / Double(max(1, counts.count))
            })
    }

    /// How well nothing over the threshold says that there is nothing: F1 over the threshold.
    static func absenceF1(_ counts: [MosaicObservations.Counting]) -> BenchmarkCurve {
        BenchmarkCurve(
            name: "F1 of absence", x: thresholds,
            y: thresholds.map { threshold in
                var (both, said, absent) = (0, 0, 0)
                for entry in counts {
                    let isSaid = !entry.scores.contains { $0 >= threshold }
                    said += isSaid ? 1 : 0
                    absent += entry.expected == 0 ? 1 : 0
                    both += isSaid && entry.expected == 0 ? 1 : 0
                }
                return said + absent == 0 ? 0 : 2 * Double(both) / Double(said + absent)
            })
    }

    /// The middle of the best stretch: the least sensitive of equals.
    static func best(_ curve: BenchmarkCurve, isLeast: Bool) -> (threshold: Double, value: Double) {
        let value = isLeast ? curve.y.min()! : curve.y.max()!
        let places = curve.y.indices.filter { curve.y[$0] == value }
        return (curve.x[places[places.count / 2]], value)
    }
}
