internal import Checkpoints
internal import Encoders
internal import Foundation
internal import NN
internal import Perception
internal import TestSupport
internal import Testing
internal import Torch
internal import Training
internal import Vitrail

/// A segmenter of some ten thousand parameters, and six steps of its training.
private enum TinySegmenter {
    static var fields: [String: Any] {
        let schedule: [String: Any] = ["peak": 0.003, "warmup_steps": 2, "decay_share": 0.5, "floor": 0.1]
        return [
            "model": "segmenter", "seed": 5, "steps": 6, "scenes": 2, "shards": 2, "rich_share": 0.5,
            "oblong_share": 0.5,
            "guided": 2, "boxes": 1, "points": 1, "corrected": 1, "jitter": 0.1, "schedule": schedule,
            "optimizer": "adamw", "weight_decay": 0.05, "gradient_limit": 1, "mixed_precision": false,
            "log_every": 2,
            "checkpoint_every": 2,
        ]
    }

    static func configuration(
        _ change: (inout SegmenterTrainingConfiguration) -> Void = { _ in }
    ) throws -> SegmenterTrainingConfiguration {
        let folder = try TemporaryFolder()
        try TinyTraining.write(fields, to: folder.file("tiny.json"))
        var configuration = try SegmenterTrainingConfiguration(contentsOf: folder.file("tiny.json"))
        change(&configuration)
        return configuration
    }

    static func trainer(
        _ folder: String, resume: Bool = false, threads: Int = 1,
        _ change: (inout SegmenterTrainingConfiguration) -> Void = { _ in }
    ) throws -> SegmenterTrainer {
        try SegmenterTrainer(
            configuration(change), folder: folder, resume: resume, threads: threads,
            shape: SAMConfiguration(
                vision: SAMVisionConfiguration(
                    hiddenSize: 16, outputChannels: 16, numHiddenLayers: 2, numAttentionHeads: 2,
                    imageSize: 64,
                    patchSize: 8, mlpDim: 32, windowSize: 4, globalAttnIndexes: [1], numPosFeats: 8,
                    skipChannels: 4),
                promptEncoder: SAMPromptEncoderConfiguration(hiddenSize: 16, imageSize: 64, patchSize: 8),
                maskDecoder: SAMMaskDecoderConfiguration(
                    hiddenSize: 16, mlpDim: 32, numAttentionHeads: 2, iouHeadHiddenDim: 16,
                    boxCoordinates: true)))
    }
}

