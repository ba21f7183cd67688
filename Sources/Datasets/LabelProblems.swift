/// What is wrong with the labels of a set: counted by sort, each with the first few places by name.
public struct LabelProblems: Sendable, Hashable {
    /// One sort of problem.
    public enum Sort: String, CaseIterable, Sendable, Hashable, Codable {
        /// An entry that is not of the format's form.
        case malformed
        /// A label of which a part is not of the format's form.
        case partly = "partly_malformed"
        case unknownCategory = "unknown_category"
        /// A label of a picture that the set does not have.
        case unknownPicture = "unknown_picture"
        /// Two entries with one id.
        case repeatedID = "repeated_id"
        /// Two labels with one id.
        case repeatedLabel = "repeated_label_id"
        /// The same label twice.
        case doubled
        /// Two pictures with one file name.
        case repeatedName = "repeated_name"
        /// A box without an area, or a mask without a pixel.
        case noArea = "no_area"
        /// A label that reaches out of its picture, and was cut off at its border.
        case clipped
        /// A label that lies outside its picture.
        case outside
        /// An entry that is not about one picture.
        case noPicture = "no_picture"
        /// A picture that is not where the labels say.
        case missingPicture = "missing_picture"
        /// A picture that cannot be decoded.
        case brokenPicture = "broken_picture"
        /// A picture whose size is not what its labels say.
        case otherSize = "other_size"
        /// An archive of which the rest cannot be read.
        case cutArchive = "cut_archive"
        /// A file `._name`, which macOS puts beside a file of its own.
        case macFile = "mac_file"
        /// A picture without a label file.
        case noLabels = "no_labels"
        /// A picture or a question whose labels are missing.
        case unlabelled
        /// A validation picture that is in the training set too, by name.
        case overlapByName = "overlap_by_name"
        /// A validation picture that is in the training set too, byte by byte.
        case overlapByContent = "overlap_by_content"

        /// What happened, and what was done about it.
        public var description: String {
            switch self {
            case .malformed: "labels that are not of the format's form, skipped"
            case .partly: "labels with a part that is not of the format's form, kept without it"
            case .unknownCategory: "labels of a category that is not listed, skipped"
            case .unknownPicture: "labels of a picture that is not listed, skipped"
            case .repeatedID: "entries whose id was there before, skipped"
            case .repeatedLabel: "labels whose id was there before, kept"
            case .doubled: "labels that were there before to the letter, skipped"
            case .repeatedName: "pictures whose file name was there before, kept"
            case .noArea: "labels without an area, skipped"
            case .clipped: "labels that reach out of their picture, cut off at its border"
            case .outside: "labels outside their picture, skipped"
            case .noPicture: "entries that are not about one picture, skipped"
            case .missingPicture: "pictures that are not there, skipped"
            case .brokenPicture: "pictures that cannot be decoded, skipped"
            case .otherSize: "pictures of another size than their labels say, skipped"
            case .cutArchive: "archives that are damaged, read as far as they go"
            case .macFile: "files of macOS' own (._name), passed over"
            case .noLabels: "pictures without a label file, taken as empty"
            case .unlabelled: "entries whose labels are missing, skipped"
            case .overlapByName: "pictures of the validation set with a name of the training set"
            case .overlapByContent: "pictures of the validation set that are in the training set"
            }
        }
    }

    /// How often, and where first.
    public struct Count: Sendable, Hashable, Codable {
        public var count = 0
        /// The first ``LabelProblems/namesKept`` places, each a short line.
        public var first: [String] = []
    }

    /// How many places of each sort are named.
    public static let namesKept = 3

    public private(set) var counts: [Sort: Count] = [:]

    public init() {}

    public var isEmpty: Bool { counts.isEmpty }

    /// How many of a sort there are.
    public subscript(sort: Sort) -> Int { counts[sort]?.count ?? 0 }

    /// Counts one problem.
    public mutating func add(_ sort: Sort, _ place: @autoclosure () -> String) {
        counts[sort, default: Count()].count += 1
        if counts[sort]!.first.count < Self.namesKept { counts[sort]!.first.append(place()) }
    }

    /// Counts what another set counted.
    public mutating func add(_ other: LabelProblems) {
        for (sort, found) in other.counts {
            var sum = counts[sort] ?? Count()
            sum.count += found.count
            sum.first = Array((sum.first + found.first).prefix(Self.namesKept))
            counts[sort] = sum
        }
    }

    /// One line a sort: "3 labels without an area, skipped: a.xml object 2, …"; empty when there is none.
    public var summary: String {
        Sort.allCases.compactMap { sort in
            counts[sort].map {
                let more = $0.count > $0.first.count ? ", …" : ""
                return "\($0.count) \(sort.description): \($0.first.joined(separator: ", "))\(more)"
            }
        }
        .joined(separator: "\n")
    }
}

/// Why labels could not be read at all: one line that names the file.
public enum LabelError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The path, and why.
    case unreadable(String, reason: String)
    /// The path, and what is wrong with its content.
    case invalid(String, reason: String)

    /// Why, without the path.
    var reason: String {
        switch self {
        case .unreadable(_, let reason), .invalid(_, let reason): reason
        }
    }

    public var description: String {
        let line =
            switch self {
            case .unreadable(let path, let reason): "cannot read \(path): \(reason)"
            case .invalid(let path, let reason): "\(path): \(reason)"
            }
        return String(line.map { $0.isNewline ? " " : $0 })
    }
}
