import Media

/// A plan drawn at some size: the colours, and whose pixel each one is.
struct SceneCanvas {
    let width: Int
    let height: Int
    /// Pixels per unit of the plan.
    let scale: Float
    /// 1-based: the item in front, or 0 for the ground.
    private(set) var instances: [UInt8]
    /// How many pixels of the canvas each item has when nothing is in front of it.
    private(set) var drawnAreas: [Int] = []
    /// The plan's coordinates of the upper left corner.
    private let origin: SIMD2<Float>
    /// Red, green, blue and nothing, in 0 ... 255.
    private var colours: [SIMD4<Float>]
    /// The shadow of the item that is being drawn: zero elsewhere.
    private var shade: [Float] = []

    /// - Parameter scale: pixels per unit.
    init(drawing plan: ScenePlan, scale: Double) {
        self.init(
            width: Int((plan.extent.x * scale).rounded()), height: Int((plan.extent.y * scale).rounded()),
            origin: .zero, scale: scale)
        draw(plan.ground, extent: plan.extent)
        if plan.shadow != nil { shade = [Float](repeating: 0, count: width * height) }
        for (index, item) in plan.items.enumerated() {
            let parts = item.parts
            if let shadow = plan.shadow { cast(shadow, of: parts) }
            draw(parts, as: UInt8(index + 1))
        }
        if plan.blur > 0 { blur(deviation: plan.blur * scale) }
    }

    private init(width: Int, height: Int, origin: SIMD2<Double>, scale: Double) {
        self.width = width
        self.height = height
        self.origin = SIMD2<Float>(origin)
        self.scale = Float(scale)
        instances = [UInt8](repeating: 0, count: width * height)
        colours = [SIMD4<Float>](repeating: .zero, count: width * height)
    }

    /// The pixels that an item would have on an endless canvas without others.
    static func wholeArea(of item: ScenePlan.Item, scale: Double) -> Int {
        let parts = item.parts
        let frame = ScenePart.frame(of: parts)
        // The pixels of the picture, going on outside it.
        let left = (frame.minX * scale).rounded(.down)
        let top = (frame.minY * scale).rounded(.down)
        var canvas = SceneCanvas(
            width: Int(frame.maxX * scale - left) + 2, height: Int(frame.maxY * scale - top) + 2,
            origin: [left / scale, top / scale], scale: scale)
        canvas.draw(parts, as: 1)
        return canvas.drawnAreas[0]
    }

    /// The visible pixels of each of `count` items.
    func areas(count: Int) -> [Int] {
        var areas = [Int](repeating: 0, count: count + 1)
        for instance in instances { areas[Int(instance)] += 1 }
        return Array(areas.dropFirst())
    }

    /// The colours under the plan's light and noise, as bytes.
    func image(of plan: ScenePlan) -> Image {
        let light = SIMD4<Float>(SIMD3<Float>(plan.light), 0)
        let slope = SIMD2<Float>(plan.lightSlope) * 2
        // Four 16-bit numbers a pixel sum to something very nearly normal.
        let deviation = Float(plan.noise) / (2 * 65536 / Float(12).squareRoot())
        let mean: Float = 2 * 65535
        let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { buffer, initialized in
            for row in 0..<height {
                let rowLight = 1 + slope.y * ((Float(row) + 0.5) / Float(height) - 0.5)
                for column in 0..<width {
                    let index = row * width + column
                    let bits = SceneRandom.mixed(plan.noiseKey &+ UInt64(index) &* SceneRandom.step)
                    let sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + bits >> 48
                    let noise = (Float(Int32(truncatingIfNeeded: sum)) - mean) * deviation
                    let pixelLight = rowLight + slope.x * ((Float(column) + 0.5) / Float(width) - 0.5)
                    let colour = ((colours[index] + noise) * (light * pixelLight) + 0.5)
                        .clamped(lowerBound: .zero, upperBound: SIMD4(repeating: 255))
                    buffer[3 * index] = UInt8(colour.x)
                    buffer[3 * index + 1] = UInt8(colour.y)
                    buffer[3 * index + 2] = UInt8(colour.z)
                }
            }
            initialized = width * height * 3
        }
        return Image(width: width, height: height, pixels: pixels)
    }

    // MARK: Ground

