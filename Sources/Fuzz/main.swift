import Foundation

// `TARGET=pictures Fuzz [options of libFuzzer] CORPUS` runs a target; `TARGET=pictures SEEDS=FOLDER Fuzz` writes the
// valid files that its corpus begins with, and without TARGET the names of all are printed. Tools/fuzz.sh does all that.

/// libFuzzer's loop, without its `main`.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ one: @convention(c) (UnsafePointer<UInt8>, Int) -> CInt
) -> CInt

/// What is fuzzed by this process; C calls back without a context.
enum Chosen {
    static let target: FuzzTarget? = {
        let name = ProcessInfo.processInfo.environment["TARGET"]
        return FuzzTarget.all.first { $0.name == name }
    }()
}

guard let target = Chosen.target else {
    print(FuzzTarget.all.map(\.name).joined(separator: "\n"))
    exit(0)
}
if let folder = ProcessInfo.processInfo.environment["SEEDS"] {
    for (number, seed) in try target.seeds().enumerated() {
        try Data(seed).write(to: URL(fileURLWithPath: "\(folder)/\(target.name)-\(number)"))
    }
    exit(0)
}
var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
exit(
    runDriver(&count, &arguments) { bytes, count in
        // A refusal is as good as an answer; only signals, hangs and memory count.
        try? Chosen.target!.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
        return 0
    })
