internal import Datasets
internal import Encoders
internal import Foundation
internal import Media
internal import Perception
internal import TestSupport
internal import Testing
internal import Text
internal import Torch
internal import Training
internal import Vitrail

@Suite(.serialized) struct FineTuningTests {
    @Test func aSetOfTwoPicturesIsLearnt() async throws {
        let tiny = try TinyFineTuning()
        let run = try tiny.run("run", threads: 2, ["steps": 200, "validate_every": 100, "log_every": 20])
        #expect(try run.run())
        let validations = try tiny.validations("run")
        #expect(validations.map { $0["step"] } == [0, 100, 200])
        let best = validations.compactMap { $0["AP50"] }.max() ?? 0
        #expect(best > 0.95, "\(validations)")

        // The model is an ordinary one, with what was found for it in its folder.
        let folder = try ModelFolder(tiny.folder.file("run/model"))
        #expect(folder.classes == ["red", "blue"])
        #expect(folder.locator?.maximumPeaks == 50)
        let engine = try Engine(model: tiny.folder.file("run/model"))
        #expect(engine.locator == folder.locator)
        let picture = await engine.open(TinyFineTuning.image(TinyFineTuning.second, mark: 7))
        let found = try await engine.locate(["red", "blue"], in: picture)
        #expect(found.map(\.count) == [1, 1])
        for (location, name) in zip(found, ["red", "blue"]) {
            let truth = try #require(TinyFineTuning.second.first { $0.name == name })
            #expect(location.detections.first.map { $0.box.iou(truth.box) > 0.6 } == true, "\(name)")
        }

        let page = try String(contentsOfFile: tiny.folder.file("run/report.html"), encoding: .utf8)
        for part in [
            "<svg", "By class", "<th>red</th>", "validation-1.png", "data:image/jpeg;base64", "AP50",
        ] {
            #expect(page.contains(part), "\(part)")
        }
        #expect(page.hasSuffix("</html>\n"))
    }

    @Test func aRunThatWasKilledGoesOnWithTheSameBits() throws {
        let tiny = try TinyFineTuning()
        let changes: [String: Any] = [
            "steps": 6, "vision_steps": 2, "validate_every": 2, "requests": 2,
            "augmentation": [
                "flip": 0.5, "flip_vertically": 0.5, "turns": true, "scale": [0.7, 1.4], "colour": 0.3,
                "invert": 0.3, "mosaic": 0.5,
            ],
        ]
        #expect(try tiny.run("whole", changes).run())
        let first = try tiny.run("parts", changes)
        #expect(try !first.run(shouldStop: { first.step == 3 }))
        let second = try tiny.run("parts", resume: true, changes)
        #expect(second.step == 3)
        #expect(try second.run())
        for name in ["checkpoint.safetensors", "model/image_encoder/model.safetensors"] {
            let (a, b) = (tiny.folder.file("whole/\(name)"), tiny.folder.file("parts/\(name)"))
            #expect(try TinyTraining.differences(a, b) == [])
        }
        let metrics = try TinyTraining.metrics(tiny.folder.file("whole"))
        #expect(metrics.map { $0["step"] } == [1, 2, 3, 4, 5, 6])
        #expect(try TinyTraining.metrics(tiny.folder.file("parts")) == metrics)
        #expect(try tiny.validations("parts") == tiny.validations("whole"))
        // While the encoder learns alone nothing can be asked for yet.
        #expect(metrics[1]["heat"] == nil && metrics[2]["heat"] != nil && metrics[1]["dense_heat"] != nil)
        #expect(try tiny.validations("whole").map { $0["step"] } == [0, 4, 6])
    }

