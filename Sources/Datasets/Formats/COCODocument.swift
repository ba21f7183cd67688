import Media

/// What is in a file of COCO's form: instances, keypoints, captions, panoptic segments, LVIS.
struct COCODocument {
    struct Image {
        var id: LabelID = 0
        /// 0 where the file does not say.
        var width = 0
        var height = 0
        var fileName = ""
        /// LVIS: categories known not to be there.
        var absent: [LabelID]?
        /// LVIS: categories of which not every instance is labelled.
        var incomplete: [LabelID] = []
        var video: Int?
        var frame: Int?
        /// CrowdPose: how much people cover one another, 0 to 1.
        var crowdIndex: Double?
    }

    struct Category {
        var id: LabelID = 0
        var name = ""
        var isThing = true
        var keypoints: [String] = []
        var skeleton: [[Int]] = []
        var sigmas: [Double]?
    }

    struct Annotation {
        var id: LabelID?
        var image: LabelID = 0
        var category: LabelID?
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
        /// What is wrong with fields that are not of the form, by their names; they are as if they were not there.
        var faults: [String: JSONReader.Problem] = [:]
    }

    var images: [Image] = []
    var categories: [Category] = []
    var annotations: [Annotation] = []
    /// Entries that are not of the form, left out.
    var problems: [JSONReader.Problem] = []
    /// Fields of images and categories that are not of the form, left out.
    var faults: [JSONReader.Problem] = []
    /// The lists that the file has.
    var lists: Set<String> = []

    /// - Throws: `JSONReader.Problem` for what is not JSON, or no object.
    init(_ reader: inout JSONReader) throws {
        var (problems, faults): ([JSONReader.Problem], [JSONReader.Problem]) = ([], [])
        if try reader.kind() != .object {
            try reader.skip()
            throw JSONReader.Problem(isSyntax: false, reason: "a list or a value, not COCO's object")
        }
        try reader.object { reader, key in
            switch key {
            case "images":
                try reader.array(skipping: { problems.append($0.within(key)) }) { reader, index in
                    images.append(try Image(&reader) { faults.append($0.within("[\(index)]").within(key)) })
                }
            case "categories":
                try reader.array(skipping: { problems.append($0.within(key)) }) { reader, index in
                    categories.append(
                        try Category(&reader) { faults.append($0.within("[\(index)]").within(key)) })
                }
            case "annotations":
                try reader.array(skipping: { problems.append($0.within(key)) }) { reader, index in
                    var entry = try Annotation(&reader)
                    entry.faults = entry.faults.mapValues { $0.within("[\(index)]").within(key) }
                    annotations.append(entry)
                }
            default: return try reader.skip()
            }
            lists.insert(key)
        }
        try reader.end()
        (self.problems, self.faults) = (problems, faults)
    }
}

/// Fields without which an entry is none, as far as they were not there.
private struct Missing {
    private var names: [String]
    init(_ names: String...) { self.names = names }
    mutating func found(_ name: String) { names.removeAll { $0 == name } }
    func check() throws {
        if let name = names.first { throw JSONReader.Problem(isSyntax: false, reason: "\(name) is missing") }
    }
}

extension JSONReader {
    /// Visits the members that are not null; one that is not of the form is skipped and reported.
    fileprivate mutating func members(
        skipping report: (String, Problem) -> Void, _ visit: (inout JSONReader, String) throws -> Void
    ) throws {
        try object { reader, key in
            if try reader.kind() == .null { return try reader.skip() }
            if let problem = try reader.tolerating({ try visit(&$0, key) }) {
                report(key, problem.within(key))
            }
        }
    }
}

extension COCODocument.Image {
    /// - Parameter report: gets what is wrong with fields that are left out.
    fileprivate init(_ reader: inout JSONReader, skipping report: (JSONReader.Problem) -> Void) throws {
        var missing = Missing("id")
        var address: String?
        func side(_ pixels: Int) -> Int { LabelNumber.sides.contains(pixels) ? pixels : 0 }
        try reader.members(skipping: { report($1) }) { reader, key in
            switch key {
            case "id":
                id = try reader.id()
                missing.found(key)
            case "width": width = side(try reader.int())
            case "height": height = side(try reader.int())
            case "file_name": fileName = try reader.string()
            // LVIS has the address alone: http://images.cocodataset.org/train2017/000000391895.jpg.
            case "coco_url": address = try reader.kind() == .text ? reader.string() : nil
            case "neg_category_ids": absent = try reader.ids()
            case "not_exhaustive_category_ids": incomplete = try reader.ids()
            case "video_id": video = try reader.int()
            case "frame_id": frame = try reader.int()
            case "crowdIndex": crowdIndex = try reader.double()
            default: try reader.skip()
            }
        }
        try missing.check()
        if width == 0 || height == 0 { (width, height) = (0, 0) }
        if fileName.isEmpty, let address {
            fileName = address.split(separator: "/").suffix(2).joined(separator: "/")
        }
    }
}

