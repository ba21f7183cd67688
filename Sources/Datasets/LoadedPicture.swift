public import Media

/// A decoded picture with its labels in its own pixels.
public struct LoadedPicture: Sendable {
    /// Which of the loader's pictures it is.
    public var index: Int
    /// Where in the loader's order this visit is.
    public var position: Int
    /// Width and height are the image's.
    public var picture: LabelledSet.Picture
    public var image: Image
    /// For the augmentation of this visit; from the loader's seed and the position alone.
    public var seed: UInt64

    public init(index: Int, position: Int, picture: LabelledSet.Picture, image: Image, seed: UInt64) {
        self.index = index
        self.position = position
        self.picture = picture
        self.image = image
        self.seed = seed
    }

    /// Decodes a picture; labels that do not say its size get it.
    ///
    /// - Throws: `MediaError`, also for a picture of another size than its labels say.
    init(
        _ picture: LabelledSet.Picture, index: Int, position: Int, seed: UInt64
    ) throws(MediaError) {
        let source = picture.source
        let image = try Image(decoding: source.bytes(), name: source.name)
        var picture = picture
        if picture.width == 0 || picture.height == 0 {
            (picture.width, picture.height) = (image.width, image.height)
        }
        guard (picture.width, picture.height) == (image.width, image.height) else {
            throw .invalid(
                "\(source.name): \(image.width) x \(image.height), its labels say \(picture.width) x \(picture.height)"
            )
        }
        self.init(index: index, position: position, picture: picture, image: image, seed: seed)
    }

    /// Image and labels at another size.
    ///
    /// - Precondition: both sides are at least 1.
    public func resized(width: Int, height: Int, filter: Image.Filter = .bilinear) -> LoadedPicture {
        guard (width, height) != (image.width, image.height) else { return self }
        var result = self
        result.image = image.resized(width: width, height: height, filter: filter)
        result.picture = picture.scaled(width: width, height: height)
        return result
    }

    /// Image and labels with the longer side of this many pixels, the other in proportion.
    public func resized(longerSide: Int, filter: Image.Filter = .bilinear) -> LoadedPicture {
        let scale = Double(longerSide) / Double(max(image.width, image.height))
        return resized(
            width: max(1, Int((Double(image.width) * scale).rounded())),
            height: max(1, Int((Double(image.height) * scale).rounded())), filter: filter)
    }
}

extension LabelledSet.Picture {
    /// The labels at another size of the picture, whose size must be known.
    func scaled(width newWidth: Int, height newHeight: Int) -> LabelledSet.Picture {
        let (sx, sy) = (Double(newWidth) / Double(width), Double(newHeight) / Double(height))
        func scaled(_ box: Box) -> Box {
            Box(x: box.x * sx, y: box.y * sy, width: box.width * sx, height: box.height * sy)
        }
        func scaled(_ point: Point) -> Point { Point(x: point.x * sx, y: point.y * sy) }
        var result = self
        (result.width, result.height) = (newWidth, newHeight)
        result.points = points.map(scaled)
        result.exemplars = exemplars.map(scaled)
        for index in result.things.indices {
            let thing = things[index]
            result.things[index].box = scaled(thing.box)
            result.things[index].area = thing.area.map { $0 * sx * sy }
            result.things[index].keypoints = thing.keypoints.map { keypoints in
                Keypoints(
                    keypoints.joints.map {
                        .init(point: scaled($0.point), visibility: $0.visibility, score: $0.score)
                    })
            }
            switch thing.segmentation {
            case .polygons(let polygons):
                result.things[index].segmentation = .polygons(
                    polygons.map { $0.enumerated().map { $0.element * ($0.offset % 2 == 0 ? sx : sy) } })
            case .mask(let mask):
                result.things[index].segmentation = .mask(mask.resized(width: newWidth, height: newHeight))
            case nil: break
            }
        }
        return result
    }
}
