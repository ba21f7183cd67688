/// Reads the pickle of a torch archive as data: tensors, and the containers they lie in.
///
/// Nothing is ever called. A pickle may name what it wants to call, and only the few names that describe a
/// tensor are known here; for each there is a line that makes a value of this file. Every other name ends the
/// reading.
///
/// Format: https://github.com/python/cpython/blob/main/Lib/pickletools.py, protocols 2 to 5.
struct Pickle {
    /// Containers are places in ``objects``: a container may hold itself, and freeing a deep one costs no
    /// stack.
    enum Value {
        /// A value that says nothing about tensors: a floating-point number, bytes, a device.
        case other
        case none
        case bool(Bool)
        case integer(Int)
        case text(String)
        case global(String)
        case object(Int)
    }

    enum Object {
        case tuple([Value])
        case list([Value])
        case dictionary([(key: Value, value: Value)])
        case storage(Storage)
        case tensor(Tensor)
    }

    struct Storage {
        /// The name of the class, such as `torch.FloatStorage`.
        let type: String
        /// The name of its entry under `data/`.
        let key: String
    }

    struct Tensor {
        let storage: Storage
        /// The name of the dtype, when it is not that of the storage's class.
        let dtype: String?
        /// Elements from the start of the storage.
        let offset: Int
        let shape: [Int]
        let strides: [Int]
    }

    struct Failure: Error {
        let reason: String
        init(_ reason: String) { self.reason = reason }
    }

    private(set) var objects: [Object] = []
    private(set) var root = Value.none

    /// A hundred thousand tensors take about this much.
    static let byteLimit = 16 << 20
    static let objectLimit = 2_000_000

    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    private var stack: [Value] = []
    /// Lengths of the stack at which marks stand.
    private var marks: [Int] = []
    private var memo: [Int: Value] = [:]

    /// - Throws: ``Failure`` for what is cut short, is no pickle of tensors, or names anything that would be called.
    init(_ bytes: UnsafeRawBufferPointer) throws {
        self.bytes = bytes
        guard bytes.count <= Self.byteLimit else {
            throw Failure("has \(bytes.count) bytes, the limit is \(Self.byteLimit)")
        }
        guard bytes.first == 0x80 else { throw Failure("is not a pickle of protocol 2 or later") }
        while try step() {}
        (stack, memo) = ([], [:])
    }

    // MARK: Opcodes

    /// Takes one opcode; false after the last.
    private mutating func step() throws -> Bool {
        let code = try take(1)[0]
        switch code {
        case 0x80:  // PROTO
            let version = try byte()
            guard (2...5).contains(version) else {
                throw Failure("has protocol \(version), 2 to 5 are known")
            }
        case 0x95: _ = try take(8)  // FRAME
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
        case UInt8(ascii: "K"): stack.append(.integer(try byte()))
        case UInt8(ascii: "M"): stack.append(.integer(try number(2)))
        case UInt8(ascii: "J"): stack.append(.integer(Int(Int32(truncatingIfNeeded: try number(4)))))
        case 0x8a: stack.append(try long(byte()))
        case 0x8b: stack.append(try long(number(4)))
        case UInt8(ascii: "G"):
            _ = try take(8)
            stack.append(.other)

        case UInt8(ascii: "X"): stack.append(try text(number(4)))
        case 0x8c: stack.append(try text(byte()))
        case 0x8d: stack.append(try text(number(8)))
        // Python 2 wrote its text like this.
        case UInt8(ascii: "U"): stack.append(try text(byte()))
        case UInt8(ascii: "T"): stack.append(try text(number(4)))
        case UInt8(ascii: "C"): try skip(byte())
        case UInt8(ascii: "B"): try skip(number(4))
        case 0x8e: try skip(number(8))

        case UInt8(ascii: ")"): try push(.tuple([]))
        case 0x85: try push(.tuple(pop(1)))
        case 0x86: try push(.tuple(pop(2)))
        case 0x87: try push(.tuple(pop(3)))
        case UInt8(ascii: "t"): try push(.tuple(popToMark()))
        case UInt8(ascii: "]"): try push(.list([]))
        case UInt8(ascii: "l"): try push(.list(popToMark()))
        case UInt8(ascii: "a"): try append([pop()])
        case UInt8(ascii: "e"): try append(popToMark())
        case UInt8(ascii: "}"): try push(.dictionary([]))
        case UInt8(ascii: "d"): try push(.dictionary(pairs(popToMark())))
        case UInt8(ascii: "s"): try insert(pop(2))
        case UInt8(ascii: "u"): try insert(popToMark())

        case UInt8(ascii: "q"): memo[try byte()] = try top()
        case UInt8(ascii: "r"): memo[try number(4)] = try top()
        case 0x94: memo[memo.count] = try top()
        case UInt8(ascii: "h"): stack.append(try remembered(byte()))
        case UInt8(ascii: "j"): stack.append(try remembered(number(4)))

        case UInt8(ascii: "c"):
            let module = try line()
            stack.append(try global(module, line()))
        case 0x93:
            let names = try pop(2)
            guard case .text(let module) = names[0], case .text(let name) = names[1] else {
                throw Failure("names something to call by what is not text")
            }
            stack.append(try global(module, name))
        case UInt8(ascii: "R"):
            let call = try pop(2)
            try push(reduce(call[0], call[1]))
        case UInt8(ascii: "b"):
            _ = try pop()
            // Attributes of a dictionary, such as the versions of the modules that a state dict comes from.
            guard case .object(let index) = try top(), case .dictionary = objects[index] else {
                throw Failure("sets attributes of what is not a dictionary")
            }
        case UInt8(ascii: "Q"): try push(.storage(storage(pop())))
        case UInt8(ascii: "i"):
            let module = try line()
            throw Self.refusal("\(module).\(try line())")
        case 0x81, 0x92, UInt8(ascii: "o"):  // NEWOBJ, NEWOBJ_EX, OBJ
            throw Failure("makes an object of a class; only tensors are read")
        default:
            throw Failure(
                "has opcode 0x\(String(code, radix: 16)) at byte \(position - 1), which is not known")
        }
        return true
    }

