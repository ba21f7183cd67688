import Datasets
import Media
public import Text

/// The sentences of Mosaic's world, from which the embedded model's tokenizer is trained.
public enum MosaicCorpus {
    /// The number of occurrences from which on a word becomes one token.
    private static let repetitions = 60

    /// Trains the tokenizer; the same arguments give the same one.
    ///
    /// - Parameters:
    ///   - seed: the seed of the scenes.
    ///   - vocabularySize: the number of tokens.
    ///   - scenes: how many scenes of each ring are read; more would hardly change the tokens.
    public static func tokenizer(seed: UInt64, vocabularySize: Int, scenes: Int = 300) throws -> Tokenizer {
        try BPETrainer(vocabularySize: vocabularySize, addedTokens: Prompt.addedTokens).train(
            on: sentences(seed: seed, scenes: scenes))
    }

    static func sentences(seed: UInt64, scenes: Int) -> [String] {
        var sentences: [String] = []
        // Every word is repeated often enough to become one token, also if a small sample seldom holds it. The
        // attributes come first, so that a small vocabulary has them, too.
        for word in MosaicVocabulary.words + Keypoints.cocoNames {
            sentences += Array(repeating: "find the \(word) please", count: repetitions)
        }
        for name in MosaicBatch.attributes.joined() {
            sentences += Array(repeating: "the \(name)", count: 10 * repetitions)
        }
        // A caption begins with a noun.
        for name in MosaicKind.names { sentences += Array(repeating: name, count: repetitions) }
        for count in 0...MosaicConfiguration.objectCounts.upperBound {
            sentences += Array(repeating: "There are\(Prompt.counted(count))", count: repetitions)
        }
        for name in Keypoints.cocoNames { sentences.append(MosaicScene.keypointTurn(name).request) }
        for configuration in [MosaicConfiguration.standard, .rich] {
            for index in 0..<scenes {
                let scene = MosaicScene(seed: seed, index: index, configuration: configuration)
                var random = SceneRandom(seed: seed, index: index, stream: 3)
                var turns = (0..<6).map { _ in
                    scene.locationTurn(
                        referringShare: 0.4, negativeRate: 0.3, freeWording: 0.9, phrasing: .training,
                        using: &random)
                }
                turns += MosaicQuestion.Kind.allCases.compactMap {
                    scene.questionTurn(kind: $0, phrasing: .training, using: &random)
                }
                turns += [scene.compoundTurn(phrasing: .training, using: &random)].compactMap { $0 }
                turns.append(scene.captionTurn(phrasing: .training, using: &random))
                for turn in turns { sentences += [turn.request, turn.visibleAnswer] }
            }
        }
        return sentences
    }
}
