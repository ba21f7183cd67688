import ArgumentParser
import Torch
import Vitrail

/// The options of every command that asks a model.
struct EngineOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A model's folder; the embedded model when left out.", valueName: "folder"))
    var model: String?

    @Option(
        help: ArgumentHelp(
            "Places scored below this, 0 to 1, are not answered; the model's own when left out, else 0.4.",
            valueName: "score"))
    var threshold: Double?

    @Option(help: "Where to compute: cpu, cuda, cuda:1 or mps. (default: cpu)", transform: Self.device)
    var device = Device.cpu

    @Option(
        help: ArgumentHelp(
            "What to multiply in: float32, or bfloat16, which is faster on some processors and slower on others; auto is a LLaVA's own, else float32. (default: auto)",
            valueName: "dtype"),
        transform: Precision.option)
    var dtype = Precision.auto

    @Option(help: ArgumentHelp("Threads on the CPU; all cores when left out.", valueName: "count"))
    var threads: Int?

    func validate() throws {
        if let threshold, !(0...1).contains(threshold) {
            throw ValidationError("--threshold is \(threshold), 0 to 1 is possible.")
        }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads), 1 to 1024 is possible.")
        }
    }

    func open() throws -> Engine {
        if let threads { try Threads.set(threads) }
        let path = try model ?? Engine.embeddedModel()
        guard let threshold else { return try Engine(model: path, device: device, dtype: dtype.ofProducts) }
        var locator = try ModelFolder(path).locator ?? Locator()
        (locator.threshold, locator.countThreshold) = (threshold, threshold)
        locator.countThresholds = nil
        return try Engine(model: path, device: device, dtype: dtype.ofProducts, locator: locator)
    }

    static func device(_ name: String) throws -> Device {
        guard let device = Device(name) else {
            throw ValidationError("'\(name)' is not a device; cpu, cuda, cuda:1 and mps are.")
        }
        return device
    }
}
