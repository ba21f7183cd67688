// What CLIP and LLaVA do with a picture before the network. Matches transformers 4.57,
// models/clip/image_processing_clip.py, CLIPImageProcessor, and models/llava/image_processing_llava.py,
// LlavaImageProcessor, which are Pillow's arithmetic; proven by VitrailTests/CLIPImageProcessorTests.
public import Media
public import Torch

/// Turns pictures into CLIP's input: shortest edge resized, centre cut out, rescaled and normalised.
public struct CLIPImageProcessor: Sendable, Hashable {
    public enum Size: Sendable, Hashable {
        /// The shorter side; the longer one in proportion, rounded down.
        case shortestEdge(Int)
        case exact(width: Int, height: Int)
    }

    /// Whether the picture is first made a square, in its middle, on a ground of the mean colour.
    public var padsToSquare = false
    /// nil leaves the size as it is.
    public var size: Size? = .shortestEdge(224)
    public var filter = Image.Filter.bicubic
    /// What is cut from the middle; black where the picture is smaller. nil cuts nothing.
    public var crop: (width: Int, height: Int)? {
        get { cropWidth.map { ($0, cropHeight) } }
        set { (cropWidth, cropHeight) = (newValue?.width, newValue?.height ?? 0) }
    }
    private var cropWidth: Int? = 224
    private var cropHeight = 224
    /// What bytes are multiplied by; nil keeps 0 to 255.
    public var rescaleFactor: Double? = 1.0 / 255
    /// Whether mean and deviation are applied.
    public var normalizes = true
    public var mean = [0.48145466, 0.4578275, 0.40821073]
    public var deviation = [0.26862954, 0.26130258, 0.27577711]

    /// CLIP's own numbers.
    ///
    /// - Parameter side: of the square input, in pixels.
    public init(side: Int = 224) {
        size = .shortestEdge(side)
        crop = (side, side)
    }

    /// The picture as it is before its bytes become numbers.
    ///
    /// - Throws: ``ModelError/badRequest(_:)`` for a picture so thin that it would be huge once its shorter side fits.
    public func fitted(_ image: Image) throws -> Image {
        guard mean.count == 3, deviation.count == 3, (mean + deviation).allSatisfy(\.isFinite) else {
            throw ModelError.unsupported("mean and deviation of pictures are not three numbers each")
        }
        var image = image
        let needsSquare = padsToSquare && image.width != image.height
        switch size {
        case let size? where needsSquare:
            // Either size of a square is exact.
            let (width, height) =
                switch size {
                case .shortestEdge(let side): (side, side)
                case .exact(let width, let height): (width, height)
                }
            image = image.resizedOnSquare(of: ground, width: width, height: height, filter: filter)
        case nil where needsSquare:
            let side = max(image.width, image.height)
            guard side * side <= PixelLimit.default.pixels else {
                throw ModelError.badRequest(
                    "a picture of \(image.width) x \(image.height) pixels makes a square of more than \(PixelLimit.default)"
                )
            }
            image = image.resizedOnSquare(of: ground, width: side, height: side, filter: filter)
        case .shortestEdge(let short):
            let (w, h) = (image.width, image.height)
            let long = Int(Double(short * max(w, h)) / Double(min(w, h)))
            guard short * long <= PixelLimit.default.pixels else {
                throw ModelError.badRequest(
                    "a picture of \(w) x \(h) pixels is too thin: with its shorter side at \(short) pixels it has \(long) on the other, more than \(PixelLimit.default) in all"
                )
            }
            image =
                w <= h
                ? image.resized(width: short, height: long, filter: filter)
                : image.resized(width: long, height: short, filter: filter)
        case .exact(let width, let height):
            image = image.resized(width: width, height: height, filter: filter)
        case nil: break
        }
        return crop.map { image.centre(width: $0.width, height: $0.height) } ?? image
    }

    /// What a square is filled up with: the mean colour.
    private var ground: [UInt8] { mean.prefix(3).map { UInt8(min(max(0, $0 * 255), 255)) } }

    /// What pictures become, for an error.
    var output: String {
        if let crop { return "\(crop.width) x \(crop.height) pixels" }
        switch size {
        case .exact(let width, let height): return "\(width) x \(height) pixels"
        case .shortestEdge(let edge): return "\(edge) pixels at the shorter side"
        case nil: return "their own size"
        }
    }

    /// Whether a picture can become a square with this side.
    func canGive(_ side: Int) -> Bool {
        if let crop { return crop == (side, side) }
        switch size {
        case .exact(let width, let height): return (width, height) == (side, side)
        case .shortestEdge(let edge): return edge == side
        case nil: return true
        }
    }

    /// The network's input [1, 3, height, width], float32.
    public func callAsFunction(_ image: Image) throws -> Tensor {
        let image = try fitted(image)
        var pixels = try Tensor(image.pixels, [image.height, image.width, 3]).permuted(2, 0, 1).unsqueezed(0)
        if let rescaleFactor { pixels = try pixels.to(.float64) * rescaleFactor }
        pixels = try pixels.to(.float32).contiguous()
        guard normalizes else { return pixels }
        func channels(_ values: [Double]) throws -> Tensor {
            try Tensor(values.map(Float.init), [1, 3, 1, 1])
        }
        return try (pixels - channels(mean)) / channels(deviation)
    }
}

extension Image {
    /// The middle of the picture; black where it does not reach.
    ///
    /// The reference pads a side that is too short with the larger half before the picture, and cuts one that is too
    /// long with the smaller half before.
    fileprivate func centre(width newWidth: Int, height newHeight: Int) -> Image {
        func offset(_ old: Int, _ new: Int) -> Int { old >= new ? -((old - new) / 2) : (new - old + 1) / 2 }
        var cut = Image(
            width: newWidth, height: newHeight, pixels: [UInt8](repeating: 0, count: newWidth * newHeight * 3)
        )
        cut.draw(self, left: offset(width, newWidth), top: offset(height, newHeight))
        return cut
    }

