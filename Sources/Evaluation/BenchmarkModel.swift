public import Media
public import Text
import Vitrail

/// A thing that a model found.
public struct FoundThing: Sendable, Hashable {
    public var box: Box
    public var score: Double
    public var mask: Mask?
    public var keypoints: Keypoints?

    public init(box: Box, score: Double, mask: Mask? = nil, keypoints: Keypoints? = nil) {
        self.box = box
        self.score = score
        self.mask = mask
        self.keypoints = keypoints
    }
}

/// What a model said to a request.
public struct BenchmarkAnswer: Sendable, Hashable {
    /// What a user reads.
    public var text: String
    /// The decoders that it chose, in order.
    public var routes: [Route]
    public var found: [FoundThing]

    public init(text: String, routes: [Route] = [], found: [FoundThing] = []) {
        self.text = text
        self.routes = routes
        self.found = found
    }
}

/// What ``MosaicBenchmark`` asks: a model's engine, or anything else that answers about pictures.
public protocol BenchmarkModel: Sendable {
    /// Takes in the picture that all further requests are about.
    func look(at image: Image) async throws
    /// Finds what each phrase names, best first, down to a score that average precision wants.
    func find(_ phrases: [String], as response: LocateResponse) async throws -> [[FoundThing]]
    /// Counts what each phrase names.
    func count(_ phrases: [String]) async throws -> [Int]
    /// Answers a request in free words.
    func answer(_ request: String) async throws -> BenchmarkAnswer
}
