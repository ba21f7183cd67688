import ArgumentParser
import Foundation
import Media
import Text
import Vitrail

struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask the model many things of pictures it has never seen, and make a page of it.",
        discussion: """
            Draws five pictures of the Mosaic world that were never trained on, asks twenty things about them, prints \
            every question with its answer and whether it is right, and leaves index.html with the pictures, what was \
            found in them and where the model looked. Any browser opens it from the disk.

            Examples:
              vitrail demo
              vitrail demo --image photo.jpg --output mine
            """)

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The folder for the page and its pictures.", valueName: "folder"))
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
        for (number, scene) in ((own.map { [$0] } ?? []) + (try DemoScene.mosaic())).enumerated() {
            let shown = scene.image.fitted(to: 512)
            let file = "picture-\(number + 1).png"
            try shown.writePNG(to: "\(output)/\(file)")
            page.begin(scene.title, picture: file)
            print("\(output)/\(file)  (\(scene.title))")
            let picture = await engine.open(scene.image)
            for (index, request) in scene.requests.enumerated() {
                if interrupt.wasAsked {
                    throw Failure(.interrupted, "interrupted; \(output)/index.html was not written")
                }
                let asked = ContinuousClock.now
                let answer = try await engine.ask(request.text, about: picture)
                answering += (ContinuousClock.now - asked).seconds
                let isRight = request.truth?.agrees(with: answer)
                print("  Q  \(request.text)\n  A  \(answer.summary)\(verdict(isRight, request.truth))")
                let name = "\(number + 1)-\(index + 1).png"
                if let heatmap = answer.heatmap {
                    try scene.image.annotated(with: answer.annotations, scale: shown.scale(of: scene.image))
                        .writePNG(to: "\(output)/answer-\(name)")
                    try shown.blended(heatmap: heatmap.values, width: heatmap.width, height: heatmap.height)
                        .writePNG(to: "\(output)/heat-\(name)")
                }
                page.add(request, answer, isRight: isRight, files: answer.isPlaces ? name : nil)
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
    /// The sentence, and how many places it stands for.
    var summary: String {
        guard isPlaces else { return text }
        let kind = route == .points ? ("point", "points") : ("box", "boxes")
        let count = detections.count
        return "\(text)  -> \(count == 0 ? "nothing found" : "\(count) \(count == 1 ? kind.0 : kind.1)")"
    }
}

extension DemoRequest.Truth {
    /// What a right answer would have been.
    var summary: String {
        switch self {
        case .words(let words): words
        case .boxes(let boxes) where boxes.isEmpty: "there is none"
        case .boxes(let boxes): boxes.count == 1 ? "there is one, elsewhere" : "there are \(boxes.count)"
        }
    }

    /// Whether the words are the same, or every thing is found once (boxes at an IoU of 0.5, points inside the box)
    /// and nothing else is.
    func agrees(with answer: Answer) -> Bool {
        switch self {
        case .words(let words): return answer.text == words
        case .boxes(let boxes):
            guard answer.isPlaces, answer.detections.count == boxes.count else { return false }
            var rest = boxes
            for detection in answer.detections {
                let hit = rest.indices.first { index in
                    answer.route == .points
                        ? rest[index].contains(detection.point) : rest[index].iou(detection.box) >= 0.5
                }
                guard let hit else { return false }
                rest.remove(at: hit)
            }
            return true
        }
    }
}

extension Box {
    fileprivate func contains(_ point: Point) -> Bool {
        (x...maxX).contains(point.x) && (y...maxY).contains(point.y)
    }
}
