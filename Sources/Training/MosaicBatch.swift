import Datasets
import Language
import Media
import Text
package import Torch
import Vitrail

/// What a batch must know about its model.
struct MosaicWriting {
    let tokenizer: Tokenizer
    let form: LumenForm
    /// The side of a cell of the aligner's maps, in input pixels.
    let cell: Double
    /// The side of an image token in input pixels; nil for a language model without image heads.
    let patch: Int?

    init(_ model: Lumen) {
        tokenizer = model.tokenizer
        form = model.form
        cell = model.cellSize
        patch = model.configuration.language.imageHeads > 0 ? 16 : nil
    }
}

/// The batch of one training step; a pure function of the configuration and the step.
///
/// Shapes: b pictures, q queries of the aligner for each picture.
package struct MosaicBatch {
    /// What a step shows.
    package enum Content: Sendable, Hashable {
        /// Scenes of a ring, or people cut out of the scenes of both rings.
        case plain, rich, people
    }

    /// The names that the attribute head knows, by group. A joint counts as a kind.
    static let attributes = [
        MosaicKind.names + Keypoints.cocoNames, MosaicColour.names, MosaicSize.names, MosaicTexture.names,
    ]
    /// The number of kinds that are joints, and the attributes without them.
    static let joints = Keypoints.cocoNames.count
    static let traits = [MosaicKind.names] + attributes.dropFirst()
    /// A target that a cross entropy ignores.
    static let ignored = -100
    /// How many scene numbers are reserved for each step: for the embedded model, and for larger steps.
    private static func indicesPerStep(_ configuration: TrainingConfiguration) -> Int {
        configuration.adaptation == nil ? 128 : 4096
    }
    /// The pixels of a patch that a thing must cover for its words to be true of the patch.
    private static let patchCover = 20

    package let content: Content
    /// [b, 3, size, size], 0...255.
    package let pixels: Tensor
    /// The truth for the dense head.
    package let dense: DenseTruth
    /// [b, patches, traits]: 1 where a thing with the attribute covers the patch of 16 x 16 pixels.
    package let wordTargets: Tensor?
    /// The conversations; nil while the encoder learns alone.
    package let words: Words?

    package struct DenseTruth {
        /// [b, kinds, cells] for the range `kinds`: the kinds of things in scenes, the joints of people.
        package let heat: Tensor
        package let kinds: Range<Int>
        package let boxes: BoxTruth
        /// [n, 4] for the cells of `boxes`: kind, colour, size, texture; ``ignored`` if there is none.
        package let traits: Tensor
    }

    /// Conversations about the pictures. Positions are indices into the flattened hidden states of all `ids`, in order.
    package struct Words {
        /// Sequences of similar length together: [b, n, length] each.
        package let ids: [Tensor]
        /// The states, and the tokens that follow them: in answers with a place, and in answers in words.
        package let location: Following
        package let text: Following
        /// The same for only the word that decides an answer.
        package let varying: Following
        /// [LOC]s, the noun phrases of requests, and the states before the word that decides an answer.
        package let loc: Told
        package let mentions: Told
        package let subjects: Told
        /// Texts with a relation, such as "left of the ring", and the thing that it starts from; nil without such
        /// texts.
        package let anchors: Anchors?
        /// The states before the answer to "is the star left of the ring?".
        package let relations: Relations
        /// The states before each word of a list of kinds.
        package let lists: Lists
        /// [b * q]: positions of the [LOC]s that the aligner answers, and the true answers.
        package let aligned: Tensor
        /// [b, q, cells].
        package let heat: Tensor
        package let boxes: BoxTruth
    }

    package struct Following {
        package let sources: Tensor
        package let targets: Tensor
    }

    /// The places of the things that some states mean. For m of the n states: the number of the state, that of its
    /// image, and [m, patches], 1 on the patches of the things.
    package struct Things {
        package let told: Tensor
        package let images: Tensor
        package let patches: Tensor
    }

    /// States with a target for what they are about.
    package struct Told {
        package let positions: Tensor
        /// [n, 4]: the name in each group; the length of the group for "not said", or ``ignored``.
        package let named: Tensor
        /// [n, 2]: the centre of the one thing that is meant, 0...1; and [n]: 1 if exactly one thing is meant.
        package let place: Tensor
        package let single: Tensor
        /// The same for the thing that a relation starts from.
        package let anchor: Tensor
        package let anchored: Tensor
        /// [n]: for [LOC]s, 1 if the words mean one thing; for mentions, 1 if a relation starts from the thing. Nil if
        /// this is not learnt.
        package let one: Tensor?
        /// The states that mean something in the picture; nil if none does.
        package let things: Things?
        var count: Int { positions.size(0) }
    }

    /// Texts with a state that should look at the anchor, the noun phrase that a relation starts from.
    package struct Anchors {
        /// [n, length]: the positions of each text's tokens.
        package let texts: Tensor
        /// [n], within each text: the token of the state, and the last token of the phrase; and the number of the
        /// image.
        package let tokens: Tensor
        package let phrases: Tensor
        package let images: Tensor
    }

    /// States before the answer about a relation of two things.
    package struct Relations {
        package let positions: Tensor
        /// [n]: the number of the ``MosaicRelation`` in the words.
        package let directions: Tensor
        /// [n]: how far the first thing lies in that direction, in shares of the picture; negative on the other side.
        package let distances: Tensor
    }

    /// States before the words of a list of kinds.
    package struct Lists {
        package let positions: Tensor
        /// [n, kinds of things]: 1 for a kind that is still to be named.
        package let kinds: Tensor
        /// The places of its things; nil if nothing is left to name.
        package let things: Things?
    }

    init(content: Content, pixels: Tensor, dense: DenseTruth, wordTargets: Tensor?, words: Words?) {
        self.content = content
        self.pixels = pixels
        self.dense = dense
        self.wordTargets = wordTargets
        self.words = words
    }

    /// What a step of a stage shows.
    static func content(of step: Int, in stage: TrainingConfiguration.Stage, seed: UInt64) -> Content {
        var random = SceneRandom(seed: seed, index: step, stream: 5)
        let number = random.unit()
        if number < stage.poseShare { return .people }
        return random.chance(stage.richShare) ? .rich : .plain
    }

    /// - Parameters:
    ///   - step: counted over all stages; it chooses the scenes.
    ///   - shard: the number of the shard; every shard has a picture.
    ///   - configuration: what to show.
    ///   - writing: the tokenizer and the form of the conversations.
    init(
        step: Int, shard: Int, configuration: TrainingConfiguration, writing: MosaicWriting
    ) throws {
        let (number, stageStep) = configuration.stage(of: step)
        let stage = configuration.stages[number]
        let content = Self.content(of: stageStep, in: stage, seed: configuration.seed &+ UInt64(number))
        func slots(_ count: Int) -> [Int] {
            Array(Swift.stride(from: shard % count, to: count, by: configuration.shards))
        }
        // Pictures of another size than their ring's. Their number keeps the number of pixels about the same.
        func varied(_ size: Int, _ count: Int) -> (size: Int, count: Int) {
            var random = SceneRandom(seed: configuration.seed, index: step, stream: 6)
            guard random.chance(stage.variedShare) else { return (size, count) }
            // Smaller pictures would lose things of the rich ring.
            let least = max(configuration.plainSize, size * 3 / 4 / 16 * 16)
            let sizes = Array(Swift.stride(from: least, through: configuration.richSize, by: 16))
            let other = random.element(of: sizes)
            let ratio = Double(size * size) / Double(other * other)
            return (other, max(1, min(2 * count, Int((Double(count) * ratio).rounded()))))
        }
        let first = step * Self.indicesPerStep(configuration)
        switch content {
        case .people:
            try self.init(
                people: slots(stage.people).map { first + $0 }, stage, stageStep, configuration, writing)
        case .plain, .rich:
            let (size, count) =
                content == .rich
                ? varied(configuration.richSize, stage.richScenes)
                : varied(configuration.plainSize, stage.plainScenes)
            try self.init(
                scenes: slots(count).map { first + $0 }, content, size, stage, stageStep, configuration,
                writing)
        }
    }

    private static func world(
        _ isRich: Bool, size: Int, isEasy: Bool = false
    ) throws -> MosaicConfiguration {
        try MosaicConfiguration(
            size: size, ring: isRich ? .rich : .plain, maximumObjects: isEasy ? 3 : isRich ? 30 : 12,
            pairs: .trained)
    }

    private init(
        scenes indices: [Int], _ content: Content, _ size: Int, _ stage: TrainingConfiguration.Stage,
        _ step: Int, _ configuration: TrainingConfiguration, _ writing: MosaicWriting
    ) throws {
        let isRich = content == .rich
        let count = indices.count
        let talks = step >= stage.visionSteps
        let fade = stage.easySteps > 0 ? 1 - Double(step) / Double(stage.easySteps) : 0
        let easyShare = stage.easyShare * max(0, fade)
        var pixels: [UInt8] = []
        var wordTargets: [Float] = []
        var dense = DenseBuilder(size: size)
        var words = WordsBuilder(writing, size: size, queries: stage.queries)
        for index in indices {
            var random = SceneRandom(seed: configuration.seed, index: index, stream: 2)
            let world = try Self.world(isRich, size: size, isEasy: random.chance(easyShare))
            let scene = MosaicScene(seed: configuration.seed, index: index, configuration: world)
            pixels += scene.image.pixels
            dense.append(scene)
            guard talks else { continue }
            let patches = Self.patches(of: scene)
            wordTargets += Self.wordTargets(scene, patches)
            words.begin(targets: zip(scene.objects, patches).map(WordsBuilder.Target.init))
            func location(_ random: inout SceneRandom) -> ConversationTurn {
                scene.locationTurn(
                    referringShare: stage.referringShare, negativeRate: stage.negativeRate,
                    freeWording: stage.freeWording, phrasing: .training, using: &random)
            }
            for _ in 0..<stage.locations { words.append(location(&random), .short) }
            for _ in 0..<stage.compounds {
                words.append(
                    scene.compoundTurn(phrasing: .training, using: &random) ?? location(&random), .long)
            }
            let kinds = MosaicQuestion.Kind.allCases
            for number in 0..<stage.questions {
                let kind = kinds[(index / Self.indicesPerStep(configuration) + index + number) % kinds.count]
                words.append(
                    scene.questionTurn(kind: kind, phrasing: .training, using: &random) ?? location(&random),
                    .middle)
            }
            for _ in 0..<stage.captions {
                words.append(scene.captionTurn(phrasing: .training, using: &random), .long)
            }
            words.end(using: &random)
        }
        self.content = content
        self.pixels = try Self.tensor(pixels, count, size)
        self.dense = try dense.finish()
        let patches = (size / 16) * (size / 16)
        self.wordTargets =
            talks ? try Tensor(wordTargets, [count, patches, Self.traits.joined().count]) : nil
        self.words = talks ? try words.finish(count) : nil
    }

    /// People cut out as the pose pathway does it; each is asked for some joints in the fixed form.
    private init(
        people indices: [Int], _ stage: TrainingConfiguration.Stage, _ step: Int,
        _ configuration: TrainingConfiguration, _ writing: MosaicWriting
    ) throws {
        let talks = step >= stage.visionSteps
        let size = configuration.plainSize
        var pixels: [UInt8] = []
        var dense = DenseBuilder(size: size)
        var words = WordsBuilder(writing, size: size, queries: stage.joints)
        for index in indices {
            var random = SceneRandom(seed: configuration.seed, index: index, stream: 2)
            let (scene, person) = try Self.person(index, stage, configuration, &random)
            let object = scene.objects[person]
            // As inexact as the boxes of a locator.
            let (w, h) = (object.box.width, object.box.height)
            let box = Box(
                x: object.box.x + random.number(-0.08, 0.08) * w,
                y: object.box.y + random.number(-0.08, 0.08) * h,
                width: w * random.number(0.9, 1.15), height: h * random.number(0.9, 1.15))
            let crop = SquareCrop(of: scene.image, around: box, side: size)
            pixels += crop.image.pixels
            let joints = object.keypoints!.joints.enumerated().map { number, joint in
                let place = crop.inside(joint.point)
                return WordsBuilder.Target(
                    joint: number, at: joint.visibility == .absent ? nil : (place.x, place.y), in: size)
            }
            dense.append(joints: joints.map { ($0.centre, $0.deviation) })
            guard talks else { continue }
            words.begin(targets: joints)
            let names = random.permuted(Array(Keypoints.cocoNames.indices)).prefix(stage.joints)
            for joint in names {
                words.append(MosaicScene.keypointTurn(Keypoints.cocoNames[joint]), .short, joint: joint)
            }
            words.end(using: &random)
        }
        content = .people
        self.pixels = try Self.tensor(pixels, indices.count, size)
        self.dense = try dense.finish()
        wordTargets = nil
        self.words = talks ? try words.finish(indices.count) : nil
    }

    /// A scene with a person of whom at least one joint is visible.
    private static func person(
        _ index: Int, _ stage: TrainingConfiguration.Stage, _ configuration: TrainingConfiguration,
        _ random: inout SceneRandom
    ) throws -> (MosaicScene, Int) {
        let isRich = random.chance(stage.richShare)
        let world = try world(
            isRich, size: isRich ? configuration.richSize : configuration.plainSize)
        var attempt = 0
        while true {
            // Numbers that no other scene of a step has.
            let scene = MosaicScene(
                seed: configuration.seed, index: -1 - index * 1024 - attempt, configuration: world)
            let people = scene.objects.indices.filter { number in
                scene.objects[number].keypoints?.joints.contains { $0.visibility == .visible } ?? false
            }
            if !people.isEmpty { return (scene, random.element(of: people)) }
            attempt += 1
        }
    }

    private static func tensor(_ pixels: [UInt8], _ count: Int, _ size: Int) throws -> Tensor {
        try Tensor(pixels, [count, size, size, 3]).permuted(0, 3, 1, 2).to(.float32)
    }

    /// Which patches each object of a scene covers.
    private static func patches(of scene: MosaicScene) -> [[Int]] {
        let (size, side, labels) = (scene.size, scene.size / 16, scene.objects.count + 1)
        var covered = [Int](repeating: 0, count: side * side * labels)
        scene.instances.withUnsafeBufferPointer { instances in
            covered.withUnsafeMutableBufferPointer { covered in
                for y in 0..<(side * 16) {
                    for x in 0..<(side * 16) {
                        covered[((y / 16) * side + x / 16) * labels + Int(instances[y * size + x])] += 1
                    }
                }
            }
        }
        return scene.objects.indices.map { object in
            (0..<(side * side)).filter { covered[$0 * labels + object + 1] > patchCover }
        }
    }

    /// [patches * attributes] of a scene.
    private static func wordTargets(_ scene: MosaicScene, _ patches: [[Int]]) -> [Float] {
        let side = scene.size / 16
        let counts = traits.map(\.count)
        let total = counts.reduce(0, +)
        var targets = [Float](repeating: 0, count: side * side * total)
        for (object, patches) in zip(scene.objects, patches) {
            for patch in patches {
                var start = 0
                for (group, trait) in object.traitIndices.enumerated() {
                    if trait >= 0 { targets[patch * total + start + trait] = 1 }
                    start += counts[group]
                }
            }
        }
        return targets
    }
}

