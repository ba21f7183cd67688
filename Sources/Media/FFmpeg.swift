import CFFmpeg

/// FFmpeg's objects, freed with their Swift owners, and its numbers as messages.
enum FFmpeg {
    /// FFmpeg prints to standard error by default; what it finds is reported by errors here.
    static let silence: Void = av_log_set_level(AV_LOG_QUIET)

    static func message(_ code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        av_strerror(code, &buffer, buffer.count)
        let text = buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        return text.prefix(1).lowercased() + text.dropFirst()
    }

    /// A decoder or an encoder, with the one packet and the one frame it works on.
    final class Codec {
        let context: UnsafeMutablePointer<AVCodecContext>
        let packet: UnsafeMutablePointer<AVPacket>
        let frame: UnsafeMutablePointer<AVFrame>

        /// - Returns: `nil` when FFmpeg was built without this codec, or memory ran out.
        init?(_ codec: UnsafePointer<AVCodec>?) {
            _ = FFmpeg.silence
            guard let codec, let context = avcodec_alloc_context3(codec) else { return nil }
            self.context = context
            packet = av_packet_alloc()
            frame = av_frame_alloc()
        }

        deinit {
            var context: UnsafeMutablePointer<AVCodecContext>? = context
            var packet: UnsafeMutablePointer<AVPacket>? = packet
            var frame: UnsafeMutablePointer<AVFrame>? = frame
            avcodec_free_context(&context)
            av_packet_free(&packet)
            av_frame_free(&frame)
        }
    }

    /// Colour conversion by libswscale to packed RGB, kept while the frames keep their size and format.
    final class Scaler {
        private var context: OpaquePointer?

        deinit { sws_freeContext(context) }

        /// - Parameter target: `AV_PIX_FMT_RGB24` or `AV_PIX_FMT_RGBA`.
        func convert(_ frame: AVFrame, to target: AVPixelFormat) -> [UInt8]? {
            let channels = target == AV_PIX_FMT_RGBA ? 4 : 3
            let (width, height) = (Int(frame.width), Int(frame.height))
            context = sws_getCachedContext(
                context, frame.width, frame.height, AVPixelFormat(frame.format), frame.width,
                frame.height, target, vitrail_scaling, nil, nil, nil)
            guard let context else { return nil }
            // Video that names no matrix is BT.601 when small and BT.709 from 720 lines on.
            let matrix =
                frame.colorspace == AVCOL_SPC_UNSPECIFIED
                ? (height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601) : Int32(frame.colorspace.rawValue)
            let isFullRange = frame.color_range == AVCOL_RANGE_JPEG
            sws_setColorspaceDetails(
                context, sws_getCoefficients(matrix), isFullRange ? 1 : 0,
                sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16)
            var planes = frame.planes.map { UnsafePointer($0) }
            var strides = frame.strides
            // libswscale's vector code may write past the end of the last row.
            let stride = (width * channels + 63) / 64 * 64
            var padded = [UInt8](repeating: 0, count: stride * height + 64)
            let rows = padded.withUnsafeMutableBufferPointer { buffer in
                var destination: [UnsafeMutablePointer<UInt8>?] = [buffer.baseAddress, nil, nil, nil]
                var destinationStrides: [Int32] = [Int32(stride), 0, 0, 0]
                return sws_scale(
                    context, &planes, &strides, 0, frame.height, &destination, &destinationStrides)
            }
            guard rows == frame.height else { return nil }
            return [UInt8](unsafeUninitializedCapacity: width * height * channels) { output, count in
                padded.withUnsafeBufferPointer { input in
                    for y in 0..<height {
                        (output.baseAddress! + y * width * channels).initialize(
                            from: input.baseAddress! + y * stride, count: width * channels)
                    }
                }
                count = width * height * channels
            }
        }
    }
}

extension AVFrame {
    var planes: [UnsafeMutablePointer<UInt8>?] {
        [data.0, data.1, data.2, data.3, data.4, data.5, data.6, data.7]
    }

    var strides: [Int32] {
        [
            linesize.0, linesize.1, linesize.2, linesize.3,
            linesize.4, linesize.5, linesize.6, linesize.7,
        ]
    }

    /// Whether the decoder found errors and concealed them.
    var isDamaged: Bool { decode_error_flags != 0 || flags & AV_FRAME_FLAG_CORRUPT != 0 }
}