    private mutating func draw(_ ground: GroundPlan, extent: SIMD2<Double>) {
        let first = Self.colour(ground.colours.0)
        let change = Self.colour(ground.colours.1) - first
        let direction = SIMD2<Float>(ground.direction)
        let unit = 1 / scale
        // Along the ground's direction the corners of the picture lie at 0 and 1.
        let reach = abs(ground.direction.x) * extent.x + abs(ground.direction.y) * extent.y
        let start = Float((1 - (ground.direction * extent).sum() / reach) / 2)
        let along = direction / Float(reach)
        func fill(_ value: (_ x: Float, _ y: Float) -> Float) {
            colours.withUnsafeMutableBufferPointer { colours in
                for row in 0..<height {
                    let y = (Float(row) + 0.5) * unit
                    for column in 0..<width {
                        let x = (Float(column) + 0.5) * unit
                        colours[row * width + column] = first + change * value(x, y)
                    }
                }
            }
        }
        /// How far `value` is from the nearest multiple of `period`, in pixels.
        func distance(_ value: Float, _ period: Float) -> Float {
            let turns = value / period
            return abs(turns - turns.rounded()) * period * scale
        }
        switch ground.pattern {
        case .plain:
            fill { _, _ in 0 }
        case .gradient:
            fill { x, y in start + x * along.x + y * along.y }
        case .waves(let frequency):
            let steps = 256
            let wave = (0...steps).map {
                Float(0.5 + 0.5 * Trigonometry.sine(Double($0) / Double(steps) * 2 * Double.pi))
            }
            wave.withUnsafeBufferPointer { wave in
                fill { x, y in
                    let turns = (start + x * along.x + y * along.y) * Float(frequency)
                    let place = (turns - turns.rounded(.down)) * Float(steps)
                    let step = min(Int(place), steps - 1)
                    return wave[step] + (wave[step + 1] - wave[step]) * (place - Float(step))
                }
            }
        case .clouds(let step, let columns, let lattice):
            let cells = 1 / Float(step)
            lattice.withUnsafeBufferPointer { lattice in
                fill { x, y in
                    let (v, u) = (y * cells, x * cells)
                    let (top, left) = (Int(v), Int(u))
                    let (below, right) = (v - Float(top), u - Float(left))
                    let corner = top * columns + left
                    let upper = lattice[corner] * (1 - right) + lattice[corner + 1] * right
                    let lower =
                        lattice[corner + columns] * (1 - right) + lattice[corner + columns + 1] * right
                    return max(0, min(1, 0.5 + 0.25 * (upper * (1 - below) + lower * below)))
                }
            }
        case .checker(let side):
            let side = Float(side)
            fill { x, y in
                let u = x * direction.x + y * direction.y
                let v = y * direction.x - x * direction.y
                let isOdd = Int((u / side).rounded(.down)) + Int((v / side).rounded(.down))
                let edge = min(0.5, min(distance(u, side), distance(v, side)))
                return isOdd & 1 == 0 ? 0.5 - edge : 0.5 + edge
            }
        case .bricks(let side):
            let side = Float(side)
            fill { x, y in
                let row = (y / side).rounded(.down)
                let shifted = x + (Int(row) & 1 == 0 ? 0 : side)
                let edge = min(distance(y, side), distance(shifted, 2 * side))
                return Self.coverage(edge - 0.5 * scale)
            }
        case .lines(let period):
            fill { x, y in
                Self.coverage(distance(x * direction.x + y * direction.y, Float(period)) - 0.6 * scale)
            }
        case .horizon(let height):
            let (height, bottom) = (Float(height), Float(extent.y))
            fill { _, y in
                let isGround = Self.coverage((height - y) * scale)
                // The sky is paler and the ground darker where they meet.
                return isGround * (0.85 + 0.3 * (y - height) / bottom) + (1 - isGround) * 0.15 * y / height
            }
        }
        for mark in ground.clutter {
            self.mark(
                mark.form, .blend(opacity: Float(mark.opacity), softness: Float(mark.softness)), mark.paint)
        }
    }

    // MARK: Things

    private mutating func draw(_ parts: [ScenePart], as instance: UInt8) {
        drawnAreas.append(0)
        for part in parts { mark(part.form, .thing(instance), part.paint) }
    }

