/// Signed distances, negative inside, in the units of their arguments.
///
/// Only sums, products, quotients and square roots: those are exact to the last bit everywhere.
enum SignedDistance {
    @inline(__always)
    static func length(_ x: Float, _ y: Float) -> Float { (x * x + y * y).squareRoot() }

    @inline(__always)
    static func ring(_ x: Float, _ y: Float, radius r: Float) -> Float {
        abs(length(x, y) - 0.76 * r) - 0.24 * r
    }

    @inline(__always)
    static func moon(_ x: Float, _ y: Float, radius r: Float) -> Float {
        max(length(x, y) - r, 0.72 * r - length(x - 0.55 * r, y))
    }

    /// Not the distance, but within a few hundredths of it near the edge, where it counts, and never more.
    @inline(__always)
    static func ellipse(_ x: Float, _ y: Float, radius r: Float) -> Float {
        let (a, b) = (1.15 * r, 0.6 * r)
        let first = length(x / a, y / b)
        let second = length(x / (a * a), y / (b * b)) + 1e-6
        let least = (first - 1) * b
        let near = first * (first - 1) / second
        return near < 0 ? max(near, least) : near
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

        init(from start: SIMD2<Double>, to end: SIMD2<Double>) {
            let along = end - start
            (x, y) = (Float(start.x), Float(start.y))
            (alongX, alongY) = (Float(along.x), Float(along.y))
            inverseSquare = Float(1 / ((along * along).sum() + 1e-9))
            endY = Float(end.y)
        }

        @inline(__always)
        func squaredDistance(_ x: Float, _ y: Float) -> Float {
            let (wx, wy) = (x - self.x, y - self.y)
            let t = max(0, min(1, (wx * alongX + wy * alongY) * inverseSquare))
            let (dx, dy) = (wx - alongX * t, wy - alongY * t)
            return dx * dx + dy * dy
        }
    }

    private let edges: [Edge]

    init(_ vertices: [SIMD2<Double>]) {
        edges = vertices.indices.map { index in
            Edge(from: vertices[index], to: vertices[(index + 1) % vertices.count])
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
            least = min(least, edge.squaredDistance(x, y))
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

/// A line through some points prepared for many distances.
struct StrokeDistance {
    private let edges: [PolygonDistance.Edge]

    init(_ points: [SIMD2<Double>]) {
        edges = zip(points, points.dropFirst()).map { PolygonDistance.Edge(from: $0, to: $1) }
    }

    /// The distance from (x, y) to the nearest segment.
    @inline(__always)
    static func distance(
        _ x: Float, _ y: Float, edges: UnsafeBufferPointer<PolygonDistance.Edge>
    ) -> Float {
        var least = Float.infinity
        for edge in edges { least = min(least, edge.squaredDistance(x, y)) }
        return least.squareRoot()
    }

    @inline(__always)
    func withEdges<Result>(_ body: (UnsafeBufferPointer<PolygonDistance.Edge>) -> Result) -> Result {
        edges.withUnsafeBufferPointer(body)
    }
}

/// Distances from an ellipse in any position.
struct EllipseDistance {
    private let centre: SIMD2<Float>
    /// The rows of the matrix that makes it a circle of radius 1.
    private let first: SIMD2<Float>
    private let second: SIMD2<Float>
    /// No more than half the shorter axis.
    private let least: Float

    init(_ ellipse: EllipseForm) {
        let (a, b) = (ellipse.first, ellipse.second)
        let area = a.x * b.y - a.y * b.x
        centre = SIMD2<Float>(ellipse.centre)
        first = SIMD2<Float>(SIMD2(b.y, -b.x) / area)
        second = SIMD2<Float>(SIMD2(-a.y, a.x) / area)
        least = Float(abs(area) / ((a * a).sum() + (b * b).sum()).squareRoot())
    }

    /// Not the distance, but very near to it at the edge, where it counts.
    @inline(__always)
    func distance(_ x: Float, _ y: Float) -> Float {
        let (u, v) = unit(x, y)
        let reach = SignedDistance.length(u, v)
        let slope = SignedDistance.length(first.x * u + second.x * v, first.y * u + second.y * v) + 1e-6
        return reach * (reach - 1) / slope
    }

    /// Never more than the distance, inside or out.
    @inline(__always)
    func bound(_ x: Float, _ y: Float) -> Float {
        let (u, v) = unit(x, y)
        return (SignedDistance.length(u, v) - 1) * least
    }

    @inline(__always)
    private func unit(_ x: Float, _ y: Float) -> (Float, Float) {
        let (dx, dy) = (x - centre.x, y - centre.y)
        return (first.x * dx + first.y * dy, second.x * dx + second.y * dy)
    }
}

/// The outlines of the shapes that are polygons, for a radius of 1.
enum ShapeOutline {
    /// The width and the height of a shape, upright, for a radius of 1.
    static func extent(of kind: MosaicKind) -> SIMD2<Double> {
        switch kind {
        case .square: [1.7, 1.7]
        case .triangle: [1.94, 1.68]
        case .star: [2.13, 2.03]
        case .heart: [1.98, 1.8]
        case .diamond: [1.24, 2.3]
        case .ellipse: [2.3, 1.2]
        default: [2, 2]
        }
    }

    static let triangle = PolygonDistance.regular(points: 3, radius: 1.12)
    static let star = PolygonDistance.regular(points: 5, radius: 1.12, inner: 0.48)
    static let diamond: [SIMD2<Double>] = [[0, -1.15], [0.62, 0], [0, 1.15], [-0.62, 0]]
    static let cross: [SIMD2<Double>] = [
        [-0.33, -1], [0.33, -1], [0.33, -0.33], [1, -0.33], [1, 0.33], [0.33, 0.33],
        [0.33, 1], [-0.33, 1], [-0.33, 0.33], [-1, 0.33], [-1, -0.33], [-0.33, -0.33],
    ]
    static let heart: [SIMD2<Double>] = (0..<36).map { index in
        let t = Double(index) * 2 * Double.pi / 36
        let s = Trigonometry.sine(t)
        let c = (1...4).map { Trigonometry.cosine(Double($0) * t) }
        return SIMD2(16 * s * s * s, 5 * c[1] + 2 * c[2] + c[3] - 13 * c[0]) * (1.05 / 17)
    }
}
