package import Datasets
package import Text

/// What the benchmark asks about a scene, and what is true.
package struct MosaicRequests {
    package struct Phrase {
        package let text: String
        package let matches: [Int]
    }

    package struct Referring {
        package let kind: MosaicReference.Kind
        package let text: String
        package let target: Int
    }

    package struct Sentence {
        package let text: String
        /// What a user reads when all is right.
        package let answer: String
    }

    package struct Place {
        package let text: String
        /// What a user reads when all is right.
        package let answer: String
        package let route: Route
        package let matches: [Int]
    }

    static let phrasesPerScene = 6
    static let countsPerScene = 2
    static let routesPerScene = 2
    static let absencesPerScene = 2

    package let phrases: [Phrase]
    package let counts: [Phrase]
    /// One of each kind, where the scene has one.
    package let referring: [Referring]
    /// One of each kind, where the scene has one.
    package let questions: [(kind: MosaicQuestion.Kind, sentence: Sentence)]
    package let caption: Sentence
    package let routes: [Place]
    package let absences: [Place]

    /// Always the same of a scene, whichever tasks are scored.
    ///
    /// - Parameters:
    ///   - scene: what is asked about.
    ///   - asksHeldOutPairs: whether the phrases are the colour-shape pairs that training may leave out.
    package init(_ scene: MosaicScene, asksHeldOutPairs: Bool = false) {
        var random = SceneRandom(seed: scene.seed, index: scene.index, stream: 4)
        func phrase(_ negativeRate: Double) -> Phrase {
            let detection = scene.detectionPhrase(negativeRate: negativeRate, using: &random)
            return Phrase(text: detection.description.phrase, matches: detection.matches)
        }
        let some = (0..<Self.phrasesPerScene).map { _ in phrase(0.4) }
        let pairs = MosaicConfiguration.heldOutPairs.map { pair in
            let description = MosaicDescription(kind: pair.kind, colour: pair.colour)
            return Phrase(text: description.phrase, matches: scene.matches(of: description))
        }
        phrases = asksHeldOutPairs ? pairs : some
        counts = (0..<Self.countsPerScene).map { _ in phrase(0.2) }
        referring = MosaicReference.Kind.allCases.compactMap { kind in
            scene.referringExpression(kind: kind, using: &random).map {
                Referring(kind: kind, text: $0.text, target: $0.target)
            }
        }
        questions = MosaicQuestion.Kind.allCases.compactMap { kind in
            scene.questionTurn(kind: kind, phrasing: .training, using: &random).map {
                (kind, Sentence(text: $0.request, answer: $0.visibleAnswer))
            }
        }
        let turn = scene.captionTurn(phrasing: .training, using: &random)
        caption = Sentence(text: turn.request, answer: turn.visibleAnswer)
        routes = (0..<Self.routesPerScene).map { _ in
            Self.place(
                scene.locationTurn(
                    referringShare: 0.3, negativeRate: 0.1, freeWording: 1, phrasing: .unseen, using: &random)
            )
        }
        // Asking for something absent is as likely as not.
        absences = (0..<Self.absencesPerScene).map { number in
            let isAbsent = number % 2 == 0
            while true {
                let turn = scene.locationTurn(
                    referringShare: 0, negativeRate: isAbsent ? 1 : 0, freeWording: 1, phrasing: .training,
                    using: &random)
                let place = Self.place(turn)
                if place.route != .count, place.matches.isEmpty == isAbsent { return place }
            }
        }
    }

    private static func place(_ turn: ConversationTurn) -> Place {
        let query = turn.queries[0]
        return Place(
            text: turn.request, answer: turn.visibleAnswer, route: query.route, matches: query.objects)
    }
}
