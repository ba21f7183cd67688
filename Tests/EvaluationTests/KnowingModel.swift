import Datasets
import Evaluation
import Media
import Text

/// Knows the truth of the scenes that it is shown in order, some of them perhaps to others, and answers with it, as well as it is told to.
actor KnowingModel: BenchmarkModel {
    private let seed: UInt64
    private let configuration: MosaicConfiguration
    /// Pixels by which every box is off.
    private let offset: Double
    private let isMute: Bool
    /// What it waits for before it looks at a scene.
    private let pause: Duration
    /// Scenes that it looks at before it fails.
    private let failsAfter: Int
    private var scene: MosaicScene?
    private var next = 0
    private var looked = 0

    struct Failure: Error {}

    init(
        seed: UInt64, configuration: MosaicConfiguration, offset: Double = 0, isMute: Bool = false,
        pause: Duration = .zero, failsAfter: Int = .max
    ) {
        self.seed = seed
        self.configuration = configuration
        self.offset = offset
        self.isMute = isMute
        self.pause = pause
        self.failsAfter = failsAfter
    }

    func look(at image: Image) async throws {
        guard looked < failsAfter else { throw Failure() }
        looked += 1
        if pause > .zero { try await Task.sleep(for: pause) }
        repeat {
            precondition(next < 100)
            scene = MosaicScene(seed: seed, index: next, configuration: configuration)
            next += 1
        } while scene?.image != image
    }

    func find(_ phrases: [String], as response: LocateResponse) -> [[FoundThing]] {
        phrases.map { matches(of: $0).map { thing($0, response) } }
    }

    func count(_ phrases: [String]) -> [Int] { phrases.map { matches(of: $0).count + (isMute ? 1 : 0) } }

    func answer(_ request: String) -> BenchmarkAnswer {
        guard !isMute else { return BenchmarkAnswer(text: "") }
        let requests = MosaicRequests(scene!)
        for sentence in requests.questions.map(\.sentence) + [requests.caption] where sentence.text == request
        {
            return BenchmarkAnswer(text: sentence.answer)
        }
        let place = (requests.routes + requests.absences).first { $0.text == request }!
        return BenchmarkAnswer(
            text: place.answer, routes: [place.route], found: place.matches.map { thing($0, .boxes) })
    }

    private func matches(of phrase: String) -> [Int] {
        let scene = scene!
        if let kind = MosaicKind.allCases.first(where: { $0.name == phrase }) {
            return scene.matches(of: MosaicDescription(kind: kind))
        }
        let requests = MosaicRequests(scene)
        if let reference = requests.referring.first(where: { $0.text == phrase }) {
            return [reference.target]
        }
        return (requests.phrases + requests.counts).first { $0.text == phrase }!.matches
    }

    private func thing(_ index: Int, _ response: LocateResponse) -> FoundThing {
        let object = scene!.objects[index]
        var box = object.box
        box.x += offset
        return FoundThing(
            box: box, score: 0.9, mask: response == .masks ? scene!.mask(of: index) : nil,
            keypoints: response == .keypoints ? object.keypoints : nil)
    }
}
