import Datasets
import Testing
import Text

@Suite struct LocateRequestTests {
    @Test func canonicalForm() {
        let all = LocateRequest(canonical: "red circle", .boxes)
        #expect(all.text == "Please find the location of red circle. Respond with boxes.")
        #expect(all.route == .detection && all.route.token == "[DET]")
        #expect(LocateRequest(canonical: "red circle", .masks).route.token == "[SEG]")
        #expect(LocateRequest(canonical: "the largest star", .boxes).route.token == "[GROUND]")
        #expect(LocateRequest(canonical: "the largest star", .masks).route.token == "[REFSEG]")
        #expect(LocateRequest(canonical: "left wrist", .points).route.token == "[POINT]")
        #expect(LocateRequest(canonical: "the largest star", .points).route == .points)
        #expect(all.text.dropFirst(all.phraseOffset).hasPrefix(all.phrase))
    }

    /// The route must follow from the words alone, as it does for the model.
    private func route(of text: String) -> Route {
        let text = text.lowercased()
        func has(_ words: [String]) -> Bool { words.contains { text.contains($0) } }
        if has(["point", "click"]) { return .points }
        let isMask = has([
            "segment", "outline", "cut", "mask", "trace", "extract", "background", "pixels", "exact shape",
        ])
        let isAll = has(["every ", "each ", "all ", "stars", "people"])
        return Route(isMask ? .masks : .boxes, isReferring: !isAll)
    }

    @Test(arguments: LocateResponse.allCases)
    func freeWordingsDecideTheirRoute(response: LocateResponse) {
        var random = SceneRandom(seed: 21)
        var bodies: (all: Set<String>, one: Set<String>) = ([], [])
        for _ in 0..<2000 {
            let all = LocateRequest(singular: "red star", plural: "red stars", response, using: &random)
            #expect(all.route == Route(response, isReferring: false))
            #expect(route(of: all.text) == all.route, "\(all.text)")
            let expression = "the star left of the large ring"
            let one = LocateRequest(expression: expression, response, using: &random)
            #expect(one.route == Route(response, isReferring: true))
            #expect(route(of: one.text) == one.route, "\(one.text)")
            for request in [all, one] {
                #expect(request.text.dropFirst(request.phraseOffset).hasPrefix(request.phrase))
                #expect(!request.text.contains("{") && !request.text.contains("}"))
                #expect(!request.text.contains("?.") && !request.text.contains(".?"))
            }
            bodies.all.insert(core(all))
            bodies.one.insert(core(one))
        }
        #expect(bodies.all.count >= 12 && bodies.one.count >= 12)
    }

    /// A request without the politeness around it.
    private func core(_ request: LocateRequest) -> String {
        var text = request.text.lowercased()
        for word in ["could you please ", "can you ", "please ", ", please"] {
            text = text.replacing(word, with: "")
        }
        return text.filter { !".?".contains($0) }
    }
}
