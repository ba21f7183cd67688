internal import Datasets
internal import Foundation
internal import Media
internal import Text
internal import Torch
internal import Vitrail

/// A folder for the benchmarks' files, removed at the end.
final class WorkFolder {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent(
            "vitrail-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// What the benchmarks of answers ask: one scene as JPEG files of two sizes, one phrase or eleven class names.
struct BenchmarkScene {
    let folder: WorkFolder
    let modelPath: String
    let tokenizer: Tokenizer
    /// What the model's part segmenter is; nil for a model without one.
    let segmenter: SAMConfiguration?
    /// Of 512 x 512 pixels, of which the model sees 256 x 256, and of 128 x 128, which it sees as it is.
    let pictures: [(side: Int, path: String)]
    /// The names of the plain ring's kinds; the first is there.
    let phrases: [String]
    /// What shows the segmenter the thing of the first phrase, in the first picture.
    let prompt: SegmenterPrompt

    init(in folder: WorkFolder, model path: String) throws {
        self.folder = folder
        modelPath = path
        // Not the model: it is opened where it is measured, because every thread that runs operators brings along a team
        // of OpenMP's, and teams beyond the machine's cores slow each other down.
        let model = try ModelFolder(path)
        tokenizer = try Lumen.tokenizer(of: model)
        segmenter =
            try model.parts["segmenter"] == nil
            ? nil
            : JSONDecoder().decode(
                SAMConfiguration.self,
                from: Data(contentsOf: URL(fileURLWithPath: "\(model.folder(of: "segmenter"))/config.json")))
        let scenes = try [512, 128].map { side in
            MosaicScene(seed: 77, index: 3, configuration: try MosaicConfiguration(size: side))
        }
        pictures = try scenes.map { scene in
            let path = "\(folder.path)/picture-\(scene.size).jpg"
            try scene.image.writeJPEG(to: path)
            return (scene.size, path)
        }
        let object = scenes[0].objects[0]
        phrases =
            [object.kind.name]
            + MosaicScene.classNames(of: .plain).filter { $0 != object.kind.name }
        prompt = SegmenterPrompt(
            points: [(Point(x: object.centre.x, y: object.centre.y), true)], box: object.box)
    }

    /// The tokens with which the model is asked for a phrase, up to [LOC]; Python gets them ready-made.
    func tokens(for phrase: String, as response: LocateResponse = .boxes) -> [Int] {
        tokenizer.encode(Prompt.question(response.request(for: phrase)) + Prompt.located)
            + [tokenizer.id(of: Prompt.loc)!]
    }
}
