import Datasets
import Media

/// Reads the language back, from its words alone, as an independent check of what wrote it.
enum Phrases {
    typealias Predicate = (MosaicObject) -> Bool

    /// What a noun phrase, singular or plural, is true of; nil when a word is not known.
    static func predicate(_ phrase: String) -> Predicate? {
        var words = phrase.split { $0 == " " }.map { String($0) }
        var tests: [Predicate] = []
        // "person in red".
        if words.count == 3, words[1] == "in" {
            guard ["person", "people"].contains(words[0]) else { return nil }
            guard let colour = MosaicColour.allCases.first(where: { $0.name == words[2] }) else { return nil }
            return { $0.kind == .person && $0.colour == colour }
        }
        let noun = words.removeLast()
        if noun == "object" || noun == "objects" {
            tests.append { $0.kind != .person }
        } else if let kind = MosaicKind.allCases.first(where: { $0.name == noun || $0.plural == noun }) {
            tests.append { $0.kind == kind }
        } else {
            return nil
        }
        for word in words {
            if let colour = MosaicColour.allCases.first(where: { $0.name == word }) {
                tests.append { $0.colour == colour }
            } else if let size = MosaicSize.allCases.first(where: { $0.name == word }) {
                tests.append { $0.size == size }
            } else if let texture = MosaicTexture.allCases.first(where: { $0.name == word }) {
                tests.append { $0.texture == texture }
            } else {
                return nil
            }
        }
        return { object in tests.allSatisfy { $0(object) } }
    }

    static func matches(_ phrase: String, _ scene: MosaicScene) -> [Int]? {
        predicate(phrase).map { predicate in scene.objects.indices.filter { predicate(scene.objects[$0]) } }
    }

    /// The relation words of a phrase with what stands before and after; nil when there are none.
    static func relation(_ text: String) -> (
        before: String, direction: (x: Double, y: Double), after: String
    )? {
        let words: [(String, (Double, Double))] = [
            (" to the left of the ", (-1, 0)), (" to the right of the ", (1, 0)), (" left of the ", (-1, 0)),
            (" right of the ", (1, 0)), (" above the ", (0, -1)), (" below the ", (0, 1)),
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
        let text = String(expression.dropFirst(4))
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
            "smallest": { -$0.box.width * $0.box.height },
            "leftmost": { -$0.box.x - $0.box.maxX }, "rightmost": { $0.box.x + $0.box.maxX },
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