    @Test func theResultDoesNotDependOnTheThreads() throws {
        let tiny = try TinyFineTuning()
        let changes: [String: Any] = ["steps": 3, "pictures": 3]
        #expect(try tiny.run("one", threads: 1, changes).run())
        #expect(try tiny.run("two", threads: 2, changes).run())
        let name = "checkpoint.safetensors"
        #expect(
            try TinyTraining.differences(tiny.folder.file("one/\(name)"), tiny.folder.file("two/\(name)"))
                == [])
    }

    @Test func picturesOfAStepLieOrStandAlike() throws {
        let tiny = try TinyFineTuning()
        let run = try tiny.run(
            "run",
            [
                "steps": 12, "pictures": 4, "together": 4,
                "augmentation": [
                    "flip": 0, "flip_vertically": 0, "turns": true, "scale": [1, 1], "colour": 0, "invert": 0,
                    "mosaic": 0,
                ],
            ], width: 96)
        let sizes = try (0..<12).map { step in
            try run.batches(step: step).map { Array($0.batch.pixels.shape.suffix(2)) }
        }
        #expect(sizes.allSatisfy { $0.count == 1 })
        #expect(Set(sizes.joined()) == [[48, 64], [64, 48]])
    }

    /// Without a rate nothing gets better: the first model stays, and the run ends when its patience does.
    @Test func aRunThatGetsNoBetterEndsEarlyAndKeepsTheBest() throws {
        let tiny = try TinyFineTuning()
        let run = try tiny.run(
            "run",
            [
                "steps": 40, "validate_every": 2, "patience": 3,
                "schedule": ["peak": 0, "warmup_steps": 0, "decay_share": 0, "floor": 1],
            ])
        #expect(try run.run())
        #expect(run.step == 8)
        #expect(try tiny.validations("run").count == 5)
        let page = try String(contentsOfFile: tiny.folder.file("run/report.html"), encoding: .utf8)
        #expect(page.contains("that of step 2;"))
        // A run that is over stays so.
        let again = try tiny.run(
            "run", resume: true,
            [
                "steps": 40, "validate_every": 2, "patience": 3,
                "schedule": ["peak": 0, "warmup_steps": 0, "decay_share": 0, "floor": 1],
            ])
        #expect(try again.run())
        #expect(again.step == 8)
    }

    /// Tuned again to the same classes, a model begins where it was; a rate that spoils it leaves it as it was, and what it
    /// answered before its first tuning is answered by the model of then.
    @Test func theModelFromBeforeStaysWhereNoStepMakesABetterOne() async throws {
        let tiny = try TinyFineTuning()
        #expect(try tiny.run("first", ["steps": 150, "validate_every": 150, "log_every": 50]).run())
        let first = tiny.folder.file("first/model")
        let changes: [String: Any] = [
            "steps": 3, "validate_every": 1,
            "schedule": ["peak": 0.5, "warmup_steps": 0, "decay_share": 0, "floor": 1],
        ]
        let spoilt = try FineTuning(
            tiny.configuration(changes), folder: tiny.folder.file("second"), resume: false, model: first)
        #expect(try spoilt.run())
        let scores = try tiny.validations("second").compactMap { $0["score"] }
        #expect(scores[0] > 0.5 && scores.dropFirst().allSatisfy { $0 < scores[0] }, "\(scores)")
        let second = tiny.folder.file("second/model")
        for part in ["image_encoder", "aligner", "language_model"] {
            let (a, b) = ("\(first)/\(part)/model.safetensors", "\(second)/\(part)/model.safetensors")
            #expect(try TinyTraining.differences(a, b) == [])
        }
        #expect(try ModelFolder(second).locator == ModelFolder(first).locator)
        #expect(try ModelFolder(second).classes == ["red", "blue"])
        let page = try String(contentsOfFile: tiny.folder.file("second/report.html"), encoding: .utf8)
        #expect(page.contains("No step made a better model than the one from before"))
    }

    /// Bare nouns are learnt; what they do not name is answered as before, to the bit.
    @Test func whatIsNotTunedIsAnsweredAsBefore() async throws {
        let tiny = try TinyFineTuning()
        #expect(try tiny.run("run", ["steps": 2, "validate_every": 2]).run())
        let (before, after) = (
            try Engine(model: tiny.model, locator: Locator(threshold: 0.001)),
            try Engine(model: tiny.folder.file("run/model"), locator: Locator(threshold: 0.001))
        )
        let image = TinyFineTuning.image(TinyFineTuning.first, mark: 3)
        let (a, b) = (await before.open(image), await after.open(image))
        // Other pictures are not read for it.
        let phrases = ["yellow star", "heart"]
        func heat(_ engine: Engine, _ phrases: [String], _ picture: Picture) async throws -> [Heatmap] {
            try await engine.locate(phrases, in: picture).map(\.heatmap)
        }
        #expect(try await heat(before, phrases, a) == heat(after, phrases, b))
        // The tuned model did not look for it.
        #expect(await after.encodedPictures == 1)
        let answers = (
            try await before.ask("Find the star.", about: a), try await after.ask("Find the star.", about: b)
        )
        #expect(answers.0.transcript == answers.1.transcript)
        let (mixed, plain) = (
            try await heat(after, ["heart", "blue"], b),
            try await heat(before, ["heart"], a) + heat(before, ["blue"], a)
        )
        #expect(mixed[0] == plain[0] && mixed[1] != plain[1])
    }

    @Test func aRunThatIsInterruptedLeavesAModelAndItsReport() throws {
        let tiny = try TinyFineTuning()
        for (name, visionSteps) in [("early", 3), ("late", 0)] {
            let run = try tiny.run(name, ["steps": 6, "vision_steps": visionSteps, "validate_every": 1])
            #expect(try !run.run(shouldStop: { run.step == 2 }))
            _ = try Engine(model: tiny.folder.file("\(name)/model"))
            let page = try String(contentsOfFile: tiny.folder.file("\(name)/report.html"), encoding: .utf8)
            #expect(page.hasSuffix("</html>\n"))
        }
    }

    @Test func aTestIsSetAsideThatNothingIsLearntOrChosenBy() throws {
        let tiny = try TinyFineTuning()
        let pictures = (0..<20).map { _ in TinyFineTuning.first }
        let path = try tiny.set("many", pictures, mark: 10)
        let source: [String: Any] = [
            "format": "coco", "path": path, "images": tiny.folder.file("many-pictures"),
        ]
        let data: [String: Any] = ["train": source, "validation_share": 0.2, "test_share": 0.15]
        let run = try tiny.run("run", ["data": data, "steps": 1])
        #expect(run.summary.contains { $0.hasPrefix("test, drawn by seed 5: 3 pictures") }, "\(run.summary)")
        let parts = [run.labels.train, run.labels.validation, run.labels.test].map { Set($0.map(\.fileName)) }
        #expect(parts.map(\.count) == [13, 4, 3] && parts[0].union(parts[1]).union(parts[2]).count == 20)
        // The validation is that of a configuration without a test.
        let plain = try tiny.run("plain", ["data": ["train": source, "validation_share": 0.2], "steps": 1])
        #expect(plain.labels.validation == run.labels.validation)
        #expect(try run.run())
        let page = try String(contentsOfFile: tiny.folder.file("run/report.html"), encoding: .utf8)
        #expect(page.contains("AP of 3 pictures of the test"))
        // Pictures are named by paths that hold from anywhere.
        struct File: Decodable {
            struct Picture: Decodable { let file_name: String }
            let images: [Picture]
        }
        for (name, count) in [("train", 13), ("validation", 4), ("test", 3)] {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: tiny.folder.file("run/\(name).json")))
            let images = try JSONDecoder().decode(File.self, from: bytes).images
            #expect(images.count == count)
            #expect(images.allSatisfy { FileManager.default.fileExists(atPath: $0.file_name) })
            #expect(images.allSatisfy { $0.file_name.hasPrefix("/") })
        }
    }

    /// A run that is too long for its time is made shorter on the way, says so, and can be made again.
    @Test func aRunEndsInTimeAndIsMadeAgainFromWhatItSaved() throws {
        let tiny = try TinyFineTuning()
        let run = try tiny.run("run", ["steps": 100_000, "vision_steps": 60_000, "validate_every": 5000])
        let start = ContinuousClock.now
        run.pace = TrainingPace(visionStep: 1e-4, step: 1e-4, validation: 0.05)
        run.deadline = start + .seconds(8)
        #expect(try run.run())
        let elapsed = ContinuousClock.now - start
        #expect(elapsed < .seconds(12), "\(elapsed)")
        let changes = try #require(run.configuration.changes)
        #expect(changes.last?.steps == run.step && run.step < 100_000)
        #expect(try tiny.validations("run").last?["step"] == Double(run.step))
        let again = try FineTuning(
            FineTuningConfiguration(contentsOf: tiny.folder.file("run/configuration.json")),
            folder: tiny.folder.file("again"), resume: false, model: tiny.model)
        #expect(try again.run())
        let name = "checkpoint.safetensors"
        #expect(
            try TinyTraining.differences(tiny.folder.file("run/\(name)"), tiny.folder.file("again/\(name)"))
                == [])
    }

    @Test func aConfigurationIsChosenFromTheLabels() throws {
        let tiny = try TinyFineTuning()
        let path = try tiny.set("many", (0..<20).map { _ in TinyFineTuning.first }, mark: 10)
        let labels = FolderLabels(
            train: .init(format: .coco, path: path, images: tiny.folder.file("many-pictures")))
        let chosen = try AutomaticTuning(
            labels, until: .now + .seconds(30), threads: 1, model: tiny.model)
        let configuration = chosen.configuration
        #expect(configuration.imageSize == 160 && configuration.names == 2)
        #expect(configuration.data.validationShare == 0.5 && configuration.data.testShare == nil)
        #expect(configuration.visionSteps > 0 && configuration.steps > configuration.visionSteps)
        // Two things a picture can be animals in a landscape.
        #expect(!configuration.augmentation.turns && configuration.augmentation.flip == 0.5)
        #expect(chosen.pace.step > 0 && chosen.pace.validation > 0)
        #expect(chosen.reasons.contains { $0.contains("no validation of its own") }, "\(chosen.reasons)")
        let saved = tiny.folder.file("chosen.json")
        try configuration.json().write(toFile: saved, atomically: true, encoding: .utf8)
        #expect(try FineTuningConfiguration(contentsOf: saved) == configuration)
        let said = refusal {
            try AutomaticTuning(labels, until: .now + .milliseconds(1), threads: 1, model: tiny.model)
        }
        #expect(said?.contains("at least 10 are needed") == true, "\(said ?? "")")
    }

    @Test func aLargerInputKeepsTheAnswers() throws {
        let tiny = try TinyFineTuning()
        let source = try Lumen(contentsOf: ModelFolder(tiny.model))
        let image = TinyFineTuning.image(TinyFineTuning.first, mark: 3)
        func heat(_ model: Lumen) throws -> Tensor {
            let frame = PictureFrame(width: 64, height: 64, sizes: 32...64)
            let features = try model.encode(frame.pixels(of: image))
            let loc = try model.queries(["find the star"], after: model.prefix(features), pictures: 1)
            return try model.align(loc, features).heat
        }
        let before = try withoutGrad { try heat(source) }
        let same = try RemadeModel(source, imageSize: 64, classes: nil, seed: 1)
        #expect(same.fresh == [])
        #expect(try difference(withoutGrad { try heat(same.model) }, before) == nil)
        // Resized up and back down for the picture, the positions are nearly what they were.
        let larger = try RemadeModel(source, imageSize: 96, classes: nil, seed: 1)
        #expect(larger.fresh == [])
        #expect(larger.model.encoder.sizes == 80...96)
        #expect(
            try difference(withoutGrad { try heat(larger.model) }, before, relative: 0.02, absolute: 0.02)
                == nil)
    }

    @Test func aRectangleKeepsItsProportionAtALargerInput() {
        let frame = PictureFrame(width: 640, height: 480, sizes: 400...416)
        #expect((frame.fitted.width, frame.fitted.height) == (416, 312))
        #expect((frame.inputWidth, frame.inputHeight) == (416, 320))
    }

    @Test func classesThatWereKnownStayKnown() throws {
        let tiny = try TinyFineTuning()
        let source = try Lumen(contentsOf: ModelFolder(tiny.model))
        let remade = try RemadeModel(source, imageSize: 64, classes: ["nut", "heart", "bolt"], seed: 1)
        let configuration = remade.model.configuration
        #expect(configuration.encoder?.attributes == [["nut", "heart", "bolt"]])
        #expect(configuration.aligner.attributeGroups == [3])
        func rows(_ model: Lumen, _ start: Int, _ count: Int) throws -> Tensor {
            let weight = try #require(
                model.parameters.first { $0.name == "image_encoder.predict.weight" }?.tensor)
            return try weight.narrowed(0, start, count)
        }
        // The heart was the second of two kinds, and there were two colours before the box.
        #expect(try difference(rows(remade.model, 1, 1), rows(source, 1, 1), relative: 0) == nil)
        #expect(try difference(rows(remade.model, 3, 4), rows(source, 4, 4), relative: 0) == nil)
        #expect(remade.fresh.contains("aligner.match_query.weight"))
        #expect(!remade.fresh.contains("aligner.query.weight"))
    }

    /// The segmenter is fine-tuned after the rest, and goes into the model.
    @Test func theSegmenterLearnsTheMasks() throws {
        let tiny = try TinyFineTuning()
        let sam = SAMConfiguration(
            vision: SAMVisionConfiguration(
                hiddenSize: 16, outputChannels: 16, numHiddenLayers: 2, numAttentionHeads: 2, imageSize: 32,
                patchSize: 8, mlpDim: 16, windowSize: 2, globalAttnIndexes: [1], numPosFeats: 8),
            promptEncoder: SAMPromptEncoderConfiguration(hiddenSize: 16, imageSize: 32, patchSize: 8),
            maskDecoder: SAMMaskDecoderConfiguration(
                hiddenSize: 16, mlpDim: 16, numAttentionHeads: 2, iouHeadHiddenDim: 16, boxCoordinates: true))
        try ModelFolder(tiny.model).add(Segmenter(SAM(sam, seed: 2)))
        let changes: [String: Any] = [
            "steps": 1, "validate_every": 1,
            "segmenter": [
                "image_size": 64, "steps": 40, "pictures": 2, "prompts": 4, "jitter": 0.1,
                "schedule": ["peak": 0.01, "warmup_steps": 2, "decay_share": 0.5, "floor": 0.1],
            ],
        ]
        let run = try tiny.run("run", changes)
        var asked = 0
        #expect(
            try !run.run(shouldStop: {
                asked += 1
                return asked == 21
            }))
        #expect(try tiny.run("run", resume: true, changes).run())
        let metrics = try TinyTraining.metrics(tiny.folder.file("run/segmenter"))
        #expect(metrics.compactMap { $0["step"] } == (1...40).map(Double.init))
        let losses = metrics.compactMap { $0["mask"] }
        let (first, last) = (losses.prefix(5).reduce(0, +), losses.suffix(5).reduce(0, +))
        #expect(last < 0.8 * first, "\(first) to \(last)")
        let segmenter = try Segmenter(
            contentsOf: ModelFolder(tiny.folder.file("run/model")).folder(of: "segmenter"))
        #expect(segmenter.model.configuration.vision.imageSize == 64)
    }

    // MARK: Other labels than boxes

    /// A person is a red rectangle; his left hip is a blue spot.
    @Test func jointsAreLearntOfPeopleWhoAreCutOut() async throws {
        let tiny = try TinyFineTuning()
        let run = try tiny.run(
            "run",
            [
                "data": try tiny.people(), "steps": 150, "validate_every": 150, "log_every": 50,
                "joints": ["people": 2, "names": 2], "together": 2,
            ])
        #expect(run.summary.contains("4 people with joints to learn from"))
        #expect(try run.run())
        let figures = try #require(tiny.validations("run").last)
        #expect(figures["joints_AP"] ?? 0 > 0.5, "\(figures)")
        let page = try String(contentsOfFile: tiny.folder.file("run/report.html"), encoding: .utf8)
        #expect(page.contains("joints, AP (OKS 0.50 to 0.95)"))

        let engine = try Engine(model: tiny.folder.file("run/model"))
        let picture = await engine.open(try tiny.person(at: (20, 12), mark: 3))
        let found = try await engine.locate(["person"], in: picture, as: .keypoints)
        let hip = try #require(found[0].detections.first?.keypoints?.joints[11])
        #expect(abs(hip.point.x - 26) < 4 && abs(hip.point.y - 28) < 4, "\(hip)")
    }

    /// Wherever a person is put and however turned, the heat of the joint is on its pixels.
    @Test func jointsGoWithThePixels() throws {
        let tiny = try TinyFineTuning()
        let run = try tiny.run(
            "run",
            [
                "data": try tiny.people(), "steps": 20, "joints": ["people": 2, "names": 1], "pictures": 1,
                "vision_steps": 2,
                "augmentation": [
                    "flip": 0.5, "flip_vertically": 0.5, "turns": true, "scale": [1, 1], "colour": 0,
                    "invert": 0, "mosaic": 0,
                ],
            ])
        #expect(try run.batches(step: 1).count == 1)
        var places: Set<[Int]> = []
        for step in 2..<20 {
            // Crops are as large as the network's smaller input.
            let figures = try run.batches(step: step).map(\.batch).filter { $0.pixels.size(3) == 48 }
            #expect(figures.count == 2)
            for batch in figures {
                #expect(batch.heat.shape == [1, 1, 144])
                let cell = try batch.heat.argmax(-1).array(Int.self)[0]
                let (x, y) = (cell % 12 * 4 + 2, cell / 12 * 4 + 2)
                let pixels = try batch.pixels.array(Float.self)
                let colour = (0..<3).map { pixels[($0 * 48 + y) * 48 + x] }
                #expect(colour[2] > colour[0], "\(x), \(y): \(colour)")
                places.insert([x, y])
            }
        }
        #expect(places.count > 3)
    }

    /// The spot lies left of a person's middle: it is his left hip, and in a mirror the right one of the person who is seen there.
    @Test func mirroredPeopleAreAskedForTheOtherSide() throws {
        let tiny = try TinyFineTuning()
        let run = try tiny.run(
            "run",
            [
                "data": try tiny.people(), "steps": 12, "joints": ["people": 2, "names": 1], "pictures": 1,
                "augmentation": [
                    "flip": 0.5, "flip_vertically": 0, "turns": false, "scale": [1, 1], "colour": 0,
                    "invert": 0, "mosaic": 0,
                ],
            ])
        let tokenizer = try Lumen.tokenizer(of: ModelFolder(Engine.embeddedModel()))
        var sides: Set<String> = []
        for step in 0..<12 {
            for batch in try run.batches(step: step).map(\.batch) where batch.pixels.size(3) == 48 {
                let text = tokenizer.decode(try batch.ids[0].array(Int.self))
                let pixels = try batch.pixels.array(Float.self)
                func middle(_ isMeant: (_ red: Float, _ blue: Float) -> Bool) -> Double {
                    let columns = (0..<2304).filter { isMeant(pixels[$0], pixels[2 * 2304 + $0]) }.map {
                        $0 % 48
                    }
                    return Double(columns.reduce(0, +)) / Double(columns.count)
                }
                let side = middle { $1 > $0 + 60 } < middle { abs($0 - $1) > 60 } ? "left" : "right"
                #expect(text.contains("Please find the location of \(side) hip."), "\(text)")
                sides.insert(side)
            }
        }
        #expect(sides == ["left", "right"])
    }

    @Test func aMirrorMakesLeftJointsRightOnes() throws {
        let joints = Keypoints(
            (0..<17).map { .init(point: Point(x: Double($0), y: 2 * Double($0)), visibility: .visible) })
        func moved(_ change: (inout Augmentation.Draw) -> Void) -> [Keypoints.Joint] {
            var draw = Augmentation.Draw()
            change(&draw)
            return PicturePlacement(size: (40, 40), into: (0, 0, 40, 40), draw).input(joints).joints
        }
        // The left hip's place in the mirror is where the right hip was.
        #expect(moved { $0.isMirrored = true }[11].point == Point(x: 40 - 12, y: 24))
        #expect(moved { $0.isUpsideDown = true }[12].point == Point(x: 11, y: 40 - 22))
        let half = moved { ($0.isMirrored, $0.isUpsideDown) = (true, true) }
        #expect(half[11].point == Point(x: 40 - 11, y: 40 - 22))
        #expect(moved { $0.turns = 2 } == half)
    }

    @Test func pointsAreLearntAsBoxesOfTheirExamplesSize() throws {
        let tiny = try TinyFineTuning()
        func set(_ mark: UInt8) throws -> LabelledSet {
            let pictures = try (0..<2).map { number in
                let path = tiny.folder.file("\(mark)-\(number).png")
                try TinyFineTuning.image([], mark: mark + UInt8(number)).writePNG(to: path)
                var picture = LabelledSet.Picture(
                    id: 1, source: .file(path), fileName: path, width: 64, height: 64)
                picture.points = [Point(x: 20, y: 20), Point(x: 62, y: 3)]
                picture.exemplars = [
                    Box(x: 1, y: 1, width: 6, height: 10), Box(x: 30, y: 30, width: 10, height: 14),
                ]
                if number == 1 { picture.exemplars = [] }
                (picture.present, picture.absent) = ([1], [])
                return picture
            }
            return LabelledSet(
                name: "points", categories: [.init(id: 1, name: "apple"), .init(id: 2, name: "shell")],
                pictures: pictures)
        }
        let split = try LabelSplit(set(10), validation: set(90), tiny.configuration(["requests": 1]))
        #expect(split.classes == ["shell"])
        #expect(
            split.train[0].things.map(\.box) == [
                Box(x: 16, y: 14, width: 8, height: 12), Box(x: 58, y: 0, width: 6, height: 9),
            ])
        // Of the second nothing can be learnt.
        #expect(split.train.count == 1 && split.validation.count == 1)
        #expect(split.summary.first == "4 points are taken as boxes of their picture's examples' mean size")
        #expect(
            split.summary.contains(
                "2 pictures are left out: of no class is it known whether all of it is labelled"))
        #expect(split.summary[1] == "4 points are left out: their pictures have no example of the size")
    }

    @Test func theListsOfARunNamePicturesFromAnywhere() throws {
        let tiny = try TinyFineTuning()
        let path = try tiny.set("near", [TinyFineTuning.first, TinyFineTuning.second], mark: 10)
        let here = FileManager.default.currentDirectoryPath.split(separator: "/")
        let up = here.map { _ in "../" }.joined() + path.dropFirst()
        var data = try #require(tiny.fields()["data"] as? [String: Any])
        data["train"] = ["format": "coco", "path": up, "images": String(up.dropLast(5)) + "-pictures"]
        #expect(try tiny.run("run", ["data": data, "steps": 2]).run())
        let written = try JSONSerialization.jsonObject(
            with: Data(contentsOf: URL(fileURLWithPath: tiny.folder.file("run/train.json"))))
        let images = try #require((written as? [String: Any])?["images"] as? [[String: Any]])
        for image in images {
            let name = try #require(image["file_name"] as? String)
            #expect(
                name.hasPrefix("/") && !name.contains("..") && FileManager.default.fileExists(atPath: name))
        }
        #expect(images.count == 2)
    }

    @Test(arguments: [0.0, 1.0])
    func ofALostLabelsClassNothingIsLearnt(mosaic: Double) throws {
        let tiny = try TinyFineTuning()
        let path = try tiny.set("lost", [TinyFineTuning.first, TinyFineTuning.second], mark: 10)
        var file = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path)))
                as? [String: Any])
        var annotations = try #require(file["annotations"] as? [[String: Any]])
        // The first picture's blue thing is there, but its place cannot be read.
        (annotations[1]["bbox"], annotations[1]["segmentation"]) = ([1, 2], [])
        file["annotations"] = annotations
        try JSONSerialization.data(withJSONObject: file).write(to: URL(fileURLWithPath: path))
        var data = try #require(tiny.fields()["data"] as? [String: Any])
        data["train"] = ["format": "coco", "path": path, "images": tiny.folder.file("lost-pictures")]
        let run = try tiny.run(
            "run",
            [
                "data": data, "steps": 8, "names": 2, "requests": 3,
                "mixture": ["boxes": 1, "count": 1, "exist": 1],
                "augmentation": [
                    "flip": 0, "flip_vertically": 0, "turns": false, "scale": [1, 1], "colour": 0,
                    "invert": 0,
                    "mosaic": mosaic,
                ],
            ])
        #expect(run.labels.train.map(\.incomplete) == [[1], []])
        let tokenizer = try Lumen.tokenizer(of: ModelFolder(Engine.embeddedModel()))
        var (asked, masked) = (0, 0)
        for step in 0..<8 {
            for (batch, _) in try run.batches(step: step) {
                let text = try batch.ids.map { tokenizer.decode(try $0.array(Int.self)) }.joined()
                asked += text.contains("blue") ? 1 : 0
                guard let attention = try batch.denseAttention?.array(Float.self) else { continue }
                masked += 1
                // Of red everything that is seen well is learnt; of blue what is there, and it is asked for nowhere.
                #expect(mosaic == 1 || attention.prefix(attention.count / 2).allSatisfy { $0 == 1 })
                #expect(attention.suffix(attention.count / 2).contains(0) && !text.contains("blue"))
            }
        }
        #expect(masked > 0 && (mosaic == 1 || asked == 8))
    }

    @Test func captionsAndConversationsAloneAreLearnt() throws {
        let tiny = try TinyFineTuning()
        func source(_ name: String, mark: UInt8) throws -> [String: Any] {
            _ = try tiny.set(name, [TinyFineTuning.first, TinyFineTuning.second], mark: mark)
            let long = String(repeating: "more ", count: 700)
            let records = (0..<2).map { number -> [String: Any] in
                let turns = [
                    ("human", "<image>\nWhat is up?"), ("gpt", number == 0 ? "Red." : "Blue, of course."),
                    ("human", "Go on."), ("gpt", number == 0 ? long : "Here: [LOC]."),
                ]
                return [
                    "id": number, "image": "\(name)-\(number).png",
                    "conversations": turns.map { ["from": $0.0, "value": $0.1] },
                ]
            }
            try JSONSerialization.data(withJSONObject: records)
                .write(to: URL(fileURLWithPath: tiny.folder.file("\(name)-talk.json")))
            return [
                "format": "conversations", "path": tiny.folder.file("\(name)-talk.json"),
                "images": tiny.folder.file("\(name)-pictures"),
            ]
        }
        let data = [
            "train": try source("said", mark: 30), "validation": try source("asked", mark: 60),
        ]
        let run = try tiny.run(
            "run",
            [
                "data": data, "names": 0, "requests": 2, "remakes_head": false, "steps": 60,
                "validate_every": 30, "log_every": 30,
            ])
        #expect(run.summary.contains("train: 2 pictures; 2 conversations"))
        #expect(
            run.summary.contains(
                "4 texts are left out, of more than 480 tokens or with a token of the model's own such as [LOC]"
            ))
        #expect(try run.run())
        let last = try #require(tiny.validations("run").last)
        #expect(last["words"] ?? 0 > 0.7, "\(last)")
        #expect(last["AP"] == nil && last["accuracy"] == nil)
        let page = try String(contentsOfFile: tiny.folder.file("run/report.html"), encoding: .utf8)
        #expect(page.contains("tokens of captions and conversations foretold"))
        let said = refusal {
            try tiny.run("none", ["data": data, "names": 1, "requests": 2, "remakes_head": false])
        }
        #expect(said?.contains("there is nothing labelled with a box in its 2 pictures") == true)
    }

    // MARK: Several processes

    /// Each rank takes every second picture: the same step, and the first rank writes.
    @Test func ranksLearnWhatOneProcessDoes() throws {
        let tiny = try TinyFineTuning()
        let changes: [String: Any] = [
            "steps": 4, "vision_steps": 1, "requests": 1, "validate_every": 2,
            "augmentation": [
                "flip": 0.5, "flip_vertically": 0, "turns": false, "scale": [0.7, 1.4], "colour": 0.3,
                "invert": 0, "mosaic": 0.5,
            ],
        ]
        let configuration = try tiny.configuration(changes)
        #expect(try tiny.run("one", changes).run())
        let (folder, model) = (tiny.folder.file("two"), tiny.model)
        @Sendable func run(_ group: ProcessGroup, resume: Bool, stopAfter: Int?) throws -> Bool {
            let run = try FineTuning(
                configuration, folder: folder, resume: resume, group: group, model: model)
            // One rank alone is asked to stop.
            return try run.run(shouldStop: { group.rank == 1 && run.step + 1 == stopAfter })
        }
        let stopped = try ranks(2) { try run($0, resume: false, stopAfter: 3) }
        #expect(try stopped.map { try $0.get() } == [false, false])
        let whole = try ranks(2) { try run($0, resume: true, stopAfter: nil) }
        #expect(try whole.map { try $0.get() } == [true, true])
        for name in ["checkpoint.safetensors", "model/image_encoder/model.safetensors"] {
            let (a, b) = (tiny.folder.file("one/\(name)"), tiny.folder.file("two/\(name)"))
            #expect(try TinyTraining.differences(a, b) == [])
        }
        #expect(
            try TinyTraining.metrics(tiny.folder.file("one"))
                == TinyTraining.metrics(tiny.folder.file("two")))
        #expect(try tiny.validations("one") == tiny.validations("two"))
        #expect(FileManager.default.fileExists(atPath: tiny.folder.file("two/report.html")))
        let refused = try ranks(3) { try run($0, resume: true, stopAfter: nil) }
        for result in refused {
            #expect("\(result)".contains("pictures 2: they cannot be divided among 3 ranks"), "\(result)")
        }
    }

    /// Of shards each rank reads its own; what only one of them shows, all of them can name.
    @Test func ranksLearnFromShardsOfTheirOwn() throws {
        let tiny = try TinyFineTuning()
        for (number, thing) in [TinyFineTuning.first[0], TinyFineTuning.second[0]].enumerated() {
            let place = tiny.folder.file("shard-\(number)")
            try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
            let image = TinyFineTuning.image([thing], mark: UInt8(70 + number))
            try image.writePNG(to: "\(place)/0.png")
            let box = thing.box
            try TinyTraining.write(
                [
                    "annotations": [
                        ["category": thing.name, "bbox": [box.x, box.y, box.width, box.height]]
                    ]
                ], to: "\(place)/0.json")
            let tar = Process()
            tar.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            tar.arguments = ["tar", "-cf", "\(place).tar", "-C", place, "0.png", "0.json"]
            try tar.run()
            tar.waitUntilExit()
            #expect(tar.terminationStatus == 0)
        }
        var data = try #require(tiny.fields()["data"] as? [String: Any])
        data["train"] = ["format": "webdataset", "path": tiny.folder.file("shard-{0..1}.tar")]
        let configuration = try tiny.configuration(["data": data])
        let (folder, model) = (tiny.folder.file("run"), tiny.model)
        struct Seen: Sendable {
            let classes: [String]
            let colours: Set<String>
            let weights: [Float]
        }
        let seen = try ranks(2) { group -> Seen in
            let run = try FineTuning(configuration, folder: folder, resume: false, group: group, model: model)
            var colours: Set<String> = []
            for part in try (0..<4).flatMap({ try run.batches(step: $0) }) {
                let pixels = try part.batch.pixels.array(Float.self)
                let sums = (0..<3).map { pixels[$0 * 4096..<($0 + 1) * 4096].reduce(0, +) }
                colours.insert(sums[0] > sums[2] ? "red" : "blue")
            }
            #expect(try run.run())
            let tensor = run.model.parameters.first { $0.name == "aligner.query.weight" }!.tensor
            return Seen(
                classes: run.labels.classes, colours: colours, weights: try tensor.array(Float.self))
        }.map { try $0.get() }
        #expect(seen.map(\.classes) == [["blue", "red"], ["blue", "red"]])
        #expect(seen.map(\.colours) == [["red"], ["blue"]])
        #expect(seen[0].weights == seen[1].weights)
    }

    // MARK: What is refused

    @Test func aValidationOfOtherClassesIsRefused() throws {
        let tiny = try TinyFineTuning()
        let path = try tiny.set("other", [TinyFineTuning.first], mark: 40, categories: ["blue", "red"])
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try text.replacing("\"red\"", with: "\"green\"").replacing("\"blue\"", with: "\"black\"")
            .write(toFile: path, atomically: true, encoding: .utf8)
        var data = try #require(tiny.fields()["data"] as? [String: Any])
        data["validation"] = ["format": "coco", "path": path, "images": tiny.folder.file("other-pictures")]
        let said = refusal { try tiny.run("run", ["data": data]) }
        #expect(said == "\(path): none of its 2 things is of a class that is learnt: red, blue")
    }

    /// Two cameras may both count from 0; the same picture is told by its content.
    @Test func picturesOfOneNameAreToldOf() throws {
        let tiny = try TinyFineTuning()
        func set(_ mark: UInt8) throws -> LabelledSet {
            let path = try tiny.set("marked", [TinyFineTuning.first, TinyFineTuning.second], mark: mark)
            let folder = tiny.folder.file("pictures-\(mark)")
            try FileManager.default.moveItem(atPath: tiny.folder.file("marked-pictures"), toPath: folder)
            return try LabelledSet.read(DataSource(format: .coco, path: path, images: folder))
        }
        let split = try LabelSplit(set(1), validation: set(7), tiny.configuration())
        #expect(
            split.summary.contains(
                "2 pictures to validate by are called as others that are learnt from, with other content: marked-0.png, marked-1.png"
            ), "\(split.summary)")
    }

    @Test func picturesThatAreLearntFromAreNotValidatedBy() throws {
        let tiny = try TinyFineTuning()
        let train = try tiny.set("train", [TinyFineTuning.first, TinyFineTuning.second], mark: 10)
        let source: [String: Any] = [
            "format": "coco", "path": train, "images": tiny.folder.file("train-pictures"),
        ]
        let said = refusal { try tiny.run("run", ["data": ["train": source, "validation": source]]) }
        #expect(
            said
                == "\(train): 2 of the 2 pictures to validate by are learnt from too: train-0.png, train-1.png"
        )
        #expect(!FileManager.default.fileExists(atPath: tiny.folder.file("run")))
    }

    @Test func aShareForValidationIsDrawnByTheSeed() throws {
        let tiny = try TinyFineTuning()
        let pictures = (0..<10).map { _ in TinyFineTuning.first }
        let source: [String: Any] = [
            "format": "coco", "path": try tiny.set("many", pictures, mark: 20),
            "images": tiny.folder.file("many-pictures"),
        ]
        func split(_ share: Double, seed: Int) throws -> LabelSplit {
            try LabelSplit(
                tiny.configuration([
                    "data": ["train": source, "validation_share": share], "seed": seed,
                ]))
        }
        let one = try split(0.3, seed: 1)
        #expect((one.train.count, one.validation.count) == (7, 3))
        #expect(Set(one.train.map(\.fileName)).isDisjoint(with: one.validation.map(\.fileName)))
        #expect(try split(0.3, seed: 1).validation == one.validation)
        let others = try (2..<6).map { try split(0.3, seed: $0).validation.map(\.fileName) }
        #expect(others.contains { $0 != one.validation.map(\.fileName) })
        let said = refusal { try split(0.01, seed: 1) }
        #expect(
            said?.hasSuffix("of its 10 pictures leaves none to validate by") == true, "\(said ?? "nothing")")
    }

    @Test func whatCannotBeLearntIsRefusedBeforeTraining() throws {
        let tiny = try TinyFineTuning()
        func said(_ changes: [String: Any]) -> String {
            refusal { try tiny.run("run", changes) } ?? "nothing"
        }
        #expect(said(["questions": 2]).hasSuffix("no picture has a question with an answer"))
        #expect(said(["names": 0, "questions": 0]).hasSuffix("names, requests and questions are all 0"))
        #expect(said(["image_size": 100]).contains("image_size is 100"))
        #expect(said(["losses": ["dense": 1]]).contains("the field losses.heat is missing"))
        #expect(said(["vision_steps": 4]).contains("vision_steps is 4, 0 to 3 is possible"))
        #expect(said(["patience": 0]).contains("patience is 0"))
        #expect(said(["joints": ["people": 1, "names": 1]]).contains("no thing of a class \"person\" has"))
        #expect(said(["joints": ["people": 1, "names": 18]]).contains("joints.names is 18, 1 to 17 is"))
        #expect(said(["mixture": ["dance": 1]]).contains("mixture has the task \"dance\"; there are boxes, "))
        let reserved = try tiny.set("reserved", [TinyFineTuning.first], mark: 1, categories: ["red", "blue"])
        let text = try String(contentsOfFile: reserved, encoding: .utf8)
        for (name, reason) in [("[LOC]", "reserved"), ("the end", "means one thing alone")] {
            try text.replacing("\"red\"", with: "\"\(name)\"").write(
                toFile: reserved, atomically: true, encoding: .utf8)
            let source: [String: Any] = [
                "format": "coco", "path": reserved, "images": tiny.folder.file("reserved-pictures"),
            ]
            let answer = said([
                "data": [
                    "train": source,
                    "validation": [
                        "format": "coco", "path": tiny.folder.file("validation.json"),
                        "images": tiny.folder.file("validation-pictures"),
                    ],
                ]
            ])
            #expect(answer.hasPrefix("class \"\(name)\""), "\(answer)")
            #expect(answer.contains(reason), "\(answer)")
        }
        #expect(!FileManager.default.fileExists(atPath: tiny.folder.file("run")))
    }

    @Test func sentencesAreLearntOfPicturesThatStandAsTheyWere() throws {
        let tiny = try TinyFineTuning()
        let labels = try tiny.set("train", [TinyFineTuning.first, TinyFineTuning.second], mark: 10)
        let sentences = ["the left block", "whatever is right", "the one above", "the lower one"]
        let references = (0..<4).map { number -> [String: Any] in
            let said: [String: Any] = ["sent": sentences[number], "sent_id": number]
            return [
                "ref_id": number, "image_id": number / 2 + 1, "ann_id": number + 1, "split": "train",
                "sentences": [said],
            ]
        }
        try JSONSerialization.data(withJSONObject: references)
            .write(to: URL(fileURLWithPath: tiny.folder.file("refs.json")))
        func said(_ name: String, flip: Double) throws -> [String] {
            let run = try tiny.run(
                name,
                [
                    "data": [
                        "train": [
                            "format": "refcoco", "path": tiny.folder.file("refs.json"), "labels": labels,
                            "images": tiny.folder.file("train-pictures"),
                        ], "validation_share": 0.5,
                    ], "steps": 6, "requests": 2, "mixture": ["grounding": 1],
                    "augmentation": [
                        "flip": flip, "flip_vertically": 0, "turns": false, "scale": [1, 1], "colour": 0,
                        "invert": 0, "mosaic": 0,
                    ],
                ])
            let tokenizer = try Lumen.tokenizer(of: ModelFolder(Engine.embeddedModel()))
            let text = try (0..<6).flatMap { try run.batches(step: $0) }.flatMap(\.batch.ids)
                .map { tokenizer.decode(try $0.array(Int.self)) }.joined()
            return sentences.filter(text.contains)
        }
        // One picture is learnt from, and it has two.
        #expect(try said("upright", flip: 0).count == 2)
        #expect(try said("mirrored", flip: 1) == [])
    }

    @Test func fieldsThatNothingReadsAreRefused() throws {
        let tiny = try TinyFineTuning()
        var data = try #require(tiny.fields()["data"] as? [String: Any])
        var train = try #require(data["train"] as? [String: Any])
        train["splitt"] = "val"
        data["train"] = train
        for (changes, field) in [(["data": data], "data.train.splitt"), (["stepz": 3], "stepz")]
            as [([String: Any], String)]
        {
            let error = #expect(throws: TrainingError.self) { try tiny.configuration(changes) }
            #expect(error?.description.hasSuffix("there is no field \(field)") == true)
        }
        train["splitt"] = nil
        train["format"] = "cocoa"
        data["train"] = train
        let error = #expect(throws: TrainingError.self) { try tiny.configuration(["data": data]) }
        #expect(error?.description.contains("format \"cocoa\" is not known, only coco, voc") == true)
        let joints = #expect(throws: TrainingError.self) {
            try tiny.configuration(["mixture": ["joint": 1]])
        }
        #expect(joints?.description.contains("joints says of how many") == true)
    }

    // MARK: Augmentation

    @Test func picturesAreUprightAndWholeInTheEnd() throws {
        let tiny = try TinyFineTuning()
        func pixels(_ name: String, _ augmentation: [String: Any]) throws -> [[Float]] {
            let none: [String: Any] = [
                "flip": 0, "flip_vertically": 0, "turns": false, "scale": [1, 1], "colour": 0, "invert": 0,
                "mosaic": 0,
            ]
            let run = try tiny.run(
                name, ["steps": 8, "augmentation": none.merging(augmentation) { $1 }], width: 80)
            return try (0..<8).map { step in
                try run.batches(step: step).flatMap { try $0.batch.pixels.array() }
            }
        }
        let plain = try pixels("plain", [:])
        let changed = try pixels(
            "changed", ["flip_vertically": 1, "turns": true, "mosaic": 1, "until": 0.5])
        #expect(zip(plain, changed).map { $0 == $1 } == (0..<8).map { $0 >= 4 })
    }

    /// Wherever a picture is put and however it is turned, its boxes go with its pixels.
    @Test(arguments: 0..<16) func boxesGoWithThePixels(number: Int) throws {
        var draw = Augmentation.Draw()
        draw.turns = number % 4
        draw.isMirrored = number & 4 != 0
        draw.isUpsideDown = number & 8 != 0
        draw.scale = number % 3 == 0 ? 2 : 1
        draw.place = (0.3, 0.6)
        let box = Box(x: 20, y: 10, width: 14, height: 22)
        let image = TinyFineTuning.image(
            [.init(name: "red", box: box)], mark: 128, width: 60, height: 40)
        let placement = PicturePlacement(size: (60, 40), into: (8, 4, 100, 90), draw)
        let drawn = try placement.pixels(of: image)
        #expect((drawn.width, drawn.height) == (placement.area.width, placement.area.height))
        let seen = try #require(placement.input(box)).seen
        // Where it is red.
        var (low, high) = ((x: Int.max, y: Int.max), (x: -1, y: -1))
        for y in 0..<drawn.height {
            for x in 0..<drawn.width where drawn.pixels[(y * drawn.width + x) * 3] > 180 {
                low = (min(low.x, x), min(low.y, y))
                high = (max(high.x, x), max(high.y, y))
            }
        }
        let found = Box(
            x: Double(low.x + placement.area.x), y: Double(low.y + placement.area.y),
            width: Double(high.x - low.x + 1), height: Double(high.y - low.y + 1))
        #expect(found.iou(seen) > 0.9, "\(found) for \(seen)")
        for point in [Point(x: 3, y: 5), Point(x: 41.5, y: 17.25)] {
            let back = placement.original(placement.input(point))
            #expect(abs(back.x - point.x) < 1e-9 && abs(back.y - point.y) < 1e-9)
        }
    }
}
