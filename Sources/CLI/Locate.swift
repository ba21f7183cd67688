import ArgumentParser
import Media
import Text
import Vitrail

struct Locate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find, point at or count things by name, in one picture or many.",
        discussion: """
            Every phrase is looked for in every picture; a picture is read only once. A phrase names a kind of thing, \
            and all of them are found: "star", "small red circle", "person in blue". One that begins with "the" \
            means one thing: "the largest star", "the ring left of the heart".

            Examples:
              vitrail locate street.png --find "red circle" star
              vitrail locate photos/*.jpg --find person --as count
              vitrail locate a.png b.png --find "the largest star" --as points --json

            With --json every picture gives one line with one JSON document (docs/json.md). A picture that cannot be \
            read is reported on standard error, the others are still answered, and the exit code tells at the end.
            """)

    enum Form: String, CaseIterable, ExpressibleByArgument {
        case boxes, points, count
    }

    @Argument(help: ArgumentHelp("The pictures.", valueName: "image"))
    var images: [String]

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("What to look for; quote phrases of several words.", valueName: "phrase"))
    var find: [String]

    @Option(name: .customLong("as"), help: "What to answer with: boxes, points or count.")
    var form = Form.boxes

    @Flag(help: "Print one JSON document a line and picture.")
    var json = false

    @OptionGroup var engine: EngineOptions

    func run() async throws {
        let engine = try engine.open()
        var worst: Failure?
        for path in images {
            let picture: Image
            do {
                picture = try Image(contentsOf: path)
            } catch {
                let failure = Failure(error)
                guard images.count > 1 else { throw failure }
                failure.report()
                worst = worst ?? failure
                continue
            }
            let found = try await engine.locate(
                find, in: engine.open(picture), as: form == .points ? .points : .boxes)
            if json {
                print(try Documents.line(document(path, picture, found)))
            } else {
                print("\(path) (\(picture.width) x \(picture.height))")
                for location in found { printLines(location) }
            }
        }
        // Each was reported when it came up.
        if let worst { throw ExitCode(worst.code.rawValue) }
    }

    private func document(_ path: String, _ picture: Image, _ found: [Location]) -> Documents.Locate {
        let results = found.map { location in
            Documents.Locate.Result(
                phrase: location.phrase, count: location.detections.count,
                boxes: form == .boxes
                    ? location.detections.map { Documents.Place($0, box: true, point: false) } : nil,
                points: form == .points
                    ? location.detections.map { Documents.Place($0, box: false, point: true) } : nil)
        }
        return Documents.Locate(image: path, width: picture.width, height: picture.height, results: results)
    }

    private func printLines(_ location: Location) {
        print(
            "  \(location.phrase): \(location.detections.isEmpty ? "none" : "\(location.detections.count)")")
        guard form != .count else { return }
        let place = form == .points ? PlaceList.point : PlaceList.box
        for line in PlaceList.lines(location.detections, indent: 4, place) { print(line) }
    }
}
