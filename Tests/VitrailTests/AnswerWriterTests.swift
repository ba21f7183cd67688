import Media
import Testing
import Text
import Vitrail

/// A model that writes what it is told to, and finds as many things as it is told to.
private final class ScriptedModel: AnswerModel {
    private var script: [Int]
    private let end: Int
    private var counts: [Int]
    private let there: Set<String>
    private let objectionText: String?
    private let isKnown: Bool
    private(set) var read: [Int] = []
    private(set) var asked: [(states: [[Int]], route: Route)] = []

    /// - Parameters:
    ///   - script: the tokens that the model itself writes.
    ///   - counts: how many things there are for each [LOC].
    ///   - there: the names of what is found by itself.
    ///   - objection: what is to be said in place of an answer about a thing.
    ///   - isKnown: whether what is asked for is known.
    init(
        _ script: [Int], end: Int, counts: [Int], there: Set<String> = [], objection: String? = nil,
        isKnown: Bool = true
    ) {
        (self.there, objectionText, self.isKnown) = (there, objection, isKnown)
        self.script = script
        self.end = end
        self.counts = counts
    }

    /// The state is all that was read so far.
    func read(_ tokens: [Int]) -> (next: Int, state: [Int]) {
        read += tokens
        return (script.isEmpty ? end : script.removeFirst(), read)
    }

    func isThere(_ name: String) -> Bool { there.contains(name) }

    func objection() -> String? { objectionText }

    func find(_ states: [[Int]], _ route: Route) -> [Finding] {
        asked.append((states, route))
        let frame = PictureFrame(width: 8, height: 8, sizes: 16...16)
        return states.map { _ in
            let detection = Detection(
                box: .init(x: 0, y: 0, width: 1, height: 1), point: .init(x: 0, y: 0), score: 1)
            let count = counts.isEmpty ? 0 : counts.removeFirst()
            return Finding(
                route: route, detections: Array(repeating: detection, count: count),
                heatmap: Heatmap(cells: [0], grid: (1, 1), in: frame), isKnown: isKnown)
        }
    }
}

@Suite struct AnswerWriterTests {
    private static let tokenizer = try! BPETrainer(vocabularySize: 420, addedTokens: Prompt.addedTokens)
        .train(on: ["There are three red circles and one star.", "It is red.", "Yes, there is."])
    private static let tokens = try! SpecialTokens(tokenizer)

    private func write(
        _ pieces: [String], counts: [Int] = [], there: Set<String> = [], objection: String? = nil,
        isKnown: Bool = true, tokenLimit: Int = 256, locationLimit: Int = 16
    ) throws -> (text: String, whole: String, findings: [Finding], model: ScriptedModel) {
        let model = ScriptedModel(
            pieces.flatMap { Self.tokenizer.encode($0) }, end: Self.tokens.end, counts: counts, there: there,
            objection: objection, isKnown: isKnown)
        let writer = AnswerWriter(
            Self.tokenizer, Self.tokens, tokenLimit: tokenLimit, locationLimit: locationLimit)
        let (transcript, findings) = try writer.write(after: Self.tokenizer.encode("USER: hi"), with: model)
        return (transcript.visible, transcript.whole, findings, model)
    }

    private func location(_ route: Route) -> String { Prompt.location(route) }

    @Test func whatIsNotKnownIsNotDenied() throws {
        let place = try write([location(.detection) + ".", " star."], isKnown: false)
        #expect(place.text == "I do not know what that is.")
        #expect(place.findings.map(\.isKnown) == [false])
        let count = try write(
            [location(.count), " There are none. ", location(.detection) + ".", " star."], counts: [0, 0],
            isKnown: false)
        #expect(count.text == "I do not know what that is. I do not know what that is.")
    }

    /// What the model itself lists for a caption stays, as far as it is sure of it or not.
    @Test func aListIsNotTakenForAnUnknownRequest() throws {
        let counts = "[LOC][COUNT]"
        let caption = try write(
            ["red circles\(counts)", " star\(counts)", " There are three red circles and one star."],
            counts: [3, 1], isKnown: false)
        #expect(caption.text == "There are three red circles and one star.")
        #expect(caption.findings.map(\.count) == [3, 1])
    }

    @Test func nothingIsToldOfAThingThatIsNotThere() throws {
        let one = try write(["It is red. It is red."], objection: " There is no star.")
        #expect(one.text == "There is no star. There is no star.")
        #expect(one.findings.isEmpty)
        #expect(try write(["Yes, it is."], objection: " There is no star.").text == "There is no star.")
        #expect(try write(["It is red."]).text == "It is red.")
        // A number is of what was counted.
        let counted = try write(
            [location(.count), " Yes, there is."], counts: [1], objection: " There is no star.")
        #expect(counted.text == "Yes, there is.")
    }

    @Test func aPlaceIsTheSentenceAndItsFinding() throws {
        for route in Route.allCases where route != .count {
            let answer = try write([location(route) + "."], counts: [2])
            #expect(answer.text == location(route) + ".")
            #expect(answer.findings.map(\.route) == [route] && answer.findings[0].count == 2)
        }
    }

    @Test func aModelThatSaysNothingHasNotUnderstood() throws {
        let answer = try write([])
        #expect(answer.text == "I do not understand that request." && answer.findings.isEmpty)
    }

