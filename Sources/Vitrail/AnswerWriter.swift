import Foundation
package import Text

/// What an ``AnswerWriter`` needs: a language model, and the decoders behind the aligner.
package protocol AnswerModel {
    associatedtype State

    /// Reads more of the conversation.
    ///
    /// - Returns: the most likely next token, and the hidden state at the last one read.
    func read(_ tokens: [Int]) throws -> (next: Int, state: State)

    /// What a decoder finds for the hidden states at some [LOC]; one finding for each state.
    func find(_ states: [State], _ route: Route) throws -> [Finding]

    /// Called before the word that answers a question about a thing ("red"): the sentence that denies the thing ("There
    /// is no heart."), or nil if the thing is in the picture.
    func objection() throws -> String?

    /// Whether a search for the name alone finds something.
    func isThere(_ name: String) throws -> Bool
}

/// Writes an answer token by token, greedily, and reads the specialists' findings back into it.
///
/// As soon as the model writes a routing token, the states at the [LOC] before it go to that token's decoder. Then the
/// writer may add text that the model reads as its own:
/// - After `[COUNT]`: the number of things found.
/// - After a location answer that found nothing: " There is no", and the model completes the sentence.
///
/// Some sentences of the model are replaced:
/// - It does not know what was asked for: "I do not know what that is."
/// - It describes a thing that is not there: "There is no heart."
/// - It completes "There is no" with the name of a thing that is there, or with nothing: "There is nothing like that."
///
/// A model that writes nothing has not understood, and the answer says so. The writer stops a model that writes a
/// routing token without a [LOC], or a sentence without an end, and leaves the unfinished sentence out.
package struct AnswerWriter {
    let tokenizer: Tokenizer
    let tokens: SpecialTokens
    /// The most tokens of an answer.
    let tokenLimit: Int
    /// The most [LOC] of an answer.
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
        // Whether the current sentence looked for something and found nothing.
        var isInVain = false
        var isKnown = true
        // A sentence that denies something, or that another one replaces when it ends.
        var denial: (start: Int, other: String?)?
        var isLost = true
        while transcript.ids.count < tokenLimit {
            let (token, state) = try model.read(next)
            if transcript.ids.last == tokens.loc { pending.append(state) }
            if denial == nil, isSubject(transcript, before: token), let other = try model.objection() {
                denial = (transcript.lastSentence, other)
            }
            if token == tokens.end {
                // The answer is incomplete if it ends where a routing token should follow.
                isLost = transcript.whole.trimmed.hasSuffix(Prompt.taskOutput.trimmed)
                break
            }
            if tokens.routes[token] != nil, pending.isEmpty { break }
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
                isKnown = found.allSatisfy(\.isKnown)
                pending = []
                findings += found
                isInVain = route != .count && count == 0
                if route == .count {
                    next += transcript.insert(Prompt.counted(count))
                    // A caption's own list asks nothing, so it is not replaced.
                    let wasAsked = transcript.lookup.contains(Prompt.located)
                    transcript.hideLookup()
                    if !isKnown, wasAsked { denial = (transcript.ids.count, Prompt.notKnown) }
                } else if !isInVain {
                    transcript.keepLookup()
                }
            } else if tokenizer.decode([token]).contains(".") {
                if let denial { try check(&transcript, denial, with: model) }
                denial = nil
                if isInVain {
                    isInVain = false
                    transcript.hideLookup()
                    denial = (transcript.ids.count, isKnown ? nil : Prompt.notKnown)
                    next += transcript.insert(Prompt.nothing)
                }
            }
        }
        if let denial { try check(&transcript, denial, with: model) }
        if isLost {
            transcript.dropUnfinished()
            if transcript.isSilent {
                let isBlank = !findings.isEmpty && findings.allSatisfy { $0.count == 0 }
                _ = transcript.insert(isBlank ? Prompt.blank : Prompt.lost)
            }
        } else if transcript.ids.isEmpty {
            _ = transcript.insert(Prompt.unknown)
        }
        return (transcript, findings)
    }
}

extension AnswerWriter {
    /// Whether the next token begins a word that describes a thing, as in "It is red." or "Yes, it is.", and not in
    /// "It is a star."
    private func isSubject(_ transcript: Transcript, before token: Int) -> Bool {
        let sentence = transcript.text(from: transcript.lastSentence).trimmed
        let next = tokenizer.decode([token]).trimmed
        // After a count, the word is about the number.
        return sentence == Prompt.subject && !Prompt.articles.contains(next)
            || sentence.isEmpty && !next.isEmpty && !transcript.followsLookup
                && Prompt.verdicts.contains { $0.hasPrefix(next) }
    }

