extension Mask {
    /// Closed outlines, clockwise around the foreground and anticlockwise around its holes, with the
    /// corners of pixels cut so that slanting edges look straight.
    func contours() -> [[Point]] {
        let bits = bitmap
        func isSet(_ x: Int, _ y: Int) -> Bool {
            x >= 0 && y >= 0 && x < width && y < height && bits[y * width + x] != 0
        }
        // Every outline passes somewhere along the top of a pixel from left to right, so those places
        // are where outlines begin.
        var visited = [Bool](repeating: false, count: bits.count)
        var contours: [[Point]] = []
        for y in 0..<height {
            for x in 0..<width
            where bits[y * width + x] != 0 && !visited[y * width + x] && !isSet(x, y - 1) {
                contours.append(trace(fromTopOf: x, y, &visited, isSet))
            }
        }
        return contours
    }

    /// Walks along the edges of pixels with the foreground to the right.
    private func trace(
        fromTopOf startX: Int, _ startY: Int, _ visited: inout [Bool], _ isSet: (Int, Int) -> Bool
    ) -> [Point] {
        var contour: [Point] = []
        var (x, y) = (startX, startY)
        var (dx, dy) = (1, 0)
        repeat {
            if dx == 1 { visited[y * width + x] = true }
            let middle = Point(x: Double(x) + Double(dx) / 2, y: Double(y) + Double(dy) / 2)
            (x, y) = (x + dx, y + dy)
            // The two pixels ahead decide; where only their corners meet, the walk stays with its own.
            let right = isSet(x + (dx - dy - 1) / 2, y + (dx + dy - 1) / 2)
            let left = isSet(x + (dx + dy - 1) / 2, y + (dy - dx - 1) / 2)
            let turn = !right ? 1 : left ? -1 : 0
            if turn != 0 || contour.isEmpty { contour.append(middle) }
            if turn != 0 {
                (dx, dy) = turn == 1 ? (-dy, dx) : (dy, -dx)
                contour.append(Point(x: Double(x) + Double(dx) / 2, y: Double(y) + Double(dy) / 2))
            }
        } while !(x == startX && y == startY && dx == 1)
        return contour
    }
}
