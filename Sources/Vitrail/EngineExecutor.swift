import Foundation

/// Runs an engine's work on one thread, which nothing else uses and which ends with the engine.
///
/// An answer takes long, so it must not block a thread of Swift's pool. And it must always be the same thread: OpenMP
/// keeps a team of threads for every thread that calls libtorch. Once all teams together have more threads than the
/// machine has cores, they sleep between operators and no longer wait actively. Small operators are then ten times
/// slower.
final class EngineExecutor: SerialExecutor {
    private final class Queue: @unchecked Sendable {
        private let condition = NSCondition()
        private var work: [() -> Void] = []
        private var isClosed = false

        func add(_ job: @escaping () -> Void) {
            condition.withLock {
                work.append(job)
                condition.signal()
            }
        }

        func close() {
            condition.withLock {
                isClosed = true
                condition.signal()
            }
        }

        /// Waits for work; nil when there will be none.
        func next() -> (() -> Void)? {
            condition.withLock {
                while work.isEmpty && !isClosed { condition.wait() }
                return work.isEmpty ? nil : work.removeFirst()
            }
        }
    }

    private let queue = Queue()

    init() {
        let thread = Thread { [queue] in
            while let job = queue.next() { job() }
        }
        thread.name = "vitrail.engine"
        // Deep networks build deep gradient graphs; the default of 512 KB on some systems is small.
        thread.stackSize = 8 << 20
        thread.start()
    }

    deinit { queue.close() }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.add { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }

    /// Runs `body` on the thread and waits for it.
    func sync<Value>(_ body: @escaping () throws -> Value) throws -> Value {
        nonisolated(unsafe) var result: Result<Value, any Error>?
        let done = DispatchSemaphore(value: 0)
        queue.add {
            result = Result { try body() }
            done.signal()
        }
        done.wait()
        return try result!.get()
    }
}
