import Encoders
import Foundation
import Language
public import Media
import NN
import Perception
public import Text
public import Torch

/// A picture that an ``Engine`` was given; any number of requests can be made about it.
public struct Picture: Sendable {
    public let image: Image
    fileprivate let id: Int
}

/// Answers requests about pictures with one model.
///
/// A picture is encoded once, and the language model reads it once; every request after that costs its own few tokens.
public actor Engine {
    /// What the model knows of a picture.
    private struct Reading {
        let frame: PictureFrame
        let features: ImageFeatures
        let prefix: PrefixCache
    }

    /// Pictures whose readings are kept; the one not used for longest goes first, and is read again when needed.
    public static let rememberedPictures = 8
    /// Tokens of an answer at most.
    public static let answerLimit = 96
    /// Phrases of one ``locate(_:in:as:)`` at most.
    public static let phraseLimit = 256

    private let executor: EngineExecutor
    /// A thread of the engine's own.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let model: Lumen
    private let locator: Locator
    private var readings: [(id: Int, reading: Reading)] = []
    private var opened = 0
    /// Pictures that were encoded so far; asking again about a remembered one adds none.
    public private(set) var encodedPictures = 0

    /// Opens a model folder; see ``embeddedModel()`` for the one that comes with the package.
    ///
    /// - Parameters:
    ///   - path: a folder with `model_index.json`.
    ///   - device: where to run.
    ///   - dtype: what to compute in.
    ///   - locator: thresholds for what is answered.
    /// - Throws: ``ModelError``, or another error whose description names the file.
    public init(
        model path: String, device: Device = .cpu, dtype: DType = .float32, locator: Locator = Locator()
    ) throws {
        guard device.isAvailable else {
            throw ModelError.unsupported("the device \(device) is not available here")
        }
        let executor = EngineExecutor()
        model = try executor.sync { try Lumen(contentsOf: ModelFolder(path), device: device, dtype: dtype) }
        self.executor = executor
        self.locator = locator
    }

    /// The model that comes with the package.
    public init() throws { try self.init(model: Self.embeddedModel()) }

    /// Takes a picture in. The model reads it at the first request.
    public func open(_ image: Image) -> Picture {
        opened += 1
        return Picture(image: image, id: opened)
    }

    /// Takes a picture file in: PNG, JPEG, WebP, BMP, or the first picture of a GIF.
    ///
    /// - Throws: ``Media/MediaError`` that names the file.
    public func open(contentsOf path: String) throws -> Picture { open(try Image(contentsOf: path)) }

    /// Answers a request in free words.
    ///
    /// - Throws: ``ModelError/badRequest(_:)`` for a request that is empty or too long.
    public func ask(_ request: String, about picture: Picture) throws -> Answer {
        try Prompt.check(request)
        return try withInference {
            let reading = try reading(of: picture)
            let (ids, loc) = try generate(Prompt.question(request), after: reading.prefix)
            let text = model.tokenizer.decode(ids.filter { $0 != model.tokens.end })
            let route = ids.lazy.compactMap { [routes = model.tokens.routes] in routes[$0] }.first
            guard let loc else {
                return Answer(request: request, text: text, route: nil, detections: [], heatmap: nil)
            }
            let maps = try model.align(loc.view([1, 1, -1]), reading.features)
            var found = try locator.detections(maps, in: reading.frame)[0]
            if route?.isSingle == true { found = Array(found.prefix(1)) }
            return Answer(
                request: request, text: text, route: route, detections: found,
                heatmap: try reading.frame.heatmaps(maps)[0])
        }
    }

    /// Answers a request about a picture that is needed once.
    public func ask(_ request: String, about image: Image) throws -> Answer {
        try ask(request, about: open(image))
    }

    /// Finds what each phrase names; all phrases run as one batch.
    ///
    /// - Parameters:
    ///   - phrases: such as `red circle` for all of them, or `the largest star` for one.
    ///   - picture: where to look.
    ///   - response: what the model is told to answer with; the places found are the same.
    /// - Returns: one location a phrase, in their order.
    public func locate(
        _ phrases: [String], in picture: Picture, as response: LocateResponse = .boxes
    ) throws -> [Location] {
        guard !phrases.isEmpty, phrases.count <= Self.phraseLimit else {
            throw ModelError.badRequest(
                "\(phrases.count) phrases were given, 1 to \(Self.phraseLimit) are taken at once")
        }
        for phrase in phrases { try Prompt.check(phrase) }
        return try withInference {
            let reading = try reading(of: picture)
            let rows = phrases.map {
                model.tokenizer.encode(Prompt.question(response.request(for: $0)) + Prompt.located) + [
                    model.tokens.loc
                ]
            }
            // Padding stands after [LOC], where it changes nothing: no token sees those behind it.
            let length = rows.map(\.count).max()!
            let ids = rows.flatMap { $0 + Array(repeating: model.tokens.padding, count: length - $0.count) }
            let hidden = try model.language.text(
                Tensor(ids, [1, rows.count, length]).to(model.device), after: reading.prefix)
            let last = try Tensor(rows.enumerated().map { $0.offset * length + $0.element.count - 1 }).to(
                model.device)
            let loc = try hidden.view([rows.count * length, -1]).indexSelected(0, last).unsqueezed(0)
            let maps = try model.align(loc, reading.features)
            let found = try locator.detections(maps, in: reading.frame)
            let heatmaps = try reading.frame.heatmaps(maps)
            return phrases.indices.map { index in
                let isOne = Route.isSingle(phrases[index])
                return Location(
                    phrase: phrases[index], detections: isOne ? Array(found[index].prefix(1)) : found[index],
                    heatmap: heatmaps[index])
            }
        }
    }

    // MARK: Reading and answering

    private func reading(of picture: Picture) throws -> Reading {
        if let index = readings.firstIndex(where: { $0.id == picture.id }) {
            let entry = readings.remove(at: index)
            readings.append(entry)
            return entry.reading
        }
        let frame = PictureFrame(
            width: picture.image.width, height: picture.image.height, inputSize: model.encoder.imageSize)
        let features = try model.encode(frame.pixels(of: picture.image).to(model.device))
        encodedPictures += 1
        let reading = Reading(frame: frame, features: features, prefix: try model.prefix(features))
        if readings.count >= Self.rememberedPictures { readings.removeFirst() }
        readings.append((picture.id, reading))
        return reading
    }

    /// Greedy decoding until the end token; also the hidden state of the first [LOC] that the model writes.
    private func generate(_ prompt: String, after prefix: PrefixCache) throws -> (ids: [Int], loc: Tensor?) {
        let past = TextCache(layers: model.configuration.language.numHiddenLayers)
        var next = model.tokenizer.encode(prompt)
        var answer: [Int] = []
        var loc: Tensor?
        while answer.count < Self.answerLimit {
            let ids = try Tensor(next, [1, 1, next.count]).to(model.device)
            let hidden = try model.language.text(ids, after: prefix, past: past)[0, 0, -1]
            if answer.last == model.tokens.loc, loc == nil { loc = hidden }
            let token = try model.language.logits(hidden).argmax(0).intItem()
            answer.append(token)
            if token == model.tokens.end { break }
            next = [token]
        }
        return (answer, loc)
    }
}

extension Lumen {
    var device: Device { stores[0].store.device }
}

extension PictureFrame {
    /// The part of each query's heat that lies over the picture, at the input's resolution; one a query.
    func heatmaps(_ maps: AlignerMaps) throws -> [Heatmap] {
        let queries = maps.heat.size(1)
        let grid = try maps.heat.to(.float32).sigmoid().view([1, queries, maps.grid.height, maps.grid.width])
        let full = try interpolate(grid, to: (height: inputSize, width: inputSize), mode: .bilinear)
        let (w, h) = (fitted.width, fitted.height)
        return try (0..<queries).map {
            Heatmap(width: w, height: h, values: try full[0, $0, ..<h, ..<w].array(Float.self))
        }
    }
}
