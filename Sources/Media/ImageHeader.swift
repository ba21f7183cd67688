internal import InputFiles

/// What the bytes of a still picture say about it before anything is decoded.
struct ImageHeader {
    enum Format {
        case png, jpeg, webp, bmp, gif
    }

    var format: Format
    /// As stored, before the orientation is applied.
    var width: Int
    var height: Int
    /// EXIF orientation, 1 to 8.
    var orientation = 1
    /// What the decoder is given.
    var payload: [UInt8]
    /// For a JPEG: whether it carries Adobe's marker, which decides how FFmpeg treats four components.
    var hasAdobeMarker = false
    /// For a BMP: whether the fourth byte of a pixel is unused.
    var isOpaque = false

    private init(format: Format, width: Int, height: Int, payload: [UInt8]) {
        self.format = format
        self.width = width
        self.height = height
        self.payload = payload
    }

    /// Reads the header, and checks that the file is whole as far as its container tells.
    static func parse(_ bytes: [UInt8], name: String) throws(MediaError) -> ImageHeader {
        guard let format = format(of: bytes) else {
            guard let stray = InputFile.stray(bytes) else { throw .unknownFormat(name: name) }
            throw .unreadable(name: name, reason: stray)
        }
        do throws(Malformed) {
            let header =
                switch format {
                case .png: try png(bytes)
                case .jpeg: try jpeg(bytes)
                case .webp: try webp(bytes)
                case .gif: try gif(bytes)
                case .bmp: try bmp(bytes)
                }
            guard header.width > 0 && header.height > 0 else {
                throw Malformed(reason: "its header states \(header.width) x \(header.height) pixels")
            }
            return header
        } catch {
            throw .damaged(name: name, reason: error.reason)
        }
    }

    private static func format(of bytes: [UInt8]) -> Format? {
        if bytes.has([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], at: 0) { return .png }
        if bytes.has([0xFF, 0xD8, 0xFF], at: 0) { return .jpeg }
        if bytes.has("RIFF", at: 0) && bytes.has("WEBP", at: 8) { return .webp }
        if bytes.has("GIF87a", at: 0) || bytes.has("GIF89a", at: 0) { return .gif }
        // "BM" alone begins many a text; the size of the second header decides.
        if bytes.has("BM", at: 0), let size = try? bytes.little32(14), (12...124).contains(size) {
            return .bmp
        }
        return nil
    }

    private static func png(_ bytes: [UInt8]) throws(Malformed) -> ImageHeader {
        guard bytes.has("IHDR", at: 12) else { throw Malformed(reason: "its PNG header is missing") }
        var header = ImageHeader(
            format: .png, width: try bytes.big32(16), height: try bytes.big32(20), payload: bytes)
        var position = 8
        while true {
            let length = try bytes.big32(position)
            if bytes.has("eXIf", at: position + 4) {
                header.orientation = exifOrientation(try bytes.range(position + 8, length))
            }
            position += 12 + length
            guard position <= bytes.count else { throw .truncated }
            if bytes.has("IEND", at: position - 12 - length + 4) { return header }
        }
    }

