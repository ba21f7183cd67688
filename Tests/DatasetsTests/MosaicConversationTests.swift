import Datasets
import Media
import Testing
import Text

@Suite struct MosaicConversationTests {
    /// A turn with what it was asked of.
    private struct Asked {
        let scene: MosaicScene
        let turn: ConversationTurn
    }

    private static let configurations = [MosaicConfiguration.standard, .rich]

    /// Turns of every sort about scenes of both rings.
    private static func turns(_ phrasing: MosaicPhrasing, plain: Int = 300, rich: Int = 30) -> [Asked] {
        zip(configurations, [plain, rich]).flatMap { configuration, count in
            (0..<count).flatMap { index in
                let scene = MosaicScene(seed: 31, index: index, configuration: configuration)
                var random = SceneRandom(seed: 31, index: index, stream: 2)
                var turns = (0..<8).map { number in
                    scene.locationTurn(
                        referringShare: 0.4, negativeRate: 0.4, freeWording: number == 0 ? 0 : 1,
                        phrasing: phrasing, using: &random)
                }
                for kind in MosaicQuestion.Kind.allCases {
                    turns += [scene.questionTurn(kind: kind, phrasing: phrasing, using: &random)].compactMap {
                        $0
                    }
                }
                turns.append(scene.captionTurn(phrasing: phrasing, using: &random))
                for _ in 0..<3 {
                    turns += [scene.compoundTurn(phrasing: phrasing, using: &random)].compactMap { $0 }
                }
                return turns.map { Asked(scene: scene, turn: $0) }
            }
        }
    }

    private static let training = turns(.training)
    private static let unseen = turns(.unseen)

    /// What was asked for in one request alone that has one [LOC].
    private static let single = training.filter { asked in
        asked.turn.queries.count == 1 && !asked.turn.answer.contains { $0.subject != nil }
    }

    private func slice(_ text: String, _ range: Range<Int>) -> String {
        String(decoding: Array(text.utf8)[range], as: UTF8.self)
    }

    private func answer(_ turn: ConversationTurn) -> String { turn.answer.map(\.text).joined() }

