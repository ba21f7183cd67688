import Foundation
import PackagePlugin

/// Runs Tools/setup.sh of the Vitrail that a package depends on: `swift package --disable-sandbox vitrail-setup`.
@main
struct VitrailSetup: CommandPlugin {
    func performCommand(context: PluginContext, arguments: [String]) throws {
        guard arguments.isEmpty else {
            throw SetupError(
                description: "vitrail-setup takes no arguments; see docs/setup.md for the variables it reads")
        }
        guard let vitrail = find(in: context.package) else {
            throw SetupError(description: "this package does not depend on Vitrail")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = [vitrail.directoryURL.appendingPathComponent("Tools/setup.sh").path]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw SetupError(
                description: "Vitrail's set-up ended with exit code \(process.terminationStatus)")
        }
    }

    /// Vitrail, among a package and all that it depends on.
    private func find(in package: Package) -> Package? {
        if package.displayName == "vitrail" { return package }
        return package.dependencies.lazy.compactMap { find(in: $0.package) }.first
    }
}

struct SetupError: Error, CustomStringConvertible {
    let description: String
}
