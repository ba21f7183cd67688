import Datasets
import Foundation
import Media
import Text
import Vitrail

/// The pictures of a fine-tuning as they are learnt from: the n-th is a function of the configuration and n.
final class LabelSamples: @unchecked Sendable {
    private let labels: LabelSplit
    private let configuration: FineTuningConfiguration
    private let sizes: ClosedRange<Int>
    private let responses: [LocateResponse]
    private let reformulation: Reformulation
    private let lock = NSLock()
    private var images: [PictureSource: Image] = [:]
    private var held = 0
    private var orders: [Int: [Int]] = [:]
    /// Pictures that cannot be used, and why.
    private var broken: [PictureSource: String] = [:]

    /// Bytes of decoded pictures that are kept at most.
    private static let memory = 1 << 30
    /// Of a thing this much must be seen for it to be learnt; of less nothing is.
    private static let leastSeen = 0.3

    /// - Parameters:
    ///   - labels: the pictures.
    ///   - configuration: what is learnt of them, and how they are changed.
    ///   - sizes: the longer sides that the encoder takes.
    ///   - hasSegmenter: whether masks can be asked for.
    init(
        _ labels: LabelSplit, _ configuration: FineTuningConfiguration, sizes: ClosedRange<Int>,
        hasSegmenter: Bool
    ) {
        self.labels = labels
        self.configuration = configuration
        self.sizes = sizes
        reformulation = configuration.reformulation
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
        let (epoch, place) = number.quotientAndRemainder(dividingBy: labels.train.count)
        let order = lock.withLock {
            if let order = orders[epoch] { return order }
            var random = SceneRandom(seed: configuration.seed, index: epoch, stream: 10)
            let order = random.permuted(Array(labels.train.indices))
            orders[epoch] = order
            orders[epoch - 2] = nil
            return order
        }
        return labels.train[order[place]]
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

    /// The n-th picture, changed, with what is asked about it.
    func prepared(_ number: Int) throws -> PreparedPicture {
        var random = SceneRandom(seed: configuration.seed, index: number, stream: 11)
        let step = number / configuration.pictures
        let augmentation = configuration.augmentation.at(step: step, of: configuration.steps)
        let (first, image) = try readable(number)
        var draw = Augmentation.Draw(augmentation, using: &random)
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
        func place(
            _ picture: LabelledSet.Picture, _ image: Image,
            _ region: (x: Int, y: Int, width: Int, height: Int), fitted: (width: Int, height: Int)?,
            _ draw: Augmentation.Draw
        ) throws {
            let placement = PicturePlacement(
                size: (image.width, image.height), into: region, fitted: fitted, draw)
            canvas.paste(try placement.pixels(of: image), x: placement.area.x, y: placement.area.y)
            for thing in picture.things {
                guard let (whole, part) = placement.input(thing.box), part.width >= 1, part.height >= 1
                else { continue }
                let isIgnored = !thing.isLearnt || part.area < Self.leastSeen * whole.area
                things.append(.init(label: thing.category, box: part, isIgnored: isIgnored))
                var moved = thing
                (moved.box, moved.isIgnored, moved.keypoints) = (part, isIgnored, nil)
                seen.things.append(moved)
            }
            // What nobody looked for in one of them may be there.
            if let absent = picture.absent {
                seen.absent = (seen.absent ?? Array(labels.classes.indices)).filter(absent.contains)
            }
        }
        if random.chance(augmentation.mosaic) {
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
        let names = nameTurns(seen, things, configuration.names, using: &random)
        let requests = requestTurns(seen, things, using: &random)
        return PreparedPicture(
            image: canvas, things: things, names: names, requests: requests,
            questions: questionTurns(first, things, using: &random))
    }

    /// How many turns a picture gets of the names that are wanted.
    private func nameTurns(
        _ picture: LabelledSet.Picture, _ things: [PreparedPicture.Thing], _ wanted: Int,
        using random: inout SceneRandom
    ) -> [PreparedPicture.Turn] {
        let classes = labels.classes
        let count = min(wanted, classes.count)
        guard count > 0 else { return [] }
        let there = Set(things.map(\.label))
        let present = random.permuted(classes.indices.filter { there.contains($0) })
        // What nobody looked for may be there.
        let known = picture.absent.map(Set.init)
        let absent = random.permuted(
            classes.indices.filter { !there.contains($0) && known?.contains($0) ?? true })
        let first = min(present.count, max(count - absent.count, (3 * count + 3) / 4))
        var chosen = Array((present.prefix(first) + absent).prefix(count))
        if chosen.isEmpty { chosen = [classes.indices.first!] }
        return (0..<count).map { number in
            nameTurn(chosen[number % chosen.count], things, using: &random)
        }
    }

    /// Requests in other words, of the mixture's tasks; a name in the fixed form where the labels answer none of them.
    private func requestTurns(
        _ picture: LabelledSet.Picture, _ things: [PreparedPicture.Thing], using random: inout SceneRandom
    ) -> [PreparedPicture.Turn] {
        (0..<configuration.requests).map { _ in
            guard let turn = reformulation.turn(for: picture, in: labels.set, using: &random)?.turn else {
                return nameTurn(random.integer(below: labels.classes.count), things, using: &random)
            }
            let named = turn.queries.map { query -> Int? in
                let classes = Set(query.objects.map { things[$0].label })
                return classes.count == 1 ? classes.first : nil
            }
            return .init(turn: turn, labels: named)
        }
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

    private func questionTurns(
        _ picture: LabelledSet.Picture, _ things: [PreparedPicture.Thing], using random: inout SceneRandom
    ) -> [PreparedPicture.Turn] {
        let count = configuration.questions
        guard count > 0 else { return [] }
        guard !picture.questions.isEmpty else {
            return (0..<count).map { _ in
                nameTurn(random.integer(below: labels.classes.count), things, using: &random)
            }
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
