import Foundation
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

    /// What is to be said in place of an answer about a thing, whose word comes next: that there is no such thing; nil for
    /// nothing.
    func objection() throws -> String?

    /// Whether there is something by that name, asked for by itself.
    func isThere(_ name: String) throws -> Bool
}

/// Writes an answer token by token, greedily, and reads the specialists' findings back into it.
///
/// The state at a [LOC] goes to the decoder that the next routing token names, at once. After `[COUNT]` the writer puts
/// in how many there are; after the full stop of any other location answer for which nothing was found, that there is
/// none, and the model goes on with what; when it then names what is there after all, there is nothing like what was meant. Where the model does not know what was asked for,
/// or tells of a thing that is not there, its sentence makes way for one that says so.
/// A model that says nothing has not understood, and the writer says that. One that loses itself, in a routing token without a
/// [LOC] or in a sentence without an end, is stopped there, and what it had not finished is left out.
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
        var isKnown = true
        // Where a sentence begins that says what there is none of, or that makes way for another when it ends.
        var denial: (start: Int, other: String?)?
        var isLost = true
        while transcript.ids.count < tokenLimit {
            let (token, state) = try model.read(next)
            if transcript.ids.last == tokens.loc { pending.append(state) }
            if denial == nil, isSubject(transcript, before: token), let other = try model.objection() {
                denial = (transcript.lastSentence, other)
            }
            if token == tokens.end {
                // Not before the output that it has begun to tell of.
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
                    // Not of what the model itself lists for a caption.
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
    /// Whether the next token is the first of a word that tells something of a thing that was named: "It is red.", "Yes, it is.",
    /// and not "It is a star."
    private func isSubject(_ transcript: Transcript, before token: Int) -> Bool {
        let sentence = transcript.text(from: transcript.lastSentence).trimmed
        let next = tokenizer.decode([token]).trimmed
        // After a number it is that which is told of.
        return sentence == Prompt.subject && !Prompt.articles.contains(next)
            || sentence.isEmpty && !next.isEmpty && !transcript.followsLookup
                && Prompt.verdicts.contains { $0.hasPrefix(next) }
    }

    /// A model that does not know the word for what it looked for in vain names something else. Where that is in the picture, or
    /// nothing is named, the sentence says something else; and so does one that is known to be wrong.
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

/// An answer as it comes into being, and which of its sentences only look something up.
package struct Transcript {
    private let tokenizer: Tokenizer
    package private(set) var ids: [Int] = []
    private var hidden: [Range<Int>] = []
    /// Where the sentence began that looks something up.
    private var lookupStart: Int?

    package init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

    /// All of it.
    package var whole: String { tokenizer.decode(ids) }

    /// What there is to read: all of it but what is hidden, or, where that is nothing, all of it.
    package var visible: String {
        let text = shown.trimmed
        return text.isEmpty ? whole.trimmed : text
    }

    private var shown: String {
        tokenizer.decode(ids.indices.filter { i in !hidden.contains { $0.contains(i) } }.map { ids[$0] })
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

    /// Whether the sentence that is being written is the first after what was looked up.
    var followsLookup: Bool { hidden.last?.upperBound == lastSentence }

    /// Where the sentence begins that is being written.
    var lastSentence: Int {
        ids.lastIndex { id in tokenizer.decode([id]).contains { ".?!".contains($0) } }.map { $0 + 1 } ?? 0
    }

    /// What was written from a token on.
    func text(from start: Int) -> String { tokenizer.decode(Array(ids[start...])) }

    /// Puts other words in place of the last ones.
    mutating func replace(from start: Int, with text: String) {
        keep(start)
        _ = insert(text)
    }

    /// Drops what comes after the first tokens.
    private mutating func keep(_ count: Int) {
        ids.removeSubrange(count...)
        hidden = hidden.compactMap { $0.lowerBound < count ? $0.clamped(to: 0..<count) : nil }
        lookupStart = nil
    }

    /// Whether there is nothing to read but what was looked up.
    var isSilent: Bool { shown.trimmed.isEmpty }

    /// Leaves out what comes after the last sentence that is whole.
    mutating func dropUnfinished() {
        let end = ids.lastIndex { tokenizer.decode([$0]).trimmed.last.map(".?!".contains) ?? false }
        keep(end.map { $0 + 1 } ?? 0)
    }

    /// A [LOC] comes next: what is looked up begins with the sentence that it stands in.
    mutating func beginLookup() {
        guard lookupStart == nil else { return }
        let floor = hidden.last?.upperBound ?? 0
        lookupStart = max(floor, lastSentence)
    }

    /// Something was found: the sentence stays.
    mutating func keepLookup() { lookupStart = nil }

    /// What is being looked up, as far as it was written.
    var lookup: String { lookupStart.map(text(from:)) ?? "" }

    /// What was looked up, up to here, was for the program alone.
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
