import ArgumentParser
import Foundation
import Media
import Torch
import Vitrail

struct Segment: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Outline the things that points and boxes show.",
        discussion: """
            Every --box is a prompt of its own and gives a mask. All --point together are one prompt, which comes first; \
            with exactly one --box they belong to the box and refine it. A point is x,y in pixels from the top left \
            corner; x,y,0 says that the thing is not there. A box is left,top,right,bottom.

            Any SAM does: a folder of Hugging Face such as facebook/sam-vit-huge, or the original sam_vit_h_4b8939.pth.

            Examples:
              vitrail segment street.png --point 120,80 --output mask.png
              vitrail segment street.png --box 40,30,200,180 --point 120,80 --point 60,40,0 --model sam-vit-huge
              vitrail segment street.png --box 40,30,200,180 --box 210,40,300,160 --overlay seen.png --json
            """)

    @Argument(help: ArgumentHelp("The picture.", valueName: "image"))
    var image: String

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("A point on the thing, or with ,0 off it.", valueName: "x,y[,label]"),
        transform: Self.point)
    var point: [PromptPoint] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("A box around the thing.", valueName: "x0,y0,x1,y1"), transform: Self.box)
    var box: [Box] = []

    @Option(
        help: ArgumentHelp(
            "A SAM as it was downloaded, a folder or a .pth file, or a model's folder; the embedded model when left out.",
            valueName: "path"))
    var model: String?

    @Flag(help: "Give three masks a prompt, best first: a part, the whole, or more.")
    var multimask = false

    @Option(
        help: ArgumentHelp(
            "Where to write the mask, white on black; of several masks NAME-1.png, NAME-2.png, … in their order.",
            valueName: "png"))
    var output: String?

    @Option(help: ArgumentHelp("Where to write the picture with all masks over it.", valueName: "png"))
    var overlay: String?

    @Option(
        help: ArgumentHelp(
            "What to compute in: auto, float32 or bfloat16. auto is the weights' own; float32 for a model's folder. (default: auto)"
        ), transform: Precision.option)
    var dtype = Precision.auto

    @Flag(help: "Print one JSON document; masks are COCO's compressed run lengths.")
    var json = false

    @Option(
        help: "Where to compute: cpu, cuda, cuda:1 or mps. (default: cpu)", transform: EngineOptions.device)
    var device = Device.cpu

    @Option(help: ArgumentHelp("Threads on the CPU; all cores when left out.", valueName: "count"))
    var threads: Int?

    struct PromptPoint {
        let point: Point
        let isForeground: Bool
    }

    func validate() throws {
        guard !point.isEmpty || !box.isEmpty else {
            throw ValidationError("nothing shows what to outline: give --point x,y or --box x0,y0,x1,y1.")
        }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads), 1 to 1024 is possible.")
        }
        func real(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
        for (option, path) in [("--output", output), ("--overlay", overlay)] {
            guard let path else { continue }
            guard path.lowercased().hasSuffix(".png") else {
                throw ValidationError("\(option) \(path) is not a .png file.")
            }
            if real(path) == real(image) {
                throw ValidationError("\(option) \(path) is the picture itself, which is not overwritten.")
            }
        }
        if let output, let overlay, real(output) == real(overlay) {
            throw ValidationError("--output and --overlay are the same file \(output).")
        }
    }

    func run() throws {
        if let threads { try Threads.set(threads) }
        let picture = try Image(contentsOf: image)
        guard device.isAvailable else {
            throw ModelError.unsupported("the device \(device) is not available here")
        }
        let segmenter = try Segmenter(
            contentsOf: model ?? Engine.embeddedModel(), device: device, precision: dtype)
        let encoded = try segmenter.encode(picture)
        let found = try segmenter.masks(prompts, in: encoded, multimask: multimask)
        let files = try write(found.flatMap { $0 }.map(\.mask))
        if let overlay {
            let annotations = found.flatMap { $0 }.enumerated().map { index, mask in
                Annotation(mask: mask.mask, label: String(format: "%d  %.2f", index + 1, mask.score))
            }
            try picture.annotated(with: annotations).writePNG(to: overlay)
        }
        if json {
            print(try Documents.line(document(found, picture, files, segmenter.dtype)))
            return
        }
        print("\(image) (\(picture.width) x \(picture.height))")
        for (number, masks) in found.enumerated() {
            for mask in masks {
                let (score, box) = (String(format: "%.2f", mask.score), mask.box)
                print(
                    "  \(number + 1)  score \(score)  \(mask.mask.area) pixels  x \(Int(box.x))  y \(Int(box.y))  "
                        + "width \(Int(box.width))  height \(Int(box.height))")
            }
        }
        for file in files + (overlay.map { [$0] } ?? []) { print("wrote \(file)") }
    }

    /// Writes each mask to a file of its own; nothing without `--output`.
    private func write(_ masks: [Mask]) throws -> [String] {
        guard let output else { return [] }
        let stem = output.dropLast(".png".count)
        let files = masks.indices.map { masks.count == 1 ? output : "\(stem)-\($0 + 1).png" }
        for (file, mask) in zip(files, masks) { try mask.writePNG(to: file) }
        return files
    }

    private var prompts: [SegmenterPrompt] {
        let points = point.map { ($0.point, isForeground: $0.isForeground) }
        if box.count == 1 { return [SegmenterPrompt(points: points, box: box[0])] }
        return (points.isEmpty ? [] : [SegmenterPrompt(points: points)])
            + box.map { SegmenterPrompt(box: $0) }
    }

    private func document(_ found: [[SegmentedMask]], _ picture: Image, _ files: [String], _ dtype: DType)
        -> Documents.Segment
    {
        var files = files[...]
        let results = found.map { masks in
            Documents.Segment.Result(
                masks: masks.map {
                    Documents.Segment.Outline(
                        area: $0.mask.area, bbox: [$0.box.x, $0.box.y, $0.box.width, $0.box.height],
                        index: $0.index, output: files.popFirst(),
                        score: ($0.score * 1_000_000).rounded() / 1_000_000, segmentation: $0.mask)
                })
        }
        return Documents.Segment(
            image: image, width: picture.width, height: picture.height, dtype: "\(dtype)", overlay: overlay,
            results: results)
    }

    private static func numbers(_ text: String) -> [Double]? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
            .map { Double($0.trimmingCharacters(in: .whitespaces)) }
        let values = parts.compactMap { $0 }.filter(\.isFinite)
        return values.count == parts.count ? values : nil
    }

    private static func point(_ text: String) throws -> PromptPoint {
        guard let values = numbers(text),
            values.count == 2 || values.count == 3 && [0, 1].contains(values[2])
        else {
            throw ValidationError("'\(text)' is not a point; x,y is, or x,y,0 off the thing and x,y,1 on it.")
        }
        return PromptPoint(
            point: Point(x: values[0], y: values[1]), isForeground: values.count == 2 || values[2] == 1)
    }

    private static func box(_ text: String) throws -> Box {
        guard let values = numbers(text), values.count == 4 else {
            throw ValidationError("'\(text)' is not a box; left,top,right,bottom is.")
        }
        guard values[2] > values[0], values[3] > values[1] else {
            throw ValidationError("the box \(text) is empty; right and bottom must be beyond left and top.")
        }
        return Box(x: values[0], y: values[1], width: values[2] - values[0], height: values[3] - values[1])
    }
}

extension Precision {
    /// What `--dtype` names.
    static func option(_ name: String) throws -> Precision {
        guard let precision = Precision(rawValue: name) else {
            throw ValidationError("--dtype \(name) is not known; auto, float32 and bfloat16 are.")
        }
        return precision
    }

    /// What a model folder of Vitrail's multiplies in.
    var ofProducts: DType { self == .bfloat16 ? .bfloat16 : .float32 }
}

extension Documents {
    struct Segment: Encodable {
        let image: String
        let width: Int
        let height: Int
        /// What was computed in.
        let dtype: String
        /// Where the picture with the masks went; null without one.
        @Nullable var overlay: String?
        /// One a prompt.
        let results: [Result]

        struct Result: Encodable {
            let masks: [Outline]
        }

        struct Outline: Encodable {
            let area: Int
            let bbox: [Double]
            let index: Int
            @Nullable var output: String?
            let score: Double
            let segmentation: Mask
        }
    }
}
