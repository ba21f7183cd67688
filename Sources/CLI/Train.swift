import ArgumentParser
import Foundation
import Synchronization
import Training

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a model from a configuration file.",
        discussion: """
            A run is a folder. It gets the configuration, the tokenizer, metrics.jsonl (a line every few steps), one
            checkpoint that is replaced whole, and at the end the folder model/, which every other command takes as
            --model. Interrupting a run (Ctrl-C) writes a checkpoint first; --resume continues exactly.
            """)

    @Argument(help: "The configuration, such as Training/mosaic.json.")
    var file: String

    @Option(help: "The run's folder.")
    var output: String

    @Flag(help: "Continue the run in the folder from its checkpoint.")
    var resume = false

    func run() throws {
        let configuration = try TrainingConfiguration(contentsOf: file)
        let trainer = try Trainer(configuration, folder: output, resume: resume)
        let interrupt = Interrupt()
        let line = ProgressLine()
        let isComplete = try trainer.run(shouldStop: { interrupt.wasAsked }) { progress in
            let rate = String(format: "%.1f scenes/s", progress.samplesPerSecond)
            let loss = String(format: "loss %.3f", progress.loss)
            line.update(
                Double(progress.step) / Double(progress.steps),
                "step \(progress.step) of \(progress.steps), \(rate), \(loss)",
                secondsLeft: progress.secondsLeft)
        }
        print(isComplete ? "wrote \(output)/model" : "stopped at step \(trainer.step); --resume continues")
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
