import Foundation
import NN
import Torch
import Vitrail

/// A network that shares the trainer's parameters but has separate gradients, so that several can learn at the same
/// time. Each uses one thread, so that the result does not depend on the number of cores.
protocol Replica: AnyObject, Sendable {
    /// The trainer's parameters, in its order.
    var parameters: [Tensor] { get }
}

/// A replica of the model, which learns from a share of every step's pictures on one thread.
final class Shard: Replica, @unchecked Sendable {
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

    /// Leaves the gradients of `share` times the losses in the parameters. Returns the losses.
    func learn(from batch: MosaicBatch, step: Int, share: Double) throws -> [(name: String, value: Double)] {
        let mixedPrecision = losses.configuration.mixedPrecision
        let device = parameters[0].device
        let batch = try batch.to(device)
        let parts = try withMixedPrecision(mixedPrecision, on: device) {
            try losses(batch, step: step)
        }
        return try parts.learnt(share: share)
    }
}

extension [(name: String, value: Tensor)] {
    /// Leaves the gradients of `share` times the sum of these losses in the parameters.
    ///
    /// - Returns: their sum, "loss", and each of them. All are read at once, because every reading waits for the
    ///   device.
    func learnt(share: Double) throws -> [(name: String, value: Double)] {
        let total = try dropFirst().reduce(self[0].value) { try $0 + $1.value }
        try (total * share).backward()
        let values = try Tensor.stack(([total] + map(\.value)).map { try $0.detached().to(.float32) })
            .array(Float.self)
        return zip(["loss"] + map(\.name), values).map { ($0, Double($1)) }
    }
}

extension Device {
    /// The number of threads that make the batches of the next steps. If the steps run on the CPU it is none; or one,
    /// if files are read, which is done while shards wait for one another.
    func loaders(beside threads: Int, readingFiles: Bool = false) -> Int {
        self == .cpu
            ? (readingFiles ? 1 : 0) : max(1, min(12, ProcessInfo.processInfo.activeProcessorCount - threads))
    }

    /// Runs an optimizer's steps: on the shards' threads, or on as many as keep a device busy.
    func optimizerThreads(_ shards: ShardThreads) -> ShardThreads { self == .cpu ? shards : ShardThreads(4) }
}

/// Runs work on permanent threads: one for each shard but the first, which runs on the caller's thread.
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

    /// The results of `learn` for 0 ..< count, and the sums of the gradients that it leaves in its replica.
    ///
    /// As many run at the same time as there are replicas. The gradients are added in order, so the sums do not depend
    /// on the number of replicas.
    ///
    /// - Parameters:
    ///   - check: called before each round.
    func learn<Network: Replica, Learnt>(
        _ count: Int, on replicas: [Network], check: () throws -> Void = {},
        _ learn: @escaping (Int, Network) throws -> Learnt
    ) throws -> (learnt: [Learnt], gradients: [Tensor?]) {
        var learnt: [Learnt] = []
        var sums = [Tensor?](repeating: nil, count: replicas[0].parameters.count)
        while learnt.count < count {
            try check()
            let first = learnt.count
            learnt += try map(min(replicas.count, count - first)) { number in
                for parameter in replicas[number].parameters { try parameter.setGrad(nil) }
                return try learn(first + number, replicas[number])
            }
            for replica in replicas.prefix(count - first) {
                for (index, parameter) in replica.parameters.enumerated() {
                    guard let gradient = parameter.grad else { continue }
                    if let sum = sums[index] {
                        try withoutGrad { try sum.add_(gradient) }
                    } else {
                        sums[index] = gradient
                    }
                }
            }
        }
        return (learnt, sums)
    }

    /// The results of `body` for 0 ..< count, spread over the threads. Each gets the caller's number of libtorch
    /// threads. A new thread would have the number that another thread of the process set last, and sums depend on
    /// this number.
    func map<Result>(_ count: Int, _ body: @escaping (Int) throws -> Result) throws -> [Result] {
        nonisolated(unsafe) var results = [Swift.Result<Result, any Error>?](repeating: nil, count: count)
        let lock = NSLock()
        let threads = workers.count + 1
        let within = Threads.count
        func run(_ thread: Int) {
            for number in stride(from: thread, to: count, by: threads) {
                let result = Swift.Result {
                    if thread > 0 { try Threads.set(within) }
                    return try body(number)
                }
                lock.withLock { results[number] = result }
            }
        }
        for (index, worker) in workers.enumerated() { worker.start { run(index + 1) } }
        run(0)
        for worker in workers { worker.wait() }
        return try results.map { try $0!.get() }
    }
}
