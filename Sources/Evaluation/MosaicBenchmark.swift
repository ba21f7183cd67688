public import Datasets
import Media
import Text
import Vitrail

/// How well a model answers about unseen scenes of Mosaic's plain ring.
///
/// Detection asks every class name of every scene, also those that are absent. Requests and questions are answered
/// freely, token by token.
public struct MosaicBenchmark: Sendable {
    /// Peaks down to this count towards the average precision.
    static let threshold = 0.02
    static let requestsPerScene = 3
    static let questionsPerScene = 2

    public let seed: UInt64
    public let scenes: Int

    /// - Parameters:
    ///   - seed: 900,000 and above for a final score; anything else to look on the way.
    ///   - scenes: how many, from index 0.
    public init(seed: UInt64 = MosaicSeeds.scoringStart, scenes: Int = 500) {
        self.seed = seed
        self.scenes = scenes
    }

    /// The figures; shares are of 1.
    public struct Report: Codable, Sendable {
        public var seed: UInt64
        public var scenes: Int
        /// Detection by class name.
        public var ap: Double
        public var ap50: Double
        public var ap75: Double
        /// Counting by class name: the mean absolute error, and the share that is exact, over the names that occur.
        public var countError: Double
        public var countExact: Double
        /// Requests that the model sent to the right decoder.
        public var route: Double
        public var requests: Int
        /// Referred things whose box overlaps by half or more.
        public var grounding: Double
        public var groundingRequests: Int
        /// Answers that are a sentence of the expected form.
        public var wellFormed: Double
        public var answers: Int
        /// Questions answered to the word, by kind and in all.
        public var questions: [String: Double]
        public var questionAccuracy: Double
    }

    private struct Share {
        var right = 0
        var all = 0
        mutating func count(_ isRight: Bool) {
            right += isRight ? 1 : 0
            all += 1
        }
        var value: Double { all == 0 ? 0 : Double(right) / Double(all) }
    }

    /// Scores the model in a folder.
    ///
    /// - Parameters:
    ///   - model: a model's folder.
    ///   - progress: called after each scene with how many are done.
    public func run(model: String, progress: (Int) -> Void = { _ in }) async throws -> Report {
        let all = try Engine(model: model, locator: Locator(threshold: Self.threshold))
        let names = MosaicScene.classNames
        var predictions: [AveragePrecision.Prediction] = []
        var truth: [AveragePrecision.Truth] = []
        var (route, grounding, formed) = (Share(), Share(), Share())
        var questions: [String: Share] = [:]
        var (countError, exact) = (0, Share())
        for index in 0..<scenes {
            let scene = MosaicScene(seed: seed, index: index)
            var random = SceneRandom(seed: seed, index: index, stream: 4)
            let picture = await all.open(scene.image)
            for (category, location) in try await all.locate(names, in: picture).enumerated() {
                predictions += location.detections.map {
                    .init(image: index, category: category, box: $0.box, score: $0.score)
                }
                let here = scene.objects.filter { $0.kind.rawValue == category }
                truth += here.map { .init(image: index, category: category, box: $0.box) }
                if !here.isEmpty {
                    let counted = location.detections.filter { $0.score >= Locator().threshold }.count
                    countError += abs(counted - here.count)
                    exact.count(counted == here.count)
                }
            }
            for number in 0..<Self.requestsPerScene {
                let (request, target) = Self.request(scene, number, &random)
                let answer = try await all.ask(request.text, about: picture)
                route.count(answer.route == request.route)
                formed.count(answer.route.map { answer.text == Prompt.plainLocationAnswer($0) } ?? false)
                if let target {
                    let best = answer.detections.first?.box.iou(scene.objects[target].box) ?? 0
                    grounding.count(best >= 0.5)
                }
            }
            for number in 0..<Self.questionsPerScene {
                let kinds = MosaicQuestion.Kind.allCases
                let kind = kinds[(index * Self.questionsPerScene + number) % kinds.count]
                guard let question = scene.question(kind: kind, using: &random) else { continue }
                let answer = try await all.ask(question.text, about: picture)
                formed.count(Self.isSentence(answer.text))
                questions[kind.rawValue, default: Share()].count(answer.text == question.answer)
            }
            progress(index + 1)
        }
        let precision = AveragePrecision(predictions, truth: truth)
        let total = questions.values.reduce(into: Share()) {
            $0.right += $1.right
            $0.all += $1.all
        }
        return Report(
            seed: seed, scenes: scenes, ap: precision.ap ?? 0, ap50: precision.ap50 ?? 0,
            ap75: precision.ap75 ?? 0,
            countError: Double(countError) / Double(max(exact.all, 1)), countExact: exact.value,
            route: route.value,
            requests: route.all, grounding: grounding.value, groundingRequests: grounding.all,
            wellFormed: formed.value, answers: formed.all, questions: questions.mapValues(\.value),
            questionAccuracy: total.value)
    }

    /// The scene's `number`-th request, in free words but for the last, and the one object it means, if it means one.
    private static func request(
        _ scene: MosaicScene, _ number: Int, _ random: inout SceneRandom
    ) -> (LocateRequest, target: Int?) {
        let response = random.element(of: LocateResponse.allCases)
        let isFree = number < requestsPerScene - 1
        if number == 0, let reference = scene.referringExpression(kind: nil, using: &random) {
            return (LocateRequest(expression: reference.text, response, using: &random), reference.target)
        }
        let description = scene.detectionPhrase(negativeRate: 0.2, using: &random).description
        return isFree
            ? (
                LocateRequest(
                    singular: description.phrase, plural: description.plural, response, using: &random), nil
            )
            : (LocateRequest(canonical: description.phrase, response), nil)
    }

    private static func isSentence(_ text: String) -> Bool {
        (text.first?.isUppercase ?? false) && text.hasSuffix(".") && !text.contains("[")
            && !text.contains("<")
    }
}
