/// The letters, digits and drawn things, each centred with a longer side of 2.
struct DrawnThing {
    /// A piece's colour.
    enum Ink {
        /// The thing's own.
        case body
        /// Its own, made to stand out from it.
        case contrast
        /// Its own, paler.
        case pale
        /// Natural colours, changed when they are too near to the body's.
        case fixed(SIMD3<Double>)
    }

    /// From behind to the front.
    let parts: [(form: ScenePart.Form, ink: Ink)]
    /// Half the width and the height.
    let half: SIMD2<Double>

    private init(_ parts: [(ScenePart.Form, Ink)]) {
        let frame = parts.dropFirst().reduce(parts[0].0.frame) { $0.union($1.0.frame) }
        let factor = 2 / max(frame.width, frame.height)
        let middle = SIMD2(frame.minX + frame.maxX, frame.minY + frame.maxY) / 2
        let map = AffineMap(origin: middle * -factor, right: [factor, 0], down: [0, factor])
        self.parts = parts.map { ($0.0.mapped(map), $0.1) }
        half = SIMD2(frame.width, frame.height) * (factor / 2)
    }

    /// - Precondition: `kind` is neither a shape nor a person.
    static func of(_ kind: MosaicKind) -> DrawnThing { all[kind.rawValue - MosaicKind.letterA.rawValue] }

    private static let all = MosaicKind.allCases.dropFirst(MosaicKind.letterA.rawValue).map {
        DrawnThing(parts(of: $0))
    }

    /// How a thing may be turned, either way, before it would look like something else or fall over.
    static func reach(of kind: MosaicKind) -> Double {
        switch kind {
        case .arrow, .key, .leaf, .sun, .flower: Double.pi
        case .fish, .bird, .apple: 0.6
        case .letterA, .letterB, .letterE, .letterH, .letterK, .letterM, .letterR, .letterS,
            .digit2, .digit3, .digit4, .digit5, .digit7, .digit8:
            0.4
        default: 0.35
        }
    }

    /// Whether it may be seen from its other side.
    static func mayBeMirrored(_ kind: MosaicKind) -> Bool { kind.rawValue >= MosaicKind.house.rawValue }

    // MARK: The drawings

    private static let brown: SIMD3<Double> = [110, 72, 40]
    private static let dark: SIMD3<Double> = [38, 36, 38]
    private static let leafGreen: SIMD3<Double> = [62, 125, 52]
    private static let glass: SIMD3<Double> = [190, 220, 232]
    private static let cream: SIMD3<Double> = [238, 226, 200]

    private static func polygon(_ vertices: [SIMD2<Double>], rounding: Double = 0) -> ScenePart.Form {
        .polygon(vertices, rounding: rounding)
    }

    private static func box(
        _ x: ClosedRange<Double>, _ y: ClosedRange<Double>, rounding: Double = 0
    ) -> ScenePart.Form {
        let (left, right) = (x.lowerBound + rounding, x.upperBound - rounding)
        let (top, bottom) = (y.lowerBound + rounding, y.upperBound - rounding)
        return .polygon(
            [[left, top], [right, top], [right, bottom], [left, bottom]], rounding: rounding)
    }

    private static func disc(_ x: Double, _ y: Double, _ radius: Double) -> ScenePart.Form {
        oval(x, y, radius, radius)
    }

    private static func oval(
        _ x: Double, _ y: Double, _ a: Double, _ b: Double, angle: Double = 0
    ) -> ScenePart.Form {
        let (s, c) = (Trigonometry.sine(angle), Trigonometry.cosine(angle))
        return .ellipse(EllipseForm(centre: [x, y], first: [a * c, a * s], second: [-b * s, b * c]))
    }

    private static func line(_ points: [SIMD2<Double>], _ radius: Double) -> ScenePart.Form {
        .stroke(points, radius: radius)
    }

