import Datasets
import Evaluation
import Foundation
import Media
import Vitrail

/// The page at the end of a fine-tuning: one HTML file with style, drawings and pictures inside.
struct FineTuningReport {
    let folder: String
    let summary: [String]
    let answers: ValidationAnswers
    let calibration: ValidationAnswers.Calibration
    let locator: Locator
    /// What is said of pictures by which nothing was learnt or chosen; nil where there are none.
    let test: ValidationAnswers?
    /// 0 for the model from before.
    let bestStep: Int
    /// A picture's pixels; nil for one that cannot be decoded.
    let image: (LabelledSet.Picture) -> Image?

    private static let casesShown = (best: 4, worst: 8)

    /// - Throws: `MediaError` when a picture cannot be drawn.
    func html() throws -> String {
        let classes = answers.classes.prefix(6).joined(separator: ", ")
        var body = "<h1>Fine-tuned: \(HTML.escaped(classes.isEmpty ? "words" : classes))</h1>\n"
        let best =
            bestStep == 0
            ? "No step made a better model than the one from before, which stays"
            : "The best model is that of step \(bestStep)"
        body += "<p class=\"soft\">\(best); figures are of the "
        body += "validation's pictures, by which it was chosen, where nothing else is said.</p>\n<ul>"
        for line in summary { body += "<li>\(HTML.escaped(line))</li>" }
        body += "</ul>\n" + figures() + curves() + table()
        body += try cases() + questions()
        return Self.head + body + "</main>\n</body>\n</html>\n"
    }

    // MARK: Figures

    private func figures() -> String {
        var rows: [(String, String)] = []
        func percent(_ value: Double) -> String { String(format: "%.1f", 100 * value) }
        if let precision = answers.averagePrecision {
            rows.append(("AP (IoU 0.50 to 0.95)", percent(precision.ap())))
            rows.append(("AP50", percent(precision.ap(threshold: 0))))
            rows.append(("AP75", percent(precision.ap(threshold: 5))))
            if let f1 = calibration.f1 { rows.append(("F1 at IoU 0.5, of what is answered", percent(f1))) }
            rows.append(("answered from a score of", String(format: "%.2f", locator.threshold)))
            rows.append(("doubles dropped from an IoU of", String(format: "%.2f", locator.overlapLimit)))
        }
        if let test, let precision = test.averagePrecision {
            let things = "\(test.pictures.count) pictures of the test, never used before"
            rows.append(("AP of \(things)", percent(precision.ap())))
            rows.append(("AP50 of the test", percent(precision.ap(threshold: 0))))
            rows.append(("AP75 of the test", percent(precision.ap(threshold: 5))))
        }
        if let joints = answers.joints {
            rows.append(("joints, AP (OKS 0.50 to 0.95)", percent(max(0, joints.ap()))))
            rows.append(("joints, AP50", percent(max(0, joints.ap(threshold: 0)))))
        }
        if let accuracy = answers.accuracy {
            rows.append(("questions answered to the letter", percent(accuracy)))
        }
        if let words = answers.words {
            rows.append(("tokens of captions and conversations foretold", percent(words)))
        }
        return "<table><tbody>"
            + rows.map { "<tr><th>\(HTML.escaped($0.0))</th><td>\($0.1)</td></tr>" }.joined()
            + "</tbody></table>\n"
    }

    private func table() -> String {
        guard let precision = answers.averagePrecision else { return "" }
        func percent(_ value: Double) -> String { value < 0 ? "–" : String(format: "%.1f", 100 * value) }
        func number(_ values: [Double], _ label: Int) -> String {
            values.indices.contains(label) ? String(format: "%.2f", values[label]) : "–"
        }
        var text = "<h2>By class</h2><table><thead><tr><th>class</th><th>things</th><th>AP</th><th>AP50</th>"
        text +=
            "<th>AP75</th><th>counted from</th><th>mean error of counts</th><th>of the training's median</th></tr></thead><tbody>"
        for (label, name) in answers.classes.enumerated() {
            let there = answers.pictures.reduce(0) {
                $0 + $1.picture.counts(answers.classes.count)[label]
            }
            let isThere = precision.categories.contains(label)
            let values = [nil, 0, 5].map {
                isThere ? percent(precision.ap(threshold: $0, category: label)) : "–"
            }
            text += "<tr><th>\(HTML.escaped(name))</th><td>\(there)</td>"
            text += values.map { "<td>\($0)</td>" }.joined()
            let threshold = calibration.countThresholds[name].map { String(format: "%.2f", $0) } ?? "–"
            text += "<td>\(threshold)</td><td>\(number(calibration.countErrors, label))</td>"
            text += "<td>\(number(calibration.medianErrors, label))</td></tr>\n"
        }
        return text + "</tbody></table>\n"
    }

    // MARK: Curves

