import Encoders
import Foundation
import Language
public import Media
import Perception
public import Text
public import Torch

/// A picture of an ``Engine``, for any number of requests.
public struct Picture: Sendable {
    public let image: Image
    fileprivate let id: Int
}

/// Answers requests about pictures with one model.
///
/// A picture is encoded once, and the language model reads it once; every request after that costs its own few tokens.
public actor Engine {
    /// The number of pictures whose readings are kept. The least recently used one is dropped, and read again if
    /// needed.
    public static let rememberedPictures = 8
    /// The most tokens of the answer to a sentence.
    public static let answerLimit = 256
    /// The most [LOC] of the answer to a sentence.
    public static let locationLimit = 16
    /// The most phrases of one ``locate(_:in:as:by:)``.
    public static let phraseLimit = 10_000
    /// The most different phrases that run as one batch; more run in parts of ``partSize``.
    public static let batchLimit = 256
    /// The number of phrases in a part.
    public static let partSize = 64
    /// The tokens of the language model's context that a request must leave for an answer.
    fileprivate static let answerRoom = 24

    private let executor: EngineExecutor
    /// One thread, which only this engine uses.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// How answers are taken.
    public nonisolated let locator: Locator
    private let mind: Mind
    /// The model from before a fine-tuning, opened at the first request that is left to it.
    private var before: Before?
    private var opened = 0
    /// Pictures that were encoded so far; asking again about a remembered one adds none.
    public var encodedPictures: Int { mind.encodedPictures + (before?.mind?.encodedPictures ?? 0) }

    /// Opens a model folder; see ``embeddedModel()`` for the one that comes with the package.
    ///
    /// - Parameters:
    ///   - path: a folder with `model_index.json`.
    ///   - device: where to run.
    ///   - dtype: the dtype of matrix products and convolutions. On some processors bfloat16
    ///     is faster, on others slower (docs/benchmarks.md). Places then differ by parts of a pixel.
    ///   - locator: thresholds for answers; the folder's own when left out, see ``ModelFolder/locator``.
    /// - Throws: ``ModelError``, or another error whose description names the file.
    public init(
        model path: String, device: Device = .cpu, dtype: DType = .float32, locator: Locator? = nil
    ) throws {
        guard device.isAvailable else {
            throw ModelError.unsupported("the device \(device) is not available here")
        }
        let executor = EngineExecutor()
        let (mind, before) = try executor.sync {
            let folder = try ModelFolder(path)
            let before = try folder.before.map { earlier in
                let kinds: HybridViTConfiguration = try earlier.configuration(of: "image_encoder")
                return Before(
                    names: TunedNames(folder.classes ?? [], known: kinds.attributes[0]),
                    open: { try Mind(earlier, device, dtype, earlier.locator ?? Locator()) })
            }
            return (try Mind(folder, device, dtype, locator ?? folder.locator ?? Locator()), before)
        }
        self.executor = executor
        self.mind = mind
        self.before = before
        self.locator = mind.specialists.locator
    }

    /// The model that comes with the package.
    public init() throws { try self.init(model: Self.embeddedModel()) }

    /// Opens a picture. The model reads it at the first request.
    public func open(_ image: Image) -> Picture {
        opened += 1
        return Picture(image: image, id: opened)
    }

    /// Opens a picture file: PNG, JPEG, WebP, BMP, or the first picture of a GIF.
    ///
    /// - Throws: ``Media/MediaError`` that names the file.
    public func open(contentsOf path: String) throws -> Picture { open(try Image(contentsOf: path)) }

    /// Answers a request in free words. One sentence may hold several requests.
    ///
    /// A model with a closed vocabulary (``Locator/knownThreshold``) was trained on requests of one sentence. For such
    /// a model up to eight sentences are answered one by one, each within the limits of an answer. A sentence is not
    /// understood if most of its words are unknown, which means that they have no single token.
    ///
    /// - Throws: ``ModelError/badRequest(_:)`` for a request that is empty or too long,
    ///   ``ModelError/unsupported(_:)`` where masks are asked of a model without a segmenter.
    public func ask(_ request: String, about picture: Picture) throws -> Answer {
        try Prompt.check(request)
        let mind = try mind(for: request)
        let sentences =
            mind.specialists.locator.knownThreshold == nil ? [] : Prompt.sentences(of: request)
        guard sentences.count > 1 else { return try mind.answer(request, about: picture) }
        let answers = try sentences.map { try mind.answer($0, about: picture) }
        return Answer(
            request: request, text: answers.map(\.text).joined(separator: " "),
            transcript: answers.map(\.transcript).joined(separator: " "),
            findings: answers.flatMap(\.findings))
    }

    /// The model that answers a request: the one from before the fine-tuning if the request names nothing that this one was
    /// tuned to find.
    private func mind(for request: String) throws -> Mind {
        guard let before, !before.names.areMeant(by: request) else { return mind }
        return try self.before!.opened()
    }

    /// Answers one request about a picture.
    public func ask(_ request: String, about image: Image) throws -> Answer {
        try ask(request, about: open(image))
    }

    /// Finds what each phrase names. All phrases run as one batch. More than ``batchLimit`` run in parts, with the same
    /// results and less memory.
    ///
    /// - Parameters:
    ///   - phrases: such as `red circle` for all red circles, or `the largest star` for one thing.
    ///   - picture: where to look.
    ///   - response: what to answer with. Every answer has boxes, points and scores; `.masks` adds masks, `.keypoints`
    ///     the joints of people. `.count` uses another threshold, ``Locator/countThreshold``.
    ///   - locator: thresholds in place of the engine's.
    /// - Returns: one location for each phrase, in their order.
    /// - Throws: ``ModelError/badRequest(_:)`` for phrases that are empty, too long, or more than ``phraseLimit``,
    ///   ``ModelError/unsupported(_:)`` where masks are asked of a model without a segmenter.
    public func locate(
        _ phrases: [String], in picture: Picture, as response: LocateResponse = .boxes,
        by locator: Locator? = nil
    ) throws -> [Location] {
        guard !phrases.isEmpty, phrases.count <= Self.phraseLimit else {
            throw ModelError.badRequest(
                "\(phrases.count) phrases were given, 1 to \(Self.phraseLimit) are taken at once")
        }
        for phrase in phrases { try Prompt.check(phrase) }
        // A repeated phrase is asked once.
        var places: [String: Int] = [:]
        let distinct = phrases.filter { phrase in
            guard places[phrase] == nil else { return false }
            places[phrase] = places.count
            return true
        }
        let minds = try distinct.map { try mind(for: $0) }
        var found: [String: Location] = [:]
        for answering in [mind, before?.mind].compactMap(\.self) {
            let own = zip(distinct, minds).filter { $0.1 === answering }.map(\.0)
            let parts = own.count <= Self.batchLimit ? [own] : own.parts(of: Self.partSize)
            let limits =
                answering === mind ? locator : locator.map(answering.specialists.locator.limited(as:))
            for part in parts where !part.isEmpty {
                try answering.specialists.check(response)
                let locations = try answering.locations(part, in: picture, as: response, by: limits)
                for (phrase, location) in zip(part, locations) { found[phrase] = location }
            }
        }
        return phrases.map { found[$0]! }
    }
}

