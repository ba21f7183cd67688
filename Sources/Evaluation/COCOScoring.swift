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
    /// Whether it is about the truth, else about the predictions.
    public let isTruth: Bool
}

/// Ids in the order in which pycocotools goes through them.
struct IDOrder {
    private let places: [LabelID: Int]

    init(_ ids: some Sequence<LabelID>) {
        places = Dictionary(uniqueKeysWithValues: Set(ids).sorted().enumerated().map { ($1, $0) })
    }

    subscript(id: LabelID) -> Int? { places[id] }
}

extension AveragePrecision {
    /// Scores COCO results as pycocotools' `COCOeval` does.
    ///
    /// ``categories`` are places in the truth's `categoryIDs`.
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
        let pairs = try COCOPairs(results, truth)
        switch type {
        case .boxes:
            self.init(
                boxes: try pairs.predictions("bbox", \.box) { box, _, _ in (box, box.area) },
                truth: try pairs.truths("bbox", \.box) { box, _ in (box, box.area) })
        case .masks:
            var sizes: [LabelID: (width: Int, height: Int)] = [:]
            func shape(
                _ segmentation: COCOSegmentation, _ image: LabelID, _ name: String, isTruth: Bool
            ) throws(COCOScoringError) -> MaskShape {
                do {
                    let size =
                        sizes[image]
                        ?? truth.images[image].flatMap { image in
                            image.width.flatMap { width in image.height.map { (width, $0) } }
                        }
                    switch (segmentation, size) {
                    case (_, let (width, height)?):
                        return MaskShape(try segmentation.mask(width: width, height: height))
                    case (.mask(let mask), nil):
                        // All masks of a picture are of one size.
                        sizes[image] = (mask.width, mask.height)
                        return MaskShape(mask)
                    case (.polygons, nil):
                        throw MediaError.invalid("polygons want the width and the height of image \(image)")
                    }
                } catch {
                    throw COCOScoringError(description: "\(name): \(error)", isTruth: isTruth)
                }
            }
            let real = try pairs.truths("segmentation", \.segmentation) {
                segmentation, annotation throws(COCOScoringError) in
                let shape = try shape(
                    segmentation, annotation.imageID, annotation.name, isTruth: true)
                return (shape, Double(shape.mask.area))
            }
            let found = try pairs.predictions("segmentation", \.segmentation) {
                segmentation, result, name throws(COCOScoringError) in
                let shape = try shape(segmentation, result.imageID, name, isTruth: false)
                return (shape, Double(shape.mask.area))
            }
            self.init(masks: found, truth: real)
        case .keypoints:
            let real = try pairs.people(sigmas) { annotation throws(COCOScoringError) in
                guard let area = annotation.area else {
                    throw COCOScoringError(
                        description:
                            "\(annotation.lacks("area")), by which joints are compared; truth in CrowdPose's form is scored by --metric crowdpose",
                        isTruth: true)
                }
                return area
            }
            self.init(keypoints: try pairs.foundPeople(sigmas), truth: real, sigmas: sigmas)
        }
    }
}

/// CrowdPose's measure, as its tool `crowdposetools` has it: joints are compared relative to 0.53 of a person's box, in all
/// pictures and in those where people cover one another a little, more and much.
public struct CrowdPoseScore: Sendable {
    /// Of CrowdPose's 14 joints.
    public static let sigmas = [
        0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079, 0.079,
    ]
    /// How much of its box a person fills.
    private static let share = 0.53

    public let all: AveragePrecision
    /// Of pictures with a `crowdIndex` below 0.2, below 0.8, and of the others.
    public let easy: AveragePrecision
    public let medium: AveragePrecision
    public let hard: AveragePrecision

    /// - Parameters:
    ///   - results: of the truth's pictures; those of other categories do not count.
    ///   - truth: a data set in COCO's form whose images have a `crowdIndex`.
    ///   - sigmas: one a joint.
    /// - Throws: ``COCOScoringError``, one line that names the entry.
    public init(
        _ results: [COCOResult], truth: COCOTruth, sigmas: [Double] = Self.sigmas
    ) throws(COCOScoringError) {
        let pairs = try COCOPairs(results, truth)
        let real = try pairs.people(sigmas) { annotation throws(COCOScoringError) in
            guard let box = annotation.box else {
                throw COCOScoringError(description: annotation.lacks("bbox"), isTruth: true)
            }
            return box.area * Self.share
        }
        let found = try pairs.foundPeople(sigmas)
        var levels: [Int: Int] = [:]
        for (id, image) in truth.images {
            guard let index = image.crowdIndex else {
                throw COCOScoringError(description: "image \(id) has no crowdIndex", isTruth: true)
            }
            levels[pairs.images[id]!] = index < 0.2 ? 0 : index < 0.8 ? 1 : 2
        }
        func scored(_ level: Int?) -> AveragePrecision {
            AveragePrecision(
                keypoints: found.filter { level == nil || levels[$0.image] == level },
                truth: real.filter { level == nil || levels[$0.image] == level }, sigmas: sigmas,
                settings: .init(areas: [.init("all", 0, 1e10)], limits: [20]))
        }
        (all, easy, medium, hard) = (scored(nil), scored(0), scored(1), scored(2))
    }
}

