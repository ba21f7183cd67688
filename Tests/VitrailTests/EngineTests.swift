import Datasets
import Media
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
        #expect(try ModelFolder(path).parts.count == 5)
    }

    @Test func aBatchOfPhrasesEqualsOneByOne() async throws {
        // Low enough that also a model in training finds something.
        let engine = try Engine(model: Engine.embeddedModel(), locator: Locator(threshold: 0.02))
        let picture = await engine.open(Self.image)
        let together = try await engine.locate(Self.phrases, in: picture)
        #expect(together.map(\.phrase) == Self.phrases)
        for (phrase, location) in zip(Self.phrases, together) {
            let alone = try await engine.locate([phrase], in: picture)[0]
            let pairs = zip(alone.heatmap.values, location.heatmap.values)
            #expect(alone.heatmap.values.count == location.heatmap.values.count)
            #expect(pairs.allSatisfy { abs($0 - $1) < 1e-4 }, "\(phrase)")
            // The best place is the same one, or one that scores as high.
            guard let best = location.detections.first, let other = alone.detections.first else {
                #expect(location.detections.isEmpty == alone.detections.isEmpty)
                continue
            }
            #expect(abs(best.score - other.score) < 1e-4)
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
        // The heatmap has the picture's shape, at the input's size.
        #expect((location.heatmap.width, location.heatmap.height) == (128, 96))
        #expect(location.heatmap.values.count == 128 * 96)
    }

    @Test func aPhraseWithTheAnswersOnePlaceAtMost() async throws {
        let engine = try Engine(model: Engine.embeddedModel(), locator: Locator(threshold: 0))
        let picture = await engine.open(Self.image)
        for response in LocateResponse.allCases {
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

    @Test(arguments: ["", "  \n", "hello [LOC]", "[DET]", "</s>", String(repeating: "a", count: 10_000)])
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
        let words = String(repeating: "xq ", count: 600)
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
