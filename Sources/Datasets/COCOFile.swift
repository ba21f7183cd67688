public import Media

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A picture of a COCO data set.
public struct COCOImage: Sendable, Hashable {
    public let id: Int
    public let width: Int
    public let height: Int
    /// The picture's path, relative to the folder of pictures.
    public let fileName: String

    public init(id: Int, width: Int, height: Int, fileName: String) {
        self.id = id
        self.width = width
        self.height = height
        self.fileName = fileName
    }
}

/// A class of a COCO data set.
public struct COCOCategory: Sendable, Hashable {
    public let id: Int
    public let name: String
    public let supercategory: String
    /// Whether its annotations have COCO's 17 joints.
    public let hasKeypoints: Bool

    public init(id: Int, name: String, supercategory: String, hasKeypoints: Bool = false) {
        self.id = id
        self.name = name
        self.supercategory = supercategory
        self.hasKeypoints = hasKeypoints
    }
}

/// One thing in one picture of a COCO data set.
public struct COCOAnnotation: Sendable, Hashable {
    /// From 1: pycocotools takes an annotation 0 for none.
    public let id: Int
    public let imageID: Int
    public let categoryID: Int
    public let box: Box
    public let mask: Mask
    public let keypoints: Keypoints?

    public init(
        id: Int, imageID: Int, categoryID: Int, box: Box, mask: Mask, keypoints: Keypoints? = nil
    ) {
        self.id = id
        self.imageID = imageID
        self.categoryID = categoryID
        self.box = box
        self.mask = mask
        self.keypoints = keypoints
    }
}

/// Why a COCO file could not be written.
public enum COCOError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The path, and what the system says.
    case unwritable(String, reason: String)

    public var description: String {
        switch self {
        case .unwritable(let path, let reason): "cannot write \(path): \(reason)"
        }
    }

    static func system(_ path: String) -> COCOError {
        .unwritable(path, reason: String(cString: strerror(errno)))
    }
}

/// Writes a COCO file of instances and keypoints, annotation by annotation.
///
/// Nothing is at the path before `finish()`; a writer that is dropped earlier leaves nothing behind.
public final class COCOWriter {
    private let path: String
    private let temporary: String
    private var file: UnsafeMutablePointer<FILE>?
    private var isFirst = true

    /// - Parameters:
    ///   - path: the JSON file to be.
    ///   - description: what the data set is, for `info`.
    ///   - images: all pictures.
    ///   - categories: all classes.
    /// - Throws: `COCOError.unwritable`.
    public init(
        path: String, description: String, images: some Sequence<COCOImage>, categories: [COCOCategory]
    ) throws(COCOError) {
        self.path = path
        temporary = "\(path).\(getpid()).tmp"
        file = fopen(temporary, "wb")
        guard file != nil else { throw .system(path) }
        let info = "{\"description\":\(Self.quoted(description)),\"version\":\"1.0\"}"
        try write("{\"info\":\(info),\n\"licenses\":[],\n\"categories\":[\n")
        try write(categories.map(Self.json).joined(separator: ",\n"))
        try write("],\n\"images\":[")
        var separator = "\n"
        for image in images {
            try write(separator + Self.json(image))
            separator = ",\n"
        }
        try write("],\n\"annotations\":[")
    }

    deinit {
        guard let file else { return }
        fclose(file)
        unlink(temporary)
    }

    /// Writes one annotation; `area` is the mask's, `iscrowd` 0.
    ///
    /// - Throws: `COCOError.unwritable`.
    public func append(_ annotation: COCOAnnotation) throws(COCOError) {
        try write((isFirst ? "\n" : ",\n") + Self.json(annotation))
        isFirst = false
    }

    /// Completes the file and puts it in its place; nothing can be written afterwards.
    ///
    /// - Throws: `COCOError.unwritable`.
    public func finish() throws(COCOError) {
        try write("]}\n")
        let closed = fclose(file!)
        file = nil
        guard closed == 0, rename(temporary, path) == 0 else {
            let error = COCOError.system(path)
            unlink(temporary)
            throw error
        }
    }

    private func write(_ text: String) throws(COCOError) {
        guard let file else { throw .unwritable(path, reason: "the file is finished") }
        var text = text
        let isWritten = text.withUTF8 { fwrite($0.baseAddress, 1, $0.count, file) == $0.count }
        guard isWritten else { throw .system(path) }
    }

    // MARK: JSON

    private static func json(_ image: COCOImage) -> String {
        let name = quoted(image.fileName)
        return
            "{\"id\":\(image.id),\"width\":\(image.width),\"height\":\(image.height),\"file_name\":\(name)}"
    }

    private static func json(_ category: COCOCategory) -> String {
        var text = "{\"id\":\(category.id),\"name\":\(quoted(category.name))"
        text += ",\"supercategory\":\(quoted(category.supercategory))"
        if category.hasKeypoints {
            let names = Keypoints.cocoNames.map { quoted($0.replacing(" ", with: "_")) }
            let limbs = Keypoints.cocoSkeleton.map { "[\($0.0 + 1),\($0.1 + 1)]" }
            text += ",\"keypoints\":[\(names.joined(separator: ","))]"
            text += ",\"skeleton\":[\(limbs.joined(separator: ","))]"
        }
        return text + "}"
    }

    private static func json(_ annotation: COCOAnnotation) -> String {
        let (box, mask) = (annotation.box, annotation.mask)
        var text = "{\"id\":\(annotation.id),\"image_id\":\(annotation.imageID)"
        text += ",\"category_id\":\(annotation.categoryID)"
        text += ",\"bbox\":[\(number(box.x)),\(number(box.y)),\(number(box.width)),\(number(box.height))]"
        text += ",\"area\":\(mask.area),\"iscrowd\":0"
        text += ",\"segmentation\":{\"size\":[\(mask.height),\(mask.width)]"
        text += ",\"counts\":\(quoted(mask.cocoString))}"
        if let joints = annotation.keypoints?.joints {
            let numbers = joints.map { joint in
                // COCO writes three zeros for a joint that is not labelled.
                joint.visibility == .absent
                    ? "0,0,0"
                    : "\(number(joint.point.x)),\(number(joint.point.y)),\(joint.visibility.rawValue)"
            }
            let labelled = joints.count { $0.visibility != .absent }
            text += ",\"num_keypoints\":\(labelled),\"keypoints\":[\(numbers.joined(separator: ","))]"
        }
        return text + "}"
    }

    /// A coordinate to a hundredth of a pixel, whole numbers without a point.
    private static func number(_ value: Double) -> String {
        let rounded = (value * 100).rounded() / 100
        return Int(exactly: rounded).map(String.init) ?? "\(rounded)"
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
