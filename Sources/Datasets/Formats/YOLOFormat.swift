import Media

/// YOLO's text files: a line a thing, its class and its box, polygon or joints as fractions of the picture's sides.
enum YOLOFormat {
    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        let set = try Layout(reading)
        var result = LabelledSet(
            name: reading.path.isFile ? reading.path.folder.lastPart : reading.path.lastPart)
        result.categories = set.names.map { number, name in
            .init(
                id: number, name: name,
                keypoints: set.joints > 0 ? (1...set.joints).map { "joint \($0)" } : [])
        }
        let indices = Dictionary(uniqueKeysWithValues: zip(set.names.map(\.number), set.names.indices))
        var used: Set<String> = []
        for path in set.pictures {
            let name = path.lastPart
            reading.note(name: name)
            guard path.isFile else {
                reading.problems.add(.missingPicture, name)
                continue
            }
            guard let size = reading.size(of: .file(path)) else { continue }
            var picture = LabelledSet.Picture(
                id: result.pictures.count + 1, source: .file(path), fileName: name, width: size.width,
                height: size.height)
            if let labels = set.labelFile(of: path) {
                used.insert(labels)
                for (number, line) in try reading.text(labels).split(whereSeparator: \.isNewline).enumerated()
                {
                    let place = "\(labels.lastPart) line \(number + 1)"
                    let fields = line.split(whereSeparator: \.isWhitespace)
                    if fields.isEmpty { continue }
                    guard
                        let thing = thing(
                            fields, number + 1, size, joints: set.joints, dimensions: set.dimensions)
                    else {
                        reading.problems.add(.malformed, place)
                        continue
                    }
                    guard let category = indices[thing.category] else {
                        reading.problems.add(.unknownCategory, "\(place): class \(thing.category)")
                        continue
                    }
                    picture.things.append(thing)
                    picture.things[picture.things.count - 1].category = category
                }
            } else {
                reading.problems.add(set.skipsUnlabelled ? .unlabelled : .noLabels, name)
                if set.skipsUnlabelled { continue }
            }
            result.pictures.append(picture)
        }
        for file in set.labelFiles where !used.contains(file) {
            reading.problems.add(.missingPicture, "the picture of \(file.lastPart)")
        }
        return result
    }

    /// A line; its category is the class as it is numbered in the file. Nil for one that is not of the form.
    private static func thing(
        _ fields: [Substring], _ id: Int, _ size: (width: Int, height: Int), joints: Int, dimensions: Int
    ) -> LabelledSet.Thing? {
        let numbers = fields.compactMap { Double($0) }
        guard numbers.count == fields.count, numbers.count >= 5, numbers.allSatisfy(\.isFinite),
            let category = Int(exactly: numbers[0])
        else {
            return nil
        }
        let (width, height) = (Double(size.width), Double(size.height))
        let isPose = joints > 0 && numbers.count == 5 + joints * dimensions
        if numbers.count == 5 || isPose {
            let box = Box(
                x: (numbers[1] - numbers[3] / 2) * width, y: (numbers[2] - numbers[4] / 2) * height,
                width: numbers[3] * width, height: numbers[4] * height)
            var thing = LabelledSet.Thing(id: id, category: category, box: box)
            if isPose {
                thing.keypoints = Keypoints(
                    stride(from: 5, to: numbers.count, by: dimensions).map { at in
                        let flag =
                            dimensions == 3
                            ? Int(exactly: numbers[at + 2]) ?? 2 : numbers[at] > 0 ? 2 : 0
                        return .init(
                            point: Point(x: numbers[at] * width, y: numbers[at + 1] * height),
                            visibility: .init(rawValue: flag) ?? .visible)
                    })
            }
            return thing
        }
        // A polygon's corners.
        guard numbers.count >= 7, numbers.count % 2 == 1 else { return nil }
        let corners = numbers.dropFirst().enumerated().map {
            $0.element * ($0.offset % 2 == 0 ? width : height)
        }
        let xs = stride(from: 0, to: corners.count, by: 2).map { corners[$0] }
        let ys = stride(from: 1, to: corners.count, by: 2).map { corners[$0] }
        var thing = LabelledSet.Thing(
            id: id, category: category,
            box: Box(x: xs.min()!, y: ys.min()!, width: xs.max()! - xs.min()!, height: ys.max()! - ys.min()!))
        thing.segmentation = .polygons([corners])
        return thing
    }

    /// Where things are, from a data.yaml or from a folder with `images`, `labels` and `classes.txt`.
    private struct Layout {
        var names: [(number: Int, name: String)] = []
        var pictures: [String] = []
        var labelFolders: [String] = []
        var labelFiles: [String] = []
        var joints = 0
        var dimensions = 3
        var skipsUnlabelled = false

        init(_ reading: Reading) throws(LabelError) {
            let path = reading.path
            var root = path
            var pictureFolders: [String] = []
            var yaml = ["yaml", "yml"].contains(path.ending) ? path : nil
            if yaml == nil {
                guard path.isFolder else {
                    throw .unreadable(
                        path,
                        reason: path.isFile
                            ? "it is neither a folder nor a data.yaml" : "there is no such folder")
                }
                yaml = ["data.yaml", "dataset.yaml", "config.yaml"].map { path.appending(path: $0) }
                    .first(where: \.isFile)
            }
            let split = reading.source.split
            if let yaml {
                let fields = YAML(try reading.text(yaml))
                root = yaml.folder
                if let path = fields.text("path"), path != "." {
                    // Ultralytics writes it relative to its own folder of sets: taken where it is found.
                    let inner = root.appending(path: path)
                    if inner.isFolder { root = inner }
                }
                names = fields.pairs("names")
                guard !names.isEmpty else { throw .invalid(yaml, reason: "it has no \"names\" of classes") }
                if let shape = fields.list("kpt_shape"), shape.count == 2, let joints = Int(shape[0]),
                    let dimensions = Int(shape[1]), (1...1000).contains(joints), (2...3).contains(dimensions)
                {
                    (self.joints, self.dimensions) = (joints, dimensions)
                }
                skipsUnlabelled = fields.text("skip_if_label_file_missing") == "true"
                let part = split ?? "train"
                let named = fields.list(part) ?? fields.text(part).map { [$0] }
                guard let named else {
                    throw .invalid(yaml, reason: "it has no split \"\(part)\"")
                }
                pictureFolders = named.map {
                    root.appending(
                        path: $0.hasPrefix("../") && !root.appending(path: $0).fileExists
                            ? String($0.dropFirst(3)) : $0)
                }
            } else {
                let parts = split.map { ["images/\($0)", "\($0)/images", $0] } ?? ["images", ""]
                pictureFolders = parts.map { $0.isEmpty ? root : root.appending(path: $0) }.filter(\.isFolder)
                pictureFolders = Array(pictureFolders.prefix(1))
            }
            if let images = reading.images { pictureFolders = [images] }
            if let labels = reading.labels, labels.isFolder {
                labelFolders = [labels]
            } else if let labels = reading.labels {
                names = try reading.lines(labels).enumerated().map { ($0.offset, String($0.element)) }
            }
            if names.isEmpty {
                let files = ["classes.txt", "labels/classes.txt", "obj.names"].map {
                    root.appending(path: $0)
                }
                guard let file = files.first(where: \.isFile) else {
                    throw .invalid(path, reason: "no names of classes: a data.yaml or classes.txt is needed")
                }
                names = try reading.lines(file).enumerated().map { ($0.offset, String($0.element)) }
            }
            for folder in pictureFolders {
                if folder.ending == "txt", folder.isFile {
                    pictures += try reading.lines(folder).map { root.appending(path: String($0)) }
                } else {
                    pictures += try reading.names(in: folder).filter(\.isPicture).map {
                        folder.appending(path: $0)
                    }
                    labelFolders += [
                        Self.labels(beside: folder), root.appending(path: "labels/\(folder.lastPart)"),
                        root.appending(path: "labels"), folder,
                    ]
                }
            }
            if let folder = labelFolders.first(where: \.isFolder), pictureFolders.allSatisfy(\.isFolder) {
                labelFiles = try reading.names(in: folder).filter {
                    $0.ending == "txt" && $0 != "classes.txt"
                }
                .map { folder.appending(path: $0) }
                labelFolders = [folder]
            }
        }

        func labelFile(of picture: String) -> String? {
            let folders =
                labelFolders.isEmpty ? [Self.labels(beside: picture.folder), picture.folder] : labelFolders
            return folders.map { $0.appending(path: "\(picture.stem).txt") }.first(where: \.isFile)
        }

        /// The last part named `images` becomes `labels`.
        private static func labels(beside folder: String) -> String {
            var parts = folder.split(separator: "/", omittingEmptySubsequences: false)
            if let index = parts.lastIndex(of: "images") { parts[index] = "labels" }
            return parts.joined(separator: "/")
        }
    }
}

