internal import Datasets
internal import Foundation
internal import Media
internal import TestSupport
internal import Text
internal import Torch
internal import Training
internal import Vitrail

/// A network of some ten thousand parameters of random weights, and sets of drawn pictures with their labels.
final class TinyFineTuning {
    let folder: TemporaryFolder
    var model: String { folder.file("tiny") }

    init() throws {
        // As the program does: a part of a step has a thread, operators are not divided further.
        try Threads.set(1)
        folder = try TemporaryFolder()
        let tokenizer = try Lumen.tokenizer(of: ModelFolder(Engine.embeddedModel()))
        let shape = TinyTraining.shape(
            [["star", "heart"], ["red", "blue"]], 0, tokenizer.vocabularySize, 32...64)
        try Lumen(shape, tokenizer: tokenizer, seed: 3).save(to: model, dtype: .float32)
    }

    /// A rectangle of one colour on grey: a class a colour.
    struct Rectangle {
        var name: String
        var box: Box
    }

    static let colours: [String: [UInt8]] = ["red": [230, 20, 20], "blue": [20, 20, 230]]

    static let first = [
        Rectangle(name: "red", box: Box(x: 8, y: 10, width: 16, height: 12)),
        Rectangle(name: "blue", box: Box(x: 36, y: 30, width: 20, height: 18)),
    ]
    static let second = [
        Rectangle(name: "blue", box: Box(x: 6, y: 34, width: 16, height: 20)),
        Rectangle(name: "red", box: Box(x: 34, y: 6, width: 22, height: 14)),
    ]

    static func image(_ things: [Rectangle], mark: UInt8, width: Int = 64, height: Int = 64) -> Image {
        var pixels = [UInt8](repeating: 128, count: width * height * 3)
        for thing in things {
            for y in Int(thing.box.y)..<Int(thing.box.maxY) {
                for x in Int(thing.box.x)..<Int(thing.box.maxX) {
                    pixels.replaceSubrange(
                        (y * width + x) * 3..<(y * width + x) * 3 + 3, with: colours[thing.name]!)
                }
            }
        }
        // So that no two sets have equal pictures.
        pixels[0] = mark
        return Image(width: width, height: height, pixels: pixels)
    }

    /// Writes a set in COCO's form; the path of its labels.
    func set(
        _ name: String, _ pictures: [[Rectangle]], mark: UInt8, categories: [String] = ["red", "blue"],
        width: Int = 64
    ) throws -> String {
        let files = FileManager.default
        try files.createDirectory(atPath: folder.file("\(name)-pictures"), withIntermediateDirectories: true)
        var images: [[String: Any]] = []
        var annotations: [[String: Any]] = []
        for (number, things) in pictures.enumerated() {
            let file = "\(name)-\(number).png"
            try Self.image(things, mark: mark &+ UInt8(number), width: width).writePNG(
                to: folder.file("\(name)-pictures/\(file)"))
            images.append(["id": number + 1, "file_name": file, "width": width, "height": 64])
            for thing in things {
                annotations.append([
                    "id": annotations.count + 1, "image_id": number + 1,
                    "category_id": categories.firstIndex(of: thing.name)! + 1, "iscrowd": 0,
                    "area": thing.box.area,
                    "bbox": [thing.box.x, thing.box.y, thing.box.width, thing.box.height],
                    "segmentation": [
                        [
                            thing.box.x, thing.box.y, thing.box.maxX, thing.box.y, thing.box.maxX,
                            thing.box.maxY, thing.box.x, thing.box.maxY,
                        ]
                    ],
                ])
            }
        }
        let path = folder.file("\(name).json")
        try TinyTraining.write(
            [
                "images": images, "annotations": annotations,
                "categories": categories.enumerated().map { ["id": $0.offset + 1, "name": $0.element] },
            ], to: path)
        return path
    }

    /// A person of 16 x 32 pixels on grey.
    func person(at corner: (x: Double, y: Double), mark: UInt8) throws -> Image {
        Self.image(
            [
                .init(name: "red", box: Box(x: corner.x, y: corner.y, width: 16, height: 32)),
                .init(name: "blue", box: Box(x: corner.x + 3, y: corner.y + 13, width: 6, height: 6)),
            ], mark: mark)
    }

