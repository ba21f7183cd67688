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
    public struct Annotation: Sendable, Hashable {
        public let id: Int
        public let imageID: Int
        public let categoryID: Int
        /// x, y, width and height.
        public let box: Box
        public let area: Double
        public let isCrowd: Bool
        public let segmentation: COCOSegmentation?
        /// `x, y, visibility` of each joint.
        public let keypoints: [Double]?
        /// Joints that are labelled, as the file states it.
        public let keypointCount: Int
    }

    /// By id.
    public let images: [Int: COCOImage]
    /// By id.
    public let categories: [Int: String]
    public let annotations: [Annotation]

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
        var images: [Int: COCOImage] = [:]
        for image in document.images {
            guard image.width > 0, image.height > 0 else {
                throw invalid("image \(image.id) is \(image.width) x \(image.height)")
            }
            let entry = COCOImage(
                id: image.id, width: image.width, height: image.height, fileName: image.fileName)
            guard images.updateValue(entry, forKey: image.id) == nil else {
                throw invalid("two images have the id \(image.id)")
            }
        }
        var categories: [Int: String] = [:]
        for category in document.categories {
            guard categories.updateValue(category.name, forKey: category.id) == nil else {
                throw invalid("two categories have the id \(category.id)")
            }
        }
        var ids: Set<Int> = []
        var annotations: [Annotation] = []
        for entry in document.annotations {
            guard ids.insert(entry.id).inserted else {
                throw invalid("two annotations have the id \(entry.id)")
            }
            guard images[entry.image] != nil else {
                throw invalid("annotation \(entry.id) is of image \(entry.image), which is not there")
            }
            guard categories[entry.category] != nil else {
                throw invalid("annotation \(entry.id) is of category \(entry.category), which is not there")
            }
            guard let box = entry.box else { throw invalid("annotation \(entry.id) has no bbox") }
            let joints = entry.keypoints ?? []
            let labelled = stride(from: 2, to: joints.count, by: 3).count { joints[$0] > 0 }
            annotations.append(
                Annotation(
                    id: entry.id, imageID: entry.image, categoryID: entry.category, box: box,
                    area: entry.area ?? box.area, isCrowd: entry.isCrowd, segmentation: entry.segmentation,
                    keypoints: entry.keypoints, keypointCount: entry.keypointCount ?? labelled))
        }
        self.images = images
        self.categories = categories
        self.annotations = annotations
    }
}

/// What a model found, in COCO's format of results: a list of boxes, masks or keypoints with scores.
public struct COCOResult: Sendable, Hashable {
    public let imageID: Int
    public let categoryID: Int
    public let score: Double
    public let box: Box?
    public let segmentation: COCOSegmentation?
    /// `x, y, score` of each joint.
    public let keypoints: [Double]?

    public init(
        imageID: Int, categoryID: Int, score: Double, box: Box? = nil, segmentation: COCOSegmentation? = nil,
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
        var (image, category, score): (Int?, Int?, Double?)
        var (box, segmentation, keypoints): (Box?, COCOSegmentation?, [Double]?)
        try reader.object { reader, key in
            if try reader.kind() == .null { return try reader.skip() }
            switch key {
            case "image_id": image = try reader.int()
            case "category_id": category = try reader.int()
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
            throw .invalid(path, reason: problem.isSyntax ? "not JSON" : problem.description)
        } catch {
            throw .invalid(path, reason: "\(error)")
        }
    }
}
