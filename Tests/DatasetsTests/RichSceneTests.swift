import Datasets
import Media
import Testing

@Suite struct RichSceneTests {
    private static let scenes = (0..<120).map { MosaicScene(seed: 31, index: $0, configuration: .rich) }

    @Test func scenesAreFixedForEver() throws {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for scene in Self.scenes.prefix(12) {
            for byte in scene.image.pixels + scene.instances {
                hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
            }
        }
        #expect(hash == 7_099_793_772_390_848_547)
    }

    @Test func labelsAreThePixels() {
        for scene in Self.scenes {
            #expect((1...30).contains(scene.objects.count))
            #expect(scene.width == 256 && scene.height == 256)
            var areas = [Int](repeating: 0, count: 256)
            for instance in scene.instances { areas[Int(instance)] += 1 }
            for (number, object) in scene.objects.enumerated() {
                #expect(object.area == areas[number + 1])
                #expect(object.area >= 24)
                #expect(object.visibleShare >= 0.25 && object.visibleShare <= 1)
                #expect(scene.mask(of: number).boundingBox == object.box)
                #expect((object.texture != nil) == object.kind.isShape)
                #expect((object.size == nil) == (object.kind == .person))
                #expect((object.keypoints != nil) == (object.kind == .person))
            }
        }
    }

    @Test func everythingOccurs() {
        let objects = Self.scenes.flatMap(\.objects)
        #expect(Set(objects.map(\.kind)).count == MosaicKind.allCases.count)
        #expect(Set(objects.map(\.colour)).count == 10)
        #expect(Set(objects.compactMap(\.size)).count == 3)
        #expect(Set(objects.compactMap(\.texture)).count == 3)
        let counts = Self.scenes.map(\.objects.count)
        #expect(counts.max()! >= 20 && counts.min()! <= 3)
        #expect((8...13).contains(counts.reduce(0, +) / counts.count))
        // From 8 to 200 pixels, partly hidden and cut off.
        let lengths = objects.map { max($0.box.width, $0.box.height) }
        #expect(lengths.min()! < 12 && lengths.max()! > 150)
        #expect(objects.count { $0.visibleShare < 0.7 } > objects.count / 30)
        #expect(objects.count { $0.box.x == 0 || $0.box.maxX == 256 } > objects.count / 50)
    }

    @Test func sizesAreTheLongerSide() {
        for object in Self.scenes.flatMap(\.objects) where object.visibleShare == 1 {
            let length = max(object.box.width, object.box.height)
            // A turned thing's box is up to 1.42 times as long, and a round one's shorter.
            switch object.size {
            case .small?: #expect((5...42).contains(length))
            case .medium?: #expect((24...88).contains(length))
            case .large?: #expect((50...256).contains(length))
            case nil: break
            }
        }
    }

    @Test func visibleShareIsThatOfTheWholeThing() throws {
        // Alone in the picture, only the border can hide anything.
        let single = try MosaicConfiguration(size: 256, ring: .rich, maximumObjects: 1)
        var cut = 0
        for index in 0..<150 {
            let object = MosaicScene(seed: 32, index: index, configuration: single).objects[0]
            let box = object.box
            let isAtBorder = box.x == 0 || box.y == 0 || box.maxX == 256 || box.maxY == 256
            if !isAtBorder { #expect(object.visibleShare > 0.99) }
            if object.visibleShare < 0.95 {
                #expect(isAtBorder)
                cut += 1
            }
        }
        #expect(cut > 3)
    }

    @Test(arguments: [128, 200, 512])
    func sizesShowTheSameScene(size: Int) throws {
        let configuration = try MosaicConfiguration(size: size, ring: .rich, maximumObjects: 30)
        for index in 0..<4 {
            let reference = Self.scenes[index]
            let scene = MosaicScene(seed: 31, index: index, configuration: configuration)
            #expect(scene.objects.map(\.kind) == reference.objects.map(\.kind))
            #expect(scene.objects.map(\.visibleShare) == reference.objects.map(\.visibleShare))
            let scale = Double(size) / 256
            for (a, b) in zip(scene.objects, reference.objects) {
                #expect(abs(a.box.x - b.box.x * scale) <= 1 + 2 * scale)
                #expect(abs(a.box.maxY - b.box.maxY * scale) <= 1 + 2 * scale)
                for (i, j) in zip(a.keypoints?.joints ?? [], b.keypoints?.joints ?? []) {
                    #expect(abs(i.point.y - j.point.y * scale) < 1e-9)
                }
            }
        }
    }
}
