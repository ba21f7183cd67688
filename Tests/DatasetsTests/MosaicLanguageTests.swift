import Datasets
import Media
import Testing

@Suite struct MosaicLanguageTests {
    private func slice(_ text: String, _ range: Range<Int>) -> String {
        String(decoding: Array(text.utf8)[range], as: UTF8.self)
    }

    /// Scenes with a generator each, some of them in another size.
    private func eachScene(
        _ count: Int = 300, _ body: (MosaicScene, inout SceneRandom) throws -> Void
    ) throws {
        for index in 0..<count {
            let configuration = try MosaicConfiguration(size: index % 5 == 0 ? 192 : 128)
            let scene = MosaicScene(seed: 11, index: index, configuration: configuration)
            var random = SceneRandom(seed: 11, index: index, stream: 2)
            try body(scene, &random)
        }
    }

    @Test func phrases() {
        #expect(
            MosaicDescription(kind: .circle, colour: .red, size: .small, texture: .striped).phrase
                == "small striped red circle")
        #expect(MosaicDescription(kind: .person, colour: .red, size: .small).phrase == "person in red")
        #expect(MosaicDescription(kind: .person, colour: .red).plural == "people in red")
        #expect(MosaicDescription(kind: .cross, texture: .dotted).plural == "dotted crosses")
        #expect(MosaicDescription(colour: .orange).phrase == "orange object")
        #expect(MosaicDescription().plural == "objects")
        #expect(MosaicScene.classNames.count == 11 && MosaicScene.classNames.last == "person")
    }

    @Test func detectionPhrasesAskForWhatMatches() throws {
        var absent = 0
        try eachScene { scene, random in
            for _ in 0..<5 {
                let detection = scene.detectionPhrase(using: &random)
                #expect(Phrases.matches(detection.description.phrase, scene) == detection.matches)
                #expect(Phrases.matches(detection.description.plural, scene) == detection.matches)
                absent += detection.matches.isEmpty ? 1 : 0
                #expect(!scene.detectionPhrase(negativeRate: 0, using: &random).matches.isEmpty)
            }
        }
        #expect((200..<600).contains(absent))
    }

    @Test func expressionsMeanOneThing() throws {
        var found: [MosaicReference.Kind: Int] = [:]
        try eachScene { scene, random in
            for kind in MosaicReference.Kind.allCases {
                for _ in 0..<4 {
                    guard let reference = scene.referringExpression(kind: kind, using: &random) else {
                        continue
                    }
                    #expect(reference.kind == kind)
                    #expect(Phrases.referents(reference.text, scene) == [reference.target])
                    #expect(reference.description.matches(scene.objects[reference.target]))
                    #expect((reference.anchor != nil) == (kind == .relation))
                    check(reference.mentions, in: reference.text, of: scene)
                    found[kind, default: 0] += 1
                }
            }
        }
        #expect(MosaicReference.Kind.allCases.allSatisfy { found[$0, default: 0] > 500 })
    }

    /// Every mention is a noun phrase that can mean the objects it says.
    private func check(_ mentions: [MosaicMention], in text: String, of scene: MosaicScene) {
        #expect(!mentions.isEmpty)
        for mention in mentions {
            let phrase = slice(text, mention.range)
            var objects = Phrases.referents("the \(phrase)", scene)
            if mentions.count == 2, mention == mentions[0], Phrases.relation(text) != nil {
                objects?.removeAll { mentions[1].objects == [$0] }
            }
            #expect(objects == mention.objects, "\(phrase) in \(text)")
        }
    }

    @Test func comparisonsAreClear() throws {
        try eachScene { scene, random in
            let unit = Double(scene.size) / 128
            for _ in 0..<4 {
                guard let reference = scene.referringExpression(kind: .relation, using: &random),
                    let (before, direction, _) = Phrases.relation(String(reference.text.dropFirst(4)))
                else { continue }
                let anchor = scene.objects[reference.anchor!]
                for candidate in Phrases.matches(before, scene)! where candidate != reference.anchor {
                    let distance = Phrases.distance(scene.objects[candidate], anchor, direction) / unit
                    #expect(candidate == reference.target ? distance > 7 : distance <= -4)
                }
            }
        }
    }

    @Test func twinsCannotBeToldApart() throws {
        // One object alone has no superlative and no relation.
        let single = try MosaicConfiguration(maximumObjects: 1)
        for index in 0..<20 {
            let scene = MosaicScene(seed: 12, index: index, configuration: single)
            var random = SceneRandom(seed: 12, index: index, stream: 2)
            #expect(scene.referringExpression(kind: .superlative, using: &random) == nil)
            #expect(scene.referringExpression(kind: .relation, using: &random) == nil)
            #expect(scene.question(kind: .relation, using: &random) == nil)
            #expect(scene.referringExpression(using: &random)?.target == 0)
        }
    }

    @Test func answersAreTrue() throws {
        let numbers = [
            "none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
            "twelve",
        ]
        var words: [MosaicQuestion.Kind: [String: Int]] = [:]
        try eachScene { scene, random in
            for kind in MosaicQuestion.Kind.allCases {
                for _ in 0..<3 {
                    guard let question = scene.question(kind: kind, using: &random) else { continue }
                    #expect(question.kind == kind)
                    #expect("?.".contains(question.text.last!))
                    words[kind, default: [:]][question.answerWord, default: 0] += 1
                    check(question.mentions, in: question.text, of: scene)
                    let phrase = slice(question.text, question.mentions[0].range)
                    let matches = try #require(Phrases.matches(phrase, scene))
                    #expect(question.matches == matches)
                    let subject = question.subject.map { scene.objects[$0] }
                    switch kind {
                    case .colour, .shape, .texture, .size:
                        #expect(matches.count == 1 && matches.first == question.subject)
                        let word =
                            switch kind {
                            case .colour: subject?.colour.name
                            case .shape: subject?.kind.name
                            case .texture: subject?.texture?.name
                            default: subject?.size?.name
                            }
                        #expect(question.answerWord == word)
                        #expect(!phrase.contains(word!))
                        let article = kind == .shape ? (word == "ellipse" ? "an " : "a ") : ""
                        #expect(question.answer == "It is \(article)\(word!).")
                    case .count:
                        #expect(question.answerWord == numbers[matches.count])
                        let verb = matches.count == 1 ? "is" : "are"
                        #expect(question.answer == "There \(verb) \(numbers[matches.count]).")
                    case .exist:
                        #expect(question.answer == (matches.isEmpty ? "No, there is not." : "Yes, there is."))
                        #expect(question.answer.hasPrefix("\(question.answerWord), "))
                        let article = "aeiou".contains(phrase.first!) ? "an" : "a"
                        #expect(question.text.contains("Is there \(article) \(phrase)"))
                    case .relation:
                        let text = String(question.text.dropFirst("Is the ".count).dropLast())
                        let (before, direction, after) = try #require(Phrases.relation(text))
                        let first = try #require(Phrases.matches(before, scene))
                        let second = try #require(Phrases.matches(after, scene))
                        #expect(first.count == 1 && second.count == 1 && first[0] == question.subject)
                        let distance = Phrases.distance(
                            scene.objects[first[0]], scene.objects[second[0]], direction)
                        #expect(abs(distance) >= 7 * Double(scene.size) / 128)
                        #expect(question.answer == (distance > 0 ? "Yes, it is." : "No, it is not."))
                    }
                }
            }
        }
        // Yes and no are about as common.
        for kind in [MosaicQuestion.Kind.exist, .relation] {
            let (yes, no) = (words[kind]?["Yes"] ?? 0, words[kind]?["No"] ?? 0)
            #expect(yes > 200 && no > 200 && abs(yes - no) < (yes + no) / 4)
        }
        #expect(words[.colour]?.count == 10 && words[.shape]?.count == 10)
        #expect(words[.texture]?.count == 3 && words[.size]?.count == 3)
        #expect(words[.count]?["none"] ?? 0 > 10 && words[.count]?["twelve"] != nil)
    }

    @Test func captionsCount() throws {
        try eachScene { scene, _ in
            let numbers = [
                "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
                "twelve",
            ]
            let caption = scene.caption()
            #expect(caption.hasPrefix("There ") && caption.hasSuffix("."))
            let words = caption.dropLast().split { " ,".contains($0) }.dropFirst(2).filter { $0 != "and" }
            var total = 0
            var last = -1
            for pair in stride(from: words.startIndex, to: words.endIndex, by: 2) {
                let count = try #require(numbers.firstIndex(of: String(words[pair]))) + 1
                let noun = String(words[pair + 1])
                let kind = try #require(
                    MosaicKind.allCases.first { (count == 1 ? $0.name : $0.plural) == noun })
                #expect(scene.objects.count { $0.kind == kind } == count)
                #expect(kind.rawValue > last)
                last = kind.rawValue
                total += count
            }
            #expect(total == scene.objects.count)
            #expect(caption.hasPrefix(words.first == "one" ? "There is one" : "There are "))
        }
    }

    @Test func languageIsFixedForEver() throws {
        let scene = MosaicScene(seed: 1, index: 3)
        var random = SceneRandom(seed: 1, index: 3, stream: 2)
        var texts = [scene.caption()]
        texts.append(scene.detectionPhrase(using: &random).description.phrase)
        texts.append(scene.referringExpression(using: &random)?.text ?? "")
        texts.append(scene.question(using: &random)?.text ?? "")
        #expect(
            texts == [
                "There are two circles, three squares, four stars, one heart, one diamond and one ellipse.",
                "red circle", "the red object below the striped star", "What size is the diamond?",
            ])
    }
}
