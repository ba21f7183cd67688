import Datasets
import Media

/// One thing that the demo asks, and the answer where it is known.
struct DemoRequest {
    /// What Mosaic knows to be right.
    enum Truth {
        case words(String)
        case boxes([Box])
    }

    let text: String
    let truth: Truth?
}

/// A picture of the demo with what is asked about it.
struct DemoScene {
    let title: String
    let image: Image
    let requests: [DemoRequest]

    /// A seed that nothing is trained on, nor is a model chosen by it.
    static let seed: UInt64 = 900_500

    /// Five pictures, four requests each, of thirteen kinds. The scenes are the first in which there is something to
    /// ask of each kind wanted; what a model answers has no part in it.
    static func mosaic() throws -> [DemoScene] {
        let plans: [(size: Int, wishes: [Wish])] = [
            (256, [.every, .words(.colour), .words(.count), .superlative]),
            (192, [.coloured, .words(.shape), .words(.relation), .relative]),
            (128, [.pointOnEach, .words(.exist), .words(.size), .pointAtOne]),
            (256, [.people, .words(.texture), .absent, .superlative]),
            (224, [.every, .words(.count), .relative, .words(.colour)]),
        ]
        var scenes: [DemoScene] = []
        var index = 0
        while scenes.count < plans.count {
            let (size, wishes) = plans[scenes.count]
            let scene = MosaicScene(
                seed: seed, index: index, configuration: try MosaicConfiguration(size: size))
            var random = SceneRandom(seed: seed, index: index, stream: 17)
            let requests = wishes.compactMap { $0.request(about: scene, using: &random) }
            if requests.count == wishes.count, Set(requests.map(\.text)).count == requests.count {
                let title = "Mosaic, seed \(seed), scene \(index), \(size) x \(size)"
                scenes.append(DemoScene(title: title, image: scene.image, requests: requests))
            }
            index += 1
        }
        return scenes
    }

    /// What is asked of a picture about which nothing is known.
    static func users(_ image: Image, name: String) -> DemoScene {
        let texts = [
            "Find all objects.", "How many objects are there?", "Where are the people?",
            "Is there a red circle?",
            "Find the largest object.",
        ]
        return DemoScene(
            title: "\(name), \(image.width) x \(image.height)", image: image,
            requests: texts.map { DemoRequest(text: $0, truth: nil) })
    }
}

/// A kind of request that the demo wants to show.
private enum Wish {
    case every, coloured, people, absent, superlative, relative, pointOnEach, pointAtOne
    case words(MosaicQuestion.Kind)

    /// A request of this kind; nil when the scene has nothing to ask it of.
    func request(about scene: MosaicScene, using random: inout SceneRandom) -> DemoRequest? {
        guard scene.objects.count >= 5 else { return nil }
        switch self {
        case .every:
            return several(MosaicKind.allCases.map { MosaicDescription(kind: $0) }, scene) {
                "Find every \($0.phrase)."
            }
        case .coloured:
            let descriptions = scene.objects.map { MosaicDescription(kind: $0.kind, colour: $0.colour) }
            return several(descriptions, scene) { "Where are the \($0.plural)?" }
        case .people:
            let people = MosaicDescription(kind: .person)
            let boxes = scene.boxes(of: people)
            return boxes.isEmpty ? nil : DemoRequest(text: "Find all people.", truth: .boxes(boxes))
        case .absent:
            let absent = MosaicKind.allCases.first { kind in !scene.objects.contains { $0.kind == kind } }
            return absent.map { DemoRequest(text: "Find all \($0.plural).", truth: .boxes([])) }
        case .superlative: return one(.superlative, scene, &random) { "Find \($0)." }
        case .relative: return one(.relation, scene, &random) { "Where is \($0)?" }
        case .pointOnEach:
            return several(MosaicKind.allCases.map { MosaicDescription(kind: $0) }, scene) {
                "Put a point on each \($0.phrase)."
            }
        case .pointAtOne: return one(.attribute, scene, &random) { "Point at \($0)." }
        case .words(let kind):
            return scene.question(kind: kind, using: &random).map {
                DemoRequest(text: $0.text, truth: .words($0.answer))
            }
        }
    }

    /// Asks for what there is most of, if that is two or more.
    private func several(
        _ descriptions: [MosaicDescription], _ scene: MosaicScene, _ text: (MosaicDescription) -> String
    ) -> DemoRequest? {
        let most = descriptions.max { scene.matches(of: $0).count < scene.matches(of: $1).count }
        guard let most, scene.matches(of: most).count >= 2 else { return nil }
        return DemoRequest(text: text(most), truth: .boxes(scene.boxes(of: most)))
    }

    private func one(
        _ kind: MosaicReference.Kind, _ scene: MosaicScene, _ random: inout SceneRandom,
        _ text: (String) -> String
    ) -> DemoRequest? {
        scene.referringExpression(kind: kind, using: &random).map {
            DemoRequest(text: text($0.text), truth: .boxes([scene.objects[$0.target].box]))
        }
    }
}

extension MosaicScene {
    fileprivate func boxes(of description: MosaicDescription) -> [Box] {
        matches(of: description).map { objects[$0].box }
    }
}
