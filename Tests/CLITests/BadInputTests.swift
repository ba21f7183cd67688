import Checkpoints
import Foundation
import TestSupport
import Testing
import Torch
import Vitrail

/// Bad input gets one line that names the thing and the limit, the right exit code, and leaves no file.
@Suite(.serialized) struct BadInputTests {
    private let pictures: Pictures

    init() throws { pictures = try Pictures() }

    private func expect(
        _ arguments: [String], code: Int32, names: [String], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let folder = try TemporaryFolder()
        let result = try await Program.run(arguments, in: folder)
        #expect(result.code == code, "\(result.error)", sourceLocation: sourceLocation)
        #expect(result.isOneLine, "\(result.error)", sourceLocation: sourceLocation)
        for name in names {
            #expect(result.error.contains(name), "\(result.error)", sourceLocation: sourceLocation)
        }
        #expect(result.output.isEmpty, sourceLocation: sourceLocation)
        #expect(folder.contents.isEmpty, sourceLocation: sourceLocation)
    }

    @Test(arguments: [
        ("missing.png", Int32(66), "no such file"), ("text.png", 65, "not a PNG"), ("cut.jpg", 65, "cut.jpg"),
        ("empty.png", 65, "empty"),
        ("huge.png", 65, "30000 x 30000 pixels are more than the limit of 100 megapixels"),
    ])
    func pictures(name: String, code: Int32, says: String) async throws {
        let path = pictures.folder.file(name)
        for command in [
            ["ask", path, "Find all stars.", "--output", "answer.png"], ["locate", path, "--find", "star"],
            ["demo", "--image", path],
        ] {
            try await expect(command, code: code, names: [name, says])
        }
    }

    @Test func aFolderAsPicture() async throws {
        try await expect(
            ["ask", pictures.folder.path, "Find all stars."], code: 65, names: ["it is a folder"])
    }

    @Test func requests() async throws {
        let long = String(repeating: "a", count: 10_000)
        try await expect(
            ["ask", pictures.good, long], code: 65, names: ["10000 characters", "limit is 2000"])
        try await expect(
            ["locate", pictures.good, "--find", "star", long], code: 65, names: ["10000", "2000"])
        try await expect(["ask", pictures.good, ""], code: 65, names: ["empty"])
        for token in ["[LOC]", "[DET]", "[COUNT]"] {
            try await expect(["ask", pictures.good, "find \(token)"], code: 65, names: [token, "reserved"])
        }
        try await expect(
            ["locate", pictures.good, "--find"] + (0...10_000).map { "s\($0)" }, code: 65,
            names: ["10001 phrases", "10000"])
        let manyTokens = String(repeating: "\u{1F98A}", count: 1_900)
        try await expect(["ask", pictures.good, manyTokens], code: 65, names: ["limit of 2048"])
    }

    @Test func models() async throws {
        let ask = ["ask", pictures.good, "Find all stars.", "--model"]
        try await expect(ask + ["/no/such/model"], code: 66, names: ["/no/such/model: no such file"])
        try await expect(ask + [pictures.good], code: 65, names: ["scene.png", "neither a model's folder"])
        try await expect(ask + [pictures.folder.path], code: 65, names: ["none of model_index.json"])

        let missing = try ModelCopy(of: Engine.embeddedModel())
        var gone = ""
        try missing.rewrite("projector") { gone = $0.removeFirst().name }
        try await expect(
            ask + [missing.path], code: 65, names: ["projector/model.safetensors", "1 missing: \(gone)"])

        let extra = try ModelCopy(of: Engine.embeddedModel())
        try extra.rewrite("projector") { $0.append((name: "left.over", tensor: try Tensor.zeros([2]))) }
        try await expect(ask + [extra.path], code: 65, names: ["projector/model.safetensors", "left.over"])

        let lying = try ModelCopy(of: Engine.embeddedModel())
        try lying.lie("aligner")
        try await expect(
            ask + [lying.path], code: 65, names: ["aligner/model.safetensors", "[0, 4000]", "4 bytes"])
        try await expect(
            ["inspect", lying.file("aligner/model.safetensors")], code: 65, names: ["[0, 4000]"])
        try await expect(["inspect", lying.path], code: 65, names: ["aligner/model.safetensors"])
        try lying.remove("aligner/model.safetensors")
        try await expect(ask + [lying.path], code: 66, names: ["aligner/model.safetensors"])
    }

