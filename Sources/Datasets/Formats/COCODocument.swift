import Media

/// What is in a file of COCO's form: instances, keypoints, captions, panoptic segments, LVIS.
struct COCODocument {
    struct Image {
        var id = 0
        var width = 0
        var height = 0
        var fileName = ""
        /// LVIS: categories known not to be there.
        var absent: [Int]?
        /// LVIS: categories of which not every instance is labelled.
        var incomplete: [Int] = []
        var video: Int?
        var frame: Int?
    }

    struct Category {
        var id = 0
        var name = ""
        var isThing = true
        var keypoints: [String] = []
        var skeleton: [[Int]] = []
        var sigmas: [Double]?
    }

    struct Annotation {
        var id = 0
        var image = 0
        var category = 0
        var box: Box?
        var area: Double?
        var isCrowd = false
        var isIgnored = false
        var segmentation: COCOSegmentation?
        /// `x, y, visibility` of each joint.
        var keypoints: [Double]?
        var keypointCount: Int?
        var caption: String?
        var track: Int?
        /// Panoptic: the segments of a PNG.
        var segments: [Annotation]?
        var fileName: String?
    }

    var images: [Image] = []
    var categories: [Category] = []
    var annotations: [Annotation] = []
    /// Entries that are not of the form, left out.
    var problems: [JSONReader.Problem] = []
    /// The lists that the file has.
    var lists: Set<String> = []

    /// - Throws: `JSONReader.Problem` for what is not JSON, or no object.
    init(_ reader: inout JSONReader) throws {
        var problems: [JSONReader.Problem] = []
        if try reader.kind() != .object {
            try reader.skip()
            throw JSONReader.Problem(isSyntax: false, reason: "a list or a value, not COCO's object")
        }
        try reader.object { reader, key in
            switch key {
            case "images":
                try reader.array(skipping: { problems.append($0.within(key)) }) { reader, _ in
                    images.append(try Image(&reader))
                }
            case "categories":
                try reader.array(skipping: { problems.append($0.within(key)) }) { reader, _ in
                    categories.append(try Category(&reader))
                }
            case "annotations":
                try reader.array(skipping: { problems.append($0.within(key)) }) { reader, _ in
                    annotations.append(try Annotation(&reader))
                }
            default: return try reader.skip()
            }
            lists.insert(key)
        }
        try reader.end()
        self.problems = problems
    }
}

/// Which of an entry's fields were there.
private struct Missing {
    private var names: [String]
    init(_ names: String...) { self.names = names }
    mutating func found(_ name: String) { names.removeAll { $0 == name } }
    func check() throws {
        if let name = names.first { throw JSONReader.Problem(isSyntax: false, reason: "\(name) is missing") }
    }
}

extension COCODocument.Image {
    fileprivate init(_ reader: inout JSONReader) throws {
        var hasID = false
        var address: String?
        try reader.object { reader, key in
            switch key {
            case "id":
                id = try reader.int()
                hasID = true
            case "width": width = try reader.int()
            case "height": height = try reader.int()
            case "file_name": fileName = try reader.string()
            // LVIS has the address alone: http://images.cocodataset.org/train2017/000000391895.jpg.
            case "coco_url": address = try reader.kind() == .text ? reader.string() : nil
            case "neg_category_ids": absent = try reader.ints()
            case "not_exhaustive_category_ids": incomplete = try reader.ints()
            case "video_id": video = try reader.int()
            case "frame_id": frame = try reader.int()
            default: try reader.skip()
            }
        }
        guard hasID else { throw JSONReader.Problem(isSyntax: false, reason: "id is missing") }
        if fileName.isEmpty, let address {
            fileName = address.split(separator: "/").suffix(2).joined(separator: "/")
        }
    }
}

extension COCODocument.Category {
    fileprivate init(_ reader: inout JSONReader) throws {
        var missing = Missing("id", "name")
        try reader.object { reader, key in
            missing.found(key)
            switch key {
            case "id": id = try reader.int()
            case "name": name = try reader.string()
            case "isthing": isThing = try reader.bool()
            case "keypoints": keypoints = try reader.strings()
            case "skeleton":
                try reader.array { reader, _ in skeleton.append(try reader.ints().map { $0 &- 1 }) }
            case "sigmas": sigmas = try reader.doubles()
            default: try reader.skip()
            }
        }
        try missing.check()
    }
}