extension MosaicObject {
    /// Kind, colour, size and texture as numbers within their groups; -1 for none.
    var traitIndices: [Int] {
        [kind.rawValue, colour.rawValue, size?.rawValue ?? -1, texture?.rawValue ?? -1]
    }

    /// The same as targets of a cross entropy.
    fileprivate var traitTargets: [Int] { traitIndices.map { $0 < 0 ? MosaicBatch.ignored : $0 } }

    /// Centre and size in pixels.
    fileprivate var boxNumbers: [Double] { [centre.x, centre.y, box.width, box.height] }

    /// The deviation of the Gaussian grows with the object, as in CenterNet.
    fileprivate var deviation: (x: Double, y: Double) { (2 + 0.045 * box.width, 2 + 0.045 * box.height) }
}

extension MosaicDescription {
    /// The name that a phrase says in each group; the length of the group for none.
    fileprivate var namedTargets: [Int] {
        zip([kind?.rawValue, colour?.rawValue, size?.rawValue, texture?.rawValue], MosaicBatch.attributes).map
        {
            $0 ?? $1.count
        }
    }
}

// MARK: Builders

private struct DenseBuilder {
    let side: Int
    var kinds = 0..<MosaicKind.names.count
    var heat: [Float] = []
    var boxes = BoxTruth.Builder()
    var traits: [[Int]] = []
    var images = 0

