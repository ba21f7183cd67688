import Foundation
import TestSupport
import Testing
import Torch

/// Ranks that are threads of this process; the program's own tests have processes (CLITests).
@Suite(.serialized)
struct ProcessGroupTests {
    @Test(arguments: [1, 2, 3]) func sums(_ count: Int) throws {
        let sums = try ranks(count) { group -> [[Float]] in
            let mine = Double(group.rank + 1)
            let tensors = [
                try Tensor.full([2, 2], mine), try Tensor.full([3], mine, dtype: .float64),
                try Tensor.full([], 2 * mine),
            ]
            try group.sum(tensors)
            group.leave()
            return try tensors.map { try $0.to(.float32).array() }
        }
        let total = Float(count * (count + 1) / 2)
        for rank in sums {
            #expect(try rank.get() == [[total, total, total, total], [total, total, total], [2 * total]])
        }
    }

    @Test func everyRankGetsTheSameBits() throws {
        let sums = try ranks(3) { group in
            let values = try Tensor.randn([1000], generator: try Generator(seed: UInt64(group.rank)))
            try group.sum([values])
            group.leave()
            return try values.array(Float.self)
        }
        #expect(try Set(sums.map { try $0.get() }).count == 1)
    }

    @Test func broadcastsAndGathers() throws {
        let given = try ranks(2) { group in
            let numbers = try Tensor([group.rank, 5 + group.rank])
            try group.broadcast([numbers], from: 1)
            try group.barrier()
            let all = try group.gather(Array("rank \(group.rank)".utf8.dropLast(group.rank)))
            group.leave()
            return (try numbers.array(Int.self), all.map { String(decoding: $0, as: UTF8.self) })
        }
        for rank in given {
            let (numbers, texts) = try rank.get()
            #expect(numbers == [1, 6] && texts == ["rank 0", "rank "])
        }
    }

    @Test(arguments: [0, 1, 2]) func theEndOfARankIsHeardByAll(_ ending: Int) throws {
        let results = try ranks(3) { group in
            try group.barrier()
            // What ends without a goodbye is gone.
            if group.rank == ending { return }
            let started = ContinuousClock.now
            defer { #expect(ContinuousClock.now - started < .seconds(30)) }
            try group.sum([try Tensor.ones([4])])
        }
        for (rank, result) in results.enumerated() where rank != ending {
            let error = try #require(throws: LostRankError.self) { try result.get() }
            #expect(error.rank == ending && "\(error)".hasPrefix("rank \(ending) of 3 is gone: "))
        }
    }

    @Test func aRankThatIsDoneIsNotMissed() throws {
        let results = try ranks(2) { group in
            try group.barrier()
            if group.rank == 1 {
                group.leave()
                #expect(throws: TorchError.self) { try group.barrier() }
            } else {
                Thread.sleep(forTimeInterval: 0.2)
                try group.checkOthers()
                group.leave()
            }
        }
        for result in results { try result.get() }
    }

    @Test func aRankThatNeverComes() throws {
        let meeting = ProcessGroup.Meeting(host: "127.0.0.1", port: try freePort(), rank: 0, count: 2)
        let error = try #require(throws: TorchError.self) { try ProcessGroup(meeting, timeout: 0.3) }
        #expect("\(error)".contains("1 of 2 ranks came within 0.3 seconds"))
    }

    @Test func environment() throws {
        typealias Meeting = ProcessGroup.Meeting
        var variables = ["RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "node", "MASTER_PORT": "29500"]
        let meeting = try #require(try Meeting(environment: variables))
        #expect(meeting == Meeting(host: "node", port: 29_500, rank: 1, count: 4).with(prefix: "vitrail/0"))
        #expect(try Meeting(environment: ["MASTER_ADDR": "node", "HOME": "/"]) == nil)
        variables["TORCHELASTIC_USE_AGENT_STORE"] = "True"
        variables["LOCAL_RANK"] = "3"
        let torchrun = try #require(try Meeting(environment: variables))
        #expect(torchrun.launcherListens && torchrun.localRank == 3)
        for (name, value) in [
            ("RANK", "4"), ("WORLD_SIZE", "two"), ("MASTER_PORT", "70000"), ("MASTER_ADDR", ""),
        ] {
            let error = try #require(throws: TorchError.self) {
                try Meeting(environment: variables.merging([name: value]) { $1 })
            }
            #expect("\(error)".contains(name))
        }
    }
}

extension ProcessGroup.Meeting {
    fileprivate func with(prefix: String) -> Self {
        var copy = self
        copy.prefix = prefix
        return copy
    }
}
