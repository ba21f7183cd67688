/// What is in a set, and what was wrong with it: to be shown before training starts.
public struct LabelSummary: Sendable, Hashable, Encodable {
    public struct Category: Sendable, Hashable, Encodable {
        public var name: String
        /// Labelled instances.
        public var things: Int
        /// Pictures with one or more of them.
        public var pictures: Int
    }

    public var name: String
    public var pictures: Int
    /// Pictures without a thing.
    public var empty: Int
    public var things: Int
    /// Things with a mask or polygons, with joints, and regions of many.
    public var segmentations: Int
    public var poses: Int
    public var crowds: Int
    public var points: Int
    public var captions: Int
    public var questions: Int
    /// Sentences that mean one thing.
    public var expressions: Int
    public var dialogues: Int
    public var videos: Int
    /// In the order of the set.
    public var categories: [Category]
    /// How many pictures can be asked each task.
    public var tasks: [String: Int]
    public var problems: [String: LabelProblems.Count]
    private var problemText: String

    enum CodingKeys: CodingKey {
        case name, pictures, empty, things, segmentations, poses, crowds, points, captions, questions,
            expressions, dialogues, videos, categories, tasks, problems
    }

    public init(_ set: LabelledSet, reformulation: Reformulation = Reformulation()) {
        func sum(_ count: (LabelledSet.Picture) -> Int) -> Int { set.pictures.reduce(0) { $0 + count($1) } }
        name = set.name
        pictures = set.pictures.count
        empty = sum { $0.things.isEmpty ? 1 : 0 }
        things = sum { $0.things.count }
        segmentations = sum { $0.things.count { $0.segmentation != nil } }
        poses = sum { $0.things.count { $0.keypoints != nil } }
        crowds = sum { $0.things.count { $0.isCrowd } }
        points = sum { $0.points.count }
        captions = sum { $0.captions.count }
        questions = sum { $0.questions.count }
        expressions = sum { $0.referring.reduce(0) { $0 + $1.sentences.count } }
        dialogues = sum { $0.dialogues.count }
        videos = Set(set.pictures.compactMap(\.video)).count
        categories = set.categories.map { .init(name: $0.name, things: 0, pictures: 0) }
        tasks = [:]
        for picture in set.pictures {
            for thing in picture.things { categories[thing.category].things += 1 }
            for category in Set(picture.things.map(\.category)) { categories[category].pictures += 1 }
            for task in reformulation.tasks(for: picture, in: set) { tasks[task.rawValue, default: 0] += 1 }
        }
        problems = Dictionary(uniqueKeysWithValues: set.problems.counts.map { ($0.rawValue, $1) })
        problemText = set.problems.summary
    }

    /// Several lines, without a line break at the end.
    public var text: String {
        func counted(_ count: Int, _ one: String, _ many: String) -> String? {
            count == 0 ? nil : "\(count) \(count == 1 ? one : many)"
        }
        var lines = ["\(name): \(counted(pictures, "picture", "pictures") ?? "no picture")"]
        let parts = [
            counted(videos, "video", "videos"), counted(things, "thing", "things"),
            counted(segmentations, "outline", "outlines"), counted(poses, "pose", "poses"),
            counted(crowds, "crowd", "crowds"), counted(points, "point", "points"),
            counted(captions, "caption", "captions"), counted(questions, "question", "questions"),
            counted(expressions, "expression", "expressions"), counted(dialogues, "dialogue", "dialogues"),
        ].compactMap(\.self)
        if !parts.isEmpty { lines.append("  \(parts.joined(separator: ", "))") }
        if things > 0, empty > 0 { lines.append("  \(empty) of the pictures without a thing") }
        // The most frequent first; a long list is cut.
        let frequent = categories.filter { $0.things > 0 }.sorted { $0.things > $1.things }
        if !frequent.isEmpty {
            let shown = frequent.prefix(12).map { "\($0.name) \($0.things)" }.joined(separator: ", ")
            let rest = frequent.count > 12 ? ", and \(frequent.count - 12) more" : ""
            lines.append("  \(frequent.count) of \(categories.count) classes: \(shown)\(rest)")
        }
        let asked = Reformulation.Task.allCases.compactMap { task in
            tasks[task.rawValue].map { "\(task.rawValue) \($0)" }
        }
        lines.append("  can be asked: \(asked.isEmpty ? "nothing" : asked.joined(separator: ", "))")
        lines += problemText.split(separator: "\n").map { "  ! \($0)" }
        return lines.joined(separator: "\n")
    }
}
