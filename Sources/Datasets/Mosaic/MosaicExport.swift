import Media

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Mosaic as files, for programs that read COCO.
public enum MosaicExport {
    /// The number of pictures that one export may have.
    public static let counts = 1...1_000_000

    /// Writes the scenes 0 ..< `count` of a seed as a COCO data set: `images/000000000000.png` and so on,
    /// and `annotations.json` with instances and keypoints in one file.
    ///
    /// A scene's index is its picture's id and file name; a kind's category is its raw value plus one. The
    /// folder appears when it is complete: until then the files are in a folder beside it, which goes
    /// when the export fails.
    ///
    /// - Parameters:
    ///   - seed: the seed of all scenes.
    ///   - count: how many, from index 0.
    ///   - configuration: what the scenes are like.
    ///   - directory: the folder to be made; it must not exist, or be empty.
    ///   - progress: called after each picture with the number done; what it throws ends the export.
    /// - Throws: `MosaicError` for a count out of bounds or a folder that is in use, `COCOError` and
    ///   `MediaError` when the disk refuses, and what `progress` throws.
    public static func write(
        seed: UInt64, count: Int, configuration: MosaicConfiguration = .standard, to directory: String,
        progress: (_ done: Int) throws -> Void = { _ in }
    ) throws {
        guard counts.contains(count) else { throw MosaicError.count(count) }
        let files = FileManager.default
        guard !directory.isEmpty else { throw MosaicError.unwritable("a folder without a name") }
        if files.fileExists(atPath: directory) {
            guard let content = try? files.contentsOfDirectory(atPath: directory), content.isEmpty else {
                throw MosaicError.folderInUse(directory)
            }
        }
        // The whole path, because the pictures are made beside the folder, also where it is called ".".
        let target = URL(fileURLWithPath: directory).standardizedFileURL.path
        let partial = "\(target).\(ProcessInfo.processInfo.processIdentifier).partial"
        do {
            try files.createDirectory(atPath: "\(partial)/images", withIntermediateDirectories: true)
        } catch {
            throw MosaicError.unwritable(directory)
        }
        do {
            try writeFiles(seed: seed, count: count, configuration, to: partial, progress: progress)
            do {
                if files.fileExists(atPath: target) { try files.removeItem(atPath: target) }
                try files.moveItem(atPath: partial, toPath: target)
            } catch {
                throw MosaicError.unwritable(directory)
            }
        } catch {
            try? files.removeItem(atPath: partial)
            throw error
        }
    }

    private static func writeFiles(
        seed: UInt64, count: Int, _ configuration: MosaicConfiguration, to directory: String,
        progress: (Int) throws -> Void
    ) throws {
        let (width, height) = (configuration.width, configuration.height)
        let writer = try COCOWriter(
            path: "\(directory)/annotations.json",
            description: "Mosaic \(configuration.ring.rawValue), seed \(seed), \(width) x \(height) pixels",
            images: (0..<count).lazy.map {
                COCOImage(id: $0, width: width, height: height, fileName: fileName(of: $0))
            },
            categories: MosaicKind.allCases.map {
                COCOCategory(
                    id: $0.rawValue + 1, name: $0.name,
                    supercategory: $0 == .person ? "person" : $0.isShape ? "shape" : "thing",
                    hasKeypoints: $0 == .person)
            })
        var annotation = 0
        for index in 0..<count {
            let scene = MosaicScene(seed: seed, index: index, configuration: configuration)
            try scene.image.writePNG(to: "\(directory)/images/\(fileName(of: index))")
            for (number, object) in scene.objects.enumerated() {
                annotation += 1
                try writer.append(
                    COCOAnnotation(
                        id: annotation, imageID: index, categoryID: object.kind.rawValue + 1, box: object.box,
                        mask: scene.mask(of: number), keypoints: object.keypoints))
            }
            try progress(index + 1)
        }
        try writer.finish()
    }

    /// "000000000042.png", as COCO names its pictures.
    private static func fileName(of index: Int) -> String {
        let digits = String(index)
        return String(repeating: "0", count: max(0, 12 - digits.count)) + digits + ".png"
    }
}
