import Foundation
import Testing
import Text

@Suite("ChatTemplate")
struct ChatTemplateTests {
    private struct Rendered: Decodable {
        var name: String
        var jinja: String
        var messages: [[String]]
        var prompt: String
    }

    @Test("Hugging Face's templates give what transformers renders, and are recognised by their text")
    func rendered() throws {
        for expected in try Fixtures.read([Rendered].self, "templates.json") {
            let template = try ChatTemplate(jinja: expected.jinja)
            #expect(template.name == expected.name)
            let messages = expected.messages.map { ChatMessage(ChatMessage.Role(rawValue: $0[0])!, $0[1]) }
            #expect(template.prompt(messages) == expected.prompt)
            #expect(template.beginsText == (expected.name.hasPrefix("llama")))
        }
    }

    private static let turns: [ChatMessage] = [
        .user("What is this?", images: 1), ChatMessage(.assistant, "A cat."), .user("Where?"),
    ]
    private static let human =
        "A chat between a curious human and an artificial intelligence assistant. "
        + "The assistant gives helpful, detailed, and polite answers to the human's questions."

    /// The prompts that `get_prompt` of LLaVA's llava/conversation.py makes of the same turns, an empty answer last.
    @Test(
        "LLaVA's templates, by their names there",
        arguments: [
            (
                "vicuna_v1",
                "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
                    + "detailed, and polite answers to the user's questions. USER: <image>\nWhat is this? "
                    + "ASSISTANT: A cat.</s>USER: Where? ASSISTANT:"
            ),
            (
                "llava_v1",
                "\(human) USER: <image>\nWhat is this? ASSISTANT: A cat.</s>USER: Where? ASSISTANT:"
            ),
            (
                "llava_v0",
                "\(human)###Human: <image>\nWhat is this?###Assistant: A cat.###Human: Where?###Assistant:"
            ),
            (
                "llava_llama_2",
                "[INST] <<SYS>>\nYou are a helpful language and vision assistant. You are able to understand the visual "
                    + "content that the user provides, and assist the user with a variety of tasks using natural language."
                    + "\n<</SYS>>\n\n<image>\nWhat is this? [/INST] A cat. </s><s>[INST] Where? [/INST]"
            ),
            ("plain", "<image>\nWhat is this?\nA cat.\nWhere?\n"),
            (
                "mpt",
                "<|im_start|>system\nA conversation between a user and an LLM-based AI assistant. The assistant gives "
                    + "helpful and honest answers.<|im_end|><|im_start|>user\n<image>\nWhat is this?<|im_end|>"
                    + "<|im_start|>assistant\nA cat.<|im_end|><|im_start|>user\nWhere?<|im_end|><|im_start|>assistant\n"
            ),
        ])
    func named(name: String, prompt: String) throws {
        let template = try ChatTemplate(named: name)
        #expect(template.prompt(Self.turns) == prompt)
        #expect(!template.beginsText)
    }

    @Test("a folder's template is found in each of its files, and only there")
    func folder() throws {
        let jinja = try #require(try Fixtures.read([Rendered].self, "templates.json").first).jinja
        let quoted = String(decoding: try JSONEncoder().encode(jinja), as: UTF8.self)
        for (file, content) in [
            ("chat_template.jinja", jinja), ("chat_template.json", "{\"chat_template\": \(quoted)}"),
            (
                "tokenizer_config.json",
                "{\"chat_template\": [{\"name\": \"default\", \"template\": \(quoted)}], \"legacy\": true}"
            ),
        ] {
            let folder = try TemporaryFolder()
            #expect(try ChatTemplate(folder: folder.path) == nil)
            try folder.write(content, to: file)
            #expect(try ChatTemplate(folder: folder.path)?.name == "llava_hf")
        }
    }

    private static let published = Result {
        try #require(try Fixtures.read([Rendered].self, "templates.json").first).jinja
    }

