public import Text

/// The words that frame a conversation, each a single token of the embedded model's tokenizer.
///
/// LUMEN's form: `USER: … ASSISTANT: Sure, the location is [LOC]. The task output is [DET].`
public enum Prompt {
    static let user = "USER: "
    static let assistant = " ASSISTANT: "
    static let located = "Sure, the location is "
    static let taskOutput = ". The task output is "
    static let end = "</s>"
    static let loc = "[LOC]"

    /// Characters that a request may have.
    public static let requestLimit = 2_000

    /// What the model reads before it answers.
    public static func question(_ request: String) -> String { "\(user)\(request)\(assistant)" }

    /// LUMEN's answer to a request for a place.
    public static func locationAnswer(_ route: Route) -> String { "\(plainLocationAnswer(route))\(end)" }

    /// The same as a reader sees it.
    public static func plainLocationAnswer(_ route: Route) -> String {
        "\(located)\(loc)\(taskOutput)\(route.token)."
    }

    /// The answer in plain words.
    public static func textAnswer(_ answer: String) -> String { "\(answer)\(end)" }

    /// The tokens to be added to a tokenizer for this form, ids in this order.
    public static let addedTokens: [AddedToken] = {
        let special = ["<pad>", end, loc] + Route.allCases.map(\.token)
        let phrases =
            // Without its space, which belongs to the phrase's first word.
            [user, assistant, located, taskOutput, String(LocateResponse.lead.dropLast())]
            + LocateResponse.allCases.map(\.tail)
        return special.map { .special($0) } + phrases.map { .phrase($0) }
    }()

    /// - Throws: ``ModelError/badRequest(_:)`` for a request that is empty, too long, or holds a reserved token.
    public static func check(_ request: String) throws {
        guard request.contains(where: { !$0.isWhitespace }) else {
            throw ModelError.badRequest("the request is empty")
        }
        guard request.count <= requestLimit else {
            throw ModelError.badRequest(
                "the request \"\(request.prefix(24))…\" has \(request.count) characters, the limit is \(requestLimit)"
            )
        }
        for token in addedTokens where token.isSpecial && request.contains(token.content) {
            throw ModelError.badRequest("the request holds \(token.content), which is reserved for the model")
        }
    }
}

/// The ids of the tokens that steer a conversation.
public struct SpecialTokens: Sendable {
    public let padding: Int
    public let end: Int
    public let loc: Int
    public let routes: [Int: Route]

    init(_ tokenizer: Tokenizer) throws {
        func id(_ token: String) throws -> Int {
            guard let id = tokenizer.id(of: token) else {
                throw ModelError.unsupported("the tokenizer has no token \(token)")
            }
            return id
        }
        padding = try id("<pad>")
        end = try id(Prompt.end)
        loc = try id(Prompt.loc)
        routes = try Dictionary(uniqueKeysWithValues: Route.allCases.map { (try id($0.token), $0) })
    }
}
