import CFFmpeg

extension Image {
    /// Converts a decoded still picture to RGB over white; `nil` for a format libswscale does not know.
    ///
    /// The common formats are converted here rather than by libswscale, whose chroma interpolation and
    /// rounding differ from libjpeg's by more than two grey levels.
    init?(_ frame: AVFrame, header: ImageHeader) {
        let (width, height) = (Int(frame.width), Int(frame.height))
        guard width > 0, height > 0 else { return nil }
        let plane = Plane.all(of: frame)

        func packed(
            _ at: Int = 0, step: Int, _ red: Int, _ green: Int, _ blue: Int, alpha: Int? = nil
        ) -> [UInt8] {
            let alpha = header.isOpaque ? nil : alpha
            return rows(width, height) { y, output in
                let row = plane[at].row(y)
                for x in 0..<width {
                    let pixel = row + x * step
                    let a = alpha.map { pixel[$0] } ?? 255
                    output[3 * x] = overWhite(pixel[red], a)
                    output[3 * x + 1] = overWhite(pixel[green], a)
                    output[3 * x + 2] = overWhite(pixel[blue], a)
                }
            }
        }
        /// Big-endian 16-bit samples: `step` and the offsets count samples.
        func deep(step: Int, _ red: Int, _ green: Int, _ blue: Int, alpha: Int? = nil) -> [UInt8] {
            rows(width, height) { y, output in
                let row = plane[0].row(y)
                func sample(_ index: Int) -> UInt8 {
                    UInt8((Int(row[2 * index]) << 8 | Int(row[2 * index + 1])) * 255 / 65535)
                }
                for x in 0..<width {
                    let a = alpha.map { sample(x * step + $0) } ?? 255
                    output[3 * x] = overWhite(sample(x * step + red), a)
                    output[3 * x + 1] = overWhite(sample(x * step + green), a)
                    output[3 * x + 2] = overWhite(sample(x * step + blue), a)
                }
            }
        }

        let isJPEG = header.format == .jpeg
        switch AVPixelFormat(frame.format) {
        case AV_PIX_FMT_RGB24: pixels = packed(step: 3, 0, 1, 2)
        case AV_PIX_FMT_BGR24: pixels = packed(step: 3, 2, 1, 0)
        case AV_PIX_FMT_RGBA: pixels = packed(step: 4, 0, 1, 2, alpha: 3)
        case AV_PIX_FMT_BGRA: pixels = packed(step: 4, 2, 1, 0, alpha: 3)
        case AV_PIX_FMT_ARGB: pixels = packed(step: 4, 1, 2, 3, alpha: 0)
        case AV_PIX_FMT_ABGR: pixels = packed(step: 4, 3, 2, 1, alpha: 0)
        case AV_PIX_FMT_BGR0: pixels = packed(step: 4, 2, 1, 0)
        case AV_PIX_FMT_RGB0: pixels = packed(step: 4, 0, 1, 2)
        case AV_PIX_FMT_GRAY8: pixels = packed(step: 1, 0, 0, 0)
        case AV_PIX_FMT_YA8: pixels = packed(step: 2, 0, 0, 0, alpha: 1)
        case AV_PIX_FMT_GRAY16BE: pixels = deep(step: 1, 0, 0, 0)
        case AV_PIX_FMT_YA16BE: pixels = deep(step: 2, 0, 0, 0, alpha: 1)
        case AV_PIX_FMT_RGB48BE: pixels = deep(step: 3, 0, 1, 2)
        case AV_PIX_FMT_RGBA64BE: pixels = deep(step: 4, 0, 1, 2, alpha: 3)
        case AV_PIX_FMT_PAL8:
            // 256 native-endian ARGB words.
            let palette = UnsafeRawPointer(frame.data.1!).assumingMemoryBound(to: UInt32.self)
            pixels = rows(width, height) { y, output in
                let row = plane[0].row(y)
                for x in 0..<width {
                    let colour = palette[Int(row[x])]
                    let a = UInt8(colour >> 24)
                    output[3 * x] = overWhite(UInt8(truncatingIfNeeded: colour >> 16), a)
                    output[3 * x + 1] = overWhite(UInt8(truncatingIfNeeded: colour >> 8), a)
                    output[3 * x + 2] = overWhite(UInt8(truncatingIfNeeded: colour), a)
                }
            }
        case AV_PIX_FMT_GBRP, AV_PIX_FMT_GBRAP:
            pixels = rows(width, height) { y, output in
                let (green, blue, red) = (plane[0].row(y), plane[1].row(y), plane[2].row(y))
                for x in 0..<width {
                    output[3 * x] = red[x]
                    output[3 * x + 1] = green[x]
                    output[3 * x + 2] = blue[x]
                }
            }
        case AV_PIX_FMT_YUVA444P where isJPEG && !header.hasAdobeMarker:
            // Four components that FFmpeg left as they are: CMYK, inverted as everyone writes it.
            pixels = rows(width, height) { y, output in
                let key = plane[3].row(y)
                for channel in 0..<3 {
                    let ink = plane[channel].row(y)
                    for x in 0..<width {
                        output[3 * x + channel] = UInt8((Int(ink[x]) * Int(key[x]) + 127) / 255)
                    }
                }
            }
        case AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVJ440P,
            AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV440P,
            AV_PIX_FMT_YUVA444P, AV_PIX_FMT_YUVA420P:
            pixels = yCbCr(frame, isFullRange: isJPEG)
        default:
            guard let rgba = FFmpeg.Scaler().convert(frame, to: AV_PIX_FMT_RGBA) else { return nil }
            pixels = rows(width, height) { y, output in
                rgba.withUnsafeBufferPointer { input in
                    for x in 0..<width {
                        let pixel = input.baseAddress! + (y * width + x) * 4
                        for channel in 0..<3 { output[3 * x + channel] = overWhite(pixel[channel], pixel[3]) }
                    }
                }
            }
        }
        self.width = width
        self.height = height
    }
}

