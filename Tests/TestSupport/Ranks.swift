import Foundation
public import Torch

/// Runs `body` as every rank at once, each on a thread of its own; what each gave, or threw.
public func ranks<Value: Sendable>(
    _ count: Int, timeout: Double = 20, _ body: @escaping @Sendable (ProcessGroup) throws -> Value
) throws -> [Result<Value, any Error>] {
    let port = try freePort()
    nonisolated(unsafe) var results = [Result<Value, any Error>?](repeating: nil, count: count)
    let lock = NSLock()
    let done = DispatchGroup()
    for rank in 0..<count {
        done.enter()
        Thread.detachNewThread {
            let meeting = ProcessGroup.Meeting(host: "127.0.0.1", port: port, rank: rank, count: count)
            let result = Result { try body(ProcessGroup(meeting, timeout: timeout)) }
            lock.withLock { results[rank] = result }
            done.leave()
        }
    }
    done.wait()
    return results.map { $0! }
}
