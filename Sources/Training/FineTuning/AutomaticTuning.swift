public import Datasets
import Foundation
import Media
import NN
public import Torch

/// How long parts of a fine-tuning take on a machine, in seconds.
public struct TrainingPace: Sendable, Hashable {
    /// A step in which the encoder learns alone, and a whole one.
    public var visionStep: Double
    public var step: Double
    /// All pictures of the validation.
    public var validation: Double

    public init(visionStep: Double, step: Double, validation: Double) {
        self.visionStep = visionStep
        self.step = step
        self.validation = validation
    }

    mutating func scale(by factor: Double) {
        visionStep *= factor
        step *= factor
        validation *= factor
    }
}

/// A configuration that is chosen from what labels look like and how fast the machine is, so that a run ends in time.
public struct AutomaticTuning: Sendable {
    public let configuration: FineTuningConfiguration
    public let pace: TrainingPace
    /// What was chosen and why, a line each.
    public let reasons: [String]

    /// Reads the labels, and takes some steps to see how long they take.
    ///
    /// - Parameters:
    ///   - labels: where they are.
    ///   - end: when the run is to be over.
    ///   - threads: as of ``FineTuning``.
    ///   - device: where to train.
    ///   - model: the folder of the model to start from; the embedded one when left out.
    /// - Throws: ``TrainingError`` for labels without boxes, or for a time in which nothing can be learnt.
    public init(
        _ labels: FolderLabels, until end: ContinuousClock.Instant, threads: Int, device: Device = .cpu,
        model: String? = nil
    ) throws {
        let minutes = (end - .now).seconds / 60
        var configuration = Self.configuration(of: labels)
        let split = try LabelSplit(configuration)
        let look = LabelLook(split)
        configuration.data = Self.shares(configuration.data, of: split)
        var reasons: [String] = []
        if configuration.data.validation == nil {
            let share = Self.percent(configuration.data.validationShare!)
            let test = configuration.data.testShare.map { ", and \(Self.percent($0)) for a test" } ?? ""
            reasons.append(
                "the set has no validation of its own: \(share) of its pictures are drawn for it by their bytes\(test)"
            )
        }
        configuration.minutes = (minutes * 10).rounded() / 10
        configuration.names = min(4, split.classes.count)
        configuration.locator.maximumPeaks = min(1000, max(100, 2 * look.mostOfAName))
        configuration.augmentation = look.augmentation
        if look.hasNoUpAndDown {
            let count = Int(look.thingsAPicture)
            reasons.append(
                "pictures are turned and stood on their heads: there are \(count) things a picture, as wide as high, and no light from above"
            )
        } else {
            reasons.append("pictures stand as they are, mirrored left to right")
        }
        configuration.mixedPrecision = try Self.isFasterInBFloat16(device)
        // A machine on which too few steps fit gets a smaller input.
        var size = look.imageSize
        var pace: TrainingPace
        var lengths: (steps: Int, visionSteps: Int)
        var isEnough: Bool
        repeat {
            configuration.imageSize = size
            pace = try FineTuning.pace(
                of: configuration, threads: threads, device: device, model: model)
            let left = (end - .now).seconds
            if let validation = split.ownValidation {
                // A tenth of the time for all validations.
                let limit = Int(0.1 * left / Self.validations * Double(validation) / pace.validation)
                if limit < validation {
                    configuration.data.validationLimit = max(16, limit)
                    pace.validation *= Double(max(16, limit)) / Double(validation)
                }
            }
            lengths = Self.length(pace, seconds: 0.95 * left)
            isEnough = lengths.steps >= Self.fewSteps || size <= Self.sizes.lowerBound
            if !isEnough { size = max(Self.sizes.lowerBound, size * 3 / 4 / 16 * 16) }
        } while !isEnough
        guard lengths.steps >= Self.fewestSteps else {
            throw TrainingError.badConfiguration(
                labels.train.path,
                String(
                    format: "in %.1f minutes %d steps can be made here, at least %d are needed", minutes,
                    max(0, lengths.steps), Self.fewestSteps))
        }
        (configuration.steps, configuration.visionSteps) = lengths
        configuration.schedule.warmupSteps = min(50, lengths.steps / 10)
        configuration.validateEvery = max(1, (lengths.steps - lengths.visionSteps) / 3)
        let slow = size < look.imageSize ? ", and this machine is too slow for \(look.imageSize)" : ""
        let middle = Self.percent(look.middleSize)
        reasons.append(
            "image_size \(size): half of the things are larger than \(middle) of their picture's longer side\(slow)"
        )
        reasons.append(
            String(
                format: "steps %d, in the first %d the encoder alone: %.2f and %.2f s each here",
                lengths.steps, lengths.visionSteps, pace.visionStep, pace.step))
        let products = configuration.mixedPrecision ? "bfloat16" : "float32"
        reasons.append(
            "mixed_precision \(configuration.mixedPrecision): products in \(products) are faster here")
        self.configuration = configuration
        self.pace = pace
        self.reasons = reasons
    }