    @Test func commandLines() async throws {
        let image = pictures.good
        let cases: [([String], String)] = [
            (["ask"], "<image>"), (["ask", image], "<request>"),
            (["ask", image, "hi", "--tone", "kind"], "--tone"),
            (["locate", image], "--find"), (["locate", image, "--find"], "--find"),
            (["locate", "--find", "star"], "<image>"),
            (
                ["locate", image, "--find", "star", "--as", "circles"],
                "'boxes', 'masks', 'points', 'keypoints' or 'count'"
            ),
            (["ask", image, "hi", "--threshold", "3"], "0 to 1"),
            (["ask", image, "hi", "--threshold", "nan"], "0 to 1"),
            (["ask", image, "hi", "--threads", "0"], "--threads"),
            (["ask", image, "hi", "--device", "tpu"], "tpu"),
            (["ask", image, "hi", "--output", "answer.gif"], "answer.gif"),
            (["ask", image, "hi", "--output", image], "not overwritten"),
            (["ask", image, "hi", "--heatmap", "heat.gif"], "--heatmap heat.gif"),
            (["ask", image, "hi", "--heatmap", image], "not overwritten"),
            (["ask", image, "hi", "--output", "a.png", "--heatmap", "a.png"], "both a.png"),
            (["synthesize", "--seed", "x", "--count", "1", "--output", "z"], "--seed"),
            (["synthesize", "--seed", "1", "--count", "0", "--output", "z"], "not 0"),
            (["synthesize", "--seed", "1", "--count", "1", "--output", "z", "--size", "50"], "96 to 512"),
            (["frobnicate"], "frobnicate"),
        ]
        for (arguments, says) in cases { try await expect(arguments, code: 64, names: [says]) }
    }

    /// An empty path is not the current folder, and not the root.
    @Test func emptyPaths() async throws {
        let image = pictures.good
        let cases: [[String]] = [
            ["evaluate", "--scenes", "1", "--output", ""], ["evaluate", "--scenes", "1", "--output="],
            ["evaluate", "--predictions", "", "--truth", image], ["ask", image, "hi", "-o", ""],
            ["ask", image, "hi", "--model", ""], ["segment", image, "--point", "1,1", "--overlay", ""],
            ["synthesize", "--seed", "1", "--count", "1", "--output", ""], ["demo", "--output", ""],
            ["train", "x.json", "--output", ""], ["train", "x.json", "--data", ""],
            ["data", "x.json", "--validation", ""],
        ]
        for arguments in cases {
            let option = arguments.last { $0.hasPrefix("-") }!.replacingOccurrences(of: "=", with: "")
            try await expect(
                arguments, code: 64,
                names: arguments.contains("--predictions")
                    ? ["is empty"] : ["the value after \(option) is empty"])
        }
        for arguments in [["inspect", ""], ["ask", "", "hi"], ["train", ""], ["data", ""]] {
            let result = try await Program.run(arguments)
            #expect([65, 66].contains(result.code) && result.isOneLine, "\(arguments): \(result)")
        }
    }

    @Test func optionsThatWouldBeIgnored() async throws {
        let files = ["evaluate", "--predictions", pictures.good, "--truth", pictures.good]
        for more in [["--output", "out"], ["--data", "x.json"], ["--model", "m"], ["--calibrate"]] {
            let benchmark = more[0] == "--data" ? ["--benchmark", "coco"] : []
            try await expect(files + more + benchmark, code: 64, names: [more[0]])
        }
        try await expect(["evaluate", "--calibrate", "--output", "out"], code: 64, names: ["--output"])
    }

    @Test func namesAreShownWithoutControlCharactersAndShortened() async throws {
        let escape = "\u{1B}[2J\u{9B}31m\u{202E}"
        let result = try await Program.run(["inspect", "/no/\(escape)"])
        #expect(result.code == 66 && result.isOneLine)
        #expect(result.error == "vitrail: /no/\\u001b[2J\\u009b31m\\u202e: no such file or folder\n")
        let long = try await Program.run(["inspect", "/" + String(repeating: "a/", count: 2500)])
        #expect(long.code == 65 && long.isOneLine && long.error.count < 500)
        #expect(long.error.contains("…") && long.error.hasSuffix("file name too long\n"))
        let file = pictures.folder.file("names.safetensors")
        try SafetensorsFile.write(
            [(name: escape, tensor: try Tensor.zeros([1]))], metadata: [escape: escape], to: file)
        for more in [[], ["--json"]] {
            let report = try await Program.run(["inspect", file] + more)
            #expect(report.code == 0, "\(report.error)")
            let shown = report.output.unicodeScalars.allSatisfy {
                $0 == "\n" || !($0.value < 0x20 || (0x7F..<0xA0).contains($0.value) || $0.value == 0x202E)
            }
            #expect(shown && report.output.contains("\\u009b31m\\u202e"))
        }
    }