    private func curves() -> String {
        let losses = ValidationLog.read("\(folder)/metrics.jsonl")
        let scores = ValidationLog.read("\(folder)/\(ValidationLog.name)")
        let other: Set<String> = ["step", "seconds", "seconds_per_step", "learning_rate", "gradient", "loss"]
        let names = Set(losses.flatMap(\.keys)).subtracting(other).sorted()
        func lines(_ rows: [[String: Double]], _ names: [String]) -> [Line] {
            names.map { name in
                Line(
                    name: name,
                    points: rows.compactMap { row in row[name].map { (row["step"] ?? 0, $0) } })
            }.filter { !$0.points.isEmpty }
        }
        var text = "<h2>Curves</h2><div class=\"plots\">"
        text += Self.plot(
            "validation", lines(scores, ["AP", "AP50", "AP75", "joints_AP", "accuracy", "words"]), most: 1)
        text += Self.plot("loss", lines(losses, ["loss"]), most: nil)
        for name in names { text += Self.plot(name, lines(losses, [name]), most: nil) }
        let masks = ValidationLog.read("\(folder)/segmenter/metrics.jsonl")
        if !masks.isEmpty {
            text += Self.plot(
                "segmenter: overlap of masks in training", lines(masks, ["iou_guided", "iou_box"]), most: 1)
        }
        return text + "</div>\n"
    }

    private struct Line {
        let name: String
        let points: [(x: Double, y: Double)]
    }

    /// A line plot as SVG, 300 by 200; nothing without a point.
    private static func plot(_ title: String, _ lines: [Line], most: Double?) -> String {
        let points = lines.flatMap(\.points)
        guard let last = points.map(\.x).max() else { return "" }
        // The wall at the first steps would press the rest flat.
        let sorted = points.map(\.y).sorted()
        let top = most ?? max(1e-6, min(sorted.last!, 3 * sorted[sorted.count / 2]))
        let (left, up, width, height) = (36.0, 8.0, 256.0, 160.0)
        func place(_ point: (x: Double, y: Double)) -> String {
            let x = left + width * point.x / max(last, 1)
            let y = up + height * (1 - min(max(point.y, 0), top) / top)
            return String(format: "%.1f,%.1f", x, y)
        }
        var svg = "<svg viewBox=\"0 0 300 200\" role=\"img\" aria-label=\"\(HTML.escaped(title))\">"
        for step in 0...4 {
            let y = up + height * (1 - Double(step) / 4)
            svg += "<path class=\"grid\" d=\"M\(left) \(y)H\(left + width)\"/>"
            svg += "<text x=\"\(left - 4)\" y=\"\(y + 3)\" text-anchor=\"end\">"
            svg += String(format: "%.3g", top * Double(step) / 4) + "</text>"
        }
        svg += "<text x=\"\(left + width)\" y=\"190\" text-anchor=\"end\">step \(Int(last))</text>"
        for (index, line) in lines.enumerated() {
            let path = line.points.map(place).joined(separator: " ")
            svg += "<polyline class=\"line c\(index)\" points=\"\(path)\"/>"
            // A single validation is a point.
            if let end = line.points.last, line.points.count == 1 {
                let at = place(end).split(separator: ",")
                svg += "<circle class=\"c\(index)\" cx=\"\(at[0])\" cy=\"\(at[1])\" r=\"3\"/>"
            }
        }
        let legend =
            lines.count < 2
            ? ""
            : lines.enumerated().map { "<span class=\"c\($0)\">\(HTML.escaped($1.name))</span>" }.joined()
        return
            "<figure><figcaption>\(HTML.escaped(title))</figcaption>\(svg)</svg><p>\(legend)</p></figure>\n"
    }

    // MARK: Pictures

    private func cases() throws -> String {
        guard answers.averagePrecision != nil else { return "" }
        let rated = answers.pictures.map { answers -> (PictureAnswers, f1: Double) in
            let (right, found, there) = answers.agreement(at: locator.threshold)
            return (answers, found + there == 0 ? 1 : 2 * Double(right) / Double(found + there))
        }
        // Those with more in them first, where they are as good.
        let order = rated.indices.sorted {
            (rated[$0].f1, -rated[$0].0.picture.things.count, $0)
                < (rated[$1].f1, -rated[$1].0.picture.things.count, $1)
        }
        let worst = order.prefix(Self.casesShown.worst)
        let best = order.reversed().filter { !worst.contains($0) }.prefix(Self.casesShown.best)
        var text = ""
        for (title, chosen) in [("Worst pictures", Array(worst)), ("Best pictures", Array(best))]
        where !chosen.isEmpty {
            text += "<h2>\(title)</h2><div class=\"cases\">\n"
            for index in chosen { text += try card(rated[index].0, rated[index].f1) }
            text += "</div>\n"
        }
        return text
    }

