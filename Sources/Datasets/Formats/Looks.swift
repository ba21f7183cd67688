/// What a file looks like, for the error that says it is of another kind than its format.
struct Looks {
    /// "COCO's results", with the article it wants.
    var description: String
    /// The formats that read it.
    var formats: Set<DataSource.Format> = []

    /// Nil for what is like nothing known.
    init?(_ bytes: [UInt8]) {
        func starts(_ text: String) -> Bool { bytes.starts(with: text.utf8) }
        if bytes.starts(with: [0x1F, 0x8B]) {
            self.init("a gzip archive: unpack it")
        } else if starts("PK") {
            self.init("a zip archive: unpack it")
        } else if bytes.starts(with: [0xFF, 0xD8, 0xFF]) || bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) {
            self.init("a picture")
        } else if bytes.count > 262, bytes[257..<262].elementsEqual("ustar".utf8) {
            self.init("a tar archive", .webDataset)
        } else if bytes.first == 0x80 || starts("(lp") || starts("]q") {
            self.init("a Python pickle", .refCOCO)
        } else {
            let bytes = LabelText.utf8(bytes)
            switch bytes.first(where: { $0 > 0x20 }) {
            case UInt8(ascii: "<"): self.init("an XML file; Pascal VOC's are read as a folder", .voc)
            case UInt8(ascii: "{"): self.init(object: bytes)
            case UInt8(ascii: "["): self.init(list: bytes)
            case nil: self.init("an empty file")
            default: self.init(text: String(decoding: bytes.prefix(4096), as: UTF8.self))
            }
        }
    }

    private init(_ description: String, _ formats: DataSource.Format...) {
        self.description = description
        self.formats = Set(formats)
    }

    private init?(object bytes: [UInt8]) {
        guard let keys = try? Self.keys(bytes, depth: 0) else { return nil }
        if keys.isSuperset(of: ["images", "annotations"]) {
            self.init("COCO's labels", .coco)
        } else if keys.contains("conversations") {
            self.init("conversations, a record a line", .conversations)
        } else if keys.contains("questions") {
            self.init("VQA's questions", .vqa)
        } else if keys.contains("annotations") {
            self.init("VQA's annotations, which are the \"labels\" of its questions", .vqa)
        } else if keys.isSuperset(of: ["train", "val"]) {
            self.init("a list of splits")
        } else if keys.contains(where: { $0.hasSuffix(".jpg") }) {
            self.init("FSC-147's points", .fsc147)
        } else if keys.contains("format") {
            self.init("a source of labels, not labels")
        } else {
            return nil
        }
    }

    private init?(list bytes: [UInt8]) {
        guard let keys = try? Self.keys(bytes, depth: 1) else { return nil }
        if keys.contains("conversations") {
            self.init("conversations", .conversations)
        } else if keys.isSuperset(of: ["image_id", "score"]) {
            self.init("COCO's results, not labels")
        } else if keys.isSuperset(of: ["image_id", "caption"]) {
            self.init("COCO's captions as results, not labels")
        } else if keys.contains("ref_id") {
            self.init("RefCOCO's references", .refCOCO)
        } else if keys.contains("keypoint_annotations") {
            self.init("AI Challenger's keypoints", .coco)
        } else if keys == [""] {
            self.init("a list of lists, as easy-VQA's questions", .vqa)
        } else {
            return nil
        }
    }

    private init?(text: String) {
        guard let line = text.split(whereSeparator: \.isNewline).first else { return nil }
        let fields = line.split(separator: ",")
        if fields.contains("ImageID") {
            self.init("OpenImages' table", .openImages)
        } else if fields.count >= 6, fields.allSatisfy({ Double($0) != nil }) {
            self.init("MOTChallenge's text", .mot)
        } else if line.split(separator: " ").count >= 5,
            line.split(separator: " ").allSatisfy({ Double($0) != nil })
        {
            self.init("YOLO's text, which is read as a folder", .yolo)
        } else {
            return nil
        }
    }

    /// The keys of the object, or of the first element of a list: [""] when that is a list.
    private static func keys(_ bytes: [UInt8], depth: Int) throws -> Set<String> {
        struct Enough: Error {}
        var keys: Set<String> = []
        var reader = JSONReader(bytes)
        func object(_ reader: inout JSONReader) throws {
            try reader.object { reader, key in
                keys.insert(key)
                try reader.skip()
            }
        }
        guard depth > 0 else {
            // A record a line has more after the first.
            try object(&reader)
            return keys
        }
        do {
            try reader.array { reader, _ in
                if try reader.kind() == .array { keys = [""] } else { try object(&reader) }
                throw Enough()
            }
        } catch is Enough {}
        return keys
    }
}
