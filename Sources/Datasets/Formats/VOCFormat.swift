import Media

/// Pascal VOC's XML files with their splits, and folders of XML files as labelImg writes them.
///
/// Corners are pixels counted from 1, both inclusive, as VOC2007's development kit has them; a set in which a box
/// begins at 0 is one of corners counted from 0.
enum VOCFormat {
    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        let root = reading.path
        let folder =
            ["Annotations", "annotations"].map { root.appending(path: $0) }.first(where: \.isFolder) ?? root
        let files = try reading.names(in: folder).filter { $0.ending == "xml" }
        guard !files.isEmpty else {
            throw .invalid(root, reason: "not a set of Pascal VOC's form: no .xml file in \(folder)")
        }
        var set = LabelledSet(name: root.lastPart)
        // All files are read, whatever the split: every split has the same categories.
        var entries: [String: Entry] = [:]
        var order: [String] = []
        for file in files {
            let path = folder.appending(path: file)
            do {
                entries[file.stem] = try Entry(XMLElement(parsing: try reading.bytes(path)))
                order.append(file.stem)
            } catch {
                reading.problems.add(.malformed, "\(file): \(error)")
            }
        }
        let names: [String]
        if let labels = reading.labels {
            names = try reading.lines(labels).map(String.init)
        } else {
            names = Set(entries.values.flatMap { $0.objects.map(\.name) }).sorted()
        }
        set.categories = names.enumerated().map { .init(id: $0.offset + 1, name: $0.element) }
        let indices = Dictionary(zip(names, names.indices), uniquingKeysWith: { first, _ in first })
        let start: Double =
            entries.values.contains { $0.objects.contains { $0.corners[0] == 0 || $0.corners[1] == 0 } }
            ? 0 : 1

        var presence: [String: Int] = [:]
        var presenceClass: Int?
        if let split = reading.source.split {
            (order, presence) = try members(of: split, reading)
            // "aeroplane_train" says in which pictures there is an aeroplane.
            presenceClass = split.lastIndex(of: "_").flatMap { indices[String(split[..<$0])] }
        }
        let folders =
            ["JPEGImages", "images", "Images"].map { root.appending(path: $0) } + [
                folder, folder.folder.appending(path: "images"), root,
            ]
        for name in order {
            guard let entry = entries[name] else {
                reading.problems.add(.unlabelled, "\(name).xml")
                continue
            }
            let fileName = entry.fileName.isEmpty ? "\(name).jpg" : entry.fileName
            reading.note(name: fileName)
            guard let source = reading.find(fileName, orElse: "\(name).jpg", in: folders) else { continue }
            var picture = LabelledSet.Picture(
                id: set.pictures.count + 1, source: source, fileName: fileName, width: entry.width,
                height: entry.height)
            if let presenceClass {
                picture.absent = []
                switch presence[name] {
                case 1: picture.present = [presenceClass]
                case -1: picture.absent = [presenceClass]
                default: break
                }
            }
            if picture.width == 0 || picture.height == 0 {
                guard let size = reading.size(of: source) else { continue }
                (picture.width, picture.height) = size
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
                    id: index + 1, category: category,
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
    private static func members(
        of split: String, _ reading: Reading
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
        var names: [String] = []
        var presence: [String: Int] = [:]
        for line in try reading.lines(path) {
            let fields = line.split(whereSeparator: \.isWhitespace)
            let name = String(fields[0]).stem
            names.append(name)
            if fields.count > 1 { presence[name] = Int(fields[1]) }
        }
        return (names, presence)
    }

    private struct Entry {
        var fileName: String
        var width = 0
        var height = 0
        var objects: [(name: String, corners: [Double], isDifficult: Bool)] = []

        init(_ root: XMLElement) throws(XMLElement.Problem) {
            guard root.name == "annotation" else {
                throw XMLElement.Problem(description: "an XML file of <\(root.name)>, not of <annotation>")
            }
            fileName = root["filename"]?.text ?? ""
            width = root["size"]?["width"].flatMap { Int($0.text) } ?? 0
            height = root["size"]?["height"].flatMap { Int($0.text) } ?? 0
            for object in root.all("object") {
                guard let name = object["name"]?.text, let box = object["bndbox"] else {
                    throw XMLElement.Problem(description: "an <object> without <name> or <bndbox>")
                }
                let corners = ["xmin", "ymin", "xmax", "ymax"].compactMap {
                    box[$0].flatMap { Double($0.text) }
                }
                guard corners.count == 4 else {
                    throw XMLElement.Problem(description: "a <bndbox> without its four numbers")
                }
                objects.append((name, corners, object["difficult"]?.text == "1"))
            }
        }
    }
}
