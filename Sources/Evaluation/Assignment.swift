/// Pairs of rows and columns at the least cost: the Hungarian method with potentials, row by row.
enum Assignment {
    /// As many pairs as there can be, and among those the least sum.
    ///
    /// - Parameters:
    ///   - rows: how many.
    ///   - columns: how many.
    ///   - cost: of a row and a column; nil where they must not be a pair.
    /// - Returns: pairs in the order of the rows.
    static func leastCost(
        rows: Int, columns: Int, _ cost: (Int, Int) -> Double?
    ) -> [(row: Int, column: Int)] {
        guard rows > 0, columns > 0 else { return [] }
        let isTurned = rows > columns
        let (height, width) = isTurned ? (columns, rows) : (rows, columns)
        func given(_ a: Int, _ b: Int) -> Double? { isTurned ? cost(b, a) : cost(a, b) }
        var costs = [Double](repeating: 0, count: height * width)
        var isAllowed = [Bool](repeating: false, count: height * width)
        var greatest = 0.0
        for a in 0..<height {
            for b in 0..<width {
                guard let value = given(a, b) else { continue }
                costs[a * width + b] = value
                isAllowed[a * width + b] = true
                greatest = max(greatest, abs(value))
            }
        }
        // One forbidden pair is worse than the worst of all others together.
        let forbidden = 2 * Double(height) * (greatest + 1) + 1
        for place in costs.indices where !isAllowed[place] { costs[place] = forbidden }

        var rowPotential = [Double](repeating: 0, count: height + 1)
        var columnPotential = [Double](repeating: 0, count: width + 1)
        // The row of each column, from 1; column 0 holds the row that is being placed.
        var rowOf = [Int](repeating: 0, count: width + 1)
        for row in 1...height {
            rowOf[0] = row
            var column = 0
            var least = [Double](repeating: .infinity, count: width + 1)
            var before = [Int](repeating: 0, count: width + 1)
            var isDone = [Bool](repeating: false, count: width + 1)
            repeat {
                isDone[column] = true
                let current = rowOf[column]
                var (delta, next) = (Double.infinity, 0)
                for other in 1...width where !isDone[other] {
                    let reduced =
                        costs[(current - 1) * width + other - 1] - rowPotential[current]
                        - columnPotential[other]
                    if reduced < least[other] { (least[other], before[other]) = (reduced, column) }
                    if least[other] < delta { (delta, next) = (least[other], other) }
                }
                for other in 0...width {
                    if isDone[other] {
                        rowPotential[rowOf[other]] += delta
                        columnPotential[other] -= delta
                    } else {
                        least[other] -= delta
                    }
                }
                column = next
            } while rowOf[column] != 0
            repeat {
                let previous = before[column]
                rowOf[column] = rowOf[previous]
                column = previous
            } while column != 0
        }
        var pairs: [(row: Int, column: Int)] = []
        for column in 1...width where rowOf[column] != 0 {
            let (a, b) = (rowOf[column] - 1, column - 1)
            if isAllowed[a * width + b] { pairs.append(isTurned ? (b, a) : (a, b)) }
        }
        return pairs.sorted { $0.row < $1.row }
    }
}
