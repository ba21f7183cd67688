package import Datasets
import Foundation
import Media
package import Text
package import Torch
import Vitrail

/// The pictures of a fine-tuning, read and checked: what is learnt from, and what the best model is chosen by.
///
/// Categories of the things are indices into `classes`.
package struct LabelSplit: Sendable {
    /// Names that occur in training, in the order of the labels.
    package let classes: [String]
    package let train: [LabelledSet.Picture]
    package let validation: [LabelledSet.Picture]
    /// By which nothing is learnt or chosen; often none.
    package let test: [LabelledSet.Picture]
    /// Whether the validation is a set of its own.
    let hasOwnValidation: Bool
    /// The training set without its pictures.
    let set: LabelledSet
    /// A line each: sets, classes, what was skipped.
    package let summary: [String]

    /// Reads the sets.
    ///
    /// - Parameters:
    ///   - configuration: which sets, and what is to be learnt of them.
    ///   - folder: what relative paths are relative to; nil for the working directory.
    ///   - tokenizer: measures texts; those that are too long are left out. Nil for any length.
    ///   - group: the processes that learn together, each from the shards of its own where there are shards.
    /// - Throws: ``TrainingError`` or `LabelError`, one line, for labels that cannot be learnt from.
    package init(
        _ configuration: FineTuningConfiguration, relativeTo folder: String? = nil,
        tokenizer: Tokenizer? = nil, group: ProcessGroup? = nil
    ) throws {
        var read = try LabelledSet.read(
            configuration.data.train, relativeTo: folder, rank: group?.rank ?? 0, ranks: group?.count ?? 1)
        // Each rank knows the classes of its own shards; their order is that of no rank.
        var names: [String]?
        if configuration.data.train.format.isSharded {
            let all = try group?.tell(read.learntNames) ?? [read.learntNames]
            names = Set(all.joined()).sorted()
            read.setCategories(names!)
        }
        let other = try configuration.data.validation.map { try LabelledSet.read($0, relativeTo: folder) }
        let tested = try configuration.data.test.map { try LabelledSet.read($0, relativeTo: folder) }
        let path = configuration.data.train.path
        try self.init(
            read, validation: other, test: tested, configuration, tokenizer: tokenizer, learnt: names,
            path: path.hasPrefix("/") ? path : folder.map { "\($0)/\(path)" })
    }

    /// Tokens of a request and its answer at most.
    private static let longestText = RemadeModel.textRoom - 32

    /// - Parameters:
    ///   - read: what is learnt from, and validated by where there is no other.
    ///   - other: what is validated by.
    ///   - tested: what is scored at the end.
    ///   - configuration: what is to be learnt.
    ///   - tokenizer: measures texts; nil for any length.
    ///   - learnt: the names of classes that are learnt; nil for those that things of `read` have.
    ///   - path: what errors call the set; as the configuration has it when nil.
    package init(
        _ read: LabelledSet, validation other: LabelledSet?, test tested: LabelledSet? = nil,
        _ configuration: FineTuningConfiguration, tokenizer: Tokenizer? = nil, learnt: [String]? = nil,
        path: String? = nil
    ) throws {
        let name = path ?? configuration.data.train.path
        func refuse(_ reason: String) -> TrainingError { .badConfiguration(name, reason) }
        var (read, other, tested) = (read, other, tested)
        var lines: [String] = []
        let boxed = [read.boxPoints(), other?.boxPoints(), tested?.boxPoints()].compactMap { $0 }
        let (points, unknown) = boxed.reduce(into: (0, 0)) {
            $0.0 += $1.points
            $0.1 += $1.unknown
        }
        if points > 0 {
            lines.append("\(points) points are taken as boxes of their picture's examples' mean size")
        }
        if unknown > 0 {
            lines.append("\(unknown) points are left out: their pictures have no example of the size")
        }
        let long = tokenizer.map { tokenizer in
            let longest = Self.longestText
            return read.removeTexts(longerThan: longest, tokenizer)
                + (other?.removeTexts(longerThan: longest, tokenizer) ?? 0)
                + (tested?.removeTexts(longerThan: longest, tokenizer) ?? 0)
        }
        if let long, long > 0 {
            lines.append(
                "\(long) texts are left out, of more than \(Self.longestText) tokens or with a token of the model's own such as \(Prompt.loc)"
            )
        }
        let asksQuestions = configuration.questions > 0
        // What can be asked of a picture without a class of its things.
        let words = configuration.wordTasks
        func saysSomething(_ picture: LabelledSet.Picture) -> Bool {
            words.contains(.caption) && !picture.captions.isEmpty
                || words.contains(.dialogue) && picture.dialogues.contains { $0.turns.count > 1 }
                || words.contains(.question) && picture.questions.contains(where: \.isAnswered)
        }
        // A class of which nothing is there cannot be learnt.
        let there = read.learntCategories
        let kept = read.categories.indices.filter {
            learnt?.contains(read.categories[$0].name) ?? there.contains($0)
        }
        let isSaid = read.pictures.contains(where: saysSomething)
        // Without a box nothing but words can be learnt.
        let asksNames = configuration.names > 0 || configuration.requests > 0 && !(kept.isEmpty && isSaid)
        let classes = asksNames ? kept.map { read.categories[$0].name } : []
        self.classes = classes
        if let twice = classes.first(where: { name in classes.count { $0 == name } > 1 }) {
            throw refuse("two classes are called \"\(twice)\"")
        }
        let hasQuestions = read.pictures.contains { $0.questions.contains(where: \.isAnswered) }
        if asksNames, classes.isEmpty {
            throw refuse(
                "names and requests are \(configuration.names) and \(configuration.requests), but there is nothing labelled with a box\(configuration.names == 0 ? ", and nothing said," : "") in its \(read.pictures.count) pictures"
            )
        }
        if asksQuestions, !hasQuestions {
            throw refuse(
                "questions is \(configuration.questions), but no picture has a question with an answer")
        }
        if configuration.remakesHead, classes.isEmpty {
            throw refuse("remakes_head wants names or requests of more than 0, and things with boxes")
        }
        if configuration.segmenter != nil,
            !read.pictures.contains(where: { $0.things.contains { $0.segmentation != nil } })
        {
            throw refuse("segmenter is given, but no thing has a mask")
        }
        let places = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1, $0) })
        var unlabelled = 0
        func made(_ set: LabelledSet) -> [LabelledSet.Picture] {
            set.pictures.compactMap { picture in
                var picture = picture
                var kept: [LabelledSet.Thing] = []
                var newIndices: [Int?] = []
                for var thing in picture.things {
                    guard let place = places[set.categories[thing.category].name] else {
                        newIndices.append(nil)
                        continue
                    }
                    newIndices.append(kept.count)
                    thing.keypoints = set.categories[thing.category].cocoJoints.flatMap {
                        thing.keypoints?.chosen($0)
                    }
                    thing.category = place
                    kept.append(thing)
                }
                picture.things = kept
                picture.referring = picture.referring.compactMap { $0.moved(newIndices) }
                picture.present = []
                picture.incomplete = picture.incomplete.compactMap { places[set.categories[$0].name] }
                picture.absent = picture.absent.map {
                    $0.compactMap { places[set.categories[$0].name] }
                }
                picture.questions.removeAll { !$0.isAnswered }
                let isClear = picture.isLabelled && picture.unclear(classes.count).count < classes.count
                if classes.isEmpty || !isClear {
                    let isAsked = asksQuestions && !picture.questions.isEmpty || saysSomething(picture)
                    // Nothing says of any class where all of it is, or that it is not there.
                    guard isAsked, classes.isEmpty || configuration.names == 0 else {
                        unlabelled += classes.isEmpty ? 0 : 1
                        return nil
                    }
                }
                return picture
            }
        }
        var train = made(read)
        var validation: [LabelledSet.Picture] = []
        var test = tested.map(made) ?? []
        if let other {
            validation = made(other)
            let strange = other.pictures.flatMap(\.things).reduce(into: [String: Int]()) { counts, thing in
                let name = other.categories[thing.category].name
                if places[name] == nil { counts[name, default: 0] += 1 }
            }
            if asksNames, !strange.isEmpty {
                let named = strange.sorted { $0.key < $1.key }.prefix(3).map { "\($0.key) \($0.value)" }
                lines.append(
                    "\(strange.values.reduce(0, +)) things of the validation are of classes that there are none of to learn from, left out: \(named.joined(separator: ", "))\(strange.count > 3 ? ", …" : "")"
                )
            }
            let own = configuration.data.validation!.path
            guard !validation.isEmpty else {
                throw TrainingError.badConfiguration(own, "no picture to validate by is left")
            }
            if asksNames, !strange.isEmpty, validation.allSatisfy(\.things.isEmpty) {
                throw TrainingError.badConfiguration(
                    own,
                    "none of its \(strange.values.reduce(0, +)) things is of a class that is learnt: \(classes.prefix(3).joined(separator: ", "))\(classes.count > 3 ? ", …" : "")"
                )
            }
            if let limit = configuration.data.validationLimit, validation.count > limit {
                let all = validation.count
                (_, validation, _) = try Self.divided(
                    validation, (Double(limit) / Double(all), 0), seed: configuration.seed)
                lines.append("of \(all) pictures to validate by \(validation.count) are drawn by the seed")
            }
            try Self.checkOverlap(train, validation, own, "validate")
            let names = Set(train.map(\.fileName))
            let alike = validation.map(\.fileName).filter(names.contains)
            if !alike.isEmpty {
                lines.append(
                    "\(alike.count) pictures to validate by are called as others that are learnt from, with other content: \(alike.prefix(LabelProblems.namesKept).joined(separator: ", "))\(alike.count > LabelProblems.namesKept ? ", …" : "")"
                )
            }
        }
        if configuration.data.validationShare != nil || configuration.data.testShare != nil {
            let (share, testShare) = (configuration.data.validationShare, configuration.data.testShare)
            let parts = try Self.divided(train, (share ?? 0, testShare ?? 0), seed: configuration.seed)
            train = parts.train
            if let share {
                validation = parts.validation
                guard !validation.isEmpty, !train.isEmpty else {
                    throw refuse(
                        "validation_share \(share) of its \(train.count + validation.count) pictures leaves none to \(train.isEmpty ? "learn from" : "validate by")"
                    )
                }
            }
            if testShare != nil { test = parts.test }
        }
        if let path = configuration.data.test?.path {
            try Self.checkOverlap(train + validation, test, path, "test")
        }
        guard !train.isEmpty else { throw refuse("no picture to learn from is left") }
        if configuration.joints != nil, !train.contains(where: { $0.things.contains(where: \.isPosed) }) {
            throw refuse(
                "joints is given, but no thing of a class \"person\" has a labelled joint of COCO's names")
        }
        self.train = train
        self.validation = validation
        self.test = test
        hasOwnValidation = other != nil
        var set = read
        (set.pictures, set.categories) = ([], kept.map { read.categories[$0] })
        for place in set.categories.indices {
            let isPosed = set.categories[place].cocoJoints != nil
            set.categories[place].keypoints = isPosed ? Keypoints.cocoNames : []
        }
        self.set = set
        let posed = train.reduce(0) { $0 + $1.things.count(where: \.isPosed) }
        if posed > 0 {
            lines.append(
                "\(posed) people with joints to learn from\(configuration.joints == nil ? ", which are not learnt: joints is not given" : "")"
            )
        }
        func line(_ title: String, _ pictures: [LabelledSet.Picture]) -> String {
            let counts = pictures.reduce(into: [Int](repeating: 0, count: classes.count)) { sum, picture in
                for (label, count) in picture.counts(classes.count).enumerated() { sum[label] += count }
            }
            var named = zip(classes, counts).prefix(12).map { "\($0) \($1)" }
            if classes.count > 12 { named.append("… of \(classes.count) classes") }
            func count(_ name: String, _ isAsked: Bool, _ count: (LabelledSet.Picture) -> Int) {
                let sum = pictures.reduce(0) { $0 + count($1) }
                if isAsked, sum > 0 { named.append("\(sum) \(name)") }
            }
            count("questions", asksQuestions || words.contains(.question)) { $0.questions.count }
            count("captions", words.contains(.caption)) { $0.captions.count }
            count("conversations", words.contains(.dialogue)) { $0.dialogues.count }
            return "\(title): \(pictures.count) pictures; \(named.joined(separator: ", "))"
        }
        lines.append(line("train", train))
        lines.append(
            line(
                other == nil
                    ? "validation, drawn from it by seed \(configuration.seed)" : "validation", validation))
        if !test.isEmpty {
            let drawn = configuration.data.testShare == nil ? "" : ", drawn by seed \(configuration.seed)"
            lines.append(line("test\(drawn)", test))
        }
        if unlabelled > 0 {
            lines.append(
                "\(unlabelled) pictures are left out: of no class is it known whether all of it is labelled")
        }
        let without = read.categories.count - kept.count
        if asksNames, without > 0 {
            lines.append("\(without) classes of which nothing is there are left out")
        }
        for problems in [read.problems, other?.problems, tested?.problems].compactMap({ $0 })
        where !problems.isEmpty {
            lines += problems.summary.split(separator: "\n").map(String.init)
        }
        summary = lines
    }

    /// - Throws: ``TrainingError`` that names the first class whose name the model cannot be asked for.
    func checkNames(_ tokenizer: Tokenizer) throws {
        for name in classes {
            func refuse(_ reason: String) -> TrainingError {
                .badConfiguration("class \"\(name.prefix(40))\"", reason)
            }
            do { try Prompt.check(name) } catch { throw refuse("\(error)") }
            guard tokenizer.decode(tokenizer.encode(name)) == name else {
                throw refuse("the model's tokenizer cannot write this name")
            }
            guard !Route.isSingle(name) else {
                throw refuse("a name that begins with \"the \" means one thing alone")
            }
        }
    }

    /// Writes the parts in COCO's form, `train.json`, `validation.json` and, where there is one, `test.json`, boxes alone, so that
    /// other programs can learn from the same pictures and be scored by the same. Pictures are named by their whole paths.
    func write(to folder: String) throws {
        for (name, pictures) in [("train", train), ("validation", validation), ("test", test)] {
            if name == "test", pictures.isEmpty { continue }
            var images: [[String: Any]] = []
            var annotations: [[String: Any]] = []
            for (number, picture) in pictures.enumerated() {
                images.append([
                    "id": number + 1, "file_name": picture.source.absoluteName, "width": picture.width,
                    "height": picture.height,
                ])
                for thing in picture.things {
                    let box = thing.box
                    annotations.append([
                        "id": annotations.count + 1, "image_id": number + 1,
                        "category_id": thing.category + 1, "iscrowd": thing.isLearnt ? 0 : 1,
                        "area": thing.area ?? box.area, "bbox": [box.x, box.y, box.width, box.height],
                    ])
                }
            }
            let categories = classes.enumerated().map {
                ["id": $0.offset + 1, "name": $0.element] as [String: Any]
            }
            try JSONSerialization.data(
                withJSONObject: ["images": images, "annotations": annotations, "categories": categories],
                options: [.sortedKeys, .withoutEscapingSlashes]
            ).write(to: URL(fileURLWithPath: "\(folder)/\(name).json"), options: .atomic)
        }
    }

    // MARK: Dividing

    /// Shares of the pictures for validation and test, drawn by their bytes and the seed; equal pictures stay together.
    private static func divided(
        _ pictures: [LabelledSet.Picture], _ shares: (validation: Double, test: Double), seed: UInt64
    ) throws -> (
        train: [LabelledSet.Picture], validation: [LabelledSet.Picture], test: [LabelledSet.Picture]
    ) {
        let prints = pictures.map(\.fingerprint)
        let keys = prints.map { print in
            var random = SceneRandom(seed: print, index: Int(truncatingIfNeeded: seed), stream: 13)
            return random.next()
        }
        let order = pictures.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }
        func end(_ share: Double, from start: Int) -> Int {
            var end = min(order.count, start + Int((Double(pictures.count) * share).rounded()))
            while end > start, end < order.count, keys[order[end - 1]] == keys[order[end]] { end += 1 }
            return end
        }
        let first = end(shares.validation, from: 0)
        let second = end(shares.test, from: first)
        func part(_ range: Range<Int>) -> [LabelledSet.Picture] { order[range].sorted().map { pictures[$0] } }
        return (part(second..<order.count), part(0..<first), part(first..<second))
    }

    private static func checkOverlap(
        _ train: [LabelledSet.Picture], _ validation: [LabelledSet.Picture], _ path: String, _ use: String
    ) throws {
        var known: [UInt64: String] = [:]
        for picture in train { known[picture.fingerprint] = picture.fileName }
        var problems: [String] = []
        var count = 0
        for picture in validation {
            guard let other = known[picture.fingerprint] else { continue }
            count += 1
            if problems.count < LabelProblems.namesKept {
                problems.append(
                    picture.fileName == other ? other : "\(picture.fileName) is \(other)")
            }
        }
        guard count == 0 else {
            throw TrainingError.badConfiguration(
                path,
                "\(count) of the \(validation.count) pictures to \(use) by are \(use == "test" ? "used before" : "learnt from") too: \(problems.joined(separator: ", "))\(count > problems.count ? ", …" : "")"
            )
        }
    }
}

