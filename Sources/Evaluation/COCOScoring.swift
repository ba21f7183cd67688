public import Datasets
import Media

/// What COCO files are scored by.
public enum COCOScoringType: String, CaseIterable, Sendable, Hashable, Codable {
    case boxes = "bbox"
    case masks = "segm"
    case keypoints
}

/// Predictions that cannot be scored against a truth.
public struct COCOScoringError: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String
}

extension AveragePrecision {
    /// Scores COCO results as pycocotools' `COCOeval` does.
    ///
    /// - Parameters:
    ///   - results: of the truth's pictures; those of other categories do not count.
    ///   - truth: a COCO data set.
    ///   - type: what is compared.
    ///   - sigmas: one a joint, for keypoints.
    /// - Throws: ``COCOScoringError``, one line that names the entry.
    public init(
        _ results: [COCOResult], truth: COCOTruth, by type: COCOScoringType,
        sigmas: [Double] = ObjectKeypointSimilarity.cocoSigmas
    ) throws(COCOScoringError) {
        for (index, result) in results.enumerated() {
            guard truth.images[result.imageID] != nil else {
                throw COCOScoringError(
                    description:
                        "result \(index) is of image \(result.imageID), which the truth does not have")
            }
        }
        // pycocotools takes the area from the box wherever the first result has one.
        let hasBoxes = results.first?.box != nil
        switch type {
        case .boxes:
            self.init(
                boxes: try Self.predictions(results, "bbox", \.box) { $0.area },
                truth: truth.annotations.map {
                    .init(
                        image: $0.imageID, category: $0.categoryID, area: $0.area, isCrowd: $0.isCrowd,
                        shape: $0.box)
                })
        case .masks:
            func shape(
                _ segmentation: COCOSegmentation, _ image: Int, _ name: String
            ) throws(COCOScoringError) -> MaskShape {
                let image = truth.images[image]!
                do {
                    return MaskShape(try segmentation.mask(width: image.width, height: image.height))
                } catch {
                    throw COCOScoringError(description: "\(name): \(error)")
                }
            }
            var real: [Truth<MaskShape>] = []
            for annotation in truth.annotations {
                guard let segmentation = annotation.segmentation else {
                    throw COCOScoringError(description: "annotation \(annotation.id) has no segmentation")
                }
                real.append(
                    .init(
                        image: annotation.imageID, category: annotation.categoryID, area: annotation.area,
                        isCrowd: annotation.isCrowd,
                        shape: try shape(segmentation, annotation.imageID, "annotation \(annotation.id)")))
            }
            var found: [Prediction<MaskShape>] = []
            for (index, result) in results.enumerated() {
                guard let segmentation = result.segmentation else {
                    throw COCOScoringError(description: "result \(index) has no segmentation")
                }
                let shape = try shape(segmentation, result.imageID, "result \(index)")
                let area = hasBoxes ? result.box?.area ?? 0 : Double(shape.mask.area)
                found.append(
                    .init(
                        image: result.imageID, category: result.categoryID, score: result.score, area: area,
                        shape: shape))
            }
            self.init(masks: found, truth: real)
        case .keypoints:
            func places(_ numbers: [Double]?, _ name: String) throws(COCOScoringError) -> [Double] {
                guard let numbers else { throw COCOScoringError(description: "\(name) has no keypoints") }
                guard numbers.count == 3 * sigmas.count else {
                    throw COCOScoringError(
                        description: "\(name) has \(numbers.count / 3) joints, not \(sigmas.count)")
                }
                return numbers.indices.filter { $0 % 3 < 2 }.map { numbers[$0] }
            }
            var real: [Truth<JointPlaces>] = []
            for annotation in truth.annotations {
                let joints = annotation.keypoints
                let shape = JointPlaces(
                    places: try places(joints, "annotation \(annotation.id)"),
                    isLabelled: stride(from: 2, to: joints?.count ?? 0, by: 3).map { joints![$0] > 0 },
                    box: annotation.box)
                real.append(
                    .init(
                        image: annotation.imageID, category: annotation.categoryID, area: annotation.area,
                        isCrowd: annotation.isCrowd, isIgnored: annotation.keypointCount == 0, shape: shape))
            }
            var found: [Prediction<JointPlaces>] = []
            for (index, result) in results.enumerated() {
                let shape = JointPlaces(places: try places(result.keypoints, "result \(index)"))
                let area = hasBoxes ? result.box?.area ?? 0 : shape.area
                found.append(
                    .init(
                        image: result.imageID, category: result.categoryID, score: result.score, area: area,
                        shape: shape))
            }
            self.init(keypoints: found, truth: real, sigmas: sigmas)
        }
    }

    private static func predictions<Shape>(
        _ results: [COCOResult], _ name: String, _ shape: KeyPath<COCOResult, Shape?>, area: (Shape) -> Double
    ) throws(COCOScoringError) -> [Prediction<Shape>] {
        var found: [Prediction<Shape>] = []
        for (index, result) in results.enumerated() {
            guard let shape = result[keyPath: shape] else {
                throw COCOScoringError(description: "result \(index) has no \(name)")
            }
            found.append(
                .init(
                    image: result.imageID, category: result.categoryID, score: result.score,
                    area: area(shape),
                    shape: shape))
        }
        return found
    }
}