    private static let sizes = 160...512
    /// Below this many steps a smaller input learns more.
    private static let fewSteps = 700
    private static let fewestSteps = 10
    /// Validations of a run, those for the limits of overlaps among them.
    private static let validations = 10.0
    /// The share of the steps' time in which the encoder learns alone.
    private static let visionShare = 0.62

    /// Whether products take less time in bfloat16 than in float32; a processor without instructions for it takes several times
    /// as long.
    private static func isFasterInBFloat16(_ device: Device) throws -> Bool {
        guard device == .cpu else { return true }
        let generator = try Generator(seed: 1)
        func seconds(_ dtype: DType) throws -> Double {
            let map = try Tensor.randn([2, 64, 32, 32], generator: generator).to(dtype)
            let kernel = try Tensor.randn([64, 64, 3, 3], generator: generator).to(dtype)
            let matrix = try Tensor.randn([256, 256], generator: generator).to(dtype)
            let times = try (0..<4).map { _ in
                let start = ContinuousClock.now
                _ = try conv2d(map, kernel, padding: 1)
                _ = try matmul(matrix, matrix)
                return (ContinuousClock.now - start).seconds
            }
            return times.dropFirst().min()!
        }
        return try seconds(.bfloat16) < seconds(.float32)
    }

    private static func percent(_ share: Double) -> String { "\(Int((100 * share).rounded())) %" }

    private static func length(_ pace: TrainingPace, seconds: Double) -> (steps: Int, visionSteps: Int) {
        let room = seconds - Self.validations * pace.validation
        let vision = max(0, Int(room * visionShare / pace.visionStep))
        return (vision + max(0, Int(room * (1 - visionShare) / pace.step)), vision)
    }

    /// Which pictures validate and test, of a set that does not say so.
    private static func shares(
        _ data: FineTuningConfiguration.LabelData, of split: LabelSplit
    ) -> FineTuningConfiguration.LabelData {
        guard data.validation == nil else { return data }
        var data = data
        let count = Double(split.train.count + split.validation.count)
        data.validationShare = min(0.5, max(min(0.15, 200 / count), 12 / count))
        // Of a small set a test would take what is to be learnt, and say little.
        data.testShare = data.test == nil && count >= 400 ? min(0.1, 200 / count) : nil
        return data
    }

    /// What does not depend on the labels.
    private static func configuration(of labels: FolderLabels) -> FineTuningConfiguration {
        FineTuningConfiguration(
            data: .init(
                train: labels.train, validation: labels.validation,
                validationShare: labels.validation == nil ? 0.15 : nil, test: labels.test),
            seed: 1, imageSize: 192, remakesHead: true, steps: 8, visionSteps: 4, pictures: 4, together: 2,
            names: 1, requests: 1, questions: 0, mixture: ["boxes": 2, "count": 1, "exist": 1],
            schedule: Schedule(peak: 0.002, warmupSteps: 50, decayShare: 0.8, floor: 0.01), languageRate: 0.3,
            freshRate: 2, optimizer: .muon, weightDecay: 0.05, gradientLimit: 5, mixedPrecision: true,
            augmentation: .none,
            losses: .init(dense: 1, heat: 1, box: 1, named: 0.5, location: 0.5, text: 0.5),
            locator: .init(maximumPeaks: 100, overlapLimits: [0.3, 0.4, 0.5, 0.6, 0.7]), logEvery: 20,
            checkpointEvery: 200, validateEvery: 4, patience: 1000)
    }

