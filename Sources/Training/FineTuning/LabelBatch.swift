import Datasets
import Foundation
import Media
import Text
package import Torch
import Vitrail

/// A picture as it is learnt from: the input's pixels, and what is where in them.
struct PreparedPicture {
    /// A thing, in pixels of the input.
    struct Thing {
        /// The number of its class.
        var label: Int
        /// As far as it is seen.
        var box: Box
        /// Neither finding nor missing it is learnt.
        var isIgnored: Bool
    }

    /// A request with its answer.
    struct Turn {
        var turn: ConversationTurn
        /// The class that each query names; nil where none is known.
        var labels: [Int?]
        /// The places that its query means where they are no things, in pixels of the input.
        var points: [Point]?
    }

    var image: Image
    var things: [Thing]
    /// Classes of which more may be there: that there is nothing of them is learnt nowhere.
    var unclear: Set<Int> = []
    /// Class names in the fixed form; other requests; questions. Of each as many as in every other picture of a batch.
    var names: [Turn]
    var requests: [Turn]
    var questions: [Turn]

    /// Whether the aligner is asked anything.
    var hasQueries: Bool { (names + requests).contains { !$0.turn.queries.isEmpty } }

    /// Whether it is asked for points, as people who are cut out are, and for nothing else.
    var hasPoints: Bool { requests.contains { $0.points != nil } }

    /// Pictures that are alike in this can be one batch.
    var form: Form {
        Form(
            width: image.width, height: image.height,
            turns: [names.count, requests.count, questions.count], hasQueries: hasQueries,
            hasPoints: hasPoints)
    }

    struct Form: Hashable {
        let width: Int
        let height: Int
        let turns: [Int]
        let hasQueries: Bool
        let hasPoints: Bool
    }
}

