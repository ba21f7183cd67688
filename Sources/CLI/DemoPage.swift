import Evaluation
import Foundation
import Media
import Text
import Vitrail

/// The page that the demo leaves: one HTML file with its style and its pictures inside.
struct DemoPage {
    private var body = ""
    private(set) var requests = 0
    /// Requests whose answer is known, and those of them that were answered so.
    private(set) var known = 0
    private(set) var right = 0

    mutating func begin(_ title: String, picture: Image) throws {
        body += """
            <section>
            <header>\(try embedded(picture))<p>\(HTML.escaped(title))</p></header>
            <div class="answers">

            """
    }

    /// - Parameter drawn: the pictures with the answer and with the heat; nil for an answer in words.
    mutating func add(
        _ request: DemoRequest, _ answer: Answer, isRight: Bool?, drawn: (answer: Image, heat: Image)?
    ) throws {
        requests += 1
        if let isRight {
            known += 1
            right += isRight ? 1 : 0
        }
        body += """
            <article><p class="task">\(HTML.escaped(request.task))</p><h2>\(HTML.escaped(request.text))</h2>\
            <p>\(HTML.escaped(answer.text))</p>
            """
        if let drawn {
            let found = answer.findings.map {
                $0.count == 0 ? "nothing found" : $0.route.response.counted($0.count)
            }
            let peak = String(format: "%.2f", answer.findings.map(\.heatmap.highest).max() ?? 0)
            body += """
                <div class="pair"><figure>\(try embedded(drawn.answer))<figcaption>\
                \(HTML.escaped(found.joined(separator: ", ")))</figcaption></figure>\
                <figure>\(try embedded(drawn.heat))<figcaption>where it looked; at most \(peak)</figcaption>\
                </figure></div>
                """
        }
        if let isRight { body += verdict(isRight, request.truth) }
        body += "</article>\n"
    }

    /// A request that the model cannot answer.
    mutating func add(_ request: DemoRequest, refusal: String) {
        requests += 1
        known += request.truth == nil ? 0 : 1
        body += """
            <article><p class="task">\(HTML.escaped(request.task))</p><h2>\(HTML.escaped(request.text))</h2>\
            <p class="wrong">\(HTML.escaped(refusal))</p></article>

            """
    }

    mutating func end() { body += "</div>\n</section>\n" }

    /// - Throws: ``Failure`` when the file cannot be written; nothing is left behind then.
    func write(to path: String, summary: String) throws {
        let page =
            Self.head + "<p class=\"lead\">\(HTML.escaped(summary))</p>\n\(body)</main>\n</body>\n</html>\n"
        do {
            try Data(page.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw Failure(.cannotWrite, "cannot write \(path)")
        }
    }

    private func verdict(_ isRight: Bool, _ truth: DemoRequest.Truth?) -> String {
        guard !isRight, let truth else { return "<p class=\"right\">&#10003; right</p>" }
        return "<p class=\"wrong\">&#10007; \(HTML.escaped(truth.summary))</p>"
    }

    /// A picture as part of the page itself.
    private func embedded(_ image: Image) throws -> String {
        let data = Data(try image.jpegData(quality: 85)).base64EncodedString()
        return "<img src=\"data:image/jpeg;base64,\(data)\" alt=\"\">"
    }

    private static let head = """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Vitrail: questions about pictures</title>
        <style>
        :root { color-scheme: light dark; --ground: #f6f5f2; --card: #fff; --ink: #1d1d20; --soft: #6a6a72;
          --line: #e2e0da; --good: #1f7a3d; --bad: #b3382c; }
        @media (prefers-color-scheme: dark) { :root { --ground: #16171a; --card: #202226; --ink: #ececee;
          --soft: #9c9ca6; --line: #33353b; --good: #63c684; --bad: #f0877b; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
        main { max-width: 1240px; margin: 0 auto; padding: 2.5rem 1.25rem; }
        h1 { margin: 0; font-size: 2rem; letter-spacing: -.02em; }
        .lead { margin: .25rem 0 2rem; color: var(--soft); }
        section { display: grid; grid-template-columns: 280px 1fr; gap: 1.5rem; padding: 1.75rem 0;
          border-top: 1px solid var(--line); }
        header p { margin: .5rem 0 0; color: var(--soft); font-size: .85rem; }
        img { display: block; width: 100%; border-radius: 8px; }
        .answers { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 1rem;
          align-items: start; }
        article { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1rem; }
        article p { margin: .25rem 0 0; }
        article p.task { margin: 0; color: var(--soft); font-size: .8rem; }
        h2 { margin: 0; font-size: 1.05rem; }
        .pair { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; margin-top: .75rem; }
        figure { margin: 0; }
        figcaption { margin-top: .3rem; color: var(--soft); font-size: .8rem; }
        .right { color: var(--good); font-size: .9rem; }
        .wrong { color: var(--bad); font-size: .9rem; }
        @media (max-width: 800px) { section { grid-template-columns: 1fr; } header { max-width: 280px; } }
        </style>
        </head>
        <body>
        <main>
        <h1>Vitrail: questions about pictures</h1>

        """
}