    @Test func turnsAreWellFormed() {
        for asked in Self.training + Self.unseen {
            let (scene, turn) = (asked.scene, asked.turn)
            let text = answer(turn)
            #expect(
                text.split(separator: "[LOC]", omittingEmptySubsequences: false).count - 1
                    == turn.queries.count)
            #expect(text.first != " " && text.hasSuffix("."))
            #expect(!text.contains("..") && !text.contains("  ") && !turn.request.contains("  "))
            #expect(!turn.request.contains { "{}[]".contains($0) })
            #expect(
                !turn.request.contains("?.") && !turn.request.contains(".?") && !turn.request.contains("?,"))
            for query in turn.queries {
                #expect(query.description != nil && (!query.isReferring || query.objects.count == 1))
                if !query.isReferring {
                    #expect(query.objects == query.description.map { scene.matches(of: $0) })
                }
            }
            for (number, piece) in turn.answer.enumerated() {
                #expect(!piece.isInserted || number == 0 || piece.text.hasPrefix(" "))
                #expect(piece.subject.map { scene.objects.indices.contains($0) } ?? true)
            }
            #expect(!turn.visibleAnswer.isEmpty && !turn.visibleAnswer.contains("[COUNT]"))
        }
    }

    @Test func mentionsCutOutTheirPhrases() {
        for asked in Self.training + Self.unseen {
            let (scene, turn) = (asked.scene, asked.turn)
            var end = 0
            for mention in turn.mentions {
                let phrase = slice(turn.request, mention.range)
                #expect(mention.range.lowerBound >= end, "\(turn.request)")
                end = mention.range.upperBound
                guard let objects = Phrases.referents("the \(phrase)", scene) else {
                    Issue.record("\(phrase) in \(turn.request)")
                    continue
                }
                // "star" in "the star left of the ring" never means the anchor.
                #expect(Set(mention.objects).isSubset(of: objects), "\(phrase) in \(turn.request)")
                #expect(objects.count - mention.objects.count <= 1, "\(phrase) in \(turn.request)")
                #expect(mention.objects.allSatisfy { mention.description!.matches(scene.objects[$0]) })
            }
        }
    }

    @Test func referringTurnsMeanOneThing() {
        var found = 0
        for asked in Self.single where asked.turn.queries[0].isReferring {
            let (turn, query) = (asked.turn, asked.turn.queries[0])
            let first = turn.mentions[0].range.lowerBound
            let expression = slice(turn.request, (first - 4)..<turn.mentions.last!.range.upperBound)
            #expect(Phrases.referents(expression, asked.scene) == query.objects, "\(turn.request)")
            #expect([.grounding, .referringSegmentation, .points].contains(query.route))
            found += 1
        }
        #expect(found > 300)
    }

    @Test func countsAndAbsencesAreTold() {
        var (counts, absences, definite) = (0, 0, 0)
        for asked in Self.single {
            let (turn, query) = (asked.turn, asked.turn.queries[0])
            let pieces = turn.answer
            if query.route == .count, pieces[0].text == Prompt.location(.count) {
                #expect(pieces[1] == AnswerPiece(Prompt.counted(query.objects.count), isInserted: true))
                let number = Prompt.number(query.objects.count)
                let isOne = query.objects.count == 1
                let expected = [
                    " There \(isOne ? "is" : "are") \(number).",
                    query.objects.isEmpty ? " No, there is not." : " Yes, there is.",
                ]
                #expect(pieces.count == 3 && expected.contains(pieces[2].text), "\(answer(turn))")
                #expect(turn.visibleAnswer == pieces[2].text.dropFirst())
                counts += 1
            } else if query.route != .count, query.objects.isEmpty {
                let phrase = query.description!.phrase
                #expect(answer(turn) == "\(Prompt.location(query.route)). There is no \(phrase).")
                #expect(pieces.map(\.isInserted) == [false, true, false] && pieces[1].text == Prompt.nothing)
                #expect(turn.visibleAnswer == "There is no \(phrase).")
                absences += 1
                definite += query.route.isSingle ? 1 : 0
            } else if query.route != .count {
                #expect(answer(turn) == Prompt.location(query.route) + ".")
                #expect(turn.visibleAnswer == answer(turn))
            }
        }
        #expect(counts > 400 && absences > 300 && definite > 20)
    }

    @Test func plainAnswersAreTrue() throws {
        var words: [MosaicQuestion.Kind: [String: Int]] = [:]
        for configuration in Self.configurations {
            for index in 0..<(configuration.ring == .plain ? 300 : 30) {
                let scene = MosaicScene(seed: 32, index: index, configuration: configuration)
                var random = SceneRandom(seed: 32, index: index, stream: 2)
                for kind in MosaicQuestion.Kind.allCases {
                    guard let turn = scene.questionTurn(kind: kind, phrasing: .training, using: &random)
                    else {
                        continue
                    }
                    let answer = turn.visibleAnswer
                    let last = String(answer.dropLast().split { $0 == " " }.last!)
                    let key = [.exist, .relation].contains(kind) ? String(answer.prefix { $0 != "," }) : last
                    words[kind, default: [:]][key, default: 0] += 1
                    guard let subject = turn.answer.last?.subject else {
                        #expect([.count, .exist].contains(kind))
                        continue
                    }
                    #expect(turn.mentions[0].objects == [subject] && turn.queries.isEmpty)
                    let object = scene.objects[subject]
                    switch kind {
                    case .colour: #expect(answer == "It is \(object.colour.name).")
                    case .size: #expect(answer == "It is \(object.size!.name).")
                    case .texture: #expect(answer == "It is \(object.texture!.name).")
                    case .shape:
                        let article = "aeiou".contains(object.kind.name.first!) ? "an" : "a"
                        #expect(answer == "It is \(article) \(object.kind.name).")
                    default:
                        let start = turn.mentions[0].range.upperBound
                        let between = slice(turn.request, start..<turn.mentions[1].range.upperBound)
                        let (_, direction, _) = try #require(
                            Phrases.relation(
                                between.replacing(" is ", with: " ").replacing(" located ", with: " ")))
                        let distance = Phrases.distance(
                            object, scene.objects[turn.mentions[1].objects[0]], direction)
                        #expect(answer == (distance > 0 ? "Yes, it is." : "No, it is not."))
                    }
                }
            }
        }
        // Yes and no are about as common.
        for kind in [MosaicQuestion.Kind.exist, .relation] {
            let (yes, no) = (words[kind]?["Yes"] ?? 0, words[kind]?["No"] ?? 0)
            #expect(yes > 80 && no > 80 && abs(yes - no) < (yes + no) / 3, "\(yes) \(no)")
        }
        #expect(words[.colour]?.count == 10 && words[.texture]?.count == 3 && words[.size]?.count == 3)
        #expect(words[.count]?["none"] ?? 0 > 5)
    }

    @Test func captionsCountEveryKind() {
        var doubts = 0
        for asked in Self.training where asked.turn.queries.count > 0 && asked.turn.mentions.isEmpty {
            let (scene, turn) = (asked.scene, asked.turn)
            let listed = turn.queries.map { ($0.description!.kind!, $0.objects.count) }
            #expect(listed.map(\.0.rawValue) == listed.map(\.0.rawValue).sorted())
            // What is not there is not learnt to be listed, and not said.
            let kindPieces = turn.answer.filter { $0.text.contains("[LOC]") }
            #expect(kindPieces.map(\.isInserted) == listed.map { $0.1 == 0 })
            let counts = listed.filter { $0.1 > 0 }
            #expect(listed.count - counts.count <= 1)
            doubts += listed.count - counts.count
            let kinds = Set(scene.objects.map(\.kind))
            #expect(counts.count == min(kinds.count, 8))
            let named = counts.reduce(0) { $0 + $1.1 }
            if kinds.count <= 8 { #expect(named == scene.objects.count) }
            let parts = counts.map { kind, count in
                "\(count > 12 ? "\(count)" : Prompt.number(count)) \(count == 1 ? kind.name : kind.plural)"
            }
            let list = (parts.dropLast().joined(separator: ", ") + " and " + parts.last!)
            let verb = counts[0].1 == 1 ? "is" : "are"
            #expect(turn.visibleAnswer == "There \(verb) \(parts.count == 1 ? parts[0] : list).")
            #expect(turn.visibleAnswer == scene.caption())
            #expect(turn.answer[0].text == "\(listed[0].0.name)[LOC][COUNT]")
        }
        #expect(doubts > 30)
    }

    /// The words of a request without its phrases.
    private func body(_ turn: ConversationTurn) -> String {
        var bytes = Array(turn.request.utf8)
        for mention in turn.mentions.reversed() { bytes.replaceSubrange(mention.range, with: "#".utf8) }
        return String(decoding: bytes, as: UTF8.self).lowercased().filter { !".?".contains($0) }
    }

    @Test func unseenSentencesAreNeverTrainedOn() {
        func bodies(_ asked: [Asked]) -> Set<String> {
            Set(asked.map { body($0.turn) }.filter { !$0.hasPrefix("please find the location of") })
        }
        let (training, unseen) = (bodies(Self.training), bodies(Self.unseen))
        #expect(training.count > 500 && unseen.count > 200)
        #expect(training.isDisjoint(with: unseen), "\(training.intersection(unseen))")
        func words(_ bodies: Set<String>) -> Set<Substring> {
            Set(bodies.flatMap { $0.split { " ,'#".contains($0) } })
        }
        let new = words(unseen).subtracting(words(training))
        #expect(new.isEmpty, "\(new)")
    }

    /// "look at the picture and find the stars" is one request: "and" alone must not tell that there are two.
    @Test func oneRequestMayHaveTwoVerbs() {
        var routes: [Route: Set<Bool>] = [:]
        for asked in Self.training where asked.turn.queries.count <= 1 {
            guard let route = asked.turn.queries.first?.route else { continue }
            routes[route, default: []].insert(body(asked.turn).contains(" and "))
        }
        #expect(Route.allCases.allSatisfy { routes[$0] == [true, false] }, "\(routes)")
    }

    /// The route must follow from the words alone, as it does for the model.
    private func route(of text: String) -> Route {
        func has(_ words: [String]) -> Bool { words.contains { text.contains($0) } }
        if has(["how many", "number of", "count"]) { return .count }
        if has(["point", "click", "joint", "pose", "skeleton"]) { return .points }
        let isMask = has([
            "segment", "outline", "cut", "mask", "trace", "extract", "background", "pixels", "exact shape",
            "everything else",
        ])
        let isAll = has(["every #", "each #", "all #", "the #s", "each of", "all of", "{many}"])
        return Route(isMask ? .masks : .boxes, isReferring: !isAll)
    }

    @Test func freeWordingsDecideTheirRoute() {
        for phrasing in [MosaicPhrasing.training, .unseen] {
            let scene = MosaicScene(seed: 1, index: 3)
            var random = SceneRandom(seed: 21)
            for referring in [0.0, 1.0] {
                var bodies: Set<String> = []
                for _ in 0..<1500 {
                    let turn = scene.locationTurn(
                        referringShare: referring, negativeRate: 0, freeWording: 1, phrasing: phrasing,
                        using: &random)
                    let asked = turn.queries[0].route
                    let guess = route(of: body(turn))
                    if asked == .count || asked == .points {
                        #expect(guess == asked, "\(turn.request)")
                    } else {
                        let isMask = asked == .segmentation || asked == .referringSegmentation
                        #expect(
                            isMask == (guess == .segmentation || guess == .referringSegmentation),
                            "\(turn.request)")
                        #expect(turn.queries[0].isReferring == (referring == 1))
                    }
                    bodies.insert(body(turn))
                }
                #expect(bodies.count > (phrasing == .training ? 200 : 60))
            }
        }
    }

    @Test func fixedForm() {
        let turn = MosaicScene.keypointTurn("left wrist")
        #expect(turn.request == "Please find the location of left wrist. Respond with points.")
        #expect(answer(turn) == "Sure, the location is [LOC]. The task output is [POINT].")
        #expect(turn.queries == [LocationQuery(objects: [], description: nil, route: .points)])
        let scene = MosaicScene(seed: 1, index: 3)
        var random = SceneRandom(seed: 3)
        for _ in 0..<200 {
            let turn = scene.locationTurn(
                referringShare: 0.5, negativeRate: 0, freeWording: 0, phrasing: .unseen, using: &random)
            #expect(turn.request.hasPrefix(LocateResponse.lead))
            let phrase = String(turn.request.dropFirst(LocateResponse.lead.count))
            #expect(turn.queries[0].isReferring == (Route.isSingle(phrase)))
        }
    }

    @Test func compoundsAreAnsweredOneByOne() {
        var found = 0
        for asked in Self.training where asked.turn.queries.count > 1 && !asked.turn.mentions.isEmpty {
            let parts = answer(asked.turn).components(separatedBy: "Sure, the location is [LOC]")
            #expect(parts.count == asked.turn.queries.count + 1)
            #expect(parts.dropFirst().dropLast().allSatisfy { $0.hasSuffix(" ") })
            found += 1
        }
        #expect(found > 200)
    }

    @Test func sameSeedSameTurns() {
        let again = Self.turns(.training, plain: 20, rich: 0).map(\.turn)
        #expect(again == Self.training.prefix(again.count).map(\.turn))
    }

    @Test func languageIsFixedForEver() throws {
        let scene = MosaicScene(seed: 1, index: 3)
        var random = SceneRandom(seed: 1, index: 3, stream: 2)
        var texts = [scene.caption()]
        texts.append(scene.detectionPhrase(using: &random).description.phrase)
        texts.append(scene.referringExpression(using: &random)?.text ?? "")
        texts.append(
            scene.locationTurn(
                referringShare: 0.5, negativeRate: 0.3, freeWording: 1, phrasing: .training, using: &random
            ).request)
        texts.append(scene.questionTurn(phrasing: .training, using: &random)?.request ?? "")
        texts.append(scene.compoundTurn(phrasing: .training, using: &random)?.request ?? "")
        #expect(
            texts == [
                "There are two circles, three squares, four stars, one heart, one diamond and one ellipse.",
                "green star", "the plain-colored heart",
                "Draw an outline around the striped object above the oval", "count every diamond.",
                "Say which color the medium solid star has, tell me if there are any pink hearts and also extract the medium moon",
            ])
    }
}

extension String {
    fileprivate func components(separatedBy separator: String) -> [Substring] {
        split(separator: separator, omittingEmptySubsequences: false)
    }
}