/// What some pictures of a step, whose inputs are of one size, are learnt from.
///
/// Shapes: b pictures, q queries of the aligner a picture.
package struct LabelBatch {
    /// [b, 3, h, w], 0...255.
    package let pixels: Tensor
    /// [b, classes, cells]: where what is centred.
    let denseHeat: Tensor
    let denseBoxes: BoxTruth
    /// [n]: the classes at the cells of `denseBoxes`.
    let denseLabels: Tensor
    /// [b, 1, cells]: 0 where nothing is to be learnt, else 1; nil where everything is. Of things alone: a point that is asked for
    /// may lie on what is no thing.
    let attention: Tensor?
    /// The same of the dense head, [b, classes, cells] where it differs between classes.
    package let denseAttention: Tensor?
    let asksPoints: Bool
    /// Sequences of similar length together: [b, n, length] each.
    package let ids: [Tensor]
    /// From which of the flattened hidden states which token follows: in answers with a place, and in words.
    let location: Following
    let text: Following
    /// The [LOC] states that name a class, and its number.
    let named: Following
    /// [b * q] positions of the [LOC]s that the aligner answers, and what it is to answer, [b, q, cells].
    let aligned: Tensor
    package let queries: Int
    package let heat: Tensor
    let boxes: BoxTruth

    struct Following {
        let sources: Tensor
        let targets: Tensor
        var count: Int { sources.size(0) }

        init(sources: Tensor, targets: Tensor) { (self.sources, self.targets) = (sources, targets) }

        init(_ pairs: [(source: Int, target: Int)]) throws {
            sources = try Tensor(pairs.map(\.source))
            targets = try Tensor(pairs.map(\.target))
        }
    }

    init(
        pixels: Tensor, denseHeat: Tensor, denseBoxes: BoxTruth, denseLabels: Tensor, attention: Tensor?,
        denseAttention: Tensor?, asksPoints: Bool, ids: [Tensor], location: Following, text: Following,
        named: Following,
        aligned: Tensor, queries: Int,
        heat: Tensor, boxes: BoxTruth
    ) {
        self.pixels = pixels
        self.denseHeat = denseHeat
        self.denseBoxes = denseBoxes
        self.denseLabels = denseLabels
        (self.attention, self.denseAttention) = (attention, denseAttention)
        self.asksPoints = asksPoints
        self.ids = ids
        (self.location, self.text, self.named) = (location, text, named)
        self.aligned = aligned
        self.queries = queries
        self.heat = heat
        self.boxes = boxes
    }

    /// - Parameters:
    ///   - pictures: of one form.
    ///   - writing: how the model is told.
    ///   - classes: how many there are.
    ///   - kinds: which of the kinds that the model can read from [LOC] each class is; nil for none.
    ///   - random: chooses which of the requests' queries the aligner answers.
    init(
        _ pictures: [PreparedPicture], _ writing: MosaicWriting, classes: Int, kinds: [Int?],
        using random: inout SceneRandom
    ) throws {
        let (width, height) = (pictures[0].image.width, pictures[0].image.height)
        let stride = Int(HeatGrid.stride)
        let (rows, columns) = (height / stride, width / stride)
        let names = pictures[0].names.count
        queries = pictures[0].hasQueries ? names + pictures[0].requests.count : 0
        var denseHeat: [Float] = []
        var denseBoxes = BoxTruth.Builder()
        var denseLabels: [Int] = []
        var attention: [Float] = []
        var denseAttention: [Float] = []
        let isUnclear = pictures.contains { !$0.unclear.isEmpty }
        var boxes = BoxTruth.Builder()
        var heat: [Float] = []
        var builder = RowsBuilder(writing, kinds)
        for picture in pictures {
            let things = picture.things
            let numbers = things.map { [$0.box.centre.x, $0.box.centre.y, $0.box.width, $0.box.height] }
            func grid(_ isMeant: (Int) -> Bool) -> HeatGrid {
                var grid = HeatGrid(rows: rows, columns: columns)
                for (number, thing) in things.enumerated() where !thing.isIgnored && isMeant(number) {
                    grid.add(
                        centre: (thing.box.centre.x, thing.box.centre.y),
                        // As of Mosaic's things: it grows with the box, as CenterNet's does.
                        deviation: (2 + 0.045 * thing.box.width, 2 + 0.045 * thing.box.height),
                        target: number)
                }
                return grid
            }
            denseBoxes.append(grid { _ in true }, boxes: numbers, first: denseLabels.count)
            denseLabels += things.map(\.label)
            for label in 0..<classes { denseHeat += grid { things[$0].label == label }.heat }
            let cells = Self.attention(things, rows, columns)
            attention += cells
            for label in 0..<classes where isUnclear {
                denseAttention +=
                    picture.unclear.contains(label)
                    ? Self.centres(things.filter { $0.label == label }, rows, columns) : cells
            }

            var answered: [RowsBuilder.Query] = []
            for turn in picture.names { answered += builder.append(turn, .short) }
            var others = random.permuted(picture.requests.flatMap { builder.append($0, .middle) })
            for turn in picture.questions { _ = builder.append(turn, .long) }
            // A request may look for several things, or for none.
            if others.isEmpty { others = answered }
            for number in 0..<(queries - names) { answered.append(others[number % others.count]) }
            for query in answered {
                builder.aligned.append(query.place)
                if let points = query.points {
                    var grid = HeatGrid(rows: rows, columns: columns)
                    // A joint's, as of Mosaic's people.
                    for point in points { grid.add(centre: (point.x, point.y), deviation: (3, 3), target: 0) }
                    heat += grid.heat
                    boxes.skip()
                } else {
                    let grid = grid { query.objects.contains($0) }
                    heat += grid.heat
                    boxes.append(grid, boxes: numbers)
                }
            }
        }
        let count = pictures.count
        pixels = try Tensor(pictures.flatMap(\.image.pixels), [count, height, width, 3])
            .permuted(0, 3, 1, 2).to(.float32)
        self.denseHeat = try Tensor(denseHeat, [count, classes, rows * columns])
        self.denseBoxes = try denseBoxes.finish()
        self.denseLabels = try Tensor(self.denseBoxes.target.map { denseLabels[$0] })
        self.attention =
            attention.contains(0) ? try Tensor(attention, [count, 1, rows * columns]) : nil
        self.denseAttention =
            isUnclear ? try Tensor(denseAttention, [count, classes, rows * columns]) : self.attention
        asksPoints = pictures[0].hasPoints
        self.heat = try Tensor(heat, [count, queries, rows * columns])
        self.boxes = try boxes.finish()
        let words = try builder.finish(count)
        (ids, location, text) = (words.ids, words.location, words.text)
        (named, aligned) = (words.named, words.aligned)
    }

    /// 0 in the cells of what is ignored, but not at the centres of other things.
    private static func attention(_ things: [PreparedPicture.Thing], _ rows: Int, _ columns: Int) -> [Float] {
        var cells = [Float](repeating: 1, count: rows * columns)
        guard things.contains(where: \.isIgnored) else { return cells }
        for thing in things where thing.isIgnored {
            for row in range(thing.box.y, thing.box.maxY, rows) {
                for column in range(thing.box.x, thing.box.maxX, columns) {
                    cells[row * columns + column] = 0
                }
            }
        }
        return zip(cells, centres(things, rows, columns)).map { max($0, $1) }
    }

    /// 1 at the centres of things that count.
    private static func centres(_ things: [PreparedPicture.Thing], _ rows: Int, _ columns: Int) -> [Float] {
        var cells = [Float](repeating: 0, count: rows * columns)
        for thing in things where !thing.isIgnored {
            let (x, y) = (thing.box.centre.x, thing.box.centre.y)
            for row in range(y - 2, y + 2, rows) {
                for column in range(x - 2, x + 2, columns) { cells[row * columns + column] = 1 }
            }
        }
        return cells
    }

    /// The cells between two places in pixels.
    private static func range(_ low: Double, _ high: Double, _ limit: Int) -> Range<Int> {
        let first = max(0, Int((low / HeatGrid.stride).rounded(.down)))
        return first..<max(first, min(limit, Int((high / HeatGrid.stride).rounded(.up))))
    }
}

