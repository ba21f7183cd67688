import CFFmpeg

/// A video file, read frame by frame.
///
///     var video = try Video("clip.mp4")
///     while let frame = try video.next() { … }
///
/// Copies share one position in the file. Turned clips (telephones) come upright.
public struct Video {
    /// One picture of a video.
    public struct Frame: Sendable {
        /// Upright, as `Image` always is.
        public let image: Image
        /// Seconds from the start of the video.
        public let time: Double

        /// A frame from its parts.
        public init(image: Image, time: Double) {
            self.image = image
            self.time = time
        }
    }

    /// Pixels, as seen (after rotation).
    public let width: Int
    public let height: Int
    /// Seconds; 0 when the file does not tell.
    public let duration: Double
    /// Frames a second on average; 0 when the file does not tell.
    public let frameRate: Double
    /// As the file states, or else estimated from duration and frame rate; 0 when neither is known.
    public let frameCount: Int

    private let reader: Reader

    /// Opens the file and finds its first video stream.
    ///
    /// - Throws: `MediaError` when the file cannot be read, holds no video, or its frames hold more
    ///   pixels than `limit`.
    public init(_ path: String, limit: PixelLimit = .default) throws(MediaError) {
        reader = try Reader(path, limit: limit)
        let stream = reader.stream.pointee
        let parameters = stream.codecpar.pointee
        let isTurned = reader.orientation >= 5
        width = Int(isTurned ? parameters.height : parameters.width)
        height = Int(isTurned ? parameters.width : parameters.height)
        func seconds(_ value: Int64, _ unit: AVRational) -> Double? {
            value == vitrail_no_time || value <= 0 ? nil : Double(value) * av_q2d(unit)
        }
        duration =
            seconds(stream.duration, stream.time_base)
            ?? seconds(reader.format.pointee.duration, AVRational(num: 1, den: AV_TIME_BASE)) ?? 0
        let rate = stream.avg_frame_rate.num > 0 ? stream.avg_frame_rate : stream.r_frame_rate
        frameRate = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0
        let stated = stream.nb_frames > 0 ? Double(stream.nb_frames) : (duration * frameRate).rounded()
        // A file may state what it likes.
        frameCount = Int(min(stated, 1e12))
    }

    /// The next frame in the order of display, or `nil` at the end.
    ///
    /// - Throws: `MediaError.damaged` when the data cannot be decoded.
    public mutating func next() throws(MediaError) -> Frame? {
        try reader.advance() ? reader.frame() : nil
    }

    /// Passes over a frame without converting it to RGB, which is most of the work.
    ///
    /// - Returns: `false` at the end.
    public mutating func skip() throws(MediaError) -> Bool { try reader.advance() }

    /// Frames from the middles of `count` equal parts of what the file says is its length.
    ///
    /// Reads from the current position, so ask it of a video just opened.
    /// - Returns: at most `count` frames; fewer when the video holds fewer.
    public mutating func sampled(_ count: Int) throws(MediaError) -> [Frame] {
        guard count > 0 else { throw .invalid("\(count) frames of a video: at least 1 is needed") }
        let total = max(frameCount, count)
        var wanted = (0..<count).map { (2 * $0 + 1) * total / (2 * count) }[...]
        var frames: [Frame] = []
        var index = 0
        while let target = wanted.first, try reader.advance() {
            if index == target {
                frames.append(try reader.frame())
                wanted.removeFirst()
            }
            index += 1
        }
        return frames
    }
}

extension Video {
    /// Owns the open file; the struct above only gives it a face.
    private final class Reader {
        /// Containers of video as such. Playlists and concatenations are left out: they name other
        /// files and addresses, which a file from a stranger must not make this program open.
        private static let containers = """
            mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,ogg,asf,gif,h264,hevc,\
            m4v,ivf,mjpeg,dv,apng
            """

        let path: String
        let format: UnsafeMutablePointer<AVFormatContext>
        let stream: UnsafeMutablePointer<AVStream>
        private(set) var orientation = 1
        private let codec: FFmpeg.Codec
        private let scaler = FFmpeg.Scaler()
        private var isDraining = false
        private let limit: PixelLimit

