import ArgumentParser
import Foundation
import InputFiles
import Media
import Text
import Vitrail

struct Ask: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask about a picture, in your own words.",
        discussion: """
            Prints the answer, and after it what was found, a line each: number, score, and the box, the point or the \
            joints in pixels of your picture, from its top left corner. A copy of the picture with boxes, outlines, \
            points and skeletons drawn over it is written. One sentence may ask for several things.

            --model may also be a LLaVA as it was downloaded (docs/llava.md): its answer is words, printed as they come.

            Examples:
              vitrail ask street.png "find every red circle"
              vitrail ask street.png "outline the star and count the red circles"
              vitrail ask street.png "point at the people" --output pointed.png --heatmap heat.png
              vitrail ask street.png "What do you see?" --json
              vitrail ask street.jpg "What is unusual here?" --model llava-1.5-7b-hf --max-tokens 100

            Pictures: PNG, JPEG, WebP, BMP or the first picture of a GIF, up to 100 megapixels.
            """)

    @Argument(help: ArgumentHelp("The picture.", valueName: "image"))
    var image: String

    @Argument(help: ArgumentHelp("What you want to know, in quotation marks.", valueName: "request"))
    var request: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            """
            Where the picture with the answer goes: a .png file, or a folder, in which it is called \
            <image>-answer.png. Left out, it goes to the current folder if there is something to draw, and with \
            --json nowhere.
            """, valueName: "file|folder"))
    var output: String?

    @Option(
        help: ArgumentHelp(
            """
            Where the picture with the response that the answer came from goes: a .png file, or a folder, in which it \
            is called <image>-heatmap.png. An answer in words has none.
            """, valueName: "file|folder"))
    var heatmap: String?

    @Flag(help: "Print one JSON document instead (docs/json.md).")
    var json = false

    @OptionGroup var engine: EngineOptions

    @OptionGroup(title: "Options for a LLaVA") var llava: LLaVAOptions

    private var answerFile: DrawnPicture { DrawnPicture("--output", output, image, suffix: "answer") }
    private var heatmapFile: DrawnPicture { DrawnPicture("--heatmap", heatmap, image, suffix: "heatmap") }

    func validate() throws {
        try answerFile.check()
        try heatmapFile.check()
        if output != nil, heatmap != nil, answerFile.path == heatmapFile.path {
            throw ValidationError("--output and --heatmap are both \(answerFile.path).")
        }
    }

    func run() async throws {
        if let path = engine.model {
            switch try CheckpointKind(of: path) {
            case .llava, .llavaAdapter, .llavaProjector, .adapter: return try await askLLaVA(path)
            case .vitrail: break
            case .clip, .llama, .sam:
                throw ModelError.notAModel(path, "not a model that can be asked: LLaVA and Vitrail's own are")
            }
        }
        guard llava.given.isEmpty else {
            throw ValidationError(
                "\(llava.given.joined(separator: ", ")) is for a LLaVA's folder (--model); \(engine.model ?? "the embedded model") has no such option."
            )
        }
        let picture = try Image(contentsOf: image)
        let answer = try await engine.open().ask(request, about: picture)
        var written: [String?] = [nil, nil]
        // A sentence alone gives nothing to draw, but who names a file gets one.
        if output != nil || !json && answer.findings.contains(where: { $0.count > 0 }) {
            written[0] = try answerFile.write(picture.annotated(with: answer.annotations))
        }
        if heatmap != nil, let response = answer.response {
            written[1] = try heatmapFile.write(picture.blended(with: response))
        }
        if json {
            let document = Documents.Ask(
                image: image, width: picture.width, height: picture.height, request: request,
                answer: answer.text, transcript: answer.transcript,
                findings: answer.findings.map(Documents.Finding.init), output: written[0],
                heatmap: written[1])
            print(try Documents.line(document))
        } else {
            print(answer.text)
            var number = 0
            for finding in answer.findings {
                for line in lines(finding, picture, after: number) { print(line) }
                number += finding.count
            }
            for case let file? in written { print("wrote \(file)") }
            if heatmap != nil, written[1] == nil { print("no heatmap: the answer is in words") }
        }
    }

    /// - Parameter number: of the last thing before; they count on through an answer, as in the picture.
    private func lines(_ finding: Finding, _ picture: Image, after number: Int) -> [String] {
        let place = "in pixels of \(image) (\(picture.width) x \(picture.height))"
        guard finding.count > 0 else {
            // The answer says it.
            guard finding.isKnown else { return [] }
            return ["Nothing found: no place scores enough to be answered (--threshold)."]
        }
        let form = finding.route.response
        return ["\(form.counted(finding.count)), \(place):"]
            + PlaceList.lines(finding.detections, after: number) { form.description(of: $0) }
    }
}

extension Answer {
    /// What to draw over the picture: every thing in a colour of its own.
    var annotations: [Annotation] {
        let things = findings.flatMap { finding in finding.detections.map { (finding.route.response, $0) } }
        return things.enumerated().map { index, thing in
            thing.0.annotation(of: thing.1, number: index + 1, colour: index)
        }
    }

    /// Where the model looked, for all that it looked for; nil for an answer in words.
    var response: Response? {
        guard let first = findings.first?.heatmap else { return nil }
        var values = first.values
        for finding in findings.dropFirst() {
            for (index, value) in finding.heatmap.values.enumerated() {
                values[index] = max(values[index], value)
            }
        }
        return Response(width: first.width, height: first.height, values: values)
    }
}

/// The heat of an answer: of several heatmaps the highest value at each place.
struct Response {
    let width: Int
    let height: Int
    let values: [Float]
}

extension Image {
    /// The picture, enlarged for the eye where it is small, under the heat.
    func blended(with response: Response) throws -> Image {
        let scale = max(1, (480 / Double(max(width, height))).rounded(.up))
        let shown = scale == 1 ? self : resized(width: width * Int(scale), height: height * Int(scale))
        return try shown.blended(heatmap: response.values, width: response.width, height: response.height)
    }
}

/// A picture that a command draws, and where it goes.
struct DrawnPicture {
    let option: String
    let output: String?
    let image: String
    let suffix: String

    init(_ option: String, _ output: String?, _ image: String, suffix: String) {
        self.option = option
        self.output = output
        self.image = image
        self.suffix = suffix
    }

    func check() throws {
        guard let output else { return }
        guard !output.isEmpty else { throw ValidationError("\(option) is empty.") }
        if !isFolder(output), (output as NSString).pathExtension.lowercased() != "png" {
            throw ValidationError("\(option) \(output) is neither a .png file nor a folder.")
        }
        func real(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
        if real(path) == real(image) {
            throw ValidationError("\(option) \(path) is the picture itself, which is not overwritten.")
        }
    }

    /// - Returns: the file's path.
    func write(_ drawn: Image) throws -> String {
        let folder = (path as NSString).deletingLastPathComponent
        if !folder.isEmpty {
            do {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            } catch {
                throw Failure(.cannotWrite, "cannot make the folder \(folder)")
            }
        }
        try drawn.writePNG(to: path)
        return path
    }

    var path: String {
        let name =
            ((image as NSString).lastPathComponent as NSString).deletingPathExtension + "-\(suffix).png"
        guard let output else { return name }
        return isFolder(output) ? (output as NSString).appendingPathComponent(name) : output
    }

    private func isFolder(_ path: String) -> Bool {
        (try? InputFile.isFolder(path)) ?? (path.hasSuffix("/") || (path as NSString).pathExtension.isEmpty)
    }
}
