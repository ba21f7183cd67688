public import Media

/// One picture of the Mosaic world with everything that is known about it.
///
/// A scene is a pure function of (seed, index, configuration): the same three give the same bytes on
/// every machine and thread, so data sets are never stored.
public struct MosaicScene: Sendable {
    public let seed: UInt64
    public let index: Int
    public let configuration: MosaicConfiguration
    public let image: Image
    /// `width * height` bytes, row by row: 0 for the ground, `k + 1` for a visible pixel of `objects[k]`.
    public let instances: [UInt8]
    /// One or more things, those behind first. Of each at least a quarter is visible, and at the ring's own size (128 or
    /// 256 pixels) at least 12 pixels in the plain ring and 24 in the rich one.
    public let objects: [MosaicObject]

    /// The width of the picture in pixels.
    public var width: Int { image.width }
    /// The height of the picture in pixels.
    public var height: Int { image.height }
    /// The height of the picture in pixels, and its width when it is square.
    public var size: Int { image.height }

    public init(seed: UInt64, index: Int, configuration: MosaicConfiguration = .standard) {
        self.seed = seed
        self.index = index
        self.configuration = configuration
        let scale = Double(min(configuration.width, configuration.height)) / ScenePlan.side
        let designScale = configuration.ring == .rich ? 2.0 : 1
        var attempt = 0
        while true {
            var plan = ScenePlan(seed: seed, index: index, configuration: configuration, attempt: attempt)
            // What is dropped is decided at the ring's own size, so that it is the same at all sizes; a thing
            // that then still misses every pixel centre of a smaller picture goes too.
            var (canvas, shares) = SceneCanvas.dropping(
                from: &plan, scale: designScale, leastArea: configuration.ring == .rich ? 24 : 12)
            if scale != designScale {
                canvas = SceneCanvas.droppingUnseen(from: &plan, &shares, scale: scale)
            }
            attempt += 1
            // Rarely all was dropped, or the one thing with a held-out pair.
            if plan.items.isEmpty || configuration.pairs == .heldOut && !plan.hasHeldOutPair { continue }
            image = canvas.image(of: plan)
            instances = canvas.instances
            objects = MosaicObject.objects(of: plan, in: canvas, shares: shares)
            return
        }
    }

    /// The visible pixels of an object.
    ///
    /// - Parameter object: an index into `objects`.
    public func mask(of object: Int) -> Mask {
        // The bitmap has the picture's own size, which is all that can be wrong with one.
        try! Mask(width: width, height: height, bitmap: instances.map { $0 == UInt8(object + 1) })
    }
}

extension SceneCanvas {
    /// Draws a plan, leaving out of plan and picture the items of which too little is visible, and gives the visible
    /// share of each of the others.
    fileprivate static func dropping(
        from plan: inout ScenePlan, scale: Double, leastArea: Int
    ) -> (SceneCanvas, [Double]) {
        let picture = Frame(minX: 0, minY: 0, maxX: plan.extent.x, maxY: plan.extent.y)
        var wholeAreas: [Int] = []
        while true {
            let canvas = SceneCanvas(drawing: plan, scale: scale)
            let areas = canvas.areas(count: plan.items.count)
            if wholeAreas.isEmpty {
                wholeAreas = zip(plan.items, canvas.drawnAreas).map { item, area in
                    let frame = ScenePart.frame(of: item.parts)
                    let isInside = frame.intersectionArea(picture) == frame.area
                    return isInside ? area : wholeArea(of: item, scale: scale)
                }
            }
            let shares = zip(areas, wholeAreas).map { Double($0) / Double(max(1, $1)) }
            let isKept = zip(areas, shares).map { $0 >= leastArea && $1 >= 0.25 }
            if !isKept.contains(false) { return (canvas, shares.map { min(1, $0) }) }
            plan.items = zip(plan.items, isKept).filter(\.1).map(\.0)
            wholeAreas = zip(wholeAreas, isKept).filter(\.1).map(\.0)
        }
    }

