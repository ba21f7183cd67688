/// An 8-bit RGB picture in memory, row by row from the top, three bytes a pixel.
///
/// Alpha is composed onto white when a file is decoded, and the EXIF orientation is applied, so that
/// what is here is what a person sees.
public struct Image: Sendable, Equatable {
    public let width: Int
    public let height: Int
    /// `height * width * 3` bytes: red, green, blue.
    public var pixels: [UInt8]

    /// - Precondition: `pixels.count == width * height * 3`, both sides at least 1.
    public init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(width > 0 && height > 0 && pixels.count == width * height * 3)
        self.width = width
        self.height = height
        self.pixels = pixels
    }
}