    /// Points on an ellipse from one angle to another, in degrees: 0 is right, 90 down.
    private static func arc(
        _ x: Double, _ y: Double, _ a: Double, _ b: Double, _ from: Double, _ to: Double
    ) -> [SIMD2<Double>] {
        let steps = max(2, Int(abs(to - from) / 15 + 0.5))
        return (0...steps).map { step in
            let angle = (from + (to - from) * Double(step) / Double(steps)) * (Double.pi / 180)
            return [x + a * Trigonometry.cosine(angle), y + b * Trigonometry.sine(angle)]
        }
    }

    private static func parts(of kind: MosaicKind) -> [(ScenePart.Form, Ink)] {
        func glyph(_ strokes: [SIMD2<Double>]...) -> [(ScenePart.Form, Ink)] {
            strokes.map { (line($0, 0.18), .body) }
        }
        switch kind {
        case .letterA:
            return glyph([[-0.6, 0.83], [0, -0.83], [0.6, 0.83]], [[-0.36, 0.28], [0.36, 0.28]])
        case .letterB:
            return glyph(
                [[-0.48, -0.83]] + arc(0.08, -0.43, 0.36, 0.4, -90, 90) + [[-0.48, -0.03]],
                [[-0.48, -0.83], [-0.48, 0.83]],
                [[-0.48, -0.03]] + arc(0.1, 0.4, 0.42, 0.43, -90, 90) + [[-0.48, 0.83]])
        case .letterE:
            return glyph(
                [[0.5, -0.83], [-0.5, -0.83], [-0.5, 0.83], [0.5, 0.83]], [[-0.5, 0], [0.36, 0]])
        case .letterH:
            return glyph(
                [[-0.54, -0.83], [-0.54, 0.83]], [[0.54, -0.83], [0.54, 0.83]], [[-0.54, 0], [0.54, 0]])
        case .letterK:
            return glyph(
                [[-0.5, -0.83], [-0.5, 0.83]], [[0.5, -0.83], [-0.5, 0.18]], [[-0.1, -0.2], [0.56, 0.83]])
        case .letterM:
            return glyph([[-0.68, 0.83], [-0.68, -0.83], [0, 0.25], [0.68, -0.83], [0.68, 0.83]])
        case .letterR:
            return glyph(
                [[-0.48, 0.83], [-0.48, -0.83]] + arc(0.08, -0.42, 0.4, 0.41, -90, 90) + [[-0.48, -0.01]],
                [[0, 0], [0.52, 0.83]])
        case .letterS:
            return glyph(arc(0, -0.42, 0.48, 0.42, -20, -270) + arc(0, 0.42, 0.5, 0.42, -90, 160))
        case .digit2:
            return glyph(arc(0, -0.36, 0.5, 0.47, -175, 35) + [[-0.52, 0.83], [0.55, 0.83]])
        case .digit3:
            return glyph(
                arc(-0.04, -0.42, 0.48, 0.41, -150, 90) + [[-0.2, -0.01]],
                arc(-0.04, 0.41, 0.54, 0.42, -90, 150))
        case .digit4: return glyph([[0.25, 0.83], [0.25, -0.83], [-0.58, 0.33], [0.6, 0.33]])
        case .digit5:
            return glyph(
                [[0.46, -0.83], [-0.4, -0.83], [-0.46, -0.1]] + arc(-0.02, 0.31, 0.53, 0.52, -125, 145))
        case .digit7: return glyph([[-0.52, -0.83], [0.52, -0.83], [-0.14, 0.83]])
        case .digit8:
            return glyph(arc(0, -0.43, 0.4, 0.4, -90, 270), arc(0, 0.4, 0.5, 0.43, -90, 270))
        case .house:
            return [
                (box(0.4...0.62, -0.85...(-0.3)), .contrast),
                (box(-0.74...0.74, -0.15...0.95), .body),
                (polygon([[-1, -0.08], [0, -0.98], [1, -0.08]]), .contrast),
                (box(-0.5...(-0.08), 0.25...0.95), .fixed(brown)),
                (box(0.16...0.54, 0.2...0.56), .fixed(glass)),
            ]
        case .tree:
            return [
                (box(-0.14...0.14, 0.5...1), .fixed(brown)),
                (polygon([[0, -0.3], [0.78, 0.66], [-0.78, 0.66]]), .body),
                (polygon([[0, -0.68], [0.62, 0.16], [-0.62, 0.16]]), .body),
                (polygon([[0, -1], [0.46, -0.34], [-0.46, -0.34]]), .body),
                (line([[-0.4, 0.16], [0.4, 0.16]], 0.035), .contrast),
                (line([[-0.28, -0.34], [0.28, -0.34]], 0.035), .contrast),
            ]
        case .car:
            return [
                (
                    polygon([[-0.6, 0.05], [-0.38, -0.48], [0.28, -0.48], [0.6, 0.05]], rounding: 0.04), .body
                ),
                (box(-1...1, -0.02...0.45, rounding: 0.14), .body),
                (polygon([[-0.47, 0], [-0.3, -0.37], [-0.06, -0.37], [-0.06, 0]]), .fixed(glass)),
                (polygon([[0.06, 0], [0.06, -0.37], [0.23, -0.37], [0.44, 0]]), .fixed(glass)),
                (disc(-0.54, 0.44, 0.25), .fixed(dark)), (disc(0.54, 0.44, 0.25), .fixed(dark)),
                (disc(-0.54, 0.44, 0.1), .fixed([180, 180, 185])),
                (disc(0.54, 0.44, 0.1), .fixed([180, 180, 185])),
                (disc(0.9, 0.17, 0.08), .fixed([250, 240, 170])),
            ]
        case .boat:
            return [
                (line([[0, 0.4], [0, -0.95]], 0.05), .fixed(brown)),
                (polygon([[0.1, -0.88], [0.82, 0.2], [0.1, 0.2]]), .pale),
                (polygon([[-0.1, -0.66], [-0.1, 0.2], [-0.66, 0.2]]), .contrast),
                (polygon([[-1, 0.36], [1, 0.36], [0.66, 0.92], [-0.62, 0.92]]), .body),
            ]
        case .fish:
            return [
                (polygon([[-0.25, -0.32], [0.1, -0.66], [0.32, -0.25]]), .contrast),
                (polygon([[0.42, 0], [1, -0.46], [0.86, 0], [1, 0.46]]), .body),
                (oval(-0.16, 0, 0.76, 0.44), .body),
                (polygon([[-0.1, 0.08], [0.25, -0.02], [0.22, 0.26]]), .contrast),
                (disc(-0.58, -0.1, 0.12), .fixed([248, 248, 248])), (disc(-0.6, -0.1, 0.06), .fixed(dark)),
            ]
        case .bird:
            return [
                (line([[-0.08, 0.4], [-0.12, 0.86]], 0.045), .fixed([225, 140, 40])),
                (line([[0.14, 0.4], [0.12, 0.86]], 0.045), .fixed([225, 140, 40])),
                (polygon([[-0.62, -0.42], [-1, -0.24], [-0.62, -0.12]]), .fixed([235, 150, 30])),
                (polygon([[0.3, -0.04], [1, -0.3], [0.98, 0.02], [0.36, 0.36]]), .body),
                (oval(0.02, 0.12, 0.58, 0.4, angle: -0.12), .body), (disc(-0.46, -0.28, 0.31), .body),
                (oval(0.16, 0.08, 0.34, 0.2, angle: -0.25), .contrast),
                (disc(-0.55, -0.36, 0.075), .fixed([248, 248, 248])),
                (disc(-0.56, -0.36, 0.045), .fixed(dark)),
            ]
        case .flower:
            let petals: [(ScenePart.Form, Ink)] = (0..<5).map { index in
                let angle = Double(index) * 2 * Double.pi / 5 - Double.pi / 2
                let (c, s) = (Trigonometry.cosine(angle), Trigonometry.sine(angle))
                return (oval(0.38 * c, -0.35 + 0.38 * s, 0.33, 0.25, angle: angle), .body)
            }
            return [
                (line([[0, -0.3], [0.03, 0.4], [0, 1]], 0.07), .fixed(leafGreen)),
                (oval(0.28, 0.62, 0.3, 0.12, angle: -0.6), .fixed(leafGreen)),
            ] + petals + [(disc(0, -0.35, 0.2), .fixed([248, 205, 70]))]
        case .cup:
            return [
                (line(arc(0.4, 0, 0.38, 0.36, -100, 100), 0.1), .body),
                (
                    polygon([[-0.74, -0.56], [0.5, -0.56], [0.36, 0.72], [-0.6, 0.72]], rounding: 0.05), .body
                ),
                (oval(-0.12, -0.56, 0.67, 0.17), .body), (oval(-0.12, -0.56, 0.56, 0.11), .contrast),
            ]
        case .sun:
            let rays: [(ScenePart.Form, Ink)] = (0..<10).map { index in
                let angle = Double(index) * 2 * Double.pi / 10 - Double.pi / 2
                let ray = SIMD2(Trigonometry.cosine(angle), Trigonometry.sine(angle))
                let side = SIMD2(-ray.y, ray.x) * 0.13
                return (polygon([ray * 0.66 + side, ray, ray * 0.66 - side]), .body)
            }
            return rays + [(disc(0, 0, 0.54), .body), (disc(-0.04, -0.04, 0.36), .pale)]
        case .cloud:
            return [
                (box(-0.95...0.95, 0.06...0.58, rounding: 0.25), .body), (disc(-0.46, 0.02, 0.38), .body),
                (disc(0.06, -0.16, 0.48), .body), (disc(0.52, 0.08, 0.34), .body),
            ]
        case .key:
            return [
                (line(arc(-0.6, 0, 0.28, 0.28, 0, 360), 0.12), .body),
                (line([[-0.3, 0], [0.9, 0]], 0.1), .body),
                (line([[0.5, 0], [0.5, 0.3]], 0.09), .body),
                (line([[0.84, 0], [0.84, 0.36]], 0.09), .body),
            ]
        case .umbrella:
            let scallops = (0..<4).flatMap { arc(0.675 - 0.45 * Double($0), 0.02, 0.225, 0.13, 0, -180) }
            return [
                (line([[0, -0.95], [0, 0.72]] + arc(-0.17, 0.72, 0.17, 0.2, 0, 180), 0.06), .fixed(brown)),
                (polygon(arc(0, 0.02, 0.9, 0.86, 180, 360) + scallops), .body),
                (line([[0, -0.8], [-0.45, 0]], 0.03), .contrast),
                (line([[0, -0.8], [0.45, 0]], 0.03), .contrast),
                (line([[0, -0.8], [0, -0.06]], 0.03), .contrast),
            ]
        case .mushroom:
            return [
                (
                    polygon([[-0.22, 0.05], [0.22, 0.05], [0.3, 0.85], [-0.3, 0.85]], rounding: 0.08),
                    .fixed(cream)
                ),
                (polygon(arc(0, 0.12, 0.92, 0.95, 180, 360), rounding: 0.06), .body),
                (oval(-0.42, -0.2, 0.17, 0.15), .fixed([246, 246, 240])),
                (oval(0.12, -0.5, 0.2, 0.16), .fixed([246, 246, 240])),
                (oval(0.5, -0.12, 0.15, 0.13), .fixed([246, 246, 240])),
            ]
        case .apple:
            return [
                (line([[0, -0.35], [0.05, -0.7], [0.14, -0.9]], 0.06), .fixed(brown)),
                (oval(0.42, -0.72, 0.3, 0.14, angle: -0.35), .fixed(leafGreen)),
                (oval(-0.3, 0.2, 0.52, 0.66, angle: 0.1), .body),
                (oval(0.3, 0.2, 0.52, 0.66, angle: -0.1), .body),
                (oval(-0.48, 0, 0.1, 0.2, angle: 0.3), .pale),
            ]
        case .leaf:
            let right = arc(-0.62, -0.15, 1.05, 1.08, -50, 50)
            let left = right.reversed().map { SIMD2(-$0.x, $0.y) }
            return [
                (line([[0, 0.5], [0.04, 1.05]], 0.06), .body), (polygon(right + left), .body),
                (line([[0, -0.75], [0, 0.62]], 0.04), .contrast),
                (line([[-0.26, -0.42], [0, -0.18], [0.26, -0.42]], 0.03), .contrast),
                (line([[-0.28, 0], [0, 0.24], [0.28, 0]], 0.03), .contrast),
            ]
        case .arrow:
            return [
                (
                    polygon([
                        [-1, -0.2], [0.15, -0.2], [0.15, -0.6], [1, 0], [0.15, 0.6], [0.15, 0.2], [-1, 0.2],
                    ]), .body
                )
            ]
        case .clock:
            let ticks: [(ScenePart.Form, Ink)] = (0..<4).map { index in
                let angle = Double(index) * Double.pi / 2
                let ray = SIMD2(Trigonometry.cosine(angle), Trigonometry.sine(angle))
                return (line([[0, 0.1] + ray * 0.52, [0, 0.1] + ray * 0.6], 0.05), .contrast)
            }
            return [
                (line([[-0.45, 0.7], [-0.6, 0.95]], 0.09), .contrast),
                (line([[0.45, 0.7], [0.6, 0.95]], 0.09), .contrast),
                (disc(-0.5, -0.62, 0.3), .contrast), (disc(0.5, -0.62, 0.3), .contrast),
                (disc(0, 0.1, 0.82), .body), (line(arc(0, 0.1, 0.75, 0.75, 0, 360), 0.04), .contrast),
            ] + ticks + [
                (line([[0, 0.1], [0, -0.36]], 0.06), .contrast),
                (line([[0, 0.1], [0.32, 0.26]], 0.07), .contrast),
            ]
        case .lamp:
            return [
                (line([[0, -0.1], [0, 0.85]], 0.08), .fixed([150, 130, 90])),
                (
                    polygon([[-0.42, 0.94], [-0.3, 0.78], [0.3, 0.78], [0.42, 0.94]], rounding: 0.05), .body
                ),
                (oval(0, 0, 0.5, 0.12), .fixed([255, 244, 180])),
                (polygon([[-0.36, -0.98], [0.36, -0.98], [0.76, -0.02], [-0.76, -0.02]]), .body),
                (line([[-0.7, -0.08], [0.7, -0.08]], 0.04), .contrast),
            ]
        default: preconditionFailure("\(kind.name) is not drawn from parts")
        }
    }
}

