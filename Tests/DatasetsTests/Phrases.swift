import Datasets
import Media

/// Reads the language back, from its words alone, as an independent check of what wrote it.
enum Phrases {
    typealias Predicate = @Sendable (MosaicObject) -> Bool

    private static let nouns: [String: MosaicKind] = {
        var nouns: [String: MosaicKind] = [:]
        for kind in MosaicKind.allCases {
            nouns[kind.name] = kind
            nouns[kind.plural] = kind
            let sign = kind.name.suffix(1)
            if kind.name.hasPrefix("letter ") {
                for noun in ["\(sign)", "capital \(sign)", "capital letters \(sign)"] { nouns[noun] = kind }
            } else if kind.name.hasPrefix("digit ") {
                for noun in ["number", "numbers", "numeral", "numerals"] { nouns["\(noun) \(sign)"] = kind }
            }
        }
        let others: [MosaicKind: [String]] = [
            .circle: ["disc"], .star: ["star-shaped object"], .heart: ["heart-shaped object"],
            .cross: ["plus sign"], .ring: ["hoop", "donut"], .moon: ["crescent", "crescent moon"],
            .ellipse: ["oval"], .person: ["human", "figure"], .house: ["home", "building"],
            .car: ["automobile"], .boat: ["ship"], .flower: ["blossom"], .cup: ["mug"],
            .umbrella: ["parasol"], .mushroom: ["toadstool"],
        ]
        for (kind, words) in others {
            for word in words {
                nouns[word] = kind
                nouns[word + "s"] = kind
            }
        }
        for (word, kind) in [
            "plus": MosaicKind.cross, "pluses": .cross, "rhombus": .diamond, "rhombuses": .diamond,
        ] { nouns[word] = kind }
        return nouns
    }()

    private static let adjectives: [String: Predicate] = {
        var adjectives: [String: Predicate] = [:]
        let colours: [MosaicColour: [String]] = [
            .red: ["crimson", "scarlet"], .green: ["emerald"], .blue: ["cobalt"], .yellow: ["lemon"],
            .orange: ["tangerine"], .purple: ["violet"], .pink: ["rose"], .cyan: ["turquoise", "aqua"],
            .white: ["snow-white"], .black: ["jet-black"],
        ]
        for colour in MosaicColour.allCases {
            for word in [colour.name] + colours[colour]! {
                adjectives[word] = { $0.colour == colour }
                adjectives[word + "-colored"] = { $0.colour == colour }
            }
        }
        let sizes: [MosaicSize: [String]] = [
            .small: ["small", "little", "tiny"], .medium: ["medium", "medium-sized", "mid-sized"],
            .large: ["large", "big", "huge"],
        ]
        for (size, words) in sizes {
            for word in words { adjectives[word] = { $0.size == size } }
        }
        let textures: [MosaicTexture: [String]] = [
            .solid: ["solid", "plain", "plain-colored"], .striped: ["striped", "stripy"],
            .dotted: ["dotted", "spotted"],
        ]
        for (texture, words) in textures {
            for word in words { adjectives[word] = { $0.texture == texture } }
        }
        return adjectives
    }()

    /// What a noun phrase, singular or plural, is true of; nil when a word is not known.
    static func predicate(_ phrase: String) -> Predicate? {
        if let range = phrase.firstRange(of: " one among the ") {
            return predicate("\(phrase[..<range.lowerBound]) \(phrase[range.upperBound...])")
        }
        var phrase = phrase
        var tests: [Predicate] = []
        // "person in a red shirt", "circle that is red".
        for words in [
            " dressed in ", " in a ", " in an ", " in ", " with a ", " with an ", " with ", " wearing ",
            " that is ",
            " that are ",
        ] {
            guard let range = phrase.firstRange(of: words) else { continue }
            let word = String(phrase[range.upperBound...].prefix { $0 != " " })
            let tail = ["stripes": "striped", "dots": "dotted"][word] ?? word
            guard let test = adjectives[tail] else { continue }
            tests.append(test)
            phrase = String(phrase[..<range.lowerBound])
        }
        var words = phrase.split { $0 == " " }.map { String($0) }
        while let first = words.first, let test = adjectives[first] {
            tests.append(test)
            words.removeFirst()
        }
        let noun = words.joined(separator: " ")
        if ["object", "objects", "thing", "things", "item", "items"].contains(noun) {
            tests.append { $0.kind != .person }
        } else if let kind = nouns[noun] {
            tests.append { $0.kind == kind }
        } else {
            return nil
        }
        return { [tests] object in tests.allSatisfy { $0(object) } }
    }

