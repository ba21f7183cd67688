// Generation of text. Matches transformers 4.57, generation/logits_process.py and `GenerationMixin._sample`: the same
// processors in the same order, and the same draws from a seed on the CPU; proven by LanguageTests/GenerationTests.
public import Torch

/// How the next token is chosen, and when a text ends.
public struct GenerationOptions: Sendable, Hashable {
    /// The most tokens.
    public var maxTokens: Int
    /// Scores are divided by it before a token is drawn. 0 takes the best token and ignores the settings below.
    public var temperature: Double
    /// Tokens are drawn only from this many of the best; nil for all.
    public var topK: Int?
    /// Tokens are drawn only from the best that together have this probability; nil or 1 for all.
    public var topP: Double?
    /// Scores of tokens that the prompt or the text holds are divided by it, or multiplied if they are below 0.
    public var repetitionPenalty: Double
    /// The seed of the draws.
    public var seed: UInt64
    /// Tokens that end the text.
    public var endTokens: Set<Int>

    public init(
        maxTokens: Int = 512, temperature: Double = 0, topK: Int? = nil, topP: Double? = nil,
        repetitionPenalty: Double = 1, seed: UInt64 = 0, endTokens: Set<Int> = []
    ) {
        self.maxTokens = maxTokens
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.repetitionPenalty = repetitionPenalty
        self.seed = seed
        self.endTokens = endTokens
    }

    /// - Throws: ``LanguageError/badOption(_:)`` for a number out of its bounds.
    public func check() throws {
        func require(_ holds: Bool, _ rule: String) throws {
            if !holds { throw LanguageError.badOption(rule) }
        }
        try require(maxTokens >= 1, "the largest number of tokens is \(maxTokens), at least 1 is needed")
        // Scores divided by less are beyond float32.
        try require(
            temperature == 0 || (1e-6...1e6).contains(temperature),
            "the temperature is \(temperature), 0 or 0.000001 to 1000000 is possible")
        try require(topK ?? 1 >= 1, "top-k is \(topK ?? 1), at least 1 is needed")
        try require((topP ?? 1) > 0 && (topP ?? 1) <= 1, "top-p is \(topP ?? 1), above 0 to 1 is possible")
        try require(
            (1e-3...1e3).contains(repetitionPenalty),
            "the repetition penalty is \(repetitionPenalty), 0.001 to 1000 is possible")
    }
}

/// Chooses tokens from scores.
public struct TokenChooser {
    private let options: GenerationOptions
    private let generator: Generator
    /// The tokens with a repetition penalty: those of the prompt and of the text, each once.
    private var seen: Set<Int>

    /// - Throws: ``LanguageError/badOption(_:)``.
    public init(_ options: GenerationOptions, prompt: [Int]) throws {
        try options.check()
        self.options = options
        generator = try Generator(seed: options.seed)
        seen = Set(prompt)
    }

    /// The scores [vocabulary], float32, from which a token is drawn; -infinity for excluded tokens.
    public func processed(_ logits: Tensor) throws -> Tensor {
        var scores = try logits.to(.float32)
        if options.repetitionPenalty != 1, !seen.isEmpty {
            // The placeholder of an image may lie outside of the vocabulary.
            let ids = try Tensor(seen.filter { (0..<scores.count).contains($0) }.sorted()).to(scores.device)
            let found = try scores.indexSelected(0, ids)
            let penalised = try Tensor.where(
                found .< 0, found * options.repetitionPenalty, found / options.repetitionPenalty)
            scores = try scores.scattered(0, ids, penalised)
        }
        guard options.temperature > 0 else { return scores }
        if options.temperature != 1 { scores = try scores / options.temperature }
        if let k = options.topK, k < scores.count {
            let last = try scores.topK(k).values[-1]
            scores = try scores.maskedFilled(scores .< last, -.infinity)
        }
        if let p = options.topP, p < 1 {
            let (values, order) = try scores.sorted(0)
            let isOut = try values.softmax(0).cumulativeSum(0) .<= (1 - p)
            // The best token stays, however small p is.
            try isOut.assign(0, at: -1)
            scores = try scores.maskedFilled(isOut.scattered(0, order, isOut), -.infinity)
        }
        return scores
    }

    /// Chooses the next token of a text from its scores [vocabulary].
    ///
    /// - Throws: ``LanguageError/notNumbers`` for NaN and infinite scores.
    public mutating func next(_ logits: Tensor) throws -> Int {
        // The largest is NaN where any is.
        guard try logits.max().item().isFinite else { throw LanguageError.notNumbers }
        let scores = try processed(logits)
        let id =
            try options.temperature == 0
            ? scores.argmax(0).intItem()
            : scores.softmax(0).to(.cpu).multinomial(1, generator: generator).intItem()
        seen.insert(id)
        return id
    }
}

/// Why a text ended.
public enum GenerationEnd: String, Sendable, Codable {
    /// The model wrote an end token.
    case endToken = "eos"
    /// The caller stopped, for example at a stop string.
    case stopped = "stop"
    /// The most tokens were reached.
    case length
    /// The model's context is full.
    case context
}

extension Llama {
    /// Continues a prompt token by token.
    ///
    /// - Parameters:
    ///   - prompt: input embeddings [1, n, hidden] of the prompt, or of its part that the cache does not hold yet.
    ///   - cache: what came before. Afterwards it holds everything but the last token.
    ///   - ids: all tokens of the prompt, for the repetition penalty.
    ///   - options: how to choose and when to end.
    ///   - onToken: sees every token but an end token, and says whether to go on.
    /// - Returns: the tokens, including an end token, and why generation ended.
    /// - Throws: `CancellationError` between two tokens when the task is cancelled;
    ///   ``LanguageError/tooLong(tokens:limit:)`` when the prompt leaves no room for a token.
    public func generate(
        after prompt: Tensor, _ cache: TextCache, ids: [Int], options: GenerationOptions,
        onToken: (Int) throws -> Bool = { _ in true }
    ) throws -> (tokens: [Int], end: GenerationEnd) {
        var chooser = try TokenChooser(options, prompt: ids)
        let limit = configuration.maxPositionEmbeddings
        try Task.checkCancellation()
        var state = try self(prompt, cache)[0, -1]
        var tokens: [Int] = []
        while true {
            try Task.checkCancellation()
            let id = try chooser.next(logits(state))
            tokens.append(id)
            if options.endTokens.contains(id) { return (tokens, .endToken) }
            guard try onToken(id) else { return (tokens, .stopped) }
            guard tokens.count < options.maxTokens else { return (tokens, .length) }
            guard cache.length < limit else { return (tokens, .context) }
            state = try self(wordEmbeddings([id]).unsqueezed(0), cache)[0, -1]
        }
    }
}