    private static func refusal(_ name: String) -> Failure {
        Failure("names \(name.prefix(200).debugDescription); only tensors are read, nothing is called")
    }

    // MARK: What may be named

    private static let dtypes: Set<String> = [
        "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint64", "uint32",
        "uint16", "uint8", "bool", "complex64", "complex128", "float8_e4m3fn", "float8_e4m3fnuz",
        "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
    ]
    private static let storages: Set<String> = [
        "DoubleStorage", "FloatStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "IntStorage",
        "ShortStorage", "CharStorage", "ByteStorage", "BoolStorage", "ComplexFloatStorage",
        "ComplexDoubleStorage", "QInt8Storage", "QUInt8Storage", "QInt32Storage",
    ]
    private static let others: Set<String> = [
        "collections.OrderedDict", "torch.Size", "torch.device", "torch.storage.UntypedStorage",
        "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3",
        "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
    ]

    private func global(_ module: String, _ name: String) throws -> Value {
        let full = "\(module).\(name)"
        let isType = module == "torch" && (Self.dtypes.contains(name) || Self.storages.contains(name))
        guard isType || Self.others.contains(full) else { throw Self.refusal(full) }
        return .global(full)
    }

    /// What the pickle means by calling one of the names above.
    private func reduce(_ function: Value, _ arguments: Value) throws -> Object {
        guard case .global(let name) = function else { throw Failure("calls something that is not a name") }
        guard let arguments = tuple(arguments) else {
            throw Failure("calls \(name) with something that is not a tuple")
        }
        switch name {
        case "collections.OrderedDict": return try .dictionary(ordered(arguments))
        case "torch.Size":
            guard arguments.count == 1, let lengths = tuple(arguments[0]) else { break }
            return .tuple(lengths)
        case "torch.device": return .tuple([])
        case "torch._utils._rebuild_tensor":
            guard arguments.count == 4 else { break }
            return try .tensor(tensor(arguments, name))
        case "torch._utils._rebuild_tensor_v2":
            // A seventh argument marks conjugates and negatives, whose values are not what is stored.
            guard arguments.count == 6 else { break }
            return try .tensor(tensor(arguments, name))
        case "torch._utils._rebuild_tensor_v3":
            guard arguments.count == 7, case .global(let dtype) = arguments[6] else { break }
            return try .tensor(tensor(arguments, name, dtype: dtype))
        case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
            guard let first = arguments.first, case .object(let index) = first,
                case .tensor = objects[index]
            else { break }
            return objects[index]
        default: throw Self.refusal(name)
        }
        throw Failure("calls \(name) with \(arguments.count) arguments that do not fit")
    }

    private func tensor(_ arguments: [Value], _ name: String, dtype: String? = nil) throws -> Tensor {
        guard case .object(let index) = arguments[0], case .storage(let storage) = objects[index],
            case .integer(let offset) = arguments[1], let shape = integers(arguments[2]),
            let strides = integers(arguments[3])
        else { throw Failure("calls \(name) with arguments that do not fit") }
        return Tensor(storage: storage, dtype: dtype, offset: offset, shape: shape, strides: strides)
    }

    private func storage(_ value: Value) throws -> Storage {
        guard let fields = tuple(value), fields.count >= 5, case .text("storage") = fields[0],
            case .global(let type) = fields[1], case .text(let key) = fields[2],
            case .integer = fields[4]
        else { throw Failure("refers to something outside that is not a storage") }
        return Storage(type: type, key: key)
    }

