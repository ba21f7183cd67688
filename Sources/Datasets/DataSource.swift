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

    public init(
        format: Format, path: String, images: String? = nil, split: String? = nil, labels: String? = nil
    ) {
        self.format = format
        self.path = path
        self.images = images
        self.split = split
        self.labels = labels
    }
}

extension LabelledSet {
    /// Reads labelled pictures.
    ///
    /// - Parameters:
    ///   - source: where they are.
    ///   - folder: what relative paths of the source are relative to; nil for the working directory.
    ///   - asWritten: whether labels are left as the file has them, as for scoring; else those outside their pictures
    ///     or without an area are cut off or skipped, and pictures that are not there skipped.
    /// - Throws: ``LabelError`` for a file that is missing or of another kind, and for a set without a picture.
    public static func read(
        _ source: DataSource, relativeTo folder: String? = nil, asWritten: Bool = false
    ) throws(LabelError) -> LabelledSet {
        let reading = Reading(source, relativeTo: folder, asWritten: asWritten)
        var set: LabelledSet
        do {
            set =
                switch source.format {
                case .coco: try COCOFormat.read(reading)
                default:
                    throw LabelError.invalid(
                        reading.path, reason: "\(source.format.rawValue) is not read yet")
                }
        } catch let error as LabelError {
            throw error
        } catch {
            throw .invalid(reading.path, reason: "\(error)")
        }
        set.problems = reading.problems
        if !asWritten { set.mend() }
        guard !set.pictures.isEmpty else {
            let part = source.split.map { " in its split \"\($0)\"" } ?? ""
            let missing = reading.problems[.missingPicture]
            let reason =
                missing > 0
                ? "none of its \(missing) pictures is there\(part); \"images\" says where they are"
                : "no picture\(part)"
            throw .invalid(reading.path, reason: reason)
        }
        return set
    }
}
