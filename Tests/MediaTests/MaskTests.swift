import Foundation
import Media
import Testing

@Suite struct MaskTests {
    struct Cases: Decodable {
        struct Case: Decodable {
            let name: String
            let string: String
            let area: Int
            let box: [Double]
            let bitmap: Data
            let polygons: [[Double]]?
            let fromBox: [Double]?
        }
        struct Large: Decodable {
            let string: String
            let area: Int
            let box: [Double]
        }
        struct Boxes: Decodable {
            let boxes: [[Double]]
            let iou: [[Double]]
            let crowdIoU: [[Double]]
        }
        let width: Int
        let height: Int
        let masks: [Case]
        let iou: [[Double]]
        let crowdIoU: [[Double]]
        let union: String
        let intersection: String
        let large: Large
        let boxes: Boxes
    }

    let fixture: Cases

    init() throws { fixture = try Fixtures.cases("masks") }

    private func box(_ values: [Double]) -> Box {
        Box(x: values[0], y: values[1], width: values[2], height: values[3])
    }

    private func decoded() throws -> [Mask] {
        try fixture.masks.map {
            try Mask(width: fixture.width, height: fixture.height, cocoString: $0.string)
        }
    }

    @Test func agreesWithPycocotools() throws {
        let (width, height) = (fixture.width, fixture.height)
        for expected in fixture.masks {
            let bitmap = [UInt8](expected.bitmap)
            let encoded = try Mask(width: width, height: height, bitmap: bitmap)
            #expect(encoded.cocoString == expected.string, "\(expected.name)")
            #expect(try Mask(width: width, height: height, bitmap: bitmap.map { $0 == 1 }) == encoded)
            let decoded = try Mask(width: width, height: height, cocoString: expected.string)
            #expect(decoded.bitmap == bitmap, "\(expected.name)")
            #expect(decoded.area == expected.area, "\(expected.name)")
            #expect(decoded.boundingBox == box(expected.box), "\(expected.name)")
            if let polygons = expected.polygons {
                let drawn = try Mask(width: width, height: height, polygons: polygons)
                #expect(drawn.cocoString == expected.string, "\(expected.name)")
            }
            if let source = expected.fromBox {
                let drawn = try Mask(width: width, height: height, box: box(source))
                #expect(drawn.cocoString == expected.string, "\(expected.name)")
            }
        }
        let large = try Mask(width: 900, height: 700, cocoString: fixture.large.string)
        #expect(large.area == fixture.large.area && large.boundingBox == box(fixture.large.box))
        #expect(large.cocoString == fixture.large.string)
        #expect(try Mask(width: 900, height: 700, bitmap: large.bitmap) == large)
    }

    @Test func overlapsAsPycocotools() throws {
        let masks = try decoded()
        for (i, a) in masks.enumerated() {
            for (j, b) in masks.enumerated() {
                #expect(try a.iou(b) == fixture.iou[i][j])
                // Pycocotools divides zero by zero for an empty mask; here that is no overlap.
                let crowd = fixture.crowdIoU[i][j]
                #expect(try a.iou(b, isCrowd: true) == (crowd.isFinite ? crowd : 0))
            }
        }
        #expect(try Mask.union(Array(masks[2..<5])).cocoString == fixture.union)
        #expect(try Mask.intersection(Array(masks[2..<5])).cocoString == fixture.intersection)
        let boxes = fixture.boxes.boxes.map(box)
        for (i, a) in boxes.enumerated() {
            for (j, b) in boxes.enumerated() {
                #expect(abs(a.iou(b) - fixture.boxes.iou[i][j]) < 1e-12)
                #expect(abs(a.iou(b, isCrowd: true) - fixture.boxes.crowdIoU[i][j]) < 1e-12)
            }
        }
    }

    @Test func readsAndWritesJSON() throws {
        let mask = try Mask(width: 3, height: 2, bitmap: [0, 1, 1, 0, 1, 0])
        let json = try JSONSerialization.jsonObject(with: JSONEncoder().encode(mask)) as? [String: Any]
        #expect(json?["size"] as? [Int] == [2, 3])
        #expect(json?["counts"] as? String == mask.cocoString)
        #expect(try JSONDecoder().decode(Mask.self, from: JSONEncoder().encode(mask)) == mask)
        let plain = Data(#"{"size": [2, 3], "counts": [2, 3, 1]}"#.utf8)
        #expect(try JSONDecoder().decode(Mask.self, from: plain).bitmap == [0, 1, 1, 0, 1, 0])
    }

    @Test(arguments: ["", "é", "0 ", "o", "11", "PPPPPPPPPPPPPPPPPPPPP", "ooooooooooooooo0", "@@@", "~~"])
    func refusesMalformedStrings(text: String) {
        #expect(
            mediaError { _ = try Mask(width: 5, height: 4, cocoString: text) }?.hasPrefix("mask of 5 x 4")
                == true)
    }

    @Test func refusesNonsense() throws {
        #expect(mediaError { _ = try Mask(width: 0, height: 4, counts: []) } != nil)
        #expect(mediaError { _ = try Mask(width: .max, height: .max, counts: []) } != nil)
        #expect(mediaError { _ = try Mask(width: 2, height: 2, counts: [3, -1, 2]) } != nil)
        #expect(mediaError { _ = try Mask(width: 2, height: 2, counts: [5]) } != nil)
        #expect(mediaError { _ = try Mask(width: 2, height: 2, bitmap: [UInt8]()) } != nil)
        #expect(mediaError { _ = try Mask(width: 2, height: 2, polygons: []) } != nil)
        #expect(mediaError { _ = try Mask(width: 2, height: 2, polygons: [[0, 0, 1, 1]]) } != nil)
        #expect(mediaError { _ = try Mask(width: 2, height: 2, polygons: [[0, 0, 1, 1, .nan, 2]]) } != nil)
        #expect(mediaError { _ = try Mask(width: 2, height: 2, polygons: [[0, 0, 1, 1, 1e12, 2]]) } != nil)
        let (a, b) = try (Mask(width: 2, height: 1, counts: [2]), Mask(width: 1, height: 2, counts: [2]))
        #expect(mediaError { _ = try a.iou(b) } == "masks of 2 x 1 and 1 x 2 do not match")
        #expect(mediaError { _ = try Mask.union([]) } != nil)
    }
}
