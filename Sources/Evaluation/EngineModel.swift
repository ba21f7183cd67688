public import Media
public import Text
import Vitrail

/// A model's folder as the benchmark asks it.
public actor EngineModel: BenchmarkModel {
    /// Peaks down to this count towards average precision.
    static let leastScore = 0.05

    /// For average precision: answers with everything down to ``leastScore``.
    private let generous: Engine
    /// As users have it.
    private let usual: Engine
    private var pictures: (generous: Picture, usual: Picture)?

    /// - Parameter path: a model's folder.
    /// - Throws: what ``Vitrail/Engine`` throws when a model cannot be opened.
    public init(model path: String) throws {
        generous = try Engine(model: path, locator: Locator(threshold: Self.leastScore))
        usual = try Engine(model: path)
    }

    public func look(at image: Image) async {
        pictures = (await generous.open(image), await usual.open(image))
    }

    public func find(_ phrases: [String], as response: LocateResponse) async throws -> [[FoundThing]] {
        try await generous.locate(phrases, in: pictures!.generous, as: response).map { location in
            location.detections.map(Self.thing)
        }
    }

    public func count(_ phrases: [String]) async throws -> [Int] {
        try await usual.locate(phrases, in: pictures!.usual, as: .count).map(\.count)
    }

    public func answer(_ request: String) async throws -> BenchmarkAnswer {
        let answer = try await usual.ask(request, about: pictures!.usual)
        return BenchmarkAnswer(
            text: answer.text, routes: answer.findings.map(\.route),
            found: answer.findings.flatMap { $0.detections.map(Self.thing) })
    }

    private static func thing(_ detection: Detection) -> FoundThing {
        FoundThing(
            box: detection.box, score: detection.score, mask: detection.mask, keypoints: detection.keypoints)
    }
}
