import Foundation
import InputFiles
import Testing
import Text

@Suite struct InputFileTests {
    private func reason(_ content: String) throws -> String? {
        let file = try TemporaryFile(content)
        do {
            #expect(try InputFile.read(file.url.path) == Array(content.utf8))
            return nil
        } catch {
            return error.reason
        }
    }

    @Test("what a download left in a file's place is said")
    func strays() throws {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
        #expect(try reason(pointer)?.hasPrefix("it is a Git LFS pointer") == true)
        for page in ["<!DOCTYPE html>\n<html>", "\u{FEFF}\n  <!doctype HTML>", "<html lang=\"en\">"] {
            #expect(try reason(page)?.hasPrefix("it is a web page") == true)
        }
        for content in ["", "version 1", "{\"html\": 1}", "<annotation/>", "\u{0}html"] {
            #expect(try reason(content) == nil)
        }
    }

    @Test("a pipe is refused and not waited for", .timeLimit(.minutes(1)))
    func pipes() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        try #require(mkfifo(path, 0o600) == 0)
        defer { unlink(path) }
        let problem = #expect(throws: InputFile.Problem.self) { try InputFile.read(path) }
        #expect(
            problem?.reason == "it is a pipe or a device, not a regular file" && problem?.isMissing == false)
    }

    @Test("why a file cannot be read is the system's reason")
    func reasons() throws {
        func problem(_ path: String, limit: Int = .max) -> InputFile.Problem? {
            do {
                _ = try InputFile.read(path, limit: limit)
                return nil
            } catch {
                return error
            }
        }
        #expect(problem("/no/such")?.isMissing == true && problem("")?.reason == "the path is empty")
        let file = try TemporaryFile("12345")
        #expect(problem(file.url.path + "/inside")?.isMissing == true)
        #expect(problem(file.url.path, limit: 4)?.reason.hasPrefix("5 bytes exceed the limit") == true)
        let circle = file.url.path + ".circle"
        try FileManager.default.createSymbolicLink(atPath: circle, withDestinationPath: circle)
        defer { unlink(circle) }
        #expect(problem(circle)?.reason == "too many levels of symbolic links")
        #expect(problem(circle)?.isMissing == false)
    }
}
