/// Which requests are a fine-tuned model's to answer, and which are left to the model from before, that it keeps beside it: a
/// tuning on bare nouns forgets colours, other things, and how they are told of.
package struct TunedNames: Sendable {
    /// The words of each class, and whether the model from before knows it too.
    private let classes: [(words: [String], isKnown: Bool)]

    /// - Parameters:
    ///   - classes: what the model was tuned to find.
    ///   - known: the kinds that the model from before knows.
    package init(_ classes: [String], known: [String]) {
        self.classes = classes.map { (Self.words(of: $0), known.contains($0)) }
    }

    /// Words beside a name that say no more than that it is asked for.
    private static let fillers: Set<String> = [
        "a", "all", "an", "any", "are", "as", "at", "box", "boxes", "count", "detect", "each", "every",
        "find",
        "for", "give", "how", "image", "in", "is", "locate", "location", "many", "mark", "mask", "masks",
        "me",
        "number", "of", "on", "outline", "photo", "picture", "please", "point", "points", "respond",
        "segment",
        "show", "the", "there", "this", "to", "where", "with", "you", "can", "see", "do",
    ]

    /// Whether the tuned model answers a phrase or a sentence: one of its classes is named, and where the model from before knows
    /// that class too, nothing else is said of it.
    package func areMeant(by text: String) -> Bool {
        let words = Self.words(of: text)
        return classes.contains { name, isKnown in
            guard let place = Self.place(of: name, in: words) else { return false }
            let others = words[..<place] + words[(place + name.count)...]
            return !isKnown || others.allSatisfy(Self.fillers.contains)
        }
    }

    private static func words(of text: String) -> [String] {
        text.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
    }

    private static func place(of name: [String], in words: [String]) -> Int? {
        guard let last = name.last, words.count >= name.count else { return nil }
        return (0...words.count - name.count).first { start in
            words[start..<start + name.count - 1].elementsEqual(name.dropLast())
                && isForm(words[start + name.count - 1], of: last)
        }
    }

    /// Whether a word is a noun or its plural.
    private static func isForm(_ word: String, of noun: String) -> Bool {
        let plurals = [
            "s", "es", noun.hasSuffix("y") ? "ies" : nil, noun.hasSuffix("f") ? "ves" : nil,
            noun.hasSuffix("fe") ? "ves" : nil,
        ]
        let stems = [noun, noun, String(noun.dropLast()), String(noun.dropLast()), String(noun.dropLast(2))]
        return word == noun
            || zip(stems, plurals).contains { stem, ending in ending.map { stem + $0 == word } ?? false }
            || noun == "person" && word == "people"
    }
}