    init(size: Int) { side = size / Int(HeatGrid.stride) }

    mutating func append(_ scene: MosaicScene) {
        var all = HeatGrid(rows: side, columns: side)
        for (number, object) in scene.objects.enumerated() {
            all.add(centre: (object.centre.x, object.centre.y), deviation: object.deviation, target: number)
        }
        boxes.append(all, boxes: scene.objects.map(\.boxNumbers), first: traits.count)
        var maps = [Float](repeating: 0, count: kinds.count * side * side)
        for kind in Set(scene.objects.map(\.kind)) {
            var grid = HeatGrid(rows: side, columns: side)
            for (number, object) in scene.objects.enumerated() where object.kind == kind {
                grid.add(
                    centre: (object.centre.x, object.centre.y), deviation: object.deviation, target: number)
            }
            maps.replaceSubrange(
                kind.rawValue * side * side..<(kind.rawValue + 1) * side * side, with: grid.heat)
        }
        heat += maps
        traits += scene.objects.map(\.traitTargets)
        images += 1
    }

    /// The joints of one person who fills a picture.
    mutating func append(joints: [(centre: (x: Double, y: Double)?, deviation: (x: Double, y: Double))]) {
        let first = MosaicKind.names.count
        kinds = first..<(first + joints.count)
        for joint in joints {
            var grid = HeatGrid(rows: side, columns: side)
            if let centre = joint.centre { grid.add(centre: centre, deviation: joint.deviation, target: 0) }
            heat += grid.heat
        }
        images += 1
    }

