import ArgumentParser
import Datasets
import Foundation

/// Named for what it is about; `Data` is Foundation's.
struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data",
        abstract: "Show what is in a labelled set, and what is wrong with it.",
        discussion: """
            The source is a JSON file with a format, a path and what else the format wants, such as \
            { "format": "voc", "path": "VOC2007", "split": "trainval" }; docs/data.md has a line for each format. Paths \
            are relative to the file.
            """)

    @Argument(help: ArgumentHelp("A source of labels, as JSON.", valueName: "file"))
    var source: String

    @Option(
        help: ArgumentHelp(
            "A second source: which of its pictures are in the first one, too?", valueName: "file"))
    var validation: String?

    @Flag(
        help:
            "Read the header of every picture too: which are broken, or of another size than their labels say?"
    )
    var pictures = false

    @Flag(help: "Print one JSON document.")
    var json = false

    private struct Document: Encodable {
        let set: LabelSummary
        @Documents.Nullable var validation: LabelSummary?
    }

    func run() throws {
        let set = try read(source)
        var other: LabelledSet?
        if let validation {
            other = try read(validation)
            other!.problems.add(other!.overlap(withTraining: set))
        }
        let document = Document(set: LabelSummary(set), validation: other.map { LabelSummary($0) })
        if json {
            print(try Documents.line(document))
        } else {
            print(document.set.text)
            if let validation = document.validation { print("validation, \(validation.text)") }
        }
    }

    private func read(_ path: String) throws -> LabelledSet {
        var set = try LabelledSet.read(
            DataSource(contentsOf: path), relativeTo: (path as NSString).deletingLastPathComponent)
        if pictures { set.checkPictures() }
        return set
    }
}
