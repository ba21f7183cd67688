/// What scenes are like: together with a seed and an index it fixes every pixel.
public struct MosaicConfiguration: Sendable, Hashable {
    /// How hard the world is.
    public enum Ring: String, CaseIterable, Sendable, Hashable, Codable {
        /// Ten flat shapes, whole and little covered, and figures that turn, sit, lie and are cut off, on plain, graded,
        /// waved or cloudy grounds.
        case plain
        /// All kinds, drawn at 256 pixels with shadows, light, blur and clutter, from 8 to 200 pixels in size, cut off by
        /// the border and by one another; figures in any pose.
        case rich
    }

    /// A colour and a shape together.
    public struct Pair: Sendable, Hashable {
        public let colour: MosaicColour
        public let kind: MosaicKind
    }

    /// Which colours shapes may have.
    public enum Pairs: String, CaseIterable, Sendable, Hashable, Codable {
        /// Any shape in any colour.
        case all
        /// No shape in the colour of `heldOutPairs`: for training, when what a model makes of pairs that it has never
        /// seen is to be measured.
        case trained
        /// At least one thing in each scene is one of `heldOutPairs`.
        case heldOut
    }

    /// The width of a picture in pixels.
    public let width: Int
    /// The height of a picture in pixels. The same scene in another size of the same proportions is the same drawing,
    /// sharper.
    public let height: Int
    public let ring: Ring
    /// No scene has more things in it than this.
    public let maximumObjects: Int
    public let pairs: Pairs

    /// The height of a picture in pixels, and its width when it is square.
    public var size: Int { height }

    /// The lengths that a side of a picture may have.
    public static let sizes = 96...512
    /// The bounds of `maximumObjects`.
    public static let objectCounts = 1...30
    /// The pairs that `Pairs.trained` leaves out: each colour with a shape of its own.
    public static let heldOutPairs: [Pair] = [
        Pair(colour: .red, kind: .moon), Pair(colour: .green, kind: .heart),
        Pair(colour: .blue, kind: .triangle), Pair(colour: .yellow, kind: .diamond),
        Pair(colour: .orange, kind: .cross), Pair(colour: .purple, kind: .star),
        Pair(colour: .pink, kind: .square), Pair(colour: .cyan, kind: .ellipse),
        Pair(colour: .white, kind: .ring), Pair(colour: .black, kind: .circle),
    ]

    /// Square pictures.
    ///
    /// - Throws: `MosaicError` when a number is out of bounds.
    public init(
        size: Int = 128, ring: Ring = .plain, maximumObjects: Int = 12, pairs: Pairs = .all
    ) throws(MosaicError) {
        try self.init(width: size, height: size, ring: ring, maximumObjects: maximumObjects, pairs: pairs)
    }

    /// Pictures of any proportions: things keep their size relative to the shorter side.
    ///
    /// - Throws: `MosaicError` when a number is out of bounds.
    public init(
        width: Int, height: Int, ring: Ring = .plain, maximumObjects: Int = 12, pairs: Pairs = .all
    ) throws(MosaicError) {
        for side in [width, height] where !Self.sizes.contains(side) { throw .size(side) }
        guard Self.objectCounts.contains(maximumObjects) else { throw .maximumObjects(maximumObjects) }
        self.init(
            uncheckedWidth: width, height: height, ring: ring, maximumObjects: maximumObjects, pairs: pairs)
    }

    private init(uncheckedWidth width: Int, height: Int, ring: Ring, maximumObjects: Int, pairs: Pairs) {
        self.width = width
        self.height = height
        self.ring = ring
        self.maximumObjects = maximumObjects
        self.pairs = pairs
    }

    /// 128 pixels, the plain ring, up to 12 objects.
    public static let standard = MosaicConfiguration(
        uncheckedWidth: 128, height: 128, ring: .plain, maximumObjects: 12, pairs: .all)
    /// 256 pixels, the rich ring, up to 30 objects.
    public static let rich = MosaicConfiguration(
        uncheckedWidth: 256, height: 256, ring: .rich, maximumObjects: 30, pairs: .all)

    /// Whether this is one of `heldOutPairs`.
    public static func isHeldOut(_ colour: MosaicColour, _ kind: MosaicKind) -> Bool {
        heldOutPairs[colour.rawValue].kind == kind
    }
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
    /// The length of a picture's side.
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
            return
                "Mosaic pictures are \(sizes.lowerBound) to \(sizes.upperBound) pixels wide and high, not \(size)"
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
