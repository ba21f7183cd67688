/// How the scenes of the rich ring are composed.
extension ScenePlan {
    mutating func composeRich(using random: inout SceneRandom) {
        lightSlope = [random.number(-0.12, 0.12), random.number(-0.12, 0.12)]
        blur = random.chance(0.4) ? 0 : random.number(0.1, 0.6)
        if random.chance(0.6) {
            let angle = random.number(0, 2 * Double.pi)
            shadow = Shadow(
                offset: SIMD2(Trigonometry.cosine(angle), Trigonometry.sine(angle)) * random.number(0.8, 2.8),
                softness: random.number(0.6, 2.4), strength: random.number(0.2, 0.5))
        }
        let maximum = configuration.maximumObjects
        let isCrowd = maximum >= 15 && random.chance(0.14)
        let count: Int
        if isCrowd {
            count = 15 + random.integer(below: maximum - 14)
        } else if maximum >= 18 {
            count = 1 + random.integer(below: 9) + random.integer(below: 10)
        } else {
            count = 1 + random.integer(below: maximum)
        }
        let kindCount = isCrowd ? 1 + random.integer(below: 4) : 2 + random.integer(below: 7)
        let things = MosaicKind.allCases.filter { $0 != .person }
        var kinds = Array(random.permuted(things).prefix(kindCount))
        // A held-out pair needs a shape.
        if configuration.pairs == .heldOut, !kinds.contains(where: \.isShape) {
            kinds[0] = random.element(of: things.filter(\.isShape))
        }
        let colours = Array(random.permuted(MosaicColour.allCases).prefix(2 + random.integer(below: 7)))
        var figures = isCrowd ? 0 : min(random.index(weighted: [0.5, 0.25, 0.15, 0.1]), count)
        if configuration.pairs == .heldOut { figures = min(figures, maximum - 1) }

        // The large ones stand behind, more often than not.
        var wishes = (0..<count).map { index in
            if index < figures { return Wish(kind: .person, size: nil, length: random.skewed(20, 92)) }
            let weights = isCrowd ? [0.8, 0.2, 0] : [0.47, 0.35, 0.18]
            let size = MosaicSize.allCases[random.index(weighted: weights)]
            let length =
                switch size {
                case .small: random.number(4, 14)
                case .medium: random.number(18, 30)
                case .large: random.skewed(38, 94)
                }
            return Wish(kind: random.element(of: kinds), size: size, length: length)
        }
        if configuration.pairs == .heldOut, !wishes.contains(where: { $0.kind.isShape }) {
            let shape = kinds.first(where: \.isShape)!
            let wish = Wish(kind: shape, size: .medium, length: random.number(18, 30))
            if wishes.count > figures { wishes[figures] = wish } else { wishes.append(wish) }
        }
        wishes = random.permuted(wishes)
        if random.chance(0.75) {
            wishes = wishes.filter { $0.length >= 30 } + wishes.filter { $0.length < 30 }
        }
        for wish in wishes {
            let colour = colour(of: wish.kind, from: colours, using: &random)
            guard let content = placeRich(wish, colour, using: &random) else { continue }
            add(content, frame: content.frame, colour: colour, variation: 18, using: &random)
        }
    }

    private struct Wish {
        var kind: MosaicKind
        /// Nil for a person.
        var size: MosaicSize?
        /// The longer side, or a figure's height.
        var length: Double
    }

    /// Tries some places until one leaves enough of everything to be seen.
    private func placeRich(_ wish: Wish, _ colour: MosaicColour, using random: inout SceneRandom) -> Content?
    {
        let picture = Frame(minX: 0, minY: 0, maxX: extent.x, maxY: extent.y)
        var content = make(wish, using: &random)
        for _ in 0..<12 {
            content.move(to: extent, cut: random.chance(0.28) ? 0.55 : 0, using: &random)
            if !items.isEmpty, random.chance(0.35) {
                // Side by side with another, or in front of it.
                let other = random.element(of: items).frame
                let reach =
                    SIMD2(other.width + content.frame.width, other.height + content.frame.height) * 0.45
                let target = SIMD2(other.minX + other.maxX, other.minY + other.maxY) / 2
                let frame = content.frame
                content.move(
                    by: target - SIMD2(frame.minX + frame.maxX, frame.minY + frame.maxY) / 2
                        + SIMD2(random.number(-reach.x, reach.x), random.number(-reach.y, reach.y)))
            }
            let frame = content.frame
            guard frame.intersectionArea(picture) >= 0.4 * frame.area else { continue }
            let isFree = items.allSatisfy { item in
                let shared = item.frame.intersectionArea(frame)
                // Nobody could tell two things of one colour apart.
                if item.colour == colour, shared > 0.3 * min(item.frame.area, frame.area) { return false }
                return shared <= 0.5 * item.frame.area
            }
            if isFree { return content }
        }
        return nil
    }

    private func make(_ wish: Wish, using random: inout SceneRandom) -> Content {
        guard let size = wish.size else {
            return .figure(FigurePlan(height: wish.length, freedom: .rich, using: &random))
        }
        if wish.kind.isShape {
            return .shape(ShapePlan(kind: wish.kind, size: size, length: wish.length, using: &random))
        }
        return .drawn(DrawnPlan(kind: wish.kind, size: size, length: wish.length, using: &random))
    }
}

extension ScenePlan.Content {
    /// Moves the frame to some place in a picture, up to a share `cut` of its sides outside.
    fileprivate mutating func move(to extent: SIMD2<Double>, cut: Double, using random: inout SceneRandom) {
        move(by: ScenePlan.offset(of: frame, to: extent, cut: cut, using: &random))
    }

    fileprivate mutating func move(by offset: SIMD2<Double>) {
        switch self {
        case .figure(var figure):
            figure.move(by: offset)
            self = .figure(figure)
        case .shape(var shape):
            shape.centre += offset
            self = .shape(shape)
        case .drawn(var drawn):
            drawn.map.origin += offset
            self = .drawn(drawn)
        }
    }
}

extension DrawnPlan {
    /// Around 0.
    ///
    /// - Parameter length: the longer side.
    fileprivate init(kind: MosaicKind, size: MosaicSize, length: Double, using random: inout SceneRandom) {
        let reach = DrawnThing.reach(of: kind)
        let angle = random.number(-reach, reach)
        let isMirrored = random.chance(0.5) && DrawnThing.mayBeMirrored(kind)
        // From 0.8 to 1.25, as wide to high.
        let ratio = random.number(0.8, 1.25).squareRoot()
        let half = DrawnThing.of(kind).half
        let radius = length / 2 / max(half.x * ratio, half.y / ratio)
        let (s, c) = (Trigonometry.sine(angle), Trigonometry.cosine(angle))
        let right = SIMD2(c, s) * (radius * ratio * (isMirrored ? -1 : 1))
        self.init(
            kind: kind, size: size,
            map: AffineMap(origin: .zero, right: right, down: SIMD2(-s, c) * (radius / ratio)),
            weight: random.number(0.85, 1.15))
    }
}

extension SceneRandom {
    /// A number from `low` to `high`, more often low.
    fileprivate mutating func skewed(_ low: Double, _ high: Double) -> Double {
        let share = unit()
        return low + (high - low) * share * share
    }
}
