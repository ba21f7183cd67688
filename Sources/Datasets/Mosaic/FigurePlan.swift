/// A jointed puppet, posed in space and seen from straight ahead: x is right, y is down, z is towards us.
struct FigurePlan {
    /// COCO's seventeen joints.
    var joints: [SIMD2<Double>]
    /// Which joints the figure itself hides.
    var isHidden: [Bool]
    /// The parts from behind to the front; those in `.shirt` take the item's paint.
    private var pieces: [Piece]

    private enum Ink {
        /// The item's paint times a factor.
        case shirt(Double)
        case fixed(SIMD3<Double>)
    }

    private struct Piece {
        var form: ScenePart.Form
        var ink: Ink
        var depth: Double
        /// The joints that it shows.
        var joints: [Int]
    }

    /// How a figure may stand.
    enum Freedom {
        /// Mostly upright, now and then lying.
        case plain
        /// Any way up.
        case rich
    }

    /// - Parameter height: of the figure standing, in the plan's units.
    init(height: Double, freedom: Freedom, using random: inout SceneRandom) {
        let unit = height / 8.5
        // Half of them look at us, more or less.
        let yaw = random.chance(0.5) ? random.number(-0.5, 0.5) : random.number(-Double.pi, Double.pi)
        let pitch = random.number(-0.3, 0.3)
        var roll = random.number(-0.25, 0.25)
        let fall = random.unit()
        switch freedom {
        case .plain: if fall < 0.12 { roll += random.chance(0.5) ? 1.35 : -1.35 }
        case .rich:
            if fall < 0.2 {
                roll = random.number(-Double.pi, Double.pi)
            } else if fall < 0.32 {
                roll += random.chance(0.5) ? 1.45 : -1.45
            } else if fall < 0.38 {
                roll += Double.pi
            }
        }
        let body = Rotation.about(z: roll).after(.about(x: pitch)).after(.about(y: yaw))
        let gaze = body.after(.about(y: random.number(-0.5, 0.5))).after(.about(z: random.number(-0.3, 0.3)))

        // In the body's own axes: x to its left, y up, z ahead.
        var places = [SIMD3<Double>](repeating: .zero, count: 17)
        places[5] = body.apply([0.95, 2.4, 0])
        places[6] = body.apply([-0.95, 2.4, 0])
        places[11] = body.apply([0.6, 0, 0])
        places[12] = body.apply([-0.6, 0, 0])
        let neck = body.apply([0, 2.5, 0])
        let head = body.apply([0, 2.9, 0.05]) + gaze.apply([0, 0.95, 0])
        let face: [SIMD3<Double>] = [
            [0, -0.1, 0.92], [0.34, 0.22, 0.8], [-0.34, 0.22, 0.8], [0.88, 0, 0], [-0.88, 0, 0],
        ]
        for (index, place) in face.enumerated() { places[index] = head + gaze.apply(place) }

        /// The direction of a limb that is lifted ahead by `lift` and to its side by `spread`.
        func direction(_ side: Double, lift: Double, spread: Double) -> SIMD3<Double> {
            let across = Trigonometry.cosine(spread)
            return body.apply([
                side * Trigonometry.sine(spread), -across * Trigonometry.cosine(lift),
                across * Trigonometry.sine(lift),
            ])
        }
        for (root, side) in [(5, 1.0), (6, -1.0)] {
            let lift = random.number(-0.6, 1.4)
            let spread = random.number(-0.1, 2.6)
            places[root + 2] = places[root] + direction(side, lift: lift, spread: spread) * 1.45
            places[root + 4] =
                places[root + 2]
                + direction(
                    side, lift: lift + random.number(0, 1.5), spread: spread + random.number(-0.6, 0.9))
                * 1.35
        }
        let stance = random.unit()
        let (seatLift, seatBend) = (random.number(1.15, 1.6), random.number(1.0, 1.7))
        for (root, side) in [(11, 1.0), (12, -1.0)] {
            let lift: Double
            let bend: Double
            let spread: Double
            if stance < 0.25 {
                // Seated.
                lift = seatLift + random.number(-0.15, 0.15)
                bend = seatBend + random.number(-0.25, 0.25)
                spread = random.number(0, 0.45)
            } else if stance < 0.5 {
                // Running, or on the stairs.
                lift = random.number(-0.7, 1.2)
                bend = random.number(0, 1.6)
                spread = random.number(-0.05, 0.4)
            } else {
                lift = random.number(-0.25, 0.35)
                bend = random.number(0, 0.35)
                spread = random.number(-0.02, 0.65)
            }
            places[root + 2] = places[root] + direction(side, lift: lift, spread: spread) * 1.75
            places[root + 4] =
                places[root + 2]
                + direction(side, lift: lift - bend, spread: spread * random.number(0, 1)) * 1.75
        }
        let tone = random.unit()
        let skin = SIMD3(235, 195, 165) * (1 - tone) + SIMD3(110, 72, 50) * tone
        let trousers: SIMD3<Double> = [
            random.number(30, 110), random.number(30, 110), random.number(30, 110),
        ]
        let lightness = random.unit()
        let hair = SIMD3(42, 32, 28) * (1 - lightness) + SIMD3(165, 125, 75) * lightness

        func flat(_ place: SIMD3<Double>) -> SIMD2<Double> { SIMD2(place.x, place.y) * unit }
        var pieces: [Piece] = []
        func limb(
            _ start: SIMD3<Double>, _ end: SIMD3<Double>, _ radius: Double, _ ink: Ink, _ shown: [Int],
            lead: Double = 0
        ) {
            pieces.append(
                Piece(
                    form: .stroke([flat(start), flat(end)], radius: radius * unit), ink: ink,
                    depth: (start.z + end.z) / 2 + lead, joints: shown))
        }
        for hip in [11, 12] {
            let foot = body.apply([0, -0.1, 0.55])
            limb(places[hip + 4], places[hip + 4] + foot, 0.34, .fixed([35, 30, 30]), [hip + 4], lead: -0.02)
            limb(places[hip + 2], places[hip + 4], 0.32, .fixed(trousers), [hip + 2, hip + 4])
            limb(places[hip], places[hip + 2], 0.38, .fixed(trousers), [hip, hip + 2])
        }
        // Seen from its side a chest is less wide, but as deep.
        let breadth = abs(body.apply([1, 0, 0]).z)
        pieces.append(
            Piece(
                form: .polygon(
                    [flat(places[5]), flat(places[6]), flat(places[12]), flat(places[11])],
                    rounding: (0.3 + 0.22 * breadth) * unit),
                ink: .shirt(1), depth: body.apply([0, 1.2, 0]).z + 0.02, joints: [5, 6, 11, 12]))
        for shoulder in [5, 6] {
            limb(places[shoulder], places[shoulder + 2], 0.3, .shirt(0.86), [shoulder, shoulder + 2])
            limb(
                places[shoulder + 2], places[shoulder + 4], 0.26, .fixed(skin), [shoulder + 2, shoulder + 4])
        }
        limb(neck, head, 0.3, .fixed(skin * 0.9), [], lead: -0.05)
        let ahead = gaze.apply([0, 0, 1])
        limb(head, head, 0.95, .fixed(hair), [])
        let front = head + ahead * 0.28 + gaze.apply([0, -0.12, 0])
        limb(front, front, 0.82, .fixed(skin), [])
        for ear in [3, 4] {
            limb(places[ear], places[ear], 0.28, .fixed(skin * 0.82), [ear], lead: 0.32)
        }
        for eye in [1, 2] { limb(places[eye], places[eye], 0.19, .fixed([20, 20, 20]), [eye]) }
        limb(places[0], places[0], 0.2, .fixed(skin * 0.6), [0])

        let order = pieces.indices.sorted {
            (pieces[$0].depth, $0) < (pieces[$1].depth, $1)
        }
        self.pieces = order.map { pieces[$0] }
        joints = places.map(flat)
        isHidden = []
        isHidden = (0..<17).map(hides)
    }

