import Media

/// OpenImages' tables: `train-annotations-bbox.csv`, `class-descriptions-boxable.csv`, and the verified labels of whole
/// pictures where they are there.
///
/// Boxes are fractions of the picture's sides, so that the pictures themselves tell the pixels. A category that nobody
/// verified for a picture is neither present nor absent.
enum OpenImagesFormat {
    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        let split = reading.source.split ?? "train"
        let isFile = reading.path.isFile
        let folder = isFile ? reading.path.folder : reading.path
        func first(_ names: [String]) -> String? {
            names.map { folder.appending(path: $0) }.first(where: \.isFile)
        }
        let named = first(["\(split)-annotations-bbox.csv", "oidv6-\(split)-annotations-bbox.csv"])
        guard let boxes = isFile ? reading.path : named else {
            throw .unreadable(
                folder.appending(path: "\(split)-annotations-bbox.csv"), reason: "there is no such file")
        }
        let classes =
            reading.labels
            ?? first([
                "class-descriptions-boxable.csv", "oidv7-class-descriptions-boxable.csv",
                "oidv6-class-descriptions.csv", "class-descriptions.csv",
            ])
        guard let classes else {
            throw .unreadable(
                folder.appending(path: "class-descriptions-boxable.csv"), reason: "there is no such file")
        }
        var set = LabelledSet(name: boxes.stem)
        var indices: [String: Int] = [:]
        for line in try reading.lines(classes) {
            let fields = CSV.fields(line)
            // Only the later editions have a first line of titles.
            guard fields.count == 2, fields[0].hasPrefix("/") else { continue }
            indices[fields[0]] = set.categories.count
            set.categories.append(.init(id: .number(set.categories.count + 1), name: fields[1]))
        }
        guard !indices.isEmpty else { throw .invalid(classes, reason: "no line of a class's code and name") }

        let table = CSV(try reading.text(boxes))
        guard let columns = table.columns("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax") else {
            throw .invalid(
                boxes, reason: "not OpenImages' boxes: its first line lacks ImageID, LabelName, XMin, …")
        }
        let group = table.columns("IsGroupOf")?.first
        let folders = [
            folder.appending(path: split), folder.appending(path: "images"), folder.appending(path: "data"),
            folder.appending(path: "images/\(split)"), folder,
        ]
        var pictures: [String: Int?] = [:]
        /// The picture with this id; nil when it is not there.
        func picture(_ id: String) -> Int? {
            if let known = pictures[id] { return known }
            pictures[id] = .some(nil)
            guard let source = reading.find("\(id).jpg", in: folders, always: true),
                let size = reading.size(of: source)
            else { return nil }
            var picture = LabelledSet.Picture(
                id: .number(set.pictures.count + 1), source: source, fileName: "\(id).jpg", width: size.width,
                height: size.height)
            picture.absent = []
            set.pictures.append(picture)
            pictures[id] = set.pictures.count - 1
            return set.pictures.count - 1
        }
        for (number, row) in table.rows.enumerated() {
            let place = "\(boxes.lastPart) line \(number + 2)"
            guard row.count == table.header.count else {
                reading.problems.add(.malformed, place)
                continue
            }
            guard let category = indices[row[columns[1]]] else {
                reading.problems.add(.unknownCategory, "\(place): \(row[columns[1]])")
                continue
            }
            guard let index = picture(row[columns[0]]) else { continue }
            let numbers = columns[2...].compactMap { LabelNumber.number(row[$0]) }
            guard numbers.count == 4 else {
                reading.problems.add(.malformed, place)
                set.pictures[index].lose(category, of: set.categories.count)
                continue
            }
            let (width, height) = (Double(set.pictures[index].width), Double(set.pictures[index].height))
            var thing = LabelledSet.Thing(
                id: .number(number + 1), category: category,
                box: Box(
                    x: numbers[0] * width, y: numbers[2] * height, width: (numbers[1] - numbers[0]) * width,
                    height: (numbers[3] - numbers[2]) * height))
            thing.isCrowd = group.map { row[$0] == "1" } ?? false
            set.pictures[index].things.append(thing)
        }
        for name in ["human-imagelabels-boxable", "human-imagelabels"] {
            guard
                let path = first([
                    "\(split)-annotations-\(name).csv", "oidv7-\(split)-annotations-\(name).csv",
                ])
            else { continue }
            let table = CSV(try reading.text(path))
            guard let columns = table.columns("ImageID", "LabelName", "Confidence") else {
                throw .invalid(path, reason: "its first line lacks ImageID, LabelName or Confidence")
            }
            for (number, row) in table.rows.enumerated() {
                let place = "\(path.lastPart) line \(number + 2)"
                guard row.count == table.header.count else {
                    reading.problems.add(.malformed, place)
                    continue
                }
                guard let category = indices[row[columns[1]]] else {
                    reading.problems.add(.unknownCategory, "\(place): \(row[columns[1]])")
                    continue
                }
                guard let index = picture(row[columns[0]]) else { continue }
                if Double(row[columns[2]]) == 0 {
                    set.pictures[index].absent?.append(category)
                } else {
                    set.pictures[index].present.append(category)
                }
            }
            break
        }
        return set
    }
}