    /// Darkens what lies under the shadow of a thing, each pixel once.
    private mutating func cast(_ shadow: ScenePlan.Shadow, of parts: [ScenePart]) {
        let offset = SIMD2<Float>(shadow.offset)
        for part in parts {
            mark(part.form, .shadow(offset: offset, softness: Float(shadow.softness)), .zero)
        }
        let frame = ScenePart.frame(of: parts).moved(by: shadow.offset, grown: shadow.softness)
        let (rows, columns) = pixels(of: frame)
        let strength = Float(shadow.strength)
        for row in rows {
            for index in (row * width + columns.lowerBound)..<(row * width + columns.upperBound)
            where shade[index] > 0 {
                colours[index] *= 1 - strength * shade[index]
                shade[index] = 0
            }
        }
    }

    /// What a form leaves on the canvas.
    private enum Pass {
        /// Its colour, with an edge one pixel soft, and its number.
        case thing(UInt8)
        /// A part of its colour, and no number.
        case blend(opacity: Float, softness: Float)
        case shadow(offset: SIMD2<Float>, softness: Float)
    }

    private mutating func mark(_ form: ScenePart.Form, _ pass: Pass, _ paint: SIMD3<Double>) {
        let colour = Self.colour(paint)
        switch form {
        case .polygon(let vertices, let rounding):
            let rounding = Float(rounding)
            PolygonDistance(vertices).withEdges { edges in
                mark(form.frame, pass) { x, y in
                    PolygonDistance.distance(x, y, edges: edges) - rounding
                } colour: { _, _, _ in
                    colour
                }
            }
        case .stroke(let points, let radius):
            let radius = Float(radius)
            guard points.count > 2 else {
                let from = SIMD2<Float>(points[0])
                let along = SIMD2<Float>(points[1] - points[0])
                mark(form.frame, pass) { x, y in
                    SignedDistance.capsule(x, y, start: from, along: along, radius: radius)
                } colour: { _, _, _ in
                    colour
                }
                return
            }
            StrokeDistance(points).withEdges { edges in
                mark(form.frame, pass) { x, y in
                    StrokeDistance.distance(x, y, edges: edges) - radius
                } colour: { _, _, _ in
                    colour
                }
            }
        case .ellipse(let ellipse):
            let distance = EllipseDistance(ellipse)
            mark(form.frame, pass, bound: distance.bound, distance: distance.distance) { _, _, _ in colour }
        case .shape(let shape): mark(shape, pass, paint)
        }
    }

    private mutating func mark(_ shape: ShapePlan, _ pass: Pass, _ paint: SIMD3<Double>) {
        let radius = Float(shape.radius)
        func polygon(_ unitOutline: [SIMD2<Double>]) {
            PolygonDistance(unitOutline.map { $0 * shape.stretch * shape.radius }).withEdges { edges in
                mark(shape, pass, paint) { PolygonDistance.distance($0, $1, edges: edges) }
            }
        }
        switch shape.kind {
        case .circle: mark(shape, pass, paint) { SignedDistance.length($0, $1) - radius }
        case .square:
            let half = SIMD2<Float>(shape.stretch) * (0.85 * radius)
            mark(shape, pass, paint) { max(abs($0) - half.x, abs($1) - half.y) }
        case .ring: mark(shape, pass, paint) { SignedDistance.ring($0, $1, radius: radius) }
        case .moon: mark(shape, pass, paint) { SignedDistance.moon($0, $1, radius: radius) }
        case .ellipse: mark(shape, pass, paint) { SignedDistance.ellipse($0, $1, radius: radius) }
        case .triangle: polygon(ShapeOutline.triangle)
        case .star: polygon(ShapeOutline.star)
        case .heart: polygon(ShapeOutline.heart)
        case .cross: polygon(ShapeOutline.cross)
        case .diamond: polygon(ShapeOutline.diamond)
        default: preconditionFailure("\(shape.kind.name) is not one of the plain shapes")
        }
    }

