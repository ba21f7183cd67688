import Datasets
import Media
import Text
import Vitrail

/// One thing that the demo asks, and the answer where it is known.
struct DemoRequest {
    /// What Mosaic knows to be right; a part that is nil is not judged.
    struct Truth {
        var words: String?
        /// The things to be found, by the order in which they are asked for.
        var places: [[MosaicThing]]?
    }

    /// Which of the tasks it shows.
    let task: String
    let text: String
    let truth: Truth?
}

/// An object of a scene with its mask.
struct MosaicThing {
    let box: Box
    let mask: Mask
    let keypoints: Keypoints?
}

/// A picture of the demo with what is asked about it.
struct DemoScene {
    let title: String
    let image: Image
    let requests: [DemoRequest]

    /// A seed that nothing is trained on, nor is a model chosen by it.
    static let seed: UInt64 = 900_500

    /// Six pictures, three of each ring, with four or five requests each: all tasks in both rings. The scenes are the
    /// first in which there is something to ask of each kind wanted; what a model answers has no part in it.
    static func mosaic() -> [DemoScene] {
        let plans: [(configuration: MosaicConfiguration, wishes: [Wish])] = [
            (.standard, [.every, .outlineEvery, .count, .question(.colour)]),
            (.standard, [.pose, .superlative, .outlineOne, .absent]),
            (.standard, [.pointOnEach, .relative, .caption, .two, .question(.relation)]),
            (.rich, [.every, .outlineEvery, .caption, .absent]),
            (.rich, [.pose, .superlative, .outlineOne, .count]),
            (.rich, [.two, .relative, .pointOnEach, .question(.exist), .question(.colour)]),
        ]
        var scenes: [DemoScene] = []
        for plan in plans {
            // Two scenes of one index are told apart by their rings alone.
            var index = 10 * scenes.count
            while true {
                let scene = MosaicScene(seed: seed, index: index, configuration: plan.configuration)
                var random = SceneRandom(seed: seed, index: index, stream: 17)
                let requests = plan.wishes.compactMap { $0.request(about: scene, using: &random) }
                if requests.count == plan.wishes.count {
                    let (ring, size) = (plan.configuration.ring, plan.configuration.size)
                    let title = "Mosaic, \(ring) ring, seed \(seed), scene \(index), \(size) x \(size)"
                    scenes.append(DemoScene(title: title, image: scene.image, requests: requests))
                    break
                }
                index += 1
            }
        }
        return scenes
    }

    /// What is asked of a picture about which nothing is known.
    static func users(_ image: Image, name: String) -> DemoScene {
        let requests = [
            ("detection", "Find all objects."), ("counting", "How many objects are there?"),
            ("pose", "Show the joints of the people."), ("question", "Is there a red circle?"),
            ("grounding", "Find the largest object."), ("caption", "What do you see?"),
        ]
        return DemoScene(
            title: "\(name), \(image.width) x \(image.height)", image: image,
            requests: requests.map { DemoRequest(task: $0, text: $1, truth: nil) })
    }
}

/// A kind of request that the demo wants to show.
private enum Wish {
    case every, outlineEvery, pointOnEach, pose, count, absent, superlative, relative, outlineOne, caption,
        two
    case question(MosaicQuestion.Kind)

    /// A request of this kind; nil when the scene has nothing to ask it of.
    func request(about scene: MosaicScene, using random: inout SceneRandom) -> DemoRequest? {
        guard scene.objects.count >= 4 else { return nil }
        switch self {
        case .every: return several("detection", scene) { "Find every \($0.phrase)." }
        case .outlineEvery: return several("instance segmentation", scene) { "Outline every \($0.phrase)." }
        case .pointOnEach: return several("points", scene) { "Put a point on each \($0.phrase)." }
        case .pose:
            let people = scene.things(MosaicDescription(kind: .person))
            return people.isEmpty
                ? nil
                : DemoRequest(
                    task: "pose", text: "Show the joints of the people.", truth: .init(places: [people]))
        case .count:
            guard let most = mostOf(scene) else { return nil }
            let count = scene.matches(of: most).count
            return DemoRequest(
                task: "counting", text: "How many \(most.plural) are there?",
                truth: .init(words: "There are \(Prompt.number(count))."))
        case .absent:
            let kinds = scene.configuration.ring.kinds
            let absent = kinds.first { kind in !scene.objects.contains { $0.kind == kind } }
            return absent.map {
                DemoRequest(
                    task: "something absent", text: "Find all \($0.plural).",
                    truth: .init(words: "There is no \($0.name).", places: [[]]))
            }
        case .superlative: return one("grounding", .superlative, scene, &random) { "Find \($0)." }
        case .relative: return one("grounding", .relation, scene, &random) { "Where is \($0)?" }
        case .outlineOne:
            return one("referring segmentation", .attribute, scene, &random) { "Cut out \($0)." }
        case .caption:
            return DemoRequest(
                task: "caption", text: "What do you see?", truth: .init(words: scene.caption()))
        case .two:
            guard let most = mostOf(scene),
                let other = scene.referringExpression(kind: .attribute, using: &random)
            else { return nil }
            let count = scene.matches(of: most).count
            let words = "\(Prompt.location(.referringSegmentation)). There are \(Prompt.number(count))."
            return DemoRequest(
                task: "two requests in one", text: "Outline \(other.text) and count the \(most.plural).",
                truth: .init(words: words, places: [[scene.thing(other.target)]]))
        case .question(let kind):
            return scene.questionTurn(kind: kind, phrasing: .training, using: &random).map {
                DemoRequest(task: "question", text: $0.request, truth: .init(words: $0.visibleAnswer))
            }
        }
    }

