/// libFuzzer's own way to change bytes.
@_silgen_name("LLVMFuzzerMutate")
private func mutate(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, _ limit: Int) -> Int

/// What libFuzzer calls to change an input. Of a text, every other time a word or number is replaced by one that readers
/// fear, or by another word of the text: changed bytes alone seldom leave JSON that is read to its end.
@_cdecl("LLVMFuzzerCustomMutator")
public func changed(
    _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, _ limit: Int, _ seed: CUnsignedInt
) -> Int {
    var random = Random(state: UInt64(seed))
    guard Chosen.target!.isText, count > 0, Bool.random(using: &random) else {
        return mutate(bytes, count, limit)
    }
    let text = Array(UnsafeBufferPointer(start: bytes, count: count))
    let words = Words.ranges(in: text)
    guard let word = words.randomElement(using: &random) else { return mutate(bytes, count, limit) }
    let other =
        Bool.random(using: &random)
        ? Array(text[words.randomElement(using: &random)!])
        : Array(Words.feared.randomElement(using: &random)!.utf8)
    let replaced = text[..<word.lowerBound] + other + text[word.upperBound...]
    guard replaced.count <= limit else { return mutate(bytes, count, limit) }
    for (place, byte) in replaced.enumerated() { bytes[place] = byte }
    return replaced.count
}

private enum Words {
    static let feared = [
        "0", "-1", "1", "2", "-0.0", "0.5", "3.5", "255", "256", "65535", "65536", "1000000", "2147483647",
        "2147483648", "4294967296", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
        "1e19", "1e308", "-1e308", "1e400", "1e-320", "nan", "inf", "null", "true", "false", "[]", "{}",
        "\"\"", "\"0\"", "\"a\"", "[[]]", "[null]", "", "\u{FEFF}", "\u{1B}[2J", "\u{0}", "e\u{301}",
        "999999", "100000", "-100000",
    ]

    /// Numbers, bare words, and texts with their quotation marks.
    static func ranges(in text: [UInt8]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var place = 0
        func isPart(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
                UInt8(ascii: "+"):
                true
            default: false
            }
        }
        while place < text.count {
            let start = place
            if text[place] == UInt8(ascii: "\"") {
                place += 1
                while place < text.count, text[place] != UInt8(ascii: "\"") {
                    place += text[place] == UInt8(ascii: "\\") ? 2 : 1
                }
                place = min(place + 1, text.count)
                ranges.append(start..<place)
            } else if isPart(text[place]) {
                while place < text.count, isPart(text[place]) { place += 1 }
                ranges.append(start..<place)
            } else {
                place += 1
            }
        }
        return ranges
    }
}

/// SplitMix64.
private struct Random: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
