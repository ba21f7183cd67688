import Datasets
import Foundation
import Media
import Synchronization
import Testing

@Suite struct PictureLoaderTests {
    private static func pictures(_ folder: LabelFolder, _ count: Int) throws -> [LabelledSet.Picture] {
        try (0..<count).map { index in
            try folder.picture("\(index).png", 8, 4, tone: UInt8(index))
            return .init(
                id: .number(index), source: .file("\(folder.path)/\(index).png"), fileName: "\(index).png")
        }
    }

    @Test func anyNumberOfThreadsGivesTheSameSamples() throws {
        try LabelFolder.temporary { folder in
            let pictures = try Self.pictures(folder, 7)
            let order = (0..<3).flatMap { LabelledSet.order(count: 7, epoch: $0, seed: 5) }
            #expect(order.count == 21 && Set(order.prefix(7)) == Set(0..<7) && order[0..<7] != order[7..<14])
            func run(_ threads: Int, from start: Int = 0) throws -> [String] {
                let loader = PictureLoader(
                    pictures, order: order, from: start, seed: 9, threads: threads, ahead: max(4, threads)
                ) { loaded in
                    if threads > 1, loaded.index % 2 == 0 { usleep(500) }
                    return "\(loaded.index) \(loaded.image.pixels[0]) \(loaded.seed) \(loaded.picture.width)"
                }
                var samples: [String] = []
                while let sample = try loader.next() { samples.append(sample) }
                #expect(try loader.next() == nil)
                return samples
            }
            let one = try run(0)
            #expect(one.count == 21 && Set(one.map { $0.split(separator: " ")[2] }).count == 21)
            #expect(
                one.indices.allSatisfy {
                    one[$0].hasPrefix("\(order[$0]) \(order[$0]) ") && one[$0].hasSuffix(" 8")
                })
            #expect(try run(1) == one)
            #expect(try run(4) == one)
            #expect(try run(3, from: 10) == Array(one[10...]))
        }
    }

    @Test func noMoreThanAskedIsMadeAhead() throws {
        try LabelFolder.temporary { folder in
            let pictures = try Self.pictures(folder, 2)
            let made = Atomic(0)
            let loader = PictureLoader(
                pictures, order: [Int](repeating: 0, count: 50), seed: 1, threads: 2, ahead: 3
            ) { _ in made.add(1, ordering: .relaxed).newValue }
            _ = try loader.next()
            usleep(100_000)
            #expect(made.load(ordering: .relaxed) == 4)
        }
    }

    @Test(arguments: [0, 2])
    func brokenPicturesAreCountedOnceAndSkipped(threads: Int) throws {
        try LabelFolder.temporary { folder in
            var pictures = try Self.pictures(folder, 4)
            try folder.write("no picture", "1.png")
            try FileManager.default.removeItem(atPath: "\(folder.path)/2.png")
            (pictures[3].width, pictures[3].height) = (9, 9)
            let loader = PictureLoader(
                pictures, order: [0, 1, 2, 3, 0, 1], seed: 1, threads: threads, ahead: 2
            ) { $0.index }
            var samples: [Int] = []
            while let sample = try loader.next() { samples.append(sample) }
            #expect(samples == [0, 0] && loader.problems[.brokenPicture] == 3)
            #expect(loader.problems.summary.contains("8 x 4, its labels say 9 x 9"))
        }
    }

    @Test func errorsOfTheCallerComeOut() throws {
        struct Stop: Error {}
        try LabelFolder.temporary { folder in
            let loader = PictureLoader(
                try Self.pictures(folder, 1), order: [0, 0], seed: 1, threads: 1, ahead: 1
            ) { _ -> Int in throw Stop() }
            #expect(throws: Stop.self) { try loader.next() }
        }
    }

    @Test func ranksShareAnEpoch() {
        let parts = (0..<3).map { LabelledSet.order(count: 10, epoch: 2, seed: 4, rank: $0, ranks: 3) }
        #expect(parts.map(\.count) == [3, 3, 3] && Set(parts.joined()).count == 9)
    }

    @Test func labelsAreScaledWithTheirPicture() throws {
        var thing = LabelledSet.Thing(id: 1, category: 0, box: Box(x: 2, y: 1, width: 4, height: 2))
        thing.segmentation = .mask(try Mask(width: 8, height: 4, box: thing.box))
        thing.keypoints = Keypoints([.init(point: Point(x: 4, y: 2), visibility: .visible)])
        thing.area = 8
        var picture = LabelledSet.Picture(id: 1, source: .file("x"), fileName: "x", width: 8, height: 4)
        picture.things = [thing]
        picture.points = [Point(x: 1, y: 1)]
        let image = Image(width: 8, height: 4, pixels: [UInt8](repeating: 7, count: 96))
        let loaded = LoadedPicture(index: 0, position: 0, picture: picture, image: image, seed: 0)
            .resized(longerSide: 16)
        #expect(loaded.image.width == 16 && loaded.image.height == 8 && loaded.picture.width == 16)
        let scaled = loaded.picture.things[0]
        #expect(scaled.box == Box(x: 4, y: 2, width: 8, height: 4) && scaled.area == 32)
        let mask = try Mask(width: 16, height: 8, box: scaled.box)
        #expect(scaled.segmentation == .mask(mask))
        #expect(scaled.keypoints?.joints[0].point == Point(x: 8, y: 4) && loaded.picture.points[0].x == 2)
    }
}
