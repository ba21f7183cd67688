import Media

/// A plan drawn at some size: the colours, and whose pixel each one is.
struct SceneCanvas {
    let size: Int
    /// Pixels per unit of the plan.
    private let scale: Float
    /// 1-based: the item in front, or 0 for the ground.
    private(set) var instances: [UInt8]
    /// Red, green, blue and nothing, in 0 ... 255.
    private var colours: [SIMD4<Float>]

    init(drawing plan: ScenePlan, size: Int) {
        self.size = size
        scale = Float(size) / Float(ScenePlan.side)
        instances = [UInt8](repeating: 0, count: size * size)
        colours = [SIMD4<Float>](repeating: .zero, count: size * size)
        draw(plan.ground)
        for (index, item) in plan.items.enumerated() {
            switch item.content {
            case .shape(let shape): draw(shape, item, as: UInt8(index + 1))
            case .figure(let figure): draw(figure, item, as: UInt8(index + 1))
            }
        }
    }

    /// The visible pixels of each of `count` items.
    func areas(count: Int) -> [Int] {
        var areas = [Int](repeating: 0, count: count + 1)
        for instance in instances { areas[Int(instance)] += 1 }
        return Array(areas.dropFirst())
    }

    /// The colours under the plan's light and noise, as bytes.
    func image(of plan: ScenePlan) -> Image {
        let count = size * size
        let light = Float(plan.light)
        // Four 16-bit numbers a pixel sum to something very nearly normal.
        let deviation = Float(plan.noise) / (2 * 65536 / Float(12).squareRoot())
        let mean: Float = 2 * 65535
        let pixels = [UInt8](unsafeUninitializedCapacity: count * 3) { buffer, initialized in
            for index in 0..<count {
                let bits = SceneRandom.mixed(plan.noiseKey &+ UInt64(index) &* SceneRandom.step)
                let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + bits >> 48
                let noise = (Float(Int32(truncatingIfNeeded: sum)) - mean) * deviation
                let colour = ((colours[index] + noise) * light + 0.5)
                    .clamped(lowerBound: .zero, upperBound: SIMD4(repeating: 255))
                buffer[3 * index] = UInt8(colour.x)
                buffer[3 * index + 1] = UInt8(colour.y)
                buffer[3 * index + 2] = UInt8(colour.z)
            }
            initialized = count * 3
        }
        return Image(width: size, height: size, pixels: pixels)
    }

    // MARK: Ground

    private mutating func draw(_ ground: GroundPlan) {
        let first = Self.colour(ground.colours.0)
        let change = Self.colour(ground.colours.1) - first
        let side = ScenePlan.side
        // Along the ground's direction the corners of the picture lie at 0 and 1.
        let reach = abs(ground.direction.x) + abs(ground.direction.y)
        let origin = (reach - ground.direction.x - ground.direction.y) / 2 * side
        func along(_ row: Int, _ column: Int) -> Double {
            let x = (Double(column) + 0.5) / Double(scale)
            let y = (Double(row) + 0.5) / Double(scale)
            return (x * ground.direction.x + y * ground.direction.y + origin) / (reach * side)
        }
        func fill(_ value: (_ row: Int, _ column: Int) -> Float) {
            colours.withUnsafeMutableBufferPointer { colours in
                for row in 0..<size {
                    for column in 0..<size {
                        colours[row * size + column] = first + change * value(row, column)
                    }
                }
            }
        }
        switch ground.pattern {
        case .plain:
            fill { _, _ in 0 }
        case .gradient:
            fill { Float(along($0, $1)) }
        case .waves(let frequency):
            fill { Float(0.5 + 0.5 * Trigonometry.sine(along($0, $1) * frequency * 2 * Double.pi)) }
        case .clouds(let cells, let lattice):
            let step = Float(cells) / Float(size)
            lattice.withUnsafeBufferPointer { lattice in
                fill { row, column in
                    let (y, x) = ((Float(row) + 0.5) * step, (Float(column) + 0.5) * step)
                    let (top, left) = (Int(y), Int(x))
                    let (v, u) = (y - Float(top), x - Float(left))
                    let corner = top * (cells + 1) + left
                    let above = lattice[corner] * (1 - u) + lattice[corner + 1] * u
                    let below = lattice[corner + cells + 1] * (1 - u) + lattice[corner + cells + 2] * u
                    return max(0, min(1, 0.5 + 0.25 * (above * (1 - v) + below * v)))
                }
            }
        }
    }

