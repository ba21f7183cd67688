/// The labels that a folder holds, found by what its files are called and look like, with the splits that it comes with.
///
/// Folders are looked at from above, down to three below the one that is named; the first in which labels are found count.
public struct FolderLabels: Sendable, Hashable {
    public var train: DataSource
    /// Nil for a folder that has no such part.
    public var validation: DataSource?
    public var test: DataSource?
    /// What was found and by what it was known, a line each; what else is there, and which of them was taken why.
    public var notes: [String]

    public init(
        train: DataSource, validation: DataSource? = nil, test: DataSource? = nil, notes: [String] = []
    ) {
        self.train = train
        self.validation = validation
        self.test = test
        self.notes = notes
    }

    /// - Parameter folder: where to look. Paths of the sources begin with it.
    /// - Throws: ``LabelError`` that says what was looked for, when there is nothing of it.
    public init(in folder: String) throws(LabelError) {
        guard folder.isFolder else {
            throw .unreadable(folder, reason: folder.isFile ? "it is no folder" : "there is no such folder")
        }
        var level = [try Place(folder)]
        var seen = Seen()
        for _ in 0...Self.depth {
            let found = level.compactMap(\.labels).joined()
            level.forEach { seen.add($0) }
            if !found.isEmpty {
                self = try Self.chosen(Array(found), in: folder)
                return
            }
            var below: [Place] = []
            for place in level {
                for name in place.folders.prefix(Self.foldersTried) {
                    below.append(try Place(place.path.appending(path: name)))
                }
            }
            level = below
        }
        throw .invalid(
            folder,
            reason:
                "no labels in it, nor three folders down; looked for \(Format.allCases.map(\.looks).joined(separator: "; ")). There are \(seen.text)"
        )
    }

    /// All parts that there are.
    public var sources: [(part: String, source: DataSource)] {
        [("train", train), ("validation", validation), ("test", test)].compactMap { part, source in
            source.map { (part, $0) }
        }
    }

    private init(_ found: Found, notes: [String]) {
        let only = found.sources.count == 1 ? found.sources.values.first : nil
        train = found.sources[.train] ?? only!
        validation = found.sources[.validation]
        test = only == nil ? found.sources[.test] : nil
        self.notes = notes
    }

    private static let depth = 3
    private static let foldersTried = 64

    /// Of several kinds of labels the one that says most, those in several folders as the splits that they are called by.
    private static func chosen(_ all: [Found], in folder: String) throws(LabelError) -> FolderLabels {
        // Folders called train, valid and test are one set.
        var sets: [Found] = []
        for var found in all {
            let part = Part(folder: found.place.lastPart)
            let parent = found.place.folder
            if let part, found.sources.count == 1, let source = found.sources.values.first {
                found.sources = [part: source]
                if let other = sets.firstIndex(where: {
                    $0.format == found.format && $0.place.folder == parent && $0.isPart
                        && $0.sources[part] == nil
                }) {
                    sets[other].sources[part] = source
                    continue
                }
                found.isPart = true
            }
            sets.append(found)
        }
        var notes: [String] = []
        var problem: LabelError?
        for best in Set(sets.map(\.format)).sorted() {
            let equal = sets.filter { $0.format == best }
            guard equal.count == 1 else {
                let paths = equal.map(\.place.lastPart)
                throw .invalid(
                    folder,
                    reason:
                        "\(equal.count) sets of labels of the format \"\(best.rawValue)\" are in it: \(paths.prefix(5).joined(separator: ", "))\(paths.count > 5 ? ", …" : ""); name the folder of one"
                )
            }
            let set = equal[0]
            guard set.sources.count == 1 || set.sources[.train] != nil else {
                throw .invalid(
                    folder,
                    reason:
                        "labels of the format \"\(best.rawValue)\", of \(set.sources.keys.map(\.rawValue).sorted().joined(separator: " and ")), but none to train with"
                )
            }
            let labels = FolderLabels(set, notes: [])
            do {
                _ = try LabelledSet.read(labels.train)
            } catch {
                // Other labels of the folder may be whole.
                problem = problem ?? error
                notes.append("there is \(best.rawValue), known by \(set.mark), but \(error)")
                continue
            }
            for other in sets where other.format > best {
                notes.append(
                    "there is \(other.format.rawValue) too, known by \(other.mark): \(best.rawValue) is taken, which \(best.reason(over: other.format)); a source (docs/data.md) names the other"
                )
            }
            return FolderLabels(
                set, notes: ["labels: \(best.rawValue), known by \(set.mark)"] + notes + set.notes)
        }
        throw problem!
    }