extension COCODocument.Category {
    /// - Parameter report: gets what is wrong with fields that are left out.
    fileprivate init(_ reader: inout JSONReader, skipping report: (JSONReader.Problem) -> Void) throws {
        var missing = Missing("id", "name")
        try reader.members(skipping: { report($1) }) { reader, key in
            switch key {
            case "id": id = try reader.id()
            case "name": name = try reader.identifier()
            case "isthing": isThing = try reader.bool()
            case "keypoints": keypoints = try reader.strings()
            case "skeleton":
                var limbs: [[Int]] = []
                try reader.array { reader, _ in limbs.append(try reader.ints(in: 1...1000).map { $0 - 1 }) }
                skeleton = limbs
            case "sigmas": sigmas = try reader.doubles()
            default: return try reader.skip()
            }
            missing.found(key)
        }
        try missing.check()
    }
}

extension COCODocument.Annotation {
    fileprivate init(_ reader: inout JSONReader) throws {
        var missing = Missing("image_id")
        try read(&reader) { missing.found($0) }
        if let fault = faults["image_id"] { throw fault }
        try missing.check()
    }

    private init(segment reader: inout JSONReader) throws { try read(&reader) { _ in } }

    private mutating func read(_ reader: inout JSONReader, _ found: (String) -> Void) throws {
        var faults: [String: JSONReader.Problem] = [:]
        try reader.members(skipping: { faults[$0] = $1 }) { reader, key in
            switch key {
            case "id": id = try reader.id()
            case "image_id": image = try reader.id()
            case "category_id": category = try reader.id()
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
            found(key)
        }
        self.faults = faults
    }

    /// The box, or where there is none what is around the outline or the labelled joints.
    var extent: Box? {
        if let box { return box }
        switch segmentation {
        case .mask(let mask) where !mask.isEmpty: return mask.boundingBox
        case .polygons(let polygons):
            let corners = polygons.flatMap { polygon in
                stride(from: 1, to: polygon.count, by: 2).map { Point(x: polygon[$0 - 1], y: polygon[$0]) }
            }
            if let box = Box(around: corners) { return box }
        default: break
        }
        let joints = keypoints ?? []
        return Box(
            around: stride(from: 0, to: joints.count, by: 3).filter { joints[$0 + 2] > 0 }.map {
                Point(x: joints[$0], y: joints[$0 + 1])
            })
    }
}

extension Box {
    /// The least box with these points; nil without one.
    init?(around points: [Point]) {
        let (xs, ys) = (points.map(\.x), points.map(\.y))
        guard let left = xs.min(), let right = xs.max(), let top = ys.min(), let bottom = ys.max() else {
            return nil
        }
        self.init(x: left, y: top, width: right - left, height: bottom - top)
    }
}

extension JSONReader {
    mutating func ids() throws -> [LabelID] {
        var ids: [LabelID] = []
        try array { reader, _ in ids.append(try reader.id()) }
        return ids
    }

    /// Nil for an empty list.
    mutating func box() throws -> Box? {
        let numbers = try places()
        if numbers.isEmpty { return nil }
        guard numbers.count == 4 else {
            throw Problem(isSyntax: false, reason: "a box has 4 numbers, not \(numbers.count)")
        }
        return Box(x: numbers[0], y: numbers[1], width: numbers[2], height: numbers[3])
    }

    /// `x, y, visibility` of each joint; nil for an empty list.
    mutating func joints() throws -> [Double]? {
        let numbers = try places()
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
            try reader.array { reader, _ in polygons.append(try reader.places()) }
            guard !polygons.isEmpty else { return nil }
            self = .polygons(polygons)
            return
        }
        var size: [Int] = []
        var string: String?
        var counts: [Int] = []
        try reader.object { reader, key in
            switch key {
            case "size": size = try reader.ints(in: LabelNumber.sides)
            case "counts" where try reader.kind() == .text: string = try reader.string()
            case "counts": counts = try reader.ints()
            default: try reader.skip()
            }
        }
        guard size.count == 2 else {
            throw JSONReader.Problem(isSyntax: false, reason: "a mask's size is [height, width]")
        }
        let (height, width) = (size[0], size[1])
        do {
            self = .mask(
                try string.map { try Mask(width: width, height: height, cocoString: $0) }
                    ?? Mask(width: width, height: height, counts: counts))
        } catch {
            throw JSONReader.Problem(isSyntax: false, reason: "\(error)")
        }
    }
}
