import Media

/// WebDataset: tar shards in which the files of one sample share their name up to its first point: `000123.jpg` with
/// `000123.txt` (a caption), `000123.cls` (a class by number) or `000123.json`.
///
/// Nothing is unpacked: the set holds where each picture lies, and the loader reads it from there. In the JSON,
/// `caption`, `conversations`, `questions` (with `question` and `answer`) and `annotations` (with `bbox`, and
/// `category` by name or `category_id`) are taken.
enum WebDatasetFormat {
    static func read(_ reading: Reading, rank: Int, ranks: Int) throws(LabelError) -> LabelledSet {
        let shards = try shards(reading)
        guard ranks >= 1, (0..<ranks).contains(rank) else {
            throw .invalid(reading.path, reason: "rank \(rank) of \(ranks) processes")
        }
        guard shards.count >= ranks else {
            throw .invalid(
                reading.path, reason: "\(shards.count) shards for \(ranks) processes: each needs one")
        }
        var set = LabelledSet(name: reading.path.stem)
        var indices: [String: Int] = [:]
        if let labels = reading.labels {
            for line in try reading.lines(labels) {
                indices[String(line)] = set.categories.count
                set.categories.append(.init(id: .number(set.categories.count), name: String(line)))
            }
        }
        let isOpen = reading.labels == nil
        func category(_ name: String) -> Int? {
            if let index = indices[name] { return index }
            guard isOpen else { return nil }
            indices[name] = set.categories.count
            set.categories.append(.init(id: .number(set.categories.count), name: name))
            return indices[name]
        }
        /// Pictures with a lost label, which may be of any class.
        var unclear: [Int] = []
        for shard in stride(from: rank, to: shards.count, by: ranks).map({ shards[$0] }) {
            var sample = ""
            var pending: [TarIndex.Member] = []
            func endSample() throws(LabelError) {
                guard !pending.isEmpty else { return }
                defer { pending = [] }
                // "000.depth.png" belongs to the picture "000.jpg".
                let images = pending.filter(\.name.isPicture)
                let plain = images.first { $0.name.lastPart.split(separator: ".").count == 2 }
                guard let image = plain ?? (images.count == 1 ? images[0] : nil) else {
                    reading.problems.add(.noPicture, "\(shard.lastPart) \(sample)")
                    return
                }
                reading.note(name: image.name)
                var picture = LabelledSet.Picture(
                    id: .number(set.pictures.count + 1),
                    source: .archive(shard, offset: image.offset, length: image.length), fileName: image.name)
                picture.isLabelled = false
                for member in pending where !member.name.isPicture {
                    let source = PictureSource.archive(shard, offset: member.offset, length: member.length)
                    let place = "\(shard.lastPart) \(member.name)"
                    let bytes: [UInt8]
                    do { bytes = try source.bytes() } catch { throw .invalid(shard, reason: "\(error)") }
                    func text() throws -> String { String(try LabelText.string(bytes)[...].trimmed) }
                    switch member.name.ending {
                    case "txt", "caption", "text":
                        do {
                            picture.addCaption(try text())
                        } catch {
                            reading.problems.add(.malformed, "\(place): \(error)")
                        }
                    case "cls":
                        let text = (try? text()) ?? ""
                        guard let number = LabelNumber.whole(text, in: 0...1_000_000_000),
                            let index = isOpen
                                ? category(String(number))
                                : set.categories.indices.contains(number) ? number : nil
                        else {
                            reading.problems.add(.unknownCategory, "\(place): class \(text)")
                            continue
                        }
                        picture.present.append(index)
                    case "json":
                        do {
                            var reader = JSONReader(bytes)
                            let isWhole = try add(&reader, to: &picture, place: place, reading, category)
                            if !isWhole { unclear.append(set.pictures.count) }
                        } catch {
                            reading.problems.add(.malformed, "\(place): \(error)")
                            unclear.append(set.pictures.count)
                        }
                    default: break
                    }
                }
                set.pictures.append(picture)
            }
            let index = try TarIndex(shard)
            if let damage = index.damage { reading.problems.add(.cutArchive, "\(shard.lastPart): \(damage)") }
            for member in index.members {
                if member.name.isMacFile {
                    reading.problems.add(.macFile, "\(shard.lastPart) \(member.name)")
                    continue
                }
                let folder = member.name.contains("/") ? member.name.folder + "/" : ""
                let key = folder + member.name.lastPart.prefix { $0 != "." }
                if key != sample {
                    try endSample()
                    sample = key
                }
                pending.append(member)
            }
            try endSample()
        }
        for index in unclear { set.pictures[index].lose(nil, of: set.categories.count) }
        return set
    }

