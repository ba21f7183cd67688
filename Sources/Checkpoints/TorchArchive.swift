internal import NN
public import Torch

/// What `torch.save` writes (`.bin`, `.pt`, `.pth`): a zip archive, memory-mapped, with a pickle that says
/// which tensors lie where. The pickle is read as data; nothing in it is called, and one that names anything
/// else than tensors is refused.
///
/// Tensors are named by their place in nested dictionaries and lists, joined by dots. Where the outermost
/// dictionary holds no tensor itself but one dictionary under a name of ``wrappers``, only that one's tensors
/// are there, and ``wrapper`` says so: what else a training leaves beside its weights is passed over.
///
/// Format: torch 1.6 and later, torch/serialization.py, `_save`.
public final class TorchArchive: CheckpointSource {
    public let path: String
    public let entries: [String: TensorEntry]
    /// The name of the dictionary that holds the tensors, when there is one around it.
    public let wrapper: String?
    private let places: [String: Place]
    private let mapping: FileMapping

    public var label: String { path }

    /// Under which names trainings keep the weights.
    public static let wrappers = ["model", "module", "state_dict", "model_state_dict"]

    /// Where a tensor's storage lies, and how the tensor looks at it.
    private struct Place {
        /// Bytes from the start of the file.
        let start: Int
        /// Elements from there that belong to the storage.
        let extent: Int
        let strides: [Int]
    }

    /// - Throws: ``CheckpointError`` for a file that is missing, cut short, of the form before torch 1.6, compressed,
    ///   big-endian, or whose pickle is anything but tensors in dictionaries and lists.
    public init(_ path: String) throws {
        let mapping = try FileMapping(path)
        func refuse(_ reason: String) -> CheckpointError { CheckpointError(path: path, reason: reason) }
        if mapping.bytes.starts(with: Self.oldMagic) {
            throw refuse("has the form before torch 1.6; load it with torch and save it again")
        }
        let zip = try ZipArchive(mapping.bytes, path: path)
        let pickles = zip.names.filter { $0.hasSuffix("/data.pkl") }
        guard let name = pickles.first, pickles.count == 1 else {
            throw refuse("holds \(pickles.count) files data.pkl, an archive of torch has one")
        }
        let folder = name.dropLast("data.pkl".count)
        if let order = try zip.range(of: "\(folder)byteorder"),
            !mapping.bytes[order].elementsEqual("little".utf8)
        {
            throw refuse("was saved on a big-endian machine, only little-endian archives are read")
        }
        let range = try zip.range(of: name)!
        let tensors: Tensors
        do {
            let pickle = try Pickle(UnsafeRawBufferPointer(rebasing: mapping.bytes[range]))
            tensors = try Tensors(pickle)
        } catch let failure as Pickle.Failure {
            throw refuse("\(name) \(failure.reason)")
        }
        var entries: [String: TensorEntry] = [:]
        var places: [String: Place] = [:]
        for (name, tensor) in tensors.named {
            do {
                let storage = try zip.range(of: "\(folder)data/\(tensor.storage.key)")
                (entries[name], places[name]) = try Self.place(tensor, in: storage)
            } catch let failure as Pickle.Failure {
                throw refuse("tensor \(name) \(failure.reason)")
            }
        }
        self.path = path
        self.entries = entries
        self.places = places
        self.mapping = mapping
        wrapper = tensors.wrapper
    }

    /// A tensor over the mapped file, whose pages are copied when they are written to; it stays valid after
    /// this object is gone. Tensors that share a storage share memory here, too.
    public func tensor(named name: String) throws -> Tensor? {
        guard let entry = entries[name], let place = places[name] else { return nil }
        guard !entry.shape.contains(0) else { return try Tensor.zeros(entry.shape, dtype: entry.dtype) }
        let address = mapping.bytes.baseAddress! + place.start
        if place.strides == contiguousStrides(entry.shape) {
            return try aligned(Tensor(over: address, entry.shape, entry.dtype, owner: mapping), address)
        }
        let flat = try aligned(Tensor(over: address, [place.extent], entry.dtype, owner: mapping), address)
        return try asStrided(flat, entry.shape, place.strides, 0)
    }

    /// A copy where the data does not lie at a multiple of its elements' size: other tools than torch pack
    /// archives so.
    private func aligned(_ tensor: Tensor, _ address: UnsafeRawPointer) throws -> Tensor {
        Int(bitPattern: address) % tensor.dtype.size == 0 ? tensor : try tensor.clone()
    }

    /// The number that pickles of old archives begin with.
    private static let oldMagic: [UInt8] = [
        0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19,
    ]

