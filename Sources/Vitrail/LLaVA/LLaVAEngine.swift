import Checkpoints
import Encoders
import Foundation
public import Language
public import Media
import NN
public import Text
public import Torch

/// A question for a LLaVA, and how to answer it.
public struct LLaVARequest: Sendable {
    /// What the model reads.
    public enum Prompt: Sendable {
        /// A conversation, which the folder's template turns into a prompt; its last message is the user's.
        case messages([ChatMessage])
        /// A literal prompt, with `<image>` in the place of the picture.
        case verbatim(String)
    }

    public var prompt: Prompt
    public var options: GenerationOptions
    /// Texts at which the answer ends; they are not part of it.
    public var stop: [String]

    public init(_ prompt: Prompt, options: GenerationOptions = .init(), stop: [String] = []) {
        self.prompt = prompt
        self.options = options
        self.stop = stop
    }

    /// One question.
    public init(_ question: String, options: GenerationOptions = .init(), stop: [String] = []) {
        self.init(.messages([.user(question, images: 1)]), options: options, stop: stop)
    }
}

/// What a LLaVA answered.
public struct LLaVAAnswer: Sendable {
    /// The answer, without special tokens and stop strings.
    public let text: String
    /// The generated ids, including an end token.
    public let tokens: [Int]
    public let end: GenerationEnd
    /// What the model read, with `<image>` in the place of the picture.
    public let prompt: String
    /// The number of tokens of the prompt, and how many of them are the picture's.
    public let promptTokens: Int
    public let imageTokens: Int
    /// How many of the prompt's tokens were kept from the previous request.
    public let reusedTokens: Int
}

