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
            let names = Self.pictures(in: "\(folder)/images")
            guard let name = names.first else {
                problems.append((.missingPicture, folder.lastPart))
                return
            }
            let source = PictureSource.file("\(folder)/images/\(name)")
            var picture: LabelledSet.Picture
            do {
                let size = try Image.size(of: source.bytes(), name: source.name)
                picture = .init(
                    id: id, source: source, fileName: name, width: size.width, height: size.height)
            } catch {
                problems.append((.brokenPicture, "\(error)"))
                return
            }
            let masks = Self.pictures(in: "\(folder)/masks")
            if masks.isEmpty, !"\(folder)/masks".isFolder { problems.append((.noLabels, name)) }
            for (index, file) in masks.enumerated() {
                do {
                    let map = try LabelMap(contentsOf: "\(folder)/masks/\(file)")
                    let mask = try Mask(width: map.width, height: map.height, bitmap: map.values)
                    var thing = LabelledSet.Thing(id: index + 1, category: 0, box: mask.boundingBox)
                    thing.segmentation = .mask(mask)
                    thing.area = Double(mask.area)
                    picture.things.append(thing)
                } catch {
                    problems.append((.malformed, "\(error)"))
                }
            }
            self.picture = picture
        }

        private static func pictures(in folder: String) -> [String] {
            (try? Reading.list(folder))?.filter(\.isPicture) ?? []
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
