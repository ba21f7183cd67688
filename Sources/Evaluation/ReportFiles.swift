import Datasets
import Foundation
import Media

/// A report's folder could not be written.
public struct ReportError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Of the file or folder.
    public let path: String
    public var description: String { "cannot write \(path)" }
}

extension BenchmarkOutcome {
    /// Writes `results.json`, `index.html`, and for each suite a folder with `truth.json`, and with `detections.json`
    /// and `poses.json` where those were asked for, in COCO's format.
    ///
    /// - Parameters:
    ///   - outcomes: of as many suites as there are.
    ///   - folder: made when it is not there; files of the same names are replaced.
    ///   - model: what the page calls the model.
    /// - Throws: ``ReportError``, or `COCOError` and `MediaError` of a picture.
    public static func write(_ outcomes: [BenchmarkOutcome], to folder: String, model: String) throws {
        func write(_ data: Data, _ path: String) throws {
            do {
                try data.write(to: URL(fileURLWithPath: path), options: .atomic)
            } catch {
                throw ReportError(path: path)
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        for outcome in outcomes {
            let path = "\(folder)/\(outcome.report.suite)"
            do {
                try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            } catch {
                throw ReportError(path: path)
            }
            try outcome.writeTruth(to: "\(path)/truth.json")
            if outcome.report.tasks.contains(where: { $0 == .detection || $0 == .segmentation }) {
                let results = outcome.observations.things.map { COCOEntry($0, hasKeypoints: false) }
                try write(Self.lines(results), "\(path)/detections.json")
            }
            if outcome.report.tasks.contains(.pose) {
                let results = outcome.observations.posed.map { COCOEntry($0, hasKeypoints: true) }
                try write(Self.lines(results), "\(path)/poses.json")
            }
        }
        try write(encoder.encode(outcomes.map(\.report)), "\(folder)/results.json")
        try write(Data(ReportPage(outcomes, model: model).html().utf8), "\(folder)/index.html")
    }

    /// A list of documents, one a line.
    private static func lines(_ entries: [COCOEntry]) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        var data = Data("[\n".utf8)
        for (index, entry) in entries.enumerated() {
            if index > 0 { data += Data(",\n".utf8) }
            data += try encoder.encode(entry)
        }
        return data + Data("\n]\n".utf8)
    }

    private func writeTruth(to path: String) throws {
        let scenes = observations.scenes
        let writer = try COCOWriter(
            path: path, description: "Mosaic \(report.suite), seed \(report.seed)",
            images: scenes.map {
                COCOImage(
                    id: $0, width: observations.pictureSize.width, height: observations.pictureSize.height,
                    fileName: "")
            },
            categories: MosaicKind.allCases.map {
                COCOCategory(
                    id: $0.rawValue + 1, name: $0.name, supercategory: $0 == .person ? "person" : "thing",
                    hasKeypoints: $0 == .person)
            })
        var id = 0
        for index in scenes {
            let scene = MosaicScene(seed: report.seed, index: index, configuration: configuration)
            for (number, object) in scene.objects.enumerated() {
                id += 1
                try writer.append(
                    COCOAnnotation(
                        id: id, imageID: index, categoryID: object.kind.rawValue + 1, box: object.box,
                        mask: scene.mask(of: number), keypoints: object.keypoints))
            }
        }
        try writer.finish()
    }
}

/// A result in COCO's format.
private struct COCOEntry: Encodable {
    let image_id: Int
    let category_id: Int
    let score: Double
    let bbox: [Double]?
    let segmentation: Mask?
    let keypoints: [Double]?

    /// - Parameter hasKeypoints: whether the joints are the result; without its box, from which pycocotools would take
    ///   the area.
    init(_ found: AveragePrecision.Prediction<FoundThing>, hasKeypoints: Bool) {
        let thing = found.shape
        image_id = found.image
        category_id = found.category + 1
        score = found.score
        bbox = hasKeypoints ? nil : [thing.box.x, thing.box.y, thing.box.width, thing.box.height]
        segmentation = hasKeypoints ? nil : thing.mask
        keypoints = hasKeypoints ? thing.keypoints?.joints.flatMap { [$0.point.x, $0.point.y, 1] } : nil
    }
}
