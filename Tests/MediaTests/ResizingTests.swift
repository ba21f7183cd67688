import Foundation
import Media
import Testing

@Suite struct ResizingTests {
    struct Cases: Decodable {
        struct Case: Decodable {
            let filter: String
            let width: Int
            let height: Int
            let rgb: Data
        }
        let width: Int
        let height: Int
        let rgb: Data
        let cases: [Case]
    }

    @Test func agreesWithPillow() throws {
        let fixture: Cases = try Fixtures.cases("resizes")
        let image = Image(width: fixture.width, height: fixture.height, pixels: [UInt8](fixture.rgb))
        for expected in fixture.cases {
            let resized = image.resized(
                width: expected.width, height: expected.height,
                filter: expected.filter == "bicubic" ? .bicubic : .bilinear)
            let distance = resized.distance(to: [UInt8](expected.rgb))
            #expect(distance == 0, "\(expected.filter) \(expected.width) x \(expected.height): \(distance)")
        }
    }

    @Test func cropsToWholePixels() throws {
        let image = try Image(contentsOf: Fixtures.path("png-rgb.png"))
        let part = try image.cropped(to: Box(x: 3.5, y: 2, width: 4, height: 5))
        #expect(part.width == 5 && part.height == 5)
        #expect(part.colour(0, 0) == image.colour(3, 2))
        #expect(part.colour(4, 4) == image.colour(7, 6))
        let corner = try image.cropped(to: Box(x: -10, y: -10, width: 12, height: 11))
        #expect(corner.width == 2 && corner.height == 1)
        #expect(
            mediaError { _ = try image.cropped(to: Box(x: 29, y: 0, width: 5, height: 5)) }
                == "box (29.0, 0.0, 5.0, 5.0) lies outside the picture of 29 x 23 pixels")
        #expect(mediaError { _ = try image.cropped(to: Box(x: .nan, y: 0, width: 5, height: 5)) } != nil)
        #expect(mediaError { _ = try image.cropped(to: Box(x: 1, y: 1, width: 0, height: 5)) } != nil)
    }
}
