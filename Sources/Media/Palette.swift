/// A colour of eight bits a channel.
public struct Colour: Sendable, Hashable {
    public var red: UInt8
    public var green: UInt8
    public var blue: UInt8

    /// Red, green and blue, 0 to 255 each.
    public init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
        self.red = red
        self.green = green
        self.blue = blue
    }

    /// Twelve colours that stay apart from each other, and from most photographs.
    public static let palette = [
        Colour(230, 57, 70), Colour(29, 125, 242), Colour(46, 175, 80), Colour(255, 176, 0),
        Colour(151, 71, 255), Colour(0, 183, 195), Colour(255, 105, 180), Colour(255, 111, 33),
        Colour(140, 198, 63), Colour(126, 87, 54), Colour(0, 102, 128), Colour(214, 205, 30),
    ]

    /// The colour of the n-th thing; the palette repeats.
    public static func indexed(_ index: Int) -> Colour {
        let remainder = index % palette.count
        return palette[remainder < 0 ? remainder + palette.count : remainder]
    }

    /// Black or white, whichever can be read on this colour.
    var contrasting: Colour {
        func linear(_ value: UInt8) -> Double {
            let share = Double(value) / 255
            return share * share
        }
        let luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
        return luminance > 0.3 ? Colour(0, 0, 0) : Colour(255, 255, 255)
    }

    /// A perceptual ramp for values from 0 to 1: ever lighter from night blue over purple and orange to
    /// pale yellow, so that it reads in grey as well.
    static func heat(_ value: Double) -> Colour {
        let stops = [
            Colour(8, 8, 32), Colour(46, 18, 98), Colour(104, 24, 120), Colour(164, 42, 112),
            Colour(216, 72, 84), Colour(244, 120, 56), Colour(252, 182, 66), Colour(252, 246, 168),
        ]
        let place = max(0, min(1, value)) * Double(stops.count - 1)
        let index = min(Int(place), stops.count - 2)
        let share = place - Double(index)
        func mix(_ channel: KeyPath<Colour, UInt8>) -> UInt8 {
            let (low, high) = (
                Double(stops[index][keyPath: channel]), Double(stops[index + 1][keyPath: channel])
            )
            return UInt8((low + (high - low) * share).rounded())
        }
        return Colour(mix(\.red), mix(\.green), mix(\.blue))
    }
}