    static func matches(_ phrase: String, _ scene: MosaicScene) -> [Int]? {
        predicate(phrase).map { predicate in scene.objects.indices.filter { predicate(scene.objects[$0]) } }
    }

    /// The relation words of a phrase with what stands before and after; nil when there are none.
    static func relation(_ text: String) -> (
        before: String, direction: (x: Double, y: Double), after: String
    )? {
        let words: [(String, (Double, Double))] = [
            (" to the left of the ", (-1, 0)), (" to the right of the ", (1, 0)),
            (" on the left of the ", (-1, 0)), (" on the right of the ", (1, 0)),
            (" left of the ", (-1, 0)), (" right of the ", (1, 0)), (" above the ", (0, -1)),
            (" below the ", (0, 1)),
            (" higher than the ", (0, -1)),
            (" lower than the ", (0, 1)), (" under the ", (0, 1)),
        ]
        for (words, direction) in words {
            guard let range = text.firstRange(of: words) else { continue }
            return (String(text[..<range.lowerBound]), direction, String(text[range.upperBound...]))
        }
        return nil
    }

    /// How far the middle of one box lies from that of another in a direction.
    static func distance(
        _ a: MosaicObject, _ b: MosaicObject, _ direction: (x: Double, y: Double)
    ) -> Double {
        let x = (a.box.x + a.box.maxX - b.box.x - b.box.maxX) / 2
        let y = (a.box.y + a.box.maxY - b.box.y - b.box.maxY) / 2
        return x * direction.x + y * direction.y
    }

    /// All objects that an expression can mean, for a reader who takes every difference as one.
    static func referents(_ expression: String, _ scene: MosaicScene) -> [Int]? {
        guard expression.hasPrefix("the ") else { return nil }
        var text = String(expression.dropFirst(4))
        for (words, word) in [(" furthest to the left", "leftmost"), (" furthest to the right", "rightmost")]
        where text.hasSuffix(words) { text = "\(word) \(text.dropLast(words.count))" }
        if let (before, direction, after) = relation(text) {
            guard let candidates = matches(before, scene), let anchors = matches(after, scene),
                anchors.count == 1
            else { return nil }
            let anchor = anchors[0]
            return candidates.filter {
                $0 != anchor && distance(scene.objects[$0], scene.objects[anchor], direction) > 0
            }
        }
        let measures: [String: (MosaicObject) -> Double] = [
            "largest": { $0.box.width * $0.box.height }, "biggest": { $0.box.width * $0.box.height },
            "smallest": { -$0.box.width * $0.box.height }, "tiniest": { -$0.box.width * $0.box.height },
            "leftmost": { -$0.box.x - $0.box.maxX }, "rightmost": { $0.box.x + $0.box.maxX },
            "highest": { -$0.box.y - $0.box.maxY }, "uppermost": { -$0.box.y - $0.box.maxY },
            "lowest": { $0.box.y + $0.box.maxY },
            "topmost": { -$0.box.y - $0.box.maxY }, "bottommost": { $0.box.y + $0.box.maxY },
        ]
        let first = String(text.prefix { $0 != " " })
        if let measure = measures[first] {
            guard let candidates = matches(String(text.dropFirst(first.count + 1)), scene),
                candidates.count > 1
            else { return nil }
            let best = candidates.map { measure(scene.objects[$0]) }.max()!
            return candidates.filter { measure(scene.objects[$0]) == best }
        }
        return matches(text, scene)
    }
}
