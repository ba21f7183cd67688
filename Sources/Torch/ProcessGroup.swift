internal import CTorch

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Darwin)
    internal import Darwin
#endif

/// Processes that train one model together, by c10d: Gloo between CPUs, NCCL between CUDA devices.
///
/// Every rank must make the same calls in the same order. Apart from them the ranks hear of one another's end at once: a
/// rank whose process ends without ``leave()`` makes every call of the others throw ``LostRankError``, and ends a
/// process that does not notice within ``grace`` seconds.
public final class ProcessGroup {
    /// This process's number, from 0.
    public let rank: Int
    /// How many processes there are.
    public let count: Int
    /// Where the tensors of the calls lie.
    public let device: Device

    /// Seconds that a process has to end by itself when another is gone.
    public static let grace = 5.0

    private var reference: vt_group_t?

    /// Where the ranks meet.
    public struct Meeting: Sendable, Hashable {
        public var host: String
        public var port: Int
        public var rank: Int
        public var count: Int
        /// The rank's number among those of its machine, which is that of its GPU.
        public var localRank = 0
        /// Whether the launcher listens at the port already, as torchrun's agent does, and not rank 0.
        public var launcherListens = false
        /// Keeps apart what several attempts write to a launcher's store.
        public var prefix = "vitrail"

        public init(host: String, port: Int, rank: Int, count: Int) {
            self.host = host
            self.port = port
            self.rank = rank
            self.count = count
        }

        /// Reads `RANK`, `WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT` as torchrun and others set them, and
        /// `LOCAL_RANK` where it is; nil where neither of the first two is set.
        ///
        /// - Throws: ``TorchError`` that names the variable which is missing or no number in its bounds.
        public init?(environment: [String: String]) throws {
            guard environment["RANK"] != nil || environment["WORLD_SIZE"] != nil else { return nil }
            func text(_ name: String) throws -> String {
                guard let value = environment[name], !value.isEmpty else {
                    throw Self.error(
                        "\(name) is not set; RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT are needed")
                }
                return value
            }
            func number(_ name: String, _ range: Range<Int>) throws -> Int {
                let value = try text(name)
                guard let number = Int(value), range.contains(number) else {
                    throw Self.error(
                        "\(name) is \(value), \(range.lowerBound) to \(range.upperBound - 1) is possible")
                }
                return number
            }
            count = try number("WORLD_SIZE", 1..<65_537)
            rank = try number("RANK", 0..<count)
            host = try text("MASTER_ADDR")
            port = try number("MASTER_PORT", 1..<65_536)
            localRank = environment["LOCAL_RANK"] == nil ? 0 : try number("LOCAL_RANK", 0..<count)
            launcherListens = environment["TORCHELASTIC_USE_AGENT_STORE"] == "True"
            prefix = "vitrail/\(environment["TORCHELASTIC_RESTART_COUNT"] ?? "0")"
        }

        private static func error(_ message: String) -> TorchError {
            TorchError(kind: .value, operation: "process group", message: message)
        }
    }

    /// Joins the other ranks.
    ///
    /// - Parameters:
    ///   - meeting: where, and as which rank.
    ///   - device: the CPU, or this rank's own GPU.
    ///   - timeout: seconds to wait for the others, here and in every call.
    /// - Throws: ``TorchError`` when not all came in time.
    public init(_ meeting: Meeting, device: Device = .cpu, timeout: Double = 600) throws {
        rank = meeting.rank
        count = meeting.count
        self.device = device
        var out: vt_group_t?
        let status = vt_group_join(
            meeting.host, Int32(meeting.port), Int32(rank), Int32(count), meeting.launcherListens,
            meeting.prefix, device.kind.rawValue, Int32(device.index), timeout, Self.grace,
            { rank, count in
                let error = LostRankError(rank: Int(rank), count: Int(count))
                _ = "vitrail: \(error)\n".utf8CString.withUnsafeBytes {
                    write(2, $0.baseAddress!, $0.count - 1)
                }
                _exit(70)
            }, &out)
        try check(status, "process group at \(meeting.host):\(meeting.port)")
        reference = out
    }

