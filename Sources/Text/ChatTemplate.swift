#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// One turn of a conversation.
public struct ChatMessage: Sendable, Hashable {
    public enum Role: String, Sendable, Codable { case system, user, assistant }

    public var role: Role
    public var text: String

    public init(_ role: Role, _ text: String) {
        self.role = role
        self.text = text
    }

    /// A question about pictures: `<image>` and a line end for each, then the text, as LLaVA has them.
    public static func user(_ text: String, images: Int = 0) -> ChatMessage {
        ChatMessage(.user, String(repeating: "\(ChatTemplate.image)\n", count: images) + text)
    }
}

/// How a chat model wants a conversation written. Templates are known by name: LLaVA's own names (`conv_templates` of its
/// llava/conversation.py), and `llava_hf`, `vicuna`, `llama_2_hf`, `llama_3` for the `chat_template` of Hugging Face folders,
/// which is recognised by what its code and its texts say; Jinja is not run.
public struct ChatTemplate: Sendable, Hashable {
    /// What stands for a picture in a prompt.
    public static let image = "<image>"

    /// The template's name.
    public private(set) var name: String
    /// What is said first when the messages do not begin with a system message.
    public private(set) var system: String?
    /// What the model writes when its answer is over.
    public private(set) var stop: String
    /// Whether prompts begin with the token for a text's beginning: then the tokenizer must not add it.
    public var beginsText: Bool { !start.isEmpty }

    private var start = ""
    private var systemTurn = Turn("", "")
    private var userTurn = Turn("", "")
    private var assistantTurn = Turn("", "")
    /// What opens the answer.
    private var opening = ""
    /// What stands before every question but the first.
    private var separator = ""
    private var trims = false
    /// Whether the system message is the beginning of the first question.
    private var systemIsAsked = false

    private struct Turn: Sendable, Hashable {
        var before: String
        var after: String
        init(_ before: String, _ after: String) { (self.before, self.after) = (before, after) }
    }

    /// The template with this name.
    ///
    /// Throws an error that lists the names if there is none.
    public init(named name: String) throws(ChatTemplateError) {
        guard let known = Self.known[name] else { throw .unknownName(name, known: Self.names) }
        self = known
    }

    /// The template that is meant by a `chat_template` in Jinja.
    ///
    /// Throws an error that lists the names of those recognised if it is none of them.
    public init(jinja text: String) throws(ChatTemplateError) {
        let template = JinjaText(text)
        let found = Self.marks.first { mark in
            mark.present.allSatisfy(template.code.contains)
                && !mark.absent.contains(where: template.code.contains)
                && (mark.literals.map { !template.hasTextOutside && template.literals.isSubset(of: $0) }
                    ?? true)
        }
        guard let found else { throw .unknownJinja(text, known: Self.marks.map(\.name)) }
        try self.init(named: found.name)
    }

    /// The template of a model's folder: that of `chat_template.jinja`, `chat_template.json` or
    /// `tokenizer_config.json`; nil if there is none of them.
    ///
    /// Throws if it is not known.
    public init?(folder: String) throws(ChatTemplateError) {
        let folder = URL(fileURLWithPath: folder)
        if let text = try? String(
            contentsOf: folder.appendingPathComponent("chat_template.jinja"), encoding: .utf8)
        {
            try self.init(jinja: text)
            return
        }
        for file in ["chat_template.json", "tokenizer_config.json"] {
            guard let field = try? JSONField(contentsOf: folder.appendingPathComponent(file)),
                let template = try? field.member("chat_template")
            else { continue }
            // Several templates are a list with names.
            let named = try? template.elements().first { try $0.required("name").string() == "default" }
            guard let text = try? (named?.required("template") ?? template).string() else {
                throw .unknownJinja("of \(file)", known: Self.marks.map(\.name))
            }
            try self.init(jinja: text)
            return
        }
        return nil
    }

    /// The conversation as one text, up to where the answer begins unless the last message is one.
    ///
    /// A system message at the beginning takes the place of the template's own.
    public func prompt(_ messages: [ChatMessage]) -> String {
        var messages = messages[...]
        var system = system
        if let first = messages.first, first.role == .system {
            system = trimmed(first.text)
            messages = messages.dropFirst()
        }
        let systemText = system.map { systemTurn.before + $0 + systemTurn.after } ?? ""
        var result = start + (systemIsAsked ? "" : systemText)
        for (index, message) in messages.enumerated() {
            let asked = index == 0 && systemIsAsked ? systemText : ""
            switch message.role {
            case .assistant: result += assistantTurn.before + trimmed(message.text) + assistantTurn.after
            case .user:
                result +=
                    (index > 0 ? separator : "") + userTurn.before + asked + trimmed(message.text)
                    + userTurn.after
            case .system: result += systemTurn.before + trimmed(message.text) + systemTurn.after
            }
        }
        return result + (messages.last?.role == .assistant ? "" : opening)
    }
}

// The table of templates.
extension ChatTemplate {
    /// The names of all templates.
    public static let names = known.keys.sorted()