    /// Walks the markers to the end of the image.
    ///
    /// FFmpeg conceals a missing end, and reads meaning into segments that libjpeg ignores (comments
    /// that state a colour range, stereo and AVI markers, a second picture), so only the segments that
    /// bear on the pixels are handed on.
    private static func jpeg(_ bytes: [UInt8]) throws(Malformed) -> ImageHeader {
        var header = ImageHeader(format: .jpeg, width: 0, height: 0, payload: [0xFF, 0xD8])
        header.payload.reserveCapacity(bytes.count)
        var position = 2
        while true {
            guard position + 1 < bytes.count else { throw .truncated }
            guard bytes[position] == 0xFF else { throw Malformed(reason: "its JPEG markers are damaged") }
            let marker = bytes[position + 1]
            // A marker may be preceded by any number of fill bytes.
            if marker == 0xFF {
                position += 1
                continue
            }
            if marker == 0xD9 {
                guard header.width > 0 else { throw Malformed(reason: "its JPEG holds no frame") }
                header.payload += [0xFF, 0xD9]
                return header
            }
            let length = try bytes.big16(position + 2)
            guard length >= 2 else { throw Malformed(reason: "its JPEG markers are damaged") }
            let segment = try bytes.range(position, length + 2)
            position += length + 2
            switch marker {
            case 0xC0...0xC3, 0xC5...0xC7, 0xC9...0xCB, 0xCD...0xCF:
                header.height = try bytes.big16(segment.startIndex + 5)
                header.width = try bytes.big16(segment.startIndex + 7)
                header.payload += segment
            case 0xE1:
                if bytes.has("Exif\0\0", at: segment.startIndex + 4) {
                    header.orientation = exifOrientation(segment.dropFirst(10))
                }
            case 0xEE where bytes.has("Adobe", at: segment.startIndex + 4):
                header.hasAdobeMarker = true
                header.payload += segment
            case 0xE0...0xEF, 0xFE: break
            case 0xDA:
                let start = position
                // Within the entropy-coded data FF is followed by 00 or by a restart marker.
                while position + 1 < bytes.count,
                    bytes[position] != 0xFF || bytes[position + 1] == 0
                        || (0xD0...0xD7).contains(bytes[position + 1])
                {
                    position += 1
                }
                header.payload += segment
                header.payload += bytes[start..<position]
            default: header.payload += segment
            }
        }
    }

    private static func webp(_ bytes: [UInt8]) throws(Malformed) -> ImageHeader {
        let end = try bytes.little32(4) + 8
        guard end <= bytes.count else { throw .truncated }
        var header = ImageHeader(format: .webp, width: 0, height: 0, payload: bytes)
        var position = 12
        while position + 8 <= end {
            let length = try bytes.little32(position + 4)
            let start = position + 8
            if bytes.has("VP8X", at: position) {
                header.width = try bytes.little24(start + 4) + 1
                header.height = try bytes.little24(start + 7) + 1
            } else if bytes.has("VP8 ", at: position) && header.width == 0 {
                header.width = try bytes.little16(start + 6) & 0x3FFF
                header.height = try bytes.little16(start + 8) & 0x3FFF
            } else if bytes.has("VP8L", at: position) && header.width == 0 {
                let bits = try bytes.little32(start + 1)
                header.width = bits & 0x3FFF + 1
                header.height = bits >> 14 & 0x3FFF + 1
            } else if bytes.has("EXIF", at: position) {
                let exif = try bytes.range(start, length)
                header.orientation = exifOrientation(
                    bytes.has("Exif\0\0", at: start) ? exif.dropFirst(6) : exif)
            } else if bytes.has("ANMF", at: position) {
                throw Malformed(reason: "animated WebP pictures are not supported")
            }
            position = start + length + length % 2
            guard position <= end + 1 else { throw .truncated }
        }
        return header
    }

    /// The logical screen, and whether the first picture is there to its end.
    private static func gif(_ bytes: [UInt8]) throws(Malformed) -> ImageHeader {
        var header = ImageHeader(
            format: .gif, width: try bytes.little16(6), height: try bytes.little16(8), payload: bytes)
        func colourTable(_ flags: UInt8) -> Int { flags & 0x80 == 0 ? 0 : 3 << (Int(flags & 7) + 1) }
        func skipBlocks(from start: Int) throws(Malformed) -> Int {
            var position = start
            while true {
                let length = Int(try bytes.byte(position))
                position += 1 + length
                if length == 0 { return position }
            }
        }
        var position = 13 + colourTable(try bytes.byte(10))
        while true {
            switch try bytes.byte(position) {
            case 0x21: position = try skipBlocks(from: position + 2)
            case 0x2C:
                position = try skipBlocks(from: position + 11 + colourTable(try bytes.byte(position + 9)))
                header.payload = Array(bytes[..<position]) + [0x3B]
                return header
            case 0x3B: throw Malformed(reason: "its GIF holds no picture")
            default: throw Malformed(reason: "its GIF blocks are damaged")
            }
        }
    }