    func finish() throws -> MosaicBatch.DenseTruth {
        let boxes = try boxes.finish()
        return .init(
            heat: try Tensor(heat, [images, kinds.count, side * side]), kinds: kinds, boxes: boxes,
            traits: try Tensor(boxes.target.flatMap { traits[$0] }, [boxes.target.count, 4]))
    }
}

private struct WordsBuilder {
    /// Sequences of similar length are padded together.
    enum Length: Int, CaseIterable { case short, middle, long }

    /// What a query can mean: an object, or a joint, which has no box. Nil for a joint outside of the picture.
    struct Target {
        var centre: (x: Double, y: Double)?
        var deviation: (x: Double, y: Double)
        var box: [Double]?
        var traits: [Int]
        var patches: [Int]

        init(_ object: MosaicObject, patches: [Int]) {
            self.patches = patches
            centre = (object.centre.x, object.centre.y)
            deviation = object.deviation
            box = object.boxNumbers
            traits = object.traitTargets
        }

        /// A joint's deviation is LUMEN's 2 pixels, and one more because cells are 4 wide.
        init(joint number: Int, at place: (x: Double, y: Double)?, in size: Int) {
            centre = place
            let side = size / 16
            patches =
                place.map { place in
                    func cell(_ at: Double) -> Int { min(max(Int(at / 16), 0), side - 1) }
                    return [cell(place.y) * side + cell(place.x)]
                } ?? []
            deviation = (3, 3)
            traits = MosaicBatch.attributes.map(\.count)
            traits[0] = MosaicKind.names.count + number
        }
    }