    /// Whoever reads a pipe may wait for ever.
    @Test(.timeLimit(.minutes(2))) func pipes() async throws {
        let pipe = pictures.folder.file("pipe.json")
        try #require(mkfifo(pipe, 0o600) == 0)
        let weights = pictures.folder.file("pipe.safetensors")
        try #require(mkfifo(weights, 0o600) == 0)
        for arguments in [
            ["ask", pipe, "hi"], ["inspect", pipe], ["inspect", weights], ["train", pipe, "--output", "run"],
            ["data", pipe], ["evaluate", "--predictions", pipe, "--truth", pipe, "--metric", "vqa"],
        ] {
            try await expect(
                arguments, code: 65, names: [arguments.first { $0.contains("pipe") }!, "it is a pipe"])
        }
    }

    @Test func whatADownloadLeftInAFilesPlace() async throws {
        let pointer = Array("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n".utf8)
        for name in ["lfs.png", "lfs.safetensors", "lfs.pth", "lfs.json"] {
            try pictures.write(pointer, name)
        }
        for arguments in [
            ["ask", "lfs.png", "hi"], ["inspect", "lfs.png"], ["inspect", "lfs.safetensors"],
            ["inspect", "lfs.pth"],
            ["train", "lfs.json", "--output", "run"], ["data", "lfs.json"],
        ] {
            let real = arguments.map { $0.hasPrefix("lfs") ? pictures.folder.file($0) : $0 }
            try await expect(real, code: 65, names: ["lfs.", "it is a Git LFS pointer"])
        }
        for name in ["tokenizer/tokenizer.json", "aligner/config.json"] {
            let model = try ModelCopy(of: Engine.embeddedModel())
            try model.write("<!DOCTYPE html><html>", to: name)
            try await expect(
                ["ask", pictures.good, "hi", "--model", model.path], code: 65, names: [name, "a web page"])
        }
    }

    /// Labels that are there, but from which nothing can be learnt, are bad input, under the name that they have here.
    @Test func labelsThatCannotBeLearnt() async throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let labels =
            #"{"images":[{"id":1,"file_name":"scene.png","width":160,"height":120}],"annotations":[]}"#
        try pictures.write(Array(labels.utf8), "labels.json")
        try await expect(
            [
                "train", root.appendingPathComponent("Training/finetune-bccd.json").path, "--output",
                pictures.folder.file("run"), "--data", pictures.folder.path, "--set",
                #"data={"train":{"format":"coco","path":"labels.json","images":"."},"validation_share":0.5}"#,
            ], code: 65, names: [pictures.folder.file("labels.json"), "nothing labelled"])
    }

    @Test func outputsThatCannotBeWritten() async throws {
        let blocked = pictures.good + "/inside"
        try await expect(
            ["ask", pictures.good, "Find all stars.", "--output", blocked + "/a.png"], code: 73,
            names: ["scene.png"])
        try await expect(["demo", "--output", blocked], code: 73, names: ["scene.png"])
        try await expect(
            ["synthesize", "--seed", "1", "--count", "1", "--output", pictures.folder.path], code: 73,
            names: ["exists already"])
    }

    @Test func otherFiles() async throws {
        try await expect(["inspect", pictures.folder.file("text.png")], code: 65, names: ["text.png"])
        try await expect(["inspect", "/no/such/file"], code: 66, names: ["/no/such/file"])
        try await expect(["train", "/no/such.json", "--output", "run"], code: 66, names: ["/no/such.json"])
    }

    @Test func stagesThatATrainingDoesNotHave() async throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        for (file, more, named) in [
            ("mosaic", ["--until", "4"], "--until is 4"), ("mosaic", ["--until", "0"], "--until is 0"),
            ("mosaic", ["--stage", "2", "--until", "2", "--model", "m"], "--until is 2"),
            ("segmenter", ["--until", "1"], "segmenter.json"),
            ("finetune-bccd", ["--until", "1"], "finetune-bccd.json"),
        ] {
            let path = root.appendingPathComponent("Training/\(file).json").path
            try await expect(
                ["train", path, "--output", pictures.folder.file("run")] + more, code: 64, names: [named])
        }
    }

    /// `--set` is heard by every kind of training.
    @Test(arguments: ["mosaic", "segmenter", "finetune-bccd", "lumen-7b"])
    func aFieldThatDoesNotExist(training: String) async throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = root.appendingPathComponent("Training/\(training).json").path
        let model = training == "lumen-7b" ? ["--model", pictures.folder.path] : []
        try await expect(
            ["train", file, "--set", "stepz=3", "--output", pictures.folder.file("run")] + model, code: 65,
            names: [file, "there is no field stepz"])
    }

    @Test func aBrokenPictureAmongGoodOnes() async throws {
        let bad = pictures.folder.file("cut.jpg")
        let result = try await Program.run([
            "locate", pictures.good, bad, pictures.good, "--find", "star", "--as", "count", "--json",
        ])
        #expect(result.code == 65)
        #expect(result.isOneLine && result.error.contains("cut.jpg"))
        #expect(result.output.split(separator: "\n").count == 2)
    }
}
