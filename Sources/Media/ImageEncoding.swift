import CFFmpeg

extension Image {
    /// The picture as the bytes of a PNG file.
    ///
    /// - Throws: `MediaError.unwritable` when a side is too long for the format or memory runs out.
    public func pngData() throws(MediaError) -> [UInt8] {
        try encoded(width, height, by: AV_CODEC_ID_PNG, AV_PIX_FMT_RGB24, name: "PNG") { frame in
            let stride = Int(frame.linesize.0)
            pixels.withUnsafeBufferPointer { input in
                for y in 0..<height {
                    (frame.data.0! + y * stride).update(
                        from: input.baseAddress! + y * width * 3, count: width * 3)
                }
            }
        }
    }

    /// The picture as the bytes of a JPEG file, with chroma at full resolution.
    ///
    /// - Parameter quality: 1 (small) to 100 (good), on libjpeg's scale approximately.
    /// - Throws: `MediaError.invalid` for a quality outside that range, `MediaError.unwritable` when a
    ///   side is longer than the 65,500 pixels of the format.
    public func jpegData(quality: Int = 90) throws(MediaError) -> [UInt8] {
        guard (1...100).contains(quality) else {
            throw .invalid("JPEG quality \(quality) is outside 1 to 100")
        }
        guard max(width, height) <= 65_500 else {
            throw .unwritable(
                name: "JPEG", reason: "\(width) x \(height) pixels exceed the format's 65500 a side")
        }
        // libjpeg scales its tables by this factor, FFmpeg its own, which are finer, by a step of 1 to 31.
        let scale = quality < 50 ? 50 / Double(quality) : 2 - Double(quality) / 50
        let step = max(1, min(31, Int32((scale * 16).rounded())))
        return try encoded(
            width, height, by: AV_CODEC_ID_MJPEG, AV_PIX_FMT_YUVJ444P, step: step, name: "JPEG",
            fill: fillYCbCr)
    }

    /// Writes a PNG file, whole or not at all.
    public func writePNG(to path: String) throws(MediaError) {
        try Files.write(pngData(), to: path)
    }

    /// Writes a JPEG file, whole or not at all; see `jpegData(quality:)`.
    public func writeJPEG(to path: String, quality: Int = 90) throws(MediaError) {
        try Files.write(jpegData(quality: quality), to: path)
    }

    /// JFIF's full-range YCbCr, rounded.
    private func fillYCbCr(_ frame: AVFrame) {
        func fixed(_ value: Double) -> Int32 { Int32((value * 65536).rounded()) }
        let (yr, yg, yb) = (fixed(0.299), fixed(0.587), fixed(0.114))
        let (br, bg, half) = (fixed(0.168736), fixed(0.331264), fixed(0.5))
        let (rg, rb) = (fixed(0.418688), fixed(0.081312))
        let rounding: Int32 = 1 << 15
        let offset: Int32 = (128 << 16) + rounding - 1
        pixels.withUnsafeBufferPointer { input in
            for y in 0..<height {
                let row = input.baseAddress! + y * width * 3
                let luma = frame.data.0! + y * Int(frame.linesize.0)
                let cb = frame.data.1! + y * Int(frame.linesize.1)
                let cr = frame.data.2! + y * Int(frame.linesize.2)
                for x in 0..<width {
                    let (r, g, b) = (Int32(row[3 * x]), Int32(row[3 * x + 1]), Int32(row[3 * x + 2]))
                    luma[x] = UInt8(truncatingIfNeeded: (yr &* r &+ yg &* g &+ yb &* b &+ rounding) >> 16)
                    cb[x] = UInt8(truncatingIfNeeded: (half &* b &- br &* r &- bg &* g &+ offset) >> 16)
                    cr[x] = UInt8(truncatingIfNeeded: (half &* r &- rg &* g &- rb &* b &+ offset) >> 16)
                }
            }
        }
    }
}

extension Mask {
    /// The mask as the bytes of a grey PNG file: 255 on the thing, else 0.
    ///
    /// - Throws: `MediaError.unwritable` when a side is too long for the format or memory runs out.
    public func pngData() throws(MediaError) -> [UInt8] {
        let bitmap = bitmap
        return try encoded(width, height, by: AV_CODEC_ID_PNG, AV_PIX_FMT_GRAY8, name: "PNG") { frame in
            for y in 0..<height {
                let row = frame.data.0! + y * Int(frame.linesize.0)
                for x in 0..<width { row[x] = bitmap[y * width + x] * 255 }
            }
        }
    }

    /// Writes a grey PNG file, whole or not at all.
    public func writePNG(to path: String) throws(MediaError) {
        try Files.write(pngData(), to: path)
    }
}

/// One picture as the bytes of a file; `step` is the quantiser of a lossy format.
private func encoded(
    _ width: Int, _ height: Int, by id: AVCodecID, _ format: AVPixelFormat, step: Int32? = nil, name: String,
    fill: (AVFrame) -> Void
) throws(MediaError) -> [UInt8] {
    func check(_ code: Int32) throws(MediaError) {
        guard code >= 0 else { throw .unwritable(name: name, reason: FFmpeg.message(code)) }
    }
    guard let codec = FFmpeg.Codec(avcodec_find_encoder(id)),
        let width = Int32(exactly: width), let height = Int32(exactly: height)
    else {
        throw .unwritable(name: name, reason: "FFmpeg has no encoder for it")
    }
    codec.context.pointee.thread_count = 1
    codec.context.pointee.width = width
    codec.context.pointee.height = height
    codec.context.pointee.pix_fmt = format
    codec.context.pointee.color_range = AVCOL_RANGE_JPEG
    codec.context.pointee.time_base = AVRational(num: 1, den: 1)
    // The same pixels give the same bytes, whatever the machine.
    codec.context.pointee.flags |= AV_CODEC_FLAG_BITEXACT
    if let step {
        codec.context.pointee.flags |= AV_CODEC_FLAG_QSCALE
        codec.context.pointee.qmin = step
        codec.context.pointee.qmax = step
        codec.context.pointee.global_quality = step * FF_QP2LAMBDA
    }
    try check(avcodec_open2(codec.context, nil, nil))
    codec.frame.pointee.width = width
    codec.frame.pointee.height = height
    codec.frame.pointee.format = format.rawValue
    codec.frame.pointee.color_range = AVCOL_RANGE_JPEG
    codec.frame.pointee.quality = codec.context.pointee.global_quality
    try check(av_frame_get_buffer(codec.frame, 0))
    fill(codec.frame.pointee)
    try check(avcodec_send_frame(codec.context, codec.frame))
    try check(avcodec_send_frame(codec.context, nil))
    try check(avcodec_receive_packet(codec.context, codec.packet))
    return Array(
        UnsafeBufferPointer(start: codec.packet.pointee.data, count: Int(codec.packet.pointee.size)))
}
