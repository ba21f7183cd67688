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
        for fault in document.faults { reading.problems.add(.partly, fault.description) }

        var categories: [LabelID: Int] = [:]
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
        func indices(_ ids: [LabelID]) -> [Int] { ids.compactMap { categories.entry($0) } }

        var pictures: [LabelID: Int] = [:]
        /// Those of pictures that are not there count once, with the picture.
        var skipped: [LabelID: Bool] = [:]
        let folders = folders ?? pictureFolders(reading.path)
        for entry in document.images {
            guard pictures[entry.id] == nil, skipped[entry.id] == nil else {
                reading.problems.add(.repeatedID, "image \(entry.id)")
                continue
            }
            reading.note(name: entry.fileName)
            guard let source = reading.find(entry.fileName, in: folders) else {
                skipped[entry.id] = true
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

        var ids: Set<LabelID> = []
        for entry in document.annotations {
            let place = "annotation \(entry.id.map { "\($0)" } ?? "without an id")"
            guard let index = pictures.entry(entry.image) else {
                if skipped.entry(entry.image) == nil {
                    reading.problems.add(.unknownPicture, "\(place) of image \(entry.image)")
                }
                continue
            }
            if let segments = entry.segments {
                add(segments, of: entry, to: &set, index, categories, reading)
                continue
            }
            if let caption = entry.caption { set.pictures[index].captions.append(caption) }
            let category = entry.category.flatMap { categories.entry($0) }
            /// What of it can be used is kept; a label that is lost may be of any class unless its own is known.
            func lose(_ place: String) {
                reading.problems.add(.malformed, place)
                // One of a class that is not listed is not missed.
                guard category != nil || entry.category == nil else { return }
                set.pictures[index].lose(category, of: set.categories.count)
            }
            let faults = entry.faults.sorted { $0.key < $1.key }.map(\.value.description)
            guard let box = entry.extent else {
                if entry.caption != nil, entry.category == nil { continue }
                lose(faults.first ?? "\(place) has no bbox")
                continue
            }
            guard let category else {
                if let id = entry.category {
                    reading.problems.add(.unknownCategory, "\(place) of category \(id)")
                } else {
                    lose(faults.first ?? "\(place) has no category_id")
                }
                continue
            }
            for fault in faults { reading.problems.add(.partly, fault) }
            if let id = entry.id, !ids.insert(id).inserted { reading.problems.add(.repeatedLabel, place) }
            var thing = LabelledSet.Thing(entry, category: category)
            thing.box = box
            set.pictures[index].things.append(thing)
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
        _ segments: [COCODocument.Annotation], of entry: COCODocument.Annotation, to set: inout LabelledSet,
        _ index: Int, _ categories: [LabelID: Int], _ reading: Reading
    ) {
        let picture = set.pictures[index]
        let name = entry.fileName ?? "\(picture.fileName.stem).png"
        // panoptic_train2017.json has its PNGs in panoptic_train2017/.
        let folder = reading.path.folder
        let folders = [
            reading.labels, "\(folder)/\(reading.path.stem)", folder, "\(folder.folder)/\(reading.path.stem)",
        ]
        let image: Image
        do {
            guard let path = reading.path(of: name, in: folders.compactMap(\.self)) else {
                reading.problems.add(.missingPicture, name)
                return set.pictures[index].lose(nil, of: set.categories.count)
            }
            image = try Image(contentsOf: path)
        } catch {
            reading.problems.add(.brokenPicture, "\(error)")
            return set.pictures[index].lose(nil, of: set.categories.count)
        }
        if picture.width == 0 {
            (set.pictures[index].width, set.pictures[index].height) = (image.width, image.height)
        }
        let runs = image.masksByColour()
        for segment in segments {
            let place = "\(name) segment \(segment.id.map { "\($0)" } ?? "without an id")"
            guard let category = segment.category.flatMap({ categories.entry($0) }) else {
                let id = segment.category.map { "\($0)" } ?? "nothing"
                reading.problems.add(.unknownCategory, "\(place) of category \(id)")
                if segment.category == nil { set.pictures[index].lose(nil, of: set.categories.count) }
                continue
            }
            guard case .number(let id)? = segment.id, let mask = runs[id] else {
                reading.problems.add(.noArea, place)
                set.pictures[index].lose(category, of: set.categories.count)
                continue
            }
            var thing = LabelledSet.Thing(segment, category: category)
            thing.box = segment.box ?? mask.boundingBox
            thing.segmentation = .mask(mask)
            set.pictures[index].things.append(thing)
        }
    }
}

extension LabelledSet.Thing {
    init(_ entry: COCODocument.Annotation, category: Int) {
        self.init(
            id: entry.id ?? 0, category: category,
            box: entry.box ?? Box(x: 0, y: 0, width: 0, height: 0))
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
