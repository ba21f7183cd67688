import Datasets
import Foundation
import Media

/// The page of a benchmark: one HTML file with style, drawings and pictures inside.
struct ReportPage {
    private let outcomes: [BenchmarkOutcome]
    private let model: String

    init(_ outcomes: [BenchmarkOutcome], model: String) {
        self.outcomes = outcomes
        self.model = model
    }

    /// - Throws: `MediaError` when a case cannot be drawn.
    func html() throws -> String {
        var body = "<h1>How well it answers</h1>\n<p class=\"lead\">\(HTML.escaped(model))</p>\n"
        body += table()
        for outcome in outcomes {
            let report = outcome.report
            body += "<section><h2>\(Self.name(report.suite))</h2>"
            body += "<p class=\"soft\">\(report.scenes) scenes of seed \(report.seed)</p>\n"
            body += curves(report) + bars(report) + calibration(report)
            if !outcome.cases.isEmpty {
                body += "<h3>The worst \(outcome.cases.count) cases</h3><div class=\"cases\">\n"
                for entry in outcome.cases { body += try card(entry, outcome) }
                body += "</div>\n"
            }
            body += "</section>\n"
        }
        return Self.document("Vitrail: evaluation on Mosaic", body)
    }

    /// A whole page around its body.
    static func document(_ title: String, _ body: String) -> String {
        head.replacing("<title></title>", with: "<title>\(title)</title>") + body
            + "</main>\n</body>\n</html>\n"
    }

    // MARK: Figures

