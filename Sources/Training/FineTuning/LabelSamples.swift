import Datasets
import Foundation
import Media
import Text
import Vitrail

/// The pictures of a fine-tuning as they are learnt from: the n-th is a function of the configuration and n.
final class LabelSamples: @unchecked Sendable {
    private let labels: LabelSplit
    private let configuration: FineTuningConfiguration
    private let seed: UInt64
    private let sizes: ClosedRange<Int>
    private let responses: [LocateResponse]
    private let reformulation: Reformulation
    private let lock = NSLock()
    private var images: [PictureSource: Image] = [:]
    private var held = 0
    private var pictures: Rounds
    private var figures: Rounds
    /// The people whose joints are learnt: numbers of pictures and of things in them.
    private let people: [(picture: Int, thing: Int)]
    /// Pictures that cannot be used, and why.
    private var broken: [PictureSource: String] = [:]

    /// Bytes of decoded pictures that are kept at most.
    private static let memory = 1 << 30
    /// Of a thing this much must be seen for it to be learnt; of less nothing is.
    private static let leastSeen = 0.3

    /// - Parameters:
    ///   - labels: the pictures.
    ///   - configuration: what is learnt of them, and how they are changed.
    ///   - rank: of several processes; where each has pictures of its own, their changes are its own, too.
    ///   - sizes: the longer sides that the encoder takes.
    ///   - hasSegmenter: whether masks can be asked for.
    init(
        _ labels: LabelSplit, _ configuration: FineTuningConfiguration, rank: Int,
        sizes: ClosedRange<Int>, hasSegmenter: Bool
    ) {
        seed = configuration.seed &+ (configuration.data.train.format.isSharded ? UInt64(rank) << 32 : 0)
        self.labels = labels
        self.configuration = configuration
        self.sizes = sizes
        reformulation = configuration.reformulation
        people =
            configuration.joints == nil
            ? []
            : labels.train.enumerated().flatMap { picture, labels in
                labels.things.indices.filter { labels.things[$0].isPosed }.map { (picture, $0) }
            }
        pictures = Rounds(of: labels.train.count, seed: seed, stream: 10)
        figures = Rounds(of: people.count, seed: seed, stream: 16)
        // Boxes more often than other answers.
        responses = [.boxes, .boxes, .count, .points] + (hasSegmenter ? [.masks] : [])
    }

    /// What is wrong with pictures that were met so far, a line each.
    var problems: [String] { lock.withLock { broken.values.sorted() } }

    /// The picture's pixels, kept while there is room; nil for one that cannot be decoded, which is counted.
    func image(of picture: LabelledSet.Picture) -> Image? {
        let (image, isBroken) = lock.withLock { (images[picture.source], broken[picture.source] != nil) }
        if image != nil || isBroken { return image }
        do {
            let bytes = try picture.source.bytes()
            let image = try Image(decoding: bytes, name: picture.source.name)
            guard picture.width == 0 || (picture.width, picture.height) == (image.width, image.height) else {
                throw MediaError.invalid(
                    "\(picture.source.name): \(image.width) x \(image.height) pixels, its labels say \(picture.width) x \(picture.height)"
                )
            }
            return keep(image, picture.source)
        } catch {
            lock.withLock { broken[picture.source] = "\(error)" }
            return nil
        }
    }

    private func keep(_ image: Image, _ source: PictureSource) -> Image {
        lock.withLock {
            guard held + image.pixels.count <= Self.memory, images[source] == nil else { return }
            images[source] = image
            held += image.pixels.count
        }
        return image
    }

    /// Which picture the n-th is: every picture once before any comes again.
    private func picture(_ number: Int) -> LabelledSet.Picture {
        labels.train[lock.withLock { pictures[number] }]
    }

    /// The n-th picture, or the next one that can be decoded.
    private func readable(_ number: Int) throws -> (LabelledSet.Picture, Image) {
        for next in number..<(number + labels.train.count) {
            let picture = picture(next)
            if let image = image(of: picture) { return (picture, image) }
        }
        throw TrainingError.badConfiguration(
            configuration.data.train.path,
            "none of its \(labels.train.count) pictures can be decoded: \(problems.first ?? "")")
    }

    /// The n-th picture, changed, with what is asked about it; all pictures of a step stand or lie alike.
    func prepared(_ number: Int, step: Int, of steps: Int) throws -> PreparedPicture {
        for next in number..<(number + labels.train.count) {
            let (picture, image) = try readable(next)
            // Cut and made smaller it may show too little of its things for any class to be asked for.
            for isCut in [true, false] {
                if let prepared = try prepared(picture, image, next, step: step, of: steps, isCut: isCut) {
                    return prepared
                }
            }
        }
        throw TrainingError.badConfiguration(
            configuration.data.train.path,
            "in none of its \(labels.train.count) pictures anything can be asked for")
    }

