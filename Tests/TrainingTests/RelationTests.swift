internal import Datasets
internal import Foundation
internal import NN
internal import TestSupport
internal import Testing
internal import Text
internal import Torch
internal import Training
internal import Vitrail

/// What a training tells of questions such as "is the star left of the ring?".
struct RelationTests {
    private static func trainer(_ folder: TemporaryFolder) throws -> Trainer {
        try TinyTraining.trainer(folder.file("run")) {
            ($0.stages[0].steps, $0.stages[0].visionSteps, $0.stages[0].poseShare) = (100, 0, 0)
            $0.stages[0].schedule.decayShare = 0
            ($0.stages[0].plainScenes, $0.stages[0].richShare, $0.stages[0].easyShare) = (6, 0, 0)
            // One of each kind.
            $0.stages[0].questions = MosaicQuestion.Kind.allCases.count
        }
    }

    /// One state that is asked for a relation, with all that is told of it.
    private struct Asked {
        let text: String
        let direction: MosaicRelation
        let distance: Float
        /// The word that the answer turns on.
        let answer: Int
        let subject: [Float]
        let anchor: [Float]
    }

    private static func asked(_ trainer: Trainer, step: Int, shard: Int) throws -> [Asked] {
        let words = try #require(trainer.batch(step: step, shard: shard).words)
        let tokenizer = trainer.model.tokenizer
        var texts: [String] = []
        for ids in words.ids {
            let length = ids.size(2)
            let all = try ids.array(Int.self)
            for start in stride(from: 0, to: all.count, by: length) {
                let text = tokenizer.decode(Array(all[start..<(start + length)]))
                texts += Array(repeating: text, count: length)
            }
        }
        let subjects = try words.subjects.positions.array(Int.self)
        let answers = try words.varying.targets.array(Int.self)
        let places = try words.subjects.place.array(Float.self)
        let anchors = try words.subjects.anchor.array(Float.self)
        let directions = try words.relations.directions.array(Int.self)
        let distances = try words.relations.distances.array(Float.self)
        return try words.relations.positions.array(Int.self).enumerated().map { index, position in
            let row = try #require(subjects.firstIndex(of: position))
            return Asked(
                text: texts[position], direction: try #require(MosaicRelation(rawValue: directions[index])),
                distance: distances[index], answer: answers[row],
                subject: Array(places[(2 * row)..<(2 * row + 2)]),
                anchor: Array(anchors[(2 * row)..<(2 * row + 2)]))
        }
    }

    @Test func directionAndDistanceAreThoseOfTheWordsAndTheScene() throws {
        let trainer = try Self.trainer(TemporaryFolder())
        let yes = ["Yes", " Yes"].map { trainer.model.tokenizer.encode("\($0), it is.")[0] }
        let no = ["No", " No"].map { trainer.model.tokenizer.encode("\($0), it is not.")[0] }
        let words: [MosaicRelation: [String]] = [
            .left: ["left of"], .right: ["right of"], .above: ["above", "higher than"],
            .below: ["below", "under", "lower than"],
        ]
        var seen: [MosaicRelation: Set<Bool>] = [:]
        for step in 0..<6 {
            for asked in try (0..<2).flatMap({ try Self.asked(trainer, step: step, shard: $0) }) {
                #expect(
                    words[asked.direction]!.contains { asked.text.contains(" \($0) ") }, "\(asked.text)")
                let isThere = asked.distance > 0
                #expect((isThere ? yes : no).contains(asked.answer), "\(asked.text) \(asked.distance)")
                let (x, y) = (asked.subject[0] - asked.anchor[0], asked.subject[1] - asked.anchor[1])
                let expected =
                    switch asked.direction {
                    case .left: -x
                    case .right: x
                    case .above: -y
                    case .below: y
                    }
                #expect(abs(asked.distance - expected) < 1e-6, "\(asked.text)")
                seen[asked.direction, default: []].insert(isThere)
            }
        }
        #expect(seen.count == 4, "\(seen)")
        #expect(seen.values.reduce(into: Set()) { $0.formUnion($1) } == [true, false])
    }

    @Test func aRelationIsAtFirstUnknownAndThenLearnt() throws {
        let trainer = try Self.trainer(TemporaryFolder())
        let batch = try trainer.batch(step: 0, shard: 0)
        let distances = try #require(batch.words).relations.distances
        func learn() throws -> [String: Double] {
            try trainer.learn(from: [batch]).reduce(into: [:]) { $0[$1.name] = $1.value }
        }
        let first = try learn()
        let weights = trainer.configuration.stages[0].bindingLosses
        #expect(abs(try #require(first["direction"]) - log(4) * weights.subject) < 1e-3)
        let mean = try distances.abs().mean().item()
        #expect(abs(try #require(first["beside"]) - mean * weights.subjectPlace) < 1e-3)
        var last = first
        for _ in 0..<20 { last = try learn() }
        #expect(last["direction"]! < 0.8 * first["direction"]!, "\(last)")
    }
}
