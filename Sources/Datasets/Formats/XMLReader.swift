/// An element of an XML file, as Pascal VOC's labels have them: names, text and children; attributes are passed over.
///
/// Foundation's parser would bring libxml2 along for this.
struct XMLElement {
    var name = ""
    /// Its own text, without the space around it.
    var text = ""
    var children: [XMLElement] = []

    /// What is not XML, and where.
    struct Problem: Error, CustomStringConvertible {
        var description: String
    }

    /// The first child with this name.
    subscript(name: String) -> XMLElement? { children.first { $0.name == name } }

    func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

    /// Reads a document's one element.
    init(parsing bytes: [UInt8]) throws(Problem) {
        var parser = XMLParser(bytes: try Self.utf8(bytes))
        self = try parser.document()
    }

    fileprivate init(named name: String) { self.name = name }

    /// In UTF-8, from the encoding that the document says it has.
    private static func utf8(_ bytes: [UInt8]) throws(Problem) -> [UInt8] {
        let text = LabelText.utf8(bytes)
        // What was in UTF-16 is so no more, whatever the declaration says.
        let isMarked = text.count != bytes.count
        switch isMarked ? "utf-8" : declaredEncoding(text) {
        // A declaration of UTF-16 may be left from before the text was saved as UTF-8.
        case "utf-8", "utf8", "us-ascii", "ascii", "utf-16": break
        case "iso-8859-1", "latin1", "latin-1", "iso8859-1": return text.flatMap { $0.utf8 { UInt32($0) } }
        case "windows-1252", "cp1252": return text.flatMap { $0.utf8(Self.windows1252) }
        case let name:
            throw Problem(description: "in the encoding \"\(name)\", which is not read: save it as UTF-8")
        }
        do {
            return Array(try LabelText.string(text).utf8)
        } catch {
            throw Problem(description: error.description)
        }
    }

    /// "iso-8859-1" of `<?xml version="1.0" encoding="ISO-8859-1"?>`; UTF-8 where nothing is said.
    private static func declaredEncoding(_ bytes: [UInt8]) -> String {
        let start = String(decoding: bytes.prefix(200), as: UTF8.self)
        guard start.hasPrefix("<?xml"), let end = start.firstRange(of: "?>"),
            let key = start[..<end.lowerBound].firstRange(of: "encoding")
        else { return "utf-8" }
        let value = start[key.upperBound..<end.lowerBound].drop { $0.isWhitespace || $0 == "=" }
        guard let quote = value.first, quote == "\"" || quote == "'" else { return "utf-8" }
        return value.dropFirst().prefix { $0 != quote }.lowercased()
    }

    private static func windows1252(_ byte: UInt8) -> UInt32 {
        let upper: [UInt32] = [
            0x20AC, 0x81, 0x201A, 0x192, 0x201E, 0x2026, 0x2020, 0x2021, 0x2C6, 0x2030, 0x160, 0x2039, 0x152,
            0x8D, 0x17D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x2DC, 0x2122,
            0x161, 0x203A, 0x153, 0x9D, 0x17E, 0x178,
        ]
        return 0x80..<0xA0 ~= byte ? upper[Int(byte) - 0x80] : UInt32(byte)
    }
}

extension UInt8 {
    fileprivate func utf8(_ scalar: (UInt8) -> UInt32) -> [UInt8] {
        Array(UTF8.encode(Unicode.Scalar(scalar(self))!)!)
    }
}

private struct XMLParser {
    let bytes: [UInt8]
    var position = 0
    /// Deeper nesting is refused, so that a hostile file cannot exhaust the stack.
    static let depthLimit = 64

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(XMLElement.Problem) -> XMLElement {
        try skipAround()
        guard take("<") else { throw problem("not XML") }
        let root = try element(depth: 0)
        try skipAround()
        guard position == bytes.count else { throw problem("more than one element") }
        return root
    }

    private func problem(_ reason: String) -> XMLElement.Problem {
        let line = bytes[..<min(position, bytes.count)].count { $0 == UInt8(ascii: "\n") } + 1
        return XMLElement.Problem(description: "\(reason) in line \(line)")
    }

    /// Space, comments, the prolog and a document type.
    private mutating func skipAround() throws(XMLElement.Problem) {
        while true {
            skipSpace()
            if take("<!--") {
                try skip(past: "-->")
            } else if take("<?") {
                try skip(past: "?>")
            } else if take("<!") {
                try skip(past: ">")
            } else {
                return
            }
        }
    }

    /// After its "<".
    private mutating func element(depth: Int) throws(XMLElement.Problem) -> XMLElement {
        guard depth < Self.depthLimit else { throw problem("nested too deeply") }
        var element = XMLElement(named: name())
        guard !element.name.isEmpty else { throw problem("a tag without a name") }
        // Attributes.
        var quote: UInt8?
        while true {
            guard position < bytes.count else { throw problem("cut short") }
            let byte = bytes[position]
            if let open = quote {
                if byte == open { quote = nil }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
            } else if byte == UInt8(ascii: ">") {
                break
            }
            position += 1
        }
        let isEmpty = bytes[position - 1] == UInt8(ascii: "/")
        position += 1
        if isEmpty { return element }
        var text: [UInt8] = []
        while true {
            guard position < bytes.count else { throw problem("<\(element.name)> does not end") }
            if take("</") {
                let end = name()
                skipSpace()
                guard end == element.name, take(">") else {
                    throw problem("<\(element.name)> ends as </\(end)>")
                }
                element.text = String(String(decoding: text, as: UTF8.self)[...].trimmed)
                return element
            } else if take("<!--") {
                try skip(past: "-->")
            } else if take("<![CDATA[") {
                let start = position
                try skip(past: "]]>")
                text += bytes[start..<(position - 3)]
            } else if take("<?") {
                try skip(past: "?>")
            } else if take("<") {
                element.children.append(try self.element(depth: depth + 1))
            } else if take("&") {
                text += try entity()
            } else {
                text.append(bytes[position])
                position += 1
            }
        }
    }

    /// After its "&".
    private mutating func entity() throws(XMLElement.Problem) -> [UInt8] {
        let start = position
        try skip(past: ";")
        let name = String(decoding: bytes[start..<(position - 1)], as: UTF8.self)
        switch name {
        case "amp": return Array("&".utf8)
        case "lt": return Array("<".utf8)
        case "gt": return Array(">".utf8)
        case "quot": return Array("\"".utf8)
        case "apos": return Array("'".utf8)
        default:
            let digits = name.dropFirst(name.hasPrefix("#x") ? 2 : 1)
            guard name.hasPrefix("#"), let value = UInt32(digits, radix: name.hasPrefix("#x") ? 16 : 10),
                let scalar = Unicode.Scalar(value)
            else { throw problem("&\(name); is not known") }
            return Array(String(Character(scalar)).utf8)
        }
    }

    private mutating func name() -> String {
        let start = position
        while position < bytes.count, bytes[position] > 0x20, !"<>/=".utf8.contains(bytes[position]) {
            position += 1
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func skipSpace() {
        while position < bytes.count, bytes[position] <= 0x20 { position += 1 }
    }

    private mutating func take(_ text: String) -> Bool {
        guard bytes[position...].starts(with: text.utf8) else { return false }
        position += text.utf8.count
        return true
    }

    private mutating func skip(past end: String) throws(XMLElement.Problem) {
        while position < bytes.count {
            if take(end) { return }
            position += 1
        }
        throw problem("cut short")
    }
}