    private static func place(_ tensor: Pickle.Tensor, in range: Range<Int>?) throws -> (TensorEntry, Place) {
        let storage = tensor.storage
        let dtypeName = tensor.dtype ?? storage.type
        guard let dtype = dtypes[dtypeName] else {
            throw Pickle.Failure("has dtype \(dtypeName), which is not supported")
        }
        guard let range else { throw Pickle.Failure("lies in data/\(storage.key), which is not there") }
        let (shape, strides) = (tensor.shape, tensor.strides)
        guard shape.count == strides.count, shape.allSatisfy({ $0 >= 0 }), strides.allSatisfy({ $0 >= 0 }),
            tensor.offset >= 0
        else { throw Pickle.Failure("has the impossible shape \(shape) and strides \(strides)") }
        // Views may show an element many times, but what they show must be possible to hold.
        var bytes = dtype.size
        var last = tensor.offset
        for (length, stride) in zip(shape, strides) {
            let (product, tooMany) = bytes.multipliedReportingOverflow(by: max(length, 1))
            let (reach, tooFar) = max(length - 1, 0).multipliedReportingOverflow(by: stride)
            let (sum, outside) = last.addingReportingOverflow(reach)
            guard !tooMany, !tooFar, !outside, product <= byteLimit else {
                throw Pickle.Failure("has the impossible shape \(shape) and strides \(strides)")
            }
            (bytes, last) = (product, sum)
        }
        if shape.contains(0) {
            return (TensorEntry(dtype, shape), Place(start: 0, extent: 0, strides: strides))
        }
        let available = range.count / dtype.size
        guard last < available else {
            throw Pickle.Failure(
                "of shape \(shape) reaches element \(last) of its storage, which has \(available)")
        }
        return (
            TensorEntry(dtype, shape),
            Place(
                start: range.lowerBound + tensor.offset * dtype.size, extent: last - tensor.offset + 1,
                strides: strides)
        )
    }

    /// Of one tensor; sums over all tensors then stay within an integer.
    private static let byteLimit = 1 << 42

    private static let dtypes: [String: DType] = [
        "torch.DoubleStorage": .float64, "torch.FloatStorage": .float32, "torch.HalfStorage": .float16,
        "torch.BFloat16Storage": .bfloat16, "torch.LongStorage": .int64, "torch.IntStorage": .int32,
        "torch.ShortStorage": .int16, "torch.CharStorage": .int8, "torch.ByteStorage": .uint8,
        "torch.BoolStorage": .bool, "torch.float64": .float64, "torch.float32": .float32,
        "torch.float16": .float16, "torch.bfloat16": .bfloat16, "torch.int64": .int64, "torch.int32": .int32,
        "torch.int16": .int16, "torch.int8": .int8, "torch.uint8": .uint8, "torch.bool": .bool,
    ]
}

private let asStrided = Operator("as_strided")

private func contiguousStrides(_ shape: [Int]) -> [Int] {
    var strides: [Int] = []
    var stride = 1
    for length in shape.reversed() {
        strides.insert(stride, at: 0)
        stride *= max(length, 1)
    }
    return strides
}

/// The tensors of a pickle by name.
private struct Tensors {
    private(set) var named: [String: Pickle.Tensor] = [:]
    private(set) var wrapper: String?

    static let depthLimit = 32
    static let nameLimit = 4096
    static let visitLimit = 1_000_000
    /// Of all names together: a container that lies in many places gives its tensors a name for each.
    static let nameBytesLimit = 64 << 20
    private var visits = 0
    private var nameBytes = 0

    init(_ pickle: Pickle) throws {
        var root = pickle.root
        if let (name, inner) = Self.unwrap(root, pickle) { (wrapper, root) = (name, inner) }
        try visit(root, "", 0, pickle)
    }

    private static func unwrap(_ root: Pickle.Value, _ pickle: Pickle) -> (String, Pickle.Value)? {
        guard case .object(let index) = root, case .dictionary(let pairs) = pickle.objects[index] else {
            return nil
        }
        var found: [(String, Pickle.Value)] = []
        for (key, value) in pairs {
            guard case .object(let inner) = value else { continue }
            switch pickle.objects[inner] {
            case .tensor: return nil
            case .dictionary:
                if case .text(let name) = key, TorchArchive.wrappers.contains(name) {
                    found.append((name, value))
                }
            default: break
            }
        }
        return found.count == 1 ? found[0] : nil
    }

    private mutating func visit(_ value: Pickle.Value, _ name: String, _ depth: Int, _ pickle: Pickle) throws
    {
        visits += 1
        guard depth <= Self.depthLimit else {
            throw Pickle.Failure("is nested deeper than \(Self.depthLimit) containers")
        }
        guard visits <= Self.visitLimit, name.utf8.count <= Self.nameLimit else {
            throw Pickle.Failure(
                "holds more than \(Self.visitLimit) values, or names longer than \(Self.nameLimit) bytes")
        }
        guard case .object(let index) = value else { return }
        func child(_ key: String) -> String { name.isEmpty ? key : "\(name).\(key)" }
        switch pickle.objects[index] {
        case .storage: return
        case .tensor(let tensor):
            guard !name.isEmpty else { throw Pickle.Failure("holds a tensor without a name") }
            nameBytes += name.utf8.count
            guard nameBytes <= Self.nameBytesLimit else {
                throw Pickle.Failure("holds tensors whose names take more than \(Self.nameBytesLimit) bytes")
            }
            guard named.updateValue(tensor, forKey: name) == nil else {
                throw Pickle.Failure("holds two tensors of the name \(name)")
            }
        case .tuple(let values), .list(let values):
            for (number, value) in values.enumerated() {
                try visit(value, child("\(number)"), depth + 1, pickle)
            }
        case .dictionary(let pairs):
            for (key, value) in pairs {
                guard case .object = value else { continue }
                switch key {
                case .text(let text): try visit(value, child(text), depth + 1, pickle)
                case .integer(let number): try visit(value, child("\(number)"), depth + 1, pickle)
                default: throw Pickle.Failure("has a key that is neither text nor a whole number")
                }
            }
        }
    }
}
