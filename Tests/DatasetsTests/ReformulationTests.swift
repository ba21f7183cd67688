import Datasets
import Foundation
import Media
import Testing
import Text

@Suite struct ReformulationTests {
    private static let set: LabelledSet = {
        var picture = LabelledSet.Picture(id: 1, source: .file("a"), fileName: "a", width: 20, height: 10)
        for index in 0..<3 {
            picture.things.append(
                .init(
                    id: .number(index), category: index / 2,
                    box: Box(x: Double(index), y: 1, width: 2, height: 2)))
        }
        picture.referring = [.init(id: 1, sentences: ["a cell on the left."], thing: 1)]
        picture.captions = ["Three cells."]
        picture.questions = [.init(id: "q", text: "What is it?", answers: ["blood", "blood", "ink"])]
        picture.dialogues = [
            .init(id: "d", turns: [.init(isUser: true, text: "Why?"), .init(isUser: false, text: "So.")])
        ]
        return LabelledSet(
            name: "cells",
            categories: ["RBC", "Platelets", "mitotic_cell (rare)"].enumerated().map {
                .init(id: .number($0.offset + 1), name: $0.element)
            }, pictures: [picture])
    }()
    private let forms = Reformulation(names: ["RBC": "red blood cell"])

    @Test func everyTaskIsSaidAndAnsweredAsTheModelKnowsIt() throws {
        let (set, picture) = (Self.set, Self.set.pictures[0])
        #expect(
            forms.tasks(for: picture, in: set) == [
                .boxes, .points, .count, .exist, .grounding, .caption, .question, .dialogue,
            ])
        var random = SceneRandom(seed: 3)
        var requests: Set<String> = []
        var seen: [Reformulation.Task: Int] = [:]
        var absent = 0
        for _ in 0..<2000 {
            let labelled = try #require(forms.turn(for: picture, in: set, using: &random))
            let turn = labelled.turn
            seen[labelled.task, default: 0] += 1
            requests.insert(turn.request)
            #expect(
                !turn.request.contains("{") && !turn.request.contains("RBC") && !turn.request.contains("_"))
            let visible = turn.visibleAnswer
            switch labelled.task {
            case .boxes, .points:
                let route = labelled.task == .boxes ? "[DET]" : "[POINT]"
                #expect(turn.answer[0].text == "Sure, the location is [LOC]. The task output is \(route).")
                let objects = try #require(turn.queries.first?.objects)
                if objects.isEmpty {
                    absent += 1
                    #expect(visible == "There is no mitotic cell.")
                } else {
                    let isRed = turn.request.lowercased().contains("red blood cell")
                    #expect(objects == (isRed ? [0, 1] : [2]))
                    #expect(isRed || turn.request.lowercased().contains("platelets"))
                }
            case .count:
                let count = turn.queries[0].objects.count
                #expect(turn.answer[1] == AnswerPiece(Prompt.counted(count), isInserted: true))
            case .exist:
                #expect(visible == (turn.queries[0].objects.isEmpty ? "No, there is not." : "Yes, there is."))
            case .grounding:
                #expect(turn.request.contains("the cell on the left") && turn.queries[0].objects == [1])
                #expect(turn.queries[0].isReferring && turn.queries[0].route == .grounding)
            case .caption: #expect(visible == "Three cells.")
            case .question: #expect(turn.request == "What is it?" && visible == "blood")
            case .dialogue: #expect(turn.request == "Why?" && visible == "So.")
            default: Issue.record("\(labelled.task) cannot be asked")
            }
            for mention in turn.mentions {
                let phrase = String(decoding: Array(turn.request.utf8)[mention.range], as: UTF8.self)
                #expect(["cell", "plat"].contains { phrase.lowercased().contains($0) })
            }
        }
        // Evenly: 250 each, and a quarter of the places are asked for what is not there.
        #expect(seen.values.allSatisfy { (190...310).contains($0) })
        #expect((70...180).contains(absent))
        #expect(requests.count > 500)
    }

    @Test func weightsAreTheMixture() throws {
        let forms = Reformulation(weights: [.boxes: 3, .count: 1], negativeRate: 0, freeWording: 0)
        var random = SceneRandom(seed: 4)
        var boxes = 0
        for _ in 0..<1000 {
            let labelled = try #require(forms.turn(for: Self.set.pictures[0], in: Self.set, using: &random))
            #expect(labelled.turn.request.hasPrefix("Please find the location of "))
            #expect(!labelled.turn.queries[0].objects.isEmpty)
            boxes += labelled.task == .boxes ? 1 : 0
        }
        #expect((700...800).contains(boxes))
    }

    @Test func nothingIsSaidOfWhatIsNotKnown() throws {
        var set = Self.set
        set.pictures[0].absent = []
        set.pictures[0].things[0].isCrowd = true
        set.pictures[0].incomplete = [1]
        let forms = Reformulation(weights: [.boxes: 1, .masks: 1, .count: 1, .keypoints: 1])
        #expect(forms.tasks(for: set.pictures[0], in: set).isEmpty)
        var random = SceneRandom(seed: 5)
        #expect(forms.turn(for: set.pictures[0], in: set, using: &random) == nil)
        // Known to be there, not how often.
        set.pictures[0].present = [0]
        let exist = try #require(self.forms.turn(.exist, for: set.pictures[0], in: set, using: &random))
        #expect(exist.turn.queries.isEmpty && exist.turn.visibleAnswer == "Yes, there is.")
    }

    @Test func pointsAndJointsAndMasks() throws {
        var set = Self.set
        set.categories[0].keypoints = ["nose"]
        set.pictures[0].things[0].keypoints = Keypoints([
            .init(point: Point(x: 1, y: 1), visibility: .visible)
        ])
        set.pictures[0].things[1].segmentation = .polygons([[0, 0, 4, 0, 4, 4]])
        var random = SceneRandom(seed: 6)
        // A joint by its name, of one thing that is cut out; the second has no label.
        set.categories[0].keypoints = ["left_wrist", "nose"]
        set.pictures[0].things[0].keypoints = Keypoints([
            .init(point: Point(x: 1, y: 1), visibility: .occluded),
            .init(point: Point(x: 0, y: 0), visibility: .absent),
        ])
        var requests: Set<String> = []
        for _ in 0..<200 {
            let joint = try #require(forms.turn(.joint, for: set.pictures[0], in: set, using: &random))
            #expect(joint.figure == 0 && joint.points == [Point(x: 1, y: 1)])
            #expect(joint.turn.queries.map(\.route) == [.points] && joint.turn.queries[0].objects == [])
            #expect(
                joint.turn.answer.map(\.text) == [
                    "Sure, the location is [LOC]. The task output is [POINT]."
                ])
            #expect(joint.turn.request.lowercased().contains("left wrist"))
            requests.insert(joint.turn.request)
        }
        #expect(requests.contains("Please find the location of left wrist. Respond with points."))
        #expect(requests.count > 20)
        #expect(forms.tasks(for: set.pictures[0], in: set).contains(.joint))
        let crowd = forms.joint(1, of: 0, in: set.pictures[0], set, using: &random)
        #expect(crowd == nil)
        let joints = try #require(forms.turn(.keypoints, for: set.pictures[0], in: set, using: &random))
        #expect(joints.turn.queries[0].route == .points)
        let mask = try #require(
            forms.turn(.referringSegmentation, for: set.pictures[0], in: set, using: &random))
        #expect(mask.turn.queries[0].route == .referringSegmentation)
        // Some outlines are missing: masks of all cannot be asked.
        #expect(!forms.tasks(for: set.pictures[0], in: set).contains(.masks))

        var picture = LabelledSet.Picture(id: 2, source: .file("b"), fileName: "b")
        (picture.points, picture.present, picture.absent) = ([Point(x: 1, y: 2), Point(x: 3, y: 4)], [1], [])
        let count = try #require(forms.turn(.count, for: picture, in: set, using: &random))
        #expect(count.points.count == 2 && count.turn.answer[1].text == " two.")
    }

    @Test(arguments: [
        ("Person", "person", "people"), ("wine glass", "wine glass", "wine glasses"),
        ("Ice_cream", "ice cream", "ice creams"), ("WBC", "WBC", "WBCs"), ("bow_(weapon)", "bow", "bows"),
        ("cherry", "cherry", "cherries"), ("toy", "toy", "toys"), ("knife", "knife", "knives"),
        ("sandwich", "sandwich", "sandwiches"), ("skis", "skis", "skis"), ("sheep", "sheep", "sheep"),
        ("school bus", "school bus", "school buses"), ("piece of cake", "piece of cake", "pieces of cake"),
    ])
    func classNamesBecomeNouns(name: String, one: String, many: String) throws {
        let category = LabelledSet.Category(id: 1, name: name)
        var set = LabelledSet(name: "x", categories: [category])
        var picture = LabelledSet.Picture(id: 1, source: .file("a"), fileName: "a", width: 9, height: 9)
        picture.things = [.init(id: 1, category: 0, box: Box(x: 1, y: 1, width: 2, height: 2))]
        set.pictures = [picture]
        let forms = Reformulation(negativeRate: 0, freeWording: 0)
        #expect(forms.phrase(for: category) == one)
        var random = SceneRandom(seed: 1)
        let requests = Set(
            (0..<30).map { _ in forms.turn(.boxes, for: picture, in: set, using: &random)!.turn.request })
        #expect(
            requests == Set([one, many].map { "Please find the location of \($0). Respond with boxes." }))
    }

    @Test func itIsReadFromAConfiguration() throws {
        func read(_ text: String) throws -> Reformulation {
            try JSONDecoder().decode(Reformulation.self, from: Data(text.utf8))
        }
        let forms = try read(
            #"{"weights":{"boxes":2,"referring_segmentation":1},"negative_rate":0.5,"names":{"a":"b"}}"#)
        #expect(forms.weights == [.boxes: 2, .referringSegmentation: 1] && forms.negativeRate == 0.5)
        #expect(forms.freeWording == 0.7)
        #expect(try JSONDecoder().decode(Reformulation.self, from: JSONEncoder().encode(forms)) == forms)
        #expect(throws: DecodingError.self) { try read(#"{"negative_rate":2}"#) }
        #expect(throws: DecodingError.self) { try read(#"{"weights":{"boxes":0}}"#) }
        #expect(throws: DecodingError.self) { try read(#"{"weights":{"boxs":1}}"#) }
    }
}
