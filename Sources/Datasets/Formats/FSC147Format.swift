import Media

/// FSC-147: a point on every thing to be counted, boxes of three examples, and one class a picture.
///
/// Coordinates are those of the pictures of `images_384_VarV2`.
enum FSC147Format {
    private struct Entry {
        var name: String
        var points: [Point] = []
        var boxes: [Box] = []
        /// Whether a point of it could not be read.
        var isIncomplete = false
    }

    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        let folder = reading.path.isFile ? reading.path.folder : reading.path
        func find(_ name: String) -> String? {
            [folder.appending(path: name), folder.appending(path: "data/\(name)")].first(where: \.isFile)
        }
        func file(_ name: String) throws(LabelError) -> String {
            guard let path = find(name) else {
                throw .unreadable(folder.appending(path: name), reason: "there is no such file")
            }
            return path
        }
        let path = reading.path.isFile ? reading.path : try file("annotation_FSC147_384.json")
        var entries: [Entry] = []
        try reading.json(path) { reader in
            try reader.object { reader, name in
                var entry = Entry(name: name)
                try reader.object { reader, key in
                    switch key {
                    case "points":
                        try reader.array(skipping: {
                            reading.problems.add(.malformed, "\(name) \($0.within(key))")
                            entry.isIncomplete = true
                        }) {
                            reader, _ in
                            let numbers = try reader.places()
                            guard numbers.count == 2 else {
                                throw JSONReader.Problem(isSyntax: false, reason: "a point has 2 numbers")
                            }
                            entry.points.append(Point(x: numbers[0], y: numbers[1]))
                        }
                    case "box_examples_coordinates":
                        try reader.array(skipping: {
                            reading.problems.add(.malformed, "\(name) \($0.within(key))")
                        }) {
                            reader, _ in
                            var corners: [[Double]] = []
                            try reader.array { reader, _ in corners.append(try reader.places()) }
                            guard corners.count == 4, corners.allSatisfy({ $0.count == 2 }) else {
                                throw JSONReader.Problem(isSyntax: false, reason: "an example has 4 corners")
                            }
                            let (xs, ys) = (corners.map { $0[0] }, corners.map { $0[1] })
                            entry.boxes.append(
                                Box(
                                    x: xs.min()!, y: ys.min()!, width: xs.max()! - xs.min()!,
                                    height: ys.max()! - ys.min()!))
                        }
                    default: try reader.skip()
                    }
                }
                entries.append(entry)
            }
        }
        var set = LabelledSet(name: path.stem)
        var classes: [String: String] = [:]
        for line in try reading.lines(file("ImageClasses_FSC147.txt")) {
            let fields = line.split(separator: "\t")
            if fields.count == 2 { classes[String(fields[0])] = String(fields[1].trimmed) }
        }
        let names = Set(classes.values).sorted()
        set.categories = names.enumerated().map { .init(id: .number($0.offset + 1), name: $0.element) }
        let indices = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
        if let split = reading.source.split {
            let members = try reading.json(file("Train_Test_Val_FSC_147.json")) { reader in
                var splits: [String: [String]] = [:]
                try reader.object { reader, key in splits[key] = try reader.strings() }
                return splits
            }
            guard let names = members[split] else {
                let known = members.keys.sorted().joined(separator: ", ")
                throw .invalid(path, reason: "FSC-147 has no split \"\(split)\", only \(known)")
            }
            let byName = Dictionary(entries.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
            entries = []
            for name in names {
                guard let entry = byName[name] else {
                    reading.problems.add(.unlabelled, name)
                    continue
                }
                entries.append(entry)
            }
        }
        let folders = ["images_384_VarV2", "../images_384_VarV2", "images", ""].map {
            $0.isEmpty ? folder : folder.appending(path: $0)
        }
        for (number, entry) in entries.enumerated() {
            reading.note(name: entry.name)
            guard let source = reading.find(entry.name, in: folders) else { continue }
            var picture = LabelledSet.Picture(
                id: .number(number + 1), source: source, fileName: entry.name)
            if !reading.asWritten {
                guard let size = reading.size(of: source) else { continue }
                (picture.width, picture.height) = size
            }
            (picture.points, picture.exemplars) = (entry.points, entry.boxes)
            // Other things may be in the picture too, but nobody looked for them.
            picture.absent = []
            if let category = classes[entry.name].flatMap({ indices[$0] }) {
                picture.present = [category]
                if entry.isIncomplete { picture.lose(category, of: names.count) }
            } else {
                reading.problems.add(.unknownCategory, "\(entry.name): it has no class")
            }
            set.pictures.append(picture)
        }
        return set
    }
}