    struct Row {
        var ids: [Int]
        var learnt: [(source: Int, isLocation: Bool)] = []
    }

    /// A position in the sequences, before their lengths are known.
    struct Place {
        let length: Length
        let row: Int
        let token: Int
    }

    struct Told {
        var places: [Place] = []
        var named: [Int] = []
        var place: [Float] = []
        var single: [Float] = []
        var anchor: [Float] = []
        var anchored: [Float] = []
        /// As in the batch, for [LOC]s and mentions.
        var one: [Float] = []
        var meant = Meant()
    }

    struct Relations {
        var places: [Place] = []
        var directions: [Int] = []
        var distances: [Float] = []
    }

    struct Lists {
        var places: [Place] = []
        var kinds: [Float] = []
        var meant = Meant()
    }

    /// The number of each state's picture, and the patches of the things that the state means.
    struct Meant {
        var pictures: [Int] = []
        var patches: [[Int]] = []

        mutating func append(_ picture: Int, _ targets: [Target]) {
            pictures.append(picture)
            patches.append(Array(Set(targets.flatMap(\.patches))))
        }
    }

    let writing: MosaicWriting
    let tokenizer: Tokenizer
    let loc: Int
    let size: Int
    let queries: Int
    var rows = [[Row]](repeating: [], count: Length.allCases.count)
    var locs = Told()
    var mentions = Told()
    var subjects = Told()
    var varying: [(place: Place, token: Int)] = []
    var anchors: [(place: Place, phrase: Int, picture: Int)] = []
    var relations = Relations()
    var lists = Lists()
    var aligned: [Place] = []
    var heat: [Float] = []
    var boxes = BoxTruth.Builder()
    // The current picture.
    var targets: [Target] = []
    var picture = -1
    var candidates: [(place: Place, targets: [Int])] = []

