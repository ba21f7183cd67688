/// Everything that chance decides in a scene, in units of a picture whose shorter side is 128, so that none of
/// it depends on the size in which it is drawn.
struct ScenePlan {
    /// The shorter side of the picture in the plan's units.
    static let side = 128.0

    /// The width and the height of the picture in the plan's units.
    let extent: SIMD2<Double>
    let configuration: MosaicConfiguration
    var ground: GroundPlan
    var items: [Item] = []
    /// The noise's standard deviation in grey levels, and the key of its counter.
    var noise: Double
    var noiseKey: UInt64
    /// The factors on red, green and blue.
    var light: SIMD3<Double>
    /// What is added to the factors from the middle of the picture to a side, right and down.
    var lightSlope: SIMD2<Double> = .zero
    /// The standard deviation of the blur, in units.
    var blur = 0.0
    var shadow: Shadow?

    /// How shadows fall.
    struct Shadow {
        var offset: SIMD2<Double>
        /// Half the width of the edge.
        var softness: Double
        /// The light that is lost in the middle.
        var strength: Double
    }

    struct Item {
        var colour: MosaicColour
        /// The colour as painted: the named one, a little varied.
        var paint: SIMD3<Double>
        /// The frame that counts for overlap.
        var frame: Frame
        var content: Content

        var kind: MosaicKind {
            switch content {
            case .shape(let shape): shape.kind
            case .figure: .person
            case .drawn(let drawn): drawn.kind
            }
        }

        /// From behind to the front.
        var parts: [ScenePart] {
            switch content {
            case .shape(let shape): [ScenePart(form: .shape(shape), paint: paint)]
            case .figure(let figure): figure.parts(paint: paint)
            case .drawn(let drawn): drawn.parts(paint: paint)
            }
        }
    }

    enum Content {
        case shape(ShapePlan)
        case figure(FigurePlan)
        case drawn(DrawnPlan)

        var frame: Frame {
            switch self {
            case .shape(let shape): shape.frame
            case .figure(let figure): figure.frame
            case .drawn(let drawn): drawn.frame
            }
        }
    }

    /// - Parameter attempt: 0, and more when what came of the plan cannot be used.
    init(seed: UInt64, index: Int, configuration: MosaicConfiguration, attempt: Int) {
        // Streams from 1 to 999 have other uses.
        var random = SceneRandom(
            seed: seed, index: index, stream: attempt == 0 ? 0 : 1000 + UInt64(attempt))
        let shorter = Double(min(configuration.width, configuration.height))
        extent = SIMD2(Double(configuration.width), Double(configuration.height)) * (Self.side / shorter)
        self.configuration = configuration
        var noiseRandom = SceneRandom(seed: seed, index: index, stream: 1)
        noiseKey = noiseRandom.next()
        switch configuration.ring {
        case .plain:
            ground = GroundPlan(extent: extent, using: &random)
            noise = random.number(0, 7)
            light = SIMD3(repeating: random.number(0.9, 1.1))
            composePlain(using: &random)
        case .rich:
            ground = GroundPlan(richOf: extent, using: &random)
            noise = random.number(0, 8)
            light = SIMD3(repeating: random.number(0.85, 1.1)) * (1 + random.colour(0.12))
            composeRich(using: &random)
        }
    }

    /// Adds a thing in a colour that its kind may have.
    mutating func add(
        _ content: Content, frame: Frame, colour: MosaicColour, variation: Double,
        using random: inout SceneRandom
    ) {
        let paint = (colour.rgb + random.colour(variation))
            .clamped(lowerBound: .zero, upperBound: .init(repeating: 255))
        items.append(Item(colour: colour, paint: paint, frame: frame, content: content))
    }

    /// One of the colours that `configuration.pairs` allows a kind; held-out ones are sought first when they are
    /// wanted and none is there.
    func colour(
        of kind: MosaicKind, from colours: [MosaicColour], using random: inout SceneRandom
    ) -> MosaicColour {
        switch configuration.pairs {
        case .all: break
        case .trained:
            let allowed = colours.filter { !MosaicConfiguration.isHeldOut($0, kind) }
            // There are two colours or more, of which one is left out.
            return random.element(of: allowed)
        case .heldOut:
            if kind.isShape, !hasHeldOutPair {
                return MosaicColour.allCases.first { MosaicConfiguration.isHeldOut($0, kind) }!
            }
        }
        return random.element(of: colours)
    }

    var hasHeldOutPair: Bool { items.contains { MosaicConfiguration.isHeldOut($0.colour, $0.kind) } }

    // MARK: The plain ring

    private mutating func composePlain(using random: inout SceneRandom) {
        let maximum = configuration.maximumObjects
        var figures = min(random.index(weighted: [0.55, 0.25, 0.14, 0.06]), maximum)
        // A held-out pair needs a shape.
        if configuration.pairs == .heldOut { figures = min(figures, maximum - 1) }
        let room = Int(10 * (extent.x / Self.side) * (extent.y / Self.side))
        var shapes =
            figures == 0
            ? 1 + random.integer(below: maximum)
            : random.integer(below: min(room - 2 * figures, maximum - figures + 1))
        if configuration.pairs == .heldOut { shapes = max(shapes, 1) }
        // A few kinds and colours a scene: several of a kind are then common, and phrases must tell them apart.
        let kinds = Array(
            random.permuted(MosaicKind.plain.dropLast()).prefix(2 + random.integer(below: 6)))
        let colours = Array(random.permuted(MosaicColour.allCases).prefix(2 + random.integer(below: 6)))
        let isFigure = random.permuted(
            Array(repeating: true, count: figures) + Array(repeating: false, count: shapes))

        for isFigure in isFigure {
            guard let content = placePlain(isFigure: isFigure, kinds: kinds, using: &random) else { continue }
            let kind: MosaicKind = if case .shape(let shape) = content { shape.kind } else { .person }
            let colour = colour(of: kind, from: colours, using: &random)
            add(content, frame: content.frame, colour: colour, variation: 14, using: &random)
        }
    }