/// The model from before a fine-tuning.
private struct Before {
    let names: TunedNames
    let open: () throws -> Mind
    private(set) var mind: Mind?

    init(names: TunedNames, open: @escaping () throws -> Mind) {
        self.names = names
        self.open = open
    }

    mutating func opened() throws -> Mind {
        if let mind { return mind }
        let mind = try open()
        self.mind = mind
        return mind
    }
}

/// A model with what it read of the last pictures.
private final class Mind {
    let specialists: Specialists
    private let model: Lumen
    private var readings: [(id: Int, reading: Reading)] = []
    private(set) var encodedPictures = 0

    init(_ folder: ModelFolder, _ device: Device, _ dtype: DType, _ locator: Locator) throws {
        model = try Lumen(contentsOf: folder, device: device, dtype: dtype, isFixed: true)
        specialists = Specialists(
            model: model, locator: locator,
            segmenter: folder.parts["segmenter"] == nil
                ? nil : try Segmenter(contentsOf: folder.path, device: device, dtype: dtype))
    }

    func answer(_ request: String, about picture: Picture) throws -> Answer {
        let words = model.tokenizer.words(of: request)
        // Another language, or none: the model would answer something or other.
        if specialists.locator.knownThreshold != nil, 2 * words.strange.count > words.all.count {
            return Answer(
                request: request, text: Prompt.unknown, transcript: Prompt.unknown, findings: [])
        }
        let prompt = model.tokenizer.encode(model.form.question(request))
        return try withInference {
            let reading = try reading(of: picture)
            let context = model.configuration.language.maxPositionEmbeddings
            let room = context - reading.prefix.length - prompt.count
            guard room >= Engine.answerRoom else {
                throw ModelError.badRequest(
                    "the request has \(prompt.count) tokens, which with the picture's \(reading.prefix.length) and \(Engine.answerRoom) for an answer is over the model's limit of \(context)"
                )
            }
            // What is put in after the last token that is let through must fit as well.
            let writer = AnswerWriter(
                model.tokenizer, model.tokens,
                tokenLimit: min(Engine.answerLimit, room - Engine.answerRoom / 2),
                locationLimit: Engine.locationLimit)
            let speaker = Speaker(specialists, reading, isStrange: !words.strange.isEmpty)
            let (transcript, findings) = try writer.write(after: prompt, with: speaker)
            return Answer(
                request: request, text: transcript.visible, transcript: transcript.whole, findings: findings)
        }
    }

