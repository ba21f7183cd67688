import Datasets
import Evaluation
import Media
import Testing

@Suite struct ScoreTests {
    @Test func countsAreScoredByTheirErrors() {
        var score = CountScore()
        for (counted, expected) in [(3, 3), (2, 4), (1, 0), (0, 0)] {
            score.add(counted: counted, expected: expected)
        }
        #expect(score.mae == 0.75)
        #expect(score.rmse == (5.0 / 4).squareRoot())
        #expect(score.exact.value == 0.5)
        #expect(score.exact.standardError == 0.25)
        #expect(CountScore().mae == nil)
    }

    @Test func referringSegmentationWeighsByAreaOrNot() throws {
        let large = try Mask(width: 10, height: 10, box: Box(x: 0, y: 0, width: 8, height: 10))
        let small = try Mask(width: 10, height: 10, box: Box(x: 0, y: 0, width: 2, height: 5))
        let right = try ReferringScore(
            box: large.boundingBox, mask: large, truth: large.boundingBox, truthMask: large)
        let missed = try ReferringScore(box: nil, mask: nil, truth: small.boundingBox, truthMask: small)
        #expect(right.boxIoU == 1 && missed.boxIoU == 0)
        #expect(ReferringScore.cIoU([right, missed]) == 80.0 / 90)
        #expect(ReferringScore.gIoU([right, missed]) == 0.5)
        #expect(ReferringScore.cIoU([]) == nil)
    }

    @Test func absenceIsScoredByWhatIsSaidAndWhatIsNamed() {
        var score = AbsenceScore()
        score.add("There is no red star.", expected: "There is no red star.", isAbsent: true)
        score.add("There is no star.", expected: "There is no red star.", isAbsent: true)
        score.add("Sure, the location is [LOC].", expected: "There is no cat.", isAbsent: true)
        score.add("There is no ring.", expected: "Sure, the location is [LOC].", isAbsent: false)
        #expect(score.precision.value == 2.0 / 3)
        #expect(score.recall.value == 2.0 / 3)
        #expect(score.named.value == 1.0 / 3)
        #expect(abs(score.f1 - 2.0 / 3) < 1e-12)
    }

    @Test(
        arguments: [
            ("There are two circles and one star.", [MosaicKind.circle: 2, .star: 1]),
            ("There is one star, two circles and three letters A.", [.star: 1, .circle: 2, .letterA: 3]),
            ("There are 14 people.", [.person: 14]),
            ("There are two fish.", [.fish: 2]),
            ("Two circles.", nil), ("There are many circles.", nil),
            ("There are two circles and one circle.", nil),
        ] as [(String, [MosaicKind: Int]?)])
    func captionsAreRead(caption: String, counts: [MosaicKind: Int]?) {
        #expect(CaptionReading.counts(in: caption) == counts)
    }

    @Test func captionsAgreeInAnyOrderButNotInNumber() {
        let expected = "There are two circles and one star."
        #expect(CaptionReading.agrees("There is one star and two circles.", with: expected))
        #expect(!CaptionReading.agrees("There are three circles and one star.", with: expected))
        #expect(!CaptionReading.agrees("There are two circles.", with: expected))
    }
}