    /// The formats that are looked for, those first that are taken before others.
    private enum Format: String, CaseIterable, Comparable {
        case refCOCO = "refcoco"
        case fsc147
        case coco
        case yolo
        case voc
        case masks
        case openImages = "openimages"
        case mot, davis, conversations, vqa
        case webDataset = "webdataset"

        static func < (a: Format, b: Format) -> Bool {
            allCases.firstIndex(of: a)! < allCases.firstIndex(of: b)!
        }

        /// What its labels look like in a folder.
        var looks: String {
            switch self {
            case .coco: "a .json file with COCO's images and annotations"
            case .yolo: "a .yaml file with train and names, or images beside labels of .txt files (YOLO)"
            case .voc: "a folder of .xml files (Pascal VOC, labelImg)"
            case .masks: "a folder a picture with images and masks in it"
            case .openImages: "OpenImages' …-annotations-bbox.csv"
            case .refCOCO: "RefCOCO's refs(…).p"
            case .fsc147: "annotation_FSC147_384.json"
            case .mot: "MOTChallenge's gt/gt.txt"
            case .davis: "DAVIS' JPEGImages and Annotations of videos"
            case .conversations: "conversations in a .json file"
            case .vqa: "VQA's questions in a .json file"
            case .webDataset: "shards in .tar files"
            }
        }

        func reason(over other: Format) -> String {
            switch (self, other) {
            case (.coco, .yolo), (.coco, .voc), (.coco, .masks), (.coco, .openImages):
                "can hold outlines and joints beside boxes, and says in which file its pictures are"
            case (.yolo, .voc): "says which pictures are for training"
            default: "comes first in docs/data.md's order"
            }
        }
    }

    /// A part of a set by the usual names.
    private enum Part: String {
        case train, validation, test

        /// "train2017", "instances_val2014", "valid".
        init?(_ name: String) {
            let words = name.lowercased().split { !$0.isLetter }
            func has(_ names: Set<Substring>) -> Bool { words.contains(where: names.contains) }
            if has(["train", "training", "trainval"]) {
                self = .train
            } else if has(["val", "valid", "validation", "dev", "minival"]) {
                self = .validation
            } else if has(["test", "testing"]) {
                self = .test
            } else {
                return nil
            }
        }

        init?(folder name: String) { self.init(name) }
    }

    /// Labels of one format in one folder.
    private struct Found {
        let format: Format
        let place: String
        /// What it was known by.
        var mark: String
        var sources: [Part: DataSource]
        var notes: [String] = []
        /// Whether the folder is one part of a set.
        var isPart = false
    }

    /// What was met, for the error that nothing was found.
    private struct Seen {
        private var counts: [String: Int] = [:]

        mutating func add(_ place: Place) {
            for file in place.files {
                counts[
                    file.isPicture
                        ? "pictures" : file.ending.isEmpty ? "other files" : ".\(file.ending) files",
                    default: 0] += 1
            }
        }

        var text: String {
            let frequent = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            return frequent.isEmpty
                ? "no files" : frequent.prefix(4).map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        }
    }

    /// A folder with its names.
    private struct Place {
        let path: String
        var files: [String] = []
        var folders: [String] = []

        init(_ path: String) throws(LabelError) {
            self.path = path
            guard let names = Reading.list(path)?.names else {
                throw .unreadable(path, reason: "it cannot be looked into")
            }
            // Files of macOS and hidden ones are none of a set's.
            for name in names where !name.hasPrefix(".") && name != "__MACOSX" {
                if name.isPicture || ["xml", "txt", "json", "csv"].contains(name.ending) {
                    files.append(name)
                } else if path.appending(path: name).isFolder {
                    folders.append(name)
                } else {
                    files.append(name)
                }
            }
        }

