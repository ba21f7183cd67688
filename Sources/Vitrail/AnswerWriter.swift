package import Text

/// What an ``AnswerWriter`` writes with: a language model, and the specialists that it calls.
package protocol AnswerModel {
    associatedtype State

    /// Reads more of the conversation.
    ///
    /// - Returns: the most likely next token, and the hidden state at the last one read.
    func read(_ tokens: [Int]) throws -> (next: Int, state: State)

    /// What a decoder finds for the hidden states at some [LOC]; one finding a state.
    func find(_ states: [State], _ route: Route) throws -> [Finding]
}

/// Writes an answer token by token, greedily, and reads the specialists' findings back into it.
///
/// The state at a [LOC] goes to the decoder that the next routing token names, at once. After `[COUNT]` the writer puts
/// in how many there are; after the full stop of any other location answer for which nothing was found, that there is
/// none, and the model goes on with what. A model that says nothing has not understood, and the writer says that.
package struct AnswerWriter {
    let tokenizer: Tokenizer
    let tokens: SpecialTokens
    /// Tokens of an answer at most.
    let tokenLimit: Int
    /// [LOC] of an answer at most.
    let locationLimit: Int

    package init(_ tokenizer: Tokenizer, _ tokens: SpecialTokens, tokenLimit: Int, locationLimit: Int) {
        self.tokenizer = tokenizer
        self.tokens = tokens
        self.tokenLimit = tokenLimit
        self.locationLimit = locationLimit
    }

    /// Writes until the end token, or until a limit.
    package func write<Model: AnswerModel>(
        after prompt: [Int], with model: Model
    ) throws -> (transcript: Transcript, findings: [Finding]) {
        var transcript = Transcript(tokenizer)
        var findings: [Finding] = []
        var next = prompt
        var pending: [Model.State] = []
        var locations = 0
        // Nothing was found for the sentence that is being written.
        var isInVain = false
        while transcript.ids.count < tokenLimit {
            let (token, state) = try model.read(next)
            if transcript.ids.last == tokens.loc { pending.append(state) }
            if token == tokens.end { break }
            if token == tokens.loc {
                locations += 1
                if locations > locationLimit { break }
                transcript.beginLookup()
            }
            transcript.append(token)
            next = [token]
            if let route = tokens.routes[token], !pending.isEmpty {
                let found = try model.find(pending, route)
                let count = found.reduce(0) { $0 + $1.count }
                pending = []
                findings += found
                isInVain = route != .count && count == 0
                if route == .count {
                    next += transcript.insert(Prompt.counted(count))
                    transcript.hideLookup()
                } else if !isInVain {
                    transcript.keepLookup()
                }
            } else if isInVain, tokenizer.decode([token]).contains(".") {
                isInVain = false
                transcript.hideLookup()
                next += transcript.insert(Prompt.nothing)
            }
        }
        if transcript.ids.isEmpty { _ = transcript.insert(Prompt.unknown) }
        return (transcript, findings)
    }
}

/// An answer as it comes into being, and which of its sentences only look something up.
package struct Transcript {
    private let tokenizer: Tokenizer
    package private(set) var ids: [Int] = []
    private var hidden: [Range<Int>] = []
    /// Where the sentence began that looks something up.
    private var lookup: Int?

    package init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

    /// All of it.
    package var whole: String { tokenizer.decode(ids) }

    /// What there is to read: all of it but what is hidden, or, where that is nothing, all of it.
    package var visible: String {
        let shown = ids.indices.filter { index in !hidden.contains { $0.contains(index) } }
        let text = tokenizer.decode(shown.map { ids[$0] }).trimmed
        return text.isEmpty ? whole.trimmed : text
    }

    mutating func append(_ token: Int) { ids.append(token) }

    /// Puts text in.
    ///
    /// - Returns: its tokens.
    mutating func insert(_ text: String) -> [Int] {
        let tokens = tokenizer.encode(text)
        ids += tokens
        return tokens
    }

    /// A [LOC] comes next: what is looked up begins with the sentence that it stands in.
    mutating func beginLookup() {
        guard lookup == nil else { return }
        let floor = hidden.last?.upperBound ?? 0
        let stop = ids.indices.last {
            $0 >= floor && tokenizer.decode([ids[$0]]).contains { ".?!".contains($0) }
        }
        lookup = stop.map { $0 + 1 } ?? floor
    }

    /// Something was found: the sentence stays.
    mutating func keepLookup() { lookup = nil }

    /// What was looked up, up to here, was for the program alone.
    mutating func hideLookup() {
        guard let start = lookup else { return }
        hidden.append(start..<ids.count)
        lookup = nil
    }
}

extension String {
    fileprivate var trimmed: String {
        let start = firstIndex { !$0.isWhitespace } ?? endIndex
        let end = lastIndex { !$0.isWhitespace }.map(index(after:)) ?? endIndex
        return start < end ? String(self[start..<end]) : ""
    }
}
