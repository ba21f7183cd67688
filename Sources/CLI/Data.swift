import ArgumentParser
import Datasets
import Foundation
import InputFiles

/// Named for what it is about; `Data` is Foundation's.
struct DataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data",
        abstract: "Show what is in a labelled set, and what is wrong with it.",
        discussion: """
            Of a folder the format and the parts (train, validation, test) are found by themselves, and said. A source names \
            them: a JSON file with a format, a path and what else the format wants, such as \
            { "format": "voc", "path": "VOC2007", "split": "trainval" }; docs/data.md has a line for each format. Paths \
            are relative to the file.
            """)

    @Argument(
        help: ArgumentHelp(
            "A folder with labels, or a source of labels as JSON.", valueName: "folder or file"))
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
        @Documents.Nullable var test: LabelSummary?
        /// How the labels of a folder were found.
        var notes: [String]
    }

    func run() throws {
        if (try? InputFile.isFolder(source)) ?? false { return try run(FolderLabels(in: source)) }
        let set = try read(source)
        var other: LabelledSet?
        if let validation {
            other = try read(validation)
            other!.problems.add(other!.overlap(withTraining: set))
        }
        try show(
            Document(set: LabelSummary(set), validation: other.map { LabelSummary($0) }, test: nil, notes: [])
        )
    }

    /// The parts of a folder.
    private func run(_ labels: FolderLabels) throws {
        guard validation == nil else {
            throw Failure(.usage, "--validation is for a source; the parts of \(source) are found in it")
        }
        let train = try checked(LabelledSet.read(labels.train))
        let others = try [labels.validation, labels.test].map { source in
            try source.map { source in
                var set = try checked(LabelledSet.read(source))
                set.problems.add(set.overlap(withTraining: train))
                return LabelSummary(set)
            }
        }
        try show(
            Document(
                set: LabelSummary(train), validation: others[0], test: others[1], notes: labels.notes))
    }

    private func show(_ document: Document) throws {
        guard !json else { return print(try Documents.line(document)) }
        for note in document.notes { print(note) }
        print(document.set.text)
        if let validation = document.validation { print("validation, \(validation.text)") }
        if let test = document.test { print("test, \(test.text)") }
    }

    private func read(_ path: String) throws -> LabelledSet {
        try checked(
            LabelledSet.read(
                DataSource(contentsOf: path), relativeTo: (path as NSString).deletingLastPathComponent))
    }

    private func checked(_ set: LabelledSet) -> LabelledSet {
        var set = set
        if pictures { set.checkPictures() }
        return set
    }
}
