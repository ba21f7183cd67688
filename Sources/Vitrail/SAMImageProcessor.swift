// What SAM does with a picture before the network and with logits after it. Matches transformers 4.57.1,
// models/sam/image_processing_sam.py, SamImageProcessor, whose resizing is Pillow's; proven by
// VitrailTests/SAMParityTests.
import Foundation
public import Media
public import Torch

/// Turns pictures into SAM's square input, and its maps of logits into maps of the picture's size.
public struct SAMImageProcessor: Sendable, Hashable {
    /// The side of the network's input in pixels.
    public var imageSize: Int
    /// What the picture's longer side is scaled to; zeros fill the rest of the input, to the right and below.
    public var longestEdge: Int
    public var filter = Image.Filter.bilinear
    /// What bytes are multiplied by.
    public var rescaleFactor = 1.0 / 255
    /// Of the scaled bytes; ImageNet's, which SAM was trained with.
    public var mean = [0.485, 0.456, 0.406]
    public var deviation = [0.229, 0.224, 0.225]

    public init(imageSize: Int = 1024) {
        self.imageSize = imageSize
        longestEdge = imageSize
    }

    /// The size at which a picture stands in the input.
    func fitted(_ width: Int, _ height: Int) -> (width: Int, height: Int) {
        let scale = Double(longestEdge) / Double(max(width, height))
        func side(_ length: Int) -> Int { max(1, min(longestEdge, Int(Double(length) * scale + 0.5))) }
        return (side(width), side(height))
    }

    /// The network's input [1, 3, image size, image size], float32.
    public func callAsFunction(_ image: Image) throws -> Tensor {
        let (w, h) = fitted(image.width, image.height)
        let scaled =
            image.width == w && image.height == h ? image : image.resized(width: w, height: h, filter: filter)
        let pixels = try (Tensor(scaled.pixels, [h, w, 3]).to(.float64) * rescaleFactor).to(.float32)
        let normalised = try (pixels - Tensor(mean.map(Float.init))) / Tensor(deviation.map(Float.init))
        return try pad(
            normalised.permuted(2, 0, 1).unsqueezed(0), [0, imageSize - w, 0, imageSize - h])
    }

    /// Resizes logits [n, m, side, side] to [n, m, height, width]: first to the input's size, then, without the part
    /// beside the picture, to the picture's size.
    public func fullSize(_ logits: Tensor, width: Int, height: Int) throws -> Tensor {
        let (w, h) = fitted(width, height)
        let input = try interpolate(logits.to(.float32), to: (imageSize, imageSize), mode: .bilinear)
        return try interpolate(input[.all, .all, ..<h, ..<w], to: (height, width), mode: .bilinear)
    }
}

extension SAMImageProcessor {
    private struct Fields: Decodable {
        struct Size: Decodable {
            let longest_edge: Int?
            let height: Int?
            let width: Int?
        }

        let image_processor_type: String?
        let do_resize: Bool?
        let size: Size?
        let resample: Int?
        let do_rescale: Bool?
        let rescale_factor: Double?
        let do_normalize: Bool?
        let image_mean: ChannelValues?
        let image_std: ChannelValues?
        let do_pad: Bool?
        let pad_size: Size?
    }

    /// Reads what a folder says of its image processor; absent fields take the defaults of transformers'
    /// `SamImageProcessor`. Nil where there is no file.
    ///
    /// - Throws: ``ModelError`` for one that does not fit the network's input, or is not SAM's.
    init?(folder: String, imageSize: Int) throws {
        guard let (file, fields) = try ImageProcessorFile<Fields>.read(folder) else { return nil }
        func check(_ holds: Bool, _ reason: @autoclosure () -> String) throws {
            guard holds else { throw ModelError.notAModel(file, reason()) }
        }
        let type = fields.image_processor_type ?? "SamImageProcessor"
        try check(
            ["SamImageProcessor", "SamImageProcessorFast", "SamImageProcessorPil", "SamFeatureExtractor"]
                .contains(type), "the image_processor_type is \(type), SamImageProcessor is known")
        try check(
            fields.do_resize != false && fields.do_pad != false,
            "do_resize or do_pad is false, both are needed")
        self.init(imageSize: imageSize)
        longestEdge = fields.size == nil ? 1024 : fields.size!.longest_edge ?? 0
        try check(
            (1...imageSize).contains(longestEdge),
            "size has the longest_edge \(longestEdge), 1 to the model's image_size \(imageSize) is possible")
        let (width, height) = fields.pad_size.map { ($0.width ?? 0, $0.height ?? 0) } ?? (1024, 1024)
        try check(
            width == imageSize && height == imageSize,
            "pad_size is \(width) x \(height), the model's image_size is \(imageSize)")
        switch fields.resample ?? 2 {
        case 2: filter = .bilinear
        case 3: filter = .bicubic
        default: try check(false, "resample is \(fields.resample!), 2 (bilinear) and 3 (bicubic) are known")
        }
        rescaleFactor = fields.do_rescale == false ? 1 : fields.rescale_factor ?? rescaleFactor
        mean = fields.image_mean?.values ?? mean
        deviation = fields.image_std?.values ?? deviation
        if fields.do_normalize == false { (mean, deviation) = ([0, 0, 0], [1, 1, 1]) }
        try check(
            deviation.allSatisfy { $0 != 0 }, "image_std holds a 0")
    }
}
