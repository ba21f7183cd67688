#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The members of a tar archive: their names, and where their bytes are. Only headers are read.
///
/// ustar with its prefix, GNU's long names and pax' paths and sizes are understood; compressed archives are not.
struct TarIndex {
    struct Member {
        var name: String
        var offset: Int
        var length: Int
    }

    let members: [Member]
    /// Why there are no more of them, where the archive is cut short or damaged after the first.
    private(set) var damage: String?

    /// - Throws: ``LabelError`` for what is no tar archive.
    init(_ path: String) throws(LabelError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw .unreadable(path, reason: String(cString: strerror(errno)).lowercased())
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else {
            throw .unreadable(path, reason: String(cString: strerror(errno)).lowercased())
        }
        let size = Int(status.st_size)
        func read(_ offset: Int, _ length: Int) throws(LabelError) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: length)
            var count = 0
            while count < length {
                let read = bytes.withUnsafeMutableBytes {
                    pread(file, $0.baseAddress! + count, length - count, off_t(offset + count))
                }
                guard read > 0 else {
                    throw .invalid(path, reason: "the archive is cut short at byte \(offset)")
                }
                count += read
            }
            return bytes
        }
        var members: [Member] = []
        var position = 0
        var longName: String?
        var longSize: Int?
        while position < size {
            guard position + 512 <= size else {
                damage = "the archive is cut short at byte \(position)"
                break
            }
            let header = try read(position, 512)
            if header.allSatisfy({ $0 == 0 }) { break }
            let known = header.indices.reduce(0) { $0 + ((148..<156).contains($1) ? 32 : Int(header[$1])) }
            guard Self.octal(header[148..<156]) == known, let stated = Self.octal(header[124..<136]) else {
                let reason = Self.reason(header, at: position)
                guard position > 0 else { throw .invalid(path, reason: reason) }
                damage = reason
                break
            }
            let length = longSize ?? stated
            let (offset, kind) = (position + 512, header[156])
            guard length >= 0, length <= size - offset else {
                damage = "the archive is cut short: a member at byte \(position) goes on past its end"
                break
            }
            position = offset + (length + 511) / 512 * 512
            switch kind {
            case UInt8(ascii: "L"):
                longName = Self.text(try read(offset, min(length, 1 << 16))[...])
            case UInt8(ascii: "x"):
                for (key, value) in Self.pax(try read(offset, min(length, 1 << 20))) {
                    if key == "path" { longName = value }
                    if key == "size" { longSize = Int(value) }
                }
            case 0, UInt8(ascii: "0"), UInt8(ascii: "7"):
                var name = Self.text(header[0..<100])
                let prefix = header[257..<262].elementsEqual("ustar".utf8) ? Self.text(header[345..<500]) : ""
                if !prefix.isEmpty, header[263] != UInt8(ascii: " ") { name = "\(prefix)/\(name)" }
                members.append(Member(name: longName ?? name, offset: offset, length: length))
                (longName, longSize) = (nil, nil)
            case UInt8(ascii: "g"): break
            default: (longName, longSize) = (nil, nil)
            }
        }
        self.members = members
    }

    private static func reason(_ header: [UInt8], at position: Int) -> String {
        if position > 0 { return "the archive is damaged at byte \(position)" }
        return header.starts(with: [0x1F, 0x8B])
            ? "a compressed archive; members cannot be read by their place: unpack it to .tar"
            : "not a tar archive"
    }

    private static func text(_ field: ArraySlice<UInt8>) -> String {
        String(decoding: field.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// An octal number, or a binary one where the first bit is set.
    private static func octal(_ field: ArraySlice<UInt8>) -> Int? {
        if let first = field.first, first & 0x80 != 0 {
            return field.dropFirst().suffix(8).reduce(0) { $0 << 8 | Int($1) }
        }
        let digits = field.filter { $0 > 0x20 }
        return digits.isEmpty ? nil : Int(String(decoding: digits, as: UTF8.self), radix: 8)
    }

    /// Records of "length key=value".
    private static func pax(_ bytes: [UInt8]) -> [(String, String)] {
        var records: [(String, String)] = []
        var rest = bytes[...]
        while let space = rest.firstIndex(of: 0x20),
            let length = Int(String(decoding: rest[rest.startIndex..<space], as: UTF8.self)),
            length <= rest.count, rest.startIndex + length > space
        {
            let record = rest[(space + 1)..<(rest.startIndex + length)]
            if let equals = record.firstIndex(of: UInt8(ascii: "=")) {
                records.append(
                    (
                        String(decoding: record[record.startIndex..<equals], as: UTF8.self),
                        String(decoding: record[(equals + 1)...].prefix { $0 != 0x0A }, as: UTF8.self)
                    ))
            }
            rest = rest[(rest.startIndex + length)...]
        }
        return records
    }
}
