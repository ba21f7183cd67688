import Encoders
import Foundation
public import Media
import NN
import Perception
public import Torch

/// What shows a ``Segmenter`` the thing to outline, in pixels of the original picture.
public struct SegmenterPrompt: Sendable {
    /// Points on the thing, in the foreground, or off it.
    public var points: [(Point, isForeground: Bool)]
    /// A box around the thing.
    public var box: Box?
    /// What the segmenter gave before, to be made better; of the same picture.
    public var previous: MaskLogits?

    public init(points: [(Point, isForeground: Bool)] = [], box: Box? = nil, previous: MaskLogits? = nil) {
        self.points = points
        self.box = box
        self.previous = previous
    }
}

/// A mask before it is cut at 0, at the decoder's resolution.
public struct MaskLogits: Sendable, Hashable {
    /// Rows, and columns.
    public let side: Int
    public let values: [Float]
}

/// A thing that was outlined.
public struct SegmentedMask: Sendable {
    /// Of the picture's size.
    public let mask: Mask
    /// How well the mask is expected to overlap the thing, IoU, 0...1.
    public let score: Double
    /// The smallest box around the mask; all zeros when it is empty.
    public let box: Box
    public let logits: MaskLogits
}

/// A picture that a ``Segmenter`` has read.
public struct SegmenterImage {
    public let width: Int
    public let height: Int
    let features: SAMFeatures
}

/// Outlines things that a point, a box or both show, with a SAM (Kirillov et al. 2023).
///
/// A picture is read once; any number of prompts are answered from what was read, many at a time. The class is not
/// `Sendable`: an actor that owns one keeps it to itself.
public final class Segmenter {
    public let model: SAM

    /// Points of one prompt at most.
    public static let pointLimit = 64
    /// Prompts that are decoded at once; more are taken in turn, which bounds memory.
    static let chunk = 64

    /// Opens a segmenter: a folder with `config.json` and `model.safetensors`, as of a part of a model folder or of
    /// Hugging Face, or a model folder with a part `segmenter`.
    ///
    /// - Parameters:
    ///   - path: the folder.
    ///   - device: where to run.
    ///   - dtype: what to compute in; nil for the file's.
    /// - Throws: ``ModelError``, or another error whose description names the file.
    public convenience init(contentsOf path: String, device: Device = .cpu, dtype: DType? = .float32) throws {
        var folder = path
        if FileManager.default.fileExists(atPath: "\(path)/model_index.json") {
            folder = try ModelFolder(path).folder(of: "segmenter")
        }
        self.init(try SAM(contentsOf: folder, device: device, dtype: dtype))
    }

    public init(_ model: SAM) { self.model = model }

    /// Writes the segmenter's folder.
    public func save(to folder: String, dtype: DType = .bfloat16) throws {
        try model.save(to: folder, dtype: dtype)
    }

    // MARK: Pictures

    /// Reads a picture.
    public func encode(_ image: Image) throws -> SegmenterImage {
        let parameter = model.store.parameters[0]
        let pixels = try Self.pixels(of: image, size: model.configuration.vision.imageSize)
            .to(device: parameter.device, dtype: parameter.dtype)
        return try withInference {
            SegmenterImage(width: image.width, height: image.height, features: try model.encode(pixels))
        }
    }

    /// The picture as the encoder takes it: its longer side scaled to `size`, colours normalised, zeros to the right
    /// or below: [1, 3, size, size].
    package static func pixels(of image: Image, size: Int) throws -> Tensor {
        let (w, h) = fitted(image.width, image.height, size)
        let scaled =
            image.width == w && image.height == h
            ? image : image.resized(width: w, height: h, filter: .bilinear)
        let pixels = try Tensor(scaled.pixels, [h, w, 3]).to(.float32) / 255
        // ImageNet's, which SAM was trained with.
        let mean = try Tensor([0.485, 0.456, 0.406] as [Float])
        let deviation = try Tensor([0.229, 0.224, 0.225] as [Float])
        let normalised = try ((pixels - mean) / deviation).permuted(2, 0, 1).unsqueezed(0)
        return try pad(normalised, [0, size - w, 0, size - h])
    }

