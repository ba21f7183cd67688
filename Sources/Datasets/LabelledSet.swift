public import Media

/// Pictures with their labels, whatever format they came from.
///
/// A plain value that is cheap to hold: pictures are decoded later, by a ``PictureLoader``.
public struct LabelledSet: Sendable {
    /// What the set is called in reports.
    public var name: String
    public var categories: [Category]
    public var pictures: [Picture]
    /// What was skipped or mended.
    public var problems: LabelProblems

    public init(
        name: String, categories: [Category] = [], pictures: [Picture] = [],
        problems: LabelProblems = LabelProblems()
    ) {
        self.name = name
        self.categories = categories
        self.pictures = pictures
        self.problems = problems
    }

    /// A class of things.
    public struct Category: Sendable, Hashable {
        /// As the file has it; from 1 where a format numbers nothing.
        public var id: LabelID
        public var name: String
        /// False for COCO's stuff, such as sky, which is not counted.
        public var isThing: Bool
        /// Names of the joints, as the file has them; none where there are no joints.
        public var keypoints: [String]
        /// Limbs as pairs of joints, counted from zero.
        public var skeleton: [[Int]]
        /// How exactly each joint is labelled, for OKS, where the file says so.
        public var sigmas: [Double]?

        public init(
            id: LabelID, name: String, isThing: Bool = true, keypoints: [String] = [], skeleton: [[Int]] = [],
            sigmas: [Double]? = nil
        ) {
            self.id = id
            self.name = name
            self.isThing = isThing
            self.keypoints = keypoints
            self.skeleton = skeleton
            self.sigmas = sigmas
        }
    }

    /// A picture, or a frame of a video, with all that is said of it.
    public struct Picture: Sendable, Hashable {
        /// As the file has it; counted from 1 where a format numbers nothing.
        public var id: LabelID
        public var source: PictureSource
        /// As the label file has it.
        public var fileName: String
        /// In pixels, as a viewer shows it; 0 when nothing but the picture itself says.
        public var width: Int
        /// In pixels, as a viewer shows it; 0 when nothing but the picture itself says.
        public var height: Int
        public var things: [Thing] = []
        /// Whole-picture labels: categories known to be there, with or without a thing.
        public var present: [Int] = []
        /// Categories known not to be there; nil when all categories of the set were looked for.
        public var absent: [Int]?
        /// Categories of which not every instance is labelled, those of lost labels among them: nothing is learnt of
        /// what else of them is there, or is not.
        public var incomplete: [Int] = []
        public var captions: [String] = []
        public var questions: [Question] = []
        public var referring: [ReferringExpression] = []
        /// Things that are marked by a point alone: of the category in ``present``.
        public var points: [Point] = []
        /// Boxes of examples of what ``points`` count.
        public var exemplars: [Box] = []
        public var dialogues: [Dialogue] = []
        /// The video that it is a frame of.
        public var video: String?
        /// The number of the frame in its video.
        public var frame: Int?
        /// False for a picture whose things nobody labelled, such as a frame of a video, or one with a caption alone.
        public var isLabelled = true

        public init(id: LabelID, source: PictureSource, fileName: String, width: Int = 0, height: Int = 0) {
            self.id = id
            self.source = source
            self.fileName = fileName
            self.width = width
            self.height = height
        }

        /// Marks the picture as not fully labelled for a category, or for all `count` where a lost label may be of any.
        mutating func lose(_ category: Int?, of count: Int) {
            incomplete = Set(incomplete).union(category.map { $0..<($0 + 1) } ?? 0..<count).sorted()
        }
    }

    /// One labelled instance.
    public struct Thing: Sendable, Hashable {
        /// As the file has it; counted from 1 where a format numbers nothing.
        public var id: LabelID
        /// Index into the set's categories.
        public var category: Int
        /// In pixels.
        public var box: Box
        public var segmentation: COCOSegmentation?
        public var keypoints: Keypoints?
        /// COCO's `num_keypoints`: labelled joints, as the file states them.
        public var keypointCount: Int?
        /// A region of many that are not told apart (COCO's `iscrowd`, OpenImages' `IsGroupOf`).
        public var isCrowd = false
        /// Pascal VOC's `difficult`.
        public var isDifficult = false
        /// Not to be counted for or against a model, such as a distractor of MOTChallenge.
        public var isIgnored = false
        /// The area by which COCO sorts into small, medium and large, as the file states it.
        public var area: Double?
        /// Which thing of a video it is.
        public var track: Int?
        /// How much of it is seen, 0 to 1 (MOTChallenge).
        public var visibility: Double?

        public init(id: LabelID, category: Int, box: Box) {
            self.id = id
            self.category = category
            self.box = box
        }
    }

    /// A question with its answers.
    public struct Question: Sendable, Hashable {
        public var id: LabelID
        public var text: String
        /// All that were given: VQAv2's ten, or a single one; none where they are kept secret.
        public var answers: [String]
        /// The one to learn: VQAv2's `multiple_choice_answer`, else the first.
        public var answer: String?

        public init(id: LabelID, text: String, answers: [String], answer: String? = nil) {
            self.id = id
            self.text = text
            self.answers = answers
            self.answer = answer ?? answers.first
        }
    }

    /// Sentences that mean one thing.
    public struct ReferringExpression: Sendable, Hashable {
        /// RefCOCO's `ref_id`.
        public var id: LabelID
        public var sentences: [String]
        /// RefCOCO's `sent_id` of each sentence; empty where the file has none.
        public var sentenceIDs: [LabelID]
        /// Index into the picture's things.
        public var thing: Int

        public init(id: LabelID, sentences: [String], sentenceIDs: [LabelID] = [], thing: Int) {
            self.id = id
            self.sentences = sentences
            self.sentenceIDs = sentenceIDs
            self.thing = thing
        }

        /// The same about things that have new numbers; nil when its own is not there any more.
        package func moved(_ newIndices: [Int?]) -> ReferringExpression? {
            newIndices[thing].map { .init(id: id, sentences: sentences, sentenceIDs: sentenceIDs, thing: $0) }
        }
    }

    /// A conversation as LLaVA has it.
    public struct Dialogue: Sendable, Hashable {
        public var id: String
        public var turns: [Turn]

        public struct Turn: Sendable, Hashable {
            /// Whether the user speaks, else the assistant.
            public var isUser: Bool
            /// Without the picture's place holder.
            public var text: String

            public init(isUser: Bool, text: String) {
                self.isUser = isUser
                self.text = text
            }
        }

        public init(id: String, turns: [Turn]) {
            self.id = id
            self.turns = turns
        }
    }
}

/// Where the bytes of a picture are.
public enum PictureSource: Sendable, Hashable {
    case file(String)
    /// A member of a tar archive: the archive's path, where the member's bytes begin, and how many they are.
    case archive(String, offset: Int, length: Int)

    /// What messages call it.
    public var name: String {
        switch self {
        case .file(let path): path
        case .archive(let path, let offset, _): "\(path) at byte \(offset)"
        }
    }
}