    /// Marks a shape whose distance is given in its own, turned coordinates.
    @inline(__always)
    private mutating func mark(
        _ shape: ShapePlan, _ pass: Pass, _ paint: SIMD3<Double>, distance: (Float, Float) -> Float
    ) {
        let (sine, cosine) = (Float(Trigonometry.sine(shape.angle)), Float(Trigonometry.cosine(shape.angle)))
        let (centreX, centreY) = (Float(shape.centre.x), Float(shape.centre.y))
        let radius = Float(shape.radius)
        let base = Self.colour(paint)
        let other = Self.colour(
            paint.min() > 220
                ? [150, 150, 150] : paint.sum() / 3 > 75 ? paint * 0.45 : paint + 110)
        let texture = shape.texture
        let leastPeriod = Float(shape.leastPeriod)
        let period =
            texture == .striped ? max(leastPeriod, 0.42 * radius) : max(1.18 * leastPeriod, 0.5 * radius)
        let rim = Float(shape.rim)
        let scale = scale
        func local(_ x: Float, _ y: Float) -> (Float, Float) {
            let (dx, dy) = (x - centreX, y - centreY)
            return (dx * cosine + dy * sine, dy * cosine - dx * sine)
        }
        /// How far into its cell of the pattern a coordinate is, from the middle, in units.
        func offset(_ value: Float) -> Float {
            let turns = value / period
            return (turns - turns.rounded(.down) - 0.5) * period
        }
        mark(shape.drawnFrame, pass) { x, y in
            let (u, v) = local(x, y)
            return distance(u, v)
        } colour: { x, y, d in
            let (u, v) = local(x, y)
            var colour = base
            switch texture {
            case .solid: colour *= 1 + 0.12 * max(-1, min(1, v / radius))
            case .striped:
                let share = Self.coverage((0.25 * period - abs(offset(u))) * scale)
                colour = base + (other - base) * share
            case .dotted:
                let share = Self.coverage(
                    (SignedDistance.length(offset(u), offset(v)) - 0.3 * period) * scale)
                colour = base + (other - base) * share
            }
            // A darker rim.
            colour *= 1 - 0.225 * Self.coverage((abs(d + 0.5 * rim) - 0.5 * rim) * scale)
            return colour
        }
    }

    // MARK: Pixels

    /// As below, for a distance that never exceeds the true one.
    @inline(__always)
    private mutating func mark(
        _ frame: Frame, _ pass: Pass, distance: (Float, Float) -> Float,
        colour: (_ x: Float, _ y: Float, _ distance: Float) -> SIMD4<Float>
    ) {
        mark(frame, pass, bound: distance, distance: distance, colour: colour)
    }

    /// Marks the pixels where a distance is negative, or nearly so.
    ///
    /// - Parameters:
    ///   - bound: a number of the distance's sign that never exceeds it.
    ///   - colour: the colour of a place.
    @inline(__always)
    private mutating func mark(
        _ frame: Frame, _ pass: Pass, bound: (Float, Float) -> Float, distance: (Float, Float) -> Float,
        colour: (_ x: Float, _ y: Float, _ distance: Float) -> SIMD4<Float>
    ) {
        let (scale, width, origin) = (scale, width, origin)
        switch pass {
        case .thing(let instance):
            var area = 0
            let region = pixels(of: frame)
            colours.withUnsafeMutableBufferPointer { colours in
                instances.withUnsafeMutableBufferPointer { instances in
                    Self.visit(
                        region, origin: origin, scale: scale, softness: 0.5 / scale, bound, distance
                    ) { column, row, x, y, d in
                        let share = Self.coverage(d * scale)
                        guard share > 0 else { return }
                        let index = row * width + column
                        colours[index] += (colour(x, y, d) - colours[index]) * share
                        if d < 0, instances[index] != instance {
                            instances[index] = instance
                            area += 1
                        }
                    }
                }
            }
            drawnAreas[Int(instance) - 1] += area
        case .blend(let opacity, let softness):
            let region = pixels(of: frame.moved(by: .zero, grown: Double(softness)))
            colours.withUnsafeMutableBufferPointer { colours in
                Self.visit(
                    region, origin: origin, scale: scale, softness: softness, bound, distance
                ) { column, row, x, y, d in
                    let share = opacity * Self.coverage(d / (2 * softness))
                    let index = row * width + column
                    colours[index] += (colour(x, y, d) - colours[index]) * share
                }
            }
        case .shadow(let offset, let softness):
            let region = pixels(of: frame.moved(by: SIMD2<Double>(offset), grown: Double(softness)))
            shade.withUnsafeMutableBufferPointer { shade in
                Self.visit(
                    region, origin: origin - offset, scale: scale, softness: softness, bound, distance
                ) { column, row, _, _, d in
                    let index = row * width + column
                    shade[index] = max(shade[index], Self.coverage(d / (2 * softness)))
                }
            }
        }
    }

