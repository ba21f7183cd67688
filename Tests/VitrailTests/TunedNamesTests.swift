import Testing
import Vitrail

/// What a fine-tuned model answers, and what it leaves to the model from before.
@Suite struct TunedNamesTests {
    private static let names = TunedNames(
        ["star", "raccoon", "traffic_light", "red blood cell", "wolf"], known: ["star", "heart"])

    @Test(arguments: [
        "raccoon", "How many raccoons are there?", "Find the yellow raccoon.", "star", "Find all stars.",
        "Please find the location of the stars. Respond with boxes.", "traffic light",
        "Where is the traffic-light?",
        "count the red blood cells", "two wolves", "Box the raccoons and the yellow hearts",
    ])
    func tuned(request: String) { #expect(Self.names.areMeant(by: request)) }

    @Test(arguments: [
        "yellow star", "the largest star", "star left of the heart", "hearts", "Describe the image.",
        "What colour is the star?", "red cell", "light", "starfish", "",
    ])
    func fromBefore(request: String) { #expect(!Self.names.areMeant(by: request)) }
}