    private func table() -> String {
        var names: [(name: String, title: String)] = []
        for figure in outcomes.flatMap(\.report.figures)
        where !names.contains(where: { $0.name == figure.name }) {
            names.append((figure.name, figure.title))
        }
        var text = "<div class=\"wide\"><table><thead><tr><th>task</th>"
        for outcome in outcomes {
            text += "<th>\(Self.name(outcome.report.suite))</th><th>aim</th>"
        }
        text += "</tr></thead><tbody>\n"
        for (name, title) in names {
            let isPart =
                name.split(separator: ".").last.map { BenchmarkReport.partNames.contains(String($0)) }
                ?? false
            text += "<tr\(isPart ? " class=\"part\"" : "")><th>\(HTML.escaped(title))</th>"
            for outcome in outcomes {
                guard let figure = outcome.report[name] else {
                    text += "<td></td><td></td>"
                    continue
                }
                let mark = figure.isReached.map { $0 ? " class=\"good\"" : " class=\"bad\"" } ?? ""
                text += "<td\(mark)>\(figure.text)</td><td class=\"soft\">\(figure.aimText)</td>"
            }
            text += "</tr>\n"
        }
        return text + "</tbody></table></div>\n"
    }

    private func curves(_ report: BenchmarkReport) -> String {
        let tasks = report.tasks.filter { task in
            report.curves.contains { $0.name.hasPrefix("\(task.rawValue) ") }
        }
        guard !tasks.isEmpty else { return "" }
        var text = "<h3>Precision over recall</h3><div class=\"plots\">\n"
        for task in tasks {
            let lines = report.curves.filter { $0.name.hasPrefix("\(task.rawValue) ") }
            let named = lines.map { line in
                let name = String(line.name.dropFirst(task.rawValue.count + 1))
                return (name == "mean" ? "0.50 to 0.95" : name, line)
            }
            text += Self.plot(task.rawValue, named, x: (0, 1), y: (0, 1), across: "recall")
        }
        return text + "</div>\n"
    }

    private func calibration(_ report: BenchmarkReport) -> String {
        guard let curve = report.calibration else { return "" }
        // The wall at the lowest thresholds would press the rest flat.
        let most = max(0.1, (curve.y.min() ?? 0) * 6, curve.y[min(39, curve.y.count - 1)] * 2)
        return "<h3>Counting over the threshold</h3><div class=\"plots\">"
            + Self.plot("mean absolute error", [("", curve)], x: (0, 1), y: (0, most), across: "threshold")
            + "</div>\n"
    }

    private func bars(_ report: BenchmarkReport) -> String {
        let tasks = report.tasks.filter { task in report.parts.contains { $0.task == task } }
        guard !tasks.isEmpty else { return "" }
        var text = "<h3>Average precision by size and kind</h3><div class=\"plots\">\n"
        for task in tasks {
            text += "<figure><figcaption>\(task.rawValue)</figcaption><div class=\"bars\">\n"
            for part in report.parts where part.task == task {
                let percent = String(format: "%.1f", 100 * part.value)
                text +=
                    "<span>\(HTML.escaped(part.name))</span><i style=\"--v:\(percent)%\"></i><b>\(percent)</b>\n"
            }
            text += "</div></figure>\n"
        }
        return text + "</div>\n"
    }

    // MARK: Cases

    private func card(_ entry: BenchmarkCase, _ outcome: BenchmarkOutcome) throws -> String {
        let scene = MosaicScene(
            seed: outcome.report.seed, index: entry.scene, configuration: outcome.configuration)
        return try Self.card(
            title: "<em>\(entry.task.rawValue)</em> \(HTML.escaped(entry.request))", truth: entry.truth,
            answer: entry.answer, note: "scene \(entry.scene)", image: scene.image, entry.trueThings,
            entry.foundThings)
    }

    /// A case: the picture with what is true, and with what was answered.
    ///
    /// - Parameters:
    ///   - title: HTML; all other texts are escaped here.
    ///   - truth: what is said below the truth.
    ///   - answer: what is said below the answer.
    ///   - note: a small line, such as the picture's name.
    ///   - image: drawn at 288 pixels or somewhat more, large ones at 576 at most.
    ///   - trueThings: drawn over it.
    ///   - foundThings: drawn over it.
    static func card(
        title: String, truth: String, answer: String, note: String, image: Image, _ trueThings: [Annotation],
        _ foundThings: [Annotation]
    ) throws -> String {
        func picture(_ things: [Annotation], _ name: String) throws -> String {
            let side = max(image.width, image.height)
            let scale = max(1, (288 / Double(side)).rounded(.up))
            var drawn = try image.annotated(with: things, scale: scale)
            if side > 576 {
                let shrink = 576 / Double(side)
                drawn = drawn.resized(
                    width: max(1, Int(Double(image.width) * shrink)),
                    height: max(1, Int(Double(image.height) * shrink)))
            }
            let data = Data(try drawn.jpegData(quality: 82)).base64EncodedString()
            return "<img loading=\"lazy\" src=\"data:image/jpeg;base64,\(data)\" alt=\"\(name)\">"
        }
        return """
            <article><h4>\(title)</h4>
            <div class="pair"><figure>\(try picture(trueThings, "truth"))<figcaption><b>truth</b> \
            \(HTML.escaped(truth))</figcaption></figure>
            <figure>\(try picture(foundThings, "answer"))<figcaption><b>answer</b> \
            \(HTML.escaped(answer))</figcaption></figure></div>
            <p class="soft">\(HTML.escaped(note))</p></article>

            """
    }

    // MARK: Drawing

    /// A line plot as SVG, 300 by 220.
    private static func plot(
        _ title: String, _ lines: [(name: String, curve: BenchmarkCurve)], x: (Double, Double),
        y: (Double, Double), across: String
    ) -> String {
        let (left, top, width, height) = (34.0, 8.0, 256.0, 176.0)
        func place(_ a: Double, _ b: Double) -> String {
            let across = left + width * (a - x.0) / (x.1 - x.0)
            let down = top + height * (1 - (min(b, y.1) - y.0) / (y.1 - y.0))
            return String(format: "%.1f,%.1f", across, down)
        }
        var svg = "<svg viewBox=\"0 0 300 220\" role=\"img\" aria-label=\"\(HTML.escaped(title))\">"
        for step in 0...4 {
            let share = Double(step) / 4
            let (a, b) = (left + width * share, top + height * (1 - share))
            svg += "<path class=\"grid\" d=\"M\(a) \(top)V\(top + height)M\(left) \(b)H\(left + width)\"/>"
            svg +=
                "<text x=\"\(a)\" y=\"\(top + height + 13)\" text-anchor=\"middle\">\(number(x.0 + share * (x.1 - x.0)))</text>"
            svg +=
                "<text x=\"\(left - 5)\" y=\"\(b + 3.5)\" text-anchor=\"end\">\(number(y.0 + share * (y.1 - y.0)))</text>"
        }
        svg += "<text x=\"\(left + width / 2)\" y=\"216\" text-anchor=\"middle\">\(across)</text>"
        for (index, line) in lines.enumerated() {
            let points = zip(line.curve.x, line.curve.y).map { place($0, $1) }.joined(separator: " ")
            svg += "<polyline class=\"line c\(index)\" points=\"\(points)\"/>"
        }
        svg += "</svg>"
        let legend = lines.enumerated().filter { !$1.name.isEmpty }.map {
            "<span class=\"c\($0)\">\(HTML.escaped($1.name))</span>"
        }.joined()
        return
            "<figure><figcaption>\(HTML.escaped(title))</figcaption>\(svg)<p class=\"legend\">\(legend)</p></figure>\n"
    }

    private static func number(_ value: Double) -> String {
        let text = String(format: "%.3f", value)
        return String(text.reversed().drop { $0 == "0" }.drop { $0 == "." }.reversed())
    }

    private static func name(_ suite: String) -> String { suite.prefix(1).uppercased() + suite.dropFirst() }

    private static let head = """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title></title>
        <style>
        :root { color-scheme: light dark; --ground: #f6f5f2; --card: #fff; --ink: #1d1d20; --soft: #6a6a72;
          --line: #e2e0da; --good: #1f7a3d; --bad: #b3382c; --c0: #1d6fd1; --c1: #c2571a; --c2: #7a3fc4; }
        @media (prefers-color-scheme: dark) { :root { --ground: #16171a; --card: #202226; --ink: #ececee;
          --soft: #9c9ca6; --line: #33353b; --good: #63c684; --bad: #f0877b; --c0: #6aabf7; --c1: #f2a065;
          --c2: #b795f0; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
        main { max-width: 1240px; margin: 0 auto; padding: 2rem 1rem; }
        h1 { margin: 0; font-size: 2rem; letter-spacing: -.02em; }
        h2 { margin: 2.5rem 0 0; padding-top: 1.5rem; border-top: 1px solid var(--line); }
        h3 { margin: 1.75rem 0 .5rem; font-size: 1.05rem; }
        h4 { margin: 0 0 .5rem; font-size: .95rem; font-weight: 600; overflow-wrap: anywhere; }
        h4 em { color: var(--soft); font-weight: 400; }
        .lead { margin: .25rem 0 1.5rem; color: var(--soft); overflow-wrap: anywhere; }
        .soft { margin: 0; color: var(--soft); font-weight: 400; }
        .wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
        table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
        th, td { padding: .35rem .8rem; text-align: right; white-space: nowrap; }
        tr > :first-child { text-align: left; white-space: normal; min-width: 11rem; }
        tbody th { font-weight: 500; }
        thead th { border-bottom: 1px solid var(--line); }
        .part th { padding-left: 1.8rem; color: var(--soft); font-weight: 400; }
        .good { color: var(--good); }
        .bad { color: var(--bad); }
        .plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 290px), 1fr)); gap: 1rem;
          align-items: start; }
        .plots figure, article { margin: 0; background: var(--card); border: 1px solid var(--line);
          border-radius: 12px; padding: .9rem; }
        figcaption { font-size: .85rem; }
        .plots figcaption { margin-bottom: .5rem; font-weight: 600; }
        svg { display: block; width: 100%; }
        svg text { fill: var(--soft); font: 10px system-ui, sans-serif; }
        .grid { stroke: var(--line); fill: none; }
        .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
        .line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); }
        .legend { display: flex; gap: 1rem; margin: .3rem 0 0; font-size: .8rem; }
        .legend .c0 { color: var(--c0); } .legend .c1 { color: var(--c1); } .legend .c2 { color: var(--c2); }
        .bars { display: grid; grid-template-columns: auto 1fr auto; gap: .1rem .6rem; align-items: center;
          font-size: .82rem; font-variant-numeric: tabular-nums; }
        .bars i { height: .6rem; border-radius: 3px;
          background: linear-gradient(var(--c0), var(--c0)) 0 / var(--v) 100% no-repeat var(--line); }
        .bars b { font-weight: 400; text-align: right; }
        .cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 370px), 1fr)); gap: 1rem;
          align-items: start; }
        .pair { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; }
        .pair figure { margin: 0; }
        .pair figcaption { overflow-wrap: anywhere; margin-top: .3rem; }
        img { display: block; width: 100%; border-radius: 6px; }
        @media (max-width: 600px) { table { font-size: .8rem; } th, td { padding: .3rem .45rem; }
          tr > :first-child { min-width: 8rem; } .part th { padding-left: 1.1rem; } }
        article .soft { margin-top: .4rem; font-size: .8rem; }
        </style>
        </head>
        <body>
        <main>

        """
}

extension BenchmarkReport {
    /// What comes after the point in the name of a figure that is a part of another.
    static let partNames = Set(
        MosaicQuestion.Kind.allCases.map(\.rawValue) + MosaicReference.Kind.allCases.map(\.rawValue))
}

extension BenchmarkFigure {
    /// "97.3 ± 0.5", a share in percent.
    public var text: String {
        guard let value else { return "–" }
        let (factor, format) = isError ? (1.0, "%.3f") : (100.0, "%.1f")
        let text = String(format: format, factor * value)
        return standardError.map { "\(text) ± \(String(format: format, factor * $0))" } ?? text
    }

    /// "≥ 97", "≤ 0.02"; empty without an aim.
    public var aimText: String {
        guard let aim else { return "" }
        let value = isError ? aim : (1000 * aim).rounded() / 10
        let text = value == value.rounded() ? String(Int(value)) : "\(value)"
        return "\(isError ? "≤" : "≥") \(text)"
    }
}
