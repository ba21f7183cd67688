import Encoders
package import Language
package import Media
import NN
package import Perception
public import Text
package import Torch

/// Everything that an engine has computed from a picture.
package final class Reading {
    let image: Image
    let frame: PictureFrame
    let features: ImageFeatures
    package let prefix: PrefixCache
    /// What the aligner computes from the picture for all queries; nil before the first one.
    private var aligned: AlignerImage?
    /// What the segmenter has encoded: windows of the picture, and under the key nil the whole picture.
    var segmented: [SegmenterWindow?: SegmenterImage] = [:]

    package init(_ image: Image, with model: Lumen) throws {
        self.image = image
        frame = PictureFrame(of: image, sizes: model.encoder.sizes)
        features = try model.encode(frame.pixels(of: image).to(model.device))
        prefix = try model.prefix(features)
    }

    /// Heat and size maps for hidden states at [LOC], [1, queries, hidden].
    func align(_ loc: Tensor, with model: Lumen) throws -> AlignerMaps {
        let image = try aligned ?? model.alignerImage(features)
        aligned = image
        return try model.aligner(loc, image)
    }
}

/// A square part of a picture, which the segmenter sees enlarged at least twice. In the whole of a larger picture, the
/// cells of its masks are too coarse for small things.
package struct SegmenterWindow: Hashable {
    package let x: Int
    package let y: Int
    package let side: Int

    /// The window whose centre is nearest to a thing. Windows overlap by half.
    ///
    /// Nil for a thing of more than a quarter of a window, for a picture that is no larger than a window, and for one
    /// of more than twice its size: a photograph would have hundreds of windows, and the segmenter encodes each of
    /// them.
    package init?(for box: Box, in image: Image, side: Int) {
        let longest = max(image.width, image.height)
        guard longest > side, longest <= 2 * side, 4 * max(box.width, box.height) <= Double(side) else {
            return nil
        }
        func start(_ centre: Double, _ length: Int) -> Int {
            let step = Double(side) / 2
            let nearest = Int(((centre - step) / step).rounded() * step)
            return min(max(nearest, 0), max(length - side, 0))
        }
        (x, y) = (start(box.centre.x, image.width), start(box.centre.y, image.height))
        self.side = side
    }

    func crop(of image: Image) -> Image {
        let box = Box(x: Double(x), y: Double(y), width: Double(side), height: Double(side))
        return SquareCrop(of: image, around: box, margin: 1, side: side).image
    }

    /// Turns a mask of the window into one of the picture.
    package func placed(_ mask: Mask, in image: Image) throws -> Mask {
        let part = mask.bitmap
        var bitmap = [UInt8](repeating: 0, count: image.width * image.height)
        let columns = min(side, image.width - x)
        for row in 0..<min(side, image.height - y) {
            let (to, from) = ((y + row) * image.width + x, row * side)
            bitmap.replaceSubrange(to..<(to + columns), with: part[from..<(from + columns)])
        }
        return try Mask(width: image.width, height: image.height, bitmap: bitmap)
    }
}

