import Foundation

/// Runs an engine's work on one thread of its own, which ends with the engine.
///
/// An answer takes long, so it must not hold a thread that others wait for. And it must be one thread, always the same:
/// OpenMP keeps a team of helpers for every thread that calls libtorch, and once the teams together have more members
/// than the machine has cores, they sleep between operators in place of waiting ready, which makes small operators ten
/// times slower.
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
