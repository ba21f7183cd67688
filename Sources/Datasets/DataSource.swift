/// Where labelled pictures are and what format they are in: one line of a configuration.
///
///     { "format": "coco", "path": "annotations/instances_train2017.json", "images": "train2017" }
public struct DataSource: Codable, Sendable, Hashable {
    public enum Format: String, CaseIterable, Codable, Sendable, Hashable {
        /// Instances, keypoints, captions or panoptic segments; LVIS, Objects365, AI Challenger and all that is alike.
        case coco
        case voc
        case yolo
        case openImages = "openimages"
        case refCOCO = "refcoco"
        case fsc147
        /// A folder a picture, with `images` and `masks` of one object each (DSB2018).
        case masks
        /// LLaVA-Instruct, ShareGPT4V.
        case conversations
        /// VQAv2, OK-VQA, GQA, easy-VQA.
        case vqa
        case davis
        case mot
        case webDataset = "webdataset"

        public init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            let name = try container.decode(String.self)
            guard let format = Format(rawValue: name) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: Self.unknown(name))
            }
            self = format
        }

        fileprivate static func unknown(_ name: String) -> String {
            "format \"\(name)\" is not known, only \(allCases.map(\.rawValue).joined(separator: ", "))"
        }

        /// Whether several processes can read a source of it in parts.
        public var isSharded: Bool { self == .webDataset }

        /// Whether a source of it can name a split.
        var hasSplits: Bool {
            switch self {
            case .voc, .yolo, .openImages, .refCOCO, .fsc147, .masks, .davis, .mot: true
            case .coco, .conversations, .vqa, .webDataset: false
            }
        }
    }

    public var format: Format
    /// The label file, or the folder that the format is published as.
    public var path: String
    /// The folder of pictures, where it is not in its published place.
    public var images: String?
    /// Which part of the set, as its publisher names it: "train", "val", "testA".
    public var split: String?
    /// A second label file: VQAv2's annotations, COCO's `instances.json` for RefCOCO, the classes of YOLO or OpenImages.
    public var labels: String?

    /// What the things of a set without names are called, such as "nucleus"; "object" when it is left out.
    public var category: String?

    public init(
        format: Format, path: String, images: String? = nil, split: String? = nil, labels: String? = nil,
        category: String? = nil
    ) {
        self.format = format
        self.path = path
        self.images = images
        self.split = split
        self.labels = labels
        self.category = category
    }
}

extension DataSource {
    /// Reads a file of one source in JSON.
    ///
    /// - Throws: ``LabelError`` that names the file and the field.
    public init(contentsOf path: String) throws(LabelError) {
        let known = ["format", "path", "images", "split", "labels", "category"]
        var fields: [String: String] = [:]
        let bytes = try Reading.bytes(path)
        var reader = JSONReader(bytes)
        do {
            try reader.object { reader, key in
                guard known.contains(key) else {
                    throw JSONReader.Problem(
                        isSyntax: false, reason: "not known; a source has \(known.joined(separator: ", "))")
                }
                fields[key] = try reader.string()
            }
            try reader.end()
        } catch {
            if let looks = Looks(bytes), looks.formats != [] {
                throw .invalid(
                    path,
                    reason:
                        "it looks like \(looks.description); a source says where labels are: { \"format\": …, \"path\": … }"
                )
            }
            throw .invalid(path, reason: "\(error)")
        }
        guard let name = fields["format"], let place = fields["path"] else {
            throw .invalid(path, reason: "no source of labels: it has no \"format\" or no \"path\"")
        }
        guard let format = Format(rawValue: name) else {
            throw .invalid(path, reason: Format.unknown(name))
        }
        self.init(
            format: format, path: place, images: fields["images"], split: fields["split"],
            labels: fields["labels"], category: fields["category"])
    }
}

extension LabelledSet {
    /// Reads labelled pictures.
    ///
    /// - Parameters:
    ///   - source: where they are.
    ///   - folder: what relative paths of the source are relative to; nil for the working directory.
    ///   - rank: which of `ranks` processes this is: of WebDataset's shards each reads its own.
    ///   - ranks: how many processes there are.
    ///   - asWritten: whether labels are left as the file has them, as for scoring; else those outside their pictures
    ///     or without an area are cut off or skipped, and pictures that are not there skipped.
    /// - Throws: ``LabelError`` for a file that is missing or of another kind, and for a set without a picture.
    public static func read(
        _ source: DataSource, relativeTo folder: String? = nil, rank: Int = 0, ranks: Int = 1,
        asWritten: Bool = false
    ) throws(LabelError) -> LabelledSet {
        let reading = Reading(source, relativeTo: folder, asWritten: asWritten)
        if let split = source.split, !source.format.hasSplits {
            throw .invalid(
                reading.path,
                reason:
                    "a source of the format \"\(source.format.rawValue)\" has no splits, and split is \"\(split)\""
            )
        }
        if let category = source.category, source.format != .masks, source.format != .davis {
            throw .invalid(
                reading.path,
                reason:
                    "things of the format \"\(source.format.rawValue)\" have names, and category is \"\(category)\""
            )
        }
        /// That a file is of another kind, by the name of that.
        func otherKind(_ path: String) -> LabelError? {
            guard path.isFile, let looks = (try? Reading.bytes(path)).flatMap({ Looks($0) }),
                !looks.formats.contains(source.format)
            else { return nil }
            return .invalid(
                path,
                reason:
                    "not labels of the format \"\(source.format.rawValue)\": it looks like \(looks.description)"
            )
        }
        var set: LabelledSet
        do {
            set = try read(reading, rank: rank, ranks: ranks)
        } catch .invalid(let path, let reason) {
            throw otherKind(path) ?? .invalid(path, reason: reason)
        } catch {
            throw otherKind(reading.path) ?? error
        }
        set.problems = reading.problems
        if !asWritten { set.mend() }
        guard !set.pictures.isEmpty else {
            if let error = otherKind(reading.path) { throw error }
            let part = source.split.map { " in its split \"\($0)\"" } ?? ""
            let missing = reading.problems[.missingPicture]
            var reason = "no picture\(part)"
            if missing > 0 {
                reason = "none of its \(missing) pictures is there\(part); \"images\" says where they are"
            } else if let first = reading.problems.summary.split(separator: "\n").first {
                reason += ", but \(first)"
            }
            throw .invalid(reading.path, reason: reason)
        }
        return set
    }

    private static func read(_ reading: Reading, rank: Int, ranks: Int) throws(LabelError) -> LabelledSet {
        switch reading.source.format {
        case .coco: try COCOFormat.read(reading)
        case .voc: try VOCFormat.read(reading)
        case .yolo: try YOLOFormat.read(reading)
        case .openImages: try OpenImagesFormat.read(reading)
        case .refCOCO: try RefCOCOFormat.read(reading)
        case .fsc147: try FSC147Format.read(reading)
        case .masks: try MaskFolderFormat.read(reading)
        case .conversations: try ConversationFormat.read(reading)
        case .vqa: try VQAFormat.read(reading)
        case .davis: try DAVISFormat.read(reading)
        case .mot: try MOTFormat.read(reading)
        case .webDataset: try WebDatasetFormat.read(reading, rank: rank, ranks: ranks)
        }
    }
}
