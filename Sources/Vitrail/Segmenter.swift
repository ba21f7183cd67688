import Checkpoints
import Encoders
import Foundation
public import Media
import NN
import Perception
public import Torch

/// A prompt for a ``Segmenter``: it indicates the thing to outline, in pixels of the original picture.
public struct SegmenterPrompt: Sendable {
    /// Points on the thing, in the foreground, or off it.
    public var points: [(Point, isForeground: Bool)]
    /// A box around the thing.
    public var box: Box?
    /// The logits of an earlier mask of the same picture, to be refined.
    public var previous: MaskLogits?

    public init(points: [(Point, isForeground: Bool)] = [], box: Box? = nil, previous: MaskLogits? = nil) {
        self.points = points
        self.box = box
        self.previous = previous
    }
}

/// A mask before the threshold at 0, at the decoder's resolution.
public struct MaskLogits: Sendable, Hashable {
    /// Rows, and columns.
    public let side: Int
    public let values: [Float]

    public init(side: Int, values: [Float]) {
        self.side = side
        self.values = values
    }
}

/// A thing that was outlined.
public struct SegmentedMask: Sendable {
    /// Of the picture's size.
    public let mask: Mask
    /// The predicted IoU of the mask with the thing, 0...1; it can lie a little outside.
    public let score: Double
    /// The smallest box around the mask; all zeros when it is empty.
    public let box: Box
    /// Which of the decoder's masks it is: 0 for an unambiguous prompt, from 1 on for an ambiguous one.
    public let index: Int
    public let logits: MaskLogits
}

/// A picture that a ``Segmenter`` has encoded.
public struct SegmenterImage {
    public let width: Int
    public let height: Int
    let features: SAMFeatures
}

/// Makes masks of the things that points and boxes indicate, with a SAM (Kirillov et al. 2023).
///
/// A picture is encoded once, for any number of prompts, many at a time. The class is not `Sendable`; an actor can own
/// one.
public final class Segmenter {
    public let model: SAM
    public let processor: SAMImageProcessor

    /// The most points of one prompt.
    public static let pointLimit = 64
    /// Pixels of the network's input that a box's corner may have at most; far beyond, its code is noise.
    static let farthest = 1e6
    /// The most prompts that are decoded at once. More run in turn, which bounds memory.
    static let chunk = 64

    /// Opens a segmenter: a SAM in either of its layouts (``SAMCheckpoint``), or a model folder with a part
    /// `segmenter`.
    ///
    /// - Parameters:
    ///   - path: the folder, or the original file of weights.
    ///   - device: where to run.
    ///   - dtype: what to compute in; nil for the file's. For the segmenter of a model folder, bfloat16 and float16
    ///     apply only to the products of linear layers and to convolutions.
    /// - Throws: ``ModelError``, or another error whose description names the file.
    public convenience init(contentsOf path: String, device: Device = .cpu, dtype: DType? = .float32) throws {
        let part = try Self.part(of: path)
        try self.init(SAMCheckpoint(contentsOf: part ?? path), isPart: part != nil, device, dtype)
    }

    /// Opens a segmenter, and computes in the dtype that `precision` chooses for the weights. The weights of a model
    /// folder are in bfloat16 only to be small; there, `auto` is float32.
    public convenience init(contentsOf path: String, device: Device = .cpu, precision: Precision) throws {
        let part = try Self.part(of: path)
        let checkpoint = try SAMCheckpoint(contentsOf: part ?? path)
        let precision = part != nil && precision == .auto ? .float32 : precision
        try self.init(
            checkpoint, isPart: part != nil, device, precision.dtype(for: checkpoint.weights, on: device))
    }

    private convenience init(
        _ checkpoint: SAMCheckpoint, isPart: Bool, _ device: Device, _ dtype: DType?
    ) throws {
        let (dtype, productDType) = isPart ? ParameterStore.mixed(dtype) : (dtype, nil)
        self.init(
            try SAM(checkpoint, device: device, dtype: dtype, productDType: productDType, isFixed: true),
            processor: checkpoint.processor)
    }

    /// The segmenter's folder in a model folder; nil if the path is no model folder.
    private static func part(of path: String) throws -> String? {
        guard FileManager.default.fileExists(atPath: "\(path)/model_index.json") else { return nil }
        return try ModelFolder(path).folder(of: "segmenter")
    }

    /// - Parameters:
    ///   - model: the networks.
    ///   - processor: how pictures become the input; nil for SAM's own at the model's size.
    public init(_ model: SAM, processor: SAMImageProcessor? = nil) {
        self.model = model
        self.processor = processor ?? SAMImageProcessor(imageSize: model.configuration.vision.imageSize)
    }

    /// Writes the segmenter's folder.
    public func save(to folder: String, dtype: DType = .bfloat16) throws {
        try model.save(to: folder, dtype: dtype)
    }

    /// The dtype of the networks, or at least of their products.
    public var dtype: DType { model.store.productDType ?? heldIn }

    private var heldIn: DType { model.store.parameters[0].dtype }

    // MARK: Pictures

    /// Encodes a picture.
    public func encode(_ image: Image) throws -> SegmenterImage {
        let pixels = try processor(image).to(device: model.store.device, dtype: heldIn)
        return try withInference {
            SegmenterImage(width: image.width, height: image.height, features: try model.encode(pixels))
        }
    }

    // MARK: Prompts

