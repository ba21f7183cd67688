/// A table with commas between its fields, quoted where a field holds one.
struct CSV {
    /// The first line's fields.
    let header: [String]
    private let lines: [Substring]

    init(_ text: String) {
        var lines = text.split(whereSeparator: \.isNewline)
        header = lines.isEmpty ? [] : Self.fields(lines.removeFirst())
        self.lines = lines
    }

    /// The places of columns; nil when one is not there.
    func columns(_ names: String...) -> [Int]? {
        let places = names.compactMap { header.firstIndex(of: $0) }
        return places.count == names.count ? places : nil
    }

    var rows: some Sequence<[String]> { lines.lazy.map(Self.fields) }

    static func fields(_ line: Substring) -> [String] {
        guard line.utf8.contains(UInt8(ascii: "\"")) else {
            return line.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        var fields = [""]
        var isQuoted = false
        // The second of two quotes within quotes is one.
        var isAfterQuote = false
        for character in line {
            defer { isAfterQuote = character == "\"" && !isAfterQuote && !isQuoted }
            switch character {
            case "\"" where isAfterQuote:
                fields[fields.count - 1].append(character)
                isQuoted = true
            case "\"": isQuoted.toggle()
            case "," where !isQuoted: fields.append("")
            default: fields[fields.count - 1].append(character)
            }
        }
        return fields
    }
}
