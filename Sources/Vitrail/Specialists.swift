import Encoders
package import Language
import Media
import NN
import Perception
public import Text
package import Torch

/// What an engine knows of a picture.
final class Reading {
    let image: Image
    let frame: PictureFrame
    let features: ImageFeatures
    let prefix: PrefixCache
    /// What the segmenter saw, once it was asked.
    var segmented: SegmenterImage?

    init(_ image: Image, with model: Lumen) throws {
        self.image = image
        frame = PictureFrame(width: image.width, height: image.height, sizes: model.encoder.sizes)
        features = try model.encode(frame.pixels(of: image).to(model.device))
        prefix = try model.prefix(features)
    }
}

/// The decoders behind the dense aligner: what its maps become for each kind of answer (LUMEN, section 3.3).
struct Specialists {
    /// The dense head's probability of a person from which on a place has joints.
    static let personThreshold: Float = 0.3
    /// The heat from which on a joint counts as seen.
    static let jointThreshold = 0.3
    /// People whose joints are looked for in one batch.
    private static let batch = 32

    let model: Lumen
    let locator: Locator
    let segmenter: Segmenter?

    /// - Throws: ``ModelError/unsupported(_:)`` for masks by a model without a segmenter.
    func check(_ response: LocateResponse) throws {
        if response == .masks, segmenter == nil {
            throw ModelError.unsupported("the model has no part segmenter, which masks need")
        }
    }

    /// What the maps of a picture's queries stand for.
    ///
    /// - Parameters:
    ///   - maps: of one picture, [1, queries, cells].
    ///   - response: what is asked for.
    ///   - areSingle: for each query whether it means one thing alone.
    ///   - reading: the picture.
    ///   - phrases: what the queries ask for, where that is known.
    ///   - locator: what to take in place of the engine's.
    func decode(
        _ maps: AlignerMaps, as response: LocateResponse, areSingle: [Bool], in reading: Reading,
        phrases: [String?]? = nil, by locator: Locator? = nil
    ) throws -> [[Detection]] {
        try check(response)
        let usual = locator ?? self.locator
        let phrases = phrases ?? areSingle.map { _ in nil }
        let locator = response == .count ? usual.counting(phrases) : usual
        var found = try locator.detections(maps, in: reading.frame)
        if response == .count {
            for query in found.indices {
                let threshold = usual.countThreshold(for: phrases[query])
                found[query].removeAll { $0.score < threshold }
            }
        }
        for query in found.indices where areSingle[query] { found[query] = Array(found[query].prefix(1)) }
        found = locator.best(of: found)
        switch response {
        case .boxes, .points, .count: break
        case .masks: try addMasks(to: &found, in: reading)
        case .keypoints: try addJoints(to: &found, in: reading)
        }
        return found
    }

    // MARK: Masks

    private func addMasks(to found: inout [[Detection]], in reading: Reading) throws {
        guard let segmenter else { return }
        let places = found.places
        guard !places.isEmpty else { return }
        let image = try reading.segmented ?? segmenter.encode(reading.image)
        reading.segmented = image
        let prompts = places.map { place in
            let detection = found[place.query][place.rank]
            return SegmenterPrompt(points: [(detection.point, true)], box: detection.box)
        }
        for (place, masks) in zip(places, try segmenter.masks(prompts, in: image)) {
            found[place.query][place.rank].mask = masks.first?.mask
        }
    }

    // MARK: Joints

    private func addJoints(to found: inout [[Detection]], in reading: Reading) throws {
        guard let isPerson = try personMap(of: reading) else { return }
        let places = found.places.filter { isPerson(found[$0.query][$0.rank].point) }
        for part in places.parts(of: Self.batch) {
            let joints = try joints(of: part.map { found[$0.query][$0.rank].box }, in: reading.image)
            for (place, joints) in zip(part, joints) { found[place.query][place.rank].keypoints = joints }
        }
    }

