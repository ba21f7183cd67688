internal import Checkpoints
internal import Encoders
internal import Foundation
internal import NN
internal import TestSupport
internal import Testing
internal import Torch
internal import Training
internal import Vitrail

@Suite(.serialized) struct TrainerTests {
    @Test func continuingARunGivesWhatOneRunGives() throws {
        let (whole, parts) = (try TemporaryFolder(), try TemporaryFolder())
        #expect(try TinyTraining.trainer(whole.file("run")).run())
        let first = try TinyTraining.trainer(parts.file("run"))
        #expect(try !first.run(shouldStop: { first.step == 4 }))
        let second = try TinyTraining.trainer(parts.file("run"), resume: true)
        #expect(second.step == 4)
        #expect(try second.run())
        let name = "run/checkpoint.safetensors"
        let differences = try TinyTraining.differences(whole.file(name), parts.file(name))
        #expect(differences == [])
        let metrics = try TinyTraining.metrics(whole.file("run"))
        #expect(metrics.map { $0["step"] } == [2, 4, 6, 8])
        #expect(try TinyTraining.metrics(parts.file("run")) == metrics)
        #expect(
            try Lumen(contentsOf: ModelFolder(parts.file("run/model"))).configuration.encoder?.hiddenSize
                == 16
        )
    }

    @Test func stepsAfterTheCheckpointOfAKilledRunAreDoneAgain() throws {
        let folder = try TemporaryFolder()
        let (killed, saved) = (folder.file("run"), folder.file("saved.safetensors"))
        // Checkpoints at 3 and 6; what is left of a run that was killed after step 5 has the metrics of step 4.
        let run = try TinyTraining.trainer(killed)
        #expect(try !run.run(shouldStop: { run.step == 3 }))
        try FileManager.default.copyItem(atPath: "\(killed)/checkpoint.safetensors", toPath: saved)
        let more = try TinyTraining.trainer(killed, resume: true)
        #expect(try !more.run(shouldStop: { more.step == 5 }))
        try FileManager.default.removeItem(atPath: "\(killed)/checkpoint.safetensors")
        try FileManager.default.moveItem(atPath: saved, toPath: "\(killed)/checkpoint.safetensors")

        let again = try TinyTraining.trainer(killed, resume: true)
        #expect(again.step == 3)
        #expect(try again.run())
        #expect(try TinyTraining.metrics(killed).map { $0["step"] } == [2, 4, 6, 8])
        let whole = folder.file("whole")
        #expect(try TinyTraining.trainer(whole).run())
        let name = "checkpoint.safetensors"
        let differences = try TinyTraining.differences("\(whole)/\(name)", "\(killed)/\(name)")
        #expect(differences == [])
    }

    /// Numbers of files are not believed.
    @Test func aCheckpointOfAnImpossibleStepIsRefused() throws {
        let folder = try TemporaryFolder()
        let run = folder.file("run")
        let trainer = try TinyTraining.trainer(run)
        #expect(try !trainer.run(shouldStop: { trainer.step == 3 }))
        // A step of the metrics that no integer holds is one that will be done again.
        let metrics = FileHandle(forWritingAtPath: "\(run)/metrics.jsonl")!
        try metrics.seekToEnd()
        try metrics.write(contentsOf: Data("{\"step\":1e300}\n".utf8))
        #expect(try TinyTraining.trainer(run, resume: true).step == 3)
        #expect(try TinyTraining.metrics(run).map { $0["step"] } == [2])
        let path = "\(run)/checkpoint.safetensors"
        for step in ["-1", "9223372036854775807", "1e3", ""] {
            let file = try SafetensorsFile(path)
            let tensors = try file.names.map { (name: $0, tensor: try file.tensor(named: $0)!.clone()) }
            try SafetensorsFile.write(tensors, metadata: ["step": step], to: path)
            let error = #expect(throws: TrainingError.self) { try TinyTraining.trainer(run, resume: true) }
            #expect(error?.description == "\(path): the checkpoint does not say which step it is of")
        }
    }

    /// Stage 2 begins with what stage 1's model folder holds, in one run or in two.
    @Test func aStageGoesOnFromTheModelOfTheOneBefore() throws {
        let folder = try TemporaryFolder()
        let (whole, first, second) = (folder.file("whole"), folder.file("first"), folder.file("second"))
        #expect(try TinyTraining.trainer(whole).run())
        #expect(try TinyTraining.trainer(first) { $0.stages.removeLast() }.run())
        let trainer = try TinyTraining.trainer(second, beginning: (model: "\(first)/model", stage: 1))
        #expect(trainer.step == 4)
        #expect(try trainer.run())
        let name = "checkpoint.safetensors"
        #expect(try TinyTraining.differences("\(whole)/\(name)", "\(second)/\(name)") == [])
        let said = refusal {
            try TinyTraining.trainer(folder.file("third"), beginning: (model: "\(first)/model", stage: 2))
        }
        #expect(
            said?.hasPrefix("stage 2: the configuration has stages 0 to 1") == true, "\(said ?? "nothing")")
    }

    /// Shards are learnt from one after the other or at the same time.
    @Test func theResultDoesNotDependOnTheThreads() throws {
        let folder = try TemporaryFolder()
        let (one, two) = (folder.file("one"), folder.file("two"))
        #expect(try TinyTraining.trainer(one, threads: 1).run())
        #expect(try TinyTraining.trainer(two, threads: 2).run())
        let name = "checkpoint.safetensors"
        #expect(try TinyTraining.differences("\(one)/\(name)", "\(two)/\(name)") == [])
    }

    /// libtorch gives a new thread the number that was last set in the process.
    @Test func theResultDoesNotDependOnWhatOtherThreadsSet() throws {
        let folder = try TemporaryFolder()
        let (alone, beside) = (folder.file("alone"), folder.file("beside"))
        #expect(try TinyTraining.trainer(alone).run())
        let trainer = try TinyTraining.trainer(beside)
        let isSet = DispatchSemaphore(value: 0)
        Thread {
            #expect(throws: Never.self) { try Threads.set(3) }
            isSet.signal()
        }.start()
        isSet.wait()
        #expect(Threads.count == 1)
        #expect(try trainer.run())
        let name = "checkpoint.safetensors"
        #expect(try TinyTraining.differences("\(alone)/\(name)", "\(beside)/\(name)") == [])
    }

    @Test func interruptingWritesAWholeCheckpoint() throws {
        let folder = try TemporaryFolder()
        let run = folder.file("run")
        let trainer = try TinyTraining.trainer(run)
        #expect(try !trainer.run(shouldStop: { trainer.step == 1 }))
        let file = try SafetensorsFile("\(run)/checkpoint.safetensors")
        #expect(file.metadata["step"] == "1")
        for (name, _) in trainer.model.trainedParameters {
            #expect(file.names.contains("model.\(name)"))
            let means = ["exp_avg", "momentum_buffer"].map { "optimizer.\(name).\($0)" }
            #expect(means.count(where: file.names.contains) == 1, "\(name)")
        }
        let files = try FileManager.default.contentsOfDirectory(atPath: run).sorted()
        #expect(files == ["checkpoint.safetensors", "configuration.json", "metrics.jsonl", "tokenizer.json"])
    }

    @Test func theSameBatchIsLearnt() throws {
        let folder = try TemporaryFolder()
        let trainer = try TinyTraining.trainer(folder.file("run")) {
            $0.stages[0].visionSteps = 0
            $0.stages[0].alignerFrom = 0
            $0.stages[0].rampSteps = 1
            $0.stages[0].poseShare = 0
            $0.stages[0].steps = 100
            $0.stages[0].schedule.decayShare = 0
        }
        let batches = try (0..<2).map { try trainer.batch(step: 0, shard: $0) }
        let losses = try (0..<25).map { _ in
            try trainer.learn(from: batches).reduce(into: [:]) { $0[$1.name] = $1.value }
        }
        let (first, last) = (losses[0], losses[24])
        let names = [
            "loss", "dense_heat", "dense_attributes", "dense_box", "words", "location", "text", "named",
            "place",
            "mention", "mention_place", "heat", "box", "subject", "subject_place", "look",
        ]
        #expect(Set(first.keys).isSuperset(of: names))
        #expect(last["loss"]! < 0.8 * first["loss"]!, "\(first["loss"]!) to \(last["loss"]!)")
        for name in ["location", "text", "named", "look"] { #expect(last[name]! < first[name]!, "\(name)") }
    }

    @Test func aBatchDependsOnSeedAndStepAlone() throws {
        let folder = try TemporaryFolder()
        let one = try TinyTraining.trainer(folder.file("one"))
        let other = try TinyTraining.trainer(folder.file("other"))
        _ = try one.batch(step: 7, shard: 1)
        func tensors(_ trainer: Trainer, _ step: Int, shard: Int = 0) throws -> [Tensor] {
            let batch = try trainer.batch(step: step, shard: shard)
            let words = try #require(batch.words)
            return [batch.pixels] + words.ids + [words.aligned, words.heat]
        }
        for (a, b) in zip(try tensors(one, 5), try tensors(other, 5)) {
            #expect(try difference(a, b, relative: 0, absolute: 0) == nil)
        }
        #expect(try difference(tensors(one, 5)[0], tensors(other, 6)[0]) != nil)
        #expect(try difference(tensors(one, 5)[0], tensors(one, 5, shard: 1)[0]) != nil)
        let seeded = try TinyTraining.trainer(folder.file("seeded")) { $0.seed = 6 }
        #expect(try difference(tensors(one, 5)[0], tensors(seeded, 5)[0]) != nil)
    }

    @Test func aLossThatIsNotANumberEndsTheRun() throws {
        let folder = try TemporaryFolder()
        let trainer = try TinyTraining.trainer(folder.file("run")) {
            $0.stages[0].schedule.peak = 1e30
            $0.stages[0].schedule.warmupSteps = 0
        }
        let said = refusal { try trainer.run() }
        #expect(said?.contains("is not a number") == true, "\(said ?? "nothing")")
    }

    // MARK: What is refused

    @Test func aFolderWithARunIsRefused() throws {
        let folder = try TemporaryFolder()
        let run = folder.file("run")
        #expect(try !TinyTraining.trainer(run).run(shouldStop: { true }))
        let said = refusal { try TinyTraining.trainer(run) }
        #expect(said == "\(run): there is a run already; resume it or name another folder")
    }

    @Test func thereMustBeSomethingToResume() throws {
        let folder = try TemporaryFolder()
        let said = refusal { try TinyTraining.trainer(folder.path, resume: true) }
        #expect(said == "\(folder.path): there is no checkpoint to resume from")
    }

    @Test func anotherConfigurationIsRefused() throws {
        let folder = try TemporaryFolder()
        let run = folder.file("run")
        #expect(try !TinyTraining.trainer(run).run(shouldStop: { true }))
        let said = refusal { try TinyTraining.trainer(run, resume: true) { $0.stages[1].queries = 4 } }
        #expect(said == "\(run): the run was made with another configuration")
    }

    @Test(arguments: [900_000, 900_001, UInt64.max]) func scoringSeedsAreRefused(seed: UInt64) throws {
        let folder = try TemporaryFolder()
        let said = refusal { try TinyTraining.trainer(folder.file("run")) { $0.seed = seed } }
        #expect(said == "seed \(seed): seeds of 900000 and above are for scoring alone")
        #expect(folder.contents.isEmpty)
    }

    @Test func aCheckpointThatIsCutOffIsRefused() throws {
        let folder = try TemporaryFolder()
        let run = folder.file("run")
        #expect(try !TinyTraining.trainer(run).run(shouldStop: { true }))
        let path = "\(run)/checkpoint.safetensors"
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        for length in [0, 5, 40, whole.count / 2, whole.count - 1] {
            try whole.prefix(length).write(to: URL(fileURLWithPath: path))
            let said = refusal { try TinyTraining.trainer(run, resume: true) }
            #expect(said?.hasPrefix("\(path): ") == true, "\(length) bytes: \(said ?? "nothing")")
        }
    }
}
