import Testing
import Text
import Vitrail

@Suite struct PromptTests {
    @Test func theFormIsLumens() {
        #expect(Prompt.question("Find all stars.") == "USER: Find all stars. ASSISTANT: ")
        #expect(Prompt.location(.detection) == "Sure, the location is [LOC]. The task output is [DET]")
        #expect(Prompt.counted(3) == " three.")
    }

    @Test func everySteeringTokenIsAdded() {
        let added = Prompt.addedTokens.map(\.content)
        #expect(Set(added).count == added.count)
        for token in ["<pad>", "</s>", "[LOC]"] + Route.allCases.map(\.token) {
            #expect(added.contains(token))
        }
    }

    @Test func theLimitIsNamed() throws {
        try Prompt.check(String(repeating: "a", count: Prompt.requestLimit))
        let error = #expect(throws: ModelError.self) {
            try Prompt.check(String(repeating: "a", count: Prompt.requestLimit + 1))
        }
        #expect(
            "\(try #require(error))".contains(
                "\(Prompt.requestLimit + 1) characters, the limit is \(Prompt.requestLimit)"))
    }

    @Test(arguments: Route.allCases) func reservedTokensAreRefused(route: Route) {
        #expect(throws: ModelError.self) { try Prompt.check("find \(route.token)") }
    }
}
