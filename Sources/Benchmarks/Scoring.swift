internal import ArgumentParser
internal import Datasets
internal import Evaluation
internal import Foundation
internal import Media

/// COCO's figures of a set of COCO's size, beside pycocotools and faster-coco-eval.
struct Scoring: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Scoring of COCO results, beside pycocotools and faster-coco-eval.",
        discussion: """
            Truth and detections are synthetic. A side reads the files, which is timed on its own, and makes the twelve \
            figures; all sides' are compared. VITRAIL_PYTHON names a Python with both packages.
            """)

    @Option(help: "Pictures whose boxes are scored.")
    var images = 5000

    @Option(help: "Pictures whose masks are scored.")
    var maskImages = 500

    @Option(help: "Classes.")
    var classes = 80

    @Option(help: "Detections of each picture.")
    var detections = 100

    @Option(help: "How often the sides take turns.")
    var rounds = 3

    @Flag(help: "Print one JSON document instead of a table.")
    var json = false

    func validate() throws {
        for (name, value) in [
            ("images", images), ("mask-images", maskImages), ("classes", classes), ("detections", detections),
            ("rounds", rounds),
        ] where value < 1 { throw ValidationError("--\(name) is \(value), 1 is the least") }
    }

    static let script = "Tools/reference/bench_scoring.py"

    /// What one side took, in milliseconds, and its figures.
    struct Taken: Decodable {
        let version: String
        let read: Double
        let score: Double
        let figures: [Double]
    }

    struct Row: Codable {
        let type: String
        let images: Int
        let tool: String
        /// Medians, in milliseconds.
        let read: Double
        let score: Double
        /// How many times as fast Swift scores.
        var ratio: Double?
        /// How far the figures are from Swift's, at most.
        var difference: Double?
    }

    func run() throws {
        let program = ProcessInfo.processInfo.environment["VITRAIL_PYTHON"] ?? "python3"
        guard FileManager.default.fileExists(atPath: Self.script) else {
            throw PythonSide.Failed(
                description: "\(Self.script) is not here: run this from the package's folder")
        }
        let folder = try WorkFolder()
        var rows: [Row] = []
        for (type, images) in [(COCOScoringType.boxes, images), (.masks, maskImages)] {
            let set = SyntheticDetections(images: images, classes: classes, detections: detections)
            let truth = "\(folder.path)/\(type.rawValue)-truth.json"
            let results = "\(folder.path)/\(type.rawValue)-results.json"
            try set.write(truth: truth, results: results, type: type)
            var ours: [Taken] = []
            var theirs: [String: [Taken]] = [:]
            for _ in 0..<rounds {
                ours.append(try Self.measure(truth, results, type))
                for tool in ["pycocotools", "faster-coco-eval"] {
                    let arguments = [Self.script, tool, type.rawValue, truth, results]
                    guard let line = try LineReader.firstLine(of: program, arguments) else { continue }
                    theirs[tool, default: []].append(
                        try JSONDecoder().decode(Taken.self, from: Data(line.utf8)))
                }
            }
            let own = median(ours.map(\.score))
            func row(_ taken: [Taken]) -> Row {
                Row(
                    type: type.rawValue, images: images, tool: taken[0].version,
                    read: median(taken.map(\.read)),
                    score: median(taken.map(\.score)))
            }
            rows.append(row(ours))
            for tool in ["pycocotools", "faster-coco-eval"] {
                guard let taken = theirs[tool] else {
                    note(
                        "\(tool) is not measured, \(program) has none (pip install \(tool), or VITRAIL_PYTHON)"
                    )
                    continue
                }
                var row = row(taken)
                row.ratio = row.score / own
                row.difference = zip(taken[0].figures, ours[0].figures).map { abs($0 - $1) }.max()
                rows.append(row)
            }
        }
        print(json ? try Self.json(rows) : Self.text(rows))
    }

    private static func measure(_ truth: String, _ results: String, _ type: COCOScoringType) throws -> Taken {
        var read: (COCOTruth, [COCOResult])!
        let reading = try milliseconds {
            read = (try COCOTruth(contentsOf: truth), try COCOResult.read(contentsOf: results))
        }
        var figures: [Double] = []
        let scoring = try milliseconds {
            figures = try AveragePrecision(read.1, truth: read.0, by: type).figures.map(\.value)
        }
        return Taken(version: "vitrail", read: reading, score: scoring, figures: figures)
    }

    private func note(_ text: String) {
        FileHandle.standardError.write(Data("\(text)\n".utf8))
    }

    private static func json(_ rows: [Row]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(rows), as: UTF8.self)
    }

    private static func text(_ rows: [Row]) -> String {
        columns(
            [["", "read", "score", "times as fast", "figures differ by"]]
                + rows.map { row in
                    [
                        "\(row.type), \(row.images) pictures, \(row.tool)",
                        String(format: "%.0f ms", row.read),
                        String(format: "%.0f ms", row.score),
                        row.ratio.map { String(format: "%.1f", $0) } ?? "",
                        row.difference.map { String(format: "%.0e", $0) } ?? "",
                    ]
                })
    }
}