/// Answers questions about pictures with a downloaded LLaVA.
///
/// A picture is encoded once. A prompt that begins as the previous one did, for example with the same picture, is read
/// only from where it differs.
public actor LLaVAEngine {
    /// The number of pictures whose embeddings are kept.
    public static let rememberedPictures = 4

    private let executor: EngineExecutor
    /// One thread, which only this engine uses.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    public nonisolated let configuration: LLaVAConfiguration
    public nonisolated let layout: CheckpointKind.Layout
    public nonisolated let tokenizer: Tokenizer
    public nonisolated let template: ChatTemplate
    /// What is computed in.
    public nonisolated let dtype: DType
    /// Tokens that end an answer, as the folder has them.
    public nonisolated let endTokens: Set<Int>
    /// The folder's own repetition penalty, 1 for none.
    public nonisolated let repetitionPenalty: Double
    /// Pictures that were encoded so far.
    public private(set) var encodedPictures = 0

    private let model: LLaVA
    private let processor: CLIPImageProcessor
    private var pictures: [(image: Image, embeddings: Tensor)] = []
    private var past: (image: Image, ids: [Int?], cache: TextCache)?

    /// Opens a LLaVA; see ``LLaVAFolder`` for what it can be.
    ///
    /// - Parameters:
    ///   - path: the folder.
    ///   - base: of a LoRA or a projector; looked for when nil.
    ///   - visionTower: the folder of the CLIP tower, for the original layout; looked for when nil.
    ///   - conversation: the name of a template in place of the folder's own.
    ///   - adaptation: how a LoRA is used.
    ///   - device: where to run.
    ///   - precision: what to compute in.
    /// - Throws: ``ModelError``, or another error whose description names the file.
    public init(
        model path: String, base: String? = nil, visionTower: String? = nil, conversation: String? = nil,
        adaptation: LLaVAFolder.Adaptation = .merged, device: Device = .cpu, precision: Precision = .auto
    ) throws {
        guard device.isAvailable else {
            throw ModelError.unsupported("the device \(device) is not available here")
        }
        let folder = try LLaVAFolder(path, base: base, visionTower: visionTower)
        let tokenizer = try Tokenizer(folder: folder.textFolder)
        template = try Self.template(of: folder, named: conversation)
        let dtype = precision.dtype(for: folder.base, on: device)
        try MemoryCheck.require(folder.base, as: dtype, on: device)
        let executor = EngineExecutor()
        model = try executor.sync {
            let store = try folder.store(adaptation, device: device, dtype: dtype)
            let model = try LLaVA(folder.configuration, store)
            try store.finish()
            return model
        }
        self.executor = executor
        self.tokenizer = tokenizer
        self.dtype = dtype
        configuration = folder.configuration
        layout = folder.layout
        processor = folder.processor
        endTokens = folder.endTokens
        repetitionPenalty = folder.repetitionPenalty
    }

    /// Answers a request about a picture.
    ///
    /// - Parameters:
    ///   - request: what to read and how to answer; if it has no end tokens, those of the folder apply.
    ///   - image: the picture.
    ///   - onText: gets the answer piece by piece while it is generated; no piece ends inside a character.
    /// - Throws: ``ModelError/badRequest(_:)`` for a prompt that is longer than the context or has no place for the
    ///   picture; `CancellationError` between two tokens when the task is cancelled.
    public func ask(
        _ request: LLaVARequest, about image: Image, onText: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> LLaVAAnswer {
        try request.options.check()
        let prompt = try text(of: request.prompt)
        let ids = try tokens(of: prompt)
        var options = request.options
        if options.endTokens.isEmpty { options.endTokens = endTokens }
        return try withInference {
            let embeddings = try embeddings(of: image)
            let (cache, known) = reusable(ids, image)
            // Until this is done, the cache does not match the ids.
            past = nil
            var writer = AnswerStream(tokenizer, stop: request.stop + templateStop(options), onText: onText)
            let before = ids[..<known].count { $0 == nil }
            let rest = try model.embeddings(of: ids[known...], embeddings[.all, before...])
            let (tokens, end) = try model.language.generate(
                after: rest, cache, ids: ids.map { $0 ?? configuration.imageToken ?? -1 }, options: options
            ) { writer.take($0) }
            // The last token was chosen, but the model has not read it.
            past = (image, ids + tokens.dropLast(), cache)
            return LLaVAAnswer(
                text: writer.finish(), tokens: tokens, end: end, prompt: prompt, promptTokens: ids.count,
                imageTokens: configuration.imageTokenCount, reusedTokens: known)
        }
    }

    /// The answer to a request, piece by piece. Ending the iteration ends the work.
    public nonisolated func stream(
        _ request: LLaVARequest, about image: Image
    ) -> AsyncThrowingStream<String, any Error> {
        AsyncThrowingStream { continuation in
            let task = Task {
                do {
                    _ = try await ask(request, about: image) { continuation.yield($0) }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    // MARK: Prompts

    /// The template with the given name, else the folder's own, else the one that its layout was trained with.
    package static func template(of folder: LLaVAFolder, named name: String?) throws -> ChatTemplate {
        if let name { return try ChatTemplate(named: name) }
        if let own = try ChatTemplate(folder: folder.textFolder) { return own }
        return try ChatTemplate(named: folder.layout == .huggingFace ? "llava_hf" : "vicuna_v1")
    }

    private func text(of prompt: LLaVARequest.Prompt) throws -> String {
        switch prompt {
        case .verbatim(let text): return text
        case .messages(let messages):
            let text = template.prompt(messages)
            let marked = "<im_start>\(ChatTemplate.image)<im_end>"
            return configuration.marksImage
                ? text.replacingOccurrences(of: ChatTemplate.image, with: marked) : text
        }
    }

    /// If the template ends an answer with a text that is no end token, such as `###`, that text is a stop string.
    private func templateStop(_ options: GenerationOptions) -> [String] {
        tokenizer.id(of: template.stop).map(options.endTokens.contains) == true ? [] : [template.stop]
    }

    /// The ids of a prompt, nil for each token of the picture.
    private func tokens(of prompt: String) throws -> [Int?] {
        let pieces = prompt.components(separatedBy: ChatTemplate.image)
        guard pieces.count == 2 else {
            throw ModelError.badRequest(
                "the prompt holds \(ChatTemplate.image) \(pieces.count - 1) times, it must stand there once")
        }
        let addsStart = !template.beginsText
        let picture = [Int?](repeating: nil, count: configuration.imageTokenCount)
        let ids: [Int?]
        if layout == .huggingFace, let placeholder = tokenizer.id(of: ChatTemplate.image) {
            ids = tokenizer.encode(prompt, addSpecialTokens: addsStart)
                .flatMap { $0 == placeholder ? picture : [$0] }
        } else {
            // As LLaVA's own code does: each side by itself.
            ids =
                tokenizer.encode(pieces[0], addSpecialTokens: addsStart) + picture
                + tokenizer.encode(pieces[1], addSpecialTokens: false)
        }
        let limit = configuration.language.maxPositionEmbeddings
        guard ids.count <= limit else {
            throw ModelError.badRequest(
                "the prompt has \(ids.count) tokens, \(picture.count) of them the picture's, which is over the model's limit of \(limit)"
            )
        }
        // A tokenizer may have tokens that no prompt of the model's holds.
        let vocabulary = configuration.language.vocabSize
        if let id = ids.compactMap({ $0 }).first(where: { $0 >= vocabulary }) {
            throw ModelError.badRequest(
                "the prompt holds \(tokenizer.token(of: id) ?? ""), token \(id), and the model has \(vocabulary) tokens"
            )
        }
        return ids
    }

    // MARK: The cache

    private func embeddings(of image: Image) throws -> Tensor {
        if let index = pictures.firstIndex(where: { $0.image == image }) {
            let entry = pictures.remove(at: index)
            pictures.append(entry)
            return entry.embeddings
        }
        let (pixels, side) = (try processor(image), configuration.vision.imageSize)
        guard pixels.size(2) == side, pixels.size(3) == side else {
            throw ModelError.badRequest(
                "the folder's image processor makes \(pixels.size(3)) x \(pixels.size(2)) pixels of a picture of \(image.width) x \(image.height), the vision tower takes \(side) x \(side)"
            )
        }
        let embeddings = try model.imageEmbeddings(pixels)
        encodedPictures += 1
        if pictures.count >= Self.rememberedPictures { pictures.removeFirst() }
        pictures.append((image, embeddings))
        return embeddings
    }

    /// A cache with the beginning of a prompt, and the number of its tokens. At least one token is left to read.
    private func reusable(_ ids: [Int?], _ image: Image) -> (TextCache, Int) {
        guard let past else { return (TextCache(layers: configuration.language.numHiddenLayers), 0) }
        var known = zip(past.ids, ids).prefix { $0 == $1 }.count
        if past.image != image { known = min(known, ids.firstIndex { $0 == nil } ?? known) }
        known = min(known, ids.count - 1)
        past.cache.truncate(to: known)
        return (past.cache, known)
    }
}

/// Turns tokens into the text of an answer, which ends at a stop string.
private struct AnswerStream {
    private var decoder: StreamingDecoder
    private var stop: StopStrings
    private let onText: (String) -> Void
    private var text = ""

    init(_ tokenizer: Tokenizer, stop: [String], onText: @escaping (String) -> Void) {
        decoder = StreamingDecoder(tokenizer, skipSpecialTokens: true)
        self.stop = StopStrings(stop)
        self.onText = onText
    }

    /// - Returns: whether to go on.
    mutating func take(_ token: Int) -> Bool {
        give(stop.feed(decoder.feed(token)))
        return !stop.isStopped
    }

    /// The whole text.
    mutating func finish() -> String {
        if !stop.isStopped { give(stop.feed(decoder.finish())) }
        give(stop.finish())
        return text
    }

    private mutating func give(_ piece: String) {
        guard !piece.isEmpty else { return }
        text += piece
        onText(piece)
    }
}
