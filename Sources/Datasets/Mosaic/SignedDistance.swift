/// Signed distances, negative inside, in the units of their arguments.
///
/// Only sums, products, quotients and square roots: those are exact to the last bit everywhere.
enum SignedDistance {
    @inline(__always)
    static func length(_ x: Float, _ y: Float) -> Float { (x * x + y * y).squareRoot() }

    @inline(__always)
    static func square(_ x: Float, _ y: Float, radius r: Float) -> Float {
        max(abs(x), abs(y)) - 0.85 * r
    }

    @inline(__always)
    static func ring(_ x: Float, _ y: Float, radius r: Float) -> Float {
        abs(length(x, y) - 0.76 * r) - 0.24 * r
    }

    @inline(__always)
    static func moon(_ x: Float, _ y: Float, radius r: Float) -> Float {
        max(length(x, y) - r, 0.72 * r - length(x - 0.55 * r, y))
    }

    /// Not the distance, but within a few hundredths of it near the edge, where it counts.
    @inline(__always)
    static func ellipse(_ x: Float, _ y: Float, radius r: Float) -> Float {
        let (a, b) = (1.15 * r, 0.6 * r)
        let first = length(x / a, y / b)
        let second = length(x / (a * a), y / (b * b)) + 1e-6
        return first * (first - 1) / second
    }

    /// The distance to the segment `start` ... `start + along`, less a radius.
    @inline(__always)
    static func capsule(
        _ x: Float, _ y: Float, start: SIMD2<Float>, along: SIMD2<Float>, radius: Float
    ) -> Float {
        let (wx, wy) = (x - start.x, y - start.y)
        let square = along.x * along.x + along.y * along.y + 1e-6
        let t = max(0, min(1, (wx * along.x + wy * along.y) / square))
        return length(wx - along.x * t, wy - along.y * t) - radius
    }
}

/// A simple polygon prepared for many distances.
struct PolygonDistance {
    struct Edge {
        var x: Float
        var y: Float
        var alongX: Float
        var alongY: Float
        var inverseSquare: Float
        var endY: Float
    }

    private let edges: [Edge]

    init(_ vertices: [SIMD2<Double>]) {
        edges = vertices.indices.map { index in
            let (start, end) = (vertices[index], vertices[(index + 1) % vertices.count])
            let along = end - start
            return Edge(
                x: Float(start.x), y: Float(start.y), alongX: Float(along.x), alongY: Float(along.y),
                inverseSquare: Float(1 / (along * along).sum()), endY: Float(end.y))
        }
    }

    /// A regular polygon, or with `inner` a star, its first point up.
    static func regular(points: Int, radius: Double, inner: Double? = nil) -> [SIMD2<Double>] {
        let count = inner == nil ? points : 2 * points
        return (0..<count).map { index in
            let angle = Double(index) * 2 * Double.pi / Double(count) - Double.pi / 2
            let reach = index % 2 == 1 ? inner ?? radius : radius
            return SIMD2(Trigonometry.cosine(angle), Trigonometry.sine(angle)) * reach
        }
    }

    /// The distance from (x, y), after Inigo Quilez: the nearest edge, and the parity of those crossed.
    @inline(__always)
    static func distance(_ x: Float, _ y: Float, edges: UnsafeBufferPointer<Edge>) -> Float {
        var least = Float.infinity
        var isInside = false
        for edge in edges {
            let (wx, wy) = (x - edge.x, y - edge.y)
            let t = max(0, min(1, (wx * edge.alongX + wy * edge.alongY) * edge.inverseSquare))
            let (dx, dy) = (wx - edge.alongX * t, wy - edge.alongY * t)
            least = min(least, dx * dx + dy * dy)
            let isBelowStart = y >= edge.y
            let isAboveEnd = y < edge.endY
            let isLeft = edge.alongX * wy > edge.alongY * wx
            if isBelowStart == isAboveEnd && isAboveEnd == isLeft { isInside.toggle() }
        }
        return isInside ? -least.squareRoot() : least.squareRoot()
    }

    @inline(__always)
    func withEdges<Result>(_ body: (UnsafeBufferPointer<Edge>) -> Result) -> Result {
        edges.withUnsafeBufferPointer(body)
    }
}

/// The outlines of the shapes that are polygons, for a radius of 1.
enum ShapeOutline {
    static let triangle = PolygonDistance.regular(points: 3, radius: 1.12)
    static let star = PolygonDistance.regular(points: 5, radius: 1.12, inner: 0.48)
    static let diamond: [SIMD2<Double>] = [[0, -1.15], [0.62, 0], [0, 1.15], [-0.62, 0]]
    static let cross: [SIMD2<Double>] = [
        [-0.33, -1], [0.33, -1], [0.33, -0.33], [1, -0.33], [1, 0.33], [0.33, 0.33],
        [0.33, 1], [-0.33, 1], [-0.33, 0.33], [-1, 0.33], [-1, -0.33], [-0.33, -0.33],
    ]
    static let heart: [SIMD2<Double>] = (0..<24).map { index in
        let t = Double(index) * 2 * Double.pi / 24
        let s = Trigonometry.sine(t)
        let c = (1...4).map { Trigonometry.cosine(Double($0) * t) }
        return SIMD2(16 * s * s * s, 5 * c[1] + 2 * c[2] + c[3] - 13 * c[0]) * (1.05 / 17)
    }
}
