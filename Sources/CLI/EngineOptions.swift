import ArgumentParser
import Torch
import Vitrail

/// The options of every command that asks a model.
struct EngineOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A model's folder; the embedded model when left out.", valueName: "folder"))
    var model: String?

    @Option(help: "Places scored below this, 0 to 1, are not answered.")
    var threshold = Locator().threshold

    @Option(help: "Where to compute: cpu, cuda, cuda:1 or mps. (default: cpu)", transform: Self.device)
    var device = Device.cpu

    @Option(help: ArgumentHelp("Threads on the CPU; all cores when left out.", valueName: "count"))
    var threads: Int?

    func validate() throws {
        guard (0...1).contains(threshold) else {
            throw ValidationError("--threshold is \(threshold), 0 to 1 is possible.")
        }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads), 1 to 1024 is possible.")
        }
    }

    func open() throws -> Engine {
        if let threads { try Threads.set(threads) }
        return try Engine(
            model: model ?? Engine.embeddedModel(), device: device, locator: Locator(threshold: threshold))
    }

    static func device(_ name: String) throws -> Device {
        guard let device = Device(name) else {
            throw ValidationError("'\(name)' is not a device; cpu, cuda, cuda:1 and mps are.")
        }
        return device
    }
}
