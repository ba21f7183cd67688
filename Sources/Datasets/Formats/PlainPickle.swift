/// A Python pickle of plain data (numbers, texts, lists, tuples, dictionaries), read without running it.
///
/// Nothing is ever called: what names a class or a function ends the reading. RefCOCO's `refs(unc).p` is such a file,
/// of protocol 0. Format: https://github.com/python/cpython/blob/main/Lib/pickletools.py, protocols 0 to 5.
struct PlainPickle {
    /// Containers are places in ``lists`` and ``dictionaries``: a container may hold itself.
    enum Value {
        case none
        case bool(Bool)
        case integer(Int)
        case double(Double)
        case text(String)
        case list(Int)
        case dictionary(Int)
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    private(set) var lists: [[Value]] = []
    private(set) var dictionaries: [[String: Value]] = []
    private(set) var root = Value.none

    private let bytes: [UInt8]
    private var position = 0
    private var stack: [Value] = []
    private var marks: [Int] = []
    private var memo: [Int: Value] = [:]

    init(_ bytes: [UInt8]) throws(Failure) {
        self.bytes = bytes
        while try step() {}
        (stack, memo) = ([], [:])
    }

    // MARK: What is in it

    func list(_ value: Value?) -> [Value]? {
        guard case .list(let index)? = value else { return nil }
        return lists[index]
    }

    func dictionary(_ value: Value?) -> [String: Value]? {
        guard case .dictionary(let index)? = value else { return nil }
        return dictionaries[index]
    }

    // MARK: Opcodes