    /// Draws a plan, leaving out the items without a visible pixel.
    fileprivate static func droppingUnseen(
        from plan: inout ScenePlan, _ shares: inout [Double], scale: Double
    ) -> SceneCanvas {
        while true {
            let canvas = SceneCanvas(drawing: plan, scale: scale)
            let areas = canvas.areas(count: plan.items.count)
            if !areas.contains(0) { return canvas }
            plan.items = zip(plan.items, areas).filter { $0.1 > 0 }.map(\.0)
            shares = zip(shares, areas).filter { $0.1 > 0 }.map(\.0)
        }
    }
}

/// A thing in a scene, as far as it can be seen.
public struct MosaicObject: Sendable, Hashable {
    public let kind: MosaicKind
    /// The thing's main colour; of a person, the shirt's.
    public let colour: MosaicColour
    /// The size as drawn, whole; nil for a person.
    public let size: MosaicSize?
    /// The pattern; nil for all but shapes.
    public let texture: MosaicTexture?
    /// The smallest box around the visible pixels.
    public let box: Box
    /// The number of visible pixels.
    public let area: Int
    /// The visible pixels over all that the thing would have if nothing covered it and the picture had no border, up to
    /// 1; at the ring's own size.
    public let visibleShare: Double
    /// COCO's 17 joints of a person in pixels: `.occluded` behind a later object or the person's own body, `.absent`
    /// outside the picture; nil for all else.
    public let keypoints: Keypoints?

    /// The middle of the box.
    public var centre: Point { box.centre }

    fileprivate static func objects(
        of plan: ScenePlan, in canvas: SceneCanvas, shares: [Double]
    ) -> [MosaicObject] {
        let (width, height) = (canvas.width, canvas.height)
        let count = plan.items.count
        var (minX, maxX) = ([Int](repeating: width, count: count), [Int](repeating: 0, count: count))
        var (minY, maxY) = ([Int](repeating: height, count: count), [Int](repeating: 0, count: count))
        var areas = maxX
        for row in 0..<height {
            for column in 0..<width {
                let object = Int(canvas.instances[row * width + column]) - 1
                guard object >= 0 else { continue }
                minX[object] = min(minX[object], column)
                maxX[object] = max(maxX[object], column + 1)
                minY[object] = min(minY[object], row)
                maxY[object] = max(maxY[object], row + 1)
                areas[object] += 1
            }
        }
        return plan.items.enumerated().map { index, item in
            var size: MosaicSize?
            var texture: MosaicTexture?
            var keypoints: Keypoints?
            switch item.content {
            case .shape(let shape): (size, texture) = (shape.size, shape.texture)
            case .drawn(let drawn): size = drawn.size
            case .figure(let figure): keypoints = canvas.keypoints(of: figure, instance: index + 1)
            }
            return MosaicObject(
                kind: item.kind, colour: item.colour, size: size, texture: texture,
                box: Box(
                    x: Double(minX[index]), y: Double(minY[index]), width: Double(maxX[index] - minX[index]),
                    height: Double(maxY[index] - minY[index])),
                area: areas[index], visibleShare: shares[index], keypoints: keypoints)
        }
    }
}

extension SceneCanvas {
    fileprivate func keypoints(of figure: FigurePlan, instance: Int) -> Keypoints {
        Keypoints(
            zip(figure.joints, figure.isHidden).map { joint, isHidden in
                let place = joint * Double(scale)
                let (column, row) = (Int(place.x.rounded(.down)), Int(place.y.rounded(.down)))
                var visibility = Keypoints.Visibility.absent
                if (0..<width).contains(column), (0..<height).contains(row) {
                    // Only a later object can be in front; a joint is never on the ground.
                    let isCovered = Int(instances[row * width + column]) > instance
                    visibility = isHidden || isCovered ? .occluded : .visible
                }
                return Keypoints.Joint(point: Point(x: place.x, y: place.y), visibility: visibility)
            })
    }
}
