/// Decodes ids one at a time, for text that is shown while it is generated.
///
/// No piece ends inside a UTF-8 character: its bytes wait until the last one has come. The pieces, `finish()`
/// included, make up what `Tokenizer.decode` gives for all the ids together.
public struct StreamingDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipSpecialTokens: Bool
    private var pending: [UInt8] = []

    public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = false) {
        self.tokenizer = tokenizer
        self.skipSpecialTokens = skipSpecialTokens
    }

    /// Takes the next id and returns the text that is complete now, which may be empty.
    public mutating func feed(_ id: Int) -> String {
        pending += tokenizer.bytes(of: id, skipSpecialTokens: skipSpecialTokens)
        let complete = pending.count - unfinishedTail
        defer { pending.removeFirst(complete) }
        return String(decoding: pending[..<complete], as: UTF8.self)
    }

    /// Ends the text: returns U+FFFD for an unfinished character, else nothing, and starts afresh.
    public mutating func finish() -> String {
        defer { pending = [] }
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
