import Foundation
import TestSupport
import Testing
import Vitrail

/// What a program needs beside itself, libtorch and its resources, is found, or named where it is not.
@Suite(.serialized) struct RuntimeTests {
    private let pictures: Pictures

    init() throws { pictures = try Pictures() }

    @Test func withoutSetUpOneLineNamesIt() async throws {
        let result = try await Program.run(
            ["ask", pictures.good, "Find all stars."], environment: ["VITRAIL_RUNTIME": "/no/such/folder"])
        #expect(result.code == 69)
        #expect(result.isOneLine, "\(result.error)")
        for part in ["libtorch is not set up", "vitrail-setup", "/no/such/folder"] {
            #expect(result.error.contains(part), "\(result.error)")
        }
    }

    @Test func aLibraryThatIsNoneIsNamed() async throws {
        // The file's name is in the line about a folder that lacks it.
        let missing = try await Program.run(
            ["ask", pictures.good, "Find all stars."], environment: ["VITRAIL_RUNTIME": "/no/such/folder"])
        let name = try #require(missing.error.firstMatch(of: /libvitrail-torch-[0-9a-f]{12}\.(so|dylib)/)).0
        let folder = try TemporaryFolder()
        try Data("text".utf8).write(to: URL(fileURLWithPath: folder.file(String(name))))
        let result = try await Program.run(
            ["ask", pictures.good, "Find all stars."], environment: ["VITRAIL_RUNTIME": folder.path])
        #expect(result.code == 69)
        #expect(result.isOneLine, "\(result.error)")
        #expect(result.error.contains("cannot be opened") && result.error.contains(name), "\(result.error)")
    }

    @Test func programAndResourcesCanBeMovedTogether() async throws {
        let here = URL(fileURLWithPath: try Program.path).resolvingSymlinksInPath()
        let resources = URL(fileURLWithPath: try Engine.embeddedModel()).deletingLastPathComponent()
        let folder = try TemporaryFolder()
        let moved = folder.file("vitrail")
        try FileManager.default.copyItem(atPath: here.path, toPath: moved)

        let alone = try await Program.run(["ask", pictures.good, "Find all stars."], program: moved)
        #expect(alone.code == 66 && alone.isOneLine, "\(alone.error)")
        #expect(
            alone.error.contains("vitrail_Vitrail") && alone.error.contains(folder.path), "\(alone.error)")

        try FileManager.default.copyItem(
            atPath: resources.path, toPath: folder.file(resources.lastPathComponent))
        let together = try await Program.run(["ask", pictures.good, "Find all stars."], program: moved)
        #expect(together.code == 0 && together.error.isEmpty, "\(together.error)")
    }
}