    private mutating func step() throws(Failure) -> Bool {
        let code = try byte()
        switch UInt8(code) {
        case 0x80: _ = try byte()
        case 0x95: _ = try take(8)
        case UInt8(ascii: "."):
            root = try pop()
            return false
        case UInt8(ascii: "("): marks.append(stack.count)
        case UInt8(ascii: "0"): _ = try pop()
        case UInt8(ascii: "1"): _ = try popToMark()
        case UInt8(ascii: "2"): stack.append(try top())

        case UInt8(ascii: "N"): stack.append(.none)
        case 0x88: stack.append(.bool(true))
        case 0x89: stack.append(.bool(false))
        case UInt8(ascii: "I"), UInt8(ascii: "L"):
            let digits = try line()
            if digits == "01" || digits == "00" {
                stack.append(.bool(digits == "01"))
            } else {
                guard let value = Int(digits.last == "L" ? String(digits.dropLast()) : digits) else {
                    throw failure("has a number \(digits.debugDescription)")
                }
                stack.append(.integer(value))
            }
        case UInt8(ascii: "F"):
            let digits = try line()
            guard let value = Double(digits) else { throw failure("has a number \(digits.debugDescription)") }
            stack.append(.double(value))
        case UInt8(ascii: "K"): stack.append(.integer(try byte()))
        case UInt8(ascii: "M"): stack.append(.integer(try number(2)))
        case UInt8(ascii: "J"): stack.append(.integer(Int(Int32(truncatingIfNeeded: try number(4)))))
        case 0x8a: stack.append(.integer(try long(byte())))
        case 0x8b: stack.append(.integer(try long(number(4))))
        case UInt8(ascii: "G"):
            let bits = try take(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            stack.append(.double(Double(bitPattern: bits)))

        case UInt8(ascii: "S"): stack.append(.text(try quoted(line())))
        case UInt8(ascii: "V"): stack.append(.text(try rawUnicode()))
        case UInt8(ascii: "X"), UInt8(ascii: "T"), UInt8(ascii: "B"): stack.append(try text(number(4)))
        case UInt8(ascii: "U"), 0x8c, UInt8(ascii: "C"): stack.append(try text(byte()))
        case 0x8d, 0x8e: stack.append(try text(number(8)))

        case UInt8(ascii: ")"), UInt8(ascii: "]"): pushList([])
        case 0x85: pushList(try pop(1))
        case 0x86: pushList(try pop(2))
        case 0x87: pushList(try pop(3))
        case UInt8(ascii: "t"), UInt8(ascii: "l"): pushList(try popToMark())
        case UInt8(ascii: "a"): try append([pop()])
        case UInt8(ascii: "e"): try append(popToMark())
        case UInt8(ascii: "}"): pushDictionary()
        case UInt8(ascii: "d"):
            let items = try popToMark()
            pushDictionary()
            try insert(items)
        case UInt8(ascii: "s"): try insert(pop(2))
        case UInt8(ascii: "u"): try insert(popToMark())

        case UInt8(ascii: "p"):
            guard let place = Int(try line()) else { throw failure("has a memo without a number") }
            memo[place] = try top()
        case UInt8(ascii: "q"): memo[try byte()] = try top()
        case UInt8(ascii: "r"): memo[try number(4)] = try top()
        case 0x94: memo[memo.count] = try top()
        case UInt8(ascii: "g"): stack.append(try remembered(Int(line())))
        case UInt8(ascii: "h"): stack.append(try remembered(byte()))
        case UInt8(ascii: "j"): stack.append(try remembered(number(4)))

        case UInt8(ascii: "c"), UInt8(ascii: "i"):
            let module = try line()
            throw failure("names \"\(module).\(try line())\"; only plain data are read, nothing is called")
        case 0x81, 0x92, 0x93, UInt8(ascii: "o"), UInt8(ascii: "R"), UInt8(ascii: "b"), UInt8(ascii: "Q"),
            UInt8(ascii: "P"), 0x82, 0x83, 0x84:
            throw failure("makes an object of a class; only plain data are read, nothing is called")
        default:
            throw failure("is no pickle: 0x\(String(code, radix: 16)) at byte \(position - 1) is no opcode")
        }
        return true
    }

    private func failure(_ reason: String) -> Failure { Failure(description: reason) }

    // MARK: Stack

    private mutating func pushList(_ values: [Value]) {
        stack.append(.list(lists.count))
        lists.append(values)
    }

    private mutating func pushDictionary() {
        stack.append(.dictionary(dictionaries.count))
        dictionaries.append([:])
    }

    private mutating func append(_ values: [Value]) throws(Failure) {
        guard case .list(let index) = try top() else { throw failure("appends to what is not a list") }
        lists[index] += values
    }

    private mutating func insert(_ values: [Value]) throws(Failure) {
        guard case .dictionary(let index) = try top(), values.count % 2 == 0 else {
            throw failure("sets a key of what is not a dictionary")
        }
        for at in stride(from: 0, to: values.count, by: 2) {
            switch values[at] {
            case .text(let key): dictionaries[index][key] = values[at + 1]
            case .integer(let key): dictionaries[index][String(key)] = values[at + 1]
            default: throw failure("has a key that is neither a text nor a number")
            }
        }
    }

    private func top() throws(Failure) -> Value {
        guard stack.count > marks.last ?? 0 else { throw failure("takes from an empty stack") }
        return stack[stack.count - 1]
    }

    private mutating func pop() throws(Failure) -> Value {
        let value = try top()
        stack.removeLast()
        return value
    }

    private mutating func pop(_ count: Int) throws(Failure) -> [Value] {
        guard stack.count - (marks.last ?? 0) >= count else { throw failure("takes from an empty stack") }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    private mutating func popToMark() throws(Failure) -> [Value] {
        guard let mark = marks.popLast() else { throw failure("looks for a mark that is not there") }
        defer { stack.removeSubrange(mark...) }
        return Array(stack[mark...])
    }

    private func remembered(_ index: Int?) throws(Failure) -> Value {
        guard let index, let value = memo[index] else { throw failure("recalls what it never stored") }
        return value
    }

    // MARK: Bytes

    private mutating func take(_ count: Int) throws(Failure) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count - position else { throw failure("is cut short") }
        defer { position += count }
        return bytes[position..<(position + count)]
    }

    private mutating func byte() throws(Failure) -> Int { Int(try take(1).first!) }

    private mutating func number(_ size: Int) throws(Failure) -> Int {
        let value = try take(size).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard let value = Int(exactly: value) else { throw failure("is cut short") }
        return value
    }

    private mutating func long(_ size: Int) throws(Failure) -> Int {
        guard size <= 8 else { throw failure("has a number of \(size) bytes") }
        let bytes = try take(size)
        let start: Int = (bytes.last ?? 0) & 0x80 == 0 ? 0 : -1
        return bytes.reversed().reduce(start) { $0 << 8 | Int($1) }
    }

    private mutating func text(_ size: Int) throws(Failure) -> Value {
        .text(String(decoding: try take(size), as: UTF8.self))
    }

    private mutating func line() throws(Failure) -> String {
        guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else {
            throw failure("is cut short")
        }
        defer { position = end + 1 }
        return String(decoding: bytes[position..<end], as: UTF8.self)
    }

    /// A line of Python's raw-unicode-escape: Latin-1, and other characters by number.
    private mutating func rawUnicode() throws(Failure) -> String {
        guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else {
            throw failure("is cut short")
        }
        defer { position = end + 1 }
        var text = String.UnicodeScalarView()
        var rest = bytes[position..<end]
        while let byte = rest.popFirst() {
            let isShort = rest.first == UInt8(ascii: "u")
            guard byte == UInt8(ascii: "\\"), isShort || rest.first == UInt8(ascii: "U") else {
                text.append(Unicode.Scalar(byte))
                continue
            }
            let digits = rest.dropFirst().prefix(isShort ? 4 : 8)
            guard let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16) else {
                throw failure("has a text with an escape that is none")
            }
            text.append(Unicode.Scalar(value) ?? "\u{FFFD}")
            rest = rest.dropFirst(1 + digits.count)
        }
        return String(text)
    }

    /// A text as Python 2's `repr` has it.
    private func quoted(_ line: String) throws(Failure) -> String {
        guard line.utf8.count >= 2, let quote = line.first, quote == "'" || quote == "\"", line.last == quote
        else {
            throw failure("has a text without its quotes")
        }
        return try unescaped(line.dropFirst().dropLast())
    }

    private func unescaped(_ text: Substring) throws(Failure) -> String {
        guard text.utf8.contains(UInt8(ascii: "\\")) else { return String(text) }
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                result.append(byte)
                continue
            }
            let escape = rest.popFirst() ?? byte
            switch escape {
            case UInt8(ascii: "n"): result.append(0x0A)
            case UInt8(ascii: "t"): result.append(0x09)
            case UInt8(ascii: "r"): result.append(0x0D)
            case UInt8(ascii: "x"):
                // A byte of the text's UTF-8.
                guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                    throw failure("has a text with an escape that is none")
                }
                result.append(value)
                rest = rest.dropFirst(2)
            default: result.append(escape)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
