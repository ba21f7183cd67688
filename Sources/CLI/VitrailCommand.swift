import ArgumentParser

@main
struct VitrailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vitrail",
        abstract: "Ask pictures: understand, locate and count what they show.",
        version: "0.1.0",
        subcommands: [Evaluate.self, Train.self])
}
