import Media

/// YOLO's text files: a line a thing, its class and its box, polygon or joints as fractions of the picture's sides.
///
/// Pictures and their label files are found as Ultralytics 8.4 finds them.
enum YOLOFormat {
    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        let set = try YOLOLayout(reading)
        var result = LabelledSet(
            name: reading.path.isFile ? reading.path.folder.lastPart : reading.path.lastPart)
        result.categories = set.names.map { number, name in
            .init(
                id: .number(number), name: name,
                keypoints: set.joints > 0 ? (1...set.joints).map { "joint \($0)" } : [])
        }
        let indices = Dictionary(uniqueKeysWithValues: zip(set.names.map(\.number), set.names.indices))
        for entry in set.pictures {
            reading.note(name: entry.name)
            guard entry.path.isFile else {
                reading.problems.add(.missingPicture, entry.name)
                continue
            }
            guard let size = reading.size(of: .file(entry.path)) else { continue }
            var picture = LabelledSet.Picture(
                id: .number(result.pictures.count + 1), source: .file(entry.path), fileName: entry.name,
                width: size.width, height: size.height)
            guard let labels = entry.labels else {
                reading.problems.add(set.skipsUnlabelled ? .unlabelled : .noLabels, entry.name)
                if !set.skipsUnlabelled { result.pictures.append(picture) }
                continue
            }
            do {
                let lines = try reading.text(labels).split(
                    omittingEmptySubsequences: false, whereSeparator: \.isNewline)
                var seen: Set<[Double]> = []
                for (number, line) in lines.enumerated() {
                    let fields = line.split(whereSeparator: \.isWhitespace)
                    if fields.isEmpty { continue }
                    let place = "\(labels.lastPart) line \(number + 1)"
                    let label = Label(fields, joints: set.joints, dimensions: set.dimensions)
                    let category = label.category.flatMap { indices[$0] }
                    if let number = label.category, category == nil, label.box != nil {
                        reading.problems.add(.unknownCategory, "\(place): class \(number)")
                    } else if let reason = label.problem {
                        reading.problems.add(label.box == nil ? .malformed : .partly, "\(place): \(reason)")
                    }
                    guard let category else {
                        if label.category == nil { picture.lose(nil, of: set.names.count) }
                        continue
                    }
                    guard let box = label.box else {
                        picture.lose(category, of: set.names.count)
                        continue
                    }
                    guard seen.insert([Double(category)] + box + label.joints).inserted else {
                        reading.problems.add(.doubled, place)
                        continue
                    }
                    picture.things.append(
                        label.thing(number + 1, category, size, dimensions: set.dimensions))
                }
            } catch {
                reading.problems.add(.malformed, "\(labels.lastPart): \(error.reason)")
                picture.lose(nil, of: set.names.count)
            }
            result.pictures.append(picture)
        }
        for file in set.strayLabels { reading.problems.add(.missingPicture, "the picture of \(file)") }
        return result
    }

    /// What a line says, in fractions of the picture's sides.
    private struct Label {
        /// The class's number; nil for one that cannot be read.
        var category: Int?
        /// The centre and the size; nil where they cannot be read.
        var box: [Double]?
        var corners: [Double] = []
        /// As the line has them.
        var joints: [Double] = []
        /// Why the line, or what is not taken of it, is not of the form.
        var problem: String?

        init(_ fields: [Substring], joints count: Int, dimensions: Int) {
            category = LabelNumber.whole(fields[0], in: 0...1_000_000)
            let numbers = fields.dropFirst().map { LabelNumber.number($0, in: -1e6...1e6) }
            guard category != nil else {
                problem = "\"\(fields[0].prefix(20))\" is no class"
                return
            }
            let places = numbers.prefix { $0 != nil }.map { $0! }
            let isBox = count > 0 || numbers.count < 6
            guard isBox ? places.count >= 4 : places.count == numbers.count && places.count % 2 == 0 else {
                problem =
                    places.count < numbers.count
                    ? "\"\(fields[places.count + 1].prefix(20))\" is no place in a picture"
                    : "\(fields.count) columns are neither a box nor a polygon"
                return
            }
            if !isBox {
                corners = places
                let box = Box(
                    around: stride(from: 0, to: places.count, by: 2).map {
                        Point(x: places[$0], y: places[$0 + 1])
                    })!
                self.box = [box.centre.x, box.centre.y, box.width, box.height]
                return
            }
            box = Array(places.prefix(4))
            let rest = Array(places.dropFirst(4))
            if count > 0, rest.count == count * dimensions, places.count == numbers.count {
                joints = rest
            } else if numbers.count > 4 {
                problem =
                    count > 0
                    ? "\(fields.count) columns, \(5 + count * dimensions) are a box with its joints"
                    : "\(fields.count) columns, 5 are a box"
            }
        }

        func thing(
            _ id: Int, _ category: Int, _ size: (width: Int, height: Int), dimensions: Int
        ) -> LabelledSet.Thing {
            let (width, height, box) = (Double(size.width), Double(size.height), box!)
            var thing = LabelledSet.Thing(
                id: .number(id), category: category,
                box: Box(
                    x: (box[0] - box[2] / 2) * width, y: (box[1] - box[3] / 2) * height,
                    width: box[2] * width, height: box[3] * height))
            if !corners.isEmpty {
                thing.segmentation = .polygons([
                    corners.enumerated().map { $0.element * ($0.offset % 2 == 0 ? width : height) }
                ])
            }
            if !joints.isEmpty {
                thing.keypoints = Keypoints(
                    stride(from: 0, to: joints.count, by: dimensions).map { at in
                        let flag =
                            dimensions == 3
                            ? LabelNumber.whole(joints[at + 2], in: 0...2) ?? 2 : joints[at] > 0 ? 2 : 0
                        return .init(
                            point: Point(x: joints[at] * width, y: joints[at + 1] * height),
                            visibility: .init(rawValue: flag) ?? .visible)
                    })
            }
            return thing
        }
    }
}
