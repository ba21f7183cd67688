/// Pairs of rows and columns at the least cost: the Hungarian method with potentials, row by row, within each group of
/// rows and columns that can be pairs at all.
enum Assignment {
    /// As many pairs as there can be, and among those the least sum.
    ///
    /// - Parameters:
    ///   - rows: how many.
    ///   - columns: how many.
    ///   - cost: of a row and a column; nil where they must not be a pair, as where it is not finite or beyond 1e100.
    /// - Returns: pairs in the order of the rows.
    static func leastCost(
        rows: Int, columns: Int, _ cost: (Int, Int) -> Double?
    ) -> [(row: Int, column: Int)] {
        var costs = [Double](repeating: .nan, count: rows * columns)
        for row in 0..<rows {
            for column in 0..<columns {
                if let cost = cost(row, column), abs(cost) <= 1e100 { costs[row * columns + column] = cost }
            }
        }
        return pairs(costs, rows, columns) { greatest, side in
            // One forbidden pair is worse than the worst of all others together.
            2 * Double(side) * (greatest + 1) + 1
        }
    }

    /// The pairs with the greatest sum of gains; rows and columns may stay alone.
    ///
    /// - Parameters:
    ///   - rows: how many.
    ///   - columns: how many.
    ///   - gains: above 0, of some pairs, each once.
    /// - Returns: pairs with a gain, in the order of the rows.
    static func greatestSum(
        rows: Int, columns: Int, _ gains: some Sequence<(row: Int, column: Int, gain: Int)>
    ) -> [(row: Int, column: Int)] {
        var costs = [Double](repeating: .nan, count: rows * columns)
        for (row, column, gain) in gains { costs[row * columns + column] = -Double(gain) }
        return pairs(costs, rows, columns) { _, _ in 0 }
    }

    /// - Parameters:
    ///   - costs: row by row; NaN where there is no pair.
    ///   - rows: how many.
    ///   - columns: how many.
    ///   - other: what no pair costs, from the greatest cost of a group and its longer side.
    private static func pairs(
        _ costs: [Double], _ rows: Int, _ columns: Int, other: (Double, Int) -> Double
    ) -> [(row: Int, column: Int)] {
        var pairs: [(row: Int, column: Int)] = []
        for (rows, ownColumns) in groups(costs, rows, columns) {
            let isTurned = rows.count > ownColumns.count
            let (upper, lower) = isTurned ? (ownColumns, rows) : (rows, ownColumns)
            func cost(_ a: Int, _ b: Int) -> Double {
                isTurned
                    ? costs[lower[b] * columns + upper[a]] : costs[upper[a] * columns + lower[b]]
            }
            var own = [Double](repeating: 0, count: upper.count * lower.count)
            var greatest = 0.0
            for a in upper.indices {
                for b in lower.indices {
                    let cost = cost(a, b)
                    own[a * lower.count + b] = cost
                    if !cost.isNaN { greatest = max(greatest, abs(cost)) }
                }
            }
            let none = other(greatest, lower.count)
            for place in own.indices where own[place].isNaN { own[place] = none }
            for (a, b) in columnsOfRows(own, upper.count, lower.count).enumerated() where !cost(a, b).isNaN {
                pairs.append(isTurned ? (lower[b], upper[a]) : (upper[a], lower[b]))
            }
        }
        return pairs.sorted { $0.row < $1.row }
    }

    /// Rows and columns that hang together by pairs that may be.
    private static func groups(
        _ costs: [Double], _ rows: Int, _ columns: Int
    ) -> [(rows: [Int], columns: [Int])] {
        var isSeen = [Bool](repeating: false, count: rows)
        var open = Array(0..<columns)
        var groups: [(rows: [Int], columns: [Int])] = []
        for first in 0..<rows where !isSeen[first] {
            isSeen[first] = true
            var own: (rows: [Int], columns: [Int]) = ([first], [])
            // Each row takes the columns that are left to it, and each column the rows.
            var (nextRow, nextColumn) = (0, 0)
            while nextRow < own.rows.count || nextColumn < own.columns.count {
                if nextRow < own.rows.count {
                    let start = own.rows[nextRow] * columns
                    nextRow += 1
                    open.removeAll { column in
                        guard !costs[start + column].isNaN else { return false }
                        own.columns.append(column)
                        return true
                    }
                } else {
                    let column = own.columns[nextColumn]
                    nextColumn += 1
                    for row in 0..<rows where !isSeen[row] && !costs[row * columns + column].isNaN {
                        isSeen[row] = true
                        own.rows.append(row)
                    }
                }
            }
            if !own.columns.isEmpty { groups.append((own.rows.sorted(), own.columns.sorted())) }
        }
        return groups
    }

    /// The column of each row, every row having one.
    ///
    /// - Parameters:
    ///   - costs: finite, row by row.
    ///   - height: how many rows, at most as many as columns.
    ///   - width: how many columns.
    private static func columnsOfRows(_ costs: [Double], _ height: Int, _ width: Int) -> [Int] {
        var rowPotential = [Double](repeating: 0, count: height + 1)
        var columnPotential = [Double](repeating: 0, count: width + 1)
        // The row of each column, from 1; column 0 holds the row that is being placed.
        var rowOf = [Int](repeating: 0, count: width + 1)
        var least = [Double](repeating: 0, count: width + 1)
        var before = [Int](repeating: 0, count: width + 1)
        for row in 1...height {
            rowOf[0] = row
            var column = 0
            // Columns that the search has not reached, in any order.
            var open = Array(1...width)
            var reached = [0]
            for other in 0...width { least[other] = .infinity }
            // The potentials of what is reached lag by the sum of all steps, until the end.
            var total = 0.0
            var joined = [0.0]
            repeat {
                let current = rowOf[column]
                let potential = rowPotential[current] - total
                let start = (current - 1) * width - 1
                var (delta, next) = (Double.infinity, 0)
                costs.withUnsafeBufferPointer { costs in
                    for place in open.indices {
                        let other = open[place]
                        let reduced = costs[start + other] - potential - columnPotential[other]
                        if reduced < least[other] { (least[other], before[other]) = (reduced, column) }
                        // Of equally near ones a free one ends the search.
                        if least[other] < delta
                            || least[other] == delta && rowOf[other] == 0 && rowOf[open[next]] != 0
                        {
                            (delta, next) = (least[other], place)
                        }
                    }
                }
                total = delta
                column = open[next]
                open.swapAt(next, open.count - 1)
                open.removeLast()
                reached.append(column)
                joined.append(total)
            } while rowOf[column] != 0
            for (place, other) in reached.dropLast().enumerated() {
                rowPotential[rowOf[other]] += total - joined[place]
                columnPotential[other] -= total - joined[place]
            }
            repeat {
                let previous = before[column]
                rowOf[column] = rowOf[previous]
                column = previous
            } while column != 0
        }
        var columns = [Int](repeating: 0, count: height)
        for column in 1...width where rowOf[column] != 0 { columns[rowOf[column] - 1] = column - 1 }
        return columns
    }
}