    /// Calls `body` with the pixels that may lie nearer to a form's inside than `softness`. Eight by eight pixels that
    /// lie wholly inside or outside are found by their middle alone.
    @inline(__always)
    private static func visit(
        _ region: (rows: Range<Int>, columns: Range<Int>), origin: SIMD2<Float>, scale: Float,
        softness: Float,
        _ bound: (Float, Float) -> Float, _ distance: (Float, Float) -> Float,
        _ body: (_ column: Int, _ row: Int, _ x: Float, _ y: Float, _ distance: Float) -> Void
    ) {
        let (rows, columns) = region
        let unit = 1 / scale
        let (originX, originY) = (origin.x, origin.y)
        // From the middle of eight by eight pixels to the middle of the outermost, and a little more.
        let radius = 5 * unit
        // Deeper than any rim.
        let depth = radius + max(softness, 1.6)
        for top in stride(from: rows.lowerBound, to: rows.upperBound, by: 8) {
            let bottom = min(top + 8, rows.upperBound)
            for left in stride(from: columns.lowerBound, to: columns.upperBound, by: 8) {
                let right = min(left + 8, columns.upperBound)
                let middle = bound(
                    Float(left + right) / 2 * unit + originX, Float(top + bottom) / 2 * unit + originY)
                if middle > radius + softness { continue }
                let isInside = middle < -depth
                for row in top..<bottom {
                    let y = (Float(row) + 0.5) * unit + originY
                    for column in left..<right {
                        let x = (Float(column) + 0.5) * unit + originX
                        body(column, row, x, y, isInside ? -1000 : distance(x, y))
                    }
                }
            }
        }
    }

    /// The pixels of a frame, and those around it.
    private func pixels(of frame: Frame) -> (rows: Range<Int>, columns: Range<Int>) {
        func bound(_ value: Double, _ start: Float, _ most: Int) -> Int {
            max(0, min(most, Int((value - Double(start)) * Double(scale))))
        }
        let left = bound(frame.minX - 1 / Double(scale), origin.x, width)
        let right = bound(frame.maxX + 2 / Double(scale), origin.x, width)
        let top = bound(frame.minY - 1 / Double(scale), origin.y, height)
        let bottom = bound(frame.maxY + 2 / Double(scale), origin.y, height)
        return (top..<max(top, bottom), left..<max(left, right))
    }

    /// Smooths the colours with (1 − (x / w)²)², whose variance is w² / 7, along rows and columns.
    private mutating func blur(deviation: Double) {
        let reach = deviation * Double(7).squareRoot()
        let count = Int(reach)
        guard count > 0 else { return }
        var weights = (0...count).map { step in
            let share = Double(step) / reach
            return (1 - share * share) * (1 - share * share)
        }
        let sum = weights[0] + 2 * weights.dropFirst().reduce(0, +)
        weights = weights.map { $0 / sum }
        let taps = weights.map { Float($0) }
        var buffer = colours
        func pass(
            _ source: [SIMD4<Float>], _ target: inout [SIMD4<Float>], lines: Int, length: Int, step: Int,
            next: Int
        ) {
            source.withUnsafeBufferPointer { source in
                target.withUnsafeMutableBufferPointer { target in
                    taps.withUnsafeBufferPointer { taps in
                        for line in 0..<lines {
                            for place in 0..<length {
                                let start = line * next
                                var sum = source[start + place * step] * taps[0]
                                for tap in 1...count {
                                    let before = source[start + max(0, place - tap) * step]
                                    let after = source[start + min(length - 1, place + tap) * step]
                                    sum += (before + after) * taps[tap]
                                }
                                target[start + place * step] = sum
                            }
                        }
                    }
                }
            }
        }
        pass(colours, &buffer, lines: height, length: width, step: 1, next: width)
        pass(buffer, &colours, lines: width, length: height, step: width, next: 1)
    }

    /// How much of a pixel lies inside an edge that is this many pixels away.
    @inline(__always)
    private static func coverage(_ distance: Float) -> Float { max(0, min(1, 0.5 - distance)) }

    private static func colour(_ colour: SIMD3<Double>) -> SIMD4<Float> {
        SIMD4(SIMD3<Float>(colour), 0)
    }
}