    /// What the things of some labels look like.
    private struct LabelLook {
        /// The square root of a thing's area as a share of its picture's longer side: of the middle one.
        let middleSize: Double
        /// The shorter side, likewise: of the tenth part that is smallest.
        let smallSide: Double
        let thingsAPicture: Double
        let mostOfAName: Int
        /// Whether pictures can be turned and still are such pictures.
        let hasNoUpAndDown: Bool
        private let pictureSize: Double

        init(_ split: LabelSplit) {
            func middle(_ values: [Double], _ share: Double = 0.5) -> Double {
                let sorted = values.sorted()
                return sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
            }
            var (sizes, sides, shapes): ([Double], [Double], [Double]) = ([], [], [])
            for picture in split.train where picture.width > 0 {
                let longer = Double(max(picture.width, picture.height))
                for thing in picture.things where thing.isLearnt {
                    sizes.append(thing.box.area.squareRoot() / longer)
                    sides.append(min(thing.box.width, thing.box.height) / longer)
                    shapes.append(log(thing.box.width / thing.box.height))
                }
            }
            let longest = split.train.filter { $0.width > 0 }.map { Double(max($0.width, $0.height)) }
            middleSize = sizes.isEmpty ? 0.3 : middle(sizes)
            smallSide = sides.isEmpty ? 0.3 : middle(sides, 0.1)
            pictureSize = longest.isEmpty ? 512 : middle(longest)
            thingsAPicture = Double(shapes.count) / Double(split.train.count)
            mostOfAName = split.train.map { $0.counts(split.classes.count).max() ?? 0 }.max() ?? 0
            let meanShape = shapes.reduce(0, +) / Double(max(1, shapes.count))
            hasNoUpAndDown =
                thingsAPicture >= 5 && abs(meanShape) < 0.1 && !Self.isLitFromAbove(split.train)
        }

        /// The input's longer side. Larger things are seen well in a smaller input, which is faster; the two numbers are those
        /// that blood cells at 320 and raccoons at 192 pixels have in common (docs/fine-tuning.md).
        var imageSize: Int {
            // A thing of less than 12 pixels has no peak of its own.
            let wanted = max(156 / pow(middleSize, 0.4), 12 / max(smallSide, 1e-3))
            let size = Int((min(wanted, pictureSize) / 16).rounded()) * 16
            return min(max(size, AutomaticTuning.sizes.lowerBound), AutomaticTuning.sizes.upperBound)
        }

        var augmentation: Augmentation {
            Augmentation(
                flip: 0.5, flipVertically: hasNoUpAndDown ? 0.5 : 0, turns: hasNoUpAndDown,
                scale: [0.6, 1.7], stretch: 0.3, colour: 0.4, invert: 0, mosaic: 0.4, until: 0.8)
        }

        /// Whether the upper halves of pictures are lighter than the lower ones, or darker, more than by chance.
        private static func isLitFromAbove(_ pictures: [LabelledSet.Picture]) -> Bool {
            let step = max(1, pictures.count / 48)
            let differences = stride(from: 0, to: pictures.count, by: step).compactMap { place -> Double? in
                let source = pictures[place].source
                guard let bytes = try? source.bytes(),
                    let image = try? Image(decoding: bytes, name: source.name), image.height > 1
                else { return nil }
                let half = image.height / 2 * image.width * 3
                func mean(_ part: ArraySlice<UInt8>) -> Double {
                    Double(part.reduce(0) { $0 + Int($1) }) / Double(part.count)
                }
                return mean(image.pixels[..<half]) - mean(image.pixels[half...])
            }
            guard differences.count > 2 else { return true }
            let count = Double(differences.count)
            let mean = differences.reduce(0, +) / count
            let squares = differences.map { ($0 - mean) * ($0 - mean) }
            let spread = (squares.reduce(0, +) / (count - 1)).squareRoot()
            return abs(mean) > 2.5 * spread / count.squareRoot()
        }
    }
}

extension LabelSplit {
    /// How many pictures validate, of a set of its own; nil for a share of the training.
    fileprivate var ownValidation: Int? { hasOwnValidation ? validation.count : nil }
}