/// The decoders behind the dense aligner: they turn its maps into each kind of answer (LUMEN, section 3.3).
package struct Specialists {
    /// The least probability of a person, by the dense head, for which joints are looked for.
    static let personThreshold: Float = 0.1
    /// The least heat at which a named thing may be there.
    static let traceThreshold = 0.05
    /// The least heat of a joint that counts as visible.
    static let jointThreshold = 0.3
    /// The number of people in a batch of joints.
    private static let batch = 32

    let model: Lumen
    let locator: Locator
    let segmenter: Segmenter?

    package init(model: Lumen, locator: Locator, segmenter: Segmenter?) {
        self.model = model
        self.locator = locator
        self.segmenter = segmenter
    }

    /// - Throws: ``ModelError/unsupported(_:)`` for masks by a model without a segmenter.
    func check(_ response: LocateResponse) throws {
        if response == .masks, segmenter == nil {
            throw ModelError.unsupported("the model has no part segmenter, which masks need")
        }
    }

    /// Finds each phrase, asked for in the fixed form, and returns the maps too. A phrase that is not known finds
    /// nothing.
    package func find(
        _ phrases: [String], as response: LocateResponse, in reading: Reading, by locator: Locator? = nil
    ) throws -> (found: [[Detection]], isKnown: [Bool], maps: AlignerMaps) {
        let requests = phrases.map { response.request(for: $0) }
        let maps = try reading.align(
            model.queries(requests, after: reading.prefix, pictures: 1), with: model)
        let (found, isKnown) = try decode(
            maps, as: response, areSingle: phrases.map(Route.isSingle),
            areStrange: phrases.map { !model.tokenizer.words(of: $0).strange.isEmpty }, in: reading,
            phrases: phrases, by: locator)
        return (found, isKnown, maps)
    }

    /// A sentence that denies the thing that the next word of a conversation describes ("There is no heart."). Nil if
    /// the picture has a thing of that kind, or if the state names no kind.
    func objection(to conversation: [Int], in reading: Reading) throws -> String? {
        guard locator.knownThreshold != nil, let kinds = model.configuration.encoder?.attributes.first
        else { return nil }
        let ids = try Tensor(conversation, [1, 1, conversation.count]).to(model.device)
        let state = try model.language.text(ids, after: reading.prefix, depths: [model.subjectDepth])[0][
            0, 0, -1]
        let kind = try model.aligner.names(model.aligner.readAttributes(state.unsqueezed(0)))[0][0]
        // For an unknown word the state may name any kind.
        guard let name = kind.name.map({ kinds[$0] }) else { return nil }
        var generous = locator
        generous.threshold = min(locator.threshold, Self.traceThreshold)
        let isThere = try !find([name], as: .points, in: reading, by: generous).found[0].isEmpty
        return isThere ? nil : "\(Prompt.nothing) \(name)."
    }

    /// Turns the maps of a picture's queries into answers.
    ///
    /// - Parameters:
    ///   - maps: of one picture, [1, queries, cells].
    ///   - response: what is asked for.
    ///   - areSingle: for each query, whether it means a single thing.
    ///   - areStrange: for each query, whether it has an unknown word, one of several tokens.
    ///   - reading: the picture.
    ///   - phrases: what the queries ask for, if that is known.
    ///   - locator: thresholds in place of the engine's.
    /// - Returns: what was found, and whether the model knows what was asked for.
    func decode(
        _ maps: AlignerMaps, as response: LocateResponse, areSingle: [Bool], areStrange: [Bool],
        in reading: Reading, phrases: [String?]? = nil, by locator: Locator? = nil
    ) throws -> (found: [[Detection]], isKnown: [Bool]) {
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
        let isKnown = try areKnown(maps, areStrange, by: usual)
        for query in found.indices where !isKnown[query] { found[query] = [] }
        for query in found.indices where areSingle[query] { found[query] = Array(found[query].prefix(1)) }
        found = locator.best(of: found)
        let needsBoxes = usual.masksBoxes ?? false && (response == .boxes || response == .keypoints)
        if response == .masks || needsBoxes { try addMasks(to: &found, in: reading, by: usual) }
        if response == .keypoints { try addJoints(to: &found, in: reading) }
        if needsBoxes {
            for place in found.places { found[place.query][place.rank].mask = nil }
        }
        return (found, isKnown)
    }

    /// Whether each query has no unknown word, or names one kind, or none, with the probability that the locator
    /// demands.
    private func areKnown(_ maps: AlignerMaps, _ areStrange: [Bool], by locator: Locator) throws -> [Bool] {
        guard areStrange.contains(true), let threshold = locator.knownThreshold, let named = maps.named
        else { return areStrange.map { _ in true } }
        return zip(areStrange, try model.aligner.names(named[0])).map {
            !$0 || $1[0].probability >= threshold
        }
    }

    // MARK: Masks

    /// The least IoU of a mask's box with the thing's box; below it, the mask is of something else.
    private static let leastAgreement = 0.6

    /// Makes the masks of the things, and draws their boxes around the masks if the locator says so.
    private func addMasks(to found: inout [[Detection]], in reading: Reading, by locator: Locator) throws {
        guard let segmenter else { return }
        let side = segmenter.processor.longestEdge / 2
        let (shown, content) = (try reading.frame.shown(of: reading.image), reading.frame.content)
        let groups = Dictionary(grouping: found.places) { place in
            let box = found[place.query][place.rank].box
            return SegmenterWindow(
                for: Box(x: box.x - content.x, y: box.y - content.y, width: box.width, height: box.height),
                in: shown, side: side)
        }
        for (window, places) in groups {
            let image =
                try reading.segmented[window]
                ?? segmenter.encode(window?.crop(of: shown) ?? shown)
            reading.segmented[window] = image
            let (x, y) = (Double(window?.x ?? 0) + content.x, Double(window?.y ?? 0) + content.y)
            let prompts = places.map { place in
                let (box, point) = (found[place.query][place.rank].box, found[place.query][place.rank].point)
                return SegmenterPrompt(
                    points: [(Point(x: point.x - x, y: point.y - y), true)],
                    box: Box(x: box.x - x, y: box.y - y, width: box.width, height: box.height))
            }
            for (place, masks) in zip(places, try segmenter.masks(prompts, in: image)) {
                guard let part = masks.first?.mask else { continue }
                let mask = try reading.frame.original(window?.placed(part, in: shown) ?? part)
                found[place.query][place.rank].mask = mask
                let (box, around) = (found[place.query][place.rank].box, mask.boundingBox)
                if locator.masksBoxes ?? false, around.iou(box) > Self.leastAgreement {
                    found[place.query][place.rank].box = around
                }
            }
        }
    }

    // MARK: Joints

    private func addJoints(to found: inout [[Detection]], in reading: Reading) throws {
        guard let isPerson = try personMap(of: reading) else { return }
        let places = found.places.filter { isPerson(found[$0.query][$0.rank].point) }
        let joints = try joints(of: places.map { found[$0.query][$0.rank].box }, in: reading.image)
        for (place, joints) in zip(places, joints) { found[place.query][place.rank].keypoints = joints }
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
            // The head is strongest at the cell of the centre. The refined place may lie in a neighbouring cell.
            let near = (max(row - 1, 0)...min(max(row + 1, 0), rows - 1))
            let beside = (max(column - 1, 0)...min(max(column + 1, 0), columns - 1))
            return near.contains { row in
                beside.contains { map[row * columns + $0] > Self.personThreshold }
            }
        }
    }

    /// The 17 joints of people, asked for in a crop of each person.
    ///
    /// The first answer gives head and hips. If the head is not above the hips, the crop is turned by quarter turns and
    /// asked about again. The mirror image of the upright crop is asked about, too. The heat is the mean of both, as is
    /// usual for tests of pose networks.
    package func joints(of people: [Box], in image: Image) throws -> [Keypoints] {
        try people.parts(of: Self.batch).flatMap { try joints(ofBatch: $0, in: image) }
    }

    private func joints(ofBatch people: [Box], in image: Image) throws -> [Keypoints] {
        let size = model.encoder.sizes.lowerBound
        let upright = people.map { SquareCrop(of: image, around: $0, side: size) }
        let seen = try jointHeat(in: upright.map(\.image))
        let first = try summits(seen)
        let crops = zip(upright, first).map { $0.turned(by: Keypoints($1).turnsToUpright) }
        let turned = crops.indices.filter { crops[$0].turns > 0 }
        let others = try jointHeat(
            in: crops.map { $0.image.mirrored(across: true, down: false) } + turned.map { crops[$0].image })
        let own = crops.indices.map { crop in
            turned.firstIndex(of: crop).map { 2 * crops.count + $0 } ?? crop
        }
        let heat = try Tensor.cat([seen, others], axis: 0).indexSelected(0, Tensor(own).to(model.device))
        let mirrored = try others.narrowed(0, 0, crops.count).flipped(3)
            .indexSelected(1, Tensor(Keypoints.cocoMirrored).to(model.device))
        return zip(crops, try summits((heat + mirrored) * 0.5)).map { crop, joints in
            Keypoints(
                joints.map {
                    Keypoints.Joint(point: crop.outside($0.point), visibility: $0.visibility, score: $0.score)
                })
        }
    }

    /// The heat of the names of the 17 joints in square pictures of one person each, [pictures, 17, rows, columns]. The
    /// pictures are one batch of images, the names one batch of texts.
    private func jointHeat(in pictures: [Image]) throws -> Tensor {
        let size = model.encoder.sizes.lowerBound
        let frame = PictureFrame(width: size, height: size, sizes: size...size)
        let pixels = try Tensor.cat(pictures.map { try frame.pixels(of: $0) })
        let features = try model.encode(pixels.to(model.device))
        let names = Keypoints.cocoNames.map { LocateResponse.keypoints.request(for: $0) }
        let loc = try model.queries(names, after: model.prefix(features), pictures: pictures.count)
        let maps = try model.align(loc, features)
        return try maps.heat.to(.float32).sigmoid()
            .view([pictures.count, names.count, maps.grid.height, maps.grid.width])
    }

    /// The joints of each picture, in its pixels: the places of the highest heat.
    private func summits(_ heat: Tensor) throws -> [[Keypoints.Joint]] {
        let size = model.encoder.sizes.lowerBound
        return try Locator.summits((heat + 1e-12).log(), input: (width: size, height: size)).map { joints in
            joints.map { place, score in
                Keypoints.Joint(
                    point: place, visibility: score >= Self.jointThreshold ? .visible : .absent, score: score)
            }
        }
    }
}

extension Tokenizer {
    /// The words of a text, and those among them that take several tokens. The tokenizer of a small model has one token
    /// for each frequent word of its training, including the names of all things. So other words are unknown to it.
    package func words(of text: String) -> (all: [Substring], strange: [Substring]) {
        let words = text.split { !$0.isLetter && !$0.isNumber }
        let strange = words.filter { word in
            [String(word), word.lowercased()].allSatisfy { encode(" \($0)").count > 1 }
        }
        return (words, strange)
    }
}

extension [[Detection]] {
    /// All detections by query and rank.
    fileprivate var places: [(query: Int, rank: Int)] {
        enumerated().flatMap { query, found in found.indices.map { (query, $0) } }
    }
}

extension Array {
    /// The array in parts of `count` elements; the last one may be shorter.
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
    ///   - pictures: the number of pictures.
    /// - Returns: [pictures, requests, hidden].
    package func queries(_ requests: [String], after prefix: PrefixCache, pictures: Int) throws -> Tensor {
        let rows = requests.map { tokenizer.encode(form.question($0) + Prompt.located) + [tokens.loc] }
        // Padding comes after [LOC] and changes nothing: no token sees later ones.
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
