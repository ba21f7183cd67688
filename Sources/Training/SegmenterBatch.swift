import Datasets
import Media
package import Perception
package import Torch
import Vitrail

/// The scenes and prompts of one shard of a step, for the training of a segmenter; a pure function of the seed, the
/// step and the shard.
package struct SegmenterBatch {
    /// Prompts of one form, p for each of b scenes.
    package struct Group {
        package let name: String
        package let prompts: SAMPrompts
        /// [b * p, 1, cells]: the share of the thing in each cell of a mask.
        package let targets: Tensor
        /// [b * p, 1, cells]: the weight of a cell in the loss. The cells of a thing have the same total weight
        /// whatever its size.
        package let weights: Tensor
    }

    /// [b, 3, size, size], as ``Vitrail/Segmenter`` gives them to the network.
    package let pixels: Tensor
    package let groups: [Group]

    /// Sides of the plain ring's and of the rich ring's pictures, the longer ones of oblong pictures.
    private static let plainSide = 128
    private static let richSide = 256

    init(pixels: Tensor, groups: [Group]) {
        self.pixels = pixels
        self.groups = groups
    }

    init(step: Int, shard: Int, configuration: SegmenterTrainingConfiguration, imageSize: Int) throws {
        // Every other step has a second point.
        let pointForm: PromptForm = step % 2 == 0 ? .point : .points
        let forms: [(PromptForm, Int)] = [
            (.guided, configuration.guided), (.box, configuration.boxes), (pointForm, configuration.points),
            (.corrected, configuration.corrected),
        ]
        var builders = forms.filter { $0.1 > 0 }.map { GroupBuilder(form: $0.0, count: $0.1) }
        var pixels: [Tensor] = []
        let scenes = configuration.scenes / configuration.shards
        for slot in 0..<scenes {
            let index = step * configuration.scenes + shard * scenes + slot
            // Streams 0 to 3 belong to scenes and their sentences.
            var random = SceneRandom(seed: configuration.seed, index: index, stream: 4)
            let isRich = random.chance(configuration.richShare)
            let side = isRich ? Self.richSide : Self.plainSide
            let other = random.chance(configuration.oblongShare) ? side * 3 / 4 : side
            let isTall = random.chance(0.5)
            let world = try MosaicConfiguration(
                width: isTall ? other : side, height: isTall ? side : other, ring: isRich ? .rich : .plain,
                maximumObjects: isRich ? 30 : 12, pairs: .trained)
            let scene = MosaicScene(seed: configuration.seed, index: index, configuration: world)
            pixels.append(try SAMImageProcessor(imageSize: imageSize)(scene.image))
            let order = random.permuted(Array(scene.objects.indices))
            var next = 0
            for position in builders.indices {
                for _ in 0..<builders[position].count {
                    let object = order[next % order.count]
                    next += 1
                    builders[position].append(object, of: scene, imageSize, configuration.jitter, &random)
                }
            }
        }
        self.pixels = try Tensor.cat(pixels)
        groups = try builders.map { try $0.finish(scenes: scenes, imageSize) }
    }
}

private enum PromptForm: String {
    case guided, box, point, points, corrected

    var hasBox: Bool { self == .guided || self == .box || self == .corrected }
    var pointCount: Int {
        switch self {
        case .box: 0
        case .guided, .point: 1
        case .points, .corrected: 2
        }
    }
}

private struct GroupBuilder {
    let form: PromptForm
    let count: Int
    var points: [Float] = []
    var labels: [Int] = []
    var boxes: [Float] = []
    var targets: [Float] = []
    var weights: [Float] = []

    init(form: PromptForm, count: Int) {
        self.form = form
        self.count = count
    }