private struct Plane {
    let base: UnsafeMutablePointer<UInt8>
    let stride: Int

    func row(_ y: Int) -> UnsafePointer<UInt8> { UnsafePointer(base + y * stride) }

    static func all(of frame: AVFrame) -> [Plane] {
        zip(frame.planes, frame.strides).compactMap { base, stride in
            base.map { Plane(base: $0, stride: Int(stride)) }
        }
    }
}

/// Fills an RGB picture row by row.
private func rows(
    _ width: Int, _ height: Int, fill: (Int, UnsafeMutablePointer<UInt8>) -> Void
) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: width * height * 3) { buffer, count in
        for y in 0..<height { fill(y, buffer.baseAddress! + y * width * 3) }
        count = width * height * 3
    }
}

@inline(__always)
private func overWhite(_ value: UInt8, _ alpha: UInt8) -> UInt8 {
    if alpha == 255 { return value }
    let a = UInt32(alpha)
    return UInt8((UInt32(value) * a + 255 * (255 - a) + 127) / 255)
}

@inline(__always)
private func clamp8(_ value: Int32) -> UInt8 { UInt8(truncatingIfNeeded: max(0, min(255, value))) }

/// BT.601 to RGB, with libjpeg's rounding for the full range, and its triangle filter for chroma.
private func yCbCr(_ frame: AVFrame, isFullRange: Bool) -> [UInt8] {
    let (width, height) = (Int(frame.width), Int(frame.height))
    let plane = Plane.all(of: frame)
    let description = av_pix_fmt_desc_get(AVPixelFormat(frame.format)).pointee
    let isHalfWide = description.log2_chroma_w == 1
    let isHalfHigh = description.log2_chroma_h == 1
    let chromaWidth = isHalfWide ? (width + 1) / 2 : width
    let chromaHeight = isHalfHigh ? (height + 1) / 2 : height

    func fixed(_ value: Double) -> Int32 { Int32((value * 65536).rounded()) }
    let chromaGain = isFullRange ? 1.0 : 255.0 / 224
    let lumaGain = fixed(isFullRange ? 1 : 255.0 / 219)
    let lumaFloor: Int32 = isFullRange ? 0 : 16
    let redCr = fixed(1.402 * chromaGain)
    let greenCb = fixed(0.34414 * chromaGain)
    let greenCr = fixed(0.71414 * chromaGain)
    let blueCb = fixed(1.772 * chromaGain)
    let half: Int32 = 1 << 15

    var upsampled = [UInt8](repeating: 0, count: 4 * chromaWidth + 4)
    var sums = [Int32](repeating: 0, count: chromaWidth)
    return upsampled.withUnsafeMutableBufferPointer { chroma in
        sums.withUnsafeMutableBufferPointer { sums in
            /// The chroma of row `y`, as wide as the luma.
            func upsample(_ source: Plane, _ y: Int, into scratch: UnsafeMutablePointer<UInt8>)
                -> UnsafePointer<UInt8>
            {
                guard isHalfWide || isHalfHigh else { return source.row(y) }
                let current = isHalfHigh ? y / 2 : y
                let isUpper = y % 2 == 0
                let near = source.row(max(0, min(chromaHeight - 1, isUpper ? current - 1 : current + 1)))
                let row = source.row(current)
                if !isHalfWide {
                    let bias: Int32 = isUpper ? 1 : 2
                    for x in 0..<chromaWidth {
                        scratch[x] = UInt8((3 * Int32(row[x]) + Int32(near[x]) + bias) >> 2)
                    }
                    return UnsafePointer(scratch)
                }
                // Libjpeg repeats the chroma of pictures too narrow for its filter.
                if isFullRange && chromaWidth <= 2 {
                    for x in 0..<2 * chromaWidth { scratch[x] = row[x / 2] }
                    return UnsafePointer(scratch)
                }
                // Weights 3/4 and 1/4 in each halved direction; the two roundings alternate.
                let (shift, roundLeft, roundRight): (Int32, Int32, Int32) = isHalfHigh ? (4, 8, 7) : (2, 1, 2)
                if isHalfHigh {
                    for x in 0..<chromaWidth { sums[x] = 3 * Int32(row[x]) + Int32(near[x]) }
                } else {
                    for x in 0..<chromaWidth { sums[x] = Int32(row[x]) }
                }
                let last = chromaWidth - 1
                for x in 0...last {
                    let centre = sums[x]
                    let left = sums[max(0, x - 1)]
                    let right = sums[min(last, x + 1)]
                    scratch[2 * x] = UInt8(truncatingIfNeeded: (3 * centre + left + roundLeft) >> shift)
                    scratch[2 * x + 1] = UInt8(truncatingIfNeeded: (3 * centre + right + roundRight) >> shift)
                }
                return UnsafePointer(scratch)
            }
            let scratch = chroma.baseAddress!
            return rows(width, height) { y, output in
                let luma = plane[0].row(y)
                let cbRow = upsample(plane[1], y, into: scratch)
                let crRow = upsample(plane[2], y, into: scratch + 2 * chromaWidth + 2)
                for x in 0..<width {
                    let cb = Int32(cbRow[x]) - 128
                    let cr = Int32(crRow[x]) - 128
                    let base = (Int32(luma[x]) - lumaFloor) &* lumaGain &+ half
                    output[3 * x] = clamp8((base &+ redCr &* cr) >> 16)
                    output[3 * x + 1] = clamp8((base &- greenCb &* cb &- greenCr &* cr) >> 16)
                    output[3 * x + 2] = clamp8((base &+ blueCb &* cb) >> 16)
                }
                if plane.count > 3 {
                    let alpha = plane[3].row(y)
                    for x in 0..<width {
                        for channel in 3 * x..<3 * x + 3 {
                            output[channel] = overWhite(output[channel], alpha[x])
                        }
                    }
                }
            }
        }
    }
}
