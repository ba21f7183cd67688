import Media

/// RefCOCO, RefCOCO+ and RefCOCOg: `refs(unc).p`, `refs(google).p` or `refs(umd).p` (or the same list as JSON), and
/// COCO's `instances.json` beside it.
enum RefCOCOFormat {
    private struct Reference {
        var id: LabelID = 0
        var image: LabelID = 0
        var annotation: LabelID = 0
        var split = ""
        var sentences: [(text: String, id: LabelID?)] = []
    }

    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        var path = reading.path
        if path.isFolder {
            let names = [
                "refs(unc).p", "refs(umd).p", "refs(google).p", "refs(unc).json", "refs(umd).json",
                "refs(google).json", "refs.json",
            ]
            let found = names.map { path.appending(path: $0) }.filter(\.isFile)
            guard let first = found.first else {
                throw .unreadable(
                    path, reason: "there is no refs(unc).p, refs(umd).p or refs(google).p in it")
            }
            path = first
        }
        let references = path.ending == "json" ? try json(path, reading) : try pickle(path, reading)
        let wanted = references.filter { $0.split == reading.source.split ?? $0.split }
        if wanted.isEmpty, let split = reading.source.split {
            let splits = Set(references.map(\.split)).sorted().joined(separator: ", ")
            throw .invalid(path, reason: "it has no split \"\(split)\", only \(splits)")
        }
        let instances = reading.labels ?? path.folder.appending(path: "instances.json")
        var document = try reading.json(instances) { try COCODocument(&$0) }
        let images = Set(wanted.map(\.image))
        document.images.removeAll { !images.contains($0.id) }
        document.annotations.removeAll { !images.contains($0.image) }
        // The pictures are COCO's train2014.
        var set = try COCOFormat.set(
            document, reading,
            folders: [
                "train2014", "images/train2014", "images", "../images", "../train2014",
                "../images/mscoco/images/train2014",
            ]
            .map { path.folder.appending(path: $0) })
        set.name = path.folder.lastPart
        let pictures = Dictionary(uniqueKeysWithValues: zip(set.pictures.map(\.id), set.pictures.indices))
        let listed = Set(document.images.map(\.id))
        for reference in wanted {
            guard let index = pictures.entry(reference.image) else {
                if !listed.contains(reference.image) {
                    reading.problems.add(.unknownPicture, "ref \(reference.id) of image \(reference.image)")
                }
                continue
            }
            guard let thing = set.pictures[index].things.firstIndex(where: { $0.id == reference.annotation })
            else {
                reading.problems.add(
                    .malformed,
                    "ref \(reference.id) of annotation \(reference.annotation), which is not there")
                continue
            }
            set.pictures[index].referring.append(
                .init(
                    id: reference.id, sentences: reference.sentences.map(\.text),
                    sentenceIDs: reference.sentences.allSatisfy { $0.id != nil }
                        ? reference.sentences.map { $0.id! } : [], thing: thing))
        }
        return set
    }

    private static func pickle(_ path: String, _ reading: Reading) throws(LabelError) -> [Reference] {
        let pickle: PlainPickle
        do {
            pickle = try PlainPickle(try reading.bytes(path))
        } catch let failure as PlainPickle.Failure {
            throw .invalid(path, reason: failure.description)
        } catch {
            throw .unreadable(path, reason: "there is no such file")
        }
        guard let entries = pickle.list(pickle.root) else {
            throw .invalid(path, reason: "not a list of references")
        }
        var references: [Reference] = []
        for (number, entry) in entries.enumerated() {
            guard let fields = pickle.dictionary(entry), case .integer(let id)? = fields["ref_id"],
                case .integer(let image)? = fields["image_id"],
                case .integer(let annotation)? = fields["ann_id"],
                case .text(let split)? = fields["split"], let sentences = pickle.list(fields["sentences"])
            else {
                reading.problems.add(.malformed, "\(path.lastPart) entry \(number)")
                continue
            }
            let texts = sentences.compactMap { sentence -> (String, LabelID?)? in
                let fields = pickle.dictionary(sentence)
                guard case .text(let text)? = fields?["sent"] else { return nil }
                guard case .integer(let id)? = fields?["sent_id"] else { return (text, nil) }
                return (text, .number(id))
            }
            references.append(
                .init(
                    id: .number(id), image: .number(image), annotation: .number(annotation), split: split,
                    sentences: texts))
        }
        return references
    }

    private static func json(_ path: String, _ reading: Reading) throws(LabelError) -> [Reference] {
        try reading.json(path) { reader in
            var references: [Reference] = []
            try reader.array(skipping: { reading.problems.add(.malformed, "\(path.lastPart) \($0)") }) {
                reader, _ in
                var reference = Reference()
                var missing: Set = ["ref_id", "image_id", "ann_id", "split", "sentences"]
                try reader.object { reader, key in
                    missing.remove(key)
                    switch key {
                    case "ref_id": reference.id = try reader.id()
                    case "image_id": reference.image = try reader.id()
                    case "ann_id": reference.annotation = try reader.id()
                    case "split": reference.split = try reader.string()
                    case "sentences":
                        try reader.array { reader, _ in
                            if try reader.kind() == .text {
                                return reference.sentences.append((try reader.string(), nil))
                            }
                            var (text, id): (String?, LabelID?)
                            try reader.object { reader, key in
                                switch key {
                                case "sent": text = try reader.string()
                                case "sent_id": id = try reader.id()
                                default: try reader.skip()
                                }
                            }
                            if let text { reference.sentences.append((text, id)) }
                        }
                    default: try reader.skip()
                    }
                }
                if let name = missing.sorted().first {
                    throw JSONReader.Problem(isSyntax: false, reason: "\(name) is missing")
                }
                references.append(reference)
            }
            return references
        }
    }
}