extension LabelledSet.Thing {
    /// Whether it is one thing that counts.
    var isLearnt: Bool { !isCrowd && !isIgnored && !isDifficult }

    /// Whether it is a person with a joint that is labelled.
    var isPosed: Bool { isLearnt && keypoints?.joints.contains { $0.visibility != .absent } == true }
}

extension LabelledSet.Category {
    /// Where each of COCO's 17 joints stands among the category's own; nil for what is no person, or has none of them. It
    /// is people's joints that the pose pathway asks for.
    var cocoJoints: [Int?]? {
        guard name == "person" else { return nil }
        let own = keypoints.map { $0.lowercased().replacing("_", with: " ") }
        let places = Keypoints.cocoNames.map(own.firstIndex(of:))
        return places.contains { $0 != nil } ? places : nil
    }
}

extension Keypoints {
    /// The joints that stand at `places`, in that order, and absent ones for nil.
    func chosen(_ places: [Int?]) -> Keypoints {
        Keypoints(
            places.map { place in
                place.flatMap { joints.indices.contains($0) ? joints[$0] : nil }
                    ?? Joint(point: Point(x: 0, y: 0), visibility: .absent)
            })
    }
}

extension LabelledSet {
    /// The categories of which there is a thing to be learnt.
    fileprivate var learntCategories: Set<Int> {
        Set(pictures.flatMap { $0.things.filter(\.isLearnt).map(\.category) })
    }

