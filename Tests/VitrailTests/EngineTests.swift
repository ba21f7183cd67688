import Datasets
import Foundation
import Media
import TestSupport
import Testing
import Text
import Torch
import Vitrail

@Suite(.serialized) struct EngineTests {
    /// A picture that is wider than high, so that the frame matters.
    private static let image: Image = {
        let scene = MosaicScene(seed: 900_600, index: 0, configuration: try! MosaicConfiguration(size: 160))
        return try! scene.image.cropped(to: Box(x: 0, y: 10, width: 160, height: 120))
    }()

    private static let phrases = [
        "star", "small striped red circle", "the largest ring", "person in blue",
        "the heart left of the green square",
    ]

    @Test func theEmbeddedModelIsFound() throws {
        let path = try Engine.embeddedModel()
        #expect(path.hasPrefix("/") && path.hasSuffix("/mosaic"))
        #expect(try ModelFolder(path).parts.count == 6)
    }

    @Test(arguments: [LocateResponse.boxes, .points, .keypoints, .count])
    func aBatchOfPhrasesEqualsOneByOne(response: LocateResponse) async throws {
        // Low enough that also a model in training finds something.
        let engine = try Engine(model: Engine.embeddedModel(), locator: Locator(threshold: 0.02))
        let picture = await engine.open(Self.image)
        let together = try await engine.locate(Self.phrases, in: picture, as: response)
        #expect(together.map(\.phrase) == Self.phrases)
        for (phrase, location) in zip(Self.phrases, together) {
            try expectSame(try await engine.locate([phrase], in: picture, as: response)[0], location)
        }
    }

