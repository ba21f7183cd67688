public import Media
public import Text
public import Torch
import Vitrail

/// A model's folder as the benchmark asks it.
public actor EngineModel: BenchmarkModel {
    private let engine: Engine
    /// The model's own, for what counts towards average precision: peaks down to 0.05, and of a picture's things COCO's best
    /// hundred, or as many as the model finds in one heatmap.
    private let generous: Locator
    private var picture: Picture?

    /// - Parameters:
    ///   - path: a model's folder.
    ///   - peaks: how many of a heatmap count at most, LUMEN's K; the model's own when left out.
    ///   - device: where to run.
    ///   - dtype: what to multiply in.
    /// - Throws: what ``Vitrail/Engine`` throws when a model cannot be opened.
    public init(
        model path: String, peaks: Int? = nil, device: Device = .cpu, dtype: DType = .float32
    ) throws {
        var locator = try ModelFolder(path).locator ?? Locator()
        if let peaks { locator.maximumPeaks = peaks }
        engine = try Engine(model: path, device: device, dtype: dtype, locator: locator)
        locator.threshold = 0.05
        locator.maximumDetections = max(100, locator.maximumPeaks)
        generous = locator
    }

    public func look(at image: Image) async { picture = await engine.open(image) }

    public func find(_ phrases: [String], as response: LocateResponse) async throws -> [[FoundThing]] {
        try await engine.locate(phrases, in: picture!, as: response, by: generous).map { location in
            location.detections.map { response == .keypoints ? Self.figure($0) : Self.thing($0) }
        }
    }

    public func count(_ phrases: [String]) async throws -> [Int] {
        try await engine.locate(phrases, in: picture!, as: .count).map(\.count)
    }

    public func answer(_ request: String) async throws -> BenchmarkAnswer {
        do {
            let answer = try await engine.ask(request, about: picture!)
            return BenchmarkAnswer(
                text: answer.text, routes: answer.findings.map(\.route),
                found: answer.findings.flatMap { $0.detections.map(Self.thing) })
        } catch ModelError.unsupported {
            // It answers with masks and has no segmenter.
            return BenchmarkAnswer(text: "", routes: [], found: [])
        }
    }

    private static func thing(_ detection: Detection) -> FoundThing {
        FoundThing(
            box: detection.box, score: detection.score, mask: detection.mask, keypoints: detection.keypoints)
    }

    /// A figure's score is how surely it is there times how surely its joints are, the mean of theirs, as pose networks are
    /// scored on COCO.
    private static func figure(_ detection: Detection) -> FoundThing {
        var figure = thing(detection)
        if let joints = figure.keypoints?.joints, !joints.isEmpty {
            figure.score *= joints.reduce(0) { $0 + ($1.score ?? 1) } / Double(joints.count)
        }
        return figure
    }
}
