public import Datasets
import Foundation
public import Media

/// One answer about a picture of a labelled set, with what is true: to be looked at.
public struct LabelledCase: Sendable {
    public let picture: LabelledSet.Picture
    public let request: String
    public let truth: String
    public let answer: String
    /// 0 when all is right, 1 when nothing is.
    public let loss: Double
    public let trueThings: [Annotation]
    public let foundThings: [Annotation]
}

/// What ``LabelledBenchmark`` gives.
public struct LabelledOutcome: Sendable {
    public let name: String
    /// How many pictures were asked about.
    public let pictures: Int
    public let sheet: ScoreSheet
    /// Of labels, and of pictures that could not be read.
    public let problems: LabelProblems
    /// The worst.
    public let cases: [LabelledCase]

    /// Writes `results.json` and `index.html` into a folder that is there.
    ///
    /// - Throws: ``ReportError``, or `MediaError` when a case cannot be drawn.
    public func write(to folder: String, model: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        for (data, file) in [
            (try encoder.encode(sheet), "results.json"), (Data(try page(model: model).utf8), "index.html"),
        ] {
            do {
                try data.write(to: URL(fileURLWithPath: "\(folder)/\(file)"), options: .atomic)
            } catch {
                throw ReportError(path: "\(folder)/\(file)")
            }
        }
    }

    private func page(model: String) throws -> String {
        var body = "<h1>How well it answers: \(HTML.escaped(name))</h1>\n"
        body +=
            "<p class=\"lead\">\(HTML.escaped(model)), \(pictures) pictures, \(sheet.metric.rawValue)</p>\n"
        func table(_ rows: [(String, [ScoreSheet.Figure])]) -> String {
            var text = "<div class=\"wide\"><table><thead><tr><th></th>"
            for figure in rows[0].1 { text += "<th>\(HTML.escaped(figure.name))</th>" }
            text += "</tr></thead><tbody>\n"
            for (name, figures) in rows {
                text += "<tr><th>\(HTML.escaped(name))</th>"
                for figure in figures { text += "<td>\(figure.text)</td>" }
                text += "</tr>\n"
            }
            return text + "</tbody></table></div>\n"
        }
        body += table(
            [("all", sheet.figures)]
                + sheet.parts.map { ($0.name, $0.figures) }.filter {
                    $0.1.map(\.name) == sheet.figures.map(\.name)
                })
        if !problems.isEmpty {
            body += "<h3>The set's problems</h3>\n"
            for line in problems.summary.split(separator: "\n") {
                body += "<p class=\"soft\">\(HTML.escaped(String(line)))</p>\n"
            }
        }
        if !cases.isEmpty {
            body += "<h3>The worst \(cases.count) cases</h3><div class=\"cases\">\n"
            for entry in cases {
                body += try ReportPage.card(
                    title: HTML.escaped(entry.request), truth: entry.truth, answer: entry.answer,
                    note: entry.picture.fileName, image: entry.picture.source.image(), entry.trueThings,
                    entry.foundThings)
            }
            body += "</div>\n"
        }
        return ReportPage.document("Vitrail: evaluation on \(HTML.escaped(name))", body)
    }
}
