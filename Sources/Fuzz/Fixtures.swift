import Foundation

/// The tests' files, which the corpora begin with.
enum Fixtures {
    private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Tests").path

    static func file(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: "\(tests)/\(path)")))
    }

    static func names(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(tests)/\(folder)").sorted()
    }

    /// All files of a test target with these endings.
    static func files(_ target: String, _ endings: String...) throws -> [[UInt8]] {
        let folder = "\(target)/Fixtures"
        return try FileManager.default.subpathsOfDirectory(atPath: "\(tests)/\(folder)").sorted()
            .filter { endings.contains(($0 as NSString).pathExtension) }
            .map { try file("\(folder)/\($0)") }
    }

    /// A `tokenizer.json` with few of its tokens, so that changes meet its other parts.
    static func small(tokenizer: [UInt8]) throws -> [UInt8] {
        guard var file = try JSONSerialization.jsonObject(with: Data(tokenizer)) as? [String: Any],
            var model = file["model"] as? [String: Any], let all = model["vocab"] as? [String: Int],
            let merges = model["merges"] as? [Any]
        else { return tokenizer }
        let vocabulary = all.filter { $0.value < 24 || $0.key == model["unk_token"] as? String }
        model["vocab"] = vocabulary
        model["merges"] = merges.filter { merge in
            let parts = merge as? [String] ?? (merge as? String)?.split(separator: " ").map(String.init) ?? []
            return (parts + [parts.joined()]).allSatisfy { vocabulary[$0] != nil }
        }
        file["model"] = model
        return Array(try JSONSerialization.data(withJSONObject: file, options: .sortedKeys))
    }

    /// Puts what a folder holds into another by links, but for names that are there already.
    static func link(_ folder: String, into scratch: ScratchFolder) throws {
        for name in try names(folder) where !FileManager.default.fileExists(atPath: scratch.file(name)) {
            try FileManager.default.createSymbolicLink(
                atPath: scratch.file(name), withDestinationPath: "\(tests)/\(folder)/\(name)")
        }
    }
}

/// Archives as `torch.save` writes them, for pickles that are changed by themselves.
enum Zip {
    /// `x/data.pkl` and one storage of 4,096 bytes.
    static func archive(pickle: [UInt8]) -> [UInt8] {
        let entries: [(name: String, bytes: [UInt8])] = [
            ("x/data.pkl", pickle), ("x/data/0", [UInt8](repeating: 1, count: 4096)),
        ]
        var (out, directory): ([UInt8], [UInt8]) = ([], [])
        for (name, bytes) in entries {
            let sizes = little(bytes.count, 4) + little(bytes.count, 4) + little(name.utf8.count, 2)
            let start = little(0, 12)
            directory += little(0x0201_4b50, 4) + little(20, 2) + little(20, 2) + start + sizes
            directory += little(0, 12) + little(out.count, 4) + Array(name.utf8)
            out +=
                little(0x0403_4b50, 4) + little(20, 2) + start + sizes + little(0, 2) + Array(name.utf8)
                + bytes
        }
        let end = little(0x0605_4b50, 4) + little(0, 4) + little(2, 2) + little(2, 2)
        return out + directory + end + little(directory.count, 4) + little(out.count, 4) + little(0, 2)
    }

    /// What lies in the entry `data.pkl`, which torch writes first and uncompressed; its storages are all called 0.
    static func pickle(_ archive: [UInt8]) -> [UInt8]? {
        guard archive.starts(with: [0x50, 0x4b, 3, 4]) else { return nil }
        func number(_ place: Int, _ size: Int) -> Int {
            archive[place..<(place + size)].reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        let start = 30 + number(26, 2) + number(28, 2)
        // Torch says the size after the data, where the next entry begins.
        let end = archive[start...].indices.first { archive[$0...].starts(with: [0x50, 0x4b, 7, 8]) }
        let size = end.map { $0 - start } ?? number(18, 4)
        return size > 0 ? Array(archive[start..<(start + size)]) : nil
    }

    private static func little(_ value: Int, _ size: Int) -> [UInt8] {
        (0..<size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}
