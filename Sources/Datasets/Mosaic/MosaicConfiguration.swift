/// What scenes are like: together with a seed and an index it fixes every pixel.
public struct MosaicConfiguration: Sendable, Hashable {
    /// How hard the world is.
    public enum Ring: String, CaseIterable, Sendable, Hashable, Codable {
        /// Ten flat shapes and frontal, whole figures on plain, graded, waved or cloudy grounds.
        case plain
    }

    /// The sides of a picture in pixels. The same scene in another size is the same drawing, sharper.
    public let size: Int
    public let ring: Ring
    /// No scene has more things in it than this.
    public let maximumObjects: Int

    /// The sizes that a picture may have.
    public static let sizes = 96...512
    /// The bounds of `maximumObjects`.
    public static let objectCounts = 1...12

    /// - Throws: `MosaicError` when a number is out of bounds.
    public init(size: Int = 128, ring: Ring = .plain, maximumObjects: Int = 12) throws(MosaicError) {
        guard Self.sizes.contains(size) else { throw .size(size) }
        guard Self.objectCounts.contains(maximumObjects) else { throw .maximumObjects(maximumObjects) }
        self.init(uncheckedSize: size, ring: ring, maximumObjects: maximumObjects)
    }

    private init(uncheckedSize size: Int, ring: Ring, maximumObjects: Int) {
        self.size = size
        self.ring = ring
        self.maximumObjects = maximumObjects
    }

    /// 128 pixels, the plain ring, up to 12 objects.
    public static let standard = MosaicConfiguration(uncheckedSize: 128, ring: .plain, maximumObjects: 12)
}

/// The use that seeds are for.
public enum MosaicSeeds {
    /// Seeds from here on are for scoring alone: nothing is ever trained or tuned on them.
    public static let scoringStart: UInt64 = 900_000

    /// Whether scenes of this seed are kept for scoring.
    public static func isScoring(_ seed: UInt64) -> Bool { seed >= scoringStart }
}

/// Why a scene, a data set or an export could not be made.
public enum MosaicError: Error, Sendable, Hashable, CustomStringConvertible {
    case size(Int)
    case maximumObjects(Int)
    /// The number of pictures to export.
    case count(Int)
    /// The folder to export to exists and has something in it, or is a file.
    case folderInUse(String)
    case unwritable(String)

    public var description: String {
        switch self {
        case .size(let size):
            let sizes = MosaicConfiguration.sizes
            return "Mosaic pictures are \(sizes.lowerBound) to \(sizes.upperBound) pixels wide, not \(size)"
        case .maximumObjects(let count):
            let counts = MosaicConfiguration.objectCounts
            return
                "a Mosaic scene has at most \(counts.lowerBound) to \(counts.upperBound) objects, not \(count)"
        case .count(let count):
            let counts = MosaicExport.counts
            return "an export has \(counts.lowerBound) to \(counts.upperBound) pictures, not \(count)"
        case .folderInUse(let path):
            return "\(path) exists already: an export wants a new or an empty folder"
        case .unwritable(let path):
            return "cannot make the folder \(path)"
        }
    }
}
