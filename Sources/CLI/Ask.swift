import ArgumentParser
import Foundation
import Media
import Text
import Vitrail

struct Ask: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask one thing about a picture, in your own words.",
        discussion: """
            Prints the model's sentence. Where the answer is places, they follow a line each (number, score, and the \
            box in pixels of your picture, from its top left corner), and a copy of the picture with the boxes drawn \
            is written.

            Examples:
              vitrail ask street.png "find every red circle"
              vitrail ask street.png "How many stars are there?"
              vitrail ask street.png "point at the largest ring" --output pointed.png
              vitrail ask street.png "where are the people?" --json

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

    @Flag(help: "Print one JSON document instead (docs/json.md).")
    var json = false

    @OptionGroup var engine: EngineOptions

    func validate() throws { try AnsweredPicture.check(output, for: image) }

    func run() async throws {
        let picture = try Image(contentsOf: image)
        let answer = try await engine.open().ask(request, about: picture)
        // A sentence alone gives nothing to draw, but who names a file gets one.
        var written: String?
        if output != nil || !json && !answer.detections.isEmpty {
            written = try AnsweredPicture.write(picture, answer, to: output, for: image)
        }
        if json {
            let places = answer.detections.map { Documents.Place($0, box: true, point: true) }
            let document = Documents.Ask(
                image: image, width: picture.width, height: picture.height, request: request,
                answer: answer.text,
                route: answer.route, detections: places, output: written, note: answer.note)
            print(try Documents.line(document))
        } else {
            print(description(of: answer, picture).joined(separator: "\n"))
            if let written { print("wrote \(written)") }
        }
    }

    private func description(of answer: Answer, _ picture: Image) -> [String] {
        guard answer.isPlaces else { return [answer.text] }
        let found = answer.detections
        guard !found.isEmpty else {
            return [answer.text, "Nothing found: no place scores \(engine.threshold) or more (--threshold)."]
        }
        let isPoints = answer.route == .points
        let kind = isPoints ? "point" : "box"
        let things = found.count == 1 ? "1 \(kind)" : "\(found.count) \(isPoints ? "points" : "boxes")"
        return [answer.text, "\(things), in pixels of \(image) (\(picture.width) x \(picture.height)):"]
            + PlaceList.lines(found, isPoints ? PlaceList.point : PlaceList.box)
            + (answer.note.map { [$0] } ?? [])
    }
}

extension Answer {
    /// Whether the model answered with places, found or not, rather than with words alone.
    var isPlaces: Bool { heatmap != nil }

    /// What the reader should know of a route whose decoder is still missing.
    var note: String? {
        route == .segmentation || route == .referringSegmentation
            ? "Masks come in a later version; these are the boxes." : nil
    }

    /// What to draw over the picture.
    var annotations: [Annotation] {
        detections.enumerated().map { index, detection in
            route == .points
                ? Annotation(point: detection.point, label: "\(index + 1)")
                : Annotation(
                    box: detection.box, label: String(format: "%d  %.2f", index + 1, detection.score))
        }
    }
}

/// The picture that an answer is drawn over, and where it goes.
enum AnsweredPicture {
    static func check(_ output: String?, for image: String) throws {
        guard let output else { return }
        guard !output.isEmpty else { throw ValidationError("--output is empty.") }
        if !isFolder(output), (output as NSString).pathExtension.lowercased() != "png" {
            throw ValidationError("--output \(output) is neither a .png file nor a folder.")
        }
        let target = path(output, for: image)
        func real(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
        if real(target) == real(image) {
            throw ValidationError("--output \(target) is the picture itself, which is not overwritten.")
        }
    }

    /// - Returns: the file's path.
    static func write(_ picture: Image, _ answer: Answer, to output: String?, for image: String) throws
        -> String
    {
        let annotated = try picture.annotated(with: answer.annotations)
        let path = path(output, for: image)
        let folder = (path as NSString).deletingLastPathComponent
        if !folder.isEmpty {
            do {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            } catch {
                throw Failure(.cannotWrite, "cannot make the folder \(folder)")
            }
        }
        try annotated.writePNG(to: path)
        return path
    }

    private static func path(_ output: String?, for image: String) -> String {
        let name = ((image as NSString).lastPathComponent as NSString).deletingPathExtension + "-answer.png"
        guard let output else { return name }
        return isFolder(output) ? (output as NSString).appendingPathComponent(name) : output
    }

    private static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) { return isFolder.boolValue }
        return path.hasSuffix("/") || (path as NSString).pathExtension.isEmpty
    }
}
