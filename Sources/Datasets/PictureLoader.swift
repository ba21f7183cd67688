import Media
import Synchronization

/// Finds, decodes and prepares pictures on threads of its own while the caller works on those before, and gives them out
/// in order.
///
/// What comes out depends on the pictures, the order and the seed alone, never on how many threads there are: each visit
/// has a seed of its own, from its place in the order. A picture that cannot be decoded is counted once and skipped.
public final class PictureLoader<Sample: Sendable>: Sendable {
    private let work: Ahead<Sample>
    private let order: [Int]
    private let broken = Mutex<(problems: LabelProblems, pictures: Set<Int>)>((LabelProblems(), []))

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
        self.order = order
        work = Ahead(start..<max(start, order.count), threads: threads, ahead: ahead) { position in
            let index = order[position]
            var random = SceneRandom(seed: seed, index: position, stream: 0x7069)
            return try prepare(
                LoadedPicture(pictures[index], index: index, position: position, seed: random.next()))
        }
    }

    /// The next sample in order; nil after the last.
    ///
    /// - Throws: what `prepare` throws; `MediaError` alone is counted as a broken picture, and skipped.
    public func next() throws -> Sample? {
        while let (position, result) = work.next() {
            switch result {
            case .success(let sample): return sample
            case .failure(let error as MediaError):
                broken.withLock { broken in
                    guard broken.pictures.insert(order[position]).inserted else { return }
                    broken.problems.add(.brokenPicture, "\(error)")
                }
            case .failure(let error): throw error
            }
        }
        return nil
    }

    /// Pictures that could not be decoded so far.
    public var problems: LabelProblems { broken.withLock { $0.problems } }
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
