import Media
import Yams

/// Where a YOLO set's pictures, label files and names are, from a data.yaml or from a folder with `images`, `labels` and
/// `classes.txt`.
struct YOLOLayout {
    struct Picture {
        var path: String
        /// Its path from the folder of pictures, or as a list has it.
        var name: String
        /// Nil where there is none.
        var labels: String?
    }

    private(set) var names: [(number: Int, name: String)] = []
    private(set) var pictures: [Picture] = []
    /// Label files beside those of the pictures, without a picture.
    private(set) var strayLabels: [String] = []
    private(set) var joints = 0
    private(set) var dimensions = 3
    private(set) var skipsUnlabelled = false

    private var isListed = false
    /// Where the set begins: what its paths are relative to.
    private var root: String

    init(_ reading: Reading) throws(LabelError) {
        let path = reading.path
        root = path
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
        var places: [String] = []
        if let yaml {
            places = try read(yaml, split: reading.source.split ?? "train", reading)
        } else {
            let parts =
                reading.source.split.map { ["images/\($0)", "\($0)/images", $0] } ?? ["images", ""]
            places = parts.map { $0.isEmpty ? path : path.appending(path: $0) }.filter(\.isFolder)
            places = Array(places.prefix(1))
        }
        if let images = reading.images { places = [images] }
        if let labels = reading.labels, !labels.isFolder {
            names = try Self.numbered(reading.lines(labels))
        } else if names.isEmpty {
            let files = ["classes.txt", "labels/classes.txt", "obj.names"].map { root.appending(path: $0) }
            guard let file = files.first(where: \.isFile) else {
                throw .invalid(path, reason: "no names of classes: a data.yaml or classes.txt is needed")
            }
            names = try Self.numbered(reading.lines(file))
        }
        for place in places {
            if place.isFile {
                try list(place, reading)
            } else {
                try folder(place, isOnly: places.count == 1, reading)
            }
        }
        pictures.sort { $0.path < $1.path }
        try findStrayLabels(reading)
    }

    private static func numbered(_ lines: [Substring]) -> [(number: Int, name: String)] {
        lines.enumerated().map { ($0.offset, String($0.element)) }
    }

    // MARK: Pictures

    private mutating func folder(_ folder: String, isOnly: Bool, _ reading: Reading) throws(LabelError) {
        for name in try reading.files(under: folder, where: \.isPicture) {
            let path = folder.appending(path: name)
            let label = "\(name.withoutEnding()).txt"
            let others = ["\(folder.lastPart)/\(label)"] + (isOnly ? [label] : [])
            pictures.append(
                .init(
                    path: path, name: name,
                    labels: labels(
                        of: path, label, orElse: others.map { root.appending(path: "labels/\($0)") }, reading)
                )
            )
        }
    }

    /// A list of pictures, whose paths are relative to its own folder, to the set's or to the working directory.
    private mutating func list(_ file: String, _ reading: Reading) throws(LabelError) {
        for line in try reading.lines(file) where !String(line).isMacFile {
            let name = String(line.trimmingPrefix("./"))
            let path =
                reading.path(of: name, in: [file.folder, root, "."]) ?? file.folder.appending(path: name)
            pictures.append(
                .init(
                    path: path, name: name,
                    labels: labels(of: path, "\(name.withoutEnding()).txt", orElse: [], reading)))
        }
        isListed = true
    }

    /// A picture's label file; nil for one without.
    ///
    /// - Parameters:
    ///   - picture: its path.
    ///   - label: where it would be in a folder of labels that the source names.
    ///   - others: where it may be too, unless the folder beside the picture's is there.
    private func labels(
        of picture: String, _ label: String, orElse others: [String], _ reading: Reading
    ) -> String? {
        if let labels = reading.labels, labels.isFolder {
            return [label, label.lastPart].map { labels.appending(path: $0) }.first(where: \.isFile)
        }
        // The last part named `images` becomes `labels`.
        var parts = picture.withoutEnding().split(separator: "/", omittingEmptySubsequences: false)
        let same = "\(parts.joined(separator: "/")).txt"
        if let index = parts.dropLast().lastIndex(of: "images") {
            parts[index] = "labels"
            let own = "\(parts.joined(separator: "/")).txt"
            if own.folder.isFolder { return own.isFile ? own : nil }
        }
        return (others + [same]).first(where: \.isFile)
    }

    /// Lists name some pictures of many, and label files beside the pictures are beside other texts.
    private mutating func findStrayLabels(_ reading: Reading) throws(LabelError) {
        let used = Set(pictures.compactMap(\.labels))
        let beside = Set(pictures.map(\.path.folder))
        guard !isListed else { return }
        for folder in Set(used.map(\.folder)).subtracting(beside).sorted() {
            strayLabels += try reading.names(in: folder).filter {
                $0.ending == "txt" && $0 != "classes.txt" && !used.contains(folder.appending(path: $0))
            }
        }
    }

    // MARK: data.yaml

