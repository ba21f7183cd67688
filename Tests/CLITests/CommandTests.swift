import Foundation
import Media
import TestSupport
import Testing
import Vitrail

@Suite(.serialized) struct CommandTests {
    private let pictures: Pictures

    init() throws { pictures = try Pictures() }

    private func document(_ text: some StringProtocol) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test func askPrintsASentence() async throws {
        let folder = try TemporaryFolder()
        let result = try await Program.run(["ask", pictures.good, "What color is the star?"], in: folder)
        #expect(result.code == 0, "\(result.error)")
        #expect(result.error.isEmpty && !result.output.isEmpty)
    }

    @Test func askWritesThePictureWhereItIsTold() async throws {
        let folder = try TemporaryFolder()
        for (output, file) in [
            ("out.png", "out.png"), ("made/", "made/scene-answer.png"), ("new/a.png", "new/a.png"),
        ] {
            let result = try await Program.run(
                ["ask", pictures.good, "Find all stars.", "--output", output], in: folder)
            #expect(result.code == 0 && result.output.hasSuffix("wrote \(file)\n"), "\(result)")
            let image = try Image(contentsOf: folder.file(file))
            // Small pictures are enlarged for the labels, in proportion.
            #expect(image.width * 120 == image.height * 160)
        }
        #expect(Set(folder.contents) == ["out.png", "made", "new"])
    }

    /// Masks that it cannot make are wrong answers, and not the end of all.
    @Test func aModelWithoutASegmenterIsScored() async throws {
        let model = try ModelCopy(of: Engine.embeddedModel())
        try model.setPart("segmenter", to: nil)
        let result = try await Program.run([
            "evaluate", "--model", model.path, "--ring", "plain", "--scenes", "4", "--tasks",
            "routes,questions", "--json",
        ])
        #expect(result.code == 0, "\(result.error)")
        let reports = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        let report = try #require((reports as? [[String: Any]])?.first ?? reports as? [String: Any])
        let figures = try #require(report["figures"] as? [[String: Any]])
        func value(_ title: String) -> Double? {
            figures.first { ($0["title"] as? String)?.hasPrefix(title) == true }?["value"] as? Double
        }
        #expect(try #require(value("right route")) < 1)
        #expect(try #require(value("questions")) > 0.8)
    }

