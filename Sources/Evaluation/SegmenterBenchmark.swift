import Datasets
import Media
public import Vitrail

/// Scores a segmenter on Mosaic's scenes, with the true boxes as prompts: no detector is involved.
public struct SegmenterBenchmark: Sendable {
    public let seed: UInt64
    public let scenes: Int

    public init(seed: UInt64, scenes: Int) {
        self.seed = seed
        self.scenes = scenes
    }

    /// What the masks of one ring and one form of prompt reach.
    public struct Report: Encodable, Sendable {
        /// `plain` or `rich`.
        public let ring: String
        /// `box`, `box and point` or `point`.
        public let prompt: String
        public let objects: Int
        /// Mean IoU of mask and thing.
        public let meanIoU: Double
        /// The share of things whose mask overlaps them by half, by three quarters, and the mean of such shares from
        /// 0.5 to 0.95: COCO's average recall, one mask a thing.
        public let recall50: Double
        public let recall75: Double
        public let recall: Double
        /// How far the expected IoU is from the true one, on average.
        public let scoreError: Double
    }

    /// - Parameters:
    ///   - segmenter: what is scored.
    ///   - progress: told how many scenes are done.
    public func run(_ segmenter: Segmenter, progress: (Int) -> Void = { _ in }) throws -> [Report] {
        var reports: [Report] = []
        for configuration in [MosaicConfiguration.standard, .rich] {
            var overlaps: [[Double]] = [[], [], []]
            var errors = [0.0, 0, 0]
            for index in 0..<scenes {
                let scene = MosaicScene(seed: seed, index: index, configuration: configuration)
                let image = try segmenter.encode(scene.image)
                for (form, prompts) in prompts(scene).enumerated() {
                    let answers = try segmenter.masks(prompts, in: image)
                    for (object, answer) in answers.enumerated() {
                        let overlap = try answer[0].mask.iou(scene.mask(of: object))
                        overlaps[form].append(overlap)
                        errors[form] += abs(overlap - answer[0].score)
                    }
                }
                progress(index + 1 + (configuration == .rich ? scenes : 0))
            }
            for (form, name) in ["box", "box and point", "point"].enumerated() {
                reports.append(
                    Report(configuration.ring.rawValue, name, overlaps[form], errors[form]))
            }
        }
        return reports
    }

    private func prompts(_ scene: MosaicScene) -> [[SegmenterPrompt]] {
        let objects = scene.objects
        return [
            objects.map { SegmenterPrompt(box: $0.box) },
            objects.map { SegmenterPrompt(points: [($0.centre, isForeground: true)], box: $0.box) },
            objects.indices.map { SegmenterPrompt(points: [(scene.innerPoint(of: $0), isForeground: true)]) },
        ]
    }
}

extension SegmenterBenchmark.Report {
    fileprivate init(_ ring: String, _ prompt: String, _ overlaps: [Double], _ error: Double) {
        let count = Double(max(overlaps.count, 1))
        func share(_ limit: Double) -> Double { Double(overlaps.count { $0 >= limit }) / count }
        let limits = AveragePrecision.thresholds
        self.init(
            ring: ring, prompt: prompt, objects: overlaps.count, meanIoU: overlaps.reduce(0, +) / count,
            recall50: share(0.5), recall75: share(0.75),
            recall: limits.map(share).reduce(0, +) / Double(limits.count), scoreError: error / count)
    }
}

extension MosaicScene {
    /// The visible pixel in the middle of the row of the thing that is longest: always on the thing.
    fileprivate func innerPoint(of object: Int) -> Point {
        let (box, id) = (objects[object].box, UInt8(object + 1))
        var best = (length: 0, x: 0, y: 0)
        for y in Int(box.y)..<Int(box.maxY) {
            var start = Int(box.x)
            for x in Int(box.x)..<Int(box.maxX) {
                if instances[y * image.width + x] != id {
                    start = x + 1
                } else if x + 1 - start > best.length {
                    best = (x + 1 - start, (start + x) / 2, y)
                }
            }
        }
        return Point(x: Double(best.x) + 0.5, y: Double(best.y) + 0.5)
    }
}
