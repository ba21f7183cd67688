public import Media

/// One picture of the Mosaic world with everything that is known about it.
///
/// A scene is a pure function of (seed, index, configuration): the same three give the same bytes on
/// every machine and thread, so data sets are never stored.
public struct MosaicScene: Sendable {
    public let seed: UInt64
    public let index: Int
    public let image: Image
    /// `size * size` bytes, row by row: 0 for the ground, `k + 1` for a visible pixel of `objects[k]`.
    public let instances: [UInt8]
    /// One or more things, those behind first; each has at least 12 visible pixels at 128 pixels' size.
    public let objects: [MosaicObject]

    /// The sides of the picture in pixels.
    public var size: Int { image.width }

    /// Fewer visible pixels than this, at 128 pixels' size, are not worth asking for.
    private static let leastArea = 12

    public init(seed: UInt64, index: Int, configuration: MosaicConfiguration = .standard) {
        self.seed = seed
        self.index = index
        var plan = ScenePlan(seed: seed, index: index, configuration: configuration)
        // What is dropped is decided at the plan's own size, so that it is the same at all sizes; a thing
        // that then still misses every pixel centre of a smaller picture goes too.
        let planSize = Int(ScenePlan.side)
        var canvas = SceneCanvas.dropping(from: &plan, below: Self.leastArea, size: planSize)
        if configuration.size != planSize {
            canvas = SceneCanvas.dropping(from: &plan, below: 1, size: configuration.size)
        }
        image = canvas.image(of: plan)
        instances = canvas.instances
        objects = MosaicObject.objects(of: plan, in: canvas)
    }

    /// The visible pixels of an object.
    ///
    /// - Parameter object: an index into `objects`.
    public func mask(of object: Int) -> Mask {
        // The bitmap has the picture's own size, which is all that can be wrong with one.
        try! Mask(width: size, height: size, bitmap: instances.map { $0 == UInt8(object + 1) })
    }

    /// The nouns of all kinds, in the order of `MosaicKind`.
    public static let classNames = MosaicKind.names
}

extension SceneCanvas {
    /// Draws a plan, leaving out of plan and picture the items with too few visible pixels.
    fileprivate static func dropping(from plan: inout ScenePlan, below leastArea: Int, size: Int)
        -> SceneCanvas
    {
        while true {
            let canvas = SceneCanvas(drawing: plan, size: size)
            let areas = canvas.areas(count: plan.items.count)
            if areas.allSatisfy({ $0 >= leastArea }) { return canvas }
            plan.items = zip(plan.items, areas).filter { $0.1 >= leastArea }.map(\.0)
        }
    }
}

/// A thing in a scene, as far as it can be seen.
public struct MosaicObject: Sendable, Hashable {
    public let kind: MosaicKind
    /// The colour of the shape, or of the person's shirt.
    public let colour: MosaicColour
    /// The size as drawn; nil for a person.
    public let size: MosaicSize?
    /// The pattern; nil for a person.
    public let texture: MosaicTexture?
    /// The smallest box around the visible pixels.
    public let box: Box
    /// The number of visible pixels.
    public let area: Int
    /// COCO's 17 joints of a person in pixels: `.occluded` behind a later object, `.absent` outside the
    /// picture; nil for a shape.
    public let keypoints: Keypoints?

    /// The middle of the box.
    public var centre: Point { box.centre }

    fileprivate static func objects(of plan: ScenePlan, in canvas: SceneCanvas) -> [MosaicObject] {
        let size = canvas.size
        let count = plan.items.count
        var (minX, maxX) = ([Int](repeating: size, count: count), [Int](repeating: 0, count: count))
        var (minY, maxY) = (minX, maxX)
        var areas = maxX
        for row in 0..<size {
            for column in 0..<size {
                let object = Int(canvas.instances[row * size + column]) - 1
                guard object >= 0 else { continue }
                minX[object] = min(minX[object], column)
                maxX[object] = max(maxX[object], column + 1)
                minY[object] = min(minY[object], row)
                maxY[object] = max(maxY[object], row + 1)
                areas[object] += 1
            }
        }
        return plan.items.enumerated().map { index, item in
            let box = Box(
                x: Double(minX[index]), y: Double(minY[index]), width: Double(maxX[index] - minX[index]),
                height: Double(maxY[index] - minY[index]))
            switch item.content {
            case .shape(let shape):
                return MosaicObject(
                    kind: shape.kind, colour: item.colour, size: shape.size, texture: shape.texture, box: box,
                    area: areas[index], keypoints: nil)
            case .figure(let figure):
                return MosaicObject(
                    kind: .person, colour: item.colour, size: nil, texture: nil, box: box, area: areas[index],
                    keypoints: canvas.keypoints(of: figure, instance: index + 1))
            }
        }
    }
}

extension SceneCanvas {
    fileprivate func keypoints(of figure: FigurePlan, instance: Int) -> Keypoints {
        Keypoints(
            figure.joints.map { joint in
                let place = joint * (Double(size) / ScenePlan.side)
                let (column, row) = (Int(place.x.rounded(.down)), Int(place.y.rounded(.down)))
                var visibility = Keypoints.Visibility.absent
                if (0..<size).contains(column), (0..<size).contains(row) {
                    // Only a later object can be in front; a joint is never on the ground.
                    visibility = Int(instances[row * size + column]) > instance ? .occluded : .visible
                }
                return Keypoints.Joint(point: Point(x: place.x, y: place.y), visibility: visibility)
            })
    }
}
