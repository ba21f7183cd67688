import Media
import Testing

@Suite struct VideoTests {
    @Test func readsFramesInOrder() throws {
        var video = try Video(Fixtures.path("clip.mp4"))
        #expect(video.width == 64 && video.height == 48)
        #expect(video.frameRate == 10 && video.frameCount == 12)
        #expect(abs(video.duration - 1.2) < 0.01)
        var index = 0
        while let frame = try video.next() {
            #expect(abs(frame.time - Double(index) / 10) < 1e-6)
            let expected = [220 - 18 * index, 20 + 18 * index, 90]
            let colour = frame.image.colour(31, 20).map(Int.init)
            #expect(zip(colour, expected).allSatisfy { abs($0 - $1) <= 6 }, "\(colour) for \(expected)")
            index += 1
        }
        #expect(index == 12)
        #expect(try video.next() == nil)
    }

    @Test func samplesEvenly() throws {
        var video = try Video(Fixtures.path("clip.mp4"))
        let times = try video.sampled(4).map(\.time)
        #expect(zip(times, [0.1, 0.4, 0.7, 1.0]).allSatisfy { abs($0 - $1) < 1e-6 } && times.count == 4)
        var again = try Video(Fixtures.path("clip.mp4"))
        #expect(try again.sampled(50).count == 12)
    }

    @Test func refusesWhatIsNoVideo() throws {
        let text = Fixtures.path("text.png")
        #expect(mediaError { _ = try Video(text) }?.hasPrefix("cannot read \(text): ") == true)
        #expect(
            mediaError { _ = try Video("/no/such.mp4") }
                == "cannot read /no/such.mp4: no such file or directory")
        #expect(mediaError { _ = try Video(Fixtures.folderPath) }?.hasSuffix("it is a folder") == true)
        let clip = Fixtures.path("clip.mp4")
        #expect(
            mediaError { _ = try Video(clip, limit: PixelLimit(100)) }
                == "cannot read \(clip): 64 x 48 pixels are more than the limit of 100 pixels")
        var video = try Video(clip)
        #expect(mediaError { _ = try video.sampled(0) } != nil)
    }

    @Test func animatedPicturesAreVideosToo() throws {
        var video = try Video(Fixtures.path("gif-animated.gif"))
        var count = 0
        while try video.skip() { count += 1 }
        #expect(count == 2)
    }
}
