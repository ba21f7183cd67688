/// A Jinja template in one form, so that two that mean the same read the same, as the environment of transformers reads
/// them (`trim_blocks` and `lstrip_blocks`): without comments, without what white space does not change, each text in
/// single quotes with escapes, `x.name` for `x['name']`. Nothing is run.
struct JinjaText {
    /// The tags, one after the other; text outside of them as `{{'text'}}`.
    private(set) var code = ""
    /// The texts in the tags.
    private(set) var literals: Set<String> = []
    /// Whether there is text outside of the tags.
    private(set) var hasTextOutside = false

    private let text: [Unicode.Scalar]
    private var position = 0

    init(_ template: String) {
        text = Array(template.unicodeScalars)
        // What stands between two tags, and whether the tag before takes white space or a line's end with it.
        var outside = String.UnicodeScalarView()
        var (dropsAll, dropsLine) = (false, false)
        func trimmed(_ tag: Unicode.Scalar?) -> String {
            var outside = outside[...]
            var startsLine = code.isEmpty
            if dropsAll {
                outside = outside.drop(while: \.properties.isWhitespace)
            } else if dropsLine, outside.first == "\n" {
                outside = outside.dropFirst()
                startsLine = true
            }
            switch tag {
            case "-": while outside.last?.properties.isWhitespace ?? false { outside.removeLast() }
            case "%", "#":
                let indent = outside.reversed().prefix { $0 == " " || $0 == "\t" }.count
                let rest = outside.dropLast(indent)
                if rest.last.map({ $0 == "\n" }) ?? startsLine { outside = rest }
            case nil: if outside.last == "\n" { outside.removeLast() }
            default: break
            }
            return String(outside)
        }
        while position < text.count {
            guard text[position] == "{", let kind = scalar(1), "{%#".unicodeScalars.contains(kind) else {
                outside.append(text[position])
                position += 1
                continue
            }
            position += 2
            let isStripping = scalar(0) == "-"
            if isStripping || scalar(0) == "+" { position += 1 }
            add(outside: trimmed(isStripping ? "-" : kind))
            outside = .init()
            dropsAll = kind == "#" ? skipComment() : addTag(kind)
            dropsLine = kind != "{"
        }
        add(outside: trimmed(nil))
    }

    private func scalar(_ offset: Int) -> Unicode.Scalar? {
        position + offset < text.count ? text[position + offset] : nil
    }

    private mutating func add(outside text: String) {
        guard !text.isEmpty else { return }
        hasTextOutside = true
        code += "{{\(Self.quoted(text))}}"
    }

    /// - Returns: whether the comment takes the white space after it with it.
    private mutating func skipComment() -> Bool {
        while position < text.count {
            if text[position] == "#", scalar(1) == "}" {
                defer { position += 2 }
                return text[position - 1] == "-"
            }
            position += 1
        }
        return false
    }

    /// - Returns: whether the tag takes the white space after it with it.
    private mutating func addTag(_ kind: Unicode.Scalar) -> Bool {
        let end: Unicode.Scalar = kind == "{" ? "}" : "%"
        func isWord(_ scalar: Unicode.Scalar?) -> Bool {
            scalar.map { $0 == "_" || $0.properties.isAlphabetic || ("0"..."9").contains($0) } ?? false
        }
        var tag = ""
        var hasSpace = false
        while let next = scalar(0) {
            let dash = next == "-" ? 1 : 0
            if scalar(dash) == end, scalar(dash + 1) == "}" {
                position += dash + 2
                code += "{\(kind)\(tag)\(end)}"
                return dash == 1
            }
            if next.properties.isWhitespace {
                hasSpace = true
                position += 1
                continue
            }
            if next == "'" || next == "\"" {
                let literal = readLiteral(next)
                let isName = !literal.isEmpty && literal.unicodeScalars.allSatisfy(isWord)
                if isName, tag.hasSuffix("["), isWord(tag.dropLast().unicodeScalars.last), scalar(0) == "]" {
                    tag.removeLast()
                    tag += ".\(literal)"
                    position += 1
                } else {
                    literals.insert(literal)
                    tag += Self.quoted(literal)
                }
            } else {
                if hasSpace, isWord(tag.unicodeScalars.last), isWord(next) { tag += " " }
                tag.unicodeScalars.append(next)
                position += 1
            }
            hasSpace = false
        }
        code += "{\(kind)\(tag)"
        return false
    }

    private mutating func readLiteral(_ quote: Unicode.Scalar) -> String {
        var literal = String.UnicodeScalarView()
        position += 1
        while let next = scalar(0), next != quote {
            position += 1
            guard next == "\\", let escaped = scalar(0) else {
                literal.append(next)
                continue
            }
            position += 1
            switch escaped {
            case "n": literal.append("\n")
            case "t": literal.append("\t")
            case "r": literal.append("\r")
            case "\\", "'", "\"": literal.append(escaped)
            default: literal += ["\\", escaped]
            }
        }
        position += 1
        return String(literal)
    }

    private static func quoted(_ text: String) -> String {
        var result = "'"
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case "\\", "'": result += "\\\(scalar)"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "'"
    }
}
