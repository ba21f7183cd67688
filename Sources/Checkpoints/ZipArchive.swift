/// The directory of a zip archive: where the bytes of its entries lie.
///
/// Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 and 4.5.3 (zip64).
struct ZipArchive {
    private var entries: [String: Range<Int>] = [:]
    private var compressed: Set<String> = []
    private let path: String

    var names: [String] { entries.keys.sorted() }

    /// Where the bytes of an entry lie; nil when there is none of that name.
    ///
    /// - Throws: ``CheckpointError`` when it is compressed.
    func range(of name: String) throws -> Range<Int>? {
        guard !compressed.contains(name) else {
            throw CheckpointError(
                path: path, reason: "entry \(name) is compressed, which torch.save never does")
        }
        return entries[name]
    }

    /// - Throws: ``CheckpointError`` for what is no archive, is cut short, or encrypted.
    init(_ bytes: UnsafeRawBufferPointer, path: String) throws {
        self.path = path
        let reader = Reader(bytes: bytes, path: path)
        let end = try reader.endRecord()
        var position = end.directory
        for _ in 0..<end.count {
            guard try reader.number(position, UInt32.self) == 0x0201_4b50 else {
                throw reader.refuse("zip directory is broken at byte \(position)")
            }
            let flags = try reader.number(position + 8, UInt16.self)
            let method = try reader.number(position + 10, UInt16.self)
            var sizes = [
                try reader.number(position + 24, UInt32.self), try reader.number(position + 20, UInt32.self),
                try reader.number(position + 42, UInt32.self),
            ]
            let nameLength = try reader.number(position + 28, UInt16.self)
            let extraLength = try reader.number(position + 30, UInt16.self)
            let commentLength = try reader.number(position + 32, UInt16.self)
            let extra = position + 46 + nameLength
            let name = String(
                decoding: try reader.slice((position + 46)..<extra, "zip directory"), as: UTF8.self)
            try reader.widen(&sizes, extra..<(extra + extraLength))
            let (size, packed, header) = (sizes[0], sizes[1], sizes[2])
            if method != 0 || size != packed { compressed.insert(name) }
            guard flags & 1 == 0 else { throw reader.refuse("entry \(name) is encrypted") }
            guard try reader.number(header, UInt32.self) == 0x0403_4b50 else {
                throw reader.refuse("entry \(name) does not begin at byte \(header)")
            }
            let start =
                try header + 30 + reader.number(header + 26, UInt16.self)
                + reader.number(header + 28, UInt16.self)
            guard start <= end.directory, packed <= end.directory - start else {
                throw reader.refuse("entry \(name) of \(packed) bytes does not fit in the file")
            }
            guard entries.updateValue(start..<(start + packed), forKey: name) == nil else {
                throw reader.refuse("entry \(name) is there twice")
            }
            position = extra + extraLength + commentLength
        }
    }

    /// Little-endian numbers, each checked to lie in the file.
    private struct Reader {
        let bytes: UnsafeRawBufferPointer
        let path: String

        func refuse(_ reason: String) -> CheckpointError { CheckpointError(path: path, reason: reason) }

        func slice(_ range: Range<Int>, _ what: String) throws -> Slice<UnsafeRawBufferPointer> {
            guard range.lowerBound >= 0, range.upperBound <= bytes.count else {
                throw refuse("\(what) reaches beyond the end of the file")
            }
            return bytes[range]
        }

        func number<Number: FixedWidthInteger & UnsignedInteger>(_ position: Int, _: Number.Type) throws
            -> Int
        {
            let size = MemoryLayout<Number>.size
            guard position >= 0, position <= bytes.count - size,
                let value = Int(
                    exactly: Number(
                        littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Number.self)))
            else { throw refuse("zip directory reaches beyond the end of the file") }
            return value
        }

        /// Where the directory begins and how many entries it has, from the record that ends the file.
        func endRecord() throws -> (directory: Int, count: Int) {
            guard bytes.count >= 22 else { throw refuse("not a zip archive: \(bytes.count) bytes") }
            var position = bytes.count - 22
            let first = max(0, position - 65_535)
            // A comment may follow the record, which says how long it is.
            while position >= first {
                if try number(position, UInt32.self) == 0x0605_4b50,
                    try position + 22 + number(position + 20, UInt16.self) == bytes.count
                {
                    break
                }
                position -= 1
            }
            guard position >= first else {
                let begins = try number(0, UInt32.self) == 0x0403_4b50
                throw refuse(
                    begins ? "is cut short: the end of the zip archive is missing" : "not a zip archive")
            }
            var count = try number(position + 10, UInt16.self)
            var size = try number(position + 12, UInt32.self)
            var directory = try number(position + 16, UInt32.self)
            if count == 0xffff || size == 0xffff_ffff || directory == 0xffff_ffff {
                guard position >= 20, try number(position - 20, UInt32.self) == 0x0706_4b50 else {
                    throw refuse("zip64 record is missing")
                }
                let record = try number(position - 12, UInt64.self)
                guard try number(record, UInt32.self) == 0x0606_4b50 else {
                    throw refuse("zip64 record is not at byte \(record)")
                }
                // The difference keeps sums of offsets within an integer.
                guard record <= bytes.count - 56 else { throw refuse("zip64 record is cut short") }
                count = try number(record + 32, UInt64.self)
                size = try number(record + 40, UInt64.self)
                directory = try number(record + 48, UInt64.self)
            }
            guard directory <= position, size <= position - directory, count <= size / 46 else {
                throw refuse("zip directory of \(count) entries and \(size) bytes does not fit in the file")
            }
            return (directory, count)
        }

        /// Replaces the sizes that 32 bits could not hold by those of the zip64 field.
        func widen(_ sizes: inout [Int], _ extra: Range<Int>) throws {
            guard sizes.contains(0xffff_ffff) else { return }
            var position = extra.lowerBound
            while position + 4 <= extra.upperBound {
                let length = try number(position + 2, UInt16.self)
                if try number(position, UInt16.self) == 1 {
                    var field = position + 4
                    for index in sizes.indices where sizes[index] == 0xffff_ffff {
                        guard field + 8 <= position + 4 + length else { break }
                        sizes[index] = try number(field, UInt64.self)
                        field += 8
                    }
                    return
                }
                position += 4 + length
            }
        }
    }
}
