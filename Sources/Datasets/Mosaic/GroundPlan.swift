/// What lies behind everything.
struct GroundPlan {
    enum Pattern {
        case plain
        case gradient
        /// Waves, this many across the picture.
        case waves(Double)
        /// Smooth random clouds: the values on a lattice of `columns` points a row, `step` units apart.
        case clouds(step: Double, columns: Int, lattice: [Float])
        /// Squares with sides of so many units.
        case checker(Double)
        /// Rows of bricks of this height.
        case bricks(Double)
        /// Lines so far apart.
        case lines(Double)
        /// Sky above a height in units and ground below, which is a plane of its own colour, darker ahead.
        case horizon(Double)
    }

    /// A mark that means nothing.
    struct Clutter {
        var form: ScenePart.Form
        var paint: SIMD3<Double>
        var opacity: Double
        /// The width of its edge in units.
        var softness: Double
    }

    var pattern: Pattern
    /// The colours at 0 and 1 of the pattern.
    var colours: (SIMD3<Double>, SIMD3<Double>)
    var direction: SIMD2<Double>
    var clutter: [Clutter] = []

    /// One of four quiet grounds.
    init(extent: SIMD2<Double>, using random: inout SceneRandom) {
        let choice = random.integer(below: 4)
        let first = SIMD3(repeating: random.number(85, 190)) + random.colour(22)
        let angle = random.number(0, 2 * Double.pi)
        direction = [Trigonometry.cosine(angle), Trigonometry.sine(angle)]
        switch choice {
        case 0:
            pattern = .plain
            colours = (first, first)
        case 1:
            pattern = .gradient
            colours = (first, SIMD3(repeating: random.number(85, 190)) + random.colour(22))
        case 2:
            pattern = .waves(random.number(1, 6))
            colours = (first, first + random.colour(25))
        default:
            let step = ScenePlan.side / Double(4 + random.integer(below: 13))
            let columns = Int(extent.x / step) + 2
            let rows = Int(extent.y / step) + 2
            pattern = .clouds(
                step: step, columns: columns,
                lattice: (0..<columns * rows).map { _ in Float(random.normal()) })
            colours = (first, first + random.colour(35))
        }
    }

    /// A ground of the rich ring, with clutter on it.
    init(richOf extent: SIMD2<Double>, using random: inout SceneRandom) {
        self.init(extent: extent, using: &random)
        let first = SIMD3(repeating: random.number(75, 200)) + random.colour(30)
        switch random.integer(below: 9) {
        case 0:
            pattern = .checker(random.number(5, 22))
            colours = (first, first + random.colour(28))
        case 1:
            pattern = .bricks(random.number(6, 18))
            colours = (first, first + SIMD3(repeating: random.number(18, 45) * (random.chance(0.5) ? 1 : -1)))
            direction = [1, 0]
        case 2:
            pattern = .lines(random.number(5, 20))
            colours = (first, first + SIMD3(repeating: random.number(12, 40) * (random.chance(0.5) ? 1 : -1)))
        case 3, 4:
            pattern = .horizon(extent.y * random.number(0.3, 0.75))
            let earth: [SIMD3<Double>] = [
                [128, 148, 104], [160, 142, 112], [120, 116, 112], [196, 184, 150], [100, 122, 108],
            ]
            colours = (
                SIMD3(168, 188, 208) + random.colour(24) + random.number(-30, 20),
                random.element(of: earth) + random.colour(16)
            )
        default: break
        }
        let marks = random.chance(0.3) ? 0 : random.integer(below: 22)
        for _ in 0..<marks { clutter.append(mark(on: extent, using: &random)) }
    }

    private func mark(on extent: SIMD2<Double>, using random: inout SceneRandom) -> Clutter {
        let start = SIMD2(random.number(0, extent.x), random.number(0, extent.y))
        let tone = random.element(of: [colours.0, colours.1]) + random.number(-70, 70) + random.colour(20)
        let paint = tone.clamped(lowerBound: .init(repeating: 30), upperBound: .init(repeating: 225))
        func step(_ low: Double, _ high: Double) -> SIMD2<Double> {
            let (angle, length) = (random.number(0, 2 * Double.pi), random.number(low, high))
            return SIMD2(Trigonometry.cosine(angle), Trigonometry.sine(angle)) * length
        }
        switch random.integer(below: 4) {
        case 0:
            return Clutter(
                form: .stroke([start, start + step(8, 70)], radius: random.number(0.25, 0.7)), paint: paint,
                opacity: random.number(0.25, 0.75), softness: 0.6)
        case 1:
            // Smaller than any thing.
            return Clutter(
                form: .stroke([start, start], radius: random.number(0.4, 0.9)), paint: paint,
                opacity: random.number(0.3, 0.8), softness: 0.6)
        case 2:
            let first = step(3, 14)
            let second = SIMD2(-first.y, first.x) * random.number(0.35, 0.9)
            // Without an outline.
            return Clutter(
                form: .ellipse(EllipseForm(centre: start, first: first, second: second)), paint: paint,
                opacity: random.number(0.12, 0.4), softness: 6)
        default:
            // A scribble that turns by less than a right angle at each step.
            var points = [start]
            var stride = step(2.5, 7)
            for _ in 0..<6 + random.integer(below: 10) {
                let turn = random.number(-1.2, 1.2)
                let (s, c) = (Trigonometry.sine(turn), Trigonometry.cosine(turn))
                stride = [stride.x * c - stride.y * s, stride.x * s + stride.y * c]
                points.append(points[points.count - 1] + stride)
            }
            return Clutter(
                form: .stroke(points, radius: random.number(0.25, 0.5)), paint: paint,
                opacity: random.number(0.25, 0.7), softness: 0.6)
        }
    }
}

extension SceneRandom {
    /// A change of colour, each part up to `reach` either way.
    mutating func colour(_ reach: Double) -> SIMD3<Double> {
        [number(-reach, reach), number(-reach, reach), number(-reach, reach)]
    }
}
