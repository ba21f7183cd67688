import Foundation
import NN
import Torch
import Vitrail

/// A share of every step's pictures, learnt from on a thread of its own.
///
/// Its network has the trainer's own parameters in storage, but gradients of its own, so that shards can run at the same
/// time. Each uses one thread, so that the result does not depend on how many cores there are.
final class Shard: @unchecked Sendable {
    let losses: LumenLosses
    let parameters: [Tensor]

    /// - Parameters:
    ///   - model: the trainer's.
    ///   - configuration: the trainer's.
    init(of model: Lumen, _ configuration: TrainingConfiguration) throws {
        let replica = try Lumen(sharing: model)
        losses = LumenLosses(model: replica, configuration: configuration)
        parameters = replica.trainedParameters.map(\.tensor)
        for parameter in parameters { try parameter.requireGrad() }
    }

    /// Leaves the gradients of `share` times the losses in the parameters; the losses.
    func learn(from batch: MosaicBatch, step: Int, share: Double) throws -> [(name: String, value: Double)] {
        for parameter in parameters { try parameter.setGrad(nil) }
        let mixedPrecision = losses.configuration.mixedPrecision
        let device = parameters[0].device
        let batch = try batch.to(device)
        let parts = try withAutocast(mixedPrecision ? .bfloat16 : nil, on: device) {
            try losses(batch, step: step)
        }
        return try parts.learnt(share: share)
    }
}

extension [(name: String, value: Tensor)] {
    /// Leaves the gradients of `share` times the sum of these losses in the parameters.
    ///
    /// - Returns: their sum, "loss", and each by itself; all are read at once, since a device works on until it is asked.
    func learnt(share: Double) throws -> [(name: String, value: Double)] {
        let total = try dropFirst().reduce(self[0].value) { try $0 + $1.value }
        try (total * share).backward()
        let values = try Tensor.stack(([total] + map(\.value)).map { try $0.detached().to(.float32) })
            .array(Float.self)
        return zip(["loss"] + map(\.name), values).map { ($0, Double($1)) }
    }
}

extension Device {
    /// How many threads make what the next steps learn from: none where the processor is busy with the steps.
    func loaders(beside threads: Int) -> Int {
        self == .cpu ? 0 : max(1, min(12, ProcessInfo.processInfo.activeProcessorCount - threads))
    }

    /// What runs an optimizer's steps: the shards' threads, or as many as it takes to keep a device busy.
    func optimizerThreads(_ shards: ShardThreads) -> ShardThreads { self == .cpu ? shards : ShardThreads(4) }
}

/// Runs work on threads that stay, one for each shard but the first, which the caller's thread does.
final class ShardThreads: @unchecked Sendable {
    private final class Worker: @unchecked Sendable {
        private let condition = NSCondition()
        private var work: (() -> Void)?
        private var isClosed = false
        private var isDone = true

        init() {
            let thread = Thread { [self] in
                while let work = next() {
                    work()
                    condition.withLock {
                        isDone = true
                        condition.broadcast()
                    }
                }
            }
            thread.stackSize = 16 << 20
            thread.start()
        }

        private func next() -> (() -> Void)? {
            condition.withLock {
                while work == nil && !isClosed { condition.wait() }
                defer { work = nil }
                return work
            }
        }

        func start(_ work: @escaping () -> Void) {
            condition.withLock {
                self.work = work
                isDone = false
                condition.broadcast()
            }
        }

        func wait() { condition.withLock { while !isDone { condition.wait() } } }

        func close() {
            condition.withLock {
                isClosed = true
                condition.broadcast()
            }
        }
    }

    private let workers: [Worker]

    init(_ count: Int) { workers = (1..<max(count, 1)).map { _ in Worker() } }

    deinit { for worker in workers { worker.close() } }

    /// The results of `body` for 0 ..< count, spread over the threads.
    func map<Result>(_ count: Int, _ body: @escaping (Int) throws -> Result) throws -> [Result] {
        nonisolated(unsafe) var results = [Swift.Result<Result, any Error>?](repeating: nil, count: count)
        let lock = NSLock()
        let threads = workers.count + 1
        func run(_ thread: Int) {
            for number in stride(from: thread, to: count, by: threads) {
                let result = Swift.Result { try body(number) }
                lock.withLock { results[number] = result }
            }
        }
        for (index, worker) in workers.enumerated() { worker.start { run(index + 1) } }
        run(0)
        for worker in workers { worker.wait() }
        return try results.map { try $0!.get() }
    }
}