    private func card(_ answers: PictureAnswers, _ f1: Double) throws -> String {
        guard let image = image(answers.picture) else { return "" }
        let classes = self.answers.classes
        let truth = answers.picture.things.filter(\.isLearnt).map {
            Annotation(
                box: $0.box, keypoints: $0.isPosed ? $0.keypoints : nil,
                label: classes.count > 1 ? classes[$0.category] : nil, colour: $0.category)
        }
        let found = answers.found.enumerated().flatMap { label, detections in
            detections.filter { $0.score >= locator.threshold }.map { detection in
                Annotation(
                    box: detection.box,
                    keypoints: classes[label] == "person"
                        ? answers.people.first { $0.box == detection.box }?.joints : nil,
                    label: classes.count > 1 ? classes[label] : nil, colour: label)
            }
        }
        let title = HTML.escaped(answers.picture.fileName)
        return """
            <article><h3>\(title) <em>F1 \(String(format: "%.2f", f1))</em></h3><div class="pair">
            <figure>\(try drawn(image, truth))<figcaption>truth: \(truth.count)</figcaption></figure>
            <figure>\(try drawn(image, found))<figcaption>answer: \(found.count)</figcaption></figure>
            </div></article>

            """
    }

    private func drawn(_ image: Image, _ things: [Annotation]) throws -> String {
        let scale = 360 / Double(max(image.width, image.height))
        let picture = try image.annotated(with: things, scale: scale)
        let data = Data(try picture.jpegData(quality: 82)).base64EncodedString()
        return "<img loading=\"lazy\" alt=\"\" src=\"data:image/jpeg;base64,\(data)\">"
    }

    private func questions() throws -> String {
        let said = answers.pictures.flatMap { answers in answers.said.map { (answers.picture, $0) } }
        guard !said.isEmpty else { return "" }
        let wrong = said.filter { !$0.1.isRight }
        var text =
            "<h2>Questions: \(wrong.count) of \(said.count) answered wrongly</h2><div class=\"cases\">\n"
        for (picture, answer) in wrong.prefix(12) {
            guard let image = image(picture) else { continue }
            text += "<article><h3>\(HTML.escaped(answer.question.text))</h3><div class=\"pair\">"
            text += "<figure>\(try drawn(image, []))</figure><p>truth: "
            text += HTML.escaped(answer.question.answers.first { !$0.isEmpty } ?? "")
            text += "<br>answer: \(HTML.escaped(answer.answer))</p></div></article>\n"
        }
        return text + "</div>\n"
    }

    private static let head = """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Vitrail: fine-tuning</title>
        <style>
        :root { color-scheme: light dark; --ground: #f6f5f2; --card: #fff; --ink: #1d1d20; --soft: #6a6a72;
          --line: #e2e0da; --c0: #1d6fd1; --c1: #c2571a; --c2: #7a3fc4; --c3: #1f7a3d;
          --c4: #8a6d00; --c5: #b02a5b; }
        @media (prefers-color-scheme: dark) { :root { --ground: #16171a; --card: #202226; --ink: #ececee;
          --soft: #9c9ca6; --line: #33353b; --c0: #6aabf7; --c1: #f2a065; --c2: #b795f0; --c3: #63c684;
          --c4: #d9b84a; --c5: #f08bb0; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
        main { max-width: 1240px; margin: 0 auto; padding: 2rem 1rem; }
        h1 { margin: 0; font-size: 2rem; overflow-wrap: anywhere; }
        h2 { margin: 2rem 0 .5rem; }
        h3 { margin: 0 0 .5rem; font-size: .95rem; overflow-wrap: anywhere; }
        h3 em, .soft { color: var(--soft); font-weight: 400; }
        table { border-collapse: collapse; background: var(--card); border: 1px solid var(--line);
          font-variant-numeric: tabular-nums; font-size: .93rem; }
        th, td { padding: .35rem .8rem; text-align: right; }
        tr > :first-child { text-align: left; }
        .plots, .cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr));
          gap: 1rem; align-items: start; }
        .cases { grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); }
        .plots figure, article { margin: 0; background: var(--card); border: 1px solid var(--line);
          border-radius: 12px; padding: .9rem; }
        svg { display: block; width: 100%; }
        svg text { fill: var(--soft); font: 10px system-ui, sans-serif; }
        .grid { stroke: var(--line); fill: none; }
        .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
        .line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); }
        .line.c3 { stroke: var(--c3); } .line.c4 { stroke: var(--c4); } .line.c5 { stroke: var(--c5); }
        circle.c0 { fill: var(--c0); } circle.c1 { fill: var(--c1); } circle.c2 { fill: var(--c2); }
        circle.c3 { fill: var(--c3); } circle.c4 { fill: var(--c4); } circle.c5 { fill: var(--c5); }
        .plots p { display: flex; gap: 1rem; margin: .3rem 0 0; font-size: .8rem; }
        span.c0 { color: var(--c0); } span.c1 { color: var(--c1); } span.c2 { color: var(--c2); }
        span.c3 { color: var(--c3); } span.c4 { color: var(--c4); } span.c5 { color: var(--c5); }
        figcaption { font-size: .85rem; }
        .pair { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; }
        .pair figure { margin: 0; }
        img { display: block; width: 100%; border-radius: 6px; }
        </style>
        </head>
        <body>
        <main>

        """
}