    fileprivate var learntNames: [String] { learntCategories.sorted().map { categories[$0].name } }

    /// Makes the categories these; things of others go.
    fileprivate mutating func setCategories(_ names: [String]) {
        let places = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
        let new = categories.map { places[$0.name] }
        for number in pictures.indices {
            pictures[number].things = pictures[number].things.compactMap { thing in
                var thing = thing
                guard let category = new[thing.category] else { return nil }
                thing.category = category
                return thing
            }
            pictures[number].present = pictures[number].present.compactMap { new[$0] }
            pictures[number].incomplete = pictures[number].incomplete.compactMap { new[$0] }
            pictures[number].absent = pictures[number].absent?.compactMap { new[$0] }
        }
        categories = names.enumerated().map { Category(id: .number($0.offset), name: $0.element) }
    }

    /// Removes questions, captions and exchanges of more tokens, and those with a token that steers the model.
    ///
    /// - Returns: how many.
    mutating func removeTexts(longerThan longest: Int, _ tokenizer: Tokenizer) -> Int {
        var removed = 0
        func isBad(_ texts: String...) -> Bool {
            // No token is shorter than a byte.
            let isLong =
                texts.reduce(0) { $0 + $1.utf8.count } > longest
                && texts.reduce(0) { $0 + tokenizer.encode($1).count } > longest
            let isBad =
                isLong
                || Prompt.specialTokens.contains { token in texts.contains { $0.contains(token.content) } }
            removed += isBad ? 1 : 0
            return isBad
        }
        for number in pictures.indices {
            pictures[number].captions.removeAll { isBad($0) }
            pictures[number].questions.removeAll { question in
                isBad(question.text) || question.answers.contains { isBad(question.text, $0) }
            }
            for dialogue in pictures[number].dialogues.indices {
                let turns = pictures[number].dialogues[dialogue].turns
                pictures[number].dialogues[dialogue].turns = stride(from: 0, to: turns.count - 1, by: 2)
                    .filter { !isBad(turns[$0].text, turns[$0 + 1].text) }
                    .flatMap { [turns[$0], turns[$0 + 1]] }
            }
            pictures[number].dialogues.removeAll(where: \.turns.isEmpty)
        }
        return removed
    }