    /// - Returns: nil where the labels of what is seen do not say enough to ask for anything.
    private func prepared(
        _ first: LabelledSet.Picture, _ image: Image, _ number: Int, step: Int, of steps: Int, isCut: Bool
    ) throws -> PreparedPicture? {
        var random = SceneRandom(seed: seed, index: number, stream: 11)
        let augmentation = configuration.augmentation.at(step: step, of: steps)
        var draw = Augmentation.Draw(augmentation, using: &random)
        if !isCut { draw.scale = 1 }
        if augmentation.turns {
            // All pictures of a step lie down or all stand, so that those of one set have inputs of one size.
            var random = SceneRandom(seed: configuration.seed, index: step, stream: 15)
            draw.turns = draw.turns & 2 | random.integer(below: 2)
        }
        let turned =
            draw.turns % 2 == 0
            ? (width: image.width, height: image.height) : (width: image.height, height: image.width)
        let frame = PictureFrame(width: turned.width, height: turned.height, sizes: sizes)
        let (width, height) = (frame.inputWidth, frame.inputHeight)
        var canvas = Image(
            width: width, height: height, pixels: [UInt8](repeating: 128, count: width * height * 3))
        var things: [PreparedPicture.Thing] = []
        // The same as labels of what is seen now.
        var seen = first
        seen.things = []
        (seen.width, seen.height) = (width, height)
        // They mean places that may have been moved.
        (seen.referring, seen.points, seen.exemplars) = ([], [], [])
        /// Classes of which more may be there than is labelled.
        var unclear: Set<Int> = []
        func place(
            _ picture: LabelledSet.Picture, _ image: Image,
            _ region: (x: Int, y: Int, width: Int, height: Int), fitted: (width: Int, height: Int)?,
            _ draw: Augmentation.Draw
        ) throws {
            let placement = PicturePlacement(
                size: (image.width, image.height), into: region, fitted: fitted, draw)
            canvas.paste(try placement.pixels(of: image), x: placement.area.x, y: placement.area.y)
            for thing in picture.things {
                let input = placement.input(thing.box)
                guard let place = self.thing(thing, input) else {
                    // What was cut away is not there; what is too small to be seen is.
                    if input != nil { unclear.insert(thing.category) }
                    continue
                }
                things.append(place)
                var moved = thing
                (moved.box, moved.isIgnored) = (place.box, place.isIgnored)
                moved.keypoints = thing.keypoints.map(placement.input)
                seen.things.append(moved)
            }
            unclear.formUnion(picture.unclear(labels.classes.count))
        }
        // What is written under one picture is not true of four.
        if random.chance(augmentation.mosaic), !labels.classes.isEmpty, isCut {
            let (halfWidth, halfHeight) = (width / 2, height / 2)
            for quarter in 0..<4 {
                let chosen = quarter == 0 ? first : random.element(of: labels.train)
                seen.captions = []
                seen.dialogues = []
                let (other, otherImage) = self.image(of: chosen).map { (chosen, $0) } ?? (first, image)
                var draw = quarter == 0 ? draw : Augmentation.Draw(augmentation, using: &random)
                // Between half of their size and their own.
                draw.scale *= random.number(1, 2)
                let region = (
                    x: quarter % 2 * halfWidth, y: quarter / 2 * halfHeight, width: halfWidth,
                    height: halfHeight
                )
                try place(other, otherImage, region, fitted: nil, draw)
            }
        } else {
            try place(first, image, (0, 0, width, height), fitted: frame.fitted, draw)
            // Sentences mean sides, and others to compare with.
            let isUpright = !draw.isMirrored && !draw.isUpsideDown && draw.turns == 0
            if isUpright, seen.things.count == first.things.count { seen.referring = first.referring }
        }
        (seen.absent, seen.incomplete) = (nil, unclear.sorted())
        guard let names = nameTurns(seen, things, configuration.names, using: &random),
            let requests = requestTurns(seen, things, using: &random),
            let questions = questionTurns(first, seen, things, using: &random)
        else { return nil }
        return PreparedPicture(
            image: canvas, things: things, unclear: unclear, names: names, requests: requests,
            questions: questions)
    }

