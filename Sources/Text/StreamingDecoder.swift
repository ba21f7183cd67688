/// Decodes ids one at a time, for text that is shown while it is generated.
///
/// No piece ends inside a UTF-8 character: its bytes wait until the last one has come. The pieces, `finish()`
/// included, make up what `Tokenizer.decode` gives for all the ids together. Where a tokenizer writes rare characters
/// as tokens of single bytes, a run of such tokens waits for its end: if it is no UTF-8 in the end, none of it is.
public struct StreamingDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipSpecialTokens: Bool
    private var run: Decoder.Run
    private var pending: [UInt8] = []

    public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = false) {
        self.tokenizer = tokenizer
        self.skipSpecialTokens = skipSpecialTokens
        run = tokenizer.decoder.start()
    }

    /// Takes the next id and returns the text that is complete now, which may be empty.
    public mutating func feed(_ id: Int) -> String {
        tokenizer.feed(id, skipSpecialTokens: skipSpecialTokens, to: &run, into: &pending)
        let complete = pending.count - unfinishedTail
        defer { pending.removeFirst(complete) }
        return String(decoding: pending[..<complete], as: UTF8.self)
    }

    /// Ends the text: returns what waited, U+FFFD for an unfinished character, and starts afresh.
    public mutating func finish() -> String {
        run.finish(into: &pending)
        defer {
            pending = []
            run = tokenizer.decoder.start()
        }
        return String(decoding: pending, as: UTF8.self)
    }

    /// How many bytes at the end may be the beginning of a character.
    private var unfinishedTail: Int {
        for length in 1...3 where length <= pending.count {
            let byte = pending[pending.count - length]
            if UTF8.isContinuation(byte) { continue }
            return (UTF8.sequenceLength(of: byte) ?? 1) > length ? length : 0
        }
        return 0
    }
}