    /// The pairs of `OrderedDict()` or `OrderedDict([(key, value), …])`.
    private func ordered(_ arguments: [Value]) throws -> [(key: Value, value: Value)] {
        guard let list = arguments.first else { return [] }
        guard arguments.count == 1, case .object(let index) = list, case .list(let items) = objects[index]
        else { throw Failure("calls collections.OrderedDict with arguments that do not fit") }
        return try items.map { item in
            guard let pair = sequence(item), pair.count == 2 else {
                throw Failure("calls collections.OrderedDict with arguments that do not fit")
            }
            return (pair[0], pair[1])
        }
    }

    // MARK: Values

    private func tuple(_ value: Value) -> [Value]? {
        guard case .object(let index) = value, case .tuple(let values) = objects[index] else { return nil }
        return values
    }

    private func sequence(_ value: Value) -> [Value]? {
        guard case .object(let index) = value else { return nil }
        switch objects[index] {
        case .tuple(let values), .list(let values): return values
        default: return nil
        }
    }

    private func integers(_ value: Value) -> [Int]? {
        guard let values = sequence(value) else { return nil }
        var integers: [Int] = []
        for value in values {
            guard case .integer(let number) = value else { return nil }
            integers.append(number)
        }
        return integers
    }

    private func pairs(_ values: [Value]) throws -> [(key: Value, value: Value)] {
        guard values.count % 2 == 0 else { throw Failure("has a key without a value") }
        return stride(from: 0, to: values.count, by: 2).map { (values[$0], values[$0 + 1]) }
    }

    private mutating func append(_ values: [Value]) throws {
        guard case .object(let index) = try top(), case .list(var list) = objects[index] else {
            throw Failure("appends to what is not a list")
        }
        objects[index] = .tuple([])  // so that the list is not copied
        list += values
        objects[index] = .list(list)
    }

    private mutating func insert(_ values: [Value]) throws {
        guard case .object(let index) = try top(), case .dictionary(var dictionary) = objects[index] else {
            throw Failure("sets a key of what is not a dictionary")
        }
        objects[index] = .tuple([])
        dictionary += try pairs(values)
        objects[index] = .dictionary(dictionary)
    }

    // MARK: Stack

    private mutating func push(_ object: Object) throws {
        guard objects.count < Self.objectLimit else {
            throw Failure("holds more than \(Self.objectLimit) objects")
        }
        stack.append(.object(objects.count))
        objects.append(object)
    }

    private func top() throws -> Value {
        guard stack.count > marks.last ?? 0 else { throw Failure("takes from an empty stack") }
        return stack[stack.count - 1]
    }

    private mutating func pop() throws -> Value {
        let value = try top()
        stack.removeLast()
        return value
    }

    private mutating func pop(_ count: Int) throws -> [Value] {
        guard stack.count - (marks.last ?? 0) >= count else { throw Failure("takes from an empty stack") }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    private mutating func popToMark() throws -> [Value] {
        guard let mark = marks.popLast() else { throw Failure("looks for a mark that is not there") }
        defer { stack.removeSubrange(mark...) }
        return Array(stack[mark...])
    }

    private func remembered(_ index: Int) throws -> Value {
        guard let value = memo[index] else { throw Failure("recalls \(index), which it never stored") }
        return value
    }

    // MARK: Bytes

    private mutating func take(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard count <= bytes.count - position else { throw Failure("is cut short") }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<(position + count)])
    }

    private mutating func byte() throws -> Int { Int(try take(1)[0]) }

    /// An unsigned little-endian number of at most eight bytes.
    private mutating func number(_ size: Int) throws -> Int {
        let value = try take(size).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard let value = Int(exactly: value) else { throw Failure("is cut short") }
        return value
    }

    /// A signed little-endian number of any size.
    private mutating func long(_ size: Int) throws -> Value {
        let bytes = try take(size)
        guard let last = bytes.last else { return .integer(0) }
        guard size <= 8 else { return .other }
        let start: Int = last & 0x80 == 0 ? 0 : -1
        return .integer(bytes.reversed().reduce(start) { $0 << 8 | Int($1) })
    }

    private mutating func text(_ size: Int) throws -> Value {
        .text(String(decoding: try take(size), as: UTF8.self))
    }

    private mutating func skip(_ size: Int) throws {
        _ = try take(size)
        stack.append(.other)
    }

    /// The text before the next line feed.
    private mutating func line() throws -> String {
        guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else {
            throw Failure("is cut short")
        }
        defer { position = end + 1 }
        return String(decoding: bytes[position..<end], as: UTF8.self)
    }
}
