import Foundation
import Media
import TestSupport
import Testing

/// A folder of labelled pictures in place of a source or a configuration.
@Suite(.serialized) struct FolderTests {
    private func labels(_ folder: TemporaryFolder) throws {
        try FileManager.default.createDirectory(
            atPath: folder.file("pets/annots"), withIntermediateDirectories: true)
        try FileManager.default.createDirectory(
            atPath: folder.file("pets/images"), withIntermediateDirectories: true)
        for number in 0..<4 {
            let name = "pet-\(number)"
            try Image(
                width: 40, height: 30, pixels: [UInt8](repeating: UInt8(40 * number), count: 40 * 30 * 3)
            ).writePNG(to: folder.file("pets/images/\(name).png"))
            let xml =
                "<annotation><filename>\(name).png</filename><size><width>40</width><height>30</height></size><object><name>cat</name><bndbox><xmin>4</xmin><ymin>4</ymin><xmax>30</xmax><ymax>20</ymax></bndbox></object></annotation>"
            try xml.write(
                toFile: folder.file("pets/annots/\(name).xml"), atomically: true, encoding: .utf8)
        }
    }

    @Test func theFormatIsFoundAndSaid() async throws {
        let folder = try TemporaryFolder()
        try labels(folder)
        let shown = try await Program.run(["data", "pets"], in: folder)
        #expect(shown.code == 0, "\(shown.error)")
        #expect(shown.output.hasPrefix("labels: voc, known by 4 .xml files in annots\n"), "\(shown.output)")
        #expect(
            shown.output.contains("annots: 4 pictures") && shown.output.contains("cat 4"), "\(shown.output)")
        let json = try await Program.run(["data", "pets", "--json"], in: folder)
        #expect(json.output.contains("\"notes\":[\"labels: voc"), "\(json.output)")
    }

    @Test func whatCannotBeTrainedFromIsSaidInALine() async throws {
        let folder = try TemporaryFolder()
        try labels(folder)
        try FileManager.default.createDirectory(
            atPath: folder.file("empty"), withIntermediateDirectories: true)
        for (arguments, code, says) in [
            (["data", "empty"], Int32(65), "looked for"),
            (["train", "empty", "--output", "run"], 65, "looked for"),
            (["data", "pets", "--validation", "pets"], 64, "--validation is for a source"),
            (["train", "pets", "--set", "steps=3"], 64, "pets is a folder"),
            (["train", "pets", "--minutes", "0"], 64, "--minutes is 0.0"),
            (["train", "pets", "--resume", "--output", "run"], 66, "no such file"),
        ] {
            let result = try await Program.run(arguments, in: folder)
            #expect(result.code == code, "\(arguments): \(result.error)")
            #expect(result.error.contains(says), "\(result.error)")
            #expect(result.error.filter(\.isNewline).count == 1, "\(result.error)")
            #expect(!FileManager.default.fileExists(atPath: folder.file("run")))
        }
    }
}
