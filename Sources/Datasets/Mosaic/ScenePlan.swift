/// Everything that chance decides in a scene, in units of a 128-pixel picture, so that none of it depends
/// on the size in which it is drawn.
struct ScenePlan {
    /// The sides of the picture in the plan's units.
    static let side = 128.0

    var ground: GroundPlan
    var items: [Item]
    /// The noise's standard deviation in grey levels, and the key of its counter.
    var noise: Double
    var noiseKey: UInt64
    /// The factor on all colours.
    var light: Double

    struct Item {
        var colour: MosaicColour
        /// The colour as painted: the named one, a little varied.
        var paint: SIMD3<Double>
        var frame: Frame
        var content: Content
    }

    enum Content {
        case shape(ShapePlan)
        case figure(FigurePlan)
    }

    init(seed: UInt64, index: Int, configuration: MosaicConfiguration) {
        var random = SceneRandom(seed: seed, index: index)
        ground = GroundPlan(using: &random)
        items = []
        noise = random.number(0, 7)
        light = random.number(0.9, 1.1)
        noiseKey = Self.noiseKey(seed: seed, index: index)

        let maximum = configuration.maximumObjects
        let figures = min(random.index(weighted: [0.55, 0.25, 0.14, 0.06]), maximum)
        let shapes =
            figures == 0
            ? 1 + random.integer(below: maximum)
            : random.integer(below: min(10 - 2 * figures, maximum - figures + 1))
        // A few kinds and colours a scene: several of a kind are then common, and phrases must tell them apart.
        let kinds = Array(
            random.permuted(MosaicKind.allCases.dropLast()).prefix(2 + random.integer(below: 6)))
        let colours = Array(random.permuted(MosaicColour.allCases).prefix(2 + random.integer(below: 6)))
        let isFigure = random.permuted(
            Array(repeating: true, count: figures) + Array(repeating: false, count: shapes))

        for isFigure in isFigure {
            guard let (content, frame) = place(isFigure: isFigure, kinds: kinds, using: &random) else {
                continue
            }
            let colour = random.element(of: colours)
            let variation = SIMD3(random.number(-14, 14), random.number(-14, 14), random.number(-14, 14))
            let paint = (colour.rgb + variation).clamped(lowerBound: .zero, upperBound: .init(repeating: 255))
            items.append(Item(colour: colour, paint: paint, frame: frame, content: content))
        }
    }

    private static func noiseKey(seed: UInt64, index: Int) -> UInt64 {
        var random = SceneRandom(seed: seed, index: index, stream: 1)
        return random.next()
    }

    /// Tries some places until one overlaps little with what stands already.
    private func place(
        isFigure: Bool, kinds: [MosaicKind], using random: inout SceneRandom
    ) -> (Content, Frame)? {
        for _ in 0..<12 {
            if isFigure {
                var figure = FigurePlan(using: &random)
                let frame = figure.frame
                guard frame.width <= Self.side - 4, frame.height <= Self.side - 4 else { continue }
                figure.move(
                    by: [
                        random.number(1, Self.side - 1 - frame.width) - frame.minX,
                        random.number(1, Self.side - 1 - frame.height) - frame.minY,
                    ])
                if isFree(figure.frame) { return (.figure(figure), figure.frame) }
            } else {
                let shape = ShapePlan(kinds: kinds, using: &random)
                if isFree(shape.frame) { return (.shape(shape), shape.frame) }
            }
        }
        return nil
    }

    private func isFree(_ frame: Frame) -> Bool {
        items.allSatisfy {
            $0.frame.intersectionArea(frame) <= 0.22 * min($0.frame.area, frame.area)
        }
    }
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
}

/// One of the ten shapes.
struct ShapePlan {
    var kind: MosaicKind
    var size: MosaicSize
    var texture: MosaicTexture
    var centre: SIMD2<Double>
    var radius: Double
    var angle: Double

    /// The frame that counts for overlap; corners may stick out of it.
    var frame: Frame {
        Frame(
            minX: centre.x - radius, minY: centre.y - radius, maxX: centre.x + radius, maxY: centre.y + radius
        )
    }

    init(kinds: [MosaicKind], using random: inout SceneRandom) {
        size = MosaicSize.allCases[random.index(weighted: [0.36, 0.38, 0.26])]
        radius = random.number(size.radii.0, size.radii.1)
        let margin = 0.9 * radius
        centre = [
            random.number(margin, ScenePlan.side - margin), random.number(margin, ScenePlan.side - margin),
        ]
        kind = random.element(of: kinds)
        texture = MosaicTexture.allCases[random.index(weighted: [0.5, 0.25, 0.25])]
        switch kind {
        case .square, .cross, .heart, .triangle, .star:
            // Upright enough to keep its name: a square on its corner is a diamond.
            angle = random.number(-0.45, 0.45)
        default:
            angle = random.number(0, 2 * Double.pi)
        }
    }
}

/// A jointed puppet seen from the front: its own left is on the picture's right.
struct FigurePlan {
    /// COCO's seventeen joints.
    var joints: [SIMD2<Double>]
    var head: SIMD2<Double>
    /// An eighth of the figure's height.
    var unit: Double
    var skin: SIMD3<Double>
    var trousers: SIMD3<Double>

