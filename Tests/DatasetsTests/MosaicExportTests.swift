import Datasets
import Foundation
import Media
import Testing

@Suite struct MosaicExportTests {
    private let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("mosaic-\(UUID().uuidString)").path

    private struct Annotations: Decodable {
        struct Picture: Decodable {
            var id: Int
            var width: Int
            var height: Int
            var fileName: String
        }
        struct Category: Decodable {
            var id: Int
            var name: String
            var supercategory: String
            var keypoints: [String]?
            var skeleton: [[Int]]?
        }
        struct Annotation: Decodable {
            var id: Int
            var imageId: Int
            var categoryId: Int
            var bbox: [Double]
            var area: Int
            var iscrowd: Int
            var segmentation: Mask
            var keypoints: [Double]?
            var numKeypoints: Int?
        }
        var images: [Picture]
        var categories: [Category]
        var annotations: [Annotation]
    }

    @Test func filesHoldTheScenes() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var done: [Int] = []
        let configuration = try MosaicConfiguration(size: 100)
        try MosaicExport.write(seed: 31, count: 12, configuration: configuration, to: folder) {
            done.append($0)
        }
        #expect(done == Array(1...12))
        let data = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/annotations.json"))
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let read = try decoder.decode(Annotations.self, from: data)
        #expect(read.categories.map(\.name) == MosaicKind.names)
        #expect(read.categories.map(\.id) == Array(1...MosaicKind.allCases.count))
        #expect(read.categories[10].keypoints?.count == 17 && read.categories[10].skeleton?.count == 19)
        #expect(read.categories[10].skeleton?.joined().min() == 1)
        #expect(read.images.map(\.id) == Array(0..<12))
        #expect(read.annotations.map(\.id) == Array(1...read.annotations.count))
        for index in 0..<12 {
            let scene = MosaicScene(seed: 31, index: index, configuration: configuration)
            #expect(read.images[index].width == 100 && read.images[index].height == 100)
            let name = read.images[index].fileName
            #expect(try Image(contentsOf: "\(folder)/images/\(name)") == scene.image)
            let annotations = read.annotations.filter { $0.imageId == index }
            try #require(annotations.count == scene.objects.count)
            for (number, annotation) in annotations.enumerated() {
                let object = scene.objects[number]
                #expect(annotation.categoryId == object.kind.rawValue + 1)
                #expect(annotation.bbox == [object.box.x, object.box.y, object.box.width, object.box.height])
                #expect(annotation.area == object.area && annotation.iscrowd == 0)
                #expect(annotation.segmentation == scene.mask(of: number))
                #expect(annotation.keypoints?.count == (object.kind == .person ? 51 : nil))
                #expect(
                    annotation.numKeypoints == object.keypoints?.joints.count { $0.visibility != .absent })
            }
        }
    }

    @Test func aFolderInUseIsLeftAlone() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data("mine".utf8).write(to: URL(fileURLWithPath: "\(folder)/annotations.json"))
        #expect(throws: MosaicError.folderInUse(folder)) {
            try MosaicExport.write(seed: 1, count: 1, to: folder)
        }
        #expect(throws: MosaicError.count(0)) { try MosaicExport.write(seed: 1, count: 0, to: folder) }
        #expect(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/annotations.json")) == Data("mine".utf8))
    }

    @Test func nothingRemainsOfAnExportThatFails() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try MosaicExport.write(seed: 1, count: 5, to: "\(folder)/out") { if $0 == 3 { throw Stop() } }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        try MosaicExport.write(seed: 1, count: 2, to: "\(folder)/out/")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["out"])
    }
}
