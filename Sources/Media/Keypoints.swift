/// The joints of one figure, in the order of its skeleton; COCO's 17 for a person.
public struct Keypoints: Sendable, Hashable {
    /// COCO's visibility flag.
    public enum Visibility: Int, Sendable, Hashable, Codable {
        case absent = 0
        case occluded = 1
        case visible = 2
    }

    public struct Joint: Sendable, Hashable {
        public var point: Point
        public var visibility: Visibility
        /// How sure a model is of it, 0...1; nil for a joint that is known.
        public var score: Double?

        public init(point: Point, visibility: Visibility, score: Double? = nil) {
            self.point = point
            self.visibility = visibility
            self.score = score
        }
    }

    public var joints: [Joint]

    public init(_ joints: [Joint]) { self.joints = joints }

    /// COCO's names, in COCO's order; `left` is the figure's own left.
    public static let cocoNames = [
        "nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder",
        "left elbow", "right elbow", "left wrist", "right wrist", "left hip", "right hip",
        "left knee", "right knee", "left ankle", "right ankle",
    ]

    /// For each of COCO's joints the one that it becomes in a mirror: the same, or that of the other side.
    public static let cocoMirrored = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]

    /// COCO's limbs as pairs of joint indices, counted from zero.
    public static let cocoSkeleton = [
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
        (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ]

    /// How many quarter turns clockwise bring the head above the hips, as nearly as they can; of a person's 17 joints, 0 for
    /// others.
    public var turnsToUpright: Int {
        guard joints.count == Self.cocoNames.count else { return 0 }
        func mean(_ part: Range<Int>) -> Point {
            let points = joints[part].map(\.point)
            return Point(
                x: points.reduce(0) { $0 + $1.x } / Double(part.count),
                y: points.reduce(0) { $0 + $1.y } / Double(part.count))
        }
        // Nose, eyes and ears; hips and knees. Which is left and which is right does not matter.
        let (head, legs) = (mean(0..<5), mean(11..<15))
        let (x, y) = (head.x - legs.x, head.y - legs.y)
        if abs(x) > abs(y) { return x < 0 ? 1 : 3 }
        return y > 0 ? 2 : 0
    }
}