    init(using random: inout SceneRandom) {
        let unit = random.number(44, 84) / 8
        func direction(_ angle: Double) -> (up: SIMD2<Double>, right: SIMD2<Double>) {
            let (s, c) = (Trigonometry.sine(angle), Trigonometry.cosine(angle))
            return ([s, -c], [c, s])
        }
        let tilt = random.number(-0.25, 0.25)
        let (up, right) = direction(tilt)
        let chest = up * (2.4 * unit)
        var joints = [SIMD2<Double>](repeating: .zero, count: 17)
        joints[5] = chest + right * (0.95 * unit)
        joints[6] = chest - right * (0.95 * unit)
        joints[11] = right * (0.6 * unit)
        joints[12] = -right * (0.6 * unit)

        let (headUp, headRight) = direction(tilt + random.number(-0.3, 0.3))
        head = chest + up * (0.5 * unit) + headUp * (0.95 * unit)
        let yaw = random.number(-0.3, 0.3)
        joints[0] = head + headRight * (0.8 * yaw * unit) - headUp * (0.1 * unit)
        joints[1] = head + headRight * ((0.36 + 0.6 * yaw) * unit) + headUp * (0.22 * unit)
        joints[2] = head + headRight * ((-0.36 + 0.6 * yaw) * unit) + headUp * (0.22 * unit)
        joints[3] = head + headRight * (0.95 * unit)
        joints[4] = head - headRight * (0.95 * unit)

        /// A limb of two parts from `root`, its joints two and four further on, as COCO numbers them.
        func limb(
            from root: Int, side: Double, angle: Double, bend: Double, lengths: (Double, Double)
        ) {
            func toward(_ angle: Double) -> SIMD2<Double> {
                right * (side * Trigonometry.sine(angle)) - up * Trigonometry.cosine(angle)
            }
            joints[root + 2] = joints[root] + toward(angle) * (lengths.0 * unit)
            joints[root + 4] = joints[root + 2] + toward(angle + bend) * (lengths.1 * unit)
        }
        for (root, side) in [(5, 1.0), (6, -1.0)] {
            limb(
                from: root, side: side, angle: random.number(-0.2, 2.6), bend: random.number(-0.3, 1.6),
                lengths: (1.45, 1.35))
        }
        for (root, side) in [(11, 1.0), (12, -1.0)] {
            limb(
                from: root, side: side, angle: random.number(-0.1, 0.8), bend: random.number(-0.9, 0.25),
                lengths: (1.75, 1.75))
        }
        self.joints = joints
        self.unit = unit
        let tone = random.unit()
        skin = SIMD3(235, 195, 165) * (1 - tone) + SIMD3(110, 72, 50) * tone
        trousers = [random.number(30, 110), random.number(30, 110), random.number(30, 110)]
    }

    /// The joints, the head and the flesh around them.
    var frame: Frame {
        let reach = 1.1 * unit
        var low = head - reach
        var high = head + reach
        for joint in joints {
            low = pointwiseMin(low, joint)
            high = pointwiseMax(high, joint)
        }
        let flesh = 0.45 * unit
        return Frame(minX: low.x - flesh, minY: low.y - flesh, maxX: high.x + flesh, maxY: high.y + flesh)
    }

    mutating func move(by offset: SIMD2<Double>) {
        head += offset
        for index in joints.indices { joints[index] += offset }
    }
}

/// What lies behind everything.
struct GroundPlan {
    enum Pattern {
        case plain
        case gradient
        /// Waves, this many across the picture.
        case waves(Double)
        /// Smooth random clouds: the values on a lattice of `cells + 1` points a side.
        case clouds(cells: Int, lattice: [Float])
    }

    var pattern: Pattern
    /// The colours at 0 and 1 of the pattern.
    var colours: (SIMD3<Double>, SIMD3<Double>)
    var direction: SIMD2<Double>

    init(using random: inout SceneRandom) {
        func variation(_ reach: Double) -> SIMD3<Double> {
            [random.number(-reach, reach), random.number(-reach, reach), random.number(-reach, reach)]
        }
        let choice = random.integer(below: 4)
        let first = SIMD3(repeating: random.number(85, 190)) + variation(22)
        let angle = random.number(0, 2 * Double.pi)
        direction = [Trigonometry.cosine(angle), Trigonometry.sine(angle)]
        switch choice {
        case 0:
            pattern = .plain
            colours = (first, first)
        case 1:
            pattern = .gradient
            colours = (first, SIMD3(repeating: random.number(85, 190)) + variation(22))
        case 2:
            pattern = .waves(random.number(1, 6))
            colours = (first, first + variation(25))
        default:
            let cells = 4 + random.integer(below: 13)
            var lattice: [Float] = []
            for _ in 0..<(cells + 1) * (cells + 1) { lattice.append(Float(random.normal())) }
            pattern = .clouds(cells: cells, lattice: lattice)
            colours = (first, first + variation(35))
        }
    }
}
