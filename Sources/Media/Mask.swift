/// The pixels of one thing, run-length encoded as COCO does: column by column from the left, the
/// lengths of alternating runs of background and foreground, background first.
public struct Mask: Sendable, Hashable {
    /// Pixels of the whole picture, not of the thing.
    public let width: Int
    /// Pixels of the whole picture, not of the thing.
    public let height: Int
    /// The lengths of the runs; they add up to `width * height`.
    public let counts: [Int]

    /// - Throws: `MediaError.invalid` when the runs are negative or do not fill the picture.
    public init(width: Int, height: Int, counts: [Int]) throws(MediaError) {
        try Self.check(width, height)
        var rest = width * height
        for count in counts {
            guard count >= 0 else { throw .invalid("mask of \(width) x \(height): run of \(count) pixels") }
            rest -= count
            guard rest >= 0 else { break }
        }
        guard rest == 0 else {
            throw .invalid("mask of \(width) x \(height): runs do not add up to \(width * height) pixels")
        }
        self.init(unchecked: width, height, counts)
    }

    /// Encodes a bitmap, given row by row from the top; anything but 0 is foreground.
    ///
    /// - Throws: `MediaError.invalid` when the bitmap does not hold `width * height` values.
    public init(width: Int, height: Int, bitmap: [UInt8]) throws(MediaError) {
        try Self.check(width, height, bitmap.count)
        self.init(
            unchecked: width, height,
            bitmap.withUnsafeBufferPointer { bits in
                Self.runs(width, height) { bits[$0] != 0 }
            })
    }

    /// Encodes a bitmap, given row by row from the top.
    ///
    /// - Throws: `MediaError.invalid` when the bitmap does not hold `width * height` values.
    public init(width: Int, height: Int, bitmap: [Bool]) throws(MediaError) {
        try Self.check(width, height, bitmap.count)
        self.init(
            unchecked: width, height,
            bitmap.withUnsafeBufferPointer { bits in
                Self.runs(width, height) { bits[$0] }
            })
    }

    init(unchecked width: Int, _ height: Int, _ counts: [Int]) {
        self.width = width
        self.height = height
        self.counts = counts
    }

    /// The number of foreground pixels.
    public var area: Int { stride(from: 1, to: counts.count, by: 2).reduce(0) { $0 + counts[$1] } }

    /// Whether there is no foreground at all.
    public var isEmpty: Bool { area == 0 }

    /// One byte a pixel, row by row from the top: 1 where the mask is, else 0.
    public var bitmap: [UInt8] {
        var bits = [UInt8](repeating: 0, count: width * height)
        bits.withUnsafeMutableBufferPointer { bits in
            for run in foreground {
                var (x, y) = run.lowerBound.quotientAndRemainder(dividingBy: height)
                for _ in run {
                    bits[y * width + x] = 1
                    y += 1
                    if y == height { (x, y) = (x + 1, 0) }
                }
            }
        }
        return bits
    }

    /// The smallest box around the foreground; all zeros for an empty mask, as pycocotools has it.
    public var boundingBox: Box {
        var (left, right, top, bottom) = (width, -1, height, -1)
        for run in foreground where !run.isEmpty {
            let (firstX, firstY) = run.lowerBound.quotientAndRemainder(dividingBy: height)
            let (lastX, lastY) = (run.upperBound - 1).quotientAndRemainder(dividingBy: height)
            left = min(left, firstX)
            right = max(right, lastX)
            // A run into the next column touches both the bottom and the top row.
            top = min(top, firstX == lastX ? firstY : 0)
            bottom = max(bottom, firstX == lastX ? lastY : height - 1)
        }
        guard right >= 0 else { return Box(x: 0, y: 0, width: 0, height: 0) }
        return Box(
            x: Double(left), y: Double(top), width: Double(right - left + 1), height: Double(bottom - top + 1)
        )
    }

    /// Positions of the foreground runs, counted down the columns.
    private var foreground: [Range<Int>] {
        var position = 0
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(counts.count / 2)
        for (index, count) in counts.enumerated() {
            if index % 2 == 1 { ranges.append(position..<position + count) }
            position += count
        }
        return ranges
    }

    private static func runs(_ width: Int, _ height: Int, _ isSet: (Int) -> Bool) -> [Int] {
        var counts: [Int] = []
        var current = false
        var length = 0
        for x in 0..<width {
            var index = x
            for _ in 0..<height {
                if isSet(index) != current {
                    counts.append(length)
                    length = 0
                    current.toggle()
                }
                length += 1
                index += width
            }
        }
        counts.append(length)
        return counts
    }

    /// Masks outlive their pictures in files from elsewhere: a size that lies must not overflow.
    static func check(_ width: Int, _ height: Int, _ given: Int? = nil) throws(MediaError) {
        let longest = 1 << 20
        guard (1...longest).contains(width), (1...longest).contains(height),
            width * height <= UInt32.max
        else {
            throw .invalid("mask of \(width) x \(height): sides must be 1 to \(longest), pixels below 2^32")
        }
        if let given, given != width * height {
            throw .invalid("mask of \(width) x \(height): \(given) values, not \(width * height)")
        }
    }
}

// MARK: - Sets of pixels

extension Mask {
    /// The pixels in any of the masks.
    ///
    /// - Throws: `MediaError.invalid` when there is none, or their sizes differ.
    public static func union(_ masks: [Mask]) throws(MediaError) -> Mask {
        try merged(masks) { $0 || $1 }
    }

