import Media

/// DAVIS: frames in `JPEGImages/480p`, palette PNGs in `Annotations/480p` with an index an object, splits in
/// `ImageSets`. A folder with `images` and `masks` of videos, or one video of them, is read too.
enum DAVISFormat {
    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        let root = reading.path
        func first(_ names: [String]) -> String? {
            names.map { root.appending(path: $0) }.first(where: \.isFolder)
        }
        let pictures =
            reading.images
            ?? first(["JPEGImages/480p", "JPEGImages/Full-Resolution", "JPEGImages", "images"])
        let masks =
            reading.labels
            ?? first(["Annotations/480p", "Annotations/Full-Resolution", "Annotations", "masks"])
        guard let pictures, let masks else {
            throw .invalid(root, reason: "not a set of DAVIS' form: it has no JPEGImages or no Annotations")
        }
        let videos: [String]
        if let split = reading.source.split {
            let places = [
                "ImageSets/\(split).txt", "ImageSets/2017/\(split).txt", "ImageSets/2016/\(split).txt",
            ]
            .map { root.appending(path: $0) }
            guard let path = places.first(where: \.isFile) else {
                throw .unreadable(
                    places[0], reason: "there is no such file, which should list the split's videos")
            }
            videos = try reading.lines(path).map(String.init)
        } else {
            videos = try reading.names(in: pictures).filter { pictures.appending(path: $0).isFolder }
        }
        var set = LabelledSet(name: root.lastPart)
        set.categories = [.init(id: 1, name: reading.source.category ?? "object")]
        for video in videos {
            let folder = pictures.appending(path: video)
            guard folder.isFolder else {
                reading.problems.add(.missingPicture, "video \(video)")
                continue
            }
            let frames = try reading.names(in: folder).filter(\.isPicture)
            for (index, name) in frames.enumerated() {
                let source = PictureSource.file(folder.appending(path: name))
                guard let size = reading.size(of: source) else { continue }
                var picture = LabelledSet.Picture(
                    id: .number(set.pictures.count + 1), source: source, fileName: "\(video)/\(name)",
                    width: size.width, height: size.height)
                (picture.video, picture.frame) = (
                    video, LabelNumber.whole(name.stem, in: 0...1_000_000_000) ?? index
                )
                let path = masks.appending(path: "\(video)/\(name.stem).png")
                picture.isLabelled = path.isFile
                if path.isFile { label(&picture, path, reading) }
                set.pictures.append(picture)
            }
        }
        return set
    }

    private static func label(_ picture: inout LabelledSet.Picture, _ path: String, _ reading: Reading) {
        let map: LabelMap
        do {
            map = try LabelMap(contentsOf: path)
        } catch {
            reading.problems.add(.malformed, "\(error)")
            picture.isLabelled = false
            return
        }
        guard (map.width, map.height) == (picture.width, picture.height) else {
            reading.problems.add(
                .otherSize,
                "\(path.lastPart) of \(picture.fileName): \(map.width) x \(map.height), the frame \(picture.width) x \(picture.height)"
            )
            picture.isLabelled = false
            return
        }
        for (index, mask) in map.masks().sorted(by: { $0.key < $1.key }) {
            var thing = LabelledSet.Thing(id: .number(index), category: 0, box: mask.boundingBox)
            thing.segmentation = .mask(mask)
            thing.area = Double(mask.area)
            thing.track = index
            picture.things.append(thing)
        }
    }
}

