public import Media

/// Why a COCO file could not be read.
public typealias COCOReadError = LabelError

/// Where a thing is, as COCO writes it: polygons of corners, or runs of pixels.
public enum COCOSegmentation: Sendable, Hashable {
    case polygons([[Double]])
    case mask(Mask)

    /// As pixels of a picture.
    ///
    /// - Throws: `MediaError.invalid` for a polygon that is none, or runs of another size.
    public func mask(width: Int, height: Int) throws(MediaError) -> Mask {
        switch self {
        case .polygons(let polygons): return try Mask(width: width, height: height, polygons: polygons)
        case .mask(let mask):
            guard mask.width == width, mask.height == height else {
                throw .invalid("mask of \(mask.width) x \(mask.height) in a picture of \(width) x \(height)")
            }
            return mask
        }
    }
}

/// The truth of a COCO data set: instances, and people's keypoints.
///
/// For scoring: nothing is skipped or mended, and an entry that is not of the form is an error. To train,
/// ``LabelledSet`` reads the same files.
public struct COCOTruth: Sendable {
    public struct Image: Sendable, Hashable {
        /// Nil where the file does not say.
        public let width: Int?
        public let height: Int?
        /// CrowdPose's: how much people cover one another, 0 to 1.
        public let crowdIndex: Double?
    }

    public struct Annotation: Sendable, Hashable {
        /// Nil where the file does not say.
        public let id: LabelID?
        public let imageID: LabelID
        public let categoryID: LabelID
        /// x, y, width and height.
        public let box: Box?
        public let area: Double?
        public let isCrowd: Bool
        public let segmentation: COCOSegmentation?
        /// `x, y, visibility` of each joint.
        public let keypoints: [Double]?
        /// Joints that are labelled, as the file states it.
        public let keypointCount: Int?
        /// Why a field that some measures need could not be read, by its name.
        let faults: [String: String]

        /// How messages call it.
        package var name: String { "annotation \(id.map { "\($0)" } ?? "without an id")" }

        /// Whether a field is there, but not of the form.
        package func isFaulty(_ field: String) -> Bool { faults[field] != nil }

        /// What is wrong where a field is not there.
        package func lacks(_ field: String) -> String {
            faults[field] ?? "\(name) has no \(field)"
        }
    }

    /// By id.
    public let images: [LabelID: Image]
    /// By id.
    public let categories: [LabelID: String]
    /// Those of the file's images and categories.
    public let annotations: [Annotation]

    /// In order.
    public var categoryIDs: [LabelID] { categories.keys.sorted() }

    /// Fields that not every measure looks at.
    private static let optional: Set = [
        "bbox", "segmentation", "keypoints", "area", "num_keypoints", "caption",
    ]

    /// Reads a file of instances or of keypoints.
    ///
    /// - Throws: ``COCOReadError``, one line that names the file and the entry.
    public init(contentsOf path: String) throws(COCOReadError) {
        let document = try COCOFileReading.decode(path) { try COCODocument(&$0) }
        func invalid(_ reason: String) -> COCOReadError { .invalid(path, reason: reason) }
        for list in ["images", "categories", "annotations"] where !document.lists.contains(list) {
            throw invalid("\(list) is missing")
        }
        if let problem = document.problems.first { throw invalid(problem.description) }
        var images: [LabelID: Image] = [:]
        for image in document.images {
            let entry = Image(
                width: image.width == 0 ? nil : image.width, height: image.height == 0 ? nil : image.height,
                crowdIndex: image.crowdIndex)
            guard images.updateValue(entry, forKey: image.id) == nil else {
                throw invalid("two images have the id \(image.id)")
            }
        }
        var categories: [LabelID: String] = [:]
        for category in document.categories {
            guard categories.updateValue(category.name, forKey: category.id) == nil else {
                throw invalid("two categories have the id \(category.id)")
            }
        }
        var ids: Set<LabelID> = []
        var annotations: [Annotation] = []
        for entry in document.annotations {
            if let fault = entry.faults.first(where: { !Self.optional.contains($0.key) }) {
                throw invalid(fault.value.description)
            }
            // As pycocotools: what is of no image or category of the file does not count.
            guard images[entry.image] != nil, let category = entry.category, categories[category] != nil
            else { continue }
            if let id = entry.id, !ids.insert(id).inserted {
                throw invalid("two annotations have the id \(id)")
            }
            annotations.append(
                Annotation(
                    id: entry.id, imageID: entry.image, categoryID: category, box: entry.box,
                    area: entry.area, isCrowd: entry.isCrowd, segmentation: entry.segmentation,
                    keypoints: entry.keypoints, keypointCount: entry.keypointCount,
                    faults: entry.faults.mapValues(\.description)))
        }
        self.images = images
        self.categories = categories
        self.annotations = annotations
    }
}

/// What a model found, in COCO's format of results: a list of boxes, masks or keypoints with scores.
public struct COCOResult: Sendable, Hashable {
    public let imageID: LabelID
    public let categoryID: LabelID
    public let score: Double
    public let box: Box?
    public let segmentation: COCOSegmentation?
    /// `x, y, score` of each joint.
    public let keypoints: [Double]?

    public init(
        imageID: LabelID, categoryID: LabelID, score: Double, box: Box? = nil,
        segmentation: COCOSegmentation? = nil,
        keypoints: [Double]? = nil
    ) {
        self.imageID = imageID
        self.categoryID = categoryID
        self.score = score
        self.box = box
        self.segmentation = segmentation
        self.keypoints = keypoints
    }

    /// Reads a list of results.
    ///
    /// - Throws: ``COCOReadError``, one line that names the file and the entry.
    public static func read(contentsOf path: String) throws(COCOReadError) -> [COCOResult] {
        try COCOFileReading.decode(path) { reader in
            var results: [COCOResult] = []
            try reader.array { reader, _ in results.append(try COCOResult(&reader)) }
            try reader.end()
            return results
        }
    }

    private init(_ reader: inout JSONReader) throws {
        var (image, category, score): (LabelID?, LabelID?, Double?)
        var (box, segmentation, keypoints): (Box?, COCOSegmentation?, [Double]?)
        try reader.object { reader, key in
            if try reader.kind() == .null { return try reader.skip() }
            switch key {
            case "image_id": image = try reader.id()
            case "category_id": category = try reader.id()
            case "score": score = try reader.double()
            case "bbox": box = try reader.box()
            case "segmentation": segmentation = try COCOSegmentation(&reader)
            case "keypoints": keypoints = try reader.joints()
            default: try reader.skip()
            }
        }
        func missing(_ name: String) -> JSONReader.Problem {
            JSONReader.Problem(isSyntax: false, reason: "\(name) is missing")
        }
        guard let image else { throw missing("image_id") }
        guard let category else { throw missing("category_id") }
        guard let score else { throw missing("score") }
        self.init(
            imageID: image, categoryID: category, score: score, box: box, segmentation: segmentation,
            keypoints: keypoints)
    }
}

private enum COCOFileReading {
    static func decode<Value>(
        _ path: String, _ read: (inout JSONReader) throws -> Value
    ) throws(COCOReadError) -> Value {
        var reader = JSONReader(try Reading.bytes(path))
        do {
            return try read(&reader)
        } catch let problem as JSONReader.Problem {
            // A place far inside says little where the file is no JSON at all.
            let isJSON = !problem.isSyntax || problem.reason.hasPrefix("not UTF-8")
            throw .invalid(path, reason: isJSON ? problem.description : "not JSON")
        } catch {
            throw .invalid(path, reason: "\(error)")
        }
    }
}
