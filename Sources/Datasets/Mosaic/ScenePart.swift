/// A piece of a thing in the plan's units, in one colour unless it is a patterned shape.
struct ScenePart {
    var form: Form
    var paint: SIMD3<Double>

    /// The frame of all parts together.
    static func frame(of parts: [ScenePart]) -> Frame {
        parts.dropFirst().reduce(parts[0].form.frame) { $0.union($1.form.frame) }
    }

    enum Form {
        case polygon([SIMD2<Double>], rounding: Double)
        /// A line through the points, with round ends.
        case stroke([SIMD2<Double>], radius: Double)
        case ellipse(EllipseForm)
        case shape(ShapePlan)

        /// The smallest upright rectangle around it, or a little more.
        var frame: Frame {
            switch self {
            case .polygon(let vertices, let rounding): Frame(around: vertices, reach: rounding)
            case .stroke(let points, let radius): Frame(around: points, reach: radius)
            case .ellipse(let ellipse): ellipse.frame
            case .shape(let shape): shape.drawnFrame
            }
        }

        /// The same under an affine map; `scale` is the map's mean enlargement, for the thickness of lines.
        func mapped(_ map: AffineMap) -> Form {
            switch self {
            case .polygon(let vertices, let rounding):
                .polygon(vertices.map(map.apply), rounding: rounding * map.scale)
            case .stroke(let points, let radius): .stroke(points.map(map.apply), radius: radius * map.scale)
            case .ellipse(let ellipse):
                .ellipse(
                    EllipseForm(
                        centre: map.apply(ellipse.centre), first: map.turn(ellipse.first),
                        second: map.turn(ellipse.second)))
            case .shape: preconditionFailure("shapes are placed when they are made")
            }
        }
    }
}

/// The ellipse `centre + first cos t + second sin t`.
struct EllipseForm {
    var centre: SIMD2<Double>
    var first: SIMD2<Double>
    var second: SIMD2<Double>

    var frame: Frame {
        let reach = (first * first + second * second).squareRoot()
        let (low, high) = (centre - reach, centre + reach)
        return Frame(minX: low.x, minY: low.y, maxX: high.x, maxY: high.y)
    }
}

/// x ↦ origin + right x₀ + down x₁.
struct AffineMap {
    var origin: SIMD2<Double>
    var right: SIMD2<Double>
    var down: SIMD2<Double>

    /// The square root of the map's change of area.
    var scale: Double { abs(right.x * down.y - right.y * down.x).squareRoot() }

    func turn(_ vector: SIMD2<Double>) -> SIMD2<Double> { right * vector.x + down * vector.y }
    func apply(_ point: SIMD2<Double>) -> SIMD2<Double> { origin + turn(point) }
}

/// A rectangle in the plan's units.
struct Frame {
    var minX: Double
    var minY: Double
    var maxX: Double
    var maxY: Double

    var width: Double { maxX - minX }
    var height: Double { maxY - minY }
    var area: Double { width * height }

    func intersectionArea(_ other: Frame) -> Double {
        let width = min(maxX, other.maxX) - max(minX, other.minX)
        let height = min(maxY, other.maxY) - max(minY, other.minY)
        return width > 0 && height > 0 ? width * height : 0
    }

    func union(_ other: Frame) -> Frame {
        Frame(
            minX: min(minX, other.minX), minY: min(minY, other.minY), maxX: max(maxX, other.maxX),
            maxY: max(maxY, other.maxY))
    }

    func moved(by offset: SIMD2<Double>, grown reach: Double = 0) -> Frame {
        Frame(
            minX: minX + offset.x - reach, minY: minY + offset.y - reach, maxX: maxX + offset.x + reach,
            maxY: maxY + offset.y + reach)
    }
}

extension Frame {
    init(around points: [SIMD2<Double>], reach: Double) {
        var low = points[0]
        var high = points[0]
        for point in points {
            low = pointwiseMin(low, point)
            high = pointwiseMax(high, point)
        }
        self.init(minX: low.x - reach, minY: low.y - reach, maxX: high.x + reach, maxY: high.y + reach)
    }
}