/// A letter, a digit or a drawn thing in its place.
struct DrawnPlan {
    var kind: MosaicKind
    var size: MosaicSize
    var map: AffineMap
    /// The factor on the thickness of a glyph's strokes.
    var weight: Double

    var frame: Frame {
        let half = DrawnThing.of(kind).half
        let reach = (half.x * map.right).magnitudes + (half.y * map.down).magnitudes
        let (low, high) = (map.origin - reach, map.origin + reach)
        return Frame(minX: low.x, minY: low.y, maxX: high.x, maxY: high.y)
    }

    func parts(paint: SIMD3<Double>) -> [ScenePart] {
        DrawnThing.of(kind).parts.map { part in
            var form = part.form.mapped(map)
            if case .stroke(let points, let radius) = form, kind.rawValue < MosaicKind.house.rawValue {
                form = .stroke(points, radius: radius * weight)
            }
            return ScenePart(form: form, paint: part.ink.colour(on: paint))
        }
    }
}

extension SIMD2<Double> {
    var magnitudes: SIMD2<Double> { [abs(x), abs(y)] }
}

extension DrawnThing.Ink {
    /// The colour of a piece of a thing that is painted `paint`.
    func colour(on paint: SIMD3<Double>) -> SIMD3<Double> {
        let brightness = paint.sum() / 3
        switch self {
        case .body: return paint
        case .contrast:
            return brightness > 215 ? [150, 150, 150] : brightness > 75 ? paint * 0.55 : paint + 95
        case .pale: return brightness > 215 ? paint - 32 : paint * 0.5 + 125
        case .fixed(let colour):
            let difference = colour - paint
            if abs(difference.x) + abs(difference.y) + abs(difference.z) > 110 { return colour }
            return brightness > 100 ? colour * 0.6 : colour + 70
        }
    }
}
