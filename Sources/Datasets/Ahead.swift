import Dispatch
import Synchronization

/// Makes the elements of a sequence on threads of its own, a bounded number ahead of the one that is asked for, and gives
/// them out in order.
///
/// What comes out does not depend on how many threads there are.
package final class Ahead<Element>: Sendable {
    private let work: Work
    private let threads: Int

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - range: the elements' numbers.
    ///   - threads: how many work ahead; with 0 the caller's own makes each element when it is asked for.
    ///   - ahead: how many elements may be ready or in work before they are asked for: that many are held in memory.
    ///   - make: makes an element from its number; it is called on several threads at the same time.
    package init(
        _ range: Range<Int>, threads: Int, ahead: Int, make: @escaping @Sendable (Int) throws -> Element
    ) {
        work = Work(range: range, slots: ahead, make: make)
        self.threads = threads
        for _ in 0..<threads {
            let work = work
            // Threads of their own: they wait, and a queue's shared ones must not.
            DispatchQueue(label: "ahead").async { work.run() }
        }
    }

    deinit { work.stop(threads) }

    /// The next element with its number; nil after the last.
    package func next() -> (number: Int, result: Result<Element, any Error>)? {
        guard let number = work.take() else { return nil }
        return (number, threads == 0 ? work.element(number) : work.wait(for: number))
    }

    /// What the threads share. It does not hold its owner, so that the owner can go while they wait.
    private final class Work: @unchecked Sendable {
        private struct State {
            /// The next element that a thread takes up.
            var claimed: Int
            /// The next element that is given out.
            var taken: Int
            var isStopped = false
        }

        private let end: Int
        private let make: @Sendable (Int) throws -> Element
        private let state: Mutex<State>
        /// One for each element that may be ready or in work.
        private let free = DispatchSemaphore(value: 0)
        private let slots: [Slot]

        /// An element passes from one thread to another, and is never held by two.
        private final class Slot: @unchecked Sendable {
            let ready = DispatchSemaphore(value: 0)
            var result: Result<Element, any Error>?
        }

        init(range: Range<Int>, slots: Int, make: @escaping @Sendable (Int) throws -> Element) {
            end = range.upperBound
            self.make = make
            state = Mutex(State(claimed: range.lowerBound, taken: range.lowerBound))
            self.slots = (0..<slots).map { _ in Slot() }
            // A semaphore must not end below its first value.
            for _ in 0..<slots { free.signal() }
        }

        /// A thread's life.
        func run() {
            while true {
                free.wait()
                let claimed = state.withLock { state -> Int? in
                    guard !state.isStopped, state.claimed < end else { return nil }
                    defer { state.claimed += 1 }
                    return state.claimed
                }
                guard let number = claimed else { return }
                let slot = slots[number % slots.count]
                slot.result = element(number)
                slot.ready.signal()
            }
        }

        func stop(_ threads: Int) {
            state.withLock { $0.isStopped = true }
            for _ in 0..<threads { free.signal() }
        }

        func take() -> Int? {
            state.withLock { state in
                guard state.taken < end else { return nil }
                defer { state.taken += 1 }
                return state.taken
            }
        }

        func wait(for number: Int) -> Result<Element, any Error> {
            let slot = slots[number % slots.count]
            slot.ready.wait()
            defer {
                slot.result = nil
                free.signal()
            }
            return slot.result!
        }

        func element(_ number: Int) -> Result<Element, any Error> { Result { try make(number) } }
    }
}
