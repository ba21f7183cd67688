import Foundation

/// A tokenizer of Llama's kind that owes nothing to Llama's: SentencePiece's BPE with byte fallback in a
/// `tokenizer.json`, whose merges join one to four letters in the order of the alphabet.
enum SyntheticTokenizer {
    /// `tokenizer.json` and the two files beside it.
    ///
    /// - Parameters:
    ///   - size: tokens without `added` ones, whose ids follow.
    ///   - added: special tokens beside `<unk>`, `<s>` and `</s>`.
    ///   - context: tokens that the model takes.
    static func files(_ size: Int, added: [String], _ context: Int) -> [(name: String, content: Any)] {
        let (tokens, merges) = vocabulary(size)
        func special(_ id: Int, _ content: String) -> [String: Any] {
            [
                "id": id, "content": content, "special": true, "normalized": false, "lstrip": false,
                "rstrip": false, "single_word": false,
            ]
        }
        func replace(_ pattern: String, _ content: String) -> [String: Any] {
            ["type": "Replace", "pattern": ["String": pattern], "content": content]
        }
        func piece(_ kind: String, _ id: String) -> [String: Any] { [kind: ["id": id, "type_id": 0]] }
        let start = piece("SpecialToken", "<s>")
        let normalizers: [[String: Any]] = [["type": "Prepend", "prepend": "▁"], replace(" ", "▁")]
        let decoders: [[String: Any]] = [
            replace("▁", " "), ["type": "ByteFallback"], ["type": "Fuse"],
            ["type": "Strip", "content": " ", "start": 1, "stop": 0],
        ]
        let specials =
            ["<unk>", "<s>", "</s>"].enumerated().map { special($0.offset, $0.element) }
            + added.enumerated().map { special(size + $0.offset, $0.element) }
        let tokenizer: [String: Any] = [
            "version": "1.0", "truncation": NSNull(), "padding": NSNull(), "added_tokens": specials,
            "normalizer": ["type": "Sequence", "normalizers": normalizers], "pre_tokenizer": NSNull(),
            "post_processor": [
                "type": "TemplateProcessing", "single": [start, piece("Sequence", "A")],
                "pair": [start, piece("Sequence", "A"), start, piece("Sequence", "B")],
                "special_tokens": ["<s>": ["id": "<s>", "ids": [1], "tokens": ["<s>"]] as [String: Any]],
            ] as [String: Any],
            "decoder": ["type": "Sequence", "decoders": decoders],
            "model": [
                "type": "BPE", "dropout": NSNull(), "unk_token": "<unk>",
                "continuing_subword_prefix": NSNull(), "end_of_word_suffix": NSNull(), "fuse_unk": true,
                "byte_fallback": true, "ignore_merges": false, "merges": merges,
                "vocab": Dictionary(uniqueKeysWithValues: tokens.enumerated().map { ($1, $0) }),
            ] as [String: Any],
        ]
        let padding = added.contains("<pad>") ? "<pad>" : "<unk>"
        let names = ["bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": padding]
        let configuration: [String: Any] = [
            "tokenizer_class": "LlamaTokenizerFast", "add_bos_token": true, "add_eos_token": false,
            "model_max_length": context, "padding_side": "left", "legacy": true,
            "clean_up_tokenization_spaces": false,
        ].merging(names) { $1 }
        return [
            ("tokenizer.json", tokenizer), ("tokenizer_config.json", configuration),
            ("special_tokens_map.json", names),
        ]
    }

    /// Special tokens, the bytes, the printable characters of ASCII, and runs of letters until there are enough.
    static func vocabulary(_ size: Int) -> (tokens: [String], merges: [String]) {
        var tokens =
            ["<unk>", "<s>", "</s>"] + (0..<256).map { String(format: "<0x%02X>", $0) } + ["▁"]
            + (33...126).map { String(UnicodeScalar($0)) }
        var merges: [String] = []
        let letters = (97...122).map { String(UnicodeScalar($0)) }
        var runs = letters
        func add(_ left: String, _ right: String) {
            guard tokens.count < size else { return }
            merges.append("\(left) \(right)")
            tokens.append(left + right)
        }
        for letter in letters { add("▁", letter) }
        for _ in 2...4 {
            let longer = runs.flatMap { run in letters.map { (run, $0) } }
            for (run, letter) in longer { add(run, letter) }
            for (run, letter) in longer { add("▁\(run)", letter) }
            guard tokens.count < size else { break }
            runs = longer.map { $0.0 + $0.1 }
        }
        return (tokens, merges)
    }
}