    /// - Returns: whether every label could be read.
    private static func add(
        _ reader: inout JSONReader, to picture: inout LabelledSet.Picture, place: String, _ reading: Reading,
        _ category: (String) -> Int?
    ) throws -> Bool {
        let id = picture.fileName.stem
        var isWhole = true
        try reader.object { reader, key in
            if try reader.kind() == .null { return try reader.skip() }
            switch key {
            case "width" where try reader.kind() == .number:
                picture.width = LabelNumber.whole(try reader.double(), in: LabelNumber.sides) ?? 0
            case "height" where try reader.kind() == .number:
                picture.height = LabelNumber.whole(try reader.double(), in: LabelNumber.sides) ?? 0
            case "caption": picture.addCaption(try reader.string())
            case "conversations":
                picture.dialogues.append(.init(id: id, turns: try ConversationFormat.turns(&reader)))
            case "questions":
                try reader.array { reader, index in
                    var (question, answer): (String?, String?)
                    try reader.object { reader, key in
                        switch key {
                        case "question": question = try reader.string()
                        case "answer": answer = try reader.identifier()
                        default: try reader.skip()
                        }
                    }
                    guard let question, let answer else {
                        throw JSONReader.Problem(isSyntax: false, reason: "question or answer is missing")
                    }
                    picture.questions.append(
                        .init(id: .text("\(id)-\(index)"), text: question, answers: [answer]))
                }
            case "annotations":
                picture.isLabelled = true
                let report: (JSONReader.Problem) -> Void = {
                    reading.problems.add(.malformed, "\(place): \($0.within(key))")
                    isWhole = false
                }
                try reader.array(skipping: report) { reader, index in
                    var (box, name): (Box?, String?)
                    var segmentation: COCOSegmentation?
                    try reader.object { reader, key in
                        switch key {
                        case "bbox": box = try reader.box()
                        case "category", "category_id": name = try reader.identifier()
                        case "segmentation":
                            if let problem = try reader.tolerating({
                                segmentation = try COCOSegmentation(&$0)
                            }) {
                                reading.problems.add(.partly, "\(place): \(problem.within(key))")
                            }
                        default: try reader.skip()
                        }
                    }
                    guard let box, let name else {
                        throw JSONReader.Problem(isSyntax: false, reason: "bbox or category is missing")
                    }
                    guard let index = category(name) else {
                        return reading.problems.add(.unknownCategory, "\(place): \(name)")
                    }
                    var thing = LabelledSet.Thing(
                        id: .number(picture.things.count + 1), category: index, box: box)
                    thing.segmentation = segmentation
                    picture.things.append(thing)
                }
            default: try reader.skip()
            }
        }
        return isWhole
    }

    /// One archive, the archives of a folder, or "shards-{000000..000012}.tar".
    private static func shards(_ reading: Reading) throws(LabelError) -> [String] {
        let path = reading.path
        if path.isFile { return [path] }
        if path.isFolder {
            return try reading.names(in: path).filter { $0.ending == "tar" }.map { path.appending(path: $0) }
        }
        guard let open = path.firstIndex(of: "{"), let close = path.firstIndex(of: "}"), open < close else {
            throw .unreadable(path, reason: "there is no such file")
        }
        let range = path[path.index(after: open)..<close].split(separator: ".").map(String.init)
        guard range.count == 2, let first = LabelNumber.whole(range[0], in: 0...999_999_999),
            let last = LabelNumber.whole(range[1], in: first...999_999_999), last - first < 1_000_000
        else {
            throw .invalid(
                path, reason: "a range of shards is written {000000..000012}, and is of a million at most")
        }
        return try (first...last).map { number throws(LabelError) in
            let digits = String(number)
            let zeros = String(repeating: "0", count: max(0, range[0].count - digits.count))
            let shard = "\(path[..<open])\(zeros)\(digits)\(path[path.index(after: close)...])"
            guard shard.isFile else { throw .unreadable(shard, reason: "there is no such file") }
            return shard
        }
    }
}

extension LabelledSet.Picture {
    /// img2dataset writes a picture's caption into its text and its JSON.
    fileprivate mutating func addCaption(_ caption: String) {
        if !captions.contains(caption) { captions.append(caption) }
    }
}