    init(_ writing: MosaicWriting, size: Int, queries: Int) {
        self.writing = writing
        tokenizer = writing.tokenizer
        self.size = size
        self.queries = queries
        loc = tokenizer.id(of: Prompt.loc)!
    }

    mutating func begin(targets: [Target]) {
        self.targets = targets
        picture += 1
        candidates = []
    }

    /// - Parameter joint: the target of a turn that asks for a joint.
    mutating func append(_ turn: ConversationTurn, _ length: Length, joint: Int? = nil) {
        let number = rows[length.rawValue].count
        var row = Row(ids: tokenizer.encode(writing.form.question(turn.request)))
        // The last tokens of the phrases that a relation starts from.
        var phrases: [Int: Int] = [:]
        func anchored(_ place: Place, _ anchor: Int?) {
            guard let phrase = anchor.flatMap({ phrases[$0] }) else { return }
            anchors.append((place, phrase, picture))
        }
        for mention in turn.mentions {
            guard let description = mention.description else { continue }
            let lead = String(
                decoding: Array(turn.request.utf8.prefix(mention.range.upperBound)), as: UTF8.self)
            let token = tokenizer.encode(writing.form.user + lead).count - 1
            tell(
                &mentions, .init(length: length, row: number, token: token), description.namedTargets,
                mention.objects)
            mentions.one.append(mention.isAnchor ? 1 : 0)
            if mention.isAnchor { phrases[mention.objects[0]] = token }
        }
        var query = 0
        for (position, piece) in turn.answer.enumerated() {
            let isLast = position == turn.answer.count - 1
            let ids = tokenizer.encode(piece.text + (isLast ? Prompt.end : ""))
            let before = Place(length: length, row: number, token: row.ids.count - 1)
            if let subject = piece.subject {
                tell(&subjects, before, targets[subject].traits, [subject], anchor: piece.anchor)
                varying.append((before, ids[0]))
                anchored(before, piece.anchor)
                if let relation = piece.relation, let anchor = piece.anchor {
                    relate(before, relation, subject, anchor)
                }
            }
            if let unlisted = piece.unlisted { list(before, unlisted) }
            let isLocation = piece.text.contains(Prompt.loc) || length == .short
            for id in ids {
                if !piece.isInserted { row.learnt.append((row.ids.count - 1, isLocation)) }
                row.ids.append(id)
                guard id == loc else { continue }
                let place = Place(length: length, row: number, token: row.ids.count - 1)
                let meant = joint.map { [$0] } ?? turn.queries[query].objects
                let description = turn.queries[query].description ?? MosaicDescription()
                tell(
                    &locs, place, joint.map { targets[$0].traits } ?? description.namedTargets, meant,
                    anchor: turn.queries[query].anchor)
                anchored(place, turn.queries[query].anchor)
                locs.one.append(turn.queries[query].isReferring ? 1 : 0)
                candidates.append((place, meant))
                query += 1
            }
        }
        rows[length.rawValue].append(row)
    }