    @Test func askAsJSON() async throws {
        let folder = try TemporaryFolder()
        let result = try await Program.run(
            ["ask", pictures.good, "Find all stars.", "--json", "--threshold", "0.02"], in: folder)
        #expect(result.code == 0 && result.output.filter(\.isNewline).count == 1)
        let answer = try document(result.output)
        #expect(
            Set(answer.keys) == [
                "image", "width", "height", "request", "answer", "transcript", "findings", "output",
                "heatmap",
            ])
        #expect(answer["width"] as? Int == 160 && answer["height"] as? Int == 120)
        #expect(answer["request"] as? String == "Find all stars.")
        let findings = try #require(answer["findings"] as? [[String: Any]])
        #expect(!findings.isEmpty)
        for finding in findings {
            let places = try #require(finding["detections"] as? [[String: Any]])
            #expect(finding["count"] as? Int == places.count && finding["route"] is String)
            for place in places {
                #expect((place["bbox"] as? [Double])?.count == 4)
                #expect((place["point"] as? [Double])?.count == 2)
            }
        }
        #expect(folder.contents.isEmpty)
    }

    @Test func askShowsWhereItLooked() async throws {
        let folder = try TemporaryFolder()
        let request = ["ask", pictures.good, "Find all stars.", "--output", "a.png", "--heatmap", "heat/"]
        let result = try await Program.run(request, in: folder)
        #expect(result.code == 0 && result.output.hasSuffix("wrote a.png\nwrote heat/scene-heatmap.png\n"))
        let heat = try Image(contentsOf: folder.file("heat/scene-heatmap.png"))
        #expect(heat.width == 480 && heat.height == 360)
        // An answer in words was looked up nowhere.
        let words = try await Program.run(
            ["ask", pictures.good, "What color is the star?", "--heatmap", "none.png", "--json"], in: folder)
        #expect(try document(words.output)["heatmap"] is NSNull)
        #expect(Set(folder.contents) == ["a.png", "heat"])
    }

    @Test func locateAsJSON() async throws {
        for form in ["boxes", "points", "keypoints", "count"] {
            let result = try await Program.run([
                "locate", pictures.good, pictures.good, "--find", "small star", "person", "--as", form,
                "--json", "--threshold", "0.02",
            ])
            #expect(result.code == 0, "\(result.error)")
            let lines = result.output.split(separator: "\n")
            #expect(lines.count == 2 && lines[0] == lines[1])
            let answer = try document(lines[0])
            #expect(answer["image"] as? String == pictures.good)
            let results = try #require(answer["results"] as? [[String: Any]])
            #expect(results.compactMap { $0["phrase"] as? String } == ["small star", "person"])
            for result in results {
                let count = try #require(result["count"] as? Int)
                // The places stand under the form's name alone; a count has none.
                #expect(Set(result.keys) == Set(["phrase", "known", "count", form]))
                #expect(result["known"] as? Bool == true)
                guard form != "count" else { continue }
                let places = try #require(result[form] as? [[String: Any]])
                #expect(places.count == count)
                for place in places {
                    #expect((place["bbox"] as? [Double])?.count == (form == "points" ? nil : 4))
                    #expect((place["point"] as? [Double])?.count == (form == "boxes" ? nil : 2))
                    if let joints = place["keypoints"] as? [Double] {
                        #expect(form == "keypoints" && joints.count == 51)
                        #expect((place["keypoint_scores"] as? [Double])?.count == 17)
                    }
                }
            }
        }
    }

    @Test func theModelIsFoundHoweverTheProgramIsStarted() async throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createSymbolicLink(
            atPath: folder.file("link"), withDestinationPath: Program.path)
        let byLink = try await Program.run(["inspect"], program: folder.file("link"))
        #expect(byLink.code == 0 && byLink.output.contains("language_model"), "\(byLink.error)")
        let bin = URL(fileURLWithPath: try Program.path).deletingLastPathComponent().path
        for (search, name) in [(bin, "vitrail"), (folder.path, "link")] {
            let byPath = try await Program.run(
                ["-c", "\(name) inspect"], program: "/bin/sh",
                environment: ["PATH": "\(search):/usr/bin:/bin"])
            #expect(byPath.code == 0 && byPath.output.contains("language_model"), "\(byPath.error)")
        }
    }

    @Test func theExampleRuns() async throws {
        let program = URL(fileURLWithPath: try Program.path).deletingLastPathComponent()
        let result = try await Program.run(
            [pictures.good, "star"], program: program.appendingPathComponent("LocateObjects").path)
        #expect(result.code == 0 && result.error.isEmpty && !result.output.isEmpty, "\(result.error)")
    }

    @Test func inspect() async throws {
        let model = try Engine.embeddedModel()
        let part = try await Program.run(["inspect", "\(model)/projector/model.safetensors"])
        #expect(part.code == 0 && part.output.contains("linear_1.weight") && part.output.contains("bfloat16"))
        let whole = try document(try await Program.run(["inspect", model, "--json"]).output)
        #expect(Set(try #require(whole["parts"] as? [String: Any]).keys).count == 6)
        let picture = try await Program.run(["inspect", pictures.good])
        #expect(picture.output.contains("160 x 120"))
    }

    @Test func synthesizeIsRepeatable() async throws {
        let folder = try TemporaryFolder()
        for output in ["one", "two"] {
            let result = try await Program.run(
                ["synthesize", "--seed", "900611", "--count", "3", "--output", output, "--size", "96"],
                in: folder)
            #expect(
                result.code == 0 && result.output == "wrote 3 pictures and annotations.json to \(output)\n")
        }
        for name in ["annotations.json", "images/000000000002.png"] {
            let files = try ["one", "two"].map {
                try Data(contentsOf: URL(fileURLWithPath: folder.file("\($0)/\(name)")))
            }
            #expect(files[0] == files[1])
        }
    }

    @Test func demoLeavesAPage() async throws {
        let folder = try TemporaryFolder()
        let result = try await Program.run(
            ["demo", "--output", "page", "--image", pictures.good], in: folder)
        #expect(result.code == 0, "\(result.error)")
        let questions = result.output.split(separator: "\n").filter { $0.hasPrefix("  Q  ") }
        #expect(questions.count >= 8 && Set(questions).count >= 8)
        let page = try String(contentsOfFile: folder.file("page/index.html"), encoding: .utf8)
        // Everything that the page shows is inside it.
        let sources = page.split(separator: "src=\"").dropFirst()
        #expect(sources.count >= 7 && sources.allSatisfy { $0.hasPrefix("data:image/jpeg;base64,") })
        // Both rings, and each of the tasks.
        for words in [
            "plain ring", "rich ring", "detection", "instance segmentation", "pose", "grounding",
            "referring segmentation", "counting", "question", "caption", "something absent",
            "two requests in one",
        ] {
            #expect(page.contains(words) && result.output.contains(words), "\(words)")
        }
        #expect(!page.contains("http"))
    }
}
