import NN
import Torch

/// A training that `vitrail train` runs. It has a folder, and can be resumed after a kill.
public protocol TrainingRun: AnyObject {
    /// Steps done.
    var step: Int { get }

    /// Trains until the last step, or until `shouldStop` says so. In both cases a checkpoint is written.
    ///
    /// - Returns: true when the run is complete and `model/` was written.
    func run(shouldStop: () -> Bool, progress: (Trainer.Progress) -> Void) throws -> Bool
}

/// What the steps of every training have in common.
protocol SteppedRun: TrainingRun {
    var files: RunFolder { get }
    /// Steps in all, and between two lines of metrics and two checkpoints.
    var steps: Int { get }
    var logEvery: Int { get }
    var checkpointEvery: Int { get }
    /// Whether the model is to be written after the steps done so far.
    var isModelDue: Bool { get }

    func learningRate(of step: Int) -> Double
    /// Does one step. Returns its losses, of which "loss" is the sum, and the number of its pictures.
    func advance() throws -> (losses: [String: Double], pictures: Int)
    func saveCheckpoint() throws
    func saveModel() throws
}

extension SteppedRun {
    func runSteps(shouldStop: () -> Bool, progress: (Trainer.Progress) -> Void) throws -> Bool {
        let start = ContinuousClock.now
        let first = step
        var sums: [String: (total: Double, count: Int)] = [:]
        var pictures = 0
        var lastLog = (time: start, step: step)
        while step < steps {
            if shouldStop() {
                try saveCheckpoint()
                return false
            }
            let done = try advance()
            let loss = done.losses["loss"]!
            guard loss.isFinite else { throw TrainingError.diverged(step: step) }
            for (name, value) in done.losses {
                let sum = sums[name] ?? (0, 0)
                sums[name] = (sum.total + value, sum.count + 1)
            }
            pictures += done.pictures
            let now = ContinuousClock.now
            let elapsed = (now - start).seconds
            progress(
                Trainer.Progress(
                    step: step, steps: steps, samplesPerSecond: Double(pictures) / elapsed,
                    secondsLeft: elapsed / Double(step - first) * Double(steps - step), loss: loss))
            if step % logEvery == 0 || step == steps {
                var line = sums.mapValues { $0.total / Double($0.count) }
                line["step"] = Double(step)
                line["seconds_per_step"] = (now - lastLog.time).seconds / Double(step - lastLog.step)
                line["seconds"] = elapsed
                line["learning_rate"] = learningRate(of: step - 1)
                try files.log(line)
                sums = [:]
                lastLog = (now, step)
            }
            // The model is written before the checkpoint: a run that is killed in between repeats these steps.
            if isModelDue { try saveModel() }
            if isModelDue || step % checkpointEvery == 0 { try saveCheckpoint() }
        }
        return true
    }
}

/// How the parameters are moved.
public enum OptimizerKind: String, Codable, Sendable, Hashable {
    case adamW = "adamw"
    /// Matrices within the network by ``NN/Muon``, the rest by AdamW.
    case muon

    /// For a training from random weights: only matrices have weight decay, as a study found best.
    ///
    /// - Parameters:
    ///   - parameters: the parameters to train.
    ///   - weightDecay: of the matrices.
    ///   - tables: parts of the names of position tables and the like, which have no weight decay.
    ///   - ends: parts of the names of the first and the last layers, which AdamW always moves.
    ///   - betas: of AdamW.
    ///   - threads: run Muon's steps.
    func optimizer(
        of parameters: [(name: String, tensor: Tensor)], weightDecay: Double, tables: [String],
        ends: [String], betas: (Double, Double) = (0.9, 0.98), threads: ShardThreads
    ) throws -> any Optimizer {
        func isAny(of parts: [String], _ name: String) -> Bool { parts.contains { name.contains($0) } }
        let matrices = parameters.filter { $0.tensor.rank >= 2 && !isAny(of: tables, $0.name) }
        let inner = self == .muon ? matrices.filter { !isAny(of: ends, $0.name) } : []
        let (decaying, byMuon) = (Set(matrices.map(\.name)), Set(inner.map(\.name)))
        let adamW = try AdamW(
            [
                .init(
                    parameters.filter { decaying.contains($0.name) && !byMuon.contains($0.name) },
                    weightDecay: weightDecay),
                .init(parameters.filter { !decaying.contains($0.name) }, weightDecay: 0),
            ], betas: betas)
        guard !inner.isEmpty else { return adamW }
        let muon = try Muon(inner, weightDecay: weightDecay) { count, body in
            _ = try threads.map(count, body)
        }
        return MuonWithAdamW(muon, adamW)
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