    /// The sources of four people to learn from, a picture each, and two to validate by; of their joints the left hip alone is
    /// labelled, the others have no label.
    func people() throws -> [String: Any] {
        func source(_ name: String, _ corners: [(x: Double, y: Double)], mark: UInt8) throws -> [String: Any]
        {
            let pictures = folder.file("\(name)-pictures")
            try FileManager.default.createDirectory(atPath: pictures, withIntermediateDirectories: true)
            var images: [[String: Any]] = []
            var annotations: [[String: Any]] = []
            for (number, corner) in corners.enumerated() {
                let file = "\(name)-\(number).png"
                try person(at: corner, mark: mark + UInt8(number)).writePNG(to: "\(pictures)/\(file)")
                images.append(["id": number + 1, "file_name": file, "width": 64, "height": 64])
                var joints = [Double](repeating: 0, count: 51)
                joints.replaceSubrange(33..<36, with: [corner.x + 6, corner.y + 16, 2])
                annotations.append([
                    "id": number + 1, "image_id": number + 1, "category_id": 1, "iscrowd": 0, "area": 512,
                    "bbox": [corner.x, corner.y, 16, 32], "keypoints": joints, "num_keypoints": 1,
                ])
            }
            let person: [String: Any] = [
                "id": 1, "name": "person",
                "keypoints": Keypoints.cocoNames.map { $0.replacing(" ", with: "_") },
            ]
            let path = folder.file("\(name).json")
            try TinyTraining.write(
                ["images": images, "annotations": annotations, "categories": [person]], to: path)
            return ["format": "coco", "path": path, "images": pictures]
        }
        return [
            "train": try source("posed", [(4, 6), (40, 10), (12, 28), (30, 20)], mark: 10),
            "validation": try source("seen", [(8, 16), (34, 8)], mark: 50),
        ]
    }

    /// The fields of a valid configuration file, for two sets of two pictures.
    func fields(_ changes: [String: Any] = [:], width: Int = 64) throws -> [String: Any] {
        func source(_ name: String, mark: UInt8) throws -> [String: Any] {
            [
                "format": "coco",
                "path": try set(name, [Self.first, Self.second], mark: mark, width: width),
                "images": folder.file("\(name)-pictures"),
            ]
        }
        let schedule: [String: Any] = ["peak": 0.01, "warmup_steps": 2, "decay_share": 0.5, "floor": 0.1]
        return [
            "data": [
                "train": try source("train", mark: 10), "validation": try source("validation", mark: 90),
            ],
            "seed": 5, "image_size": 64, "remakes_head": true, "steps": 4, "vision_steps": 0, "pictures": 2,
            "together": 1,
            "names": 2, "requests": 0, "questions": 0, "schedule": schedule, "language_rate": 0.5,
            "fresh_rate": 1, "optimizer": "adamw", "weight_decay": 0.01, "gradient_limit": 10,
            "mixed_precision": false,
            "augmentation": [
                "flip": 0, "flip_vertically": 0, "turns": false, "scale": [1, 1], "colour": 0, "invert": 0,
                "mosaic": 0,
            ],
            "losses": [
                "dense": 1, "heat": 1, "box": 1, "named": 1, "location": 1, "text": 1,
            ],
            "locator": ["maximum_peaks": 50, "overlap_limits": [0.5, 0.7]],
            "log_every": 1, "checkpoint_every": 100, "validate_every": 2, "patience": 100,
        ].merging(changes) { $1 }
    }

    func configuration(_ changes: [String: Any] = [:], width: Int = 64) throws -> FineTuningConfiguration {
        let path = folder.file("configuration.json")
        try TinyTraining.write(fields(changes, width: width), to: path)
        return try FineTuningConfiguration(contentsOf: path)
    }

    func run(
        _ name: String, resume: Bool = false, threads: Int = 1, _ changes: [String: Any] = [:],
        width: Int = 64
    ) throws -> FineTuning {
        try FineTuning(
            configuration(changes, width: width), folder: folder.file(name), resume: resume, threads: threads,
            model: model)
    }

    /// The lines of a run's `validation.jsonl`.
    func validations(_ name: String) throws -> [[String: Double]] {
        let text = try String(contentsOfFile: folder.file("\(name)/validation.jsonl"), encoding: .utf8)
        return try text.split(separator: "\n").map {
            try JSONDecoder().decode([String: Double].self, from: Data($0.utf8))
        }
    }
}