extension COCODocument.Annotation {
    fileprivate init(_ reader: inout JSONReader) throws {
        var missing = Missing("image_id")
        try read(&reader) { missing.found($0) }
        try missing.check()
        guard caption != nil || segments != nil || box != nil || labelledExtent() else {
            throw JSONReader.Problem(isSyntax: false, reason: "bbox is missing")
        }
    }

    /// Where a file has no boxes, the extent of the labelled joints is the box.
    private mutating func labelledExtent() -> Bool {
        let joints = keypoints ?? []
        let labelled = stride(from: 0, to: joints.count, by: 3).filter { joints[$0 + 2] > 0 }
        guard let left = labelled.map({ joints[$0] }).min(), let right = labelled.map({ joints[$0] }).max(),
            let top = labelled.map({ joints[$0 + 1] }).min(),
            let bottom = labelled.map({ joints[$0 + 1] }).max()
        else { return false }
        box = Box(x: left, y: top, width: right - left, height: bottom - top)
        return true
    }

    private init(segment reader: inout JSONReader) throws { try read(&reader) { _ in } }

    private mutating func read(_ reader: inout JSONReader, _ found: (String) -> Void) throws {
        try reader.object { reader, key in
            found(key)
            if try reader.kind() == .null { return try reader.skip() }
            switch key {
            case "id": id = try reader.int()
            case "image_id": image = try reader.int()
            case "category_id": category = try reader.int()
            case "bbox": box = try reader.box()
            case "area": area = try reader.double()
            case "iscrowd": isCrowd = try reader.bool()
            case "ignore": isIgnored = try reader.bool()
            case "segmentation": segmentation = try COCOSegmentation(&reader)
            case "keypoints": keypoints = try reader.joints()
            case "num_keypoints": keypointCount = try reader.int()
            case "caption": caption = try reader.string()
            case "track_id", "instance_id": track = try reader.int()
            case "file_name": fileName = try reader.string()
            case "segments_info":
                var list: [COCODocument.Annotation] = []
                try reader.array { reader, _ in list.append(try .init(segment: &reader)) }
                segments = list
            default: try reader.skip()
            }
        }
    }
}

extension JSONReader {
    mutating func box() throws -> Box {
        let numbers = try doubles()
        guard numbers.count == 4 else {
            throw Problem(isSyntax: false, reason: "a box has 4 numbers, not \(numbers.count)")
        }
        return Box(x: numbers[0], y: numbers[1], width: numbers[2], height: numbers[3])
    }

    /// `x, y, visibility` of each joint; nil for an empty list.
    mutating func joints() throws -> [Double]? {
        let numbers = try doubles()
        guard numbers.count % 3 == 0 else {
            throw Problem(
                isSyntax: false, reason: "keypoints are three numbers a joint, not \(numbers.count) in all")
        }
        return numbers.isEmpty ? nil : numbers
    }
}

extension COCOSegmentation {
    /// Polygons, or runs; nil for an empty list.
    init?(_ reader: inout JSONReader) throws {
        if try reader.kind() == .array {
            var polygons: [[Double]] = []
            try reader.array { reader, _ in polygons.append(try reader.doubles()) }
            guard !polygons.isEmpty else { return nil }
            self = .polygons(polygons)
            return
        }
        var size: [Double] = []
        var string: String?
        var counts: [Int] = []
        try reader.object { reader, key in
            switch key {
            case "size": size = try reader.doubles()
            case "counts" where try reader.kind() == .text: string = try reader.string()
            case "counts": counts = try reader.ints()
            default: try reader.skip()
            }
        }
        guard size.count == 2, let height = Int(exactly: size[0]), let width = Int(exactly: size[1]) else {
            throw JSONReader.Problem(isSyntax: false, reason: "a mask's size is [height, width]")
        }
        do {
            self = .mask(
                try string.map { try Mask(width: width, height: height, cocoString: $0) }
                    ?? Mask(width: width, height: height, counts: counts))
        } catch {
            throw JSONReader.Problem(isSyntax: false, reason: "\(error)")
        }
    }
}
