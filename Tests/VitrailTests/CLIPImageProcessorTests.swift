import Foundation
import Media
import TestSupport
import Testing
import Torch
import Vitrail

/// Against transformers' CLIPImageProcessor and LlavaImageProcessor, with Tools/reference/llava_fixtures.py.
struct CLIPImageProcessorTests {
    let fixture: Fixture

    init() throws { fixture = try Fixture("clip_processor") }

    private func processor(_ json: String) throws -> CLIPImageProcessor {
        try JSONDecoder().decode(CLIPImageProcessor.self, from: Data(json.utf8))
    }

    @Test(
        arguments: ["plain", "numbers", "bilinear", "exact", "larger crop", "no crop", "bare", "pad"],
        ["wide", "tall", "small", "square"])
    func pixelsAreTransformers(_ name: String, _ picture: String) throws {
        let processor = try processor(#require(fixture.metadata[name]))
        let pixels = try fixture[dynamicMember: picture]
        let (height, width, _) = pixels.shape3
        let made = try processor(Image(width: width, height: height, pixels: pixels.array()))
        // A level of the picture is 1 / 255 before the normalisation, and all of them are the same here.
        #expect(try difference(made, fixture["outputs/\(name)/\(picture)"], absolute: 2e-6) == nil)
    }

    @Test func absentFieldsAreTransformers() throws {
        let standard = try processor("{}")
        #expect(standard == CLIPImageProcessor())
        #expect(standard.size == .shortestEdge(224) && standard.crop! == (224, 224) && !standard.padsToSquare)
    }

    @Test(arguments: [
        (#"{"image_processor_type": "SiglipImageProcessor"}"#, "SiglipImageProcessor"),
        (#"{"resample": 1}"#, "resample 1"), (#"{"size": {"longest_edge": 3}}"#, "size has neither"),
        (#"{"size": 0}"#, "outside 1 to 8192"), (#"{"image_mean": [1, 2]}"#, "2 numbers"),
        (#"{"image_std": [1, 0, 1]}"#, "image_std holds a 0"),
    ])
    func whatIsNotDoneHereIsRefused(_ json: String, _ says: String) throws {
        let error = try #require(throws: DecodingError.self) { try processor(json) }
        guard case .dataCorrupted(let context) = error else { throw error }
        #expect(context.debugDescription.contains(says))
    }

    /// The square of the first would have 3.6 gigapixels. Of what it becomes, the bands are ground alone.
    @Test(arguments: [(60_000, 10), (10, 3_000)])
    func aLongPictureIsPaddedWithoutItsSquare(_ width: Int, _ height: Int) throws {
        var processor = CLIPImageProcessor(side: 28)
        processor.padsToSquare = true
        let picture = Image(
            width: width, height: height, pixels: [UInt8](repeating: 250, count: width * height * 3))
        let fitted = try processor.fitted(picture)
        #expect(fitted.width == 28 && fitted.height == 28)
        #expect(fitted.pixels.prefix(3) == [122, 116, 104] && fitted.pixels.suffix(3) == [122, 116, 104])
    }

    @Test(arguments: [(50, 20), (20, 50), (33, 32), (7, 90), (300, 299)])
    func aPaddedPictureIsTheSquareThatWasMadeFirst(_ width: Int, _ height: Int) throws {
        let pixels = (0..<(width * height * 3)).map { UInt8(truncatingIfNeeded: $0 &* 97 ^ ($0 >> 3)) }
        let picture = Image(width: width, height: height, pixels: pixels)
        let side = max(width, height)
        let (left, top) = ((side - width) / 2, (side - height) / 2)
        var square = [UInt8]()
        for y in 0..<side {
            for x in 0..<side {
                let isInside = (left..<(left + width)).contains(x) && (top..<(top + height)).contains(y)
                let place = ((y - top) * width + x - left) * 3
                square += isInside ? Array(pixels[place..<(place + 3)]) : [122, 116, 104]
            }
        }
        var padding = CLIPImageProcessor(side: 24)
        padding.padsToSquare = true
        let expected = try CLIPImageProcessor(side: 24).fitted(
            Image(width: side, height: side, pixels: square))
        #expect(try padding.fitted(picture) == expected)
    }

    @Test func aPictureThatWouldBecomeHugeIsRefused() throws {
        let thin = Image(width: 1, height: 4000, pixels: [UInt8](repeating: 0, count: 12_000))
        let error = try #require(throws: ModelError.self) { try CLIPImageProcessor(side: 336)(thin) }
        #expect(error.description.contains("1 x 4000 pixels is too thin"))
    }
}