    /// Other ways to write the template of llava-hf, all of which transformers renders alike.
    @Test(
        "a template is known by what it says, however it is written",
        arguments: [
            ("\\n", "\n"), ("'", "\""), (" + ", "+"), ("['role']", ".role"),
            ("{% for message", "{# every one #}\n  {%- for message"), ("%}{%", "%}\n    {%"),
            ("{% for content", "{%-  for   content"),
        ])
    func anotherForm(_ old: String, _ new: String) throws {
        let jinja = try Self.published.get()
        #expect(try ChatTemplate(jinja: jinja.replacingOccurrences(of: old, with: new)).name == "llava_hf")
    }

    @Test(
        "a template that says something else is not taken for one that is known",
        arguments: [
            ("<image>\\n", "<image>\\n\\n"), ("'ASSISTANT:'", "'ASSISTANT: '"),
            ("{% for message", "Hello. {% for message"),
            ("{{ 'ASSISTANT:' }}", "{{ 'ASSISTANT:' }}{{ '<|think|>' }}"), ("': '", "':\\n'"),
            ("}}{% endfor %}", "}}\n{% endfor %}"), ("%}{% for content", "%} {% for content"),
        ])
    func anotherMeaning(_ old: String, _ new: String) throws {
        let jinja = try Self.published.get()
        #expect(jinja.contains(old))
        #expect(throws: ChatTemplateError.self) {
            try ChatTemplate(jinja: jinja.replacingOccurrences(of: old, with: new))
        }
    }

    @Test("an unknown template is an error of one line that names those known")
    func unknown() throws {
        let name = try #require(throws: ChatTemplateError.self) { try ChatTemplate(named: "vicuna_v9") }
        #expect(name.description.hasPrefix("no chat template is named \"vicuna_v9\"; there are llama_2, "))
        let jinja = try #require(throws: ChatTemplateError.self) {
            try ChatTemplate(jinja: "{{ messages }}\n{{ bos_token }}")
        }
        #expect(
            jinja.description
                == "the chat_template \"{{ messages }}\\n{{ bos_token }}\" is none of those recognised: "
                + "llava_hf, vicuna, llama_2_hf, llama_3")
    }
}

@Suite("StopStrings")
struct StopStringsTests {
    @Test(
        "the text ends where the first whole stop string begins, however it is cut into pieces",
        arguments: [
            ("one</s>two", ["</s>"], "one", true),
            ("a###b", ["##", "###"], "a", true),
            ("xabcy", ["abc", "b"], "xa", true),
            ("aaab", ["aab"], "a", true),
            ("no end <", ["</s>"], "no end <", false),
            ("ends with </", ["</s>"], "ends with </", false),
            ("é👍🏽USER:é", ["USER:"], "é👍🏽", true),
            ("🏽x", ["🏾"], "🏽x", false),
            ("anything", [], "anything", false),
            ("anything", [""], "anything", false),
        ])
    func cut(text: String, stops: [String], expected: String, isStopped: Bool) {
        for length in 1...max(1, text.unicodeScalars.count) {
            var filter = StopStrings(stops)
            var result = ""
            var rest = text.unicodeScalars[...]
            while !rest.isEmpty {
                let piece = filter.feed(String(String.UnicodeScalarView(rest.prefix(length))))
                #expect(!stops.contains { !$0.isEmpty && piece.contains($0) })
                result += piece
                rest = rest.dropFirst(length)
            }
            #expect(filter.isStopped == isStopped)
            result += filter.finish()
            #expect(same(result, expected), "in pieces of \(length)")
            #expect(!filter.isStopped)
        }
    }

    @Test("only what may become a stop string is held back")
    func heldBack() {
        var filter = StopStrings(["</s>", "USER:"])
        #expect(filter.feed("Hi <") == "Hi ")
        #expect(filter.feed("b> U") == "<b> ")
        #expect(filter.feed("S") == "")
        #expect(filter.feed("A") == "USA")
        #expect(filter.feed("USER:more") == "")
        #expect(filter.isStopped)
        #expect(filter.feed("more") == "")
        #expect(filter.finish() == "")
    }
}
