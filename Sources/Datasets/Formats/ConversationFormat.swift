import Media

/// LLaVA-Instruct, ShareGPT4V and what is written alike: records of a picture and a conversation, as a JSON list or a
/// record a line.
enum ConversationFormat {
    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        var records: [(picture: String, dialogue: LabelledSet.Dialogue)] = []
        func add(_ reader: inout JSONReader, _ number: Int) throws {
            if let record = try self.record(&reader, number) {
                records.append(record)
            } else {
                reading.problems.add(.noPicture, "record \(number)")
            }
        }
        let bytes = LabelText.utf8(try reading.bytes(reading.path))
        let first = bytes.first { $0 > 0x20 }
        if first == UInt8(ascii: "[") {
            try reading.json(reading.path) { reader in
                try reader.array(skipping: { reading.problems.add(.malformed, "\($0)") }) { reader, index in
                    try add(&reader, index)
                }
                try reader.end()
            }
        } else {
            for (number, line) in bytes.split(separator: UInt8(ascii: "\n")).enumerated() {
                if line.allSatisfy({ $0 <= 0x20 }) { continue }
                var reader = JSONReader(Array(line))
                do {
                    try add(&reader, number)
                    try reader.end()
                } catch {
                    reading.problems.add(.malformed, "line \(number + 1): \(error)")
                }
            }
        }
        guard !records.isEmpty || reading.problems[.noPicture] > 0 else {
            throw .invalid(reading.path, reason: "no record of a picture with a conversation")
        }
        var set = LabelledSet(name: reading.path.stem)
        var pictures: [String: Int?] = [:]
        let folder = reading.path.folder
        for record in records {
            if pictures[record.picture] == nil {
                pictures[record.picture] = .some(nil)
                if let source = reading.find(
                    record.picture, in: [folder, folder.folder, "\(folder)/images"])
                {
                    pictures[record.picture] = set.pictures.count
                    set.pictures.append(
                        .init(
                            id: .number(set.pictures.count + 1), source: source, fileName: record.picture))
                }
            }
            if let index = pictures[record.picture]! { set.pictures[index].dialogues.append(record.dialogue) }
        }
        return set
    }

    /// A record; nil for one without a picture. Besides `conversations`, `instruction` with `output` and `question` with
    /// `answer` are taken.
    private static func record(
        _ reader: inout JSONReader, _ number: Int
    ) throws -> (picture: String, dialogue: LabelledSet.Dialogue)? {
        var id = String(number)
        var picture: String?
        var turns: [LabelledSet.Dialogue.Turn] = []
        var (request, answer): (String?, String?)
        try reader.object { reader, key in
            switch key {
            case "id", "question_id": id = try reader.identifier()
            case "image", "images":
                switch try reader.kind() {
                case .null: try reader.skip()
                case .text: picture = try reader.string()
                default:
                    // Several pictures are not one conversation about a picture.
                    let names = try reader.strings()
                    picture = names.count == 1 ? names[0] : nil
                }
            case "conversations": turns = try self.turns(&reader)
            case "instruction", "question": request = try reader.string()
            case "output", "answer": answer = try reader.identifier()
            default: try reader.skip()
            }
        }
        if turns.isEmpty, let request, let answer {
            turns = [.init(isUser: true, text: plain(request)), .init(isUser: false, text: answer)]
        }
        guard !turns.isEmpty else {
            throw JSONReader.Problem(isSyntax: false, reason: "conversations is missing")
        }
        return picture.map { ($0, .init(id: id, turns: turns)) }
    }

    static func turns(_ reader: inout JSONReader) throws -> [LabelledSet.Dialogue.Turn] {
        var turns: [LabelledSet.Dialogue.Turn] = []
        try reader.array { reader, index in
            var (speaker, text): (String?, String?)
            try reader.object { reader, key in
                switch key {
                case "from", "role": speaker = try reader.string()
                case "value", "content": text = try reader.string()
                default: try reader.skip()
                }
            }
            guard let speaker, let text else {
                throw JSONReader.Problem(isSyntax: false, reason: "from or value is missing")
            }
            if speaker == "system" { return }
            let isUser = ["human", "user"].contains(speaker)
            guard isUser || ["gpt", "assistant"].contains(speaker) else {
                throw JSONReader.Problem(isSyntax: false, reason: "\"\(speaker)\" is neither human nor gpt")
            }
            guard isUser == turns.count.isMultiple(of: 2) else {
                throw JSONReader.Problem(isSyntax: false, reason: "human and gpt do not take turns")
            }
            turns.append(.init(isUser: isUser, text: isUser ? plain(text) : text))
        }
        return turns
    }

    /// Without the picture's place holder.
    private static func plain(_ text: String) -> String {
        String(text.replacing("<image>", with: "")[...].trimmed)
    }
}
