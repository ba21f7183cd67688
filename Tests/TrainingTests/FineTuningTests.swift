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
        let run = try tiny.run("run", threads: 2, ["steps": 120, "validate_every": 60, "log_every": 20])
        #expect(try run.run())
        let validations = try tiny.validations("run")
        #expect(validations.map { $0["step"] } == [60, 120])
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
        #expect(try tiny.validations("whole").map { $0["step"] } == [4, 6])
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
        #expect(try tiny.validations("run").count == 4)
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

    // MARK: What is refused

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
            try tiny.configuration(["mixture": ["keypoints": 1]])
        }
        #expect(joints?.description.contains("do not learn") == true)
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