    /// Says goodbye: the others do not miss this rank. To be called when its work is done.
    public func leave() { leave(well: true) }

    deinit { leave(well: false) }

    private func leave(well: Bool) {
        if let reference { vt_group_leave(reference, well) }
        reference = nil
    }

    /// Throws when another rank is gone; for long work between two calls.
    public func checkOthers() throws {
        if let reference { try refuse(vt_group_lost(reference, 0)) }
    }

    private func refuse(_ lost: Int32) throws {
        if lost >= 0 { throw LostRankError(rank: Int(lost), count: count) }
    }

    private func perform(_ operation: String, _ body: (vt_group_t) -> vt_status) throws {
        guard let reference else {
            throw TorchError(kind: .value, operation: operation, message: "this rank has left the group")
        }
        do {
            try check(body(reference), operation)
        } catch {
            // What Gloo says of a peer that is gone names no rank; its line does, a moment later.
            try refuse(vt_group_lost(reference, Self.grace))
            throw error
        }
    }

    // MARK: Calls

    /// Bytes that are sent at once.
    private static let bufferBytes = 256 << 20

    /// Adds the tensors of all ranks, in place: every rank ends with the same bits.
    public func sum(_ tensors: [Tensor]) throws {
        try inBuffers(tensors) { buffer in
            try perform("all_reduce") { vt_group_all_reduce($0, buffer.reference) }
        }
    }

    /// Overwrites the tensors with those of the rank `root`.
    public func broadcast(_ tensors: [Tensor], from root: Int = 0) throws {
        try inBuffers(tensors) { buffer in
            try perform("broadcast") { vt_group_broadcast($0, buffer.reference, Int32(root)) }
        }
    }

    /// Waits until every rank is here.
    public func barrier() throws { try perform("barrier") { vt_group_barrier($0) } }

    /// What every rank gave, by rank.
    public func gather(_ bytes: [UInt8]) throws -> [[UInt8]] {
        let lengths = try Tensor.zeros([count], dtype: .int64, device: device)
        try lengths.assign(Double(bytes.count), at: rank)
        try sum([lengths])
        let counts = try lengths.array(Int.self)
        let longest = counts.max()!
        let all = try Tensor.zeros([count, longest], dtype: .uint8, device: device)
        if !bytes.isEmpty { try all.assign(Tensor(bytes).to(device), at: rank, 0..<bytes.count) }
        try sum([all])
        let gathered = try all.array(UInt8.self)
        return counts.enumerated().map { Array(gathered[$0 * longest..<$0 * longest + $1]) }
    }

    /// Calls `body` with tensors of one dtype joined into flat buffers, and copies what it leaves there back.
    private func inBuffers(_ tensors: [Tensor], _ body: (Tensor) throws -> Void) throws {
        try withoutGrad {
            var rest = tensors[...]
            while let first = rest.first {
                var bytes = 0
                let part = rest.prefix { tensor in
                    defer { bytes += tensor.count * tensor.dtype.size }
                    return tensor.dtype == first.dtype && bytes < Self.bufferBytes
                }
                rest = rest.dropFirst(part.count)
                let buffer = try Tensor.cat(part.map { try $0.detached().reshaped(-1).to(device) })
                try body(buffer)
                var start = 0
                for tensor in part {
                    try tensor.copy(from: buffer.narrowed(0, start, tensor.count).view(tensor.shape))
                    start += tensor.count
                }
            }
        }
    }
}

/// Another process of the group has ended.
public struct LostRankError: Error, CustomStringConvertible, Sendable {
    public let rank: Int
    public let count: Int

    public var description: String {
        "rank \(rank) of \(count) is gone: its process has ended, and the others end with it"
    }
}