/// As much of YAML as a data.yaml has: texts, lists and one level of numbered names.
private struct YAML {
    private var values: [String: String] = [:]
    private var blocks: [String: [String]] = [:]

    init(_ text: String) {
        var key = ""
        for line in text.split(whereSeparator: \.isNewline) {
            // A # begins a comment at the line's beginning or after a space.
            var content = line
            if let comment = line.indices.first(where: {
                line[$0] == "#" && ($0 == line.startIndex || line[line.index(before: $0)].isWhitespace)
            }) {
                content = line[..<comment]
            }
            let trimmed = content.trimmed
            if trimmed.isEmpty { continue }
            if let first = content.first, !first.isWhitespace, first != "-",
                let colon = trimmed.firstIndex(of: ":")
            {
                key = Self.plain(trimmed[..<colon])
                let value = trimmed[trimmed.index(after: colon)...].trimmed
                if !value.isEmpty { values[key] = String(value) }
            } else if values[key] != nil {
                // A list that goes on in the next line.
                values[key]! += " \(trimmed)"
            } else {
                blocks[key, default: []].append(String(trimmed))
            }
        }
    }

    func text(_ key: String) -> String? {
        values[key].flatMap { $0.hasPrefix("[") || $0.hasPrefix("{") ? nil : Self.plain($0[...]) }
    }

