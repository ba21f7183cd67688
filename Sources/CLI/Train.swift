import ArgumentParser
import Foundation
import Synchronization
import Torch
import Training

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
            "Threads on the CPU; all cores when left out. The same number gives the same result.",
            valueName: "count"))
    var threads: Int?

    func validate() throws {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads), 1 to 1024 is possible.")
        }
    }

    func run() throws {
        if let threads { try Threads.set(threads) }
        let configuration = try TrainingConfiguration(contentsOf: file)
        let trainer = try Trainer(configuration, folder: output, resume: resume)
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
