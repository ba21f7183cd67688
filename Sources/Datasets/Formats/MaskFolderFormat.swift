import Dispatch
import Media

/// A folder a picture, with the picture in `images` and a mask of each object in `masks`, as DSB2018's nuclei are.
enum MaskFolderFormat {
    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        let root = reading.source.split.map { reading.path.appending(path: $0) } ?? reading.path
        let folders = try reading.names(in: root).filter { root.appending(path: "\($0)/images").isFolder }
        guard !folders.isEmpty else {
            throw .invalid(
                root, reason: "no folder in it has a folder \"images\", and one \"masks\" beside it")
        }
        var set = LabelledSet(name: root.lastPart)
        set.categories = [.init(id: 1, name: reading.source.category ?? "object")]
        // Thousands of small PNGs: they are decoded in parallel.
        let entries = parallelMap(folders.count) { index in
            Entry(root.appending(path: folders[index]), id: index + 1)
        }
        for entry in entries {
            for (sort, place) in entry.problems { reading.problems.add(sort, place) }
            guard let picture = entry.picture else { continue }
            reading.note(name: picture.fileName)
            set.pictures.append(picture)
        }
        return set
    }

    private struct Entry: Sendable {
        var picture: LabelledSet.Picture?
        var problems: [(LabelProblems.Sort, String)] = []

        init(_ folder: String, id: Int) {
            guard let name = pictures(in: "\(folder)/images").first else {
                problems.append((.missingPicture, folder.lastPart))
                return
            }
            let source = PictureSource.file("\(folder)/images/\(name)")
            var picture: LabelledSet.Picture
            do {
                let size = try Image.size(of: source.bytes(), name: source.name)
                picture = .init(
                    id: .number(id), source: source, fileName: name, width: size.width, height: size.height)
            } catch {
                problems.append((.brokenPicture, "\(error)"))
                return
            }
            guard "\(folder)/masks".isFolder else {
                problems.append((.unlabelled, name))
                return
            }
            for (index, file) in pictures(in: "\(folder)/masks").enumerated() {
                do {
                    let map = try LabelMap(contentsOf: "\(folder)/masks/\(file)")
                    let mask = try Mask(width: map.width, height: map.height, bitmap: map.values)
                    var thing = LabelledSet.Thing(
                        id: .number(index + 1), category: 0, box: mask.boundingBox)
                    thing.segmentation = .mask(mask)
                    thing.area = Double(mask.area)
                    picture.things.append(thing)
                } catch {
                    problems.append((.malformed, "\(error)"))
                    picture.lose(0, of: 1)
                }
            }
            self.picture = picture
        }

        private mutating func pictures(in folder: String) -> [String] {
            let (names, macFiles) = Reading.list(folder) ?? ([], [])
            problems += macFiles.map { (.macFile, $0) }
            return names.filter(\.isPicture)
        }
    }
}

/// The values for 0 to `count`, made on all cores.
func parallelMap<Value: Sendable>(_ count: Int, _ value: @Sendable (Int) -> Value) -> [Value] {
    [Value](unsafeUninitializedCapacity: count) { buffer, initialized in
        nonisolated(unsafe) let start = buffer.baseAddress
        if count > 0 {
            DispatchQueue.concurrentPerform(iterations: count) { (start! + $0).initialize(to: value($0)) }
        }
        initialized = count
    }
}