@Suite(.serialized) struct SegmenterTrainerTests {
    @Test func continuingARunGivesWhatOneRunGives() throws {
        let (whole, parts) = (try TemporaryFolder(), try TemporaryFolder())
        #expect(try TinySegmenter.trainer(whole.file("run")).run())
        let first = try TinySegmenter.trainer(parts.file("run"))
        #expect(try !first.run(shouldStop: { first.step == 4 }))
        let second = try TinySegmenter.trainer(parts.file("run"), resume: true)
        #expect(second.step == 4)
        #expect(try second.run())
        let name = "run/checkpoint.safetensors"
        #expect(try TinyTraining.differences(whole.file(name), parts.file(name)) == [])
        let metrics = try TinyTraining.metrics(whole.file("run"))
        #expect(metrics.map { $0["step"] } == [2, 4, 6])
        #expect(try TinyTraining.metrics(parts.file("run")) == metrics)
        #expect(
            try Segmenter(contentsOf: parts.file("run/model")).model.configuration.vision.hiddenSize == 16)
    }

    @Test func howManyShardsRunAtTheSameTimeChangesNothing() throws {
        let (one, two) = (try TemporaryFolder(), try TemporaryFolder())
        for (folder, threads) in [(one, 1), (two, 2)] {
            #expect(try TinySegmenter.trainer(folder.file("run"), threads: threads) { $0.steps = 3 }.run())
        }
        let name = "run/checkpoint.safetensors"
        #expect(try TinyTraining.differences(one.file(name), two.file(name)) == [])
    }

    @Test func aStepLearnsTheSameInOneShardAndInTwo() throws {
        let (one, two) = (try TemporaryFolder(), try TemporaryFolder())
        let whole = try TinySegmenter.trainer(one.file("run")) { $0.shards = 1 }
        let shared = try TinySegmenter.trainer(two.file("run"))
        let losses = try whole.learn(from: [whole.batch(step: 0, shard: 0)])
        let parts = try shared.learn(from: [0, 1].map { try shared.batch(step: 0, shard: $0) })
        for (name, loss) in losses { #expect(abs(loss - parts[name]!) < 1e-4 * max(1, loss), "\(name)") }
    }

    @Test func theSameBatchIsLearnt() throws {
        let folder = try TemporaryFolder()
        let trainer = try TinySegmenter.trainer(folder.file("run")) {
            $0.steps = 100
            $0.schedule.decayShare = 0
        }
        let batches = try [0, 1].map { try trainer.batch(step: 0, shard: $0) }
        let losses = try (0..<30).map { _ in try trainer.learn(from: batches) }
        #expect(losses[29]["loss"]! < 0.8 * losses[0]["loss"]!, "\(losses[0]) to \(losses[29])")
    }

    @Test func aBatchDependsOnSeedAndStepAlone() throws {
        let folder = try TemporaryFolder()
        let one = try TinySegmenter.trainer(folder.file("one")).batch(step: 3, shard: 1)
        let other = try TinySegmenter.trainer(folder.file("other")).batch(step: 3, shard: 1)
        #expect(one.groups.map(\.name) == ["guided", "box", "points", "corrected"])
        #expect(try difference(one.pixels, other.pixels, relative: 0, absolute: 0) == nil)
        for (a, b) in zip(one.groups, other.groups) {
            #expect(try difference(a.targets, b.targets, relative: 0, absolute: 0) == nil)
            // A target is a share of a cell, and there is a thing.
            #expect(try a.targets.max().item() <= 1.0001)
            #expect(try a.targets.sum(-1).min().item() > 0)
        }
        let next = try TinySegmenter.trainer(folder.file("next")).batch(step: 4, shard: 1)
        #expect(try difference(one.pixels, next.pixels) != nil)
    }

    @Test func thePositionsStayAsTheyWereDrawn() throws {
        let folder = try TemporaryFolder()
        let trainer = try TinySegmenter.trainer(folder.file("run"))
        let name = "shared_image_embedding.positional_embedding"
        let before = try trainer.model.store[name]!.clone()
        _ = try trainer.learn(from: [trainer.batch(step: 0, shard: 0)])
        #expect(try difference(trainer.model.store[name]!, before, relative: 0, absolute: 0) == nil)
    }

    @Test func theFileThatComesWithThePackageIsGood() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let path = root.appendingPathComponent("Training/segmenter.json").path
        #expect(SegmenterTrainingConfiguration.isMeant(by: path))
        #expect(try SegmenterTrainingConfiguration(contentsOf: path).seed < 900_000)
        #expect(
            !SegmenterTrainingConfiguration.isMeant(
                by: root.appendingPathComponent("Training/mosaic.json").path))
    }

    @Test func badFieldsAreNamed() throws {
        func said(_ change: (inout [String: Any]) -> Void) throws -> String {
            let folder = try TemporaryFolder()
            var fields = TinySegmenter.fields
            change(&fields)
            try TinyTraining.write(fields, to: folder.file("tiny.json"))
            return refusal { try SegmenterTrainingConfiguration(contentsOf: folder.file("tiny.json")) } ?? ""
        }
        for name in TinySegmenter.fields.keys.sorted() {
            #expect(try said { $0[name] = nil }.hasSuffix("the field \(name) is missing"))
        }
        #expect(try said { $0["jitter"] = 2 }.hasSuffix("jitter is 2, 0 to 0.5 is possible"))
        #expect(
            try said { $0["scenes"] = 3 }.hasSuffix("scenes are 3, which 2 shards cannot share evenly"))
        #expect(try said { $0["scenes"] = 0 }.hasSuffix("scenes is 0, 1 to 4096 is possible"))
        #expect(
            try said { for name in ["guided", "boxes", "points", "corrected"] { $0[name] = 0 } }
                .hasSuffix("are all 0"))
        #expect(try said { $0["steps"] = "many" }.hasSuffix("the field steps has the wrong kind of value"))
    }

    @Test func scoringSeedsAreRefused() throws {
        let folder = try TemporaryFolder()
        let said = refusal { try TinySegmenter.trainer(folder.file("run")) { $0.seed = 900_000 } }
        #expect(said == "seed 900000: seeds of 900000 and above are for scoring alone")
        #expect(folder.contents.isEmpty)
    }
}
