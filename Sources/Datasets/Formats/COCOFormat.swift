import Media

/// COCO's instances, keypoints, captions and panoptic segments, and the sets that are written alike.
enum COCOFormat {
    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        let isList = try reading.json(reading.path) { try $0.kind() == .array }
        if isList { return try AIChallengerFormat.read(reading) }
        let document = try reading.json(reading.path) { try COCODocument(&$0) }
        for list in ["images", "annotations"] where !document.lists.contains(list) {
            throw .invalid(reading.path, reason: "not a file of COCO's form: it has no \"\(list)\"")
        }
        return try set(document, reading)
    }

    static func set(
        _ document: COCODocument, _ reading: Reading, folders: [String]? = nil
    ) throws(LabelError) -> LabelledSet {
        var set = LabelledSet(name: reading.path.stem)
        for problem in document.problems { reading.problems.add(.malformed, problem.description) }

        var categories: [Int: Int] = [:]
        for entry in document.categories {
            guard categories[entry.id] == nil else {
                reading.problems.add(.repeatedID, "category \(entry.id)")
                continue
            }
            categories[entry.id] = set.categories.count
            set.categories.append(
                .init(
                    id: entry.id, name: entry.name, isThing: entry.isThing, keypoints: entry.keypoints,
                    skeleton: entry.skeleton, sigmas: entry.sigmas))
        }
        func indices(_ ids: [Int]) -> [Int] { ids.compactMap { categories[$0] } }

        var pictures: [Int: Int] = [:]
        /// Those of pictures that are not there count once, with the picture.
        var skipped: Set<Int> = []
        let folders = folders ?? pictureFolders(reading.path)
        for entry in document.images {
            guard pictures[entry.id] == nil, !skipped.contains(entry.id) else {
                reading.problems.add(.repeatedID, "image \(entry.id)")
                continue
            }
            reading.note(name: entry.fileName)
            guard let source = reading.find(entry.fileName, in: folders) else {
                skipped.insert(entry.id)
                continue
            }
            var picture = LabelledSet.Picture(
                id: entry.id, source: source, fileName: entry.fileName, width: entry.width,
                height: entry.height)
            picture.absent = entry.absent.map(indices)
            picture.incomplete = indices(entry.incomplete)
            picture.video = entry.video.map(String.init)
            picture.frame = entry.frame
            pictures[entry.id] = set.pictures.count
            set.pictures.append(picture)
        }

        var ids: Set<Int> = []
        for entry in document.annotations {
            guard let index = pictures[entry.image] else {
                if !skipped.contains(entry.image) {
                    reading.problems.add(.unknownPicture, "annotation \(entry.id) of image \(entry.image)")
                }
                continue
            }
            if let segments = entry.segments {
                try add(segments, of: entry, to: &set.pictures[index], categories, reading)
                continue
            }
            guard entry.id == 0 || ids.insert(entry.id).inserted else {
                reading.problems.add(.repeatedID, "annotation \(entry.id)")
                continue
            }
            if let caption = entry.caption { set.pictures[index].captions.append(caption) }
            guard entry.box != nil else { continue }
            guard let category = categories[entry.category] else {
                reading.problems.add(
                    .unknownCategory, "annotation \(entry.id) of category \(entry.category)")
                continue
            }
            set.pictures[index].things.append(LabelledSet.Thing(entry, category: category))
        }
        return set
    }

    /// Where COCO's pictures lie beside `annotations/instances_train2017.json`, and where people put them.
    private static func pictureFolders(_ path: String) -> [String] {
        let folder = path.folder
        let root = folder.lastPart == "annotations" ? folder.folder : folder
        let part = path.stem.split(separator: "_").last.map(String.init) ?? ""
        return [
            "\(root)/\(part)", "\(root)/images/\(part)", "\(root)/images", root, folder, "\(folder)/images",
        ]
    }

    /// The segments of a picture, whose pixels are in a PNG: id = red + 256 green + 65536 blue.
    private static func add(
        _ segments: [COCODocument.Annotation], of entry: COCODocument.Annotation,
        to picture: inout LabelledSet.Picture, _ categories: [Int: Int], _ reading: Reading
    ) throws(LabelError) {
        let name = entry.fileName ?? "\(picture.fileName.stem).png"
        // panoptic_train2017.json has its PNGs in panoptic_train2017/.
        let folder = reading.path.folder
        let folders = [
            reading.labels, "\(folder)/\(reading.path.stem)", folder, "\(folder.folder)/\(reading.path.stem)",
        ]
        guard let path = folders.compactMap({ $0?.appending(path: name) }).first(where: \.isFile) else {
            reading.problems.add(.missingPicture, name)
            return
        }
        let image: Image
        do {
            image = try Image(contentsOf: path)
        } catch {
            reading.problems.add(.brokenPicture, "\(error)")
            return
        }
        if picture.width == 0 { (picture.width, picture.height) = (image.width, image.height) }
        let runs = image.masksByColour()
        for segment in segments {
            guard let category = categories[segment.category] else {
                reading.problems.add(
                    .unknownCategory, "\(name) segment \(segment.id) of category \(segment.category)")
                continue
            }
            guard let mask = runs[segment.id] else {
                reading.problems.add(.noArea, "\(name) segment \(segment.id)")
                continue
            }
            var thing = LabelledSet.Thing(segment, category: category)
            thing.box = segment.box ?? mask.boundingBox
            thing.segmentation = .mask(mask)
            picture.things.append(thing)
        }
    }
}

extension LabelledSet.Thing {
    init(_ entry: COCODocument.Annotation, category: Int) {
        self.init(
            id: entry.id, category: category, box: entry.box ?? Box(x: 0, y: 0, width: 0, height: 0))
        segmentation = entry.segmentation
        keypoints = entry.keypoints.map { numbers in
            Keypoints(
                stride(from: 0, to: numbers.count, by: 3).map {
                    // CrowdPose and others mark more kinds than COCO's; what is above 0 is labelled.
                    let visibility: Keypoints.Visibility =
                        numbers[$0 + 2] >= 2 ? .visible : numbers[$0 + 2] > 0 ? .occluded : .absent
                    return .init(point: Point(x: numbers[$0], y: numbers[$0 + 1]), visibility: visibility)
                })
        }
        keypointCount = entry.keypointCount
        isCrowd = entry.isCrowd
        isIgnored = entry.isIgnored
        area = entry.area
        track = entry.track
    }
}