    /// Tries some places until one overlaps little with what stands already.
    private func placePlain(
        isFigure: Bool, kinds: [MosaicKind], using random: inout SceneRandom
    ) -> Content? {
        for _ in 0..<12 {
            if isFigure {
                var figure = FigurePlan(height: random.number(40, 90), freedom: .plain, using: &random)
                // Under four tenths are out of the picture.
                let cut = random.chance(0.3) ? 0.38 : 0
                figure.move(by: Self.offset(of: figure.frame, to: extent, cut: cut, using: &random))
                let frame = figure.frame
                let picture = Frame(minX: 0, minY: 0, maxX: extent.x, maxY: extent.y)
                guard frame.intersectionArea(picture) >= 0.6 * frame.area else { continue }
                if isFree(frame, isFigure: true) { return .figure(figure) }
            } else {
                let shape = ShapePlan(kinds: kinds, extent: extent, using: &random)
                if isFree(shape.frame, isFigure: false) { return .shape(shape) }
            }
        }
        return nil
    }

    /// Figures may be half covered, and cover half; shapes stay apart.
    private func isFree(_ frame: Frame, isFigure: Bool) -> Bool {
        items.allSatisfy { item in
            let share = isFigure || item.kind == .person ? 0.5 : 0.22
            return item.frame.intersectionArea(frame) <= share * min(item.frame.area, frame.area)
        }
    }
}

extension ScenePlan {
    /// What moves a frame to some place in a picture, up to a share `cut` of its sides outside.
    static func offset(
        of frame: Frame, to extent: SIMD2<Double>, cut: Double, using random: inout SceneRandom
    ) -> SIMD2<Double> {
        func place(_ length: Double, _ room: Double) -> Double {
            let low = 1 - cut * length
            let high = room - 1 - length + cut * length
            // What is longer than the picture is cut on both sides.
            return random.number(min(low, high), max(low, high))
        }
        let x = place(frame.width, extent.x) - frame.minX
        let y = place(frame.height, extent.y) - frame.minY
        return [x, y]
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
    /// The factors on the width and the height of those with corners.
    var stretch: SIMD2<Double> = [1, 1]
    /// The width of the darker rim.
    var rim = 1.0
    /// The least period of a pattern.
    var leastPeriod = 3.4

    /// The frame that counts for overlap; corners may stick out of it.
    var frame: Frame { frame(of: radius * stretch.max()) }

    /// The frame of all its pixels: a square's corner is 1.2 radii from its centre, farther than any other's.
    var drawnFrame: Frame { frame(of: 1.21 * radius * stretch.max()) }

    private func frame(of reach: Double) -> Frame {
        Frame(minX: centre.x - reach, minY: centre.y - reach, maxX: centre.x + reach, maxY: centre.y + reach)
    }

    init(kinds: [MosaicKind], extent: SIMD2<Double>, using random: inout SceneRandom) {
        size = MosaicSize.allCases[random.index(weighted: [0.36, 0.38, 0.26])]
        radius = random.number(size.radii.0, size.radii.1)
        let margin = 0.9 * radius
        centre = [random.number(margin, extent.x - margin), random.number(margin, extent.y - margin)]
        kind = random.element(of: kinds)
        texture = Self.texture(using: &random)
        angle = Self.angle(of: kind, using: &random)
    }

    /// One of the rich ring, around 0.
    ///
    /// - Parameter length: the longer side.
    init(kind: MosaicKind, size: MosaicSize, length: Double, using random: inout SceneRandom) {
        self.kind = kind
        self.size = size
        centre = .zero
        angle = Self.angle(of: kind, using: &random)
        // Patterns on what is smaller could not be told apart.
        texture = length < 11 ? .solid : Self.texture(using: &random)
        if ![.circle, .ring, .moon, .ellipse].contains(kind) {
            let ratio = random.number(0.85, 1.18).squareRoot()
            stretch = [ratio, 1 / ratio]
        }
        radius = length / (ShapeOutline.extent(of: kind) * stretch).max()
        rim = min(1, 0.1 * radius)
        leastPeriod = 2.2
    }

    private static func texture(using random: inout SceneRandom) -> MosaicTexture {
        MosaicTexture.allCases[random.index(weighted: [0.5, 0.25, 0.25])]
    }

    private static func angle(of kind: MosaicKind, using random: inout SceneRandom) -> Double {
        switch kind {
        case .square, .cross, .heart, .triangle, .star:
            // Upright enough to keep its name: a square on its corner is a diamond.
            random.number(-0.45, 0.45)
        default:
            random.number(0, 2 * Double.pi)
        }
    }
}