    /// The kind that there is most of, if that is two or more, and few enough to be named.
    private func mostOf(_ scene: MosaicScene) -> MosaicDescription? {
        let descriptions = scene.configuration.ring.kinds.map { MosaicDescription(kind: $0) }
        let most = descriptions.max { scene.matches(of: $0).count < scene.matches(of: $1).count }
        return most.flatMap { (2...12).contains(scene.matches(of: $0).count) ? $0 : nil }
    }

    private func several(
        _ task: String, _ scene: MosaicScene, _ text: (MosaicDescription) -> String
    ) -> DemoRequest? {
        mostOf(scene).map {
            DemoRequest(task: task, text: text($0), truth: .init(places: [scene.things($0)]))
        }
    }

    private func one(
        _ task: String, _ kind: MosaicReference.Kind, _ scene: MosaicScene, _ random: inout SceneRandom,
        _ text: (String) -> String
    ) -> DemoRequest? {
        scene.referringExpression(kind: kind, using: &random).map {
            DemoRequest(task: task, text: text($0.text), truth: .init(places: [[scene.thing($0.target)]]))
        }
    }
}

extension MosaicScene {
    fileprivate func thing(_ index: Int) -> MosaicThing {
        MosaicThing(box: objects[index].box, mask: mask(of: index), keypoints: objects[index].keypoints)
    }

    fileprivate func things(_ description: MosaicDescription) -> [MosaicThing] {
        matches(of: description).map(thing)
    }
}

extension DemoRequest.Truth {
    /// What a right answer would have been.
    var summary: String {
        if let words { return words }
        let counts = (places ?? []).map {
            $0.isEmpty ? "there is none" : "there are \($0.count), or elsewhere"
        }
        return counts.joined(separator: "; ")
    }

    /// Whether the words are the same, and every thing is found once and nothing else is. What a count was taken of is
    /// judged by the words.
    func agrees(with answer: Answer) -> Bool {
        if let words, answer.text != words { return false }
        guard let places else { return true }
        let found = answer.findings.filter { $0.route != .count }
        return found.count == places.count && zip(found, places).allSatisfy { agrees($0, $1) }
    }

    private func agrees(_ finding: Finding, _ things: [MosaicThing]) -> Bool {
        guard finding.count == things.count else { return false }
        var rest = things
        for detection in finding.detections {
            guard let hit = rest.indices.first(where: { rest[$0].isShown(by: detection, finding.route) })
            else {
                return false
            }
            rest.remove(at: hit)
        }
        return true
    }
}

extension MosaicThing {
    /// Boxes and masks at an IoU of 0.5, points inside the box, and of a person's joints that are in sight three of four
    /// no farther away than a tenth of the box.
    fileprivate func isShown(by detection: Detection, _ route: Route) -> Bool {
        switch route.response {
        case .boxes, .count: return box.iou(detection.box) >= 0.5
        case .masks: return (try? detection.mask?.iou(mask)) ?? 0 >= 0.5
        case .points, .keypoints:
            guard (box.x...box.maxX).contains(detection.point.x),
                (box.y...box.maxY).contains(detection.point.y)
            else { return false }
            guard let keypoints else { return true }
            guard let found = detection.keypoints else { return false }
            let pairs = zip(keypoints.joints, found.joints).filter { $0.0.visibility == .visible }
            let near = pairs.filter { known, found in
                let (dx, dy) = (known.point.x - found.point.x, known.point.y - found.point.y)
                return (dx * dx + dy * dy).squareRoot() <= 0.1 * max(box.width, box.height)
            }
            return 4 * near.count >= 3 * pairs.count
        }
    }
}