        init(_ path: String, limit: PixelLimit) throws(MediaError) {
            _ = FFmpeg.silence
            try Files.checkReadable(path)
            var options: OpaquePointer?
            av_dict_set(&options, "protocol_whitelist", "file", 0)
            av_dict_set(&options, "format_whitelist", Self.containers, 0)
            defer { av_dict_free(&options) }
            var opened: UnsafeMutablePointer<AVFormatContext>?
            let code = avformat_open_input(&opened, "file:" + path, nil, &options)
            guard code >= 0, let format = opened else {
                throw .unreadable(name: path, reason: "not a video: \(FFmpeg.message(code))")
            }
            do throws(MediaError) {
                guard avformat_find_stream_info(format, nil) >= 0 else {
                    throw .damaged(name: path, reason: "its video streams are damaged")
                }
                var decoder: UnsafePointer<AVCodec>?
                let index = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0)
                guard index >= 0, let stream = format.pointee.streams[Int(index)],
                    let codec = FFmpeg.Codec(decoder)
                else {
                    throw .unreadable(name: path, reason: "it holds no video that can be decoded")
                }
                let parameters = stream.pointee.codecpar.pointee
                let (width, height) = (Int(parameters.width), Int(parameters.height))
                guard width > 0 && height > 0 else {
                    throw .damaged(name: path, reason: "its header states \(width) x \(height) pixels")
                }
                guard limit.allows(width, height) else {
                    throw .tooLarge(name: path, width: width, height: height, limit: limit)
                }
                codec.context.pointee.max_pixels = Int64(clamping: limit.pixels)
                codec.context.pointee.thread_count = 0
                guard avcodec_parameters_to_context(codec.context, stream.pointee.codecpar) >= 0,
                    avcodec_open2(codec.context, decoder, nil) >= 0
                else {
                    throw .damaged(name: path, reason: "its decoder cannot be opened")
                }
                if let matrix = vitrail_display_matrix(stream) {
                    // Degrees counter-clockwise.
                    let angle = av_display_rotation_get(matrix)
                    let quarters = angle.isFinite ? Int((-angle / 90).rounded()) & 3 : 0
                    orientation = [1, 6, 3, 8][quarters]
                }
                self.path = path
                self.format = format
                self.stream = stream
                self.codec = codec
                self.limit = limit
            } catch {
                avformat_close_input(&opened)
                throw error
            }
        }

        deinit {
            var format: UnsafeMutablePointer<AVFormatContext>? = format
            avformat_close_input(&format)
        }

        /// Decodes up to the next frame; `false` at the end.
        func advance() throws(MediaError) -> Bool {
            while true {
                let code = avcodec_receive_frame(codec.context, codec.frame)
                if code >= 0 { return true }
                if code == vitrail_end { return false }
                guard code == vitrail_again else { throw damaged(code) }
                try feed()
            }
        }

        private func feed() throws(MediaError) {
            guard !isDraining else { return }
            while true {
                let code = av_read_frame(format, codec.packet)
                guard code >= 0 else {
                    guard code == vitrail_end else { throw damaged(code) }
                    isDraining = true
                    avcodec_send_packet(codec.context, nil)
                    return
                }
                defer { av_packet_unref(codec.packet) }
                guard codec.packet.pointee.stream_index == stream.pointee.index else { continue }
                let sent = avcodec_send_packet(codec.context, codec.packet)
                guard sent >= 0 else { throw damaged(sent) }
                return
            }
        }

        func frame() throws(MediaError) -> Frame {
            let frame = codec.frame.pointee
            let (width, height) = (Int(frame.width), Int(frame.height))
            guard limit.allows(width, height) else {
                throw .tooLarge(name: path, width: width, height: height, limit: limit)
            }
            guard let pixels = scaler.convert(frame, to: AV_PIX_FMT_RGB24) else {
                throw .damaged(name: path, reason: "its pixel format is not supported")
            }
            let start = stream.pointee.start_time == vitrail_no_time ? 0 : stream.pointee.start_time
            let stamp = frame.best_effort_timestamp
            let time =
                stamp == vitrail_no_time
                ? 0 : (Double(stamp) - Double(start)) * av_q2d(stream.pointee.time_base)
            return Frame(
                image: Image(width: width, height: height, pixels: pixels).oriented(orientation), time: time)
        }

        private func damaged(_ code: Int32) -> MediaError {
            .damaged(name: path, reason: "its video data are damaged (\(FFmpeg.message(code)))")
        }
    }
}