        /// A folder in it, by the first of these names in any case.
        func below(_ names: String...) -> Place? {
            for name in names {
                if let folder = folders.first(where: { $0.lowercased() == name }) {
                    return try? Place(path.appending(path: folder))
                }
            }
            return nil
        }

        func source(
            _ format: DataSource.Format, _ path: String? = nil, images: String? = nil, split: String? = nil,
            labels: String? = nil
        ) -> DataSource {
            DataSource(
                format: format, path: path ?? self.path, images: images, split: split, labels: labels)
        }

        /// All formats that are known by what lies in it.
        var labels: [Found]? {
            [
                refCOCO, fsc147, coco, yolo, voc, masks, openImages, mot, davis, conversations, vqa,
                webDataset,
            ].compactMap(\.self)
        }

        private func found(
            _ format: Format, _ mark: String, _ sources: [Part: DataSource], notes: [String] = []
        ) -> Found? {
            sources.isEmpty
                ? nil : Found(format: format, place: path, mark: mark, sources: sources, notes: notes)
        }

        private func head(_ file: String) -> String {
            let bytes = (try? Reading.bytes(path.appending(path: file))) ?? []
            return String(decoding: bytes.prefix(4096), as: UTF8.self)
        }

        private func lines(_ file: String) -> [Substring] {
            ((try? Reading.bytes(path.appending(path: file))).map { String(decoding: $0, as: UTF8.self) }
                ?? "")
                .split(whereSeparator: \.isNewline)
        }

        // MARK: Formats

        /// The .json files of the folder, and of one called `annotations`, that look like labels of a format.
        private func json(_ format: DataSource.Format) -> [String] {
            let inner = below("annotations")
            let names = files.filter { $0.ending == "json" }
            let paths =
                names.map { path.appending(path: $0) }
                + (inner?.files.filter { $0.ending == "json" }.map { inner!.path.appending(path: $0) } ?? [])
            return paths.filter { path in
                (try? Reading.bytes(path)).flatMap { Looks($0) }?.formats.contains(format) == true
            }
        }

        private var coco: Found? {
            // Of one part's files that with things in it.
            func rank(_ path: String) -> Int {
                let name = path.stem.lowercased()
                return name.contains("caption")
                    ? 3 : name.contains("panoptic") ? 2 : name.contains("keypoints") ? 1 : 0
            }
            var files: [Part: [String]] = [:]
            for file in json(.coco) { files[Part(file.stem) ?? .train, default: []].append(file) }
            // A test without annotations has nothing to be scored by.
            let best = files.mapValues { $0.min { (rank($0), $0) < (rank($1), $1) }! }
            var notes: [String] = []
            for (part, others) in files where others.count > 1 {
                notes.append(
                    "\(others.count) files of COCO's form for \(part.rawValue), \(best[part]!.lastPart) is taken"
                )
            }
            return found(
                .coco, best.values.map(\.lastPart).sorted().joined(separator: ", "),
                best.mapValues { source(.coco, $0, images: pictures(of: $0)) }, notes: notes.sorted())
        }

        /// Where the pictures of a COCO file lie, where the format does not look for them by itself: in the only folder with
        /// pictures.
        private func pictures(of file: String) -> String? {
            let plain = DataSource(format: .coco, path: file)
            if (try? LabelledSet.read(plain)) != nil { return nil }
            var level = [self]
            for _ in 0..<FolderLabels.depth {
                level = level.flatMap { place in
                    place.folders.prefix(FolderLabels.foldersTried).compactMap {
                        try? Place(place.path.appending(path: $0))
                    }
                }
                for place in level where place.files.contains(where: \.isPicture) {
                    var other = plain
                    other.images = place.path
                    if (try? LabelledSet.read(other)) != nil { return place.path }
                }
            }
            return nil
        }

