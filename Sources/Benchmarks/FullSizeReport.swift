internal import Foundation

/// Two sides' figures of one thing; of several runs the best, because others slow a run down and never speed it up.
struct BothSides: Codable {
    let swift: Double
    var python: Double?
    /// How many times as good Swift is; above 1 is better.
    var ratio: Double?

    /// More is better of a rate, less of anything else.
    init(_ swift: [Double], _ python: [Double], isRate: Bool = false) {
        let best: ([Double]) -> Double? = { isRate ? $0.max() : $0.min() }
        self.swift = best(swift) ?? .nan
        self.python = best(python)
        ratio = self.python.map { isRate ? self.swift / $0 : $0 / self.swift }
    }
}

struct LLaVAFigures: Codable {
    let folder: String
    let promptTokens: Int
    /// Seconds.
    let open: BothSides
    /// Tokens a second, the image's encoding among it.
    let prefill: BothSides
    /// Tokens a second.
    let decode: BothSides
    /// Gigabytes: at most in memory, and of it at the end what is no file.
    let peak: BothSides
    let own: BothSides
    /// Gigabytes of weights that every token needs.
    let weights: Double
    /// Tokens a second that memory allows, and the part of it that is reached.
    let limit: Double
    let partOfLimit: BothSides
    /// How many tokens the two sides chose alike before they differed.
    var alike: Int?

    init(
        _ folder: String, _ both: (swift: [FullSizeWork.Result], python: [FullSizeWork.Result]),
        bandwidth: Double
    ) throws {
        typealias Result = FullSizeWork.Result
        let first = both.swift[0]
        self.folder = folder
        promptTokens = first.prompt
        func sides(isRate: Bool = false, _ values: (Result) -> [Double]) -> BothSides {
            BothSides(both.swift.flatMap(values), both.python.flatMap(values), isRate: isRate)
        }
        open = sides { [$0.open] }
        prefill = sides(isRate: true) { result in result.read.map { Double(result.prompt) / $0 * 1e3 } }
        decode = sides(isRate: true) { $0.decode.map { 1e3 / $0 } }
        peak = sides { [Double($0.peak) / 1e9] }
        own = sides { [Double($0.own) / 1e9] }
        weights = Double(first.tokenBytes) / 1e9
        let limit = bandwidth / weights
        self.limit = limit
        partOfLimit = BothSides(
            [decode.swift / limit], decode.python.map { [$0 / limit] } ?? [], isRate: true)
        alike = both.python.first.map { other in
            zip(first.tokens, other.tokens).prefix { $0 == $1 }.count
        }
    }
}

struct SAMFigures: Codable {
    let dtype: String
    let open: BothSides
    /// Milliseconds.
    let encode: BothSides
    let peak: BothSides

    init(_ dtype: String, _ both: (swift: [FullSizeWork.Result], python: [FullSizeWork.Result])) {
        self.dtype = dtype
        func sides(_ values: (FullSizeWork.Result) -> [Double]) -> BothSides {
            BothSides(both.swift.flatMap(values), both.python.flatMap(values))
        }
        open = sides { [$0.open] }
        encode = sides(\.read)
        peak = sides { [Double($0.peak) / 1e9] }
    }
}

/// What `vitrail-bench full-size` measured.
struct FullSizeReport: Codable {
    let threads: Int
    let python: String
    /// That all threads together read from memory.
    var gigabytesPerSecond = 0.0
    var llava: LLaVAFigures?
    var sam: [SAMFigures] = []

    init(threads: Int, python: String) {
        self.threads = threads
        self.python = python
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    var text: String {
        func cell(_ value: Double?, _ unit: String = "") -> String {
            guard let value, value.isFinite else { return "-" }
            return String(format: value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value) + unit
        }
        func row(_ name: String, _ unit: String, _ both: BothSides) -> [String] {
            [
                name, cell(both.swift, unit), cell(both.python, both.python == nil ? "" : unit),
                cell(both.ratio),
            ]
        }
        var rows = [["", "Swift", "Python", "times as good"]]
        var notes: [String] = []
        if let llava {
            rows += [
                row("LLaVA: open", " s", llava.open),
                row("read image and question, \(llava.promptTokens) tokens", " tokens/s", llava.prefill),
                row("decode", " tokens/s", llava.decode),
                row("part of what memory allows", "", llava.partOfLimit),
                row("memory at most", " GB", llava.peak),
                row("of it at the end no file", " GB", llava.own),
            ]
            notes.append(
                String(
                    format: "memory gives %.1f GB/s, a token needs %.2f GB of weights: %.2f tokens/s at best",
                    gigabytesPerSecond, llava.weights, llava.limit))
            if let alike = llava.alike {
                notes.append("the first \(alike) tokens are the same on both sides")
            }
        }
        for figures in sam {
            rows += [
                row("SAM in \(figures.dtype): open", " s", figures.open),
                row("encode", " ms", figures.encode), row("memory at most", " GB", figures.peak),
            ]
        }
        let lines = ["\(threads) threads, the best of all runs. Python: \(python)", "", columns(rows)]
        return (lines + (notes.isEmpty ? [] : [""] + notes)).joined(separator: "\n")
    }
}
