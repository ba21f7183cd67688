import Checkpoints
import Encoders
import Foundation
import Media
import NN
import Perception
import TestSupport
import Testing
import Torch
import Vitrail

/// Against transformers' SamModel, with the folder and the prompts of Tools/reference/sam.py.
@Suite struct SegmenterTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures/sam").path

    private let fixture: Fixture
    private let segmenter: Segmenter
    private let picture: Image

    init() throws {
        fixture = try Fixture("sam/prompts")
        segmenter = try Segmenter(contentsOf: Self.folder)
        let pixels = try fixture.picture
        picture = Image(width: pixels.size(1), height: pixels.size(0), pixels: try pixels.array(UInt8.self))
    }

    private struct PromptFields: Decodable {
        var points: [[[Double]]]?
        var labels: [[Int]]?
        var boxes: [[Double]]?
    }

    private func tensors(_ name: String) throws -> SAMPrompts {
        func input(_ field: String) throws -> Tensor? {
            try fixture.file.tensor(named: "inputs/\(name)/\(field)")
        }
        return SAMPrompts(
            points: try input("input_points"), labels: try input("input_labels"),
            boxes: try input("input_boxes"), masks: try input("input_masks"))
    }

    @Test func theEmbeddingIsTransformers() throws {
        let image = try segmenter.encode(picture)
        let features = try segmenter.model.encode(fixture["outputs/pixels"])
        #expect(try relativeError(features.embedding, fixture["outputs/embedding"]) < 1e-5)
        #expect(image.width == 100 && image.height == 60)
    }

    @Test(arguments: [
        "point", "points", "box", "point_and_box", "several", "padding", "previous", "previous_alone",
    ])
    func masksAndScoresAreTransformers(_ name: String) throws {
        let features = SAMFeatures(embedding: try fixture["outputs/embedding"], fine: nil)
        let all = try segmenter.model.masks(tensors(name), features)
        for (kind, multimask) in [("single", false), ("multi", true)] {
            let masks = try all.chosen(multimask: multimask)
            #expect(try relativeError(masks.logits, fixture["outputs/\(name)/\(kind)/masks"]) < 1e-5)
            #expect(try relativeError(masks.scores, fixture["outputs/\(name)/\(kind)/scores"]) < 1e-5)
        }
    }

    /// From the picture's pixels to masks of its size, prompts of three forms together.
    @Test func wholePicturesMasksAreTransformers() throws {
        let json = try #require(fixture.metadata["prompts"])
        let fields = try JSONDecoder().decode([String: PromptFields].self, from: Data(json.utf8))
        let image = try segmenter.encode(picture)
        var prompts: [SegmenterPrompt] = []
        var expected: [[Bool]] = []
        for name in ["point", "points", "box", "several"] {
            let given = try #require(fields[name])
            let full = try fixture["outputs/\(name)/single/full"]
            for index in 0..<full.size(0) {
                let points = zip(given.points?[index] ?? [], given.labels?[index] ?? []).map {
                    (Point(x: $0[0], y: $0[1]), isForeground: $1 == 1)
                }
                let box = given.boxes?[index]
                prompts.append(
                    SegmenterPrompt(
                        points: points,
                        box: box.map { Box(x: $0[0], y: $0[1], width: $0[2] - $0[0], height: $0[3] - $0[1]) })
                )
                expected.append(try full[index, 0].array(UInt8.self).map { $0 != 0 })
            }
        }
        let answers = try segmenter.masks(prompts, in: image)
        for (answer, pixels) in zip(answers, expected) {
            #expect(answer.count == 1)
            let truth = try Mask(width: 100, height: 60, bitmap: pixels)
            // A pixel whose logit is 0 but for rounding may differ.
            #expect(try answer[0].mask.iou(truth) > 0.995 || truth.isEmpty && answer[0].mask.area < 3)
            #expect(answer[0].box == answer[0].mask.boundingBox)
        }
    }

    @Test func eachPromptIsAnsweredAsIfAlone() throws {
        let image = try segmenter.encode(picture)
        var prompts = (0..<70).map {
            SegmenterPrompt(points: [(Point(x: Double($0), y: 30), isForeground: true)])
        }
        prompts.insert(SegmenterPrompt(box: Box(x: 10, y: 10, width: 30, height: 30)), at: 5)
        let together = try segmenter.masks(prompts, in: image)
        for index in [0, 5, 70] {
            let alone = try segmenter.masks([prompts[index]], in: image)[0][0]
            #expect(abs(alone.score - together[index][0].score) < 1e-5)
            let (a, b) = (alone.logits.values, together[index][0].logits.values)
            #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-3 })
        }
        #expect(try segmenter.masks([], in: image).isEmpty)
    }

    @Test func severalMasksComeBestFirst() throws {
        let image = try segmenter.encode(picture)
        let masks = try segmenter.masks(
            [SegmenterPrompt(points: [(Point(x: 20, y: 30), isForeground: true)])], in: image, multimask: true
        )[0]
        #expect(masks.count == 3)
        #expect(masks.map(\.score) == masks.map(\.score).sorted(by: >))
        // What was given goes in again.
        let again = SegmenterPrompt(
            points: [(Point(x: 20, y: 30), isForeground: true)], previous: masks[0].logits)
        #expect(try segmenter.masks([again], in: image)[0][0].logits.side == 32)
    }

    @Test func promptsOutsideThePictureAreRefused() throws {
        let image = try segmenter.encode(picture)
        func said(_ prompt: SegmenterPrompt) -> String {
            do {
                _ = try segmenter.masks([prompt], in: image)
                return ""
            } catch { return "\(error)" }
        }
        #expect(said(SegmenterPrompt()) == "a prompt needs a point or a box")
        #expect(
            said(SegmenterPrompt(points: [(Point(x: 101, y: 5), isForeground: true)]))
                == "the point 101.0,5.0 is outside the picture of 100 x 60 pixels")
        #expect(
            said(SegmenterPrompt(points: [(Point(x: .nan, y: 5), isForeground: true)])).contains("outside"))
        #expect(said(SegmenterPrompt(box: Box(x: 1, y: 1, width: 0, height: 9))).contains("is empty"))
        #expect(said(SegmenterPrompt(box: Box(x: 1, y: 1, width: .infinity, height: 9))).contains("outside"))
        let many = (0..<65).map { _ in (Point(x: 1, y: 1), isForeground: true) }
        #expect(said(SegmenterPrompt(points: many)).contains("limit of 64"))
    }

    /// As transformers takes them: nothing of a box is cut off.
    @Test func boxesMayReachOutOfThePicture() throws {
        let image = try segmenter.encode(picture)
        let box = Box(x: -30, y: 12, width: 200, height: 90)
        // The picture of 100 x 60 stands as 64 x 38 in the input.
        let (x, y) = (0.64, 38.0 / 60)
        let prompts = SAMPrompts(boxes: try Tensor([-30 * x, 12 * y, 170 * x, 102 * y], [1, 1, 4]))
        let features = SAMFeatures(embedding: try fixture["outputs/embedding"], fine: nil)
        let expected = try segmenter.model.masks(prompts, features).chosen(multimask: false).logits
        let found = try segmenter.masks([SegmenterPrompt(box: box)], in: image)[0][0]
        #expect(try relativeError(Tensor(found.logits.values), expected.flattened(0)) < 1e-4)
        let beside = SegmenterPrompt(box: Box(x: 200, y: 1, width: 5, height: 9))
        #expect(try segmenter.masks([beside], in: image)[0].count == 1)
    }

    // MARK: Folders and configurations

    @Test func absentFieldsAreTransformersDefaults() throws {
        let published = try JSONDecoder().decode(SAMConfiguration.self, from: Data("{}".utf8))
        #expect(published == SAMConfiguration())
        #expect(published.vision.imageSize == 1024 && published.vision.globalAttnIndexes == [2, 5, 8, 11])
        #expect(published.maskDecoder.mlpDim == 2048 && published.promptEncoder.maskInputChannels == 16)
        let wide = try JSONDecoder().decode(
            SAMConfiguration.self, from: Data(#"{"vision_config":{"hidden_size":1280}}"#.utf8))
        #expect(wide.vision.mlpDim == 5120)
    }

    @Test func theEmbeddedShapeComesBackFromItsFolder() throws {
        let folder = try TemporaryFolder()
        var small = SAMConfiguration.mosaic
        small.vision.imageSize = 64
        small.promptEncoder.imageSize = 64
        small.vision.numHiddenLayers = 1
        let made = Segmenter(try SAM(small, seed: 3))
        try made.save(to: folder.file("segmenter"))
        let opened = try Segmenter(contentsOf: folder.file("segmenter"))
        #expect(opened.model.configuration == small)
        let prompt = SegmenterPrompt(box: Box(x: 10, y: 10, width: 30, height: 30))
        let logits = try [made, opened].map { segmenter in
            try segmenter.masks([prompt], in: segmenter.encode(picture))[0][0].logits.values
        }
        let largest = logits[0].map(abs).max()!
        #expect(zip(logits[0], logits[1]).allSatisfy { abs($0 - $1) < 0.1 * largest })
        #expect(largest > 0)
    }

    @Test func theEmbeddedSegmenterHasTwoToThreeMillionParameters() throws {
        let count = try SAM(.mosaic, seed: 1).store.count
        #expect((2_000_000...3_200_000).contains(count), "\(count)")
    }

    @Test func coordinatesRelativeToTheBoxChangeTheMask() throws {
        var small = SAMConfiguration.mosaic
        small.vision.imageSize = 64
        small.promptEncoder.imageSize = 64
        small.vision.numHiddenLayers = 1
        small.vision.skipChannels = 0
        let with = try SAM(small, seed: 3)
        #expect(with.store["mask_decoder.boxes.weight"]?.shape == [16, 5, 1, 1])
        #expect(with.store["mask_decoder.skip.weight"] == nil)
        small.maskDecoder.boxCoordinates = false
        #expect(try SAM(small, seed: 3).store["mask_decoder.boxes.weight"] == nil)
    }

    @Test func badConfigurationsAreNamed() throws {
        func said(_ change: (inout SAMConfiguration) -> Void) -> String {
            var configuration = SAMConfiguration.mosaic
            change(&configuration)
            do {
                _ = try SAM(configuration, seed: 1)
                return ""
            } catch { return "\(error)" }
        }
        #expect(said { $0.vision.numPosFeats = 63 }.contains("num_pos_feats is 63"))
        #expect(said { $0.vision.imageSize = 128 }.contains("differ"))
        #expect(said { $0.vision.patchSize = 4 }.contains("differ"))
        #expect(said { $0.vision.patchSize = 0 }.contains("patch_size is 0"))
        #expect(said { $0.vision.numAttentionHeads = 3 }.contains("num_attention_heads is 3"))
        #expect(said { $0.maskDecoder.attentionDownsampleRate = 0 }.contains("attention_downsample_rate"))
        #expect(said { $0.maskDecoder.iouHeadDepth = 1 }.contains("iou_head_depth is 1"))
    }

    @Test func foldersThatAreNoneAreNamed() throws {
        func said(_ path: String) -> String {
            do {
                _ = try Segmenter(contentsOf: path)
                return ""
            } catch { return "\(error)" }
        }
        #expect(said("/no/such/folder") == "/no/such/folder: no such file or folder")
        #expect(said("\(Self.folder)/config.json").contains("neither a model's folder nor SAM's"))
        let folder = try TemporaryFolder()
        try Data(#"{"model_type":"clip"}"#.utf8).write(to: URL(fileURLWithPath: folder.file("config.json")))
        #expect(said(folder.path).hasSuffix("a CLIP, where a SAM is needed"))
    }
}