    /// The n-th person, cut out as the pose pathway does it, with joints that are asked for by name.
    func figure(_ number: Int, step: Int, of steps: Int) throws -> PreparedPicture {
        var random = SceneRandom(seed: seed, index: number, stream: 17)
        let (picture, thing, image) = try readableFigure(number)
        let box = picture.things[thing].box
        // As unsteady as the boxes that a locator gives.
        let unsteady = Box(
            x: box.x + random.number(-0.08, 0.08) * box.width,
            y: box.y + random.number(-0.08, 0.08) * box.height,
            width: box.width * random.number(0.9, 1.15), height: box.height * random.number(0.9, 1.15))
        let side = sizes.lowerBound
        let crop = SquareCrop(of: image, around: unsteady, side: side)
        let augmentation = configuration.augmentation.at(step: step, of: steps)
        var draw = Augmentation.Draw(augmentation, using: &random)
        (draw.scale, draw.stretch) = (1, 1)
        let placement = PicturePlacement(size: (side, side), into: (0, 0, side, side), draw)
        func inside(_ box: Box) -> (whole: Box, seen: Box)? {
            let (a, b) = (
                crop.inside(Point(x: box.x, y: box.y)), crop.inside(Point(x: box.maxX, y: box.maxY))
            )
            return placement.input(Box(x: a.x, y: a.y, width: b.x - a.x, height: b.y - a.y))
        }
        let things = picture.things.compactMap { self.thing($0, inside($0.box)) }
        var asked = picture.things[thing]
        asked.keypoints = asked.keypoints.map { joints in
            placement.input(
                Keypoints(
                    joints.joints.map {
                        Keypoints.Joint(
                            point: crop.inside($0.point), visibility: $0.visibility, score: $0.score)
                    }))
        }
        var seen = picture
        seen.things = [asked]
        // The pathway asks in the fixed form.
        var fixed = reformulation
        fixed.freeWording = 0
        let labelled = random.permuted(fixed.labelledJoints(of: asked, labels.set))
        let requests = (0..<configuration.joints!.names).map { number in
            let joint = labelled[number % labelled.count]
            let turn = fixed.joint(joint, of: 0, in: seen, labels.set, using: &random)!
            return PreparedPicture.Turn(turn: turn.turn, labels: [nil], points: turn.points)
        }
        return PreparedPicture(
            image: try placement.pixels(of: crop.image), things: things,
            unclear: picture.unclear(labels.classes.count), names: [], requests: requests, questions: [])
    }

    /// The n-th person, or the next one whose picture can be decoded.
    private func readableFigure(_ number: Int) throws -> (LabelledSet.Picture, Int, Image) {
        for next in number..<(number + people.count) {
            let (picture, thing) = people[lock.withLock { figures[next] }]
            if let image = image(of: labels.train[picture]) { return (labels.train[picture], thing, image) }
        }
        throw TrainingError.badConfiguration(
            configuration.data.train.path,
            "none of the pictures of its \(people.count) people with joints can be decoded: \(problems.first ?? "")"
        )
    }

    /// A thing where it lies in the input; nil when less than a pixel of it is seen.
    private func thing(
        _ thing: LabelledSet.Thing, _ place: (whole: Box, seen: Box)?
    ) -> PreparedPicture.Thing? {
        guard let (whole, part) = place, part.width >= 1, part.height >= 1 else { return nil }
        return .init(
            label: thing.category, box: part,
            isIgnored: !thing.isLearnt || part.area < Self.leastSeen * whole.area)
    }

    /// Classes that can be asked for: those of which a thing is seen well, and those of which there is none.
    private func known(
        _ picture: LabelledSet.Picture, _ things: [PreparedPicture.Thing]
    ) -> (present: [Int], absent: [Int]) {
        guard picture.isLabelled else { return ([], []) }
        let clear = labels.classes.indices.filter { !picture.incomplete.contains($0) }
        let seen = Set(things.map(\.label))
        let present = Set(things.filter { !$0.isIgnored }.map(\.label))
        return (clear.filter(present.contains), clear.filter { !seen.contains($0) })
    }

    /// How many turns a picture gets of the names that are wanted; nil where nothing is known of any.
    private func nameTurns(
        _ picture: LabelledSet.Picture, _ things: [PreparedPicture.Thing], _ wanted: Int,
        using random: inout SceneRandom
    ) -> [PreparedPicture.Turn]? {
        let count = min(wanted, labels.classes.count)
        guard count > 0 else { return [] }
        let known = known(picture, things)
        let (present, absent) = (random.permuted(known.present), random.permuted(known.absent))
        let first = min(present.count, max(count - absent.count, (3 * count + 3) / 4))
        let chosen = Array((present.prefix(first) + absent).prefix(count))
        guard !chosen.isEmpty else { return nil }
        return (0..<count).map { number in
            nameTurn(chosen[number % chosen.count], things, using: &random)
        }
    }