    private func tell(
        _ told: inout Told, _ place: Place, _ named: [Int], _ objects: [Int], anchor: Int? = nil
    ) {
        told.places.append(place)
        told.named += named
        func append(_ target: Int?, _ centres: inout [Float], _ exist: inout [Float]) {
            let centre = target.flatMap { targets[$0].centre }
            centres += [Float((centre?.x ?? 0) / Double(size)), Float((centre?.y ?? 0) / Double(size))]
            exist.append(centre == nil ? 0 : 1)
        }
        append(objects.count == 1 ? objects[0] : nil, &told.place, &told.single)
        append(anchor, &told.anchor, &told.anchored)
        told.meant.append(picture, objects.map { targets[$0] })
    }

    private mutating func relate(_ place: Place, _ relation: MosaicRelation, _ subject: Int, _ anchor: Int) {
        func centre(_ target: Int) -> Point {
            let centre = targets[target].centre!
            return Point(x: centre.x, y: centre.y)
        }
        relations.places.append(place)
        relations.directions.append(relation.rawValue)
        let distance = relation.distance(of: centre(subject), from: centre(anchor))
        relations.distances.append(Float(distance / Double(size)))
    }

    private mutating func list(_ place: Place, _ objects: [Int]) {
        lists.places.append(place)
        var kinds = [Float](repeating: 0, count: MosaicKind.names.count)
        for object in objects { kinds[targets[object].traits[0]] = 1 }
        lists.kinds += kinds
        lists.meant.append(picture, objects.map { targets[$0] })
    }

    /// Chooses the queries of the picture that the aligner answers.
    mutating func end(using random: inout SceneRandom) {
        let chosen = random.permuted(candidates)
        let side = Int(Double(size) / writing.cell)
        for number in 0..<queries {
            let query = chosen[number % chosen.count]
            aligned.append(query.place)
            var grid = HeatGrid(rows: side, columns: side, stride: writing.cell)
            for target in query.targets {
                guard let centre = targets[target].centre else { continue }
                // Deviations are for the embedded model's cells, and scale with the size of a cell.
                let (deviation, scale) = (targets[target].deviation, writing.cell / HeatGrid.stride)
                grid.add(
                    centre: centre, deviation: (deviation.x * scale, deviation.y * scale), target: target)
            }
            heat += grid.heat
            if targets.contains(where: { $0.box != nil }) {
                boxes.append(grid, boxes: targets.map { $0.box ?? [0, 0, 1, 1] })
            }
        }
    }

