/// Why a picture, a video or a mask could not be read, made or written; one line that names it.
public enum MediaError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file could not be read at all.
    case unreadable(name: String, reason: String)
    /// The bytes are none of the formats that are read.
    case unknownFormat(name: String)
    /// The picture holds more pixels than the limit allows; nothing was decoded.
    case tooLarge(name: String, width: Int, height: Int, limit: PixelLimit)
    /// The bytes are damaged or cut short.
    case damaged(name: String, reason: String)
    /// The file could not be written; nothing was left behind.
    case unwritable(name: String, reason: String)
    /// An argument is outside what the operation accepts.
    case invalid(String)

    /// One line, fit for a terminal or a server's answer.
    public var description: String {
        let line =
            switch self {
            case .unreadable(let name, let reason): "cannot read \(name): \(reason)"
            case .unknownFormat(let name):
                "cannot read \(name): not a PNG, JPEG, WebP, BMP or GIF picture"
            case .tooLarge(let name, let width, let height, let limit):
                "cannot read \(name): \(width) x \(height) pixels are more than the limit of \(limit)"
            case .damaged(let name, let reason): "cannot read \(name): \(reason)"
            case .unwritable(let name, let reason): "cannot write \(name): \(reason)"
            case .invalid(let message): message
            }
        // A file name may hold a line break; the message may not.
        return String(line.map { $0.isNewline ? " " : $0 })
    }
}

/// The most pixels (width times height) a picture may hold to be decoded.
public struct PixelLimit: Hashable, Sendable, CustomStringConvertible {
    /// 100 megapixels: 300 MB once decoded.
    public static let `default` = PixelLimit(100_000_000)

    /// Width times height.
    public let pixels: Int

    /// Allows `pixels` and fewer.
    public init(_ pixels: Int) { self.pixels = pixels }

    public var description: String {
        pixels >= 1_000_000 && pixels % 100_000 == 0
            ? pixels % 1_000_000 == 0
                ? "\(pixels / 1_000_000) megapixels" : "\(Double(pixels) / 1e6) megapixels"
            : "\(pixels) pixels"
    }

    /// Whether a picture of this size is allowed; sizes whose product overflows are not.
    func allows(_ width: Int, _ height: Int) -> Bool {
        let (product, overflow) = width.multipliedReportingOverflow(by: height)
        return !overflow && product <= pixels
    }
}