    private static let known: [String: ChatTemplate] = {
        let curiousUser =
            "A chat between a curious user and an artificial intelligence assistant. "
            + "The assistant gives helpful, detailed, and polite answers to the user's questions."
        let curiousHuman = curiousUser.replacing("curious user", with: "curious human")
            .replacing("the user's", with: "the human's")
        let safe = """
            You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, while being safe.  \
            Your answers should not include any harmful, unethical, racist, sexist, toxic, dangerous, or illegal content. \
            Please ensure that your responses are socially unbiased and positive in nature.

            If a question does not make any sense, or is not factually coherent, explain why instead of answering something \
            not correct. If you don't know the answer to a question, please don't share false information.
            """
        let visual =
            "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
            + "provides, and assist the user with a variety of tasks using natural language."

        func roles(
            _ name: String, system: String, user: String, assistant: String, _ between: String, stop: String
        )
            -> ChatTemplate
        {
            var template = ChatTemplate(name: name, system: system, stop: stop)
            template.systemTurn = Turn("", between)
            template.userTurn = Turn("\(user): ", between)
            template.assistantTurn = Turn("\(assistant): ", stop)
            template.opening = "\(assistant):"
            return template
        }
        func llama2(_ name: String, system: String?) -> ChatTemplate {
            var template = ChatTemplate(name: name, system: system, stop: "</s>")
            template.systemTurn = Turn("<<SYS>>\n", "\n<</SYS>>\n\n")
            template.userTurn = Turn("[INST] ", " [/INST]")
            template.assistantTurn = Turn(" ", " </s>")
            template.separator = "<s>"
            template.systemIsAsked = true
            return template
        }
        let vicuna = {
            roles($0, system: curiousUser, user: "USER", assistant: "ASSISTANT", " ", stop: "</s>")
        }

        var plain = ChatTemplate(name: "plain", system: nil, stop: "\n")
        plain.userTurn = Turn("", "\n")
        plain.assistantTurn = Turn("", "\n")

        var mpt = ChatTemplate(
            name: "mpt",
            system: "A conversation between a user and an LLM-based AI assistant. "
                + "The assistant gives helpful and honest answers.", stop: "<|im_end|>")
        mpt.systemTurn = Turn("<|im_start|>system\n", "<|im_end|>")
        mpt.userTurn = Turn("<|im_start|>user\n", "<|im_end|>")
        mpt.assistantTurn = Turn("<|im_start|>assistant\n", "<|im_end|>")
        mpt.opening = mpt.assistantTurn.before

        var llavaHF = roles("llava_hf", system: "", user: "USER", assistant: "ASSISTANT", " ", stop: "</s>")
        llavaHF.system = nil
        llavaHF.assistantTurn.after = " "

        var vicunaHF = ChatTemplate(name: "vicuna", system: curiousUser, stop: "</s>")
        vicunaHF.userTurn = Turn(" USER: ", "")
        vicunaHF.assistantTurn = Turn(" ASSISTANT: ", "</s>")
        vicunaHF.opening = " ASSISTANT:"
        vicunaHF.trims = true

        var llama2HF = llama2("llama_2_hf", system: nil)
        (llama2HF.start, llama2HF.trims) = ("<s>", true)

        var llama3 = ChatTemplate(name: "llama_3", system: nil, stop: "<|eot_id|>")
        func header(_ role: String) -> Turn {
            Turn("<|start_header_id|>\(role)<|end_header_id|>\n\n", "<|eot_id|>")
        }
        llama3.start = "<|begin_of_text|>"
        (llama3.systemTurn, llama3.userTurn) = (header("system"), header("user"))
        llama3.assistantTurn = header("assistant")
        (llama3.opening, llama3.trims) = (header("assistant").before, true)

        let all = [
            vicuna("vicuna_v1"), vicuna("v1"),
            roles("llava_v1", system: curiousHuman, user: "USER", assistant: "ASSISTANT", " ", stop: "</s>"),
            roles(
                "llava_v0", system: curiousHuman, user: "Human", assistant: "Assistant", "###", stop: "###"),
            llama2("llava_llama_2", system: visual), llama2("llama_2", system: safe), plain, mpt, llavaHF,
            vicunaHF,
            llama2HF, llama3,
        ]
        return Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
    }()

    private init(name: String, system: String?, stop: String) {
        (self.name, self.system, self.stop) = (name, system, stop)
    }

    /// What the code of a Jinja template has, and has not, when it is one of these, and the only texts that it may hold.
    private static let marks: [(name: String, present: [String], absent: [String], literals: Set<String>?)] =
        [
            (
                "llava_hf", ["message.role.upper()+': '", "'<image>\\n'", "'ASSISTANT:'"], [],
                [
                    "system", "user", "assistant", "type", "equalto", "image", "text", ": ", "<image>\n", " ",
                    "ASSISTANT:",
                ]
            ),
            ("vicuna", ["' USER: '+message.content", "' ASSISTANT: '+message.content"], ["<image>"], nil),
            ("llama_2_hf", ["[INST] ", " [/INST]", "<<SYS>>"], ["<image>", "tools"], nil),
            (
                "llama_3", ["<|start_header_id|>", "<|eot_id|>", "bos_token+content"], ["tools", "<image>"],
                nil
            ),
        ]

    private func trimmed(_ text: String) -> String {
        guard trims else { return text }
        return String(
            decoding: Array(text.utf8)[...].trimmingWhiteSpace(left: true, right: true), as: UTF8.self)
    }
}

/// Why there is no template.
public enum ChatTemplateError: Error, Equatable, CustomStringConvertible {
    case unknownName(String, known: [String])
    case unknownJinja(String, known: [String])

    public var description: String {
        switch self {
        case .unknownName(let name, let known):
            "no chat template is named \(quoted(name)); there are \(known.joined(separator: ", "))"
        case .unknownJinja(let text, let known):
            "the chat_template \(quoted(String(text.prefix(60)))) is none of those recognised: "
                + known.joined(separator: ", ")
        }
    }
}
