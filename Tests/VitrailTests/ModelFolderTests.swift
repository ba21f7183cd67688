import Checkpoints
import Foundation
import Media
import NN
import TestSupport
import Testing
import Text
import Torch
import Vitrail

/// Every folder that is no whole model is refused in one line that names the file at fault.
@Suite(.serialized) struct ModelFolderTests {
    private func refusal(_ model: String) -> String {
        do {
            _ = try Engine(model: model)
            return "opened"
        } catch {
            return "\(error)"
        }
    }

    private func expect(
        _ model: ModelCopy, names: [String], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let message = refusal(model.path)
        for name in names { #expect(message.contains(name), "\(message)", sourceLocation: sourceLocation) }
        #expect(!message.contains("\n"), sourceLocation: sourceLocation)
    }

    private func copy() throws -> ModelCopy { try ModelCopy(of: Engine.embeddedModel()) }

    @Test func aCopyOpens() throws {
        let model = try copy()
        #expect(refusal(model.path) == "opened")
        #expect(FileManager.default.fileExists(atPath: model.file("model_index.json")))
    }

    @Test func aFolderThatIsNotThere() {
        #expect(refusal("/no/such/model") == "/no/such/model: no such file or folder")
    }

    @Test func aFileInstead() throws {
        let model = try copy()
        let file = model.file("model_index.json")
        #expect(refusal(file) == "\(file): a model is a folder, this is a file")
    }

    @Test func aFolderWithoutAnIndex() throws {
        let model = try copy()
        try model.remove("model_index.json")
        expect(model, names: ["model_index.json", "no such file"])
    }

    @Test(arguments: ["", "not JSON", "[]", #"{"type": "Lumen"}"#, #"{"type": 3, "parts": {}}"#])
    func anIndexThatIsNone(text: String) throws {
        let model = try copy()
        try model.write(text, to: "model_index.json")
        expect(model, names: ["model_index.json: "])
    }

    /// Numbers that would divide by zero, make no network, or one that traps when it runs.
    @Test(arguments: [
        ("image_encoder", "\"num_attention_heads\" : 4", "\"num_attention_heads\" : 0"),
        ("image_encoder", "\"num_attention_heads\" : 4", "\"num_attention_heads\" : 3"),
        ("image_encoder", "\"image_size\" : 256", "\"image_size\" : 250"),
        ("image_encoder", "\"fine_channels\" : 96", "\"fine_channels\" : -96"),
        ("aligner", "\"num_attention_heads\" : 4", "\"num_attention_heads\" : 0"),
        ("aligner", "\"upsample\" : 2", "\"upsample\" : 0"),
        ("projector", "\"unshuffle\" : 2", "\"unshuffle\" : 0"),
        ("language_model", "\"num_hidden_layers\" : 6", "\"num_hidden_layers\" : -1"),
        ("language_model", "\"num_hidden_layers\" : 6", "\"num_hidden_layers\" : 1000000000"),
        ("language_model", "\"max_position_embeddings\" : 2048", "\"max_position_embeddings\" : -5"),
        ("aligner", "\"upsample\" : 2", "\"upsample\" : 9223372036854775807"),
        ("image_encoder", "\"num_hidden_layers\" : 4", "\"num_hidden_layers\" : 1000000000"),
    ])
    func aConfigurationThatMakesNoNetwork(part: String, field: String, value: String) throws {
        let model = try copy()
        let text = try String(contentsOfFile: model.file("\(part)/config.json"), encoding: .utf8)
        try #require(text.contains(field))
        try model.write(text.replacingOccurrences(of: field, with: value), to: "\(part)/config.json")
        expect(model, names: [model.file("\(part)/config.json")])
    }

    @Test(arguments: [
        ("maximum_peaks", "-1"), ("maximum_peaks", "9223372036854775807"), ("threshold", "2"),
        ("overlap_limit", "-0.5"),
        ("maximum_detections", "0"),
    ])
    func aLocatorThatFindsNothing(field: String, value: String) throws {
        let model = try copy()
        try ModelFolder(model.path).calibrate(Locator(), classes: nil)
        let path = model.file("model_index.json")
        var fields = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path)))
                as? [String: Any])
        var locator = try #require(fields["locator"] as? [String: Any])
        locator[field] = try JSONSerialization.jsonObject(with: Data(value.utf8), options: .fragmentsAllowed)
        fields["locator"] = locator
        try model.write(
            String(decoding: JSONSerialization.data(withJSONObject: fields), as: UTF8.self),
            to: "model_index.json")
        expect(model, names: ["model_index.json: ", "the locator", field])
    }

    /// A part that computes no numbers says so, in place of finding nothing.
    @Test(arguments: ["aligner", "language_model"])
    func weightsThatAreNoNumbers(part: String) async throws {
        let model = try copy()
        try model.rewrite(part) { tensors in
            tensors = try tensors.map { ($0.name, try $0.tensor * .nan) }
        }
        let engine = try Engine(model: model.path)
        let picture = await engine.open(
            Image(width: 64, height: 64, pixels: [UInt8](repeating: 90, count: 64 * 64 * 3)))
        for form in [LocateResponse.boxes, .count] {
            let error = await #expect(throws: (any Error).self) {
                try await engine.locate(["star"], in: picture, as: form)
            }
            #expect("\(error!)".contains("is no number (NaN or infinite)"))
        }
        let error = await #expect(throws: (any Error).self) {
            try await engine.ask("How many stars are there?", about: picture)
        }
        #expect("\(error!)".contains("is no number (NaN or infinite)"))
    }

    @Test func anotherType() throws {
        let model = try copy()
        try model.write(#"{"type": "Oracle", "parts": {}}"#, to: "model_index.json")
        expect(model, names: [model.path, "Oracle"])
    }

    @Test func aPartThatIsNotNamed() throws {
        let model = try copy()
        try model.write(#"{"type": "Lumen", "parts": {}}"#, to: "model_index.json")
        expect(model, names: [model.path, "image_encoder"])
    }

    @Test func aPartWithoutItsFiles() throws {
        for file in ["projector/config.json", "aligner/model.safetensors", "tokenizer/tokenizer.json"] {
            let model = try copy()
            try model.remove(file)
            expect(model, names: [model.file(file)])
        }
    }

    @Test func aConfigurationWithoutAField() throws {
        let model = try copy()
        try model.write("{}", to: "projector/config.json")
        expect(model, names: [model.file("projector/config.json"), "missing"])
    }

    @Test func aMissingKey() throws {
        let model = try copy()
        var gone = ""
        try model.rewrite("projector") { gone = $0.removeFirst().name }
        expect(model, names: [model.file("projector/model.safetensors"), "1 missing: \(gone)"])
    }

    @Test func anExtraKey() throws {
        let model = try copy()
        try model.rewrite("projector") { $0.append((name: "left.over", tensor: try Tensor.zeros([2]))) }
        expect(model, names: [model.file("projector/model.safetensors"), "1 unexpected: left.over"])
    }

    @Test func aKeyOfTheWrongShape() throws {
        let model = try copy()
        var name = ""
        try model.rewrite("projector") {
            name = $0[0].name
            $0[0].tensor = try Tensor.zeros([3, 1])
        }
        expect(model, names: [model.file("projector/model.safetensors"), "\(name) is [3, 1], expected"])
    }

    @Test func aHeaderThatLies() throws {
        let model = try copy()
        try model.lie("aligner")
        expect(model, names: [model.file("aligner/model.safetensors"), "[0, 4000]", "4 bytes"])
    }

    @Test func aPartElsewhere() throws {
        let (model, other) = (try copy(), try copy())
        let index = try String(contentsOfFile: model.file("model_index.json"), encoding: .utf8)
        let moved = index.replacingOccurrences(
            of: "\"path\" : \"aligner\"", with: "\"path\" : \"\(other.file("aligner"))\"")
        #expect(moved != index)
        try model.write(moved, to: "model_index.json")
        try model.remove("aligner/config.json")
        #expect(refusal(model.path) == "opened")
        #expect(FileManager.default.fileExists(atPath: other.file("aligner/config.json")))
    }
}
