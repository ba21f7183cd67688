import Media

/// Pascal VOC's XML files with their splits, and folders of XML files as labelImg writes them.
///
/// Corners are pixels counted from 1, both inclusive, as VOC2007's development kit has them; a set in which a box
/// begins at 0 is one of corners counted from 0.
enum VOCFormat {
    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        var root = reading.path
        var split = reading.source.split
        func annotations() -> String? {
            ["Annotations", "annotations", "annots", "xmls"].map { root.appending(path: $0) }
                .first(where: \.isFolder)
        }
        if let part = split, annotations() == nil, root.appending(path: part).isFolder {
            // A folder of its own for each split.
            (root, split) = (root.appending(path: part), nil)
        }
        let folder = annotations() ?? root
        let files = try reading.files(under: folder) { $0.ending == "xml" }
        guard !files.isEmpty else {
            throw .invalid(root, reason: "not a set of Pascal VOC's form: no .xml file in \(folder)")
        }
        var set = LabelledSet(name: reading.path.lastPart)
        // All files are read, whatever the split: every split has the same categories.
        var entries: [String: Entry] = [:]
        var order: [String] = []
        for file in files {
            let path = folder.appending(path: file)
            do {
                let name = file.withoutEnding("xml")
                entries[name] = try Entry(XMLElement(parsing: try reading.bytes(path)))
                order.append(name)
            } catch {
                reading.problems.add(.malformed, "\(file): \(error)")
            }
        }
        let names: [String]
        if let labels = reading.labels {
            names = try reading.lines(labels).map(String.init)
        } else {
            names = Set(entries.values.flatMap { $0.objects.map(\.name) + $0.lost.compactMap(\.self) })
                .sorted()
        }
        set.categories = names.enumerated().map { .init(id: .number($0.offset + 1), name: $0.element) }
        let indices = Dictionary(zip(names, names.indices), uniquingKeysWith: { first, _ in first })
        let start: Double =
            entries.values.contains { $0.objects.contains { $0.corners[0] == 0 || $0.corners[1] == 0 } }
            ? 0 : 1

