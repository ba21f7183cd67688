import Checkpoints
import Foundation
import NN
import TestSupport
import Testing
import Torch

/// Bytes changed at random: every file is either read or refused in one line.
struct MutatedFileTests {
    /// SplitMix64.
    struct Numbers: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
    }

    /// `VITRAIL_FUZZ` sets how many files of each kind are tried.
    static let times = ProcessInfo.processInfo.environment["VITRAIL_FUZZ"].flatMap(Int.init) ?? 300

    @Test(arguments: [
        "torch/state.pt", "torch/protocol2.pt", "torch/protocol5.pt", "torch/training.pth", "torch/calls.pt",
        "torch/before1.6.pt", "torch/expected.safetensors", "llama/model-00003-of-00003.safetensors",
        "llama-biased/pytorch_model-00003-of-00003.bin",
    ])
    func areReadOrRefused(_ file: String) throws {
        var numbers = Numbers(state: 1)
        let folder = try TemporaryFolder()
        let path = folder.file("x.\(file.split(separator: ".").last!)")
        let original = Array(try Data(contentsOf: URL(fileURLWithPath: fixture(file))))
        var refused = 0
        for _ in 0..<Self.times {
            var bytes = original
            if Int.random(in: 0..<8, using: &numbers) == 0 {
                bytes.removeLast(Int.random(in: 1...bytes.count, using: &numbers))
            }
            for _ in 0..<Int.random(in: 1...4, using: &numbers) where !bytes.isEmpty {
                let place = Int.random(in: bytes.indices, using: &numbers)
                switch Int.random(in: 0..<4, using: &numbers) {
                case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &numbers)
                case 1: bytes[place] = .random(in: 0...255, using: &numbers)
                case 2: bytes[place] = [0, 0x7f, 0x80, 0xff].randomElement(using: &numbers)!
                default: for other in bytes[place...].prefix(8).indices { bytes[other] = 0xff }
                }
            }
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            do {
                let checkpoint = try Checkpoint(contentsOf: path)
                for (name, entry) in checkpoint.entries where entry.bytes < 1 << 20 {
                    let tensor = try #require(try checkpoint.tensor(named: name))
                    #expect(try tensor.clone().shape == entry.shape)
                }
                #expect(checkpoint.bytes >= 0)
            } catch let error as CheckpointError {
                refused += 1
                #expect(!error.description.contains("\n"))
            }
        }
        #expect(refused > Self.times / 10)
    }
}