    /// The same with things in place of points: boxes as large as the picture's examples are on average, as far as they
    /// lie in it.
    ///
    /// - Returns: how many points became things, and how many could not, for want of an example.
    mutating func boxPoints() -> (points: Int, unknown: Int) {
        var (count, unknown) = (0, 0)
        for number in pictures.indices where !pictures[number].points.isEmpty {
            let picture = pictures[number]
            defer { pictures[number].points = [] }
            guard let category = picture.present.first, !picture.exemplars.isEmpty else {
                unknown += picture.points.count
                pictures[number].isLabelled = false
                continue
            }
            func mean(_ side: KeyPath<Box, Double>) -> Double {
                picture.exemplars.reduce(0) { $0 + $1[keyPath: side] } / Double(picture.exemplars.count)
            }
            let (width, height) = (max(1, mean(\.width)), max(1, mean(\.height)))
            let area = Box(x: 0, y: 0, width: Double(picture.width), height: Double(picture.height))
            let things = picture.points.compactMap { point -> Thing? in
                let box = Box(x: point.x - width / 2, y: point.y - height / 2, width: width, height: height)
                return box.intersection(area).map { Thing(id: 0, category: category, box: $0) }
            }
            for (place, var thing) in things.enumerated() {
                thing.id = .number(picture.things.count + place + 1)
                pictures[number].things.append(thing)
            }
            count += things.count
        }
        return (count, unknown)
    }
}

