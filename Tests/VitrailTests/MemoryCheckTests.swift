import Checkpoints
import Foundation
import NN
import TestSupport
import Testing
import Torch
import Vitrail

struct MemoryCheckTests {
    private struct Entries: CheckpointSource {
        let entries: [String: TensorEntry]
        var label: String { "some folder" }
        func tensor(named name: String) throws -> Tensor? {
            Issue.record("\(name) was read")
            return nil
        }
    }

    private let source = Entries(entries: [
        "a": TensorEntry(.bfloat16, [1000, 1000]), "b": TensorEntry(.int64, [10]),
    ])

    @Test func `a model over what is left is refused with the numbers`() throws {
        for (dtype, needed) in [(DType?.none, 2_100_084), (.bfloat16, 2_100_084), (.float32, 4_200_084)] {
            try MemoryCheck.$assumed.withValue(needed) {
                try MemoryCheck.require(source, as: dtype, on: .cpu)
            }
            MemoryCheck.$assumed.withValue(needed - 1) {
                let error = #expect(throws: ModelError.self) {
                    try MemoryCheck.require(source, as: dtype, on: .cpu)
                }
                let text = error?.description ?? ""
                #expect(text.hasPrefix("some folder: the model needs "))
                #expect(text.contains(needed < 3_000_000 ? "2.1 MB" : "4.2 MB of memory in float32"))
                #expect(text.hasSuffix("MB are available"))
            }
        }
        try MemoryCheck.$assumed.withValue(0) { try MemoryCheck.require(source, as: nil, on: .cuda) }
    }

    @Test func `a model is refused before it is read`() throws {
        let folder = "\(try Engine.embeddedModel())/segmenter"
        let error = MemoryCheck.$assumed.withValue(1_000_000) {
            #expect(throws: ModelError.self) { try SAM(contentsOf: folder) }
        }
        #expect(error?.description.contains("1.0 MB are available") == true)
        _ = try MemoryCheck.$assumed.withValue(1_000_000_000) { try SAM(contentsOf: folder) }
    }

    #if os(Linux)
        @Test func `the least of machine and container counts`() throws {
            let folder = try TemporaryFolder()
            func write(_ path: String, _ text: String) throws {
                let url = URL(fileURLWithPath: folder.file(path))
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(text.utf8).write(to: url)
            }
            #expect(MemoryCheck.available(root: folder.path) == nil)
            try write("proc/meminfo", "MemTotal:  900 kB\nMemAvailable:     100 kB\n")
            #expect(MemoryCheck.available(root: folder.path) == 102_400)
            try write("sys/fs/cgroup/memory.max", "max\n")
            try write("sys/fs/cgroup/memory.current", "50000\n")
            #expect(MemoryCheck.available(root: folder.path) == 102_400)
            try write("sys/fs/cgroup/memory.max", "80000\n")
            #expect(MemoryCheck.available(root: folder.path) == 30_000)
            try write("sys/fs/cgroup/memory.stat", "anon 30000\nfile 20000\n")
            #expect(MemoryCheck.available(root: folder.path) == 50_000)
            try write("sys/fs/cgroup/memory/memory.limit_in_bytes", "60000\n")
            try write("sys/fs/cgroup/memory/memory.usage_in_bytes", "59000\n")
            #expect(MemoryCheck.available(root: folder.path) == 1000)
        }

        @Test func `this machine has memory left`() {
            #expect((MemoryCheck.available() ?? 0) > 10_000_000)
        }
    #endif
}
