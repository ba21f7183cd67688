public import Media

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Why a COCO file could not be read.
public enum COCOReadError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The path, and why.
    case unreadable(String, reason: String)
    /// The path, and what is wrong with its content.
    case invalid(String, reason: String)

    public var description: String {
        switch self {
        case .unreadable(let path, let reason): "cannot read \(path): \(reason)"
        case .invalid(let path, let reason): "\(path): \(reason)"
        }
    }
}

/// Where a thing is, as COCO writes it: polygons of corners, or runs of pixels.
public enum COCOSegmentation: Sendable, Hashable, Decodable {
    case polygons([[Double]])
    case mask(Mask)

    public init(from decoder: any Decoder) throws {
        self =
            if var container = try? decoder.unkeyedContainer() {
                .polygons(
                    try {
                        var polygons: [[Double]] = []
                        while !container.isAtEnd { polygons.append(try container.decode([Double].self)) }
                        return polygons
                    }())
            } else {
                .mask(try Mask(from: decoder))
            }
    }

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
public struct COCOTruth: Sendable {
    public struct Annotation: Sendable, Hashable, Decodable {
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

        enum CodingKeys: String, CodingKey {
            case id, imageID = "image_id", categoryID = "category_id", box = "bbox", area
            case isCrowd = "iscrowd", segmentation, keypoints, keypointCount = "num_keypoints"
        }

        public init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            id = try values.decode(Int.self, forKey: .id)
            imageID = try values.decode(Int.self, forKey: .imageID)
            categoryID = try values.decode(Int.self, forKey: .categoryID)
            box = try values.decodeBox(forKey: .box)
            area = try values.decodeIfPresent(Double.self, forKey: .area) ?? box.area
            isCrowd = try (values.decodeIfPresent(Int.self, forKey: .isCrowd) ?? 0) != 0
            segmentation = try values.decodeIfPresent(COCOSegmentation.self, forKey: .segmentation)
            keypoints = try values.decodeJoints(forKey: .keypoints)
            let labelled =
                keypoints.map { joints in
                    stride(from: 2, to: joints.count, by: 3).count { joints[$0] > 0 }
                } ?? 0
            keypointCount = try values.decodeIfPresent(Int.self, forKey: .keypointCount) ?? labelled
        }
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
        struct Document: Decodable {
            struct Image: Decodable {
                let id: Int
                let width: Int
                let height: Int
                let file_name: String?
            }
            struct Category: Decodable {
                let id: Int
                let name: String
            }
            let images: [Image]
            let categories: [Category]
            let annotations: [Annotation]
        }
        let document = try COCOFileReading.decode(Document.self, path)
        func twice(_ what: String, _ id: Int) -> COCOReadError {
            .invalid(path, reason: "two \(what) have the id \(id)")
        }
        var images: [Int: COCOImage] = [:]
        for image in document.images {
            guard image.width > 0, image.height > 0 else {
                throw .invalid(path, reason: "image \(image.id) is \(image.width) x \(image.height)")
            }
            let entry = COCOImage(
                id: image.id, width: image.width, height: image.height, fileName: image.file_name ?? "")
            guard images.updateValue(entry, forKey: image.id) == nil else { throw twice("images", image.id) }
        }
        var categories: [Int: String] = [:]
        for category in document.categories {
            guard categories.updateValue(category.name, forKey: category.id) == nil else {
                throw twice("categories", category.id)
            }
        }
        var ids: Set<Int> = []
        for annotation in document.annotations {
            guard ids.insert(annotation.id).inserted else { throw twice("annotations", annotation.id) }
            guard images[annotation.imageID] != nil else {
                throw .invalid(
                    path,
                    reason:
                        "annotation \(annotation.id) is of image \(annotation.imageID), which is not there")
            }
            guard categories[annotation.categoryID] != nil else {
                throw .invalid(
                    path,
                    reason:
                        "annotation \(annotation.id) is of category \(annotation.categoryID), which is not there"
                )
            }
        }
        self.images = images
        self.categories = categories
        annotations = document.annotations
    }
}

/// What a model found, in COCO's format of results: a list of boxes, masks or keypoints with scores.
public struct COCOResult: Sendable, Hashable, Decodable {
    public let imageID: Int
    public let categoryID: Int
    public let score: Double
    public let box: Box?
    public let segmentation: COCOSegmentation?
    /// `x, y, score` of each joint.
    public let keypoints: [Double]?

    enum CodingKeys: String, CodingKey {
        case imageID = "image_id", categoryID = "category_id", score, box = "bbox", segmentation, keypoints
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        imageID = try values.decode(Int.self, forKey: .imageID)
        categoryID = try values.decode(Int.self, forKey: .categoryID)
        score = try values.decode(Double.self, forKey: .score)
        box = values.contains(.box) ? try values.decodeBox(forKey: .box) : nil
        segmentation = try values.decodeIfPresent(COCOSegmentation.self, forKey: .segmentation)
        keypoints = try values.decodeJoints(forKey: .keypoints)
    }

    /// Reads a list of results.
    ///
    /// - Throws: ``COCOReadError``, one line that names the file and the entry.
    public static func read(contentsOf path: String) throws(COCOReadError) -> [COCOResult] {
        try COCOFileReading.decode([COCOResult].self, path)
    }
}

extension KeyedDecodingContainer {
    fileprivate func decodeBox(forKey key: Key) throws -> Box {
        let numbers = try decode([Double].self, forKey: key)
        guard numbers.count == 4 else {
            throw DecodingError.dataCorruptedError(
                forKey: key, in: self, debugDescription: "a box has 4 numbers, not \(numbers.count)")
        }
        return Box(x: numbers[0], y: numbers[1], width: numbers[2], height: numbers[3])
    }

    fileprivate func decodeJoints(forKey key: Key) throws -> [Double]? {
        let numbers = try decodeIfPresent([Double].self, forKey: key)
        if let numbers, numbers.isEmpty || numbers.count % 3 != 0 {
            throw DecodingError.dataCorruptedError(
                forKey: key, in: self,
                debugDescription: "keypoints are three numbers a joint, not \(numbers.count) in all")
        }
        return numbers
    }
}

private enum COCOFileReading {
    static func decode<Value: Decodable>(_ type: Value.Type, _ path: String) throws(COCOReadError) -> Value {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            let isThere = FileManager.default.fileExists(atPath: path)
            throw .unreadable(
                path, reason: isThere ? "it is not a file that can be read" : "there is no such file")
        }
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch let error as DecodingError {
            throw .invalid(path, reason: reason(error))
        } catch {
            throw .invalid(path, reason: "\(error)")
        }
    }

    /// "annotations[3].bbox: a box has 4 numbers, not 3".
    private static func reason(_ error: DecodingError) -> String {
        let (context, what): (DecodingError.Context, String) =
            switch error {
            case .keyNotFound(let key, let context): (context, "\(key.stringValue) is missing")
            case .valueNotFound(_, let context): (context, "null is not possible here")
            case .typeMismatch(let type, let context): (context, "\(type) is needed here")
            case .dataCorrupted(let context):
                (context, context.codingPath.isEmpty ? "not JSON" : context.debugDescription)
            @unknown default: (.init(codingPath: [], debugDescription: ""), "not a COCO file")
            }
        var place = ""
        for key in context.codingPath {
            place +=
                key.intValue.map { "[\($0)]" } ?? (place.isEmpty ? key.stringValue : ".\(key.stringValue)")
        }
        return place.isEmpty ? what : "\(place): \(what)"
    }
}