    /// Products in bfloat16 change nothing that a user would see.
    @Test func anEngineInBFloat16FindsTheSame() async throws {
        let path = try Engine.embeddedModel()
        let (engine, low) = (try Engine(), try Engine(model: path, dtype: .bfloat16))
        let (picture, same) = (await engine.open(Self.image), await low.open(Self.image))
        let phrases = MosaicKind.plain.map(\.name)
        for response in [LocateResponse.masks, .keypoints] {
            let (all, others) = (
                try await engine.locate(phrases, in: picture, as: response),
                try await low.locate(phrases, in: same, as: response)
            )
            #expect(all.map(\.count) == others.map(\.count))
            #expect(all.contains { $0.count > 0 })
            for (a, b) in zip(all.flatMap(\.detections), others.flatMap(\.detections)) {
                #expect(abs(a.score - b.score) < 0.02 && a.score != b.score)
                #expect(a.box.iou(b.box) > 0.9, "\(a.box), \(b.box)")
                guard let mask = a.mask, let other = b.mask else { continue }
                #expect(try mask.iou(other) > 0.9)
            }
        }
        #expect(
            try await low.ask("describe the image", about: same).text
                == engine.ask("describe the image", about: picture).text)
    }

    /// A person fears that a long strip is seen too small to be understood.
    @Test(arguments: [UInt8(0), 128, 255]) func aPicturePaddedToFourToOneKeepsItsBoxes(grey: UInt8)
        async throws
    {
        let (image, engine) = (Self.image, try Engine())
        var pixels = [UInt8](repeating: grey, count: 480 * 120 * 3)
        for y in 0..<120 {
            pixels.replaceSubrange(
                (y * 480 + 200) * 3..<(y * 480 + 360) * 3, with: image.pixels[y * 480..<(y + 1) * 480])
        }
        let padded = await engine.open(Image(width: 480, height: 120, pixels: pixels))
        let picture = await engine.open(image)
        let phrases = MosaicKind.plain.map(\.name)
        let (before, after) = (
            try await engine.locate(phrases, in: picture), try await engine.locate(phrases, in: padded)
        )
        #expect(before.map(\.count) == after.map(\.count))
        #expect(before.contains { $0.count > 0 })
        for (a, b) in zip(before.flatMap(\.detections), after.flatMap(\.detections)) {
            let moved = Box(x: b.box.x - 200, y: b.box.y, width: b.box.width, height: b.box.height)
            #expect(a.box.iou(moved) > 0.9, "\(a.box), \(moved)")
        }
    }

    /// The same heat, and the same best place or one that scores as high.
    private func expectSame(_ a: Location, _ b: Location) throws {
        #expect(a.phrase == b.phrase && a.heatmap.width == b.heatmap.width)
        let pairs = zip(a.heatmap.values, b.heatmap.values)
        #expect(pairs.allSatisfy { abs($0 - $1) < 1e-4 }, "\(a.phrase)")
        guard let best = a.detections.first, let other = b.detections.first else {
            #expect(a.detections.isEmpty == b.detections.isEmpty)
            return
        }
        #expect(abs(best.score - other.score) < 1e-4)
        #expect((best.keypoints == nil) == (other.keypoints == nil))
        for (joint, same) in zip(best.keypoints?.joints ?? [], other.keypoints?.joints ?? []) {
            #expect(abs(try #require(joint.score) - #require(same.score)) < 1e-3)
        }
    }

    /// Words that training never showed are not looked for; all that it showed are.
    @Test func whatTheModelDoesNotKnowItSaysSo() async throws {
        let engine = try Engine()
        let picture = await engine.open(Self.image)
        let known =
            MosaicKind.allCases.map(\.name) + ["object", "things", "star-shaped object", "red-colored star"]
            + Self.phrases
        let strange = try await engine.locate(known, in: picture).filter { !$0.isKnown }.map(\.phrase)
        #expect(strange == [])
        let unknown = ["zebra", "laptop", "red bicycle", "giraffe", "chair", "perro", "wolf", "letter Q"]
        let found = try await engine.locate(unknown, in: picture)
        #expect(found.filter { $0.isKnown || $0.count > 0 }.map(\.phrase) == [])
        for request in [
            "find every zebra", "How many laptops are there?", "point at every elephant.",
            "outline the giraffe",
        ] {
            let answer = try await engine.ask(request, about: picture)
            #expect(answer.text == "I do not know what that is.", "\(request): \(answer.transcript)")
            #expect(answer.findings.map(\.isKnown) == [false])
        }
    }

    @Test func aRequestOfStrangeWordsIsNotUnderstood() async throws {
        let engine = try Engine()
        let picture = await engine.open(Self.image)
        for request in ["finde alle Sterne", "Décris cette image", "画像を説明して", "asdf", "Hello!"] {
            let answer = try await engine.ask(request, about: picture)
            #expect(answer.text == Prompt.unknown && answer.findings.isEmpty, "\(request): \(answer.text)")
        }
        // What a caption or a question asks of it is known, also where a word is not.
        for request in ["Summarize this image", "What's going on here?", "Explain the picture."] {
            let answer = try await engine.ask(request, about: picture)
            #expect(answer.text != Prompt.unknown, "\(request)")
        }
        let tokenizer = try Lumen.tokenizer(of: ModelFolder(Engine.embeddedModel()))
        for index in 0..<200 {
            let scene = MosaicScene(seed: 7, index: index, configuration: index % 2 == 0 ? .standard : .rich)
            var random = SceneRandom(seed: 7, index: index, stream: 2)
            for phrasing in [MosaicPhrasing.training, .unseen] {
                let request = scene.locationTurn(
                    referringShare: 0.5, negativeRate: 0.3, freeWording: 1, phrasing: phrasing, using: &random
                ).request
                let words = tokenizer.words(of: request)
                #expect(2 * words.strange.count <= words.all.count, "\(request): \(words.strange)")
            }
        }
    }

    @Test func sentencesAreAnsweredOneByOne() async throws {
        let engine = try Engine()
        let picture = await engine.open(Self.image)
        let requests = ["Find every object.", "How many laptops are there?", "count the stars"]
        var answers: [Answer] = []
        for request in requests { answers.append(try await engine.ask(request, about: picture)) }
        let all = try await engine.ask(requests.joined(separator: " "), about: picture)
        #expect(all.text == answers.map(\.text).joined(separator: " "))
        #expect(all.findings.map(\.detections) == answers.flatMap(\.findings).map(\.detections))
        #expect(all.request == requests.joined(separator: " "))
        // The fixed form has a full stop within.
        let fixed = try await engine.ask(LocateResponse.boxes.request(for: "star"), about: picture)
        #expect(fixed.findings.count == 1 && fixed.transcript.hasPrefix(Prompt.located))
        // No more than eight are taken apart.
        let long = try await engine.ask(String(repeating: "Find a star. ", count: 9), about: picture)
        #expect(long.findings.count < 9)
    }

    @Test func nothingIsToldOfWhatIsNotInThePicture() async throws {
        let engine = try Engine()
        let scene = MosaicScene(seed: 900_602, index: 0)
        let picture = await engine.open(scene.image)
        let kinds = MosaicKind.allCases.filter(\.isShape)
        let absent = kinds.filter { kind in !scene.objects.contains { $0.kind == kind } }
        var (right, count) = (0, 0)
        for kind in absent {
            for request in ["What color is the \(kind.name)?", "Is the \(kind.name) left of the person?"] {
                let answer = try await engine.ask(request, about: picture)
                right += answer.text == "There is no \(kind.name)." ? 1 : 0
                count += 1
            }
        }
        // Something may look a little like one.
        #expect(count >= 8 && 4 * right >= 3 * count, "\(right) of \(count)")
        for kind in kinds where scene.objects.count(where: { $0.kind == kind }) == 1 {
            let answer = try await engine.ask("What color is the \(kind.name)?", about: picture)
            let colour = scene.objects.first { $0.kind == kind }!.colour.name
            #expect(answer.text == "It is \(colour).")
        }
    }

    @Test func thousandsOfPhrasesRunInParts() async throws {
        let engine = try Engine()
        let picture = await engine.open(Self.image)
        let distinct = (0...Engine.batchLimit).map { "star \($0)" }
        let phrases = (0..<5000).map { distinct[$0 % distinct.count] }
        let found = try await engine.locate(phrases, in: picture, as: .count)
        #expect(found.map(\.phrase) == phrases)
        for index in [0, Engine.partSize, distinct.count - 1] {
            try expectSame(
                try await engine.locate([distinct[index]], in: picture, as: .count)[0],
                found[distinct.count + index])
        }
        #expect(await engine.encodedPictures == 1)
    }

    @Test func peopleHaveJoints() async throws {
        let engine = try Engine(model: Engine.embeddedModel(), locator: Locator(threshold: 0.3))
        let index = (0...).first { index in
            MosaicScene(seed: 900_601, index: index).objects.filter { $0.kind == .person }.count == 2
        }!
        let scene = MosaicScene(seed: 900_601, index: index)
        let picture = await engine.open(scene.image)
        let people = try await engine.locate(["person"], in: picture, as: .keypoints)[0]
        #expect(!people.detections.isEmpty)
        for person in people.detections {
            let joints = try #require(person.keypoints).joints
            #expect(joints.count == Keypoints.cocoNames.count)
            let reach = 0.65 * max(person.box.width, person.box.height) + 1
            for joint in joints {
                let score = try #require(joint.score)
                #expect((0...1).contains(score))
                #expect(joint.visibility == (score >= 0.3 ? .visible : .absent))
                #expect(abs(joint.point.x - person.box.centre.x) <= reach)
                #expect(abs(joint.point.y - person.box.centre.y) <= reach)
            }
        }
        // Boxes alone have none, nor have things.
        let boxes = try await engine.locate(["person"], in: picture)[0]
        #expect(boxes.detections.allSatisfy { $0.keypoints == nil && $0.mask == nil })
    }

    /// The embedded model with another segmenter, or with none.
    private func copy(segmenter: Segmenter?) throws -> ModelCopy {
        let model = try ModelCopy(of: Engine.embeddedModel())
        try model.setPart("segmenter", to: segmenter.map { _ in "SAM" })
        try segmenter?.save(to: model.file("segmenter"))
        return model
    }

    /// The embedded model's boxes surround its masks, with masks asked for or not; a locator can leave them as the maps say.
    @Test func boxesAreDrawnAroundMasks() async throws {
        let engine = try Engine()
        let scene = MosaicScene(seed: 900_600, index: 1, configuration: .standard)
        let picture = await engine.open(scene.image)
        let phrases = Array(Set(scene.objects.map(\.kind.name)))
        let masks = try await engine.locate(phrases, in: picture, as: .masks).flatMap(\.detections)
        let boxes = try await engine.locate(phrases, in: picture).flatMap(\.detections)
        #expect(!boxes.isEmpty && boxes.allSatisfy { $0.mask == nil })
        #expect(boxes.map(\.box) == masks.map(\.box))
        let around = try masks.count { try #require($0.mask).boundingBox == $0.box }
        #expect(around * 2 > masks.count)
        var locator = engine.locator
        locator.masksBoxes = nil
        let plain = try await engine.locate(phrases, in: picture, by: locator).flatMap(\.detections)
        #expect(plain.map(\.score) == boxes.map(\.score) && plain.map(\.box) != boxes.map(\.box))
        // What is nearer to the truth is the reason for it.
        func overlap(_ found: [Detection]) -> Double {
            found.reduce(0) { sum, found in sum + (scene.objects.map { $0.box.iou(found.box) }.max() ?? 0) }
        }
        #expect(overlap(boxes) > overlap(plain))
    }

    @Test func masksWantASegmenter() async throws {
        let model = try copy(segmenter: nil)
        let engine = try withExtendedLifetime(model) { try Engine(model: model.path) }
        let error = await #expect(throws: ModelError.self) {
            try await engine.locate(["star"], in: engine.open(Self.image), as: .masks)
        }
        #expect("\(try #require(error))" == "the model has no part segmenter, which masks need")
    }

    @Test func everyBoxHasItsMask() async throws {
        let model = try copy(segmenter: Segmenter(SAM(.mosaic, seed: 3)))
        let engine = try withExtendedLifetime(model) {
            try Engine(model: model.path, locator: Locator(threshold: 0.02))
        }
        let picture = await engine.open(Self.image)
        let phrases = ["star", "the largest ring", "object"]
        let boxes = try await engine.locate(phrases, in: picture)
        let masks = try await engine.locate(phrases, in: picture, as: .masks)
        #expect(masks.contains { $0.count > 1 } && masks[1].count == 1)
        for location in masks {
            for detection in location.detections {
                let mask = try #require(detection.mask)
                #expect(mask.width == Self.image.width && mask.height == Self.image.height)
            }
        }
        #expect(boxes.allSatisfy { $0.detections.allSatisfy { $0.mask == nil } })
        // A picture is read by the segmenter once, and with the same result.
        let again = try await engine.locate(["star"], in: picture, as: .masks)
        #expect(again[0].detections.first?.mask == masks[0].detections.first?.mask)
    }

    /// What an answer may be: words and places inside the picture, or one line that says why not.
    private func expectSense(_ engine: Engine, _ request: String, _ image: Image) async throws {
        do {
            let answer = try await engine.ask(request, about: image)
            #expect(!answer.text.isEmpty && !answer.transcript.isEmpty)
            #expect(answer.findings.count <= Engine.locationLimit)
            for detection in answer.findings.flatMap(\.detections) {
                #expect(detection.box.x >= 0 && detection.box.maxX <= Double(image.width) + 1e-6)
                #expect(detection.box.y >= 0 && detection.box.maxY <= Double(image.height) + 1e-6)
            }
        } catch let error as ModelError {
            #expect(!"\(error)".contains("\n"))
        }
    }

    @Test(arguments: [
        "où est le chat noir ?", "赤い丸はどこですか", "где красный круг?", "asdf qwertz 12 %%% \u{1F642}", "?",
        "[loc] [ DET ]",
    ])
    func otherLanguagesAndUnknownWordsAreAnswered(request: String) async throws {
        let engine = try Engine()
        try await expectSense(engine, request, Self.image)
        #expect(try await engine.locate([request], in: engine.open(Self.image)).count == 1)
    }

    @Test(arguments: [(16, 16, 200), (8000, 200, 90), (200, 8000, 90), (1, 1, 0), (300, 300, 0)])
    func picturesOfAnySizeAreAnswered(width: Int, height: Int, value: Int) async throws {
        let image = Image(
            width: width, height: height,
            pixels: [UInt8](repeating: UInt8(value), count: width * height * 3))
        let engine = try Engine()
        try await expectSense(engine, "Find all objects.", image)
        for request in ["What do you see?", "find everything", "Describe the image."] {
            let text = try await engine.ask(request, about: engine.open(image)).text
            #expect(!text.contains("[COUNT]") && text.hasSuffix(".") && text.count < 200, "\(text)")
        }
        for response in [LocateResponse.boxes, .keypoints, .count] {
            let found = try await engine.locate(["person", "the star"], in: engine.open(image), as: response)
            #expect(found.count == 2 && found[1].count <= 1)
            #expect(found[0].heatmap.values.allSatisfy { (0...1).contains($0) })
        }
    }

    @Test func aPictureIsEncodedOnce() async throws {
        let engine = try Engine()
        let picture = await engine.open(Self.image)
        #expect(await engine.encodedPictures == 0)
        _ = try await engine.locate(["star"], in: picture)
        _ = try await engine.locate(["ring", "heart"], in: picture, as: .points)
        _ = try await engine.ask("Find all stars.", about: picture)
        #expect(await engine.encodedPictures == 1)
        _ = try await engine.locate(["star"], in: engine.open(Self.image))
        #expect(await engine.encodedPictures == 2)
    }

    @Test func aForgottenPictureIsReadAgainWithTheSameAnswer() async throws {
        let engine = try Engine(model: Engine.embeddedModel(), locator: Locator(threshold: 0.02))
        let first = await engine.open(Self.image)
        let before = try await engine.locate(["star"], in: first)[0]
        for _ in 0..<Engine.rememberedPictures {
            _ = try await engine.locate(
                ["star"],
                in: engine.open(Image(width: 8, height: 8, pixels: [UInt8](repeating: 90, count: 192))))
        }
        let again = try await engine.locate(["star"], in: first)[0]
        #expect(again.detections == before.detections)
        #expect(await engine.encodedPictures == Engine.rememberedPictures + 2)
    }

    @Test func placesLieInTheOriginalPicture() async throws {
        let engine = try Engine(model: Engine.embeddedModel(), locator: Locator(threshold: 0.02))
        let location = try await engine.locate(["object"], in: engine.open(Self.image))[0]
        for detection in location.detections {
            #expect(detection.box.x >= 0 && detection.box.y >= 0)
            #expect(detection.box.maxX <= 160 && detection.box.maxY <= 120)
            #expect((0...160).contains(detection.point.x) && (0...120).contains(detection.point.y))
            #expect((0.02...1).contains(detection.score))
        }
        #expect(location.detections.map(\.score) == location.detections.map(\.score).sorted(by: >))
        // The heatmap has the picture's shape, at the input's size, which for a picture like this is its own.
        #expect((location.heatmap.width, location.heatmap.height) == (160, 120))
        #expect(location.heatmap.values.count == 160 * 120)
    }

    @Test func aPhraseWithTheAnswersOnePlaceAtMost() async throws {
        let engine = try Engine(model: Engine.embeddedModel(), locator: Locator(threshold: 0))
        let picture = await engine.open(Self.image)
        for response in LocateResponse.allCases where response != .masks {
            let one = try await engine.locate(["the largest star"], in: picture, as: response)
            #expect(one[0].detections.count == 1)
        }
    }

    @Test func greedyAnswersAreTheSameEveryTime() async throws {
        let engine = try Engine()
        let picture = await engine.open(Self.image)
        let texts = [
            try await engine.ask("What color is the star?", about: picture).text,
            try await engine.ask("What color is the star?", about: picture).text,
            try await Engine().ask("What color is the star?", about: Self.image).text,
        ]
        #expect(Set(texts).count == 1)
        #expect(!texts[0].contains("</s>"))
    }

    @Test(arguments: [
        "", "  \n", "hello [LOC]", "[DET]", "[COUNT]", "</s>", String(repeating: "a", count: 10_000),
    ])
    func badRequestsAreRefused(request: String) async throws {
        let engine = try Engine()
        let picture = await engine.open(Self.image)
        await #expect(throws: ModelError.self) { try await engine.ask(request, about: picture) }
        await #expect(throws: ModelError.self) { try await engine.locate(["star", request], in: picture) }
        // Nothing was done for a request that is refused.
        #expect(await engine.encodedPictures == 0)
    }

    @Test func theNumberOfPhrasesHasBounds() async throws {
        let engine = try Engine()
        let picture = await engine.open(Self.image)
        await #expect(throws: ModelError.self) { try await engine.locate([], in: picture) }
        let tooMany = Array(repeating: "star", count: Engine.phraseLimit + 1)
        await #expect(throws: ModelError.self) { try await engine.locate(tooMany, in: picture) }
    }

    @Test func textOverTheModelsContextIsRefused() async throws {
        let engine = try Engine()
        let words = String(repeating: "\u{1F98A}", count: 1_900)
        do {
            _ = try await engine.ask(words, about: Self.image)
            Issue.record("a text of \(words.count) characters was taken")
        } catch {
            #expect("\(error)".contains("limit"))
            #expect(!"\(error)".contains("\n"))
        }
    }

    @Test func aDeviceThatIsNotThereIsNamed() throws {
        guard !Device.mps.isAvailable else { return }
        let error = #expect(throws: ModelError.self) {
            try Engine(model: Engine.embeddedModel(), device: .mps)
        }
        #expect("\(try #require(error))".contains("mps"))
    }
}