    // MARK: Shapes

    private mutating func draw(_ shape: ShapePlan, _ item: ScenePlan.Item, as instance: UInt8) {
        let radius = Float(shape.radius)
        func polygon(_ unitOutline: [SIMD2<Double>]) {
            PolygonDistance(unitOutline.map { $0 * shape.radius }).withEdges { edges in
                paint(shape, item, as: instance) { PolygonDistance.distance($0, $1, edges: edges) }
            }
        }
        switch shape.kind {
        case .circle: paint(shape, item, as: instance) { SignedDistance.length($0, $1) - radius }
        case .square: paint(shape, item, as: instance) { SignedDistance.square($0, $1, radius: radius) }
        case .ring: paint(shape, item, as: instance) { SignedDistance.ring($0, $1, radius: radius) }
        case .moon: paint(shape, item, as: instance) { SignedDistance.moon($0, $1, radius: radius) }
        case .ellipse: paint(shape, item, as: instance) { SignedDistance.ellipse($0, $1, radius: radius) }
        case .triangle: polygon(ShapeOutline.triangle)
        case .star: polygon(ShapeOutline.star)
        case .heart: polygon(ShapeOutline.heart)
        case .cross: polygon(ShapeOutline.cross)
        case .diamond: polygon(ShapeOutline.diamond)
        case .person: preconditionFailure("a person is a figure, not a shape")
        }
    }

    /// Paints a shape whose distance is given in its own, turned coordinates.
    @inline(__always)
    private mutating func paint(
        _ shape: ShapePlan, _ item: ScenePlan.Item, as instance: UInt8, distance: (Float, Float) -> Float
    ) {
        let (sine, cosine) = (Float(Trigonometry.sine(shape.angle)), Float(Trigonometry.cosine(shape.angle)))
        let (centreX, centreY) = (Float(shape.centre.x), Float(shape.centre.y))
        let radius = Float(shape.radius)
        let base = Self.colour(item.paint)
        let other = Self.patternColour(item)
        let texture = shape.texture
        let period = texture == .striped ? max(3.4, 0.42 * radius) : max(4, 0.5 * radius)
        let scale = scale
        // A square's corner is 1.2 radii from its centre, farther than any other shape's.
        let reach = 1.21 * shape.radius
        let frame = Frame(
            minX: shape.centre.x - reach, minY: shape.centre.y - reach,
            maxX: shape.centre.x + reach, maxY: shape.centre.y + reach)
        func local(_ x: Float, _ y: Float) -> (Float, Float) {
            let (dx, dy) = (x - centreX, y - centreY)
            return (dx * cosine + dy * sine, dy * cosine - dx * sine)
        }
        /// How far into its cell of the pattern a coordinate is, from the middle, in units.
        func offset(_ value: Float) -> Float {
            let cells = value / period
            return (cells - cells.rounded(.down) - 0.5) * period
        }
        paint(frame, as: instance) { x, y in
            let (u, v) = local(x, y)
            return distance(u, v)
        } colour: { x, y, d in
            let (u, v) = local(x, y)
            var colour: SIMD4<Float>
            switch texture {
            case .solid:
                colour = base * (1 + 0.12 * max(-1, min(1, v / radius)))
            case .striped:
                let share = Self.coverage((0.25 * period - abs(offset(u))) * scale)
                colour = base + (other - base) * share
            case .dotted:
                let share = Self.coverage(
                    (SignedDistance.length(offset(u), offset(v)) - 0.3 * period) * scale)
                colour = base + (other - base) * share
            }
            // A darker rim one unit wide.
            colour *= 1 - 0.225 * Self.coverage((abs(d + 0.5) - 0.5) * scale)
            return colour
        }
    }

    private static func patternColour(_ item: ScenePlan.Item) -> SIMD4<Float> {
        if item.colour == .white { return SIMD4(150, 150, 150, 0) }
        return colour(item.paint.sum() / 3 > 75 ? item.paint * 0.45 : item.paint + 110)
    }

    // MARK: Figures

