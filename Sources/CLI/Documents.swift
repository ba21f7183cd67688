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

    struct Ask: Encodable {
        let image: String
        let width: Int
        let height: Int
        let request: String
        let answer: String
        /// Null for an answer in words.
        let route: Route?
        let detections: [Place]
        /// Where the annotated picture went.
        let output: String?
        let note: String?

        enum CodingKeys: CodingKey {
            case image, width, height, request, answer, route, detections, output, note
        }

        func encode(to encoder: any Encoder) throws {
            var values = encoder.container(keyedBy: CodingKeys.self)
            try values.encode(image, forKey: .image)
            try values.encode(width, forKey: .width)
            try values.encode(height, forKey: .height)
            try values.encode(request, forKey: .request)
            try values.encode(answer, forKey: .answer)
            // Null rather than absent, so that every document has the same keys.
            try values.encode(route, forKey: .route)
            try values.encode(detections, forKey: .detections)
            try values.encode(output, forKey: .output)
            try values.encodeIfPresent(note, forKey: .note)
        }
    }

    struct Locate: Encodable {
        let image: String
        let width: Int
        let height: Int
        let results: [Result]

        struct Result: Encodable {
            let phrase: String
            let count: Int
            let boxes: [Place]?
            let points: [Place]?
        }
    }

    /// A detection as a box, as a point, or as both.
    struct Place: Encodable {
        let score: Double
        let bbox: [Double]?
        let point: [Double]?

        init(_ detection: Detection, box: Bool, point: Bool) {
            func rounded(_ value: Double, _ steps: Double) -> Double { (value * steps).rounded() / steps }
            let (b, p) = (detection.box, detection.point)
            score = rounded(detection.score, 10_000)
            bbox = box ? [b.x, b.y, b.width, b.height].map { rounded($0, 100) } : nil
            self.point = point ? [p.x, p.y].map { rounded($0, 100) } : nil
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

    static func point(_ detection: Detection) -> String {
        "x \(number(detection.point.x))  y \(number(detection.point.y))"
    }

    /// A line a place: its number, its score, and what `text` says of it.
    static func lines(_ detections: [Detection], indent: Int = 2, _ text: (Detection) -> String) -> [String] {
        detections.enumerated().map { index, detection in
            let number = String(index + 1)
            let digits = String(detections.count).count
            let padding = String(repeating: " ", count: indent + digits - number.count)
            return "\(padding)\(number)  score \(String(format: "%.2f", detection.score))  \(text(detection))"
        }
    }

    private static func number(_ value: Double) -> String {
        let text = String(format: "%.1f", value)
        return String(repeating: " ", count: max(0, 6 - text.count)) + text
    }
}
