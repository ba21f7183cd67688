import CFFmpeg

extension Image {
    /// Reads a PNG, JPEG, WebP or BMP picture, or the first picture of a GIF.
    ///
    /// Orientation is applied and alpha composed onto white.
    ///
    /// - Throws: `MediaError` when the file cannot be read, is none of these formats, holds more pixels
    ///   than `limit` (known from the header, before anything is decoded), is damaged or cut short.
    public init(contentsOf path: String, limit: PixelLimit = .default) throws(MediaError) {
        try self.init(decoding: Files.read(path), name: path, limit: limit)
    }

    /// Decodes the bytes of a picture file, as `init(contentsOf:limit:)` does.
    ///
    /// - Parameters:
    ///   - bytes: the whole file.
    ///   - name: what error messages call the picture.
    ///   - limit: the most pixels it may have.
    public init(
        decoding bytes: [UInt8], name: String = "picture", limit: PixelLimit = .default
    ) throws(MediaError) {
        guard !bytes.isEmpty else { throw .unreadable(name: name, reason: "it is empty") }
        let header = try ImageHeader.parse(bytes, name: name)
        guard limit.allows(header.width, header.height) else {
            throw .tooLarge(name: name, width: header.width, height: header.height, limit: limit)
        }
        self = try Self.decode(header, name: name, limit: limit).oriented(header.orientation)
    }

    /// The size that a picture file states, as a viewer shows it: EXIF's orientation is applied. Nothing is decoded.
    ///
    /// - Parameters:
    ///   - bytes: the whole file.
    ///   - name: what error messages call the picture.
    /// - Throws: `MediaError` when it is none of the formats, or its container is damaged or cut short.
    public static func size(
        of bytes: [UInt8], name: String = "picture"
    ) throws(MediaError) -> (width: Int, height: Int) {
        guard !bytes.isEmpty else { throw .unreadable(name: name, reason: "it is empty") }
        let header = try ImageHeader.parse(bytes, name: name)
        return header.orientation >= 5 ? (header.height, header.width) : (header.width, header.height)
    }

    /// The bytes of a picture file, to be decoded later.
    ///
    /// - Throws: `MediaError.unreadable` when it cannot be read, or is longer than 1 GiB.
    public static func bytes(contentsOf path: String) throws(MediaError) -> [UInt8] {
        try Files.read(path)
    }

    private static func decode(
        _ header: ImageHeader, name: String, limit: PixelLimit
    ) throws(MediaError) -> Image {
        let codec = try decoded(header, name: name, limit: limit)
        guard let image = Image(codec.frame.pointee, header: header) else {
            throw .damaged(name: name, reason: "its pixel format is not supported")
        }
        return image
    }

    /// A decoder that holds the picture's frame.
    static func decoded(
        _ header: ImageHeader, name: String, limit: PixelLimit
    ) throws(MediaError) -> FFmpeg.Codec {
        let id =
            switch header.format {
            case .png: AV_CODEC_ID_PNG
            case .jpeg: AV_CODEC_ID_MJPEG
            case .webp: AV_CODEC_ID_WEBP
            case .bmp: AV_CODEC_ID_BMP
            case .gif: AV_CODEC_ID_GIF
            }
        guard let codec = FFmpeg.Codec(avcodec_find_decoder(id)) else {
            throw .unreadable(name: name, reason: "FFmpeg was built without a decoder for this format")
        }
        func check(_ code: Int32) throws(MediaError) {
            guard code >= 0 else { throw .damaged(name: name, reason: FFmpeg.message(code)) }
        }
        codec.context.pointee.thread_count = 1
        // The header's size was compared with the limit; decoders round it up to their blocks.
        codec.context.pointee.max_pixels = Int64((header.width + 128) * (header.height + 128))
        codec.context.pointee.err_recognition = Int32(AV_EF_EXPLODE | AV_EF_CRCCHECK)
        // Of FFmpeg's fast inverse transforms the one that comes closest to libjpeg's.
        codec.context.pointee.idct_algo = FF_IDCT_XVID
        try check(avcodec_open2(codec.context, nil, nil))
        guard let size = Int32(exactly: header.payload.count) else {
            throw .unreadable(name: name, reason: "it is larger than 2 GiB")
        }
        try check(av_new_packet(codec.packet, size))
        codec.packet.pointee.data.update(from: header.payload, count: header.payload.count)
        codec.packet.pointee.flags |= AV_PKT_FLAG_KEY
        try check(avcodec_send_packet(codec.context, codec.packet))
        try check(avcodec_send_packet(codec.context, nil))
        try check(avcodec_receive_frame(codec.context, codec.frame))
        guard !codec.frame.pointee.isDamaged else {
            throw .damaged(name: name, reason: "its data are damaged")
        }
        // The data may state another size than the container around them.
        let (width, height) = (Int(codec.frame.pointee.width), Int(codec.frame.pointee.height))
        guard limit.allows(width, height) else {
            throw .tooLarge(name: name, width: width, height: height, limit: limit)
        }
        return codec
    }

    /// The picture as it is meant to be seen, given its EXIF orientation (1 to 8).
    func oriented(_ orientation: Int) -> Image {
        let (w, h) = (width, height)
        // Where the first pixel of the result comes from, and how far apart in the source its
        // neighbours to the right and below are.
        let (start, right, down): (Int, Int, Int) =
            switch orientation {
            case 2: (w - 1, -1, w)
            case 3: (w * h - 1, -1, -w)
            case 4: (w * (h - 1), 1, -w)
            case 5: (0, w, 1)
            case 6: (w * (h - 1), -w, 1)
            case 7: (w * h - 1, -w, -1)
            case 8: (w - 1, w, -1)
            default: (0, 1, w)
            }
        if start == 0 && right == 1 { return self }
        let (outWidth, outHeight) = orientation >= 5 ? (h, w) : (w, h)
        let turned = [UInt8](unsafeUninitializedCapacity: pixels.count) { output, count in
            pixels.withUnsafeBufferPointer { input in
                var target = 0
                for y in 0..<outHeight {
                    var source = (start + y * down) * 3
                    for _ in 0..<outWidth {
                        output[target] = input[source]
                        output[target + 1] = input[source + 1]
                        output[target + 2] = input[source + 2]
                        target += 3
                        source += right * 3
                    }
                }
            }
            count = pixels.count
        }
        return Image(width: outWidth, height: outHeight, pixels: turned)
    }
}
