import Foundation

extension Engine {
    /// The folder of the model that comes with the package.
    ///
    /// It lies in the package's resources, which the build puts beside the program. `Bundle.module` is not used,
    /// because it ends the process if it finds nothing.
    ///
    /// - Throws: ``ModelError`` that names the places where it was looked for.
    public static func embeddedModel() throws -> String {
        // The folder of the program itself, also if a link or a search path started it. Under Xcode's test runner the
        // code lies in a separate bundle instead.
        let code = Bundle(for: Engine.self)
        let folders = [
            Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent(),
            Bundle.main.resourceURL, code.bundleURL.deletingLastPathComponent(), code.resourceURL,
        ]
        // What SwiftPM calls the folder on Linux, on macOS, and on macOS built by Xcode.
        let names = [
            "vitrail_Vitrail.resources/mosaic", "vitrail_Vitrail.bundle/mosaic",
            "vitrail_Vitrail.bundle/Contents/Resources/mosaic",
        ]
        var looked: [String] = []
        for case let folder? in folders where !looked.contains(folder.path) {
            looked.append(folder.path)
            for name in names {
                let place = folder.appendingPathComponent(name).path
                if FileManager.default.fileExists(atPath: "\(place)/model_index.json") { return place }
            }
        }
        throw ModelError.missing("the embedded model \(names[0]) in \(looked.joined(separator: ", "))")
    }
}
