import Datasets
import Foundation
import Media
import Testing

@Suite struct WebDatasetTests {
    /// One member as ustar; a name over 100 bytes gets a pax header before it.
    private func member(_ name: String, _ content: [UInt8], kind: Character = "0") -> [UInt8] {
        var bytes: [UInt8] = []
        if name.utf8.count > 100 {
            let length = name.utf8.count + 9
            bytes += member("pax", Array("\(length) path=\(name)\n".utf8), kind: "x")
        }
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, _ at: Int) {
            for (i, byte) in text.utf8.enumerated() { header[at + i] = byte }
        }
        put(String(name.prefix(100)), 0)
        put("0000644\0", 100)
        let octal = String(content.count, radix: 8)
        put(String(repeating: "0", count: 11 - octal.count) + octal, 124)
        put("        ", 148)
        put(String(kind), 156)
        put("ustar\u{0}00", 257)
        let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
        put(String(repeating: "0", count: 6 - sum.count) + sum + "\0 ", 148)
        return bytes + header + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    private func shard(_ members: [(String, [UInt8])]) -> [UInt8] {
        members.flatMap { member($0.0, $0.1) } + [UInt8](repeating: 0, count: 1024)
    }

    @Test func picturesAreReadFromTheirPlaceInTheShard() throws {
        try LabelFolder.temporary { folder in
            let long = String(repeating: "folder/", count: 15) + "0002"
            let json =
                #"{"caption":null,"annotations":[{"bbox":[1,2,3,4],"category":"dog"}],"questions":[{"question":"q","answer":3}]}"#
            try folder.write(
                shard([
                    ("0001.png", LabelFolder.picture(6, 5, tone: 1)), ("0001.txt", Array(" One. \n".utf8)),
                    ("\(long).json", Array(json.utf8)), ("\(long).png", LabelFolder.picture(7, 5, tone: 2)),
                    ("0003.txt", [65]),
                ]), "s-000000.tar")
            try folder.write(
                shard([
                    ("b/0001.jpg.png", LabelFolder.picture(8, 5, tone: 3)), ("b/0001.cls", Array("4".utf8)),
                ]), "s-000001.tar")
            let set = try folder.read(.webDataset, "s-{000000..000001}.tar")
            #expect(set.pictures.count == 3 && set.problems[.noPicture] == 1)
            #expect(set.pictures[0].captions == ["One."])
            #expect(
                set.pictures[1].things.map(\.box.height) == [4] && set.pictures[1].questions[0].answer == "3")
            #expect(set.pictures[1].fileName == "\(long).png")
            #expect(set.categories.map(\.name) == ["dog", "4"] && set.pictures[2].present == [1])
            let sizes = try set.pictures.map { try Image(decoding: $0.source.bytes()).width }
            #expect(sizes == [6, 7, 8])
            // Each process reads its own shards.
            let parts = try (0..<2).map {
                try folder.read(.webDataset, "", rank: $0, ranks: 2).pictures.count
            }
            #expect(parts == [2, 1])
            #expect(throws: LabelError.self) { try folder.read(.webDataset, "", rank: 0, ranks: 3) }
        }
    }

    @Test func aPictureIsThePlainOneAndItsCaptionIsTakenOnce() throws {
        try LabelFolder.temporary { folder in
            let caption =
                #"{"caption":"A dog.","width":6,"height":5,"annotations":[{"bbox":[1,2],"category":"dog"},{"bbox":[1,2,3,3],"category":"cat","segmentation":{"size":[5,6],"counts":[1]}}]}"#
            try folder.write(
                shard([
                    ("._000.jpg", Array("x".utf8)), ("__MACOSX/._000.txt", Array("x".utf8)),
                    ("000.depth.png", LabelFolder.picture(9, 9, tone: 1)),
                    ("000.jpg", LabelFolder.picture(6, 5, tone: 2)), ("000.json", Array(caption.utf8)),
                    ("000.seg.png", LabelFolder.picture(9, 9, tone: 3)),
                    ("000.txt", [0xEF, 0xBB, 0xBF] + Array("A dog.\n".utf8)),
                    ("001.left.png", LabelFolder.picture(6, 5, tone: 2)),
                    ("001.right.png", LabelFolder.picture(6, 5, tone: 2)),
                ]), "s.tar")
            let set = try folder.read(.webDataset, "s.tar")
            #expect(set.pictures.map(\.fileName) == ["000.jpg"] && set.pictures[0].captions == ["A dog."])
            #expect(set.pictures[0].things.map(\.box.width) == [3] && set.categories.map(\.name) == ["cat"])
            #expect(set.pictures[0].incomplete == [0])
            #expect(
                set.problems.counts.mapValues(\.count) == [
                    .macFile: 2, .noPicture: 1, .malformed: 1, .partly: 1,
                ])
        }
    }

    @Test func damagedArchivesAreNamed() throws {
        try LabelFolder.temporary { folder in
            // What comes before the damage is kept, and so are other shards.
            let two = shard([
                ("1.png", try LabelFolder.picture(6, 5, tone: 1)),
                ("2.png", try LabelFolder.picture(6, 5, tone: 2)),
            ])
            for (name, length) in [("s-0.tar", two.count), ("s-1.tar", 1024 + 520), ("s-2.tar", 1024 + 200)] {
                try folder.write(Array(two.prefix(length)), "shards/\(name)")
            }
            let set = try folder.read(.webDataset, "shards")
            #expect(set.pictures.count == 4 && set.problems[.cutArchive] == 2)
            // A pax record that says it is shorter than itself.
            try folder.write(
                member("pax", Array("1 path=x\n".utf8), kind: "x") + two, "pax.tar")
            #expect(try folder.read(.webDataset, "pax.tar").pictures.count == 2)
            let whole = shard([("0001.png", try LabelFolder.picture(40, 40, tone: 1))])
            try folder.write(Array(whole.prefix(600)), "cut.tar")
            #expect(
                folder.error(.webDataset, "cut.tar")?.contains("a member at byte 0 goes on past its end")
                    == true)
            var damaged = whole
            damaged[3] ^= 1
            try folder.write(damaged, "bad.tar")
            #expect(folder.error(.webDataset, "bad.tar")?.hasPrefix("bad.tar: not a tar archive") == true)
            try folder.write([0x1F, 0x8B] + whole, "packed.tar")
            #expect(folder.error(.webDataset, "packed.tar")?.contains("gzip") == true)
        }
    }
}