    /// Whether a part in front of all that show a joint covers it.
    private func hides(_ joint: Int) -> Bool {
        let last = pieces.lastIndex { $0.joints.contains(joint) } ?? 0
        return pieces[(last + 1)...].contains { $0.form.covers(joints[joint]) }
    }

    /// The joints, the head and the flesh around them.
    var frame: Frame {
        pieces.dropFirst().reduce(pieces[0].form.frame) { $0.union($1.form.frame) }
    }

    mutating func move(by offset: SIMD2<Double>) {
        let map = AffineMap(origin: offset, right: [1, 0], down: [0, 1])
        for index in joints.indices { joints[index] += offset }
        for index in pieces.indices { pieces[index].form = pieces[index].form.mapped(map) }
    }

    func parts(paint: SIMD3<Double>) -> [ScenePart] {
        pieces.map { piece in
            switch piece.ink {
            case .shirt(let factor): ScenePart(form: piece.form, paint: paint * factor)
            case .fixed(let colour): ScenePart(form: piece.form, paint: colour)
            }
        }
    }
}

extension ScenePart.Form {
    /// Whether a point is inside.
    fileprivate func covers(_ point: SIMD2<Double>) -> Bool {
        let (x, y) = (Float(point.x), Float(point.y))
        switch self {
        case .polygon(let vertices, let rounding):
            return PolygonDistance(vertices).withEdges {
                PolygonDistance.distance(x, y, edges: $0) < Float(rounding)
            }
        case .stroke(let points, let radius):
            return zip(points, points.dropFirst()).contains { start, end in
                SignedDistance.capsule(
                    x, y, start: SIMD2<Float>(start), along: SIMD2<Float>(end - start), radius: Float(radius))
                    < 0
            }
        case .ellipse, .shape: return false
        }
    }
}

/// A rotation in space, from axes that go right, up and ahead, to the picture's, which go right, down and towards us.
private struct Rotation {
    /// The images of the three axes, still with y up.
    var x: SIMD3<Double> = [1, 0, 0]
    var y: SIMD3<Double> = [0, 1, 0]
    var z: SIMD3<Double> = [0, 0, 1]

    static func about(x angle: Double) -> Rotation {
        let (s, c) = (Trigonometry.sine(angle), Trigonometry.cosine(angle))
        return Rotation(y: [0, c, s], z: [0, -s, c])
    }

    static func about(y angle: Double) -> Rotation {
        let (s, c) = (Trigonometry.sine(angle), Trigonometry.cosine(angle))
        return Rotation(x: [c, 0, -s], z: [s, 0, c])
    }

    static func about(z angle: Double) -> Rotation {
        let (s, c) = (Trigonometry.sine(angle), Trigonometry.cosine(angle))
        return Rotation(x: [c, s, 0], y: [-s, c, 0])
    }

    private func turned(_ vector: SIMD3<Double>) -> SIMD3<Double> {
        x * vector.x + y * vector.y + z * vector.z
    }

    /// The rotation that does `first`, then this one.
    func after(_ first: Rotation) -> Rotation {
        Rotation(x: turned(first.x), y: turned(first.y), z: turned(first.z))
    }

    /// The picture's coordinates of a vector in the body's axes.
    func apply(_ vector: SIMD3<Double>) -> SIMD3<Double> { turned(vector) * SIMD3(1, -1, 1) }
}