    /// Requests in other words, of the mixture's tasks; what else can be asked where the labels answer none of them, and
    /// nil where that is nothing.
    private func requestTurns(
        _ picture: LabelledSet.Picture, _ things: [PreparedPicture.Thing], using random: inout SceneRandom
    ) -> [PreparedPicture.Turn]? {
        var turns: [PreparedPicture.Turn] = []
        for _ in 0..<configuration.requests {
            guard let turn = reformulation.turn(for: picture, in: labels.set, using: &random)?.turn else {
                guard let other = otherTurn(picture, things, using: &random) else { return nil }
                turns.append(other)
                continue
            }
            let named = turn.queries.map { query -> Int? in
                let classes = Set(query.objects.map { things[$0].label })
                return classes.count == 1 ? classes.first : nil
            }
            turns.append(.init(turn: turn, labels: named))
        }
        return turns
    }

    /// For a picture of which the labels do not say what is wanted: a name in the fixed form, or where no class is known any
    /// question, caption or exchange that they have.
    private func otherTurn(
        _ picture: LabelledSet.Picture, _ things: [PreparedPicture.Thing], using random: inout SceneRandom
    ) -> PreparedPicture.Turn? {
        let known = known(picture, things)
        let labels = (known.present + known.absent).sorted()
        guard labels.isEmpty else { return nameTurn(random.element(of: labels), things, using: &random) }
        return Reformulation(weights: [.caption: 1, .dialogue: 1, .question: 1])
            .turn(for: picture, in: self.labels.set, using: &random)
            .map { .init(turn: $0.turn, labels: []) }
    }

    /// LUMEN's fixed form.
    private func nameTurn(
        _ label: Int, _ things: [PreparedPicture.Thing], using random: inout SceneRandom
    ) -> PreparedPicture.Turn {
        let name = labels.classes[label]
        let response = random.element(of: responses)
        let route = Route(response, for: name)
        let objects = things.indices.filter { things[$0].label == label && !things[$0].isIgnored }
        var answer: [AnswerPiece]
        if route == .count {
            answer = [
                AnswerPiece(Prompt.location(.count)),
                AnswerPiece(Prompt.counted(objects.count), isInserted: true),
            ]
        } else {
            answer = [AnswerPiece(Prompt.location(route) + ".")]
            if objects.isEmpty {
                answer += [AnswerPiece(Prompt.nothing, isInserted: true), AnswerPiece(" \(name).")]
            }
        }
        return PreparedPicture.Turn(
            turn: ConversationTurn(
                request: response.request(for: name), answer: answer,
                queries: [LocationQuery(objects: objects, description: nil, route: route)]),
            labels: [label])
    }

    /// - Parameter seen: what is asked about where the picture has no question.
    private func questionTurns(
        _ picture: LabelledSet.Picture, _ seen: LabelledSet.Picture, _ things: [PreparedPicture.Thing],
        using random: inout SceneRandom
    ) -> [PreparedPicture.Turn]? {
        let count = configuration.questions
        guard count > 0 else { return [] }
        guard !picture.questions.isEmpty else {
            var turns: [PreparedPicture.Turn] = []
            for _ in 0..<count {
                guard let turn = otherTurn(seen, things, using: &random) else { return nil }
                turns.append(turn)
            }
            return turns
        }
        let chosen = random.permuted(picture.questions)
        return (0..<count).map { .init(question: chosen[$0 % chosen.count]) }
    }
}

extension PreparedPicture.Turn {
    /// A question that is answered in words.
    init(question: LabelledSet.Question) {
        self.init(
            turn: ConversationTurn(
                request: question.text,
                answer: [AnswerPiece(question.answers.first { !$0.isEmpty } ?? "")]),
            labels: [])
    }
}

/// The numbers below a count in an order of their own for each round: every one once before any comes again.
private struct Rounds {
    private let count: Int
    private let seed: UInt64
    private let stream: UInt64
    /// Of the last rounds that were asked for.
    private var orders: [Int: [Int]] = [:]

    init(of count: Int, seed: UInt64, stream: UInt64) {
        self.count = count
        self.seed = seed
        self.stream = stream
    }

    subscript(number: Int) -> Int {
        mutating get {
            let (round, place) = number.quotientAndRemainder(dividingBy: count)
            if let order = orders[round] { return order[place] }
            var random = SceneRandom(seed: seed, index: round, stream: stream)
            let order = random.permuted(Array(0..<count))
            orders[round] = order
            orders[round - 2] = nil
            return order[place]
        }
    }
}