/// MOTChallenge: a folder a video, with `seqinfo.ini`, frames in `img1` and truth in `gt/gt.txt`; or `gt.txt` alone.
enum MOTFormat {
    /// MOT16's and MOT17's, with their numbers.
    private static let names = [
        "pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle",
        "static person", "distractor", "occluder", "occluder on the ground", "occluder full", "reflection",
        "crowd",
    ]

    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        let root = reading.source.split.map { reading.path.appending(path: $0) } ?? reading.path
        var set = LabelledSet(name: root.isFile ? root.folder.lastPart : root.lastPart)
        set.categories = names.enumerated().map { .init(id: .number($0.offset + 1), name: $0.element) }
        if root.isFile {
            try add(root, video: root.folder.lastPart, folder: reading.images, to: &set, reading)
            return set
        }
        func truth(_ folder: String) -> String? {
            ["gt/gt.txt", "gt.txt"].map { folder.appending(path: $0) }.first(where: \.isFile)
        }
        var videos = [root]
        if truth(root) == nil { videos = try reading.names(in: root).map { root.appending(path: $0) } }
        for video in videos {
            guard let path = truth(video) else { continue }
            try add(path, video: video.lastPart, folder: video, to: &set, reading)
        }
        return set
    }

    /// Names of frames have six digits.
    private static let lastFrame = 999_999

    private static func add(
        _ path: String, video: String, folder: String?, to set: inout LabelledSet, _ reading: Reading
    ) throws(LabelError) {
        var info: [String: String] = [:]
        if let ini = folder?.appending(path: "seqinfo.ini"), ini.isFile {
            for line in try reading.lines(ini) {
                let parts = line.split(separator: "=", maxSplits: 1)
                if parts.count == 2 { info[String(parts[0].trimmed)] = String(parts[1].trimmed) }
            }
        }
        var frames: [Int: Frame] = [:]
        for (number, line) in try reading.lines(path).enumerated() {
            let place = "\(video) \(path.lastPart) line \(number + 1)"
            let fields = line.split { $0 == "," || $0 == " " || $0 == "\t" }
            let numbers = fields.map { LabelNumber.number($0) }
            func whole(_ column: Int, _ bounds: ClosedRange<Int>) -> Int? {
                fields.indices.contains(column) ? LabelNumber.whole(fields[column], in: bounds) : nil
            }
            // MOT15 has no class: its eighth number is a place in the world, -1.
            let isClassed = fields.count == 9
            let category = isClassed ? whole(7, 1...1_000_000).map { $0 - 1 } : 0
            guard let frame = whole(0, 1...lastFrame) else {
                reading.problems.add(.malformed, place)
                continue
            }
            guard let category, let track = whole(1, -1_000_000_000...1_000_000_000), fields.count >= 6,
                !numbers.contains(nil)
            else {
                reading.problems.add(.malformed, place)
                frames[frame, default: Frame()].lost.append(
                    category.flatMap { names.indices.contains($0) ? $0 : nil })
                continue
            }
            guard names.indices.contains(category) else {
                reading.problems.add(.unknownCategory, "\(place): class \(category + 1)")
                continue
            }
            var thing = LabelledSet.Thing(
                id: .number(number + 1), category: category,
                box: Box(x: numbers[2]!, y: numbers[3]!, width: numbers[4]!, height: numbers[5]!))
            thing.track = track
            thing.isIgnored = fields.count > 6 && numbers[6] == 0
            thing.visibility = isClassed ? numbers[8] : nil
            frames[frame, default: Frame()].things.append(thing)
        }
        func side(_ key: String) -> Int {
            info[key].flatMap { LabelNumber.whole($0, in: LabelNumber.sides) } ?? 0
        }
        let folders =
            folder.map { [$0.appending(path: info["imDir"] ?? "img1"), $0.appending(path: "img1"), $0] } ?? []
        let ending = info["imExt"] ?? ".jpg"
        // Frames without a label are those whose pictures are there.
        var numbers = Set(frames.keys)
        for name in Reading.list(folders.first(where: \.isFolder) ?? "")?.names ?? []
        where name.isPicture {
            if let number = LabelNumber.whole(name.stem, in: 1...lastFrame) { numbers.insert(number) }
        }
        for number in numbers.sorted() {
            let digits = String(number)
            let name = String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ending
            guard let source = reading.find(name, in: folders) else { continue }
            var picture = LabelledSet.Picture(
                id: .number(set.pictures.count + 1), source: source, fileName: "\(video)/\(name)",
                width: side("imWidth"), height: side("imHeight"))
            (picture.video, picture.frame) = (video, number)
            picture.things = frames[number]?.things ?? []
            for lost in frames[number]?.lost ?? [] { picture.lose(lost, of: names.count) }
            set.pictures.append(picture)
        }
    }

    private struct Frame {
        var things: [LabelledSet.Thing] = []
        /// Classes of labels that are not of the form; nil for one that cannot be read.
        var lost: [Int?] = []
    }
}
