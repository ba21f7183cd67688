import Dispatch
import Media
import Synchronization

/// Finds, decodes and prepares pictures on threads of its own while the caller works on those before, and gives them out
/// in order.
///
/// What comes out depends on the pictures, the order and the seed alone, never on how many threads there are: each visit
/// has a seed of its own, from its place in the order. A picture that cannot be decoded is counted once and skipped.
public final class PictureLoader<Sample: Sendable>: Sendable {
    private let work: LoaderWork<Sample>
    private let threads: Int

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - pictures: what `order` counts.
    ///   - order: indices of pictures, one a visit; ``LabelledSet/order(count:epoch:seed:rank:ranks:)`` makes an epoch of them.
    ///   - start: the place in the order to begin at, as where a training goes on.
    ///   - seed: of the visits' seeds.
    ///   - threads: how many threads work ahead; with 0 the caller's own does all of it.
    ///   - ahead: how many samples may be ready or in work before they are asked for: that many are held in memory.
    ///   - prepare: makes of a decoded picture what the caller wants, such as the tensors of a training step; it is
    ///     called on the loader's threads.
    public init(
        _ pictures: [LabelledSet.Picture], order: [Int], from start: Int = 0, seed: UInt64, threads: Int,
        ahead: Int, prepare: @escaping @Sendable (LoadedPicture) throws -> Sample
    ) {
        precondition(threads >= 0 && ahead >= max(1, threads), "each thread needs a place for its sample")
        work = LoaderWork(
            pictures: pictures, order: order, start: start, seed: seed, slots: ahead, prepare: prepare)
        self.threads = threads
        for _ in 0..<threads {
            let work = work
            // Threads of their own: they wait, and a queue's shared ones must not.
            DispatchQueue(label: "picture-loader").async { work.run() }
        }
    }

    deinit { work.stop(threads) }

    /// The next sample in order; nil after the last.
    ///
    /// - Throws: what `prepare` throws; `MediaError` alone is counted as a broken picture, and skipped.
    public func next() throws -> Sample? {
        while let position = work.take() {
            switch threads == 0 ? work.sample(position) : work.wait(for: position) {
            case .success(let sample): return sample
            case .failure(let error as MediaError): work.note(error, position)
            case .failure(let error): throw error
            }
        }
        return nil
    }

    /// Pictures that could not be decoded so far.
    public var problems: LabelProblems { work.state.withLock { $0.problems } }
}

extension LabelledSet {
    /// The order of one pass over a set, shuffled; of several processes each has its own part.
    ///
    /// - Parameters:
    ///   - count: how many pictures there are.
    ///   - epoch: which pass it is; each has an order of its own.
    ///   - seed: the training's.
    ///   - rank: which of the processes this is.
    ///   - ranks: how many processes there are. All get equally many visits: some of the last pictures may wait for
    ///     another epoch.
    public static func order(count: Int, epoch: Int, seed: UInt64, rank: Int = 0, ranks: Int = 1) -> [Int] {
        var random = SceneRandom(seed: seed, index: epoch, stream: 0x6F72)
        let all = random.permuted(Array(0..<count))
        let share = count / ranks
        return (0..<share).map { all[$0 * ranks + rank] }
    }
}

/// What a loader's threads share. It does not hold the loader, so that the loader can go while they wait.
private final class LoaderWork<Sample: Sendable>: Sendable {
    struct State {
        /// The next visit that a thread takes up.
        var claimed: Int
        /// The next visit that is given out.
        var taken: Int
        var isStopped = false
        var problems = LabelProblems()
        /// Pictures that were counted.
        var broken: Set<Int> = []
    }

    private let pictures: [LabelledSet.Picture]
    private let order: [Int]
    private let seed: UInt64
    private let prepare: @Sendable (LoadedPicture) throws -> Sample
    let state: Mutex<State>
    /// One for each sample that may be ready or in work.
    private let free = DispatchSemaphore(value: 0)
    private let slots: [Slot]

    private final class Slot: Sendable {
        let ready = DispatchSemaphore(value: 0)
        let result = Mutex<Result<Sample, any Error>?>(nil)
    }

    init(
        pictures: [LabelledSet.Picture], order: [Int], start: Int, seed: UInt64, slots: Int,
        prepare: @escaping @Sendable (LoadedPicture) throws -> Sample
    ) {
        self.pictures = pictures
        self.order = order
        self.seed = seed
        self.prepare = prepare
        state = Mutex(State(claimed: start, taken: start))
        self.slots = (0..<slots).map { _ in Slot() }
        // A semaphore must not end below its first value.
        for _ in 0..<slots { free.signal() }
    }

    /// A thread's life.
    func run() {
        while true {
            free.wait()
            let claimed = state.withLock { state -> Int? in
                guard !state.isStopped, state.claimed < order.count else { return nil }
                defer { state.claimed += 1 }
                return state.claimed
            }
            guard let position = claimed else { return }
            let slot = slots[position % slots.count]
            let result = sample(position)
            slot.result.withLock { $0 = result }
            slot.ready.signal()
        }
    }

    func stop(_ threads: Int) {
        state.withLock { $0.isStopped = true }
        for _ in 0..<threads { free.signal() }
    }

    func take() -> Int? {
        state.withLock { state in
            guard state.taken < order.count else { return nil }
            defer { state.taken += 1 }
            return state.taken
        }
    }

    func wait(for position: Int) -> Result<Sample, any Error> {
        let slot = slots[position % slots.count]
        slot.ready.wait()
        let result = slot.result.withLock { held in
            defer { held = nil }
            return held!
        }
        free.signal()
        return result
    }

    func sample(_ position: Int) -> Result<Sample, any Error> {
        Result {
            let index = order[position]
            var random = SceneRandom(seed: seed, index: position, stream: 0x7069)
            return try prepare(
                LoadedPicture(pictures[index], index: index, position: position, seed: random.next()))
        }
    }

    func note(_ error: MediaError, _ position: Int) {
        state.withLock { state in
            guard state.broken.insert(order[position]).inserted else { return }
            state.problems.add(.brokenPicture, "\(error)")
        }
    }
}
