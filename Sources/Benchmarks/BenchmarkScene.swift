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

/// What the benchmarks of answers ask: one picture of 512 pixels as a JPEG file, one phrase or all class names.
struct BenchmarkScene {
    let folder: WorkFolder
    let modelPath: String
    let tokenizer: Tokenizer
    let picture: String
    let phrases: [String]

    init(in folder: WorkFolder, model path: String) throws {
        self.folder = folder
        modelPath = path
        // Not the model: it is opened where it is measured, because every thread that runs operators brings along a team
        // of OpenMP's, and teams beyond the machine's cores slow each other down.
        tokenizer = try Tokenizer(
            contentsOf: URL(fileURLWithPath: "\(ModelFolder(path).folder(of: "tokenizer"))/tokenizer.json"))
        let scene = MosaicScene(seed: 77, index: 3, configuration: try MosaicConfiguration(size: 512))
        picture = "\(folder.path)/picture.jpg"
        try scene.image.writeJPEG(to: picture)
        phrases = MosaicScene.classNames
    }

    /// The tokens with which the model is asked for a phrase, up to [LOC]; Python gets them ready-made.
    func tokens(for phrase: String) -> [Int] {
        let question = Prompt.question(LocateResponse.boxes.request(for: phrase))
        let answer = tokenizer.encode(Prompt.locationAnswer(.detection))
        return tokenizer.encode(question)
            + answer.prefix(through: answer.firstIndex(of: tokenizer.id(of: "[LOC]")!)!)
    }
}
