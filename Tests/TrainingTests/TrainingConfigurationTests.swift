internal import Foundation
internal import Perception
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

    /// The fields with one of the first stage's exchanged, or left out.
    private func stage(_ name: String, _ value: Any?) -> [String: Any] {
        var fields = TinyTraining.fields
        var stages = fields["stages"] as! [[String: Any]]
        stages[0][name] = value
        fields["stages"] = stages
        return fields
    }

    @Test func everyFieldIsNeeded() throws {
        for name in TinyTraining.fields.keys.sorted() {
            var fields = TinyTraining.fields
            fields[name] = nil
            let message = try said(of: fields)
            #expect(message == "the field \(name) is missing")
        }
        for name in (TinyTraining.fields["stages"] as! [[String: Any]])[0].keys.sorted() {
            let message = try said(of: stage(name, nil))
            #expect(message == "the field stages.0.\(name) is missing")
        }
    }

    @Test func aFieldOfTheWrongKindIsNamed() throws {
        #expect(
            try said(of: stage("steps", "many")) == "the field stages.0.steps has the wrong kind of value")
        let schedule: [String: Any] = ["peak": "high", "warmup_steps": 2, "decay_share": 0.5, "floor": 0.1]
        #expect(
            try said(of: stage("schedule", schedule))
                == "the field stages.0.schedule.peak has the wrong kind of value")
        var fields = TinyTraining.fields
        fields["log_every"] = NSNull()
        #expect(try said(of: fields)?.contains("log_every") == true)
        fields = TinyTraining.fields
        fields["seed"] = -1
        #expect(try said(of: fields) != nil)
    }

    @Test func numbersOutOfBoundsAreRefused() throws {
        #expect(try said(of: stage("steps", 0)) == "stages.0.steps is 0, 1 to 1000000000 is possible")
        for size in [100, 64, 528] {
            var fields = TinyTraining.fields
            fields["plain_size"] = size
            #expect(
                try said(of: fields) == "plain_size is \(size), a multiple of 16 from 96 to 512 is needed")
        }
        for (name, value, limit) in [
            ("referring_share", 7, "0 to 1"), ("plain_scenes", 100_000_000_000, "1 to 4096"),
            ("ramp_steps", -5, "0 to"),
        ] {
            #expect(
                (try said(of: stage(name, value)) ?? "").hasPrefix("stages.0.\(name) is \(value), \(limit)"))
        }
        var fields = TinyTraining.fields
        fields["stages"] = [Any]()
        #expect(try said(of: fields) == "stages is empty")
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

    @Test func fieldsCanBeSetBesideTheFile() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("tiny.json")
        try TinyTraining.write(TinyTraining.fields, to: path)
        let configuration = try TrainingConfiguration(
            contentsOf: path,
            setting: [
                "seed=7", "stages.1.losses.heat=0.25", "optimizer=adamw", "variant.fusion=convolution",
                "variant.match=false",
            ])
        #expect(configuration.seed == 7)
        #expect(configuration.stages[1].losses.heat == 0.25)
        #expect(configuration.optimizer == .adamW)
        #expect(configuration.variant?.fusion == .convolution && configuration.variant?.match == false)
        for (change, reason) in [
            ("stages.0.stepz=3", "there is no field stages.0.stepz"),
            ("seed", "seed is no change, FIELD=VALUE is needed"),
            ("stages.0.steps=many", "the field stages.0.steps has the wrong kind of value"),
            ("stages.0.steps=0", "stages.0.steps is 0, 1 to 1000000000 is possible"),
        ] {
            let message = refusal { try TrainingConfiguration(contentsOf: path, setting: [change]) }
            #expect(message == "\(path): \(reason)")
        }
    }

    @Test func aMissingFileIsNamed() {
        let message = refusal { try TrainingConfiguration(contentsOf: "no/such/file.json") }
        #expect(message == "no/such/file.json: no such file")
    }
}
