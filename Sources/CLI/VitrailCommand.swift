import ArgumentParser
import Foundation

@main
struct VitrailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vitrail",
        abstract: "Ask pictures: understand, locate and count what they show.",
        discussion: """
            Everything works with the small model that comes with the program. That model has only ever seen Mosaic, \
            a drawn world of coloured shapes and figures; --model names another one.

            A first try, with a picture to ask about:
              vitrail synthesize --seed 900001 --count 1 --output pictures
              vitrail ask pictures/images/000000000000.png "What do you see?"
              vitrail ask pictures/images/000000000000.png "Find all objects."

            Answers go to standard output. An error is one line on standard error, and the exit code says of which \
            kind: 64 the command line is wrong, 65 the input is bad (a damaged picture, a model that does not fit, a \
            request over the limit), 66 there is no such input file, 70 an internal failure, 73 the output cannot be \
            written, 130 interrupted.
            """,
        version: "0.1.0",
        subcommands: [
            Ask.self, Locate.self, Segment.self, Demo.self, Inspect.self, Synthesize.self, Train.self,
            Evaluate.self, DataCommand.self,
        ])

    static func main() async {
        StandardStreams.prepare()
        do {
            try refuseEmptyValues(CommandLine.arguments.dropFirst())
            var command = try parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            // libtorch takes 75 ms to tear itself down; everything is written and closed by now.
            _exit(0)
        } catch {
            // Help and the version come as errors too.
            if exitCode(for: error) == .success {
                print(fullMessage(for: error))
                Foundation.exit(0)
            }
            // What went wrong was said already.
            if let code = error as? ExitCode { Foundation.exit(code.rawValue) }
            let failure = Failure(error)
            failure.report()
            Foundation.exit(failure.code.rawValue)
        }
    }

    /// An empty path would mean the current folder, or the root where a name is put behind it. No option of any other
    /// kind has an empty value either.
    private static func refuseEmptyValues(_ arguments: ArraySlice<String>) throws {
        for (option, value) in zip(arguments, arguments.dropFirst())
        where option.hasPrefix("-") && value.isEmpty {
            throw Failure(.usage, "the value after \(option) is empty")
        }
        for argument in arguments where argument.hasPrefix("--") && argument.hasSuffix("=") {
            throw Failure(.usage, "the value after \(argument.dropLast()) is empty")
        }
    }
}
