public import Text

/// One exchange about a picture: what is asked, what the model shall say, and what each of its [LOC] means.
public struct ConversationTurn: Sendable, Hashable {
    /// What the user writes.
    public var request: String
    /// What follows `ASSISTANT: `, in order, without the end token.
    public var answer: [AnswerPiece]
    /// One for each [LOC] of the answer, in order.
    public var queries: [LocationQuery]
    /// The noun phrases of the request.
    public var mentions: [MosaicMention]

    public init(
        request: String, answer: [AnswerPiece], queries: [LocationQuery] = [], mentions: [MosaicMention] = []
    ) {
        self.request = request
        self.answer = answer
        self.queries = queries
        self.mentions = mentions
    }

    /// The answer as a user sees it, without what the program looked up: "There are three." for a count, "There is no red
    /// circle." for what is absent.
    public var visibleAnswer: String {
        var text = ""
        for (piece, next) in zip(answer, answer.dropFirst().map(\.isInserted) + [false]) {
            // What is followed by a finding is but the way to it, as is a number.
            guard !next, !piece.isInserted || piece.text == Prompt.nothing else { continue }
            text += piece.text
        }
        return text.hasPrefix(" ") ? String(text.dropFirst()) : text
    }
}

/// A stretch of an answer. Pieces are encoded one by one, so that a piece which the program puts in has the same
/// tokens in training as later.
public struct AnswerPiece: Sendable, Hashable {
    public var text: String
    /// Whether the program puts it in, such as a count; the model does not learn to write it, only to go on from it.
    public var isInserted: Bool
    /// The object that the piece's first word is about: the hidden state before it is told what that object is.
    public var subject: Int?
    /// The object that the subject's place is compared with, for a relation.
    public var anchor: Int?
    /// What is asked of the two: whether the subject lies there, seen from the anchor.
    public var relation: MosaicRelation?
    /// The objects that a list has still to name before it ends, this piece's included; nil outside of lists.
    public var unlisted: [Int]?

    public init(
        _ text: String, isInserted: Bool = false, subject: Int? = nil, anchor: Int? = nil,
        relation: MosaicRelation? = nil, unlisted: [Int]? = nil
    ) {
        self.text = text
        self.isInserted = isInserted
        self.subject = subject
        self.anchor = anchor
        self.relation = relation
        self.unlisted = unlisted
    }
}

/// What a [LOC] means.
public struct LocationQuery: Sendable, Hashable {
    /// The objects to be found; none for what is not there.
    public var objects: [Int]
    /// What the words say; nil when they name no thing of Mosaic's, such as a joint.
    public var description: MosaicDescription?
    /// Whether the words refer to one thing.
    public var isReferring: Bool
    /// The object by whose place the one thing is told from others.
    public var anchor: Int?
    public var route: Route

    public init(
        objects: [Int], description: MosaicDescription?, isReferring: Bool = false, anchor: Int? = nil,
        route: Route
    ) {
        self.objects = objects
        self.description = description
        self.isReferring = isReferring
        self.anchor = anchor
        self.route = route
    }
}
