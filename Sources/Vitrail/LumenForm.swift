import Text

/// How a conversation is written around the image.
public struct LumenForm: Codable, Sendable, Hashable {
    /// The text before the image, after the token that begins a text; nil for neither text nor token.
    public var lead: String?
    /// The text between the image and the request.
    public var user: String

    /// The embedded model's: the image comes first, and `USER: ` is one token.
    public static let mosaic = LumenForm(lead: nil, user: Prompt.user)

    /// LUMEN's own, which LLaVA's language model knows: `USER: [image]. Please find the location of …`
    public static let paper = LumenForm(lead: Prompt.user, user: ". ")

    /// The text after the image, up to the answer.
    public func question(_ request: String) -> String { "\(user)\(request)\(Prompt.assistant)" }

    /// The ids before the image.
    func lead(_ tokenizer: Tokenizer) -> [Int] {
        lead.map { tokenizer.encode($0, addSpecialTokens: true) } ?? []
    }
}