    @Test func theQueryIsTheStateAtLOC() throws {
        let answer = try write([location(.detection) + "."], counts: [1])
        let asked = try #require(answer.model.asked.first)
        #expect(asked.states.count == 1)
        #expect(Self.tokenizer.decode(asked.states[0]) == "USER: hiSure, the location is [LOC]")
    }

    @Test func whatIsNotThereIsSaidSo() throws {
        let answer = try write([location(.detection) + ".", " red circle."], counts: [0])
        #expect(answer.whole == "\(location(.detection)). There is no red circle.")
        #expect(answer.text == "There is no red circle.")
        // The model read the words that were put in, as they are encoded in training.
        let inserted = Self.tokenizer.encode(Prompt.nothing)
        let stop = try #require(answer.model.read.lastIndex(of: inserted[0]))
        #expect(Array(answer.model.read[stop..<(stop + inserted.count)]) == inserted)
        #expect(answer.findings[0].count == 0)
    }

    @Test func aCountIsReadBackAndNotShown() throws {
        let answer = try write([location(.count), " There are three."], counts: [3])
        #expect(answer.whole == "\(location(.count)) three. There are three.")
        #expect(answer.text == "There are three.")
        #expect(answer.findings.map(\.count) == [3])
        // Nothing to count is no reason to say that there is none.
        let none = try write([location(.count), " There are none."], counts: [0])
        #expect(none.whole == "\(location(.count)) none. There are none.")
        #expect(none.text == "There are none.")
    }

    @Test func aCaptionCountsFirst() throws {
        let answer = try write(
            ["circle[LOC][COUNT]", " star[LOC][COUNT]", " There are two circles and one star."],
            counts: [2, 1])
        #expect(
            answer.whole
                == "circle[LOC][COUNT] two. star[LOC][COUNT] one. There are two circles and one star.")
        #expect(answer.text == "There are two circles and one star.")
        #expect(answer.findings.map(\.count) == [2, 1])
        #expect(answer.model.asked.map(\.states.count) == [1, 1])
    }

    @Test func severalRequestsAreAnsweredOneByOne() throws {
        let answer = try write(
            [
                location(.referringSegmentation) + ".", " \(location(.count))", " There are two.",
                " It is red.",
            ],
            counts: [1, 2])
        #expect(answer.text == "\(location(.referringSegmentation)). There are two. It is red.")
        #expect(answer.findings.map(\.route) == [.referringSegmentation, .count])

        let missing = try write(
            [
                location(.detection) + ".", " star.", " \(location(.points)).", " \(location(.grounding)).",
                " circle.",
            ],
            counts: [0, 3, 0])
        #expect(missing.text == "There is no star. \(location(.points)). There is no circle.")
        #expect(missing.findings.map(\.count) == [0, 3, 0])
    }

    @Test func wordsAloneHaveNoFindings() throws {
        let answer = try write(["It is red."])
        #expect(answer.text == "It is red." && answer.whole == "It is red.")
        #expect(answer.findings.isEmpty && answer.model.asked.isEmpty)
    }

    @Test func anAnswerThatStopsAtTheNumberIsTheNumber() throws {
        #expect(try write([location(.count)], counts: [3]).text == "\(location(.count)) three.")
    }

    @Test func aModelThatLosesItselfIsStopped() throws {
        #expect(try write(["[DET]. It is red."]).whole == Prompt.lost)
        #expect(try write(["It is red. There are[COUNT]. There are."]).whole == "It is red.")
        #expect(try write([Prompt.taskOutput]).whole == Prompt.lost)
        // A caption of a picture in which there is nothing.
        let blank = try write(["star[LOC][COUNT]", " There are[COUNT]. There are[COUNT]"], counts: [0])
        #expect(blank.text == Prompt.blank && blank.findings.map(\.count) == [0])
        let seen = try write(["star[LOC][COUNT]", " There is one star. There are[COUNT]"], counts: [1])
        #expect(seen.text == "There is one star.")
    }

    @Test func whatIsThereIsNotDenied() throws {
        let there = try write(
            [location(.detection) + ".", " red circle."], counts: [0], there: ["red circle"])
        #expect(there.text == "There is nothing like that.")
        // Nor is nothing named.
        #expect(try write([location(.detection) + "."], counts: [0]).text == "There is nothing like that.")
        let both = try write(
            [location(.detection) + ".", " star.", " \(location(.points)).", " circle."], counts: [0, 0],
            there: ["star"])
        #expect(both.text == "There is nothing like that. There is no circle.")
    }

    @Test func severalLocationsShareARoute() throws {
        let answer = try write(["[LOC][LOC][DET]."], counts: [1, 2])
        #expect(answer.findings.map(\.count) == [1, 2])
        #expect(answer.model.asked.map(\.states.count) == [2])
    }

    @Test func endlessAnswersEnd() throws {
        let words = try write(Array(repeating: "It is red. ", count: 1000), tokenLimit: 40)
        #expect(Self.tokenizer.encode(words.whole).count <= 44 && words.text.hasSuffix("It is red."))
        #expect(try write(Array(repeating: " red", count: 1000)).text == Prompt.lost)
        let places = try write(Array(repeating: "[LOC]", count: 1000), locationLimit: 5)
        #expect(places.whole == Prompt.lost && places.findings.isEmpty)
        let counts = try write(
            Array(repeating: "circle[LOC][COUNT]", count: 1000), counts: Array(repeating: 2, count: 1000),
            locationLimit: 5)
        #expect(counts.findings.count == 5)
    }
}
