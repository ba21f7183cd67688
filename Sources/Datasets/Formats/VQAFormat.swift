/// Questions about pictures: VQAv2's and OK-VQA's pair of files, GQA's, and easy-VQA's list.
enum VQAFormat {
    private struct Entry {
        var id: LabelID = ""
        var picture = ""
        /// As the file numbers the picture.
        var image: LabelID?
        var text = ""
        var answers: [String] = []
    }

    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        let path = reading.path.isFolder ? reading.path.appending(path: "questions.json") : reading.path
        var part: String?
        let report: (JSONReader.Problem) -> Void = { reading.problems.add(.malformed, "\($0)") }
        var isVQA = false
        var entries = try reading.json(path) { reader -> [Entry] in
            var entries: [Entry] = []
            if try reader.kind() == .array {
                // easy-VQA: [question, answer, picture].
                try reader.array(skipping: report) { reader, index in
                    var fields: [String] = []
                    try reader.array { reader, _ in fields.append(try reader.identifier()) }
                    guard fields.count == 3 else {
                        throw JSONReader.Problem(
                            isSyntax: false, reason: "a question, an answer and a picture are needed")
                    }
                    entries.append(
                        .init(
                            id: .number(index), picture: "\(fields[2]).png", text: fields[0],
                            answers: [fields[1]]))
                }
                return entries
            }
            var sample = ""
            try reader.object { reader, key in
                switch key {
                case "questions" where try reader.kind() == .array:
                    isVQA = true
                    try reader.array(skipping: report) { reader, _ in entries.append(try vqa(&reader)) }
                case "data_subtype": part = try reader.string()
                case _ where try !isVQA && reader.kind() == .object && Int(key) != nil:
                    entries.append(try gqa(&reader, key))
                default:
                    if sample.isEmpty { sample = key }
                    try reader.skip()
                }
            }
            guard isVQA || !entries.isEmpty else {
                throw JSONReader.Problem(
                    isSyntax: false, reason: "no file of questions: its first field is \"\(sample)\"")
            }
            return entries
        }
        if isVQA {
            // COCO's name from its number; a text is a name already.
            let prefix = part.map { "COCO_\($0)_" } ?? ""
            for index in entries.indices {
                let digits = entries[index].picture
                guard LabelNumber.whole(digits, in: 0 ... .max) != nil else {
                    if !digits.isPicture { entries[index].picture = "\(digits).jpg" }
                    continue
                }
                let zeros = String(repeating: "0", count: max(0, 12 - digits.count))
                entries[index].picture = "\(prefix)\(zeros)\(digits).jpg"
            }
        }
        var answers: [LabelID: (all: [String], one: String?)] = [:]
        if let labels = reading.labels {
            answers = try reading.json(labels) { reader in
                var answers: [LabelID: (all: [String], one: String?)] = [:]
                var isThere = false
                try reader.object { reader, key in
                    guard key == "annotations" else { return try reader.skip() }
                    isThere = true
                    try reader.array(skipping: report) { reader, _ in
                        let (id, all, one) = try annotation(&reader)
                        answers[id] = (all, one)
                    }
                }
                guard isThere else {
                    throw JSONReader.Problem(isSyntax: false, reason: "it has no \"annotations\"")
                }
                return answers
            }
        }
        var set = LabelledSet(name: path.folder.lastPart)
        var pictures: [String: Int?] = [:]
        let folder = path.folder
        let folders = [
            "\(folder)/images", folder, "\(folder)/\(part ?? "images")", "\(folder.folder)/images",
            "\(folder.folder)/\(part ?? "images")",
        ]
        for entry in entries {
            if pictures[entry.picture] == nil {
                pictures[entry.picture] = .some(nil)
                // COCO's 2017 names have no prefix.
                let short = entry.picture.split(separator: "_").last.map(String.init)
                if let source = reading.find(
                    entry.picture, orElse: [short].compactMap(\.self), in: folders)
                {
                    pictures[entry.picture] = set.pictures.count
                    set.pictures.append(
                        .init(
                            id: entry.image
                                ?? .number(
                                    LabelNumber.whole(entry.picture.stem, in: 0 ... .max)
                                        ?? set.pictures.count + 1),
                            source: source, fileName: entry.picture))
                }
            }
            guard let index = pictures[entry.picture]! else { continue }
            let given = answers.entry(entry.id)
            if reading.labels != nil, given == nil {
                reading.problems.add(.unlabelled, "question \(entry.id)")
                continue
            }
            set.pictures[index].questions.append(
                .init(
                    id: entry.id, text: entry.text, answers: given?.all ?? entry.answers, answer: given?.one))
        }
        return set
    }

    private static func vqa(_ reader: inout JSONReader) throws -> Entry {
        var entry = Entry()
        try reader.object { reader, key in
            switch key {
            case "question_id": entry.id = try reader.id()
            case "image_id":
                entry.image = try reader.id()
                entry.picture = entry.image!.name
            case "question": entry.text = try reader.string()
            default: try reader.skip()
            }
        }
        guard entry.id != "", !entry.picture.isEmpty, !entry.text.isEmpty else {
            throw JSONReader.Problem(isSyntax: false, reason: "question_id, image_id or question is missing")
        }
        return entry
    }

    private static func gqa(_ reader: inout JSONReader, _ id: String) throws -> Entry {
        var entry = Entry(id: .text(id))
        try reader.object { reader, key in
            switch key {
            case "imageId": entry.picture = "\(try reader.identifier()).jpg"
            case "question": entry.text = try reader.string()
            case "answer": entry.answers = [try reader.string()]
            default: try reader.skip()
            }
        }
        guard !entry.picture.isEmpty, !entry.text.isEmpty else {
            throw JSONReader.Problem(isSyntax: false, reason: "imageId or question is missing")
        }
        return entry
    }

    private static func annotation(_ reader: inout JSONReader) throws -> (LabelID, [String], String?) {
        var (id, one): (LabelID?, String?)
        var all: [String] = []
        try reader.object { reader, key in
            switch key {
            case "question_id": id = try reader.id()
            case "multiple_choice_answer": one = try reader.string()
            case "answers":
                try reader.array { reader, _ in
                    try reader.object { reader, key in
                        if key == "answer" { all.append(try reader.identifier()) } else { try reader.skip() }
                    }
                }
            default: try reader.skip()
            }
        }
        guard let id else { throw JSONReader.Problem(isSyntax: false, reason: "question_id is missing") }
        return (id, all.isEmpty ? one.map { [$0] } ?? [] : all, one ?? mostFrequent(all))
    }

    /// OK-VQA has ten answers but none chosen: the most frequent, the first of those.
    private static func mostFrequent(_ answers: [String]) -> String? {
        var counts: [String: Int] = [:]
        for answer in answers { counts[answer, default: 0] += 1 }
        let most = counts.values.max()
        return answers.first { counts[$0] == most }
    }
}
