import ArgumentParser
import Foundation
import Synchronization
import Torch
import Training
import Vitrail

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a model from a configuration file.",
        discussion: """
            A run is a folder. It gets the configuration, the tokenizer, metrics.jsonl (a line every few steps), one \
            checkpoint that is replaced whole, and at the end the folder model/, which every other command takes as \
            --model. Interrupting a run (Ctrl-C) writes a checkpoint first; --resume continues exactly.

            Examples:
              vitrail train Training/mosaic.json --output runs/first
              vitrail train Training/mosaic.json --output runs/first --resume --threads 1
            """)

    @Argument(help: ArgumentHelp("The configuration.", valueName: "configuration"))
    var file = "Training/mosaic.json"

    @Option(help: ArgumentHelp("The run's folder.", valueName: "folder"))
    var output = "runs/mosaic"

    @Flag(help: "Continue the run in the folder from its checkpoint.")
    var resume = false

    @Option(
        help: ArgumentHelp(
            "Begin with a stage after the first, counted from 0; wants --model.", valueName: "number"))
    var stage: Int?

    @Option(help: ArgumentHelp("The model that the stage before ended with.", valueName: "folder"))
    var model: String?

    @Option(
        help: ArgumentHelp(
            "Shards that run at the same time; as many as there are cores when left out.", valueName: "count")
    )
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "A trained segmenter that the model gets when the run is complete.", valueName: "folder"))
    var segmenter: String?

    func validate() throws {
        guard (stage == nil) == (model == nil) else {
            throw ValidationError("--stage and --model go together.")
        }
        guard !resume || stage == nil else {
            throw ValidationError("--resume continues where the run stopped; --stage begins a new run.")
        }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads), 1 to 1024 is possible.")
        }
    }

    func run() throws {
        // Each shard has one thread; operators are not divided further.
        try Threads.set(1)
        // What cannot be opened is said before hours of training.
        let segmenter = try segmenter.map { try Segmenter(contentsOf: $0) }
        let beginning = stage.flatMap { stage in model.map { (model: $0, stage: stage) } }
        let trainer: any TrainingRun =
            SegmenterTrainingConfiguration.isMeant(by: file)
            ? try SegmenterTrainer(.init(contentsOf: file), folder: output, resume: resume)
            : try Trainer(
                .init(contentsOf: file), folder: output, resume: resume,
                threads: threads ?? ProcessInfo.processInfo.activeProcessorCount, beginning: beginning)
        let interrupt = Interrupt()
        let line = ProgressLine()
        let shouldStop = { interrupt.wasAsked }
        let isComplete = try trainer.run(shouldStop: shouldStop) { progress in
            let rate = String(format: "%.1f scenes/s", progress.samplesPerSecond)
            let loss = String(format: "loss %.3f", progress.loss)
            line.update(
                Double(progress.step) / Double(progress.steps),
                "step \(progress.step) of \(progress.steps), \(rate), \(loss)",
                secondsLeft: progress.secondsLeft)
        }
        guard isComplete else {
            throw Failure(.interrupted, "stopped at step \(trainer.step) of \(output); --resume continues")
        }
        if let segmenter {
            try ModelFolder("\(output)/model").add(segmenter)
        }
        print("wrote \(output)/model")
    }
}

/// Turns the first Ctrl-C or termination signal into a wish to stop; a second one ends the process.
final class Interrupt: Sendable {
    private static let asked = Atomic<Bool>(false)

    var wasAsked: Bool { Self.asked.load(ordering: .relaxed) }

    init() {
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                Interrupt.asked.store(true, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
        }
    }
}
