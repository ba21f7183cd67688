import Datasets
public import Text
import Vitrail

/// The sentences of Mosaic's world, from which the embedded model's tokenizer is trained.
public enum MosaicCorpus {
    /// Scenes whose sentences are read.
    static let scenes = 1_500

    /// Trains the tokenizer; the same seed gives the same one.
    public static func tokenizer(seed: UInt64, vocabularySize: Int) throws -> Tokenizer {
        try BPETrainer(vocabularySize: vocabularySize, addedTokens: Prompt.addedTokens).train(
            on: sentences(seed: seed))
    }

    static func sentences(seed: UInt64) -> [String] {
        var sentences = MosaicBatch.captionRequests
        // Every name often enough to become one token, also those that a small sample holds seldom.
        for name in MosaicBatch.attributes.joined() + MosaicKind.allCases.map(\.plural) + Keypoint.names {
            sentences += Array(repeating: "find the \(name) please", count: 50)
        }
        for index in 0..<scenes {
            let scene = MosaicScene(seed: seed, index: index)
            var random = SceneRandom(seed: seed, index: index, stream: 3)
            for kind in MosaicQuestion.Kind.allCases {
                guard let question = scene.question(kind: kind, using: &random) else { continue }
                sentences += [question.text, question.answer]
            }
            sentences.append(scene.caption())
            for response in LocateResponse.allCases {
                let description = scene.detectionPhrase(using: &random).description
                let (one, many) = (description.phrase, description.plural)
                sentences.append(LocateRequest(singular: one, plural: many, response, using: &random).text)
                if let reference = scene.referringExpression(kind: nil, using: &random) {
                    sentences.append(LocateRequest(expression: reference.text, response, using: &random).text)
                }
            }
        }
        return sentences
    }
}

private enum Keypoint {
    static let names = [
        "nose", "eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "left", "right",
    ]
}