extension PictureSource {
    /// What it is called from any folder.
    fileprivate var absoluteName: String {
        switch self {
        case .file(let path): URL(fileURLWithPath: path).standardizedFileURL.path
        case .archive(let path, let offset, let length):
            PictureSource.archive(
                URL(fileURLWithPath: path).standardizedFileURL.path, offset: offset, length: length
            ).name
        }
    }
}

extension LabelledSet.Question {
    var isAnswered: Bool { answers.contains { !$0.isEmpty } }
}

extension LabelledSet.Picture {
    /// Of `classes` those of which more may be there than is labelled: one that nobody looked for, or a label of which is lost.
    func unclear(_ classes: Int) -> Set<Int> {
        guard let absent else { return Set(incomplete) }
        let known = Set(absent).union(things.map(\.category))
        return Set((0..<classes).filter { !known.contains($0) }).union(incomplete)
    }

    /// How many things of each class there are.
    func counts(_ classes: Int) -> [Int] {
        things.reduce(into: [Int](repeating: 0, count: classes)) {
            if $1.isLearnt { $0[$1.category] += 1 }
        }
    }

    /// A number of the file's size and its first 64 KiB (FNV-1a).
    var fingerprint: UInt64 {
        var (bytes, size): (Data, Int) = (Data(), 0)
        switch source {
        case .file(let path):
            guard let file = FileHandle(forReadingAtPath: path) else { break }
            defer { try? file.close() }
            bytes = (try? file.read(upToCount: 65_536)) ?? Data()
            size = Int((try? file.seekToEnd()) ?? 0)
        case .archive(let path, let offset, let length):
            guard let file = FileHandle(forReadingAtPath: path) else { break }
            defer { try? file.close() }
            try? file.seek(toOffset: UInt64(offset))
            bytes = (try? file.read(upToCount: min(length, 65_536))) ?? Data()
            size = length
        }
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325 ^ UInt64(size)
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }
}