        private var yolo: Found? {
            let yaml = files.filter { ["yaml", "yml"].contains($0.ending) }
            for file in yaml {
                var parts: [Part: String] = [:]
                var hasNames = false
                for line in lines(file) {
                    guard let colon = line.firstIndex(of: ":") else { continue }
                    let value = String(line[line.index(after: colon)...].trimmed)
                    switch line[..<colon] {
                    case "names": hasNames = true
                    case "train": parts[.train] = value
                    case "val": parts[.validation] = value
                    case "test": parts[.test] = value
                    default: break
                    }
                }
                guard hasNames, parts[.train] != nil else { continue }
                var sources: [Part: DataSource] = [:]
                var notes: [String] = []
                for (part, name) in [(Part.train, "train"), (.validation, "val"), (.test, "test")] {
                    guard let value = parts[part], part == .train || !["", "null", "~"].contains(value)
                    else { continue }
                    if part != .train, value == parts[.train], !value.isEmpty {
                        notes.append("\(file) names the same pictures as \(name) as for train: not taken")
                        continue
                    }
                    let source = source(.yolo, path.appending(path: file), split: name)
                    // Published files name parts that were never downloaded.
                    if part != .train, (try? LabelledSet.read(source)) == nil {
                        notes.append("\(file) names \(name), which is not there")
                        continue
                    }
                    sources[part] = source
                }
                return found(.yolo, file, sources, notes: notes)
            }
            // Of train/images the names of classes are often one folder up.
            let classes = ["classes.txt", "obj.names"].map { path.folder.appending(path: $0) }.first {
                $0.isFile && !path.appending(path: "classes.txt").isFile
            }
            guard let labels = below("labels") else {
                // Pictures and their texts side by side.
                guard let text = files.first(where: { $0.ending == "txt" && isYOLO($0) }) else { return nil }
                return found(
                    .yolo, "\(text) and others beside pictures", [.train: source(.yolo, labels: classes)])
            }
            guard let images = below("images") else { return nil }
            if labels.files.contains(where: { $0.ending == "txt" && labels.isYOLO($0) }) {
                return found(.yolo, "images beside labels", [.train: source(.yolo, labels: classes)])
            }
            var sources: [Part: DataSource] = [:]
            for name in labels.folders where images.folders.contains(name) {
                guard let part = Part(name), sources[part] == nil else { continue }
                sources[part] = source(.yolo, split: name)
            }
            return found(.yolo, "images/… beside labels/…", sources)
        }

        /// Whether a text holds a class and its four numbers, or more.
        private func isYOLO(_ file: String) -> Bool {
            guard let line = lines(file).first else { return false }
            let fields = line.split(whereSeparator: \.isWhitespace)
            return fields.count >= 5 && fields.allSatisfy { Double($0) != nil } && Int(fields[0]) != nil
        }

        private var voc: Found? {
            func isVOC(_ place: Place) -> Bool {
                place.files.first { $0.ending == "xml" }.map { place.head($0).contains("<annotation") }
                    == true
            }
            let named = below("annotations").flatMap { isVOC($0) ? $0 : nil }
            let other = folders.lazy.prefix(FolderLabels.foldersTried)
                .filter { ["annot", "xml", "label"].contains(where: $0.lowercased().contains) }
                .compactMap { try? Place(path.appending(path: $0)) }.first(where: isVOC)
            guard let place = named ?? (isVOC(self) ? self : other) else { return nil }
            // The format looks into a folder of its usual name by itself.
            let isUsual = place.path == path || ["Annotations", "annotations"].contains(place.path.lastPart)
            let root = isUsual ? path : place.path
            let images =
                isUsual
                ? nil
                : folders.first {
                    (try? Place(path.appending(path: $0)))?.files.contains(where: \.isPicture) == true
                }.map { path.appending(path: $0) }
            let mark =
                "\(place.files.count { $0.ending == "xml" }) .xml files\(place.path == path ? "" : " in \(place.path.lastPart)")"
            let lists = below("imagesets").flatMap { $0.below("main") ?? $0 } ?? self
            let splits = isUsual ? Set(lists.files.filter { $0.ending == "txt" }.map(\.stem)) : []
            var sources = [Part.train: source(.voc, root, images: images)]
            var notes: [String] = []
            if splits.isSuperset(of: ["train", "val"]) {
                sources = [
                    .train: source(.voc, root, split: "train"), .validation: source(.voc, root, split: "val"),
                ]
            } else if let name = ["trainval", "train"].first(where: splits.contains) {
                sources = [.train: source(.voc, root, split: name)]
            }
            if splits.contains("test"), splits.contains("train") || splits.contains("trainval") {
                sources[.test] = source(.voc, root, split: "test")
            }
            for (part, source) in sources where part != .train && (try? LabelledSet.read(source)) == nil {
                sources[part] = nil
                notes.append("the list \(source.split!) names pictures that are not there")
            }
            return found(.voc, mark, sources, notes: notes.sorted())
        }

