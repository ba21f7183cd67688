import CFFmpeg

/// A picture of one number a pixel, such as a mask of several objects: the index of a palette, or a grey level.
public struct LabelMap: Sendable, Equatable {
    public let width: Int
    public let height: Int
    /// `height * width` numbers, row by row from the top.
    public let values: [UInt8]

    /// - Precondition: `values.count == width * height`, both sides at least 1.
    public init(width: Int, height: Int, values: [UInt8]) {
        precondition(width > 0 && height > 0 && values.count == width * height)
        self.width = width
        self.height = height
        self.values = values
    }

    /// Reads a palette or grey PNG; the palette's colours do not matter.
    ///
    /// - Throws: `MediaError` when the file cannot be read, is damaged, or has colours of its own.
    public init(contentsOf path: String, limit: PixelLimit = .default) throws(MediaError) {
        let header = try ImageHeader.parse(Files.read(path), name: path)
        guard limit.allows(header.width, header.height) else {
            throw .tooLarge(name: path, width: header.width, height: header.height, limit: limit)
        }
        let codec = try Image.decoded(header, name: path, limit: limit)
        let frame = codec.frame.pointee
        let (width, height) = (Int(frame.width), Int(frame.height))
        let format = AVPixelFormat(frame.format)
        guard width > 0, height > 0, let data = frame.data.0,
            [AV_PIX_FMT_PAL8, AV_PIX_FMT_GRAY8, AV_PIX_FMT_MONOBLACK].contains(format)
        else {
            throw .damaged(name: path, reason: "it has colours, not one number a pixel")
        }
        let stride = Int(frame.linesize.0)
        let isBits = format == AV_PIX_FMT_MONOBLACK
        let values = [UInt8](unsafeUninitializedCapacity: width * height) { output, count in
            for y in 0..<height {
                let row = data + y * stride
                for x in 0..<width {
                    output[y * width + x] = isBits ? row[x >> 3] >> UInt8(7 - x & 7) & 1 : row[x]
                }
            }
            count = width * height
        }
        self.init(width: width, height: height, values: values)
    }

    /// The pixels of each number but 0.
    public func masks() -> [Int: Mask] {
        Mask.byValue(width: width, height: height) { Int(values[$0]) }
    }
}

extension Image {
    /// The pixels of each colour but black, by red + 256 green + 65536 blue, as COCO's panoptic PNGs number segments.
    public func masksByColour() -> [Int: Mask] {
        pixels.withUnsafeBufferPointer { pixels in
            Mask.byValue(width: width, height: height) {
                Int(pixels[$0 * 3]) | Int(pixels[$0 * 3 + 1]) << 8 | Int(pixels[$0 * 3 + 2]) << 16
            }
        }
    }
}

extension Mask {
    /// The runs of each value but 0; `value` takes a pixel's index, row by row.
    fileprivate static func byValue(width: Int, height: Int, _ value: (Int) -> Int) -> [Int: Mask] {
        var found: [Int: (counts: [Int], end: Int)] = [:]
        var (current, start, position) = (0, 0, 0)
        func close() {
            guard current != 0, position > start else { return }
            found[current, default: ([], 0)].counts += [
                start - found[current, default: ([], 0)].end, position - start,
            ]
            found[current]!.end = position
        }
        for x in 0..<width {
            for y in 0..<height {
                let next = value(y * width + x)
                if next != current {
                    close()
                    (current, start) = (next, position)
                }
                position += 1
            }
        }
        close()
        return found.mapValues { Mask(unchecked: width, height, $0.counts + [width * height - $0.end]) }
    }
}