    mutating func append(
        _ index: Int, of scene: MosaicScene, _ imageSize: Int, _ jitter: Double, _ random: inout SceneRandom
    ) {
        let (object, id) = (scene.objects[index], UInt8(index + 1))
        let (width, height) = (scene.image.width, scene.image.height)
        let scale = Double(imageSize) / Double(max(width, height))
        // Small errors are more likely than large ones.
        func off(_ length: Double, _ share: Double) -> Double {
            (random.unit() + random.unit() - 1) * share * length
        }
        func onIt(_ point: Point) -> Bool {
            let (x, y) = (min(Int(point.x), width - 1), min(Int(point.y), height - 1))
            return scene.instances[y * width + x] == id
        }
        func add(_ point: Point, _ label: Int) {
            points += [Float(point.x * scale), Float(point.y * scale)]
            labels.append(label)
        }
        func inside(_ x: Double, _ y: Double) -> Point {
            Point(x: min(max(x, 0), Double(width)), y: min(max(y, 0), Double(height)))
        }
        let box = object.box
        func pixelOnIt() -> Point {
            var places: [Int] = []
            for y in Int(box.y)..<Int(box.maxY) {
                for x in Int(box.x)..<Int(box.maxX) where scene.instances[y * width + x] == id {
                    places.append(y * width + x)
                }
            }
            let place = random.element(of: places)
            return Point(x: Double(place % width) + random.unit(), y: Double(place / width) + random.unit())
        }
        switch form {
        case .box: break
        case .guided, .corrected:
            let centre = box.centre
            add(inside(centre.x + off(box.width, 0.15), centre.y + off(box.height, 0.15)), 1)
        case .point, .points: add(pixelOnIt(), 1)
        }
        if form == .points || form == .corrected {
            var negative: Point?
            if random.chance(0.5) {
                // Off the thing, but near it.
                for _ in 0..<20 where negative == nil {
                    let place = inside(
                        box.centre.x + off(box.width, 0.8), box.centre.y + off(box.height, 0.8))
                    if !onIt(place) { negative = place }
                }
            }
            if let negative { add(negative, 0) } else { add(pixelOnIt(), 1) }
        }
        if form.hasBox {
            let low = inside(box.x + off(box.width, jitter), box.y + off(box.height, jitter))
            let high = inside(box.maxX + off(box.width, jitter), box.maxY + off(box.height, jitter))
            boxes += [low.x, low.y, high.x, high.y].map { Float($0 * scale) }
        }
        appendTarget(scene, id, box, imageSize)
    }

    private mutating func appendTarget(_ scene: MosaicScene, _ id: UInt8, _ box: Box, _ imageSize: Int) {
        let (width, height) = (scene.image.width, scene.image.height)
        let side = imageSize / 2
        // The side of a cell in pixels of the scene.
        let pixels = max(width, height) / side
        let (columns, rows) = (width / pixels, height / pixels)
        let share = 1 / Float(pixels * pixels)
        var target = [Float](repeating: 0, count: side * side)
        for y in Int(box.y)..<Int(box.maxY) {
            for x in Int(box.x)..<Int(box.maxX) where scene.instances[y * width + x] == id {
                let (column, row) = (x / pixels, y / pixels)
                if column < columns, row < rows { target[row * side + column] += share }
            }
        }
        targets += target
        let (marginX, marginY) = (
            box.width * 0.15 / Double(pixels) + 1, box.height * 0.15 / Double(pixels) + 1
        )
        let (left, right) = (
            max(0, Int(box.x / Double(pixels) - marginX)),
            min(side, Int(box.maxX / Double(pixels) + marginX) + 1)
        )
        let (top, bottom) = (
            max(0, Int(box.y / Double(pixels) - marginY)),
            min(side, Int(box.maxY / Double(pixels) + marginY) + 1)
        )
        var weight = [Float](repeating: 2 / Float(side * side), count: side * side)
        let near = 1 / Float((right - left) * (bottom - top))
        for row in top..<bottom { for column in left..<right { weight[row * side + column] += near } }
        weights += weight
    }

    func finish(scenes: Int, _ imageSize: Int) throws -> SegmenterBatch.Group {
        let cells = (imageSize / 2) * (imageSize / 2)
        var prompts = SAMPrompts()
        if form.pointCount > 0 {
            prompts.points = try Tensor(points, [scenes, count, form.pointCount, 2])
            prompts.labels = try Tensor(labels, [scenes, count, form.pointCount])
        }
        if form.hasBox { prompts.boxes = try Tensor(boxes, [scenes, count, 4]) }
        return SegmenterBatch.Group(
            name: form.rawValue, prompts: prompts, targets: try Tensor(targets, [scenes * count, 1, cells]),
            weights: try Tensor(weights, [scenes * count, 1, cells]))
    }
}
