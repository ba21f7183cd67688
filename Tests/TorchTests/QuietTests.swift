import Foundation
import Testing
import Torch

/// libtorch's warnings do not appear on the standard error of a program that uses the library.
struct QuietTests {
    @Test func aWarningIsNotWritten() throws {
        let path = NSTemporaryDirectory() + "vitrail-quiet-\(UUID().uuidString)"
        let file = try #require(fopen(path, "w"))
        defer { unlink(path) }
        fflush(nil)
        let before = dup(2)
        dup2(fileno(file), 2)
        defer {
            dup2(before, 2)
            close(before)
            fclose(file)
        }
        // The result is resized, of which libtorch warns.
        try Operator("add", "out")(Tensor.zeros([3]), Tensor.zeros([3]), .default, Tensor.zeros([2]))
        fflush(nil)
        let written = try String(contentsOfFile: path, encoding: .utf8)
        #expect(!written.contains("resized"), "\(written)")
    }
}
