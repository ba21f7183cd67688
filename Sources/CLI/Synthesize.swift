public import ArgumentParser
public import Datasets
import Foundation

struct Synthesize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw pictures of the Mosaic world, with everything in them known.",
        discussion: """
            Writes images/000000000000.png and so on, and annotations.json: boxes, masks and keypoints as COCO has \
            them, which pycocotools loads. The same seed gives the same pictures everywhere. Seeds of 900000 and \
            above are for scoring: no model is trained on them.

            Example:
              vitrail synthesize --seed 900001 --count 20 --output pictures
            """)

    @Option(help: ArgumentHelp("The seed of all pictures.", valueName: "number"))
    var seed: UInt64

    @Option(help: ArgumentHelp("How many pictures, up to a million.", valueName: "number"))
    var count: Int

    @Option(name: .shortAndLong, help: ArgumentHelp("A new or empty folder.", valueName: "folder"))
    var output: String

    @Option(
        help: ArgumentHelp(
            "plain, ten shapes and people; or rich, all 43 kinds of things.", valueName: "ring"))
    var ring = MosaicConfiguration.Ring.plain

    @Option(
        help: ArgumentHelp(
            "The sides of the pictures, 96 to 512 pixels; unless given, 128, or 256 in the rich ring.",
            valueName: "pixels"))
    var size: Int?

    func run() throws {
        let standard: MosaicConfiguration = ring == .rich ? .rich : .standard
        let configuration = try MosaicConfiguration(
            size: size ?? standard.size, ring: ring, maximumObjects: standard.maximumObjects)
        let interrupt = Interrupt()
        let line = ProgressLine()
        let start = ContinuousClock.now
        try MosaicExport.write(seed: seed, count: count, configuration: configuration, to: output) { done in
            // The export removes what it has written so far.
            if interrupt.wasAsked { throw Failure(.interrupted, "interrupted; \(output) was not made") }
            let rate = Double(done) / (ContinuousClock.now - start).seconds
            line.update(
                Double(done) / Double(count), String(format: "%d of %d, %.0f pictures/s", done, count, rate),
                secondsLeft: Double(count - done) / rate)
        }
        print("wrote \(count) \(count == 1 ? "picture" : "pictures") and annotations.json to \(output)")
    }
}

extension Duration {
    /// The whole of it in seconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

extension MosaicConfiguration.Ring: ExpressibleByArgument {}