    /// The pixels in all of the masks.
    ///
    /// - Throws: `MediaError.invalid` when there is none, or their sizes differ.
    public static func intersection(_ masks: [Mask]) throws(MediaError) -> Mask {
        try merged(masks) { $0 && $1 }
    }

    /// Intersection over union, 0 to 1.
    ///
    /// - Parameters:
    ///   - other: a mask of the same size.
    ///   - isCrowd: `other` is a COCO crowd region, of which a part is as good as the whole: the
    ///     denominator is this mask's own area.
    /// - Throws: `MediaError.invalid` when the sizes differ.
    public func iou(_ other: Mask, isCrowd: Bool = false) throws(MediaError) -> Double {
        try Self.checkSame(self, other)
        var shared = 0
        Self.walk(self, other) { length, a, b in
            if a && b { shared += length }
        }
        let whole = isCrowd ? area : area + other.area - shared
        return whole == 0 ? 0 : Double(shared) / Double(whole)
    }

    private static func merged(
        _ masks: [Mask], keep: (Bool, Bool) -> Bool
    ) throws(MediaError) -> Mask {
        guard var result = masks.first else { throw .invalid("no masks to merge") }
        for mask in masks.dropFirst() {
            try checkSame(result, mask)
            var counts: [Int] = []
            var current = false
            var pending = 0
            walk(result, mask) { length, a, b in
                if keep(a, b) != current {
                    counts.append(pending)
                    pending = 0
                    current.toggle()
                }
                pending += length
            }
            counts.append(pending)
            result = Mask(unchecked: result.width, result.height, counts)
        }
        return result
    }

    private static func checkSame(_ a: Mask, _ b: Mask) throws(MediaError) {
        guard a.width == b.width && a.height == b.height else {
            throw .invalid("masks of \(a.width) x \(a.height) and \(b.width) x \(b.height) do not match")
        }
    }

    /// Visits the stretches over which neither mask changes.
    private static func walk(_ a: Mask, _ b: Mask, _ visit: (Int, Bool, Bool) -> Void) {
        var (i, j) = (0, 0)
        var (restA, restB) = (a.counts.first ?? 0, b.counts.first ?? 0)
        while i < a.counts.count && j < b.counts.count {
            let length = min(restA, restB)
            if length > 0 { visit(length, i % 2 == 1, j % 2 == 1) }
            restA -= length
            restB -= length
            if restA == 0 {
                i += 1
                if i < a.counts.count { restA = a.counts[i] }
            }
            if restB == 0 {
                j += 1
                if j < b.counts.count { restB = b.counts[j] }
            }
        }
    }
}

// MARK: - COCO's string

extension Mask {
    /// The runs as COCO's compressed string: from the third on the difference to the run two before, in
    /// groups of five bits, least significant first, each as one character from "0".
    public var cocoString: String {
        var bytes: [UInt8] = []
        for (index, count) in counts.enumerated() {
            var value = index > 2 ? count - counts[index - 2] : count
            var hasMore = true
            while hasMore {
                let group = value & 0x1F
                value >>= 5
                // Done once the rest is only the sign that the group's highest bit already states.
                hasMore = group & 0x10 != 0 ? value != -1 : value != 0
                bytes.append(UInt8(group | (hasMore ? 0x20 : 0)) + 48)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Decodes COCO's compressed string.
    ///
    /// - Throws: `MediaError.invalid` when the string is not one, or its runs do not fill the picture.
    public init(width: Int, height: Int, cocoString: String) throws(MediaError) {
        var counts: [Int] = []
        var value = 0
        var shift = 0
        for character in cocoString.utf8 {
            guard (48..<112).contains(character), shift <= 30 else {
                throw .invalid("mask of \(width) x \(height): not a COCO run-length string")
            }
            let group = Int(character) - 48
            value |= (group & 0x1F) << shift
            shift += 5
            guard group & 0x20 == 0 else { continue }
            if group & 0x10 != 0 { value |= -1 << shift }
            counts.append(counts.count > 2 ? value + counts[counts.count - 2] : value)
            guard counts.last! >= 0, counts.last! <= UInt32.max else {
                throw .invalid("mask of \(width) x \(height): run of \(counts.last!) pixels")
            }
            (value, shift) = (0, 0)
        }
        guard shift == 0 else {
            throw .invalid("mask of \(width) x \(height): its COCO run-length string is cut short")
        }
        try self.init(width: width, height: height, counts: counts)
    }
}

/// COCO's JSON: `{"size": [height, width], "counts": "…"}`; plain lists of runs are read as well.
extension Mask: Codable {
    private enum CodingKeys: String, CodingKey {
        case size, counts
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let size = try container.decode([Int].self, forKey: .size)
        guard size.count == 2 else {
            throw DecodingError.dataCorruptedError(
                forKey: .size, in: container, debugDescription: "a mask's size is [height, width]")
        }
        if let string = try? container.decode(String.self, forKey: .counts) {
            try self.init(width: size[1], height: size[0], cocoString: string)
        } else {
            try self.init(
                width: size[1], height: size[0], counts: container.decode([Int].self, forKey: .counts))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode([height, width], forKey: .size)
        try container.encode(cocoString, forKey: .counts)
    }
}