    /// - Throws: a problem that says the line.
    private static func fields(_ yaml: String) throws -> [String: Node] {
        let mapping: Node?
        do {
            mapping = try compose(yaml: yaml)
        } catch let error as YamlError {
            throw JSONReader.Problem(isSyntax: true, reason: error.line)
        }
        guard let pairs = mapping.flatMap({ pairs($0) }) else {
            throw JSONReader.Problem(isSyntax: true, reason: "not a list of fields with their values")
        }
        return Dictionary(pairs.compactMap { pair in pair.0.string.map { ($0, pair.1) } }) { $1 }
    }

    /// The members of a mapping, after those that it takes over from others by `<<`; nil for what is none.
    private static func pairs(_ node: Node, depth: Int = 0) -> [(Node, Node)]? {
        guard let mapping = node.mapping, depth < 4 else { return nil }
        let merged = mapping.filter { $0.key.string == "<<" }.flatMap { _, value in
            (value.sequence.map(Array.init) ?? [value]).reversed().flatMap {
                pairs($0, depth: depth + 1) ?? []
            }
        }
        let own = mapping.filter { $0.key.string != "<<" }.map { ($0.key, $0.value) }
        let names = Set(own.map(\.0))
        return merged.filter { !names.contains($0.0) } + own
    }

    /// Classes as a list, counted from 0, or by number.
    private static func names(
        _ node: Node, _ invalid: (String) -> LabelError
    ) throws(LabelError) -> [(number: Int, name: String)] {
        var names: [Int: String] = [:]
        func add(_ number: Int, _ node: Node) throws(LabelError) {
            guard let name = node.string, !name.isEmpty else { throw invalid("class \(number) has no name") }
            guard names.updateValue(name, forKey: number) == nil else {
                throw invalid("names: class \(number) is there twice")
            }
        }
        if let list = node.sequence {
            for (number, name) in list.enumerated() { try add(number, name) }
        } else if let pairs = pairs(node) {
            for (key, name) in pairs {
                guard let number = key.string.flatMap({ LabelNumber.whole($0, in: 0...1_000_000) }) else {
                    throw invalid("names: \"\(key.string ?? "")\" is no number of a class")
                }
                try add(number, name)
            }
        } else {
            throw invalid("\"names\" is neither a list nor numbers with names")
        }
        return names.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// - Returns: the split's folders and lists.
    private mutating func read(
        _ yaml: String, split: String, _ reading: Reading
    ) throws(LabelError) -> [String] {
        func invalid(_ reason: String) -> LabelError { .invalid(yaml, reason: reason) }
        let fields: [String: Node]
        do {
            fields = try Self.fields(reading.text(yaml))
        } catch let error as LabelError {
            throw error
        } catch {
            throw invalid("\(error)")
        }
        root = yaml.folder
        if let path = fields["path"]?.string, path != "." {
            // Ultralytics writes it relative to its own folder of sets: taken where it is found.
            let inner = root.appending(path: path)
            if inner.isFolder { root = inner }
        }
        if let node = fields["names"] {
            names = try Self.names(node, invalid)
        } else if let count = fields["nc"]?.string.flatMap({ LabelNumber.whole($0, in: 1...100_000) }) {
            names = (0..<count).map { ($0, "class_\($0)") }
        }
        guard !names.isEmpty else { throw invalid("it has no \"names\" of classes") }
        if let shape = fields["kpt_shape"] {
            let numbers = shape.sequence?.map { $0.string ?? "" } ?? []
            guard numbers.count == 2, let joints = LabelNumber.whole(numbers[0], in: 1...1000),
                let dimensions = LabelNumber.whole(numbers[1], in: 2...3)
            else { throw invalid("kpt_shape is the number of joints, up to 1000, and 2 or 3") }
            (self.joints, self.dimensions) = (joints, dimensions)
        }
        skipsUnlabelled = fields["skip_if_label_file_missing"]?.bool ?? false
        guard let node = fields[split] ?? (split == "val" ? fields["validation"] : nil) else {
            throw invalid("it has no split \"\(split)\"")
        }
        let parts = node.sequence.map(Array.init) ?? [node]
        return try parts.map { node throws(LabelError) in
            guard let part = node.string, !part.isEmpty else {
                throw invalid("its split \"\(split)\" is no path")
            }
            let places = part.spellings.flatMap { spelling in
                let place = root.appending(path: spelling)
                // Written where the set lay in a folder beside.
                return spelling.hasPrefix("../")
                    ? [place, root.appending(path: String(spelling.dropFirst(3)))] : [place]
            }
            return places.first(where: \.fileExists) ?? places[0]
        }
    }
}

extension YamlError {
    /// Where, and what.
    fileprivate var line: String {
        switch self {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            "not YAML in line \(mark.line): \(problem)"
        case .reader(let problem, _, _, _): "not YAML: \(problem)"
        case .duplicatedKeysInMapping(let keys, let context):
            "not YAML in line \(context.mark.line): \"\(keys.first ?? "")\" is there twice"
        default: "not YAML"
        }
    }
}