    private static func bmp(_ bytes: [UInt8]) throws(Malformed) -> ImageHeader {
        let isOld = try bytes.little32(14) == 12
        let width = isOld ? try bytes.little16(18) : try bytes.little32(18)
        // A negative height says that the rows run downwards.
        let height =
            isOld ? try bytes.little16(20) : Int(Int32(truncatingIfNeeded: try bytes.little32(22)).magnitude)
        if !isOld, try bytes.little32(30) == 0 {
            let row = (width * (try bytes.little16(28)) + 31) / 32 * 4
            let (size, overflow) = row.multipliedReportingOverflow(by: height)
            guard !overflow, size <= bytes.count - (try bytes.little32(10)) else { throw .truncated }
        }
        var header = ImageHeader(format: .bmp, width: width, height: height, payload: bytes)
        // Four bytes a pixel without a mask that says so have no alpha, whatever the fourth byte holds.
        if !isOld {
            let (compression, size) = (try bytes.little32(30), try bytes.little32(14))
            let hasMask = (compression == 3 || compression == 6) && size >= 56
            header.isOpaque = hasMask ? try bytes.little32(66) == 0 : true
        }
        return header
    }

    /// Tag 0x0112 of the first directory; 1 when it is missing or nonsense, as viewers do.
    private static func exifOrientation(_ slice: ArraySlice<UInt8>) -> Int {
        let exif = Array(slice)
        let isLittle = exif.has("II", at: 0)
        guard isLittle || exif.has("MM", at: 0) else { return 1 }
        func short(_ at: Int) -> Int { (try? isLittle ? exif.little16(at) : exif.big16(at)) ?? 0 }
        guard let directory = try? isLittle ? exif.little32(4) : exif.big32(4) else { return 1 }
        for entry in 0..<short(directory) {
            let at = directory + 2 + 12 * entry
            guard at + 12 <= exif.count else { break }
            if short(at) == 0x0112 {
                let value = short(at + 8)
                return (1...8).contains(value) ? value : 1
            }
        }
        return 1
    }
}

/// A header that contradicts itself or ends early.
private struct Malformed: Error {
    let reason: String
    static let truncated = Malformed(reason: "the file is cut short")
}

extension [UInt8] {
    fileprivate func has(_ text: StaticString, at position: Int) -> Bool {
        text.withUTF8Buffer { has(Array($0), at: position) }
    }

    fileprivate func has(_ wanted: [UInt8], at position: Int) -> Bool {
        position >= 0 && position <= count - wanted.count
            && self[position..<position + wanted.count].elementsEqual(wanted)
    }

    fileprivate func byte(_ position: Int) throws(Malformed) -> UInt8 {
        guard indices.contains(position) else { throw .truncated }
        return self[position]
    }

    fileprivate func range(_ position: Int, _ length: Int) throws(Malformed) -> ArraySlice<UInt8> {
        guard position >= 0, length >= 0, position <= count - length else { throw .truncated }
        return self[position..<position + length]
    }

    private func number(_ position: Int, _ length: Int, reversed: Bool) throws(Malformed) -> Int {
        let digits = try range(position, length)
        return reversed
            ? digits.reversed().reduce(0) { $0 << 8 | Int($1) } : digits.reduce(0) { $0 << 8 | Int($1) }
    }

    fileprivate func big16(_ position: Int) throws(Malformed) -> Int {
        try number(position, 2, reversed: false)
    }
    fileprivate func big32(_ position: Int) throws(Malformed) -> Int {
        try number(position, 4, reversed: false)
    }
    fileprivate func little16(_ position: Int) throws(Malformed) -> Int {
        try number(position, 2, reversed: true)
    }
    fileprivate func little24(_ position: Int) throws(Malformed) -> Int {
        try number(position, 3, reversed: true)
    }
    fileprivate func little32(_ position: Int) throws(Malformed) -> Int {
        try number(position, 4, reversed: true)
    }
}
