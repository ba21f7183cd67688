import ArgumentParser
import Datasets
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

    @Option(help: ArgumentHelp("The sides of the pictures, 96 to 512 pixels.", valueName: "pixels"))
    var size = 128

    func run() throws {
        let configuration = try MosaicConfiguration(size: size)
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
