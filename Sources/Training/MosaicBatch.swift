import Datasets
import Foundation
import Media
import Text
package import Torch
import Vitrail

/// The scenes of one training step with everything that is asked about them; a pure function of the seed and the step.
///
/// Shapes: b scenes, o objects at most, q location queries, t texts a scene.
package struct MosaicBatch {
    /// What the attribute head knows, by group.
    static let attributes = [MosaicKind.names, MosaicColour.names, MosaicSize.names, MosaicTexture.names]
    static let maximumObjects = 12
    /// A target that does not count in a cross entropy.
    static let ignored = -100

    /// [b, 3, size, size], 0...255.
    package let pixels: Tensor
    /// [b, o, 4]: centre and size in pixels; [b, o] true where there is an object.
    package let boxes: Tensor
    package let present: Tensor
    /// [b, o, 4]: kind, colour, size, texture, -1 where it has none.
    package let traits: Tensor
    /// [b, patches, attributes]: 1 where an object with the attribute covers the patch of 16 x 16 pixels.
    package let wordTargets: Tensor
    package let location: Queries
    package let texts: Texts

    /// Sequences of tokens and which of them are learnt.
    package struct Sequences {
        /// [b, n, length].
        package let ids: Tensor
        /// Positions in the flattened hidden states [b * n * length] from which `targets` follow.
        package let sources: Tensor
        package let targets: Tensor
    }

    package struct Queries {
        package let sequences: Sequences
        /// [b * q] positions of [LOC] in the flattened hidden states.
        package let loc: Tensor
        /// [b, q, o]: the objects that the query means.
        package let members: Tensor
        /// [b, q, 4]: what is named of each group; the group's length for "not said".
        package let named: Tensor
        /// [b, q]: 1 where exactly one object is meant.
        package let single: Tensor
    }

    package struct Texts {
        package let sequences: Sequences
        /// Positions before the answers' varying words, of the questions that have a subject.
        package let subject: Tensor
        /// [subjects, 4] and [subjects, 2]: the subject's attributes and centre (0...1).
        package let subjectTraits: Tensor
        package let subjectPlace: Tensor
    }

    init(step: Int, scenes: Int, configuration: TrainingConfiguration, tokenizer: Tokenizer, texts: Bool)
        throws
    {
        let size = configuration.imageSize
        let maximum = Self.maximumObjects
        let fade = configuration.easySteps > 0 ? 1 - Double(step) / Double(configuration.easySteps) : 0
        let easyShare = configuration.easyShare * max(0, fade)
        var pixels: [UInt8] = []
        var boxes: [Float] = []
        var present: [Bool] = []
        var traits: [Int] = []
        var words: [Float] = []
        var queries = QueryBuilder(maximumObjects: maximum)
        var answers = TextBuilder()

        for slot in 0..<scenes {
            let index = step * max(configuration.visionScenes, configuration.scenes) + slot
            var random = SceneRandom(seed: configuration.seed, index: index, stream: 2)
            let isEasy = random.chance(easyShare)
            let world = try MosaicConfiguration(size: size, maximumObjects: isEasy ? 3 : maximum)
            let scene = MosaicScene(seed: configuration.seed, index: index, configuration: world)
            pixels += scene.image.pixels
            for o in 0..<maximum {
                let object = o < scene.objects.count ? scene.objects[o] : nil
                present.append(object != nil)
                let box = object?.box
                boxes += [box?.centre.x ?? 0, box?.centre.y ?? 0, box?.width ?? 0, box?.height ?? 0].map(
                    Float.init)
                traits += object?.traitIndices ?? [-1, -1, -1, -1]
            }
            guard texts else { continue }
            words += Self.wordTargets(scene)
            for _ in 0..<configuration.queries {
                queries.append(Self.query(scene, configuration, &random), scene, tokenizer)
            }
            let kinds = MosaicQuestion.Kind.allCases
            for number in 0..<configuration.questions {
                let kind = kinds[(step + number) % kinds.count]
                let question = scene.question(kind: kind, using: &random) ?? scene.question(using: &random)!
                answers.append(question, scene, tokenizer)
            }
            answers.append(caption: scene.caption(), request: Self.captionRequest(&random), tokenizer)
        }
        self.pixels = try Tensor(pixels, [scenes, size, size, 3]).permuted(0, 3, 1, 2).to(.float32)
        self.boxes = try Tensor(boxes, [scenes, maximum, 4])
        self.present = try Tensor(present, [scenes, maximum])
        self.traits = try Tensor(traits, [scenes, maximum, 4])
        let patches = (size / 16) * (size / 16)
        wordTargets = try Tensor(words, [texts ? scenes : 0, patches, Self.attributes.joined().count])
        location = try queries.finish(scenes)
        self.texts = try answers.finish(scenes)
    }

    private struct Query {
        let request: LocateRequest
        let members: [Int]
        let named: [Int]
    }

    private static func query(
        _ scene: MosaicScene, _ configuration: TrainingConfiguration, _ random: inout SceneRandom
    ) -> Query {
        let number = random.unit()
        let response: LocateResponse = number < 0.6 ? .boxes : number < 0.8 ? .masks : .points
        let isFree = random.chance(configuration.freeWording)
        let counts = attributes.map(\.count)
        if random.chance(configuration.referringShare),
            let reference = scene.referringExpression(kind: nil, using: &random)
        {
            let request =
                isFree
                ? LocateRequest(expression: reference.text, response, using: &random)
                : LocateRequest(canonical: reference.text, response)
            // The state is told all about the target, also what the words leave to be seen.
            let named = scene.objects[reference.target].traitIndices.map { $0 < 0 ? ignored : $0 }
            return Query(request: request, members: [reference.target], named: named)
        }
        let detection = scene.detectionPhrase(negativeRate: configuration.negativeRate, using: &random)
        let description = detection.description
        let request =
            isFree
            ? LocateRequest(
                singular: description.phrase, plural: description.plural, response, using: &random)
            : LocateRequest(canonical: description.phrase, response)
        let said = [
            description.kind?.rawValue, description.colour?.rawValue, description.size?.rawValue,
            description.texture?.rawValue,
        ]
        return Query(
            request: request, members: detection.matches, named: zip(said, counts).map { $0 ?? $1 })
    }

    /// Ways to ask for a caption.
    static let captionRequests = [
        "Describe the image.", "describe the picture", "What is in the picture?", "What do you see?",
        "Describe this image in one sentence.", "what can you see in this picture?",
        "What does the image show?",
    ]

    private static func captionRequest(_ random: inout SceneRandom) -> String {
        random.element(of: captionRequests)
    }

    /// [patches * attributes]: 1 where an object with the attribute covers 8 % of a patch or more.
    private static func wordTargets(_ scene: MosaicScene) -> [Float] {
        let side = scene.size / 16
        var covered = [Int](repeating: 0, count: side * side * (scene.objects.count + 1))
        for y in 0..<(side * 16) {
            for x in 0..<(side * 16) {
                let patch = (y / 16) * side + x / 16
                covered[patch * (scene.objects.count + 1) + Int(scene.instances[y * scene.size + x])] += 1
            }
        }
        let counts = attributes.map(\.count)
        let total = counts.reduce(0, +)
        var targets = [Float](repeating: 0, count: side * side * total)
        for patch in 0..<(side * side) {
            for (o, object) in scene.objects.enumerated()
            where covered[patch * (scene.objects.count + 1) + o + 1] > 20 {
                var start = 0
                for (group, trait) in object.traitIndices.enumerated() {
                    if trait >= 0 { targets[patch * total + start + trait] = 1 }
                    start += counts[group]
                }
            }
        }
        return targets
    }

    // MARK: Builders

    private struct SequenceBuilder {
        var rows: [[Int]] = []
        var starts: [Int] = []

        mutating func append(_ question: [Int], _ answer: [Int]) {
            rows.append(question + answer)
            starts.append(question.count)
        }

        /// A multiple of eight, so that libtorch meets few shapes: it prepares its kernels anew for each.
        func length() -> Int { ((rows.map(\.count).max() ?? 1) + 7) / 8 * 8 }

        func finish(_ scenes: Int) throws -> Sequences {
            let length = length()
            var ids: [Int] = []
            var sources: [Int] = []
            var targets: [Int] = []
            for (number, row) in rows.enumerated() {
                ids += row + Array(repeating: 0, count: length - row.count)
                for position in starts[number]..<row.count {
                    sources.append(number * length + position - 1)
                    targets.append(row[position])
                }
            }
            let perScene = scenes == 0 ? 0 : rows.count / scenes
            return Sequences(
                ids: try Tensor(ids, [scenes, perScene, perScene == 0 ? 0 : length]),
                sources: try Tensor(sources),
                targets: try Tensor(targets))
        }
    }

    private struct QueryBuilder {
        let maximumObjects: Int
        var sequences = SequenceBuilder()
        var loc: [Int] = []
        var members: [Bool] = []
        var named: [Int] = []
        var single: [Float] = []

        init(maximumObjects: Int) { self.maximumObjects = maximumObjects }

        mutating func append(_ query: Query, _ scene: MosaicScene, _ tokenizer: Tokenizer) {
            let question = tokenizer.encode(Prompt.question(query.request.text))
            let answer = tokenizer.encode(Prompt.locationAnswer(query.request.route))
            // "Sure, the location is " is one token, [LOC] the next.
            loc.append(question.count + 1)
            sequences.append(question, answer)
            members += (0..<maximumObjects).map { query.members.contains($0) }
            named += query.named
            single.append(query.members.count == 1 ? 1 : 0)
        }

        func finish(_ scenes: Int) throws -> Queries {
            let length = sequences.length()
            let count = scenes == 0 ? 0 : loc.count / scenes
            return Queries(
                sequences: try sequences.finish(scenes),
                loc: try Tensor(loc.enumerated().map { $0.offset * length + $0.element }),
                members: try Tensor(members, [scenes, count, maximumObjects]),
                named: try Tensor(named, [scenes, count, 4]), single: try Tensor(single, [scenes, count]))
        }
    }

    private struct TextBuilder {
        var sequences = SequenceBuilder()
        var subjects: [(row: Int, position: Int)] = []
        var traits: [Int] = []
        var places: [Float] = []

        mutating func append(_ question: MosaicQuestion, _ scene: MosaicScene, _ tokenizer: Tokenizer) {
            let prompt = Prompt.question(question.text)
            if let subject = question.subject {
                // The token before the varying word: its state must know the subject.
                let lead = question.answer.prefix(
                    upTo: question.answer.range(of: question.answerWord)!.lowerBound)
                let before = tokenizer.encode(prompt + lead.trimmingTrailingSpace())
                let object = scene.objects[subject]
                subjects.append((sequences.rows.count, before.count - 1))
                traits += object.traitIndices.map { $0 < 0 ? MosaicBatch.ignored : $0 }
                places += [object.centre.x, object.centre.y].map { Float($0 / Double(scene.size)) }
            }
            sequences.append(tokenizer.encode(prompt), tokenizer.encode(Prompt.textAnswer(question.answer)))
        }

        mutating func append(caption: String, request: String, _ tokenizer: Tokenizer) {
            sequences.append(
                tokenizer.encode(Prompt.question(request)), tokenizer.encode(Prompt.textAnswer(caption)))
        }

        func finish(_ scenes: Int) throws -> Texts {
            let length = sequences.length()
            return Texts(
                sequences: try sequences.finish(scenes),
                subject: try Tensor(subjects.map { $0.row * length + $0.position }),
                subjectTraits: try Tensor(traits, [subjects.count, 4]),
                subjectPlace: try Tensor(places, [subjects.count, 2]))
        }
    }
}

extension MosaicObject {
    /// Kind, colour, size and texture as numbers within their groups; -1 where it has none.
    var traitIndices: [Int] {
        [kind.rawValue, colour.rawValue, size?.rawValue ?? -1, texture?.rawValue ?? -1]
    }
}

extension Substring {
    fileprivate func trimmingTrailingSpace() -> Substring { hasSuffix(" ") ? dropLast() : self }
}