        private var masks: Found? {
            let isSet = folders.prefix(20).contains { name in
                ["images", "masks"].allSatisfy { path.appending(path: "\(name)/\($0)").isFolder }
            }
            return isSet
                ? found(.masks, "images and masks in \(folders.count) folders", [.train: source(.masks)])
                : nil
        }

        private var openImages: Found? {
            var sources: [Part: DataSource] = [:]
            var marks: [String] = []
            for file in files where file.ending == "csv" && file.hasSuffix("-annotations-bbox.csv") {
                let split = file.replacing("-annotations-bbox.csv", with: "").replacing("oidv6-", with: "")
                guard let part = Part(split), sources[part] == nil else { continue }
                sources[part] = source(.openImages, split: split)
                marks.append(file)
            }
            return found(.openImages, marks.joined(separator: ", "), sources)
        }

        private var refCOCO: Found? {
            guard let file = files.first(where: { $0.hasPrefix("refs(") }) else { return nil }
            return found(
                .refCOCO, file,
                [
                    .train: source(.refCOCO, path.appending(path: file), split: "train"),
                    .validation: source(.refCOCO, path.appending(path: file), split: "val"),
                ])
        }

        private var fsc147: Found? {
            let name = "annotation_FSC147_384.json"
            return files.contains(name) ? found(.fsc147, name, [.train: source(.fsc147)]) : nil
        }

        private var mot: Found? {
            let isSet = folders.prefix(20).contains { path.appending(path: "\($0)/gt/gt.txt").isFile }
            return isSet ? found(.mot, "gt/gt.txt in its folders", [.train: source(.mot)]) : nil
        }

        private var davis: Found? {
            guard folders.contains("JPEGImages"), let masks = below("annotations"), !masks.folders.isEmpty
            else { return nil }
            return found(.davis, "JPEGImages and Annotations of videos", [.train: source(.davis)])
        }

        private var conversations: Found? {
            json(.conversations).first.flatMap {
                found(.conversations, $0.lastPart, [.train: source(.conversations, $0)])
            }
        }

        private var vqa: Found? {
            let questions = json(.vqa).filter { $0.stem.lowercased().contains("question") }
            return questions.first.flatMap { found(.vqa, $0.lastPart, [.train: source(.vqa, $0)]) }
        }

        private var webDataset: Found? {
            let shards = files.filter { $0.ending == "tar" }
            guard let first = shards.first, let last = shards.last else { return nil }
            guard shards.count > 1 else {
                return found(.webDataset, first, [.train: source(.webDataset, path.appending(path: first))])
            }
            // Numbered alike: "train-000000.tar" to "train-000127.tar".
            func number(_ name: String) -> Substring? {
                let digits = name.stem.reversed().prefix(while: \.isNumber).count
                return digits > 0 ? name.stem.suffix(digits) : nil
            }
            guard let low = number(first), let high = number(last), low.count == high.count else {
                return nil
            }
            let lead = first.stem.dropLast(low.count)
            return found(
                .webDataset, "\(shards.count) .tar files",
                [.train: source(.webDataset, path.appending(path: "\(lead){\(low)..\(high)}.tar"))])
        }
    }
}