        var presence: [String: Int] = [:]
        var presenceClass: Int?
        if let split {
            (order, presence) = try members(of: split, known: Set(entries.keys), reading)
            // "aeroplane_train" says in which pictures there is an aeroplane.
            presenceClass = split.lastIndex(of: "_").flatMap { indices[String(split[..<$0])] }
        }
        let folders =
            ["JPEGImages", "images", "Images", "imgs"].map { root.appending(path: $0) } + [
                folder, folder.folder.appending(path: "images"), root,
            ]
        for (number, name) in order.enumerated() {
            guard let entry = entries[name] else {
                reading.problems.add(.unlabelled, "\(name).xml")
                continue
            }
            // The picture is called as the XML file is, whatever was written into that before it was renamed.
            let ending =
                entry.fileName.isPicture ? entry.fileName.lastPart.split(separator: ".").last! : "jpg"
            var fileName = "\(name).\(ending)"
            let others = String.pictureEndings.map { "\(name).\($0)" }
            guard
                let source = reading.find(
                    fileName, orElse: others + (entry.fileName.isEmpty ? [] : [entry.fileName]), in: folders)
            else { continue }
            if !reading.asWritten { fileName = "\(name).\(source.name.split(separator: ".").last!)" }
            reading.note(name: fileName)
            var picture = LabelledSet.Picture(
                id: .number(number + 1), source: source, fileName: fileName, width: entry.width,
                height: entry.height)
            if let presenceClass {
                picture.absent = []
                switch presence[name] {
                case 1: picture.present = [presenceClass]
                case -1: picture.absent = [presenceClass]
                default: break
                }
            }
            if picture.width == 0 || picture.height == 0, !reading.asWritten {
                guard let size = reading.size(of: source) else { continue }
                (picture.width, picture.height) = size
            }
            for lost in entry.lost {
                reading.problems.add(
                    .malformed,
                    "\(fileName): an <object> without a <name> or the four numbers of its <bndbox>")
                picture.lose(lost.flatMap { indices[$0] }, of: names.count)
            }
            for (index, object) in entry.objects.enumerated() {
                guard let category = indices[object.name] else {
                    reading.problems.add(.unknownCategory, "\(fileName) object \(index + 1): \(object.name)")
                    continue
                }
                let (left, top, right, bottom) = (
                    object.corners[0], object.corners[1], object.corners[2], object.corners[3]
                )
                // What is flat as written stays so.
                let isFlat = right <= left || bottom <= top
                var thing = LabelledSet.Thing(
                    id: .number(index + 1), category: category,
                    box: Box(
                        x: left - start, y: top - start, width: isFlat ? 0 : right - left + start,
                        height: isFlat ? 0 : bottom - top + start))
                thing.isDifficult = object.isDifficult
                picture.things.append(thing)
            }
            set.pictures.append(picture)
        }
        return set
    }

    /// The pictures of a split, and what its second column says of them.
    ///
    /// - Parameter known: names of XML files, with which dots and blanks of a line are told from an ending and a column.
    private static func members(
        of split: String, known: Set<String>, _ reading: Reading
    ) throws(LabelError) -> ([String], [String: Int]) {
        let root = reading.path
        let places =
            ["ImageSets/Main", "ImageSets", "ImageSets/Segmentation", ""].map {
                root.appending(path: $0.isEmpty ? "\(split).txt" : "\($0)/\(split).txt")
            } + [root.appending(path: split)]
        guard let path = places.first(where: \.isFile) else {
            throw .unreadable(
                places[0], reason: "there is no such file, which should list the split \"\(split)\"")
        }
        // A list may leave out folders within the folder of XML files.
        let whole = Dictionary(known.map { ($0.lastPart, $0) }) { first, _ in first }
        func name(_ text: some StringProtocol) -> String? {
            let (text, short) = (String(text), String(text).withoutEnding("xml"))
            return [text, short].first(where: known.contains) ?? whole[short.lastPart]
        }
        var names: [String] = []
        var presence: [String: Int] = [:]
        for line in try reading.lines(path) {
            if let name = name(line) {
                names.append(name)
                continue
            }
            let fields = line.split(whereSeparator: \.isWhitespace)
            let flag = fields.count > 1 ? LabelNumber.whole(fields.last!, in: -1...1) : nil
            let rest = flag == nil ? line : line[..<fields.last!.startIndex].trimmed
            let name = name(rest) ?? String(rest).withoutEnding("xml")
            names.append(name)
            presence[name] = flag
        }
        return (names, presence)
    }

    private struct Entry {
        var fileName: String
        /// 0 where the file does not say.
        var width = 0
        var height = 0
        var objects: [(name: String, corners: [Double], isDifficult: Bool)] = []
        /// Names of objects without a box; nil for one without a name.
        var lost: [String?] = []

        init(_ root: XMLElement) throws(XMLElement.Problem) {
            guard root.name == "annotation" else {
                throw XMLElement.Problem(description: "an XML file of <\(root.name)>, not of <annotation>")
            }
            fileName = root["filename"]?.text ?? ""
            func side(_ name: String) -> Int {
                root["size"]?[name].flatMap { LabelNumber.whole($0.text, in: LabelNumber.sides) } ?? 0
            }
            (width, height) = (side("width"), side("height"))
            for object in root.all("object") {
                let name = object["name"]?.text
                let corners = ["xmin", "ymin", "xmax", "ymax"].compactMap {
                    object["bndbox"]?[$0].flatMap { LabelNumber.number($0.text) }
                }
                guard let name, !name.isEmpty, corners.count == 4 else {
                    lost.append(name?.isEmpty == false ? name : nil)
                    continue
                }
                objects.append((name, corners, object["difficult"]?.text == "1"))
            }
        }
    }
}
