internal import Foundation
internal import TestSupport
internal import Testing
internal import Training

struct TrainingConfigurationTests {
    /// What is said of a file with these fields; its path is left out.
    private func said(of fields: [String: Any]) throws -> String? {
        let folder = try TemporaryFolder()
        let path = folder.file("tiny.json")
        try TinyTraining.write(fields, to: path)
        return refusal { try TrainingConfiguration(contentsOf: path) }?.replacingOccurrences(
            of: "\(path): ", with: "")
    }

    @Test func theFileThatComesWithThePackageIsGood() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let path = root.appendingPathComponent("Training/mosaic.json").path
        let configuration = try TrainingConfiguration(contentsOf: path)
        #expect(configuration.seed < 900_000)
        // What is written beside a run reads back as the same.
        let folder = try TemporaryFolder()
        try configuration.json().write(toFile: folder.file("copy.json"), atomically: true, encoding: .utf8)
        #expect(try TrainingConfiguration(contentsOf: folder.file("copy.json")) == configuration)
    }

    @Test func everyFieldIsNeeded() throws {
        for name in TinyTraining.fields.keys.sorted() {
            var fields = TinyTraining.fields
            fields[name] = nil
            let message = try said(of: fields)
            #expect(message == "the field \(name) is missing")
        }
    }

    @Test func aFieldOfTheWrongKindIsNamed() throws {
        var fields = TinyTraining.fields
        fields["steps"] = "many"
        #expect(try said(of: fields) == "the field steps has the wrong kind of value")
        fields = TinyTraining.fields
        fields["schedule"] = ["peak": "high", "warmup_steps": 2, "decay_share": 0.5, "floor": 0.1]
        #expect(try said(of: fields) == "the field schedule.peak has the wrong kind of value")
        fields = TinyTraining.fields
        fields["log_every"] = NSNull()
        #expect(try said(of: fields)?.contains("log_every") == true)
        fields = TinyTraining.fields
        fields["seed"] = -1
        #expect(try said(of: fields) != nil)
    }

    @Test func numbersOutOfBoundsAreRefused() throws {
        var fields = TinyTraining.fields
        fields["steps"] = 0
        #expect(try said(of: fields) == "steps is 0, at least 1 is needed")
        for size in [100, 64, 528] {
            fields = TinyTraining.fields
            fields["image_size"] = size
            #expect(
                try said(of: fields) == "image_size is \(size), a multiple of 16 from 96 to 512 is needed")
        }
        for (name, value, limit) in [
            ("referring_share", 7, "0 to 1"), ("scenes", 100_000_000_000, "1 to 4096"),
            ("ramp_steps", -5, "0 to"),
        ] {
            fields = TinyTraining.fields
            fields[name] = value
            #expect((try said(of: fields) ?? "").hasPrefix("\(name) is \(value), \(limit)"))
        }
    }

    @Test(arguments: ["", "{", "seed = 1", "[]", "\u{0}\u{1}"]) func whatIsNotJSONIsRefused(text: String)
        throws
    {
        let folder = try TemporaryFolder()
        let path = folder.file("tiny.json")
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        let message = refusal { try TrainingConfiguration(contentsOf: path) }
        #expect(message == "\(path): not the JSON of a training configuration")
    }

    @Test func aMissingFileIsNamed() {
        let message = refusal { try TrainingConfiguration(contentsOf: "no/such/file.json") }
        #expect(message == "no/such/file.json: no such file")
    }
}
