public import Media

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A person's joints as ``ObjectKeypointSimilarity`` compares them.
public struct JointPlaces: Sendable, Hashable {
    /// `x, y` of each joint in turn.
    public var places: [Double]
    /// Which of them are labelled; predictions need none.
    public var isLabelled: [Bool]
    /// Of the person; what counts where no joint is labelled.
    public var box: Box

    public init(places: [Double], isLabelled: [Bool] = [], box: Box = Box(x: 0, y: 0, width: 0, height: 0)) {
        self.places = places
        self.isLabelled = isLabelled
        self.box = box
    }

    public init(_ keypoints: Keypoints, box: Box = Box(x: 0, y: 0, width: 0, height: 0)) {
        // COCO writes zeros for a joint that is not labelled.
        self.init(
            places: keypoints.joints.flatMap {
                $0.visibility == .absent ? [0, 0] : [$0.point.x, $0.point.y]
            }, isLabelled: keypoints.joints.map { $0.visibility != .absent }, box: box)
    }

    /// The area of the rectangle around all joints, which pycocotools takes for a predicted person's.
    public var area: Double {
        func range(_ first: Int) -> Double {
            let values = stride(from: first, to: places.count, by: 2).map { places[$0] }
            return (values.max() ?? 0) - (values.min() ?? 0)
        }
        return range(0) * range(1)
    }
}

/// COCO's similarity of people's joints: a Gaussian of each labelled joint's distance, as wide as people disagree about
/// that joint, relative to the person's area.
public struct ObjectKeypointSimilarity: Sendable {
    /// COCO's, of its 17 joints.
    public static let cocoSigmas = [
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087,
        0.087, 0.089, 0.089,
    ]

    private let variances: [Double]

    /// - Parameter sigmas: one a joint.
    public init(sigmas: [Double] = cocoSigmas) { variances = sigmas.map { ($0 * 2) * ($0 * 2) } }

    /// 0 to 1.
    ///
    /// - Precondition: both have as many joints as there are sigmas.
    public func callAsFunction(_ found: JointPlaces, _ truth: AveragePrecision.Truth<JointPlaces>) -> Double {
        let real = truth.shape
        let labelled = real.isLabelled.count { $0 }
        let box = real.box
        var sum = 0.0
        for joint in variances.indices where labelled == 0 || real.isLabelled[joint] {
            let (x, y) = (found.places[2 * joint], found.places[2 * joint + 1])
            let dx, dy: Double
            if labelled > 0 {
                dx = x - real.places[2 * joint]
                dy = y - real.places[2 * joint + 1]
            } else {
                // Nothing is known but the box: within its double it is as good as right.
                dx = max(0, box.x - box.width - x) + max(0, x - (box.x + box.width * 2))
                dy = max(0, box.y - box.height - y) + max(0, y - (box.y + box.height * 2))
            }
            sum += exp(-((dx * dx + dy * dy) / variances[joint] / (truth.area + .ulpOfOne) / 2))
        }
        return sum / Double(labelled > 0 ? labelled : variances.count)
    }
}

/// A mask and the box around it, which tells most pairs apart without a look at the pixels.
public struct MaskShape: Sendable, Hashable {
    public let mask: Mask
    let box: Box
    let area: Int

    public init(_ mask: Mask) {
        self.mask = mask
        box = mask.boundingBox
        area = mask.area
    }

    /// Pixels of both.
    func shared(_ other: MaskShape) -> Int {
        mask.counts.withUnsafeBufferPointer { a in
            other.mask.counts.withUnsafeBufferPointer { b in
                // Ends of the runs, and whose foreground the runs are.
                var (i, j, shared, at) = (0, 0, 0, 0)
                guard a.count > 0, b.count > 0 else { return 0 }
                var (endA, endB) = (a[0], b[0])
                while true {
                    let end = min(endA, endB)
                    if i & j & 1 == 1 { shared += end - at }
                    at = end
                    if endA == end {
                        i += 1
                        guard i < a.count else { return shared }
                        endA += a[i]
                    }
                    if endB == end {
                        j += 1
                        guard j < b.count else { return shared }
                        endB += b[j]
                    }
                }
            }
        }
    }

    /// Intersection over union; over this mask alone with a crowd.
    ///
    /// - Precondition: both are of one picture's size.
    func iou(_ other: MaskShape, isCrowd: Bool = false) -> Double {
        guard box.intersection(other.box) != nil else { return 0 }
        let shared = shared(other)
        let whole = isCrowd ? area : area + other.area - shared
        return whole == 0 ? 0 : Double(shared) / Double(whole)
    }
}

extension AveragePrecision {
    /// Of boxes.
    public init(boxes: [Prediction<Box>], truth: [Truth<Box>]) {
        self.init(boxes, truth: truth) { found, truth in
            let real = truth.shape
            let width = min(found.x + found.width, real.x + real.width) - max(found.x, real.x)
            guard width > 0 else { return 0 }
            let height = min(found.y + found.height, real.y + real.height) - max(found.y, real.y)
            guard height > 0 else { return 0 }
            let shared = width * height
            return shared / (truth.isCrowd ? found.area : found.area + real.area - shared)
        }
    }

    /// Of masks.
    ///
    /// - Precondition: the masks of a picture have one size.
    public init(masks: [Prediction<MaskShape>], truth: [Truth<MaskShape>]) {
        self.init(masks, truth: truth) { found, truth in
            found.iou(truth.shape, isCrowd: truth.isCrowd)
        }
    }

    /// Of people's joints.
    ///
    /// - Precondition: all have as many joints as there are sigmas.
    public init(
        keypoints: [Prediction<JointPlaces>], truth: [Truth<JointPlaces>],
        sigmas: [Double] = ObjectKeypointSimilarity.cocoSigmas, settings: Settings = .keypoints
    ) {
        let similarity = ObjectKeypointSimilarity(sigmas: sigmas)
        self.init(keypoints, truth: truth, settings: settings) { similarity($0, $1) }
    }
}