    /// Copies the part of a picture that falls into this one.
    private mutating func draw(_ other: Image, left: Int, top: Int) {
        let (from, to) = (max(0, left), min(width, left + other.width))
        guard from < to else { return }
        for y in max(0, top)..<max(top, min(height, top + other.height)) {
            let source = ((y - top) * other.width + from - left) * 3
            pixels.replaceSubrange(
                (y * width + from) * 3..<(y * width + to) * 3,
                with: other.pixels[source..<source + (to - from) * 3])
        }
    }
}

extension CLIPImageProcessor: Decodable {
    private enum CodingKeys: String, CodingKey {
        case type = "image_processor_type"
        case formerType = "feature_extractor_type"
        case doPad = "do_pad"
        case padSize = "pad_size"
        case doResize = "do_resize"
        case size
        case resample
        case doCenterCrop = "do_center_crop"
        case cropSize = "crop_size"
        case doRescale = "do_rescale"
        case rescaleFactor = "rescale_factor"
        case doNormalize = "do_normalize"
        case imageMean = "image_mean"
        case imageStd = "image_std"
    }

    /// Reads what a folder says of its image processor; nil where it says nothing.
    ///
    /// - Throws: ``ModelError`` that names the file.
    init?(folder: String) throws {
        guard let (_, processor) = try ImageProcessorFile<CLIPImageProcessor>.read(folder) else { return nil }
        self = processor
    }

    /// Reads `preprocessor_config.json`; absent fields take the defaults of transformers' `CLIPImageProcessor`.
    ///
    /// - Throws: `DecodingError` also for another processor, and for a filter that is not computed here.
    public init(from decoder: any Decoder) throws {
        self.init()
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func refuse(_ key: CodingKeys, _ reason: String) -> DecodingError {
            DecodingError.dataCorruptedError(forKey: key, in: values, debugDescription: reason)
        }
        var isLLaVAs = true
        for key in [CodingKeys.type, .formerType] {
            guard let name = try values.decodeIfPresent(String.self, forKey: key) else { continue }
            guard Self.types.contains(name) else {
                throw refuse(key, "\(key.stringValue) \(name) is not supported; \(Self.types[0]) is")
            }
            isLLaVAs = name.hasPrefix("Llava")
        }
        func flag(_ key: CodingKeys, _ standard: Bool = true) throws -> Bool {
            try values.decodeIfPresent(Bool.self, forKey: key) ?? standard
        }
        func sides(_ key: CodingKeys, _ standard: Size) throws -> Size {
            guard values.contains(key), try !values.decodeNil(forKey: key) else { return standard }
            let found: Size
            if let side = try? values.decode(Int.self, forKey: key) {
                found = key == .size ? .shortestEdge(side) : .exact(width: side, height: side)
            } else {
                let given = try values.decode([String: Int].self, forKey: key)
                if let short = given["shortest_edge"], key == .size {
                    found = .shortestEdge(short)
                } else if let width = given["width"], let height = given["height"] {
                    found = .exact(width: width, height: height)
                } else {
                    throw refuse(key, "\(key.stringValue) has neither shortest_edge nor height and width")
                }
            }
            let isPossible =
                switch found {
                case .shortestEdge(let side): (1...8192).contains(side)
                case .exact(let width, let height): (1...8192).contains(width) && (1...8192).contains(height)
                }
            guard isPossible else { throw refuse(key, "\(key.stringValue) is outside 1 to 8192 pixels") }
            return found
        }
        func channels(_ key: CodingKeys, _ standard: [Double]) throws -> [Double] {
            try values.decodeIfPresent(ChannelValues.self, forKey: key)?.values ?? standard
        }
        // CLIP's processor pads the pictures of a batch to one size, which a single picture has.
        padsToSquare = try flag(.doPad, false) && isLLaVAs
        if try flag(.doPad, false), !isLLaVAs, values.contains(.padSize),
            try !values.decodeNil(forKey: .padSize)
        {
            throw refuse(.padSize, "pad_size is not supported")
        }
        let resized = try sides(.size, .shortestEdge(224))
        size = try flag(.doResize) ? resized : nil
        let cut = try sides(.cropSize, .exact(width: 224, height: 224))
        crop = nil
        if try flag(.doCenterCrop), case .exact(let width, let height) = cut { crop = (width, height) }
        switch try values.decodeIfPresent(Int.self, forKey: .resample) ?? 3 {
        case 2: filter = .bilinear
        case 3: filter = .bicubic
        case let other:
            throw refuse(.resample, "resample \(other) is not supported; 2 (bilinear) and 3 (bicubic) are")
        }
        let factor = try values.decodeIfPresent(Double.self, forKey: .rescaleFactor) ?? 1.0 / 255
        rescaleFactor = try flag(.doRescale) ? factor : nil
        normalizes = try flag(.doNormalize)
        mean = try channels(.imageMean, mean)
        deviation = try channels(.imageStd, deviation)
        guard deviation.allSatisfy({ $0 != 0 }) else { throw refuse(.imageStd, "image_std holds a 0") }
        guard mean.allSatisfy({ (0...1).contains($0) }) || !padsToSquare else {
            throw refuse(.imageMean, "image_mean is no colour, which do_pad needs")
        }
    }

    /// Processors that do what is done here, the first one by name.
    private static let types = [
        "CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil", "CLIPFeatureExtractor",
        "LlavaImageProcessor", "LlavaImageProcessorFast", "LlavaImageProcessorPil",
    ]
}