/// Collects the conversations of a batch as sequences of tokens.
private struct RowsBuilder {
    /// Sequences of similar length are padded together.
    enum Length: Int, CaseIterable { case short, middle, long }

    /// A place in the sequences, before their lengths are known.
    struct Place {
        let length: Length
        let row: Int
        let token: Int
    }

    /// A [LOC], and the things or the points that it means.
    struct Query {
        let place: Place
        let objects: Set<Int>
        let points: [Point]?
    }

    private struct Row {
        var ids: [Int]
        var learnt: [(source: Int, isLocation: Bool)] = []
    }

    let writing: MosaicWriting
    private let kinds: [Int?]
    private let loc: Int
    private var rows = [[Row]](repeating: [], count: Length.allCases.count)
    private var named: [(place: Place, label: Int)] = []
    var aligned: [Place] = []

    init(_ writing: MosaicWriting, _ kinds: [Int?]) {
        self.writing = writing
        self.kinds = kinds
        loc = writing.tokenizer.id(of: Prompt.loc)!
    }

    /// The queries of the turn.
    mutating func append(_ said: PreparedPicture.Turn, _ length: Length) -> [Query] {
        let tokenizer = writing.tokenizer
        let number = rows[length.rawValue].count
        var row = Row(ids: tokenizer.encode(writing.form.question(said.turn.request)))
        var queries: [Query] = []
        for (position, piece) in said.turn.answer.enumerated() {
            let isLast = position == said.turn.answer.count - 1
            let isLocation = piece.text.contains(Prompt.loc) || length == .short
            for id in tokenizer.encode(piece.text + (isLast ? Prompt.end : "")) {
                if !piece.isInserted { row.learnt.append((row.ids.count - 1, isLocation)) }
                row.ids.append(id)
                guard id == loc else { continue }
                let place = Place(length: length, row: number, token: row.ids.count - 1)
                if let label = said.labels[queries.count], let kind = kinds[label] {
                    named.append((place, kind))
                }
                let objects = Set(said.turn.queries[queries.count].objects)
                queries.append(Query(place: place, objects: objects, points: said.points))
            }
        }
        rows[length.rawValue].append(row)
        return queries
    }

    func finish(_ count: Int) throws -> (
        ids: [Tensor], location: LabelBatch.Following, text: LabelBatch.Following,
        named: LabelBatch.Following, aligned: Tensor
    ) {
        var ids: [Tensor] = []
        var starts = [Int](repeating: 0, count: rows.count)
        var lengths = starts
        var next = 0
        var following: [(source: Int, target: Int, isLocation: Bool)] = []
        for (number, rows) in rows.enumerated() where !rows.isEmpty {
            // A multiple of eight, so that libtorch meets few shapes: it prepares its kernels anew for each.
            let length = (rows.map(\.ids.count).max()! + 7) / 8 * 8
            (starts[number], lengths[number]) = (next, length)
            ids.append(
                try Tensor(
                    rows.flatMap { $0.ids + Array(repeating: 0, count: length - $0.ids.count) },
                    [count, rows.count / count, length]))
            for (index, row) in rows.enumerated() {
                let start = next + index * length
                following += row.learnt.map { (start + $0.source, row.ids[$0.source + 1], $0.isLocation) }
            }
            next += rows.count * length
        }
        func position(_ place: Place) -> Int {
            starts[place.length.rawValue] + place.row * lengths[place.length.rawValue] + place.token
        }
        func follow(_ isLocation: Bool) throws -> LabelBatch.Following {
            try .init(following.filter { $0.isLocation == isLocation }.map { ($0.source, $0.target) })
        }
        return (
            ids, try follow(true), try follow(false), try .init(named.map { (position($0.place), $0.label) }),
            try Tensor(aligned.map(position))
        )
    }
}