    private func reading(of picture: Picture) throws -> Reading {
        if let index = readings.firstIndex(where: { $0.id == picture.id }) {
            let entry = readings.remove(at: index)
            readings.append(entry)
            return entry.reading
        }
        let reading = try Reading(picture.image, with: model)
        encodedPictures += 1
        if readings.count >= Engine.rememberedPictures { readings.removeFirst() }
        readings.append((picture.id, reading))
        return reading
    }

    func locations(
        _ phrases: [String], in picture: Picture, as response: LocateResponse, by locator: Locator?
    ) throws -> [Location] {
        try withInference {
            let reading = try reading(of: picture)
            let (found, isKnown, maps) = try specialists.find(phrases, as: response, in: reading, by: locator)
            let heatmaps = try Heatmap.all(maps, in: reading.frame)
            return phrases.indices.map {
                Location(
                    phrase: phrases[$0], detections: found[$0], heatmap: heatmaps[$0], isKnown: isKnown[$0])
            }
        }
    }
}

/// The language model in one conversation about one picture.
private final class Speaker: AnswerModel {
    private let specialists: Specialists
    private let reading: Reading
    private let past: TextCache
    /// Whether the request has a word of several tokens.
    private let isStrange: Bool
    private var conversation: [Int] = []

    init(_ specialists: Specialists, _ reading: Reading, isStrange: Bool) {
        self.specialists = specialists
        self.reading = reading
        self.isStrange = isStrange
        past = TextCache(layers: specialists.model.configuration.language.numHiddenLayers)
    }

    func read(_ tokens: [Int]) throws -> (next: Int, state: Tensor) {
        let model = specialists.model
        conversation += tokens
        let ids = try Tensor(tokens, [1, 1, tokens.count]).to(model.device)
        let hidden = try model.language.text(ids, after: reading.prefix, past: past)[0, 0, -1]
        let logits = try model.language.logits(hidden)
        // The largest is NaN where any is.
        guard try logits.max().item().isFinite else { throw LanguageError.notNumbers }
        return (try logits.argmax(0).intItem(), hidden)
    }

    func find(_ states: [Tensor], _ route: Route) throws -> [Finding] {
        let maps = try reading.align(Tensor.stack(states).unsqueezed(0), with: specialists.model)
        let (found, isKnown) = try specialists.decode(
            maps, as: route.response, areSingle: states.map { _ in route.isSingle },
            areStrange: states.map { _ in isStrange }, in: reading)
        let heatmaps = try Heatmap.all(maps, in: reading.frame)
        return found.indices.map {
            Finding(
                route: route, detections: found[$0], heatmap: heatmaps[$0], isKnown: isKnown[$0])
        }
    }

    func objection() throws -> String? { try specialists.objection(to: conversation, in: reading) }

    func isThere(_ name: String) throws -> Bool {
        try !specialists.find([name], as: .points, in: reading).found[0].isEmpty
    }
}