    /// Makes the masks of each prompt. Prompts of one form run as one batch.
    ///
    /// - Parameters:
    ///   - prompts: each with at least a point, a box or previous logits.
    ///   - image: the picture, read by this segmenter.
    ///   - multimask: whether to give several masks for each prompt, best first, because a prompt may mean a part or
    ///     the whole.
    /// - Returns: for each prompt one mask, or several.
    /// - Throws: ``ModelError/badRequest(_:)`` for a prompt that is empty or outside the picture.
    public func masks(
        _ prompts: [SegmenterPrompt], in image: SegmenterImage, multimask: Bool = false
    ) throws -> [[SegmentedMask]] {
        let (w, h) = processor.fitted(image.width, image.height)
        let scale = (x: Double(w) / Double(image.width), y: Double(h) / Double(image.height))
        let placed = try prompts.map { try place($0, in: image, scale) }
        var answers = [[SegmentedMask]](repeating: [], count: prompts.count)
        let groups = Dictionary(grouping: placed.indices) { placed[$0].form }
        try withInference {
            for (_, members) in groups.sorted(by: { $0.value[0] < $1.value[0] }) {
                for start in stride(from: 0, to: members.count, by: Self.chunk) {
                    let part = members[start..<min(start + Self.chunk, members.count)]
                    let batch = try batch(part.map { placed[$0] })
                    let masks = try model.masks(batch, image.features).chosen(multimask: multimask)
                    let scores = try masks.scores.array(Float.self)
                    try ModelError.requireNumbers(scores, of: "the segmenter")
                    let count = masks.scores.size(2)
                    for (row, index) in part.enumerated() {
                        answers[index] = try (0..<count).map {
                            try finish(
                                masks.logits[0, row, $0].to(.float32), Double(scores[row * count + $0]),
                                index: multimask ? $0 + 1 : 0, image)
                        }
                        if multimask { answers[index].sort { $0.score > $1.score } }
                    }
                }
            }
        }
        return answers
    }

    /// A prompt in pixels of the encoder's input.
    private struct Placed {
        var points: [Double] = []
        var labels: [Int] = []
        var box: [Double]?
        var previous: MaskLogits?

        struct Form: Hashable {
            let points: Int
            let hasBox: Bool
            let hasMask: Bool
        }
        /// Prompts of one form run together.
        var form: Form { Form(points: labels.count, hasBox: box != nil, hasMask: previous != nil) }
    }

    private func place(
        _ prompt: SegmenterPrompt, in image: SegmenterImage, _ scale: (x: Double, y: Double)
    ) throws -> Placed {
        let picture = "the picture of \(image.width) x \(image.height) pixels"
        guard !prompt.points.isEmpty || prompt.box != nil || prompt.previous != nil else {
            throw ModelError.badRequest("a prompt needs a point or a box")
        }
        guard prompt.points.count <= Self.pointLimit else {
            throw ModelError.badRequest(
                "a prompt of \(prompt.points.count) points is over the limit of \(Self.pointLimit)")
        }
        var placed = Placed(previous: prompt.previous)
        // A point on the thing comes first: some networks use the distance of every cell from it.
        let points = prompt.points.filter(\.isForeground) + prompt.points.filter { !$0.isForeground }
        for (point, isForeground) in points {
            guard (0...Double(image.width)).contains(point.x), (0...Double(image.height)).contains(point.y)
            else { throw ModelError.badRequest("the point \(point.x),\(point.y) is outside \(picture)") }
            placed.points += [point.x * scale.x, point.y * scale.y]
            placed.labels.append(isForeground ? 1 : 0)
        }
        if let box = prompt.box {
            let corners = "\(box.x),\(box.y),\(box.maxX),\(box.maxY)"
            guard box.width > 0, box.height > 0 else {
                throw ModelError.badRequest("the box \(corners) is empty")
            }
            // As the reference takes it: a box may reach out of the picture.
            placed.box = [box.x * scale.x, box.y * scale.y, box.maxX * scale.x, box.maxY * scale.y]
            guard placed.box!.allSatisfy({ abs($0) <= Self.farthest }) else {
                throw ModelError.badRequest("the box \(corners) is far outside \(picture)")
            }
        }
        if let previous = prompt.previous {
            let side = 4 * model.configuration.vision.gridSize
            guard previous.side == side, previous.values.count == side * side else {
                throw ModelError.badRequest(
                    "previous logits of \(previous.side) x \(previous.side) do not fit, \(side) x \(side) are needed"
                )
            }
        }
        return placed
    }

    /// Prompts of one form.
    private func batch(_ prompts: [Placed]) throws -> SAMPrompts {
        let (p, form, device) = (prompts.count, prompts[0].form, model.store.device)
        var batch = SAMPrompts()
        if form.points > 0 {
            batch.points = try Tensor(prompts.flatMap(\.points), [1, p, form.points, 2])
            batch.labels = try Tensor(prompts.flatMap(\.labels), [1, p, form.points]).to(device)
        }
        if form.hasBox { batch.boxes = try Tensor(prompts.flatMap { $0.box! }, [1, p, 4]) }
        if form.hasMask {
            let side = prompts[0].previous!.side
            batch.masks = try Tensor(prompts.flatMap { $0.previous!.values }, [1, p, side, side]).to(device)
        }
        return batch
    }

    /// Logits [side, side] as a mask of the picture's size.
    private func finish(_ logits: Tensor, _ score: Double, index: Int, _ image: SegmenterImage) throws
        -> SegmentedMask
    {
        let full = try processor.fullSize(
            logits.view([1, 1, logits.size(0), -1]), width: image.width, height: image.height)
        let mask = try Mask(width: image.width, height: image.height, bitmap: (full .> 0).array(UInt8.self))
        let values = try logits.array(Float.self)
        try ModelError.requireNumbers(values, of: "the segmenter")
        return SegmentedMask(
            mask: mask, score: score, box: mask.boundingBox, index: index,
            logits: MaskLogits(side: logits.size(0), values: values))
    }
}