    private mutating func draw(_ figure: FigurePlan, _ item: ScenePlan.Item, as instance: UInt8) {
        let unit = figure.unit
        let joints = figure.joints
        let shirt = item.paint
        let skin = figure.skin

        for hip in [11, 12] {
            capsule(joints[hip], joints[hip + 2], 0.38 * unit, figure.trousers, instance)
            capsule(joints[hip + 2], joints[hip + 4], 0.32 * unit, figure.trousers, instance)
        }
        let torso = [joints[5], joints[6], joints[12], joints[11]]
        let flesh = 0.3 * unit
        PolygonDistance(torso).withEdges { edges in
            paint(Self.frame(around: torso, reach: flesh), as: instance) { x, y in
                PolygonDistance.distance(x, y, edges: edges) - Float(flesh)
            } colour: { [colour = Self.colour(shirt)] _, _, _ in
                colour
            }
        }
        for shoulder in [5, 6] {
            capsule(joints[shoulder], joints[shoulder + 2], 0.3 * unit, shirt * 0.88, instance)
        }
        for elbow in [7, 8] { capsule(joints[elbow], joints[elbow + 2], 0.26 * unit, skin, instance) }
        capsule((joints[5] + joints[6]) / 2, figure.head, 0.3 * unit, skin * 0.9, instance)
        for ear in [3, 4] { disc(joints[ear], 0.3 * unit, skin * 0.8, instance) }
        disc(figure.head, 0.95 * unit, skin, instance)
        for eye in [1, 2] { disc(joints[eye], 0.19 * unit, [20, 20, 20], instance) }
        disc(joints[0], 0.2 * unit, skin * 0.6, instance)
        for ankle in [15, 16] { disc(joints[ankle], 0.4 * unit, [35, 30, 30], instance) }
    }

    private mutating func capsule(
        _ start: SIMD2<Double>, _ end: SIMD2<Double>, _ radius: Double, _ paint: SIMD3<Double>,
        _ instance: UInt8
    ) {
        let from = SIMD2<Float>(start)
        let along = SIMD2<Float>(end - start)
        let thickness = Float(radius)
        let colour = Self.colour(paint)
        self.paint(Self.frame(around: [start, end], reach: radius), as: instance) { x, y in
            SignedDistance.capsule(x, y, start: from, along: along, radius: thickness)
        } colour: { _, _, _ in
            colour
        }
    }

    private mutating func disc(
        _ centre: SIMD2<Double>, _ radius: Double, _ paint: SIMD3<Double>, _ instance: UInt8
    ) {
        capsule(centre, centre, radius, paint, instance)
    }

    // MARK: Painting

    /// Paints where the distance is negative, with an edge one pixel soft.
    @inline(__always)
    private mutating func paint(
        _ frame: Frame, as instance: UInt8, distance: (Float, Float) -> Float,
        colour: (_ x: Float, _ y: Float, _ distance: Float) -> SIMD4<Float>
    ) {
        let size = size
        let scale = scale
        func bound(_ value: Double) -> Int { max(0, min(size, Int(value))) }
        let columns = bound(frame.minX * Double(scale) - 1)..<bound(frame.maxX * Double(scale) + 2)
        let rows = bound(frame.minY * Double(scale) - 1)..<bound(frame.maxY * Double(scale) + 2)
        colours.withUnsafeMutableBufferPointer { colours in
            instances.withUnsafeMutableBufferPointer { instances in
                for row in rows {
                    let y = (Float(row) + 0.5) / scale
                    for column in columns {
                        let x = (Float(column) + 0.5) / scale
                        let d = distance(x, y)
                        let share = Self.coverage(d * scale)
                        guard share > 0 else { continue }
                        let index = row * size + column
                        colours[index] += (colour(x, y, d) - colours[index]) * share
                        if d < 0 { instances[index] = instance }
                    }
                }
            }
        }
    }

    /// How much of a pixel lies inside an edge that is this many pixels away.
    @inline(__always)
    private static func coverage(_ distance: Float) -> Float { max(0, min(1, 0.5 - distance)) }

    private static func colour(_ colour: SIMD3<Double>) -> SIMD4<Float> {
        SIMD4(SIMD3<Float>(colour), 0)
    }

    private static func frame(around points: [SIMD2<Double>], reach: Double) -> Frame {
        var low = points[0]
        var high = points[0]
        for point in points {
            low = pointwiseMin(low, point)
            high = pointwiseMax(high, point)
        }
        return Frame(minX: low.x - reach, minY: low.y - reach, maxX: high.x + reach, maxY: high.y + reach)
    }
}
