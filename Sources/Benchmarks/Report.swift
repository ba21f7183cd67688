internal import Foundation

/// The median; benchmarks on a shared machine have outliers on one side only.
func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/// Milliseconds that `body` takes.
func milliseconds(_ body: () throws -> Void) rethrows -> Double {
    let start = ContinuousClock.now
    try body()
    return (ContinuousClock.now - start).milliseconds
}

extension Duration {
    var milliseconds: Double { Double(components.seconds) * 1e3 + Double(components.attoseconds) * 1e-15 }
}

/// What was measured, as tables for people and as JSON.
struct Report: Codable {
    /// One thing, in Swift and where it can be in Python.
    struct Row: Codable {
        let name: String
        let unit: String
        let swift: Double
        var python: Double?
        /// How many times as fast Swift is.
        var ratio: Double?
        var note: String?
    }

    struct Stage: Codable {
        let name: String
        let milliseconds: Double
        /// The same where products are computed in bfloat16.
        let bfloat16: Double
        /// Millions, and by them the part of ``peak`` that the stage reaches, 0...1; nil where they are not counted.
        var multiplyAdds: Double?
        var partOfPeak: Double?
    }

    let threads: Int
    /// The Python side's versions, or why it was not measured.
    let python: String
    var rows: [Row] = []
    var stages: [Stage] = []
    /// Millions of multiply-adds that the machine does in a millisecond at best, in a large product of matrices.
    var peak: Double?
    /// What there is to say about the whole.
    var remarks: [String] = []

    init(threads: Int, python: String) {
        self.threads = threads
        self.python = python
    }

    mutating func add(
        _ name: String, _ unit: String, _ swift: [Double], _ python: [Double]?, note: String? = nil
    ) {
        let (ours, theirs) = (median(swift), python.map(median))
        rows.append(
            Row(
                name: name, unit: unit, swift: ours, python: theirs, ratio: theirs.map { $0 / ours },
                note: note))
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    var text: String {
        func cell(_ value: Double?, _ unit: String = "") -> String {
            guard let value else { return "-" }
            let digits = value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f"
            return String(format: digits, value) + (unit.isEmpty ? "" : " \(unit)")
        }
        let table = rows.map { row in
            [
                row.name, cell(row.swift, row.unit), cell(row.python, row.python == nil ? "" : row.unit),
                cell(row.ratio),
            ]
        }
        let whole = stages.reduce(0) { $0 + $1.milliseconds }
        func percent(_ part: Double?) -> String {
            part.map { "\(Int((100 * $0).rounded())) %" } ?? ""
        }
        let low = stages.reduce(0) { $0 + $1.bfloat16 }
        let head = ["where an answer's time goes", "", "", "multiply-adds", "of the peak", "in bfloat16"]
        let parts = stages.map { stage in
            [
                stage.name, cell(stage.milliseconds, "ms"), percent(stage.milliseconds / whole),
                stage.multiplyAdds.map { cell($0, "M") } ?? "", percent(stage.partOfPeak),
                cell(stage.bfloat16, "ms"),
            ]
        }
        let best = ["a large product of matrices", "", "", peak.map { cell($0, "M/ms") } ?? "", "100 %", ""]
        let notes = rows.compactMap { row in row.note.map { "\(row.name): \($0)" } } + remarks
        var sections = ["\(threads) threads, medians. Python: \(python)"]
        if !rows.isEmpty { sections.append(columns([["", "Swift", "Python", "times as fast"]] + table)) }
        if !stages.isEmpty {
            let sum = ["together", cell(whole, "ms"), "", "", "", cell(low, "ms")]
            sections.append(columns([head] + parts + [sum, best]))
        }
        if !notes.isEmpty { sections.append(notes.joined(separator: "\n")) }
        return sections.joined(separator: "\n\n")
    }
}

/// Lines of cells under each other: the first column to the left, the others to the right.
func columns(_ lines: [[String]]) -> String {
    let widths = lines[0].indices.map { column in lines.map { $0[column].count }.max()! }
    return lines.map { line in
        line.enumerated().map { index, text in
            let space = String(repeating: " ", count: widths[index] - text.count)
            return index == 0 ? text + space : space + text
        }.joined(separator: "  ")
    }.joined(separator: "\n")
}