    func finish(_ count: Int) throws -> MosaicBatch.Words {
        var ids: [Tensor] = []
        var starts = [Int](repeating: 0, count: rows.count)
        var lengths = starts
        var position = 0
        var following: [(source: Int, target: Int, isLocation: Bool)] = []
        for (number, rows) in rows.enumerated() where !rows.isEmpty {
            // A multiple of eight, so that there are few different shapes: libtorch prepares kernels for each.
            let length = (rows.map(\.ids.count).max()! + 7) / 8 * 8
            (starts[number], lengths[number]) = (position, length)
            ids.append(
                try Tensor(
                    rows.flatMap { $0.ids + Array(repeating: 0, count: length - $0.ids.count) },
                    [count, rows.count / count, length]))
            for (index, row) in rows.enumerated() {
                let start = position + index * length
                following += row.learnt.map { (start + $0.source, row.ids[$0.source + 1], $0.isLocation) }
            }
            position += rows.count * length
        }
        func positions(_ places: [Place]) throws -> Tensor {
            try Tensor(
                places.map { starts[$0.length.rawValue] + $0.row * lengths[$0.length.rawValue] + $0.token })
        }
        func things(_ meant: Meant) throws -> MosaicBatch.Things? {
            guard let patch = writing.patch else { return nil }
            let told = meant.patches.indices.filter { !meant.patches[$0].isEmpty }
            guard !told.isEmpty else { return nil }
            let tokens = (size / patch) * (size / patch)
            var patches = [Float](repeating: 0, count: told.count * tokens)
            for (row, number) in told.enumerated() {
                for patch in meant.patches[number] { patches[row * tokens + patch] = 1 }
            }
            return .init(
                told: try Tensor(told), images: try Tensor(told.map { meant.pictures[$0] }),
                patches: try Tensor(patches, [told.count, tokens]))
        }
        func texts() throws -> MosaicBatch.Anchors? {
            guard writing.patch != nil, !anchors.isEmpty else { return nil }
            let length = lengths.max()!
            return .init(
                texts: try Tensor(
                    anchors.flatMap { anchor in
                        let (own, row) = (lengths[anchor.place.length.rawValue], anchor.place.row)
                        let start = starts[anchor.place.length.rawValue] + row * own
                        // No token sees the padding after a shorter text.
                        return (0..<length).map { start + min($0, own - 1) }
                    }, [anchors.count, length]),
                tokens: try Tensor(anchors.map(\.place.token)), phrases: try Tensor(anchors.map(\.phrase)),
                images: try Tensor(anchors.map(\.picture)))
        }
        func told(_ told: Told) throws -> MosaicBatch.Told {
            let count = told.places.count
            return .init(
                positions: try positions(told.places), named: try Tensor(told.named, [count, 4]),
                place: try Tensor(told.place, [count, 2]), single: try Tensor(told.single),
                anchor: try Tensor(told.anchor, [count, 2]), anchored: try Tensor(told.anchored),
                one: told.one.isEmpty ? nil : try Tensor(told.one), things: try things(told.meant))
        }
        func follow(_ isLocation: Bool) throws -> MosaicBatch.Following {
            let chosen = following.filter { $0.isLocation == isLocation }
            return .init(
                sources: try Tensor(chosen.map(\.source)), targets: try Tensor(chosen.map(\.target)))
        }
        let cells = heat.count / (count * queries)
        return .init(
            ids: ids, location: try follow(true), text: try follow(false),
            varying: .init(
                sources: try positions(varying.map(\.place)), targets: try Tensor(varying.map(\.token))),
            loc: try told(locs),
            mentions: try told(mentions), subjects: try told(subjects),
            anchors: try texts(),
            relations: .init(
                positions: try positions(relations.places), directions: try Tensor(relations.directions),
                distances: try Tensor(relations.distances)),
            lists: .init(
                positions: try positions(lists.places),
                kinds: try Tensor(lists.kinds, [lists.places.count, MosaicKind.names.count]),
                things: try things(lists.meant)),
            aligned: try positions(aligned),
            heat: try Tensor(heat, [count, queries, cells]), boxes: try boxes.finish())
    }
}
