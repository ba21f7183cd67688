import Vitrail

// Finds things by name in a picture file: `swift run -c release LocateObjects photo.png "red circle"`.
let arguments = CommandLine.arguments.dropFirst()
let (path, phrase) = (arguments.first ?? "photo.png", arguments.dropFirst().first ?? "star")
let engine = try Engine()
let picture = try await engine.open(contentsOf: path)
print(try await engine.ask("How many \(phrase)s are there?", about: picture).text)
for location in try await engine.locate([phrase], in: picture) {
    for found in location.detections {
        print(found.score, found.box.x, found.box.y, found.box.width, found.box.height)
    }
}