    /// Replaces a sentence that has ended, if it is wrong.
    ///
    /// The sentence may already have a replacement. Otherwise it is "There is no …". A model that does not know the
    /// word for what it did not find names something else. If that is in the picture, or nothing is named, the sentence
    /// becomes "There is nothing like that."
    private func check<Model: AnswerModel>(
        _ transcript: inout Transcript, _ denial: (start: Int, other: String?), with model: Model
    ) throws {
        let start = denial.start
        if let other = denial.other { return transcript.replace(from: start, with: other) }
        let name = transcript.text(from: start).replacingOccurrences(of: Prompt.nothing, with: "")
            .trimmingCharacters(in: CharacterSet(charactersIn: " ."))
        guard try name.isEmpty || model.isThere(name) else { return }
        transcript.replace(from: start, with: Prompt.nothingAlike)
    }
}

/// An answer while it is written, and which of its sentences only look something up.
package struct Transcript {
    private let tokenizer: Tokenizer
    package private(set) var ids: [Int] = []
    private var hidden: [Range<Int>] = []
    /// The beginning of the current lookup.
    private var lookupStart: Int?

    package init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

    /// All of it.
    package var whole: String { tokenizer.decode(ids) }

    /// The text for a reader: everything but what is hidden, or everything if nothing else is left.
    package var visible: String {
        let text = shown.trimmed
        return text.isEmpty ? whole.trimmed : text
    }

    private var shown: String {
        tokenizer.decode(ids.indices.filter { i in !hidden.contains { $0.contains(i) } }.map { ids[$0] })
    }

    mutating func append(_ token: Int) { ids.append(token) }

    /// Appends text.
    ///
    /// - Returns: its tokens.
    mutating func insert(_ text: String) -> [Int] {
        let tokens = tokenizer.encode(text)
        ids += tokens
        return tokens
    }

    /// Whether the current sentence is the first after a lookup.
    var followsLookup: Bool { hidden.last?.upperBound == lastSentence }

    /// The beginning of the current sentence.
    var lastSentence: Int {
        ids.lastIndex { id in tokenizer.decode([id]).contains { ".?!".contains($0) } }.map { $0 + 1 } ?? 0
    }

    /// The text from a token on.
    func text(from start: Int) -> String { tokenizer.decode(Array(ids[start...])) }

    /// Replaces everything from a token on.
    mutating func replace(from start: Int, with text: String) {
        keep(start)
        _ = insert(text)
    }

    /// Keeps the first `count` tokens.
    private mutating func keep(_ count: Int) {
        ids.removeSubrange(count...)
        hidden = hidden.compactMap { $0.lowerBound < count ? $0.clamped(to: 0..<count) : nil }
        lookupStart = nil
    }

    /// Whether everything is hidden.
    var isSilent: Bool { shown.trimmed.isEmpty }

    /// Drops what follows the last complete sentence.
    mutating func dropUnfinished() {
        let end = ids.lastIndex { tokenizer.decode([$0]).trimmed.last.map(".?!".contains) ?? false }
        keep(end.map { $0 + 1 } ?? 0)
    }

    /// To be called before a [LOC]: a lookup begins with the sentence of the [LOC].
    mutating func beginLookup() {
        guard lookupStart == nil else { return }
        let floor = hidden.last?.upperBound ?? 0
        lookupStart = max(floor, lastSentence)
    }

    /// Something was found: the sentence stays.
    mutating func keepLookup() { lookupStart = nil }

    /// The current lookup as far as it was written.
    var lookup: String { lookupStart.map(text(from:)) ?? "" }

    /// Ends the lookup, and hides it from the reader.
    mutating func hideLookup() {
        guard let start = lookupStart else { return }
        hidden.append(start..<ids.count)
        lookupStart = nil
    }
}

extension String {
    fileprivate var trimmed: String {
        let start = firstIndex { !$0.isWhitespace } ?? endIndex
        let end = lastIndex { !$0.isWhitespace }.map(index(after:)) ?? endIndex
        return start < end ? String(self[start..<end]) : ""
    }
}
