import Foundation
import Media
import Text
import Vitrail

/// What `--json` prints; docs/json.md describes it.
enum Documents {
    /// One line, keys in alphabetical order.
    static func line(_ document: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(document), as: UTF8.self)
    }

    /// A field that is written as null when there is nothing, so that every document has the same keys.
    @propertyWrapper
    struct Nullable<Value: Encodable>: Encodable {
        let wrappedValue: Value?

        init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

        func encode(to encoder: any Encoder) throws {
            var value = encoder.singleValueContainer()
            try value.encode(wrappedValue)
        }
    }

    struct Ask: Encodable {
        let image: String
        let width: Int
        let height: Int
        let request: String
        let answer: String
        let transcript: String
        let findings: [Finding]
        /// Where the annotated picture went, and the one with the heat.
        @Nullable var output: String?
        @Nullable var heatmap: String?
    }

    struct Finding: Encodable {
        let route: Route
        let known: Bool
        let count: Int
        let detections: [Place]

        init(_ finding: Vitrail.Finding) {
            route = finding.route
            known = finding.isKnown
            count = finding.count
            detections = finding.detections.map { Place($0, box: true, point: true) }
        }
    }

    struct Locate: Encodable {
        let image: String
        let width: Int
        let height: Int
        let results: [Result]

        /// The places stand under the name of what was asked for; a count has none.
        struct Result: Encodable {
            let phrase: String
            let known: Bool
            let count: Int
            var boxes: [Place]?
            var masks: [Place]?
            var points: [Place]?
            var keypoints: [Place]?

            init(_ location: Location, as form: LocateResponse) {
                phrase = location.phrase
                known = location.isKnown
                count = location.count
                func places(box: Bool, point: Bool) -> [Place] {
                    location.detections.map { Place($0, box: box, point: point) }
                }
                switch form {
                case .boxes: boxes = places(box: true, point: false)
                case .masks: masks = places(box: true, point: false)
                case .points: points = places(box: false, point: true)
                case .keypoints: keypoints = places(box: true, point: true)
                case .count: break
                }
            }
        }
    }

    /// A detection with the parts that it has, in COCO's forms.
    struct Place: Encodable {
        let score: Double
        let bbox: [Double]?
        let point: [Double]?
        let segmentation: Mask?
        /// x, y and visibility of each joint.
        let keypoints: [Double]?
        let keypointScores: [Double]?

        enum CodingKeys: String, CodingKey {
            case score, bbox, point, segmentation, keypoints
            case keypointScores = "keypoint_scores"
        }

        init(_ detection: Detection, box: Bool, point: Bool) {
            func rounded(_ value: Double, _ steps: Double) -> Double { (value * steps).rounded() / steps }
            let (b, p) = (detection.box, detection.point)
            let joints = detection.keypoints?.joints
            score = rounded(detection.score, 10_000)
            bbox = box ? [b.x, b.y, b.width, b.height].map { rounded($0, 100) } : nil
            self.point = point ? [p.x, p.y].map { rounded($0, 100) } : nil
            segmentation = detection.mask
            keypoints = joints?.flatMap {
                [rounded($0.point.x, 100), rounded($0.point.y, 100), Double($0.visibility.rawValue)]
            }
            keypointScores = joints?.compactMap { joint in joint.score.map { rounded($0, 10_000) } }
        }
    }
}

extension LocateResponse {
    /// "1 box", "3 points".
    func counted(_ count: Int) -> String {
        let (one, many) =
            switch self {
            case .boxes: ("box", "boxes")
            case .masks: ("mask", "masks")
            case .points, .keypoints: ("point", "points")
            case .count: ("place", "places")
            }
        return "\(count) \(count == 1 ? one : many)"
    }

    /// What a line for people says of a thing; joints take lines of their own.
    func description(of detection: Detection) -> String {
        switch self {
        case .boxes: PlaceList.box(detection)
        case .masks:
            PlaceList.box(detection) + (detection.mask.map { "  mask of \($0.area) pixels" } ?? "")
        case .points, .count: PlaceList.point(detection)
        case .keypoints: PlaceList.point(detection) + PlaceList.joints(detection)
        }
    }

    /// How a thing is drawn: what was asked for, and no more.
    func annotation(of detection: Detection, number: Int, colour: Int) -> Annotation {
        let scored = String(format: "%d  %.2f", number, detection.score)
        return switch self {
        case .boxes: Annotation(box: detection.box, label: scored, colour: colour)
        case .masks:
            Annotation(box: detection.box, mask: detection.mask, label: scored, colour: colour)
        case .keypoints where detection.keypoints != nil:
            Annotation(
                box: detection.box, keypoints: detection.keypoints, label: "\(number)", colour: colour)
        case .points, .keypoints, .count:
            Annotation(point: detection.point, label: "\(number)", colour: colour)
        }
    }
}

/// A table of places for people.
enum PlaceList {
    static func box(_ detection: Detection) -> String {
        let box = detection.box
        return
            "x \(number(box.x))  y \(number(box.y))  width \(number(box.width))  height \(number(box.height))"
    }

    static func point(_ detection: Detection) -> String { point(detection.point) }

    /// The joints of a person, a line each; those that are not seen are left out.
    static func joints(_ detection: Detection) -> String {
        guard let joints = detection.keypoints?.joints else { return "" }
        let seen = zip(Keypoints.cocoNames, joints).filter { $1.visibility != .absent }
        return seen.map { name, joint in
            let score = joint.score.map { String(format: "score %.2f  ", $0) } ?? ""
            let padding = String(repeating: " ", count: max(0, 14 - name.count))
            return "\n      \(name)\(padding)  \(score)\(point(joint.point))"
        }.joined()
    }

    /// A line a place: its number, counted on after `last`, its score, and what `text` says of it.
    static func lines(
        _ detections: [Detection], indent: Int = 2, after last: Int = 0, _ text: (Detection) -> String
    ) -> [String] {
        detections.enumerated().map { index, detection in
            let number = String(last + index + 1)
            let digits = String(last + detections.count).count
            let padding = String(repeating: " ", count: indent + digits - number.count)
            return "\(padding)\(number)  score \(String(format: "%.2f", detection.score))  \(text(detection))"
        }
    }

    private static func point(_ point: Point) -> String { "x \(number(point.x))  y \(number(point.y))" }

    private static func number(_ value: Double) -> String {
        let text = String(format: "%.1f", value)
        return String(repeating: " ", count: max(0, 6 - text.count)) + text
    }
}
