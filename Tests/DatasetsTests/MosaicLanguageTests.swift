import Datasets
import Media
import Testing

@Suite struct MosaicLanguageTests {
    private func slice(_ text: String, _ range: Range<Int>) -> String {
        String(decoding: Array(text.utf8)[range], as: UTF8.self)
    }

    /// Scenes with a generator each, most of the plain ring, some of them in another size, some of the rich ring.
    private func eachScene(
        _ count: Int = 300, rich: Int = 20, _ body: (MosaicScene, inout SceneRandom) throws -> Void
    ) throws {
        for index in 0..<count + rich {
            let plain = try MosaicConfiguration(size: index % 5 == 0 ? 192 : 128)
            let scene = MosaicScene(seed: 11, index: index, configuration: index < count ? plain : .rich)
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
        #expect(MosaicDescription(kind: .house, texture: .dotted).plural == "houses")
        #expect(MosaicScene.classNames(of: .plain).last == "person")
        #expect(MosaicScene.classNames(of: .rich) == MosaicKind.names)
    }

    @Test func phrasesInOtherWordsSayTheSame() throws {
        var random = SceneRandom(seed: 5)
        var others: Set<String> = []
        try eachScene(60, rich: 20) { scene, _ in
            for object in scene.objects {
                let description = MosaicDescription(
                    kind: random.chance(0.8) ? object.kind : nil,
                    colour: random.chance(0.5) ? object.colour : nil,
                    size: random.chance(0.3) ? object.size : nil,
                    texture: random.chance(0.3) ? object.texture : nil)
                for isPlural in [false, true] {
                    let phrase = description.phrase(isPlural: isPlural, using: &random)
                    #expect(Phrases.matches(phrase, scene) == scene.matches(of: description), "\(phrase)")
                    if phrase != (isPlural ? description.plural : description.phrase) {
                        others.insert(phrase)
                    }
                }
            }
        }
        #expect(others.count > 100)
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
            let clear = Double(scene.size) * (scene.configuration.ring == .plain ? 7.0 / 128 : 10.0 / 256)
            for _ in 0..<4 {
                guard let reference = scene.referringExpression(kind: .relation, using: &random),
                    let (before, direction, _) = Phrases.relation(String(reference.text.dropFirst(4)))
                else { continue }
                let anchor = scene.objects[reference.anchor!]
                for candidate in try #require(Phrases.matches(before, scene), "\(reference.text)")
                where candidate != reference.anchor {
                    let distance = Phrases.distance(scene.objects[candidate], anchor, direction)
                    #expect(candidate == reference.target ? distance > clear : distance <= -clear * 4 / 7)
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
            #expect(scene.questionTurn(kind: .relation, phrasing: .training, using: &random) == nil)
            #expect(scene.referringExpression(using: &random)?.target == 0)
        }
    }
}
