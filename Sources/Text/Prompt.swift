/// The words that frame a conversation, each a single token of the embedded model's tokenizer.
///
/// LUMEN's form: `USER: … ASSISTANT: Sure, the location is [LOC]. The task output is [DET].` Where a specialist's
/// finding is read back, it is put in by the program: a number after `[COUNT]`, ``nothing`` when nothing was found.
public enum Prompt {
    public static let user = "USER: "
    public static let assistant = " ASSISTANT: "
    public static let located = "Sure, the location is "
    public static let taskOutput = ". The task output is "
    public static let end = "</s>"
    public static let loc = "[LOC]"
    public static let padding = "<pad>"

    /// What the program puts in after a location answer for which nothing was found; the model goes on with what it
    /// was that is not there: " There is no red circle."
    public static let nothing = " There is no"

    /// What the program says in place of ``nothing`` and what follows it, where the model names what is there.
    public static let nothingAlike = " There is nothing like that."

    /// What the program says where the model does not know the word for what is asked about.
    public static let notKnown = " I do not know what that is."

    /// What the program says where the model says nothing at all.
    public static let unknown = "I do not understand that request."

    /// What the program says where the model loses itself, and where it does so after looking in vain.
    public static let lost = "I cannot tell."
    public static let blank = "I see nothing that I know."

    /// What stands before what is told of a thing, "It is red.", and between them where that is a name; and what an answer
    /// begins with that compares its place.
    public static let subject = "It is"
    public static let articles = ["a", "an"]
    public static let verdicts = ["Yes", "No"]

    /// What the program puts in after `[COUNT]`: " three."
    public static func counted(_ count: Int) -> String { " \(number(count))." }

    /// A number as a word: "none", "one" … "twelve", and digits from 13 on.
    public static func number(_ count: Int) -> String {
        let words = [
            "none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
            "twelve",
        ]
        return words.indices.contains(count) ? words[count] : String(count)
    }

    /// What the model reads before it answers.
    public static func question(_ request: String) -> String { "\(user)\(request)\(assistant)" }

    /// LUMEN's answer to a request for a place, but for the full stop, or the number after `[COUNT]`.
    public static func location(_ route: Route) -> String { "\(located)\(loc)\(taskOutput)\(route.token)" }

    /// The tokens to be added to a tokenizer for this form, ids in this order.
    public static let addedTokens: [AddedToken] = {
        let phrases =
            // Without its space, which belongs to the phrase's first word.
            [user, assistant, located, taskOutput, nothing, String(LocateResponse.lead.dropLast())]
            + LocateResponse.tails
        return specialTokens + phrases.map { .phrase($0) }
    }()

    /// Those of them without which there is no answer; a published tokenizer gets them alone.
    public static let specialTokens: [AddedToken] =
        ([padding, end, loc] + Route.allCases.map(\.token)).map { .special($0) }
}
