import Datasets
import Media
import Testing

@Suite struct MosaicSceneTests {
    /// FNV-1a over all that a scene is.
    private func checksum(_ scene: MosaicScene) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        scene.image.pixels.forEach(add)
        scene.instances.forEach(add)
        for object in scene.objects {
            add(UInt8(object.kind.rawValue))
            add(UInt8(object.colour.rawValue))
            add(UInt8(object.size?.rawValue ?? 9))
            add(UInt8(object.texture?.rawValue ?? 9))
            for joint in object.keypoints?.joints ?? [] {
                add(UInt8(truncatingIfNeeded: Int(joint.point.x * 1000)))
                add(UInt8(truncatingIfNeeded: Int(joint.point.y * 1000)))
            }
        }
        return hash
    }

    @Test func scenesAreFixedForEver() throws {
        let checksums = (0..<24).map { checksum(MosaicScene(seed: 1, index: $0)) }
        let combined = checksums.reduce(0) { ($0 &* 31) &+ $1 }
        #expect(combined == 10_123_076_020_261_462_544)
        let large = try MosaicConfiguration(size: 256, maximumObjects: 3)
        let scene = MosaicScene(seed: 900_000, index: 5, configuration: large)
        #expect(checksum(scene) == 4_926_109_487_906_808_217)
    }

    @Test func threadsDoNotMatter() async {
        let alone = (0..<16).map { checksum(MosaicScene(seed: 2, index: $0)) }
        let together = await withTaskGroup(of: (Int, UInt64).self) { group in
            for index in 0..<16 {
                group.addTask { (index, checksum(MosaicScene(seed: 2, index: index))) }
            }
            return await group.reduce(into: [Int: UInt64]()) { $0[$1.0] = $1.1 }
        }
        #expect((0..<16).allSatisfy { alone[$0] == together[$0] })
    }

    @Test func labelsAreThePixels() {
        for index in 0..<200 {
            let scene = MosaicScene(seed: 3, index: index)
            #expect((1...12).contains(scene.objects.count))
            #expect(scene.instances.count == scene.size * scene.size)
            #expect(Int(scene.instances.max()!) <= scene.objects.count)
            for (number, object) in scene.objects.enumerated() {
                let places = scene.instances.indices.filter { scene.instances[$0] == UInt8(number + 1) }
                let columns = places.map { $0 % scene.size }
                let rows = places.map { $0 / scene.size }
                #expect(object.area == places.count)
                #expect(object.area >= 12)
                #expect(
                    object.box.x == Double(columns.min()!) && object.box.maxX == Double(columns.max()! + 1))
                #expect(object.box.y == Double(rows.min()!) && object.box.maxY == Double(rows.max()! + 1))
                let mask = scene.mask(of: number)
                #expect(mask.area == object.area)
                #expect(mask.boundingBox == object.box)
                #expect((object.kind == .person) == (object.keypoints != nil))
                #expect((object.kind == .person) == (object.size == nil && object.texture == nil))
            }
        }
    }

    @Test func jointsAreSeenWhereTheirPixelIsTheFigures() {
        var seen: [Keypoints.Visibility: Int] = [:]
        for index in 0..<400 {
            let scene = MosaicScene(seed: 4, index: index)
            for (number, object) in scene.objects.enumerated() {
                guard let joints = object.keypoints?.joints else { continue }
                #expect(joints.count == 17)
                for joint in joints {
                    let (column, row) = (Int(joint.point.x), Int(joint.point.y))
                    let inside =
                        joint.point.x >= 0 && joint.point.y >= 0 && column < scene.size && row < scene.size
                    #expect(inside == (joint.visibility != .absent))
                    guard inside else { continue }
                    let owner = Int(scene.instances[row * scene.size + column])
                    #expect(joint.visibility == (owner == number + 1 ? .visible : .occluded))
                    #expect(owner >= number + 1)
                    seen[joint.visibility, default: 0] += 1
                }
                // The figure faces us: its left is on our right.
                #expect(joints[5].point.x > joints[6].point.x)
                #expect(joints[11].point.x > joints[12].point.x)
            }
        }
        #expect(seen[.visible, default: 0] > 1000)
        #expect(seen[.occluded, default: 0] > 0)
    }

    @Test(arguments: [96, 100, 127, 128, 192, 256, 333, 512])
    func sizesShowTheSameScene(size: Int) throws {
        let configuration = try MosaicConfiguration(size: size)
        for index in 0..<12 {
            let reference = MosaicScene(seed: 5, index: index)
            let scene = MosaicScene(seed: 5, index: index, configuration: configuration)
            #expect(scene.image.width == size && scene.image.height == size)
            #expect(scene.objects.map(\.kind) == reference.objects.map(\.kind))
            #expect(scene.objects.map(\.colour) == reference.objects.map(\.colour))
            let scale = Double(size) / 128
            for (a, b) in zip(scene.objects, reference.objects) {
                // A box ends at a whole pixel in either size.
                #expect(abs(a.box.x - b.box.x * scale) <= 1 + scale)
                #expect(abs(a.box.maxY - b.box.maxY * scale) <= 1 + scale)
                for (i, j) in zip(a.keypoints?.joints ?? [], b.keypoints?.joints ?? []) {
                    #expect(abs(i.point.x - j.point.x * scale) < 1e-9)
                }
            }
        }
    }

    @Test func everythingOccurs() {
        var kinds: [MosaicKind: Int] = [:]
        var colours: Set<MosaicColour> = []
        var sizes: Set<MosaicSize> = []
        var textures: Set<MosaicTexture> = []
        var counts: Set<Int> = []
        for index in 0..<500 {
            let scene = MosaicScene(seed: 6, index: index)
            counts.insert(scene.objects.count)
            for object in scene.objects {
                kinds[object.kind, default: 0] += 1
                colours.insert(object.colour)
                if let size = object.size { sizes.insert(size) }
                if let texture = object.texture { textures.insert(texture) }
            }
        }
        #expect(MosaicKind.allCases.allSatisfy { kinds[$0, default: 0] > 100 })
        #expect(colours.count == 10 && sizes.count == 3 && textures.count == 3)
        #expect(counts == Set(1...12))
    }

    @Test func fewObjectsWhenAsked() throws {
        for maximum in 1...4 {
            let configuration = try MosaicConfiguration(maximumObjects: maximum)
            let counts = (0..<100).map {
                MosaicScene(seed: 7, index: $0, configuration: configuration).objects.count
            }
            #expect(counts.min() == 1 && counts.max() == maximum)
        }
    }

    @Test func badConfigurationsAreRefused() {
        for size in [0, -1, 95, 513, Int.max] {
            #expect(throws: MosaicError.size(size)) { try MosaicConfiguration(size: size) }
        }
        for maximum in [0, 13] {
            #expect(throws: MosaicError.maximumObjects(maximum)) {
                try MosaicConfiguration(maximumObjects: maximum)
            }
        }
        #expect(MosaicError.size(95).description == "Mosaic pictures are 96 to 512 pixels wide, not 95")
        #expect(!MosaicError.maximumObjects(13).description.contains("\n"))
    }

    @Test func scoringSeeds() {
        #expect(MosaicSeeds.scoringStart == 900_000)
        #expect(MosaicSeeds.isScoring(900_000) && MosaicSeeds.isScoring(.max))
        #expect(!MosaicSeeds.isScoring(899_999))
    }
}