/// Truth and detections as of COCO's validation set: seven things a picture, of which most are found more than once, and
/// poor guesses up to the number of detections.
private struct SyntheticDetections {
    let images: Int
    let classes: Int
    let detections: Int
    static let (width, height) = (640.0, 480.0)

    func write(truth: String, results: String, type: COCOScoringType) throws {
        var random = SplitMix(state: 1)
        var (annotations, found) = ([String](), [String]())
        for image in 1...images {
            var left = detections
            func result(_ box: Box, _ category: Int, _ score: Double) throws {
                let shape =
                    type == .masks ? "\"segmentation\":\(try Self.runs(box))" : "\"bbox\":\(Self.text(box))"
                found.append(
                    "{\"image_id\":\(image),\"category_id\":\(category),\(shape),\"score\":\(String(format: "%.3f", score))}"
                )
                left -= 1
            }
            for _ in 0..<random.next(15) {
                let (box, category) = (random.box(), 1 + random.next(classes))
                let isCrowd = random.next(80) == 0
                let shape = isCrowd ? try Self.runs(box) : "[\(Self.polygon(box))]"
                annotations.append(
                    "{\"id\":\(annotations.count + 1),\"image_id\":\(image),\"category_id\":\(category),\"iscrowd\":\(isCrowd ? 1 : 0),"
                        + "\"bbox\":\(Self.text(box)),\"area\":\(String(format: "%.2f", 0.6 * box.area)),\"segmentation\":\(shape)}"
                )
                for _ in 0..<(1 + random.next(3)) where left > 0 {
                    try result(random.near(box), category, 0.3 + 0.7 * random.unit())
                }
            }
            while left > 0 { try result(random.box(), 1 + random.next(classes), 0.6 * random.unit()) }
        }
        let pictures = (1...images).map {
            "{\"id\":\($0),\"width\":\(Int(Self.width)),\"height\":\(Int(Self.height)),\"file_name\":\"\($0).jpg\"}"
        }
        let categories = (1...classes).map { "{\"id\":\($0),\"name\":\"class \($0)\"}" }
        let document =
            "{\"images\":[\(pictures.joined(separator: ","))],\"categories\":[\(categories.joined(separator: ","))],"
            + "\"annotations\":[\n\(annotations.joined(separator: ",\n"))]}"
        try Data(document.utf8).write(to: URL(fileURLWithPath: truth))
        try Data("[\n\(found.joined(separator: ",\n"))]".utf8).write(to: URL(fileURLWithPath: results))
    }

    private static func text(_ box: Box) -> String {
        String(format: "[%.2f,%.2f,%.2f,%.2f]", box.x, box.y, box.width, box.height)
    }

    /// The corners of a shape of twelve sides within the box.
    private static func corners(_ box: Box) -> [Double] {
        (0..<12).flatMap { corner in
            let angle = Double(corner) * .pi / 6
            return [
                box.x + box.width * (0.5 + 0.5 * cos(angle)), box.y + box.height * (0.5 + 0.5 * sin(angle)),
            ]
        }
    }

    private static func polygon(_ box: Box) -> String {
        "[\(corners(box).map { String(format: "%.2f", $0) }.joined(separator: ","))]"
    }

    private static func runs(_ box: Box) throws -> String {
        let mask = try Mask(width: Int(width), height: Int(height), polygons: [corners(box)])
        return String(decoding: try JSONEncoder().encode(mask), as: UTF8.self)
    }
}

/// Numbers that are the same everywhere.
private struct SplitMix {
    var state: UInt64

    mutating func unit() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Double((z ^ (z >> 31)) >> 11) / Double(1 << 53)
    }

    mutating func next(_ count: Int) -> Int { Int(unit() * Double(count)) }

    mutating func box() -> Box {
        // Small ones are the most.
        let side = 12 + 300 * unit() * unit()
        let (width, height) = (side * (0.5 + unit()), side * (0.5 + unit()))
        let (x, y) = (unit() * max(1, 640 - width), unit() * max(1, 480 - height))
        return Box(x: x, y: y, width: min(width, 639 - x), height: min(height, 479 - y))
    }

    mutating func near(_ box: Box) -> Box {
        func shift(_ side: Double) -> Double { 0.3 * side * (unit() - 0.5) }
        let x = max(0, box.x + shift(box.width))
        let y = max(0, box.y + shift(box.height))
        return Box(
            x: x, y: y, width: min(box.width * (0.8 + 0.4 * unit()), 639 - x),
            height: min(box.height * (0.8 + 0.4 * unit()), 479 - y))
    }
}