/// Results and truth as ``AveragePrecision`` wants them.
private struct COCOPairs {
    let results: [COCOResult]
    let truth: COCOTruth
    let images: IDOrder
    let categories: IDOrder
    /// pycocotools takes the area from the box wherever the first result has one.
    let hasBoxes: Bool

    init(_ results: [COCOResult], _ truth: COCOTruth) throws(COCOScoringError) {
        (self.results, self.truth) = (results, truth)
        images = IDOrder(truth.images.keys)
        categories = IDOrder(truth.categories.keys)
        hasBoxes = results.first?.box != nil
        for (index, result) in results.enumerated() where truth.images[result.imageID] == nil {
            throw COCOScoringError(
                description: "result \(index) is of image \(result.imageID), which the truth does not have",
                isTruth: false)
        }
    }

    /// - Parameter made: the shape of a field and its area.
    func truths<Field, Shape>(
        _ name: String, _ field: KeyPath<COCOTruth.Annotation, Field?>,
        _ made: (Field, COCOTruth.Annotation) throws(COCOScoringError) -> (Shape, area: Double)
    ) throws(COCOScoringError) -> [AveragePrecision.Truth<Shape>] {
        var truths: [AveragePrecision.Truth<Shape>] = []
        for annotation in truth.annotations {
            guard let value = annotation[keyPath: field] else {
                throw COCOScoringError(description: annotation.lacks(name), isTruth: true)
            }
            let (shape, area) = try made(value, annotation)
            truths.append(self.truth(annotation, area: annotation.area ?? area, shape))
        }
        return truths
    }

    private func truth<Shape>(
        _ annotation: COCOTruth.Annotation, area: Double, isIgnored: Bool = false, _ shape: Shape
    ) -> AveragePrecision.Truth<Shape> {
        .init(
            image: images[annotation.imageID]!, category: categories[annotation.categoryID]!, area: area,
            isCrowd: annotation.isCrowd, isIgnored: isIgnored, shape: shape)
    }

    /// - Parameter made: the shape of a field and its area, from the result and its name.
    func predictions<Field, Shape>(
        _ name: String, _ field: KeyPath<COCOResult, Field?>,
        _ made: (Field, COCOResult, String) throws(COCOScoringError) -> (Shape, area: Double)
    ) throws(COCOScoringError) -> [AveragePrecision.Prediction<Shape>] {
        var predictions: [AveragePrecision.Prediction<Shape>] = []
        for (index, result) in results.enumerated() {
            guard let value = result[keyPath: field] else {
                throw COCOScoringError(description: "result \(index) has no \(name)", isTruth: false)
            }
            let (shape, area) = try made(value, result, "result \(index)")
            guard let category = categories[result.categoryID] else { continue }
            predictions.append(
                .init(
                    image: images[result.imageID]!, category: category, score: result.score,
                    area: hasBoxes ? result.box?.area ?? 0 : area, shape: shape))
        }
        return predictions
    }

    /// - Parameter area: what a person's joints are compared relative to.
    func people(
        _ sigmas: [Double], area: (COCOTruth.Annotation) throws(COCOScoringError) -> Double
    ) throws(COCOScoringError) -> [AveragePrecision.Truth<JointPlaces>] {
        var people: [AveragePrecision.Truth<JointPlaces>] = []
        for annotation in truth.annotations {
            guard annotation.keypoints != nil || !annotation.isFaulty("keypoints") else {
                throw COCOScoringError(description: annotation.lacks("keypoints"), isTruth: true)
            }
            // Without a list nothing of the person is labelled.
            let joints = annotation.keypoints ?? [Double](repeating: 0, count: 3 * sigmas.count)
            let isLabelled = stride(from: 2, to: joints.count, by: 3).map { joints[$0] > 0 }
            guard annotation.box != nil || isLabelled.contains(true) else {
                throw COCOScoringError(description: annotation.lacks("bbox"), isTruth: true)
            }
            let shape = JointPlaces(
                places: try Self.places(joints, sigmas.count, annotation.name, isTruth: true),
                isLabelled: isLabelled, box: annotation.box ?? Box(x: 0, y: 0, width: 0, height: 0))
            let count = annotation.keypointCount ?? isLabelled.count { $0 }
            people.append(
                truth(annotation, area: try area(annotation), isIgnored: count == 0, shape))
        }
        return people
    }

    func foundPeople(
        _ sigmas: [Double]
    ) throws(COCOScoringError) -> [AveragePrecision.Prediction<JointPlaces>] {
        try predictions("keypoints", \.keypoints) { joints, _, name throws(COCOScoringError) in
            let shape = JointPlaces(places: try Self.places(joints, sigmas.count, name, isTruth: false))
            return (shape, shape.area)
        }
    }

    private static func places(
        _ numbers: [Double], _ count: Int, _ name: String, isTruth: Bool
    ) throws(COCOScoringError) -> [Double] {
        guard numbers.count == 3 * count else {
            throw COCOScoringError(
                description: "\(name) has \(numbers.count / 3) joints, not \(count)", isTruth: isTruth)
        }
        return numbers.indices.filter { $0 % 3 < 2 }.map { numbers[$0] }
    }
}
