public import ArgumentParser
import Media
public import Text
import Vitrail

struct Locate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find, outline, point at or count things by name, in one picture or many.",
        discussion: """
            Every phrase is looked for in every picture; a picture is read only once. A phrase names a kind of thing, \
            and all of them are found: "star", "small red circle", "person in blue". One that begins with "the" \
            means one thing: "the largest star", "the ring left of the heart".

            Examples:
              vitrail locate street.png --find "red circle" star
              vitrail locate photos/*.jpg --find person --as count
              vitrail locate street.png --find person --as keypoints
              vitrail locate a.png b.png --find "the largest star" --as masks --json

            With --json every picture gives one line with one JSON document (docs/json.md). A picture that cannot be \
            read is reported on standard error, the others are still answered, and the exit code tells at the end.
            """)

    @Argument(help: ArgumentHelp("The pictures.", valueName: "image"))
    var images: [String]

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("What to look for; quote phrases of several words.", valueName: "phrase"))
    var find: [String]

    @Option(
        name: .customLong("as"),
        help: "What to answer with: boxes, masks, points, keypoints (the 17 joints of people) or count.")
    var form = LocateResponse.boxes

    @Flag(help: "Print one JSON document a line and picture.")
    var json = false

    @OptionGroup var engine: EngineOptions

    func run() async throws {
        let engine = try engine.open()
        let interrupt = Interrupt()
        var worst: Failure?
        for (done, path) in images.enumerated() {
            if interrupt.wasAsked {
                throw Failure(.interrupted, "interrupted after \(done) of \(images.count) pictures")
            }
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
            let found = try await engine.locate(find, in: engine.open(picture), as: form)
            if json {
                let results = found.map { Documents.Locate.Result($0, as: form) }
                print(
                    try Documents.line(
                        Documents.Locate(
                            image: path, width: picture.width, height: picture.height, results: results)))
            } else {
                print("\(path) (\(picture.width) x \(picture.height))")
                for location in found { printLines(location) }
            }
        }
        // Each was reported when it came up.
        if let worst { throw ExitCode(worst.code.rawValue) }
    }

    private func printLines(_ location: Location) {
        guard location.isKnown else { return print("  \(location.phrase): not known to this model") }
        print("  \(location.phrase): \(location.count == 0 ? "none" : "\(location.count)")")
        guard form != .count else { return }
        for line in PlaceList.lines(location.detections, indent: 4, form.description) { print(line) }
    }
}

extension LocateResponse: ExpressibleByArgument {}
