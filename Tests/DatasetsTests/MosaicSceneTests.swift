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
        #expect(combined == 11_216_011_593_320_650_391)
        let large = try MosaicConfiguration(size: 256, maximumObjects: 3)
        let scene = MosaicScene(seed: 900_000, index: 5, configuration: large)
        #expect(checksum(scene) == 13_316_030_297_248_595_864)
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
                #expect(MosaicKind.plain.contains(object.kind))
                #expect(object.visibleShare >= 0.25 && object.visibleShare <= 1)
            }
        }
    }

    @Test func jointsAreSeenWhereTheirPixelIsTheFigures() {
        var seen: [Keypoints.Visibility: Int] = [:]
        var (absent, front, frontLeft, behind) = (0, 0, 0, 0)
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
                    // The figure's own body hides some of the others.
                    if joint.visibility == .visible { #expect(owner == number + 1) }
                    if owner != number + 1 { #expect(joint.visibility == .occluded) }
                    #expect(owner >= number + 1)
                    seen[joint.visibility, default: 0] += 1
                }
                absent += joints.allSatisfy { $0.visibility != .absent } ? 0 : 1
                // Two eyes are seen from the front only, and then a figure's left is on the right of its own axis.
                let points = joints.map { SIMD2($0.point.x, $0.point.y) }
                let axis = points[5] + points[6] - points[11] - points[12]
                let across = points[5] - points[6]
                let turn = axis.x * across.y - axis.y * across.x
                if (0..<5).allSatisfy({ joints[$0].visibility == .visible }) {
                    front += 1
                    frontLeft += turn > 0 ? 1 : 0
                }
                if (0..<3).allSatisfy({ joints[$0].visibility == .occluded }) { behind += 1 }
            }
        }
        #expect(seen[.visible, default: 0] > 1000)
        #expect(seen[.occluded, default: 0] > 200)
        #expect(absent > 20)
        #expect(front > 50 && frontLeft == front)
        #expect(behind > 20)
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
                // A box ends at a whole pixel in either size, and what shows of a hidden thing may be a sliver.
                #expect(abs(a.box.x - b.box.x * scale) <= 1 + 2 * scale)
                #expect(abs(a.box.maxY - b.box.maxY * scale) <= 1 + 2 * scale)
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
        #expect(MosaicKind.plain.allSatisfy { kinds[$0, default: 0] > 100 })
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

    @Test func wideScenesHoldMore() throws {
        let configuration = try MosaicConfiguration(width: 256, height: 128, maximumObjects: 30)
        var most = 0
        var isRight = false
        for index in 0..<100 {
            let scene = MosaicScene(seed: 8, index: index, configuration: configuration)
            #expect(scene.width == 256 && scene.height == 128 && scene.size == 128)
            #expect(scene.instances.count == 256 * 128)
            most = max(most, scene.objects.count)
            isRight = isRight || scene.objects.contains { $0.box.x > 200 }
            for number in scene.objects.indices {
                #expect(scene.mask(of: number).boundingBox == scene.objects[number].box)
            }
        }
        #expect(most >= 20 && isRight)
    }

    @Test(arguments: MosaicConfiguration.Ring.allCases)
    func pairsAreKeptApart(ring: MosaicConfiguration.Ring) throws {
        let pairs = MosaicConfiguration.heldOutPairs
        #expect(Set(pairs.map(\.colour)).count == 10 && Set(pairs.map(\.kind)).count == 10)
        #expect(pairs.allSatisfy { $0.kind.isShape })
        func heldOut(_ pairs: MosaicConfiguration.Pairs, maximum: Int) throws -> [Int] {
            let configuration = try MosaicConfiguration(ring: ring, maximumObjects: maximum, pairs: pairs)
            return (0..<60).map { index in
                MosaicScene(seed: 9, index: index, configuration: configuration).objects
                    .count { MosaicConfiguration.isHeldOut($0.colour, $0.kind) }
            }
        }
        #expect(try heldOut(.trained, maximum: 12).allSatisfy { $0 == 0 })
        #expect(try heldOut(.heldOut, maximum: 12).allSatisfy { $0 > 0 })
        #expect(try heldOut(.heldOut, maximum: 1).allSatisfy { $0 == 1 })
        #expect(try heldOut(.all, maximum: 12).contains { $0 > 0 })
    }

    @Test func badConfigurationsAreRefused() {
        for size in [0, -1, 95, 513, Int.max] {
            #expect(throws: MosaicError.size(size)) { try MosaicConfiguration(size: size) }
        }
        #expect(throws: MosaicError.size(600)) { try MosaicConfiguration(width: 600, height: 128) }
        #expect(throws: MosaicError.size(60)) { try MosaicConfiguration(width: 128, height: 60) }
        for maximum in [0, 31] {
            #expect(throws: MosaicError.maximumObjects(maximum)) {
                try MosaicConfiguration(maximumObjects: maximum)
            }
        }
        #expect(
            MosaicError.size(95).description == "Mosaic pictures are 96 to 512 pixels wide and high, not 95")
        #expect(!MosaicError.maximumObjects(31).description.contains("\n"))
    }

    @Test func scoringSeeds() {
        #expect(MosaicSeeds.scoringStart == 900_000)
        #expect(MosaicSeeds.isScoring(900_000) && MosaicSeeds.isScoring(.max))
        #expect(!MosaicSeeds.isScoring(899_999))
    }
}