    func list(_ key: String) -> [String]? {
        if let value = values[key], value.hasPrefix("[") { return Self.items(value) }
        return blocks[key]?.filter { $0.hasPrefix("-") }.map { Self.plain($0.dropFirst()) }
    }

    /// `names` as a list, counted from 0, or by number.
    func pairs(_ key: String) -> [(number: Int, name: String)] {
        func pair(_ text: Substring) -> (Int, String)? {
            guard let colon = text.firstIndex(of: ":"), let number = Int(Self.plain(text[..<colon])) else {
                return nil
            }
            return (number, Self.plain(text[text.index(after: colon)...]))
        }
        if let value = values[key], value.hasPrefix("{") {
            return Self.items(value).compactMap { pair($0[...]) }
        }
        if let list = list(key), !list.isEmpty { return list.enumerated().map { ($0.offset, $0.element) } }
        return blocks[key]?.compactMap { pair($0[...]) } ?? []
    }

    private static func items(_ text: String) -> [String] {
        text.dropFirst().prefix { $0 != "]" && $0 != "}" }.split(separator: ",").map { plain($0) }
    }

    /// Without the space and the quotes around it.
    private static func plain(_ text: Substring) -> String {
        let text = text.trimmed
        guard text.count >= 2, let quote = text.first, quote == "'" || quote == "\"", text.last == quote
        else {
            return String(text)
        }
        return String(text.dropFirst().dropLast())
    }
}
