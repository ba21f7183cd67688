public import Text

extension Prompt {
    /// The most characters of a request.
    public static let requestLimit = 2_000

    /// - Throws: `ModelError.badRequest` for a request that is empty, too long, or holds a reserved token.
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

extension Prompt {
    /// The most sentences of a request that are answered one by one.
    static let sentenceLimit = 8

    /// The sentences of a request. A full stop, a question mark or an exclamation mark before white space ends a
    /// sentence. A request in the fixed form, or with more than ``sentenceLimit`` sentences, is not divided.
    static func sentences(of request: String) -> [String] {
        guard !request.contains(LocateResponse.lead) else { return [request] }
        var sentences: [String] = []
        var rest = request[...]
        while let end = rest.indices.first(where: { index in
            let next = rest.index(after: index)
            return ".?!".contains(rest[index]) && next < rest.endIndex && rest[next].isWhitespace
        }) {
            sentences.append(String(rest[...end]))
            rest = rest[rest.index(after: end)...].drop(while: \.isWhitespace)
        }
        sentences = (sentences + [String(rest)]).filter { $0.contains { $0.isLetter || $0.isNumber } }
        return sentences.count <= sentenceLimit ? sentences : [request]
    }
}

/// The ids of the tokens that steer a conversation.
public struct SpecialTokens: Sendable {
    public let padding: Int
    public let end: Int
    public let loc: Int
    /// The routes that the model knows.
    public let routes: [Int: Route]

    package init(_ tokenizer: Tokenizer) throws {
        func id(_ token: String) throws -> Int {
            guard let id = tokenizer.id(of: token) else {
                throw ModelError.unsupported("the tokenizer has no token \(token)")
            }
            return id
        }
        padding = try id(Prompt.padding)
        end = try id(Prompt.end)
        loc = try id(Prompt.loc)
        routes = Dictionary(
            uniqueKeysWithValues: Route.allCases.compactMap { route in
                tokenizer.id(of: route.token).map { ($0, route) }
            })
    }
}
