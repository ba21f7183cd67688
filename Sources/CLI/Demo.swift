import ArgumentParser
import Foundation
import Media
import Text
import Vitrail

struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask the model many things of pictures it has never seen, and make a page of it.",
        discussion: """
            Draws pictures of the Mosaic world that were never trained on, asks for everything that the model can do \
            (detection, masks, joints, grounding, counting, questions, captions), prints every request with its \
            answer and whether it is right, and leaves one index.html with the pictures, what was found in them and \
            where the model looked. Any browser opens it from the disk.

            Examples:
              vitrail demo
              vitrail demo --image photo.jpg --output mine
            """)

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The folder for the page, and for the pictures that were asked about.", valueName: "folder"))
    var output = "demo"

    @Option(help: ArgumentHelp("A picture of yours to be asked about as well.", valueName: "image"))
    var image: String?

    @OptionGroup var engine: EngineOptions

    func run() async throws {
        let start = ContinuousClock.now
        // A picture that cannot be read is told before anything is made.
        let own = try image.map {
            DemoScene.users(try Image(contentsOf: $0), name: ($0 as NSString).lastPathComponent)
        }
        let engine = try engine.open()
        let opened = (ContinuousClock.now - start).seconds
        do {
            try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        } catch {
            throw Failure(.cannotWrite, "cannot make the folder \(output)")
        }
        let interrupt = Interrupt()
        var page = DemoPage()
        var answering = 0.0
        for (number, scene) in ((own.map { [$0] } ?? []) + DemoScene.mosaic()).enumerated() {
            let shown = scene.image.fitted(to: 512)
            let file = "\(output)/picture-\(number + 1).png"
            try scene.image.writePNG(to: file)
            try page.begin(scene.title, picture: shown)
            print("\(file)  (\(scene.title))")
            let picture = await engine.open(scene.image)
            for request in scene.requests {
                if interrupt.wasAsked {
                    throw Failure(.interrupted, "interrupted; \(output)/index.html was not written")
                }
                let asked = ContinuousClock.now
                let answer: Answer
                do {
                    answer = try await engine.ask(request.text, about: picture)
                } catch let error as ModelError {
                    // A model may lack a specialist; the others are worth seeing all the same.
                    print("  Q  \(request.text)  (\(request.task))\n  A  \(error)")
                    page.add(request, refusal: "\(error)")
                    continue
                }
                answering += (ContinuousClock.now - asked).seconds
                let isRight = request.truth?.agrees(with: answer)
                print(
                    "  Q  \(request.text)  (\(request.task))\n  A  \(answer.summary)\(verdict(isRight, request.truth))"
                )
                var drawn: (answer: Image, heat: Image)?
                if let response = answer.response {
                    drawn = (
                        try scene.image.annotated(
                            with: answer.annotations, scale: shown.scale(of: scene.image)),
                        try shown.blended(
                            heatmap: response.values, width: response.width, height: response.height)
                    )
                }
                try page.add(request, answer, isRight: isRight, drawn: drawn)
            }
            page.end()
        }
        let count = page.requests
        let time = String(
            format: "%d answers in %.1f s, after %.1f s to open the model", count, answering, opened)
        let right = "\(page.right) of \(page.known) right where the truth is known"
        try page.write(to: "\(output)/index.html", summary: "\(time); \(right).")
        print("\(time); \(right)")
        print(
            String(
                format: "wrote %@/index.html after %.1f s: open it in a browser", output,
                (ContinuousClock.now - start).seconds))
    }

    private func verdict(_ isRight: Bool?, _ truth: DemoRequest.Truth?) -> String {
        guard let isRight, let truth else { return "" }
        return isRight ? "  [right]" : "  [wrong: \(truth.summary)]"
    }
}

extension Image {
    /// The picture at a size that suits a page: the longer side between half of `side` and twice it.
    fileprivate func fitted(to side: Int) -> Image {
        let longest = Double(max(width, height))
        let scale =
            longest < Double(side) ? (Double(side) / longest).rounded() : min(1, Double(2 * side) / longest)
        func scaled(_ length: Int) -> Int { max(1, Int((Double(length) * scale).rounded())) }
        return scale == 1 ? self : resized(width: scaled(width), height: scaled(height))
    }

    /// How many times larger than the original this is.
    fileprivate func scale(of original: Image) -> Double {
        Double(max(width, height)) / Double(max(original.width, original.height))
    }
}

extension Answer {
    /// The answer, and how many places it stands for.
    var summary: String {
        guard !findings.isEmpty else { return text }
        let parts = findings.map {
            $0.count == 0 ? "nothing found" : $0.route.response.counted($0.count)
        }
        return "\(text)  -> \(parts.joined(separator: ", "))"
    }
}