    /// Whether there is a person at a place of the picture; nil for a model that knows no people.
    private func personMap(of reading: Reading) throws -> ((Point) -> Bool)? {
        guard let person = model.configuration.encoder?.attributes.first?.firstIndex(of: "person"),
            let attributes = reading.features.attributes
        else { return nil }
        let (_, _, rows, columns) = attributes.shape4
        let map = try attributes[0, person].to(.float32).contiguous().array(Float.self)
        let frame = reading.frame
        return { point in
            let place = frame.input(point)
            let column = Int(place.x * Double(columns) / Double(frame.inputWidth))
            let row = Int(place.y * Double(rows) / Double(frame.inputHeight))
            // The head is surest at the centre's cell, which the refined place may just have left.
            let near = (max(row - 1, 0)...min(max(row + 1, 0), rows - 1))
            let beside = (max(column - 1, 0)...min(max(column + 1, 0), columns - 1))
            return near.contains { row in
                beside.contains { map[row * columns + $0] > Self.personThreshold }
            }
        }
    }

    /// The 17 joints of people, each asked for in a crop of its own; the crops are one batch of pictures, the joints'
    /// names one batch of texts.
    private func joints(of people: [Box], in image: Image) throws -> [Keypoints] {
        let size = model.encoder.sizes.lowerBound
        let frame = PictureFrame(width: size, height: size, sizes: size...size)
        let crops = people.map { SquareCrop(of: image, around: $0, side: size) }
        let pixels = try Tensor.cat(crops.map { try frame.pixels(of: $0.image) })
        let features = try model.encode(pixels.to(model.device))
        let names = Keypoints.cocoNames.map { LocateResponse.keypoints.request(for: $0) }
        let loc = try model.queries(names, after: model.prefix(features), pictures: people.count)
        let summits = try Locator.summits(model.align(loc, features), input: (width: size, height: size))
        return zip(crops, summits).map { crop, summits in
            Keypoints(
                summits.map { place, score in
                    Keypoints.Joint(
                        point: crop.outside(place),
                        visibility: score >= Self.jointThreshold ? .visible : .absent, score: score)
                })
        }
    }
}

extension [[Detection]] {
    /// All detections by query and rank.
    fileprivate var places: [(query: Int, rank: Int)] {
        enumerated().flatMap { query, found in found.indices.map { (query, $0) } }
    }
}

extension Array {
    /// The array in parts of `count` elements, the last one shorter.
    func parts(of count: Int) -> [[Element]] {
        stride(from: 0, to: self.count, by: count).map { Array(self[$0..<Swift.min($0 + count, self.count)]) }
    }
}

extension Route {
    /// The decoder behind the token. [POINT] gives people their joints.
    public var response: LocateResponse {
        switch self {
        case .detection, .grounding: .boxes
        case .segmentation, .referringSegmentation: .masks
        case .points: .keypoints
        case .count: .count
        }
    }
}

extension Lumen {
    package var device: Device { stores[0].store.device }

    /// The hidden states at the [LOC] of LUMEN's answer to requests, which run as one batch.
    ///
    /// - Parameters:
    ///   - requests: sentences, the same for every picture.
    ///   - prefix: what the language model read of the pictures.
    ///   - pictures: how many they are.
    /// - Returns: [pictures, requests, hidden].
    package func queries(_ requests: [String], after prefix: PrefixCache, pictures: Int) throws -> Tensor {
        let rows = requests.map { tokenizer.encode(form.question($0) + Prompt.located) + [tokens.loc] }
        // Padding stands after [LOC], where it changes nothing: no token sees those behind it.
        let length = rows.map(\.count).max() ?? 0
        let once = rows.flatMap { $0 + Array(repeating: tokens.padding, count: length - $0.count) }
        let ids = try Tensor(once, [1, rows.count, length]).to(device).expanded(pictures, rows.count, length)
        let hidden = try language.text(ids.contiguous(), after: prefix)
        let last = (0..<pictures).flatMap { picture in
            rows.enumerated().map { (picture * rows.count + $0.offset) * length + $0.element.count - 1 }
        }
        return try hidden.reshaped(pictures * rows.count * length, -1)
            .indexSelected(0, Tensor(last).to(device)).reshaped(pictures, rows.count, -1)
    }
}