    private static func fitted(_ width: Int, _ height: Int, _ size: Int) -> (width: Int, height: Int) {
        let scale = Double(size) / Double(max(width, height))
        func side(_ length: Int) -> Int { max(1, min(size, Int(Double(length) * scale + 0.5))) }
        return (side(width), side(height))
    }

    // MARK: Prompts

    /// Outlines what each prompt shows; prompts of one form run as one batch.
    ///
    /// - Parameters:
    ///   - prompts: each with at least a point, a box or previous logits.
    ///   - image: the picture, read by this segmenter.
    ///   - multimask: whether to give several masks a prompt, best first, because a prompt may mean several things:
    ///     a part or the whole.
    /// - Returns: for each prompt one mask, or several.
    /// - Throws: ``ModelError/badRequest(_:)`` for a prompt that is empty or outside the picture.
    public func masks(
        _ prompts: [SegmenterPrompt], in image: SegmenterImage, multimask: Bool = false
    ) throws -> [[SegmentedMask]] {
        let size = model.configuration.vision.imageSize
        let (w, h) = Self.fitted(image.width, image.height, size)
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
                    let count = masks.scores.size(2)
                    for (row, index) in part.enumerated() {
                        answers[index] = try (0..<count).map {
                            try finish(
                                masks.logits[0, row, $0].to(.float32),
                                Double(scores[row * count + $0]), image)
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
        var points: [Float] = []
        var labels: [Int] = []
        var box: [Float]?
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
        for (point, isForeground) in prompt.points {
            guard (0...Double(image.width)).contains(point.x), (0...Double(image.height)).contains(point.y)
            else { throw ModelError.badRequest("the point \(point.x),\(point.y) is outside \(picture)") }
            placed.points += [Float(point.x * scale.x), Float(point.y * scale.y)]
            placed.labels.append(isForeground ? 1 : 0)
        }
        if let box = prompt.box {
            let corners = "\(box.x),\(box.y),\(box.maxX),\(box.maxY)"
            guard box.width > 0, box.height > 0 else {
                throw ModelError.badRequest("the box \(corners) is empty")
            }
            guard let inside = box.clipped(width: image.width, height: image.height) else {
                throw ModelError.badRequest("the box \(corners) is outside \(picture)")
            }
            placed.box = [
                Float(inside.x * scale.x), Float(inside.y * scale.y), Float(inside.maxX * scale.x),
                Float(inside.maxY * scale.y),
            ]
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
            batch.points = try Tensor(prompts.flatMap(\.points), [1, p, form.points, 2]).to(device)
            batch.labels = try Tensor(prompts.flatMap(\.labels), [1, p, form.points]).to(device)
        }
        if form.hasBox { batch.boxes = try Tensor(prompts.flatMap { $0.box! }, [1, p, 4]).to(device) }
        if form.hasMask {
            let side = prompts[0].previous!.side
            batch.masks = try Tensor(prompts.flatMap { $0.previous!.values }, [1, p, side, side]).to(device)
        }
        return batch
    }

    /// Logits [side, side] as a mask of the picture's size: to the input's size, without what is beside the picture,
    /// to the picture's.
    private func finish(_ logits: Tensor, _ score: Double, _ image: SegmenterImage) throws -> SegmentedMask {
        let size = model.configuration.vision.imageSize
        let (w, h) = Self.fitted(image.width, image.height, size)
        let input = try interpolate(
            logits.view([1, 1, logits.size(0), -1]), to: (size, size), mode: .bilinear)
        let inside = try input[.all, .all, ..<h, ..<w]
        let full = try interpolate(inside, to: (image.height, image.width), mode: .bilinear)
        let mask = try Mask(width: image.width, height: image.height, bitmap: (full .> 0).array(UInt8.self))
        return SegmentedMask(
            mask: mask, score: max(0, min(1, score)), box: mask.boundingBox,
            logits: MaskLogits(side: logits.size(0), values: try logits.array(Float.self)))
    }
}
