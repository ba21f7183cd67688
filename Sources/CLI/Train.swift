import ArgumentParser
import Datasets
import Foundation
import InputFiles
import Synchronization
import Torch
import Training
import Vitrail

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a model from a configuration file, or from a folder of labelled pictures.",
        discussion: """
            A run is a folder. It gets the configuration, the tokenizer, metrics.jsonl (a line every few steps), one \
            checkpoint that is replaced whole, and at the end the folder model/, which every other command takes as \
            --model. Interrupting a run (Ctrl-C) writes a checkpoint first; --resume continues exactly.

            A configuration with a part "data" fine-tunes a model on labels of your own: it starts from --model, or from \
            the embedded one, keeps the model that is best on the validation's pictures, and ends with report.html. \
            Interrupted, it leaves the best model so far and its report.

            Of a folder with labels the format is found, and a configuration is chosen from the labels and the speed of this \
            machine, so that all is over in --minutes. It is told, and saved as configuration.json in the run's folder; \
            trained from that file, the same model comes out.

            Started once for each rank by torchrun or another launcher that sets RANK, WORLD_SIZE, MASTER_ADDR and \
            MASTER_PORT, the ranks divide the configuration's shards among them.

            Examples:
              vitrail train raccoons --minutes 20
              vitrail train Training/mosaic.json --output runs/first
              torchrun --no-python --nproc-per-node 8 vitrail train Training/lumen-7b.json \
                --model llava-1.5-7b-hf --device cuda --output runs/lumen
              vitrail train Training/mosaic.json --output runs/first --resume --threads 1
              vitrail train Training/mosaic.json --output runs/short --set stages.0.steps=500
              vitrail train Training/finetune-bccd.json --data pictures --output runs/bccd
            """)

    @Argument(
        help: ArgumentHelp(
            "The configuration, or a folder of labelled pictures.", valueName: "configuration or folder"))
    var file = "Training/mosaic.json"

    @Option(
        name: .customLong("output"),
        help: ArgumentHelp(
            "The run's folder; when left out runs/mosaic, or runs/ and the name of the folder with labels.",
            valueName: "folder"))
    var outputFolder: String?

    @Option(
        help: ArgumentHelp(
            "How long a training from a folder may take, all in all; 20 when left out.", valueName: "minutes")
    )
    var minutes: Double?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "A field that is otherwise than in the file, such as stages.0.steps=100; can be repeated.",
            valueName: "field=value"))
    var settings: [String] = []

    @Flag(help: "Continue the run in the folder from its checkpoint.")
    var resume = false

    @Option(
        help: ArgumentHelp(
            "Begin with a stage after the first, counted from 0; wants --model.", valueName: "number"))
    var stage: Int?

    @Option(help: ArgumentHelp("End before a stage after the first, counted from 0.", valueName: "number"))
    var until: Int?

    @Option(
        help: ArgumentHelp(
            "The model that the stage before ended with; the LLaVA that a configuration with adaptation is for; or the model to fine-tune.",
            valueName: "folder"))
    var model: String?

    @Option(
        help: ArgumentHelp(
            "What the paths of a fine-tuning's data are relative to; the working directory when left out.",
            valueName: "folder"))
    var data: String?

    @Option(
        help: ArgumentHelp(
            "The vision tower of a LLaVA that does not hold it, where it is not found by its name.",
            valueName: "folder"))
    var visionTower: String?

    @Option(
        help: ArgumentHelp(
            "Where to train: cpu, or cuda for a GPU, each rank its own.", valueName: "device"))
    var device = "cpu"

    @Option(
        help: ArgumentHelp("How long ranks wait for one another.", valueName: "seconds"))
    var timeout = 600.0

    @Option(
        help: ArgumentHelp(
            "Shards that run at the same time; when left out as many as there are cores, 1 with adaptation or on a GPU.",
            valueName: "count"))
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "A trained segmenter that the model gets when the run is complete.", valueName: "folder"))
    var segmenter: String?

    private var output: String {
        outputFolder ?? (isFolder ? "runs/\((file as NSString).lastPathComponent)" : "runs/mosaic")
    }

    /// Whether a folder of labels is given in place of a configuration.
    private var isFolder: Bool { (try? InputFile.isFolder(file)) ?? false }

    func validate() throws {
        if isFolder {
            guard data == nil, settings.isEmpty, stage == nil, until == nil else {
                throw ValidationError(
                    "--data, --set, --stage and --until are for a configuration, \(file) is a folder.")
            }
        } else if minutes != nil {
            throw ValidationError("--minutes is for a folder of labelled pictures.")
        }
        if let minutes, !(0.1...100_000).contains(minutes) {
            throw ValidationError("--minutes is \(minutes), 0.1 to 100000 is possible.")
        }
        guard data == nil || FineTuningConfiguration.isMeant(by: file) else {
            throw ValidationError("--data is for a configuration with a part data.")
        }
        guard stage == nil || model != nil else { throw ValidationError("--stage wants --model.") }
        guard !resume || stage == nil else {
            throw ValidationError("--resume continues where the run stopped; --stage begins a new run.")
        }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads), 1 to 1024 is possible.")
        }
        guard ["cpu", "cuda"].contains(device) else {
            throw ValidationError("--device is \(device), cpu and cuda are possible.")
        }
        guard (1...86_400).contains(timeout) else {
            throw ValidationError("--timeout is \(timeout), 1 to 86400 is possible.")
        }
    }

    func run() throws {
        let start = ContinuousClock.now
        // Each shard has one thread; operators are not divided further.
        try Threads.set(1)
        let group = try processGroup()
        // What cannot be opened is said before hours of training.
        if let segmenter { _ = try Segmenter(contentsOf: segmenter) }
        let trainer = try isFolder ? folderTuning(from: start, group) : trainer(group)
        let interrupt = Interrupt()
        let line = ProgressLine()
        let shouldStop = { interrupt.wasAsked }
        let isFirst = group.map { $0.rank == 0 } ?? true
        let isComplete = try trainer.run(shouldStop: shouldStop) { progress in
            guard isFirst else { return }
            let rate = String(format: "%.1f pictures/s", progress.samplesPerSecond)
            let loss = String(format: "loss %.3f", progress.loss)
            line.update(
                Double(progress.step) / Double(progress.steps),
                "step \(progress.step) of \(progress.steps), \(rate), \(loss)",
                secondsLeft: progress.secondsLeft)
        }
        guard isComplete else {
            let model = trainer is FineTuning && group == nil ? ", the best so far is in \(output)/model" : ""
            throw Failure(
                .interrupted, "stopped at step \(trainer.step) of \(output)\(model); --resume continues")
        }
        guard isFirst else { return }
        if let segmenter {
            let folder = try ModelFolder("\(output)/model")
            // A full-size segmenter stays where it is, as the LLaVA does.
            if !(trainer is FineTuning), try configuration().adaptation != nil {
                try folder.refer(toSegmenter: segmenter)
            } else {
                try folder.add(Segmenter(contentsOf: segmenter))
            }
        }
        print("wrote \(output)/model")
        if trainer is FineTuning { print("wrote \(output)/report.html") }
    }

    private func configuration() throws -> TrainingConfiguration {
        var configuration = try TrainingConfiguration(contentsOf: file, setting: settings)
        if let until {
            let (first, last) = (stage ?? 0, configuration.stages.count - 1)
            guard until > first, until <= last else {
                throw Failure(
                    .usage,
                    "--until is \(until), the training begins with stage \(first) and the last of \(file) is \(last)"
                )
            }
            configuration.stages.removeSubrange(until...)
        }
        return configuration
    }

    private func fineTuning(_ configuration: FineTuningConfiguration, _ group: ProcessGroup?) throws
        -> FineTuning
    {
        let tuning = try FineTuning(
            configuration, folder: output, resume: resume,
            threads: shards(ranks: group?.count ?? 1), group: group,
            device: group?.device ?? rankDevice(nil), model: model, data: data)
        let who = group.map { "rank \($0.rank): " } ?? ""
        func tell(_ line: String) { StandardError.write(line: "\(who)\(line)") }
        for line in tuning.summary { tell(line) }
        tuning.notice = tell
        return tuning
    }

    /// A training whose configuration is chosen, or which goes on with the one that was.
    private func folderTuning(from start: ContinuousClock.Instant, _ group: ProcessGroup?) throws
        -> FineTuning
    {
        guard group == nil else {
            throw Failure(.usage, "a folder is trained from by one process, WORLD_SIZE is \(group!.count)")
        }
        guard !resume else {
            return try fineTuning(.init(contentsOf: "\(output)/configuration.json"), nil)
        }
        guard !FileManager.default.fileExists(atPath: "\(output)/configuration.json") else {
            throw Failure(
                .badInput, "\(output): there is a run already; --resume it, or name another --output")
        }
        let minutes = minutes ?? 20
        let labels = try FolderLabels(in: URL(fileURLWithPath: file).path)
        for note in labels.notes { StandardError.write(line: note) }
        StandardError.write(
            line: "choosing a configuration: some steps are taken to see how long they take here")
        let end = start + .seconds(60 * minutes)
        let chosen = try AutomaticTuning(
            labels, until: end, threads: shards(), device: rankDevice(nil), model: model)
        let tuning = try fineTuning(chosen.configuration, nil)
        for reason in chosen.reasons { StandardError.write(line: reason) }
        StandardError.write(line: "chosen for \(minutes.formatted()) minutes: \(output)/configuration.json")
        (tuning.deadline, tuning.pace) = (end, chosen.pace)
        return tuning
    }

    /// The other processes of this training; nil when there is none.
    private func processGroup() throws -> ProcessGroup? {
        guard let meeting = try ProcessGroup.Meeting(environment: ProcessInfo.processInfo.environment) else {
            return nil
        }
        return try ProcessGroup(meeting, device: rankDevice(meeting), timeout: timeout)
    }

    private func rankDevice(_ meeting: ProcessGroup.Meeting?) throws -> Device {
        guard device == "cuda" else { return .cpu }
        let device = Device(.cuda, index: meeting?.localRank ?? 0)
        guard device.isAvailable else { throw Failure(.usage, "the device \(device) is not available here") }
        return device
    }

    /// How many shards run at the same time.
    private func shards(ranks: Int = 1) -> Int {
        threads ?? (device == "cpu" ? max(1, ProcessInfo.processInfo.activeProcessorCount / ranks) : 1)
    }

    private func trainer(_ group: ProcessGroup?) throws -> any TrainingRun {
        let isLumen =
            !SegmenterTrainingConfiguration.isMeant(by: file) && !FineTuningConfiguration.isMeant(by: file)
        guard isLumen || (stage == nil && until == nil) else {
            throw Failure(.usage, "--stage and --until are for a configuration with stages, \(file) has none")
        }
        if SegmenterTrainingConfiguration.isMeant(by: file) {
            guard group == nil else {
                throw Failure(.usage, "a segmenter is trained by one process, WORLD_SIZE is \(group!.count)")
            }
            return try SegmenterTrainer(
                .init(contentsOf: file, setting: settings), folder: output, resume: resume,
                threads: shards(), device: rankDevice(nil))
        }
        if FineTuningConfiguration.isMeant(by: file) {
            return try fineTuning(.init(contentsOf: file, setting: settings), group)
        }
        let configuration = try configuration()
        let isAdaptation = configuration.adaptation != nil
        guard isAdaptation || stage != nil || model == nil else {
            throw Failure(.usage, "--model wants --stage, or a configuration with adaptation")
        }
        guard !isAdaptation || stage == nil else {
            throw Failure(.usage, "--stage is not for a configuration with adaptation")
        }
        return try Trainer(
            configuration, folder: output, resume: resume,
            threads: isAdaptation ? threads ?? 1 : shards(ranks: group?.count ?? 1), group: group,
            device: group?.device ?? rankDevice(nil),
            base: isAdaptation ? model.map { ($0, visionTower) } : nil,
            beginning: isAdaptation ? nil : stage.flatMap { stage in model.map { ($0, stage) } })
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
