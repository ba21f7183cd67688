/// Something found in a picture, to be drawn over it; every part is optional.
///
/// Coordinates are the picture's own pixels, whatever the scale it is drawn at.
public struct Annotation: Sendable {
    /// Drawn as an outline.
    public var box: Box?
    /// Drawn as a translucent surface with an outline; of the picture's size.
    public var mask: Mask?
    /// Drawn as discs, occluded ones with a white middle, and lines between them.
    public var keypoints: Keypoints?
    /// Pairs of joint indices to connect.
    public var skeleton: [(Int, Int)]
    /// Drawn as a disc with a white rim.
    public var point: Point?
    /// One line of text on a tag; shortened where the picture is too narrow.
    public var label: String?
    /// Index into `Colour.palette`; by default the annotation's place in the list.
    public var colour: Int?

    /// An annotation from its parts.
    public init(
        box: Box? = nil, mask: Mask? = nil, keypoints: Keypoints? = nil,
        skeleton: [(Int, Int)] = Keypoints.cocoSkeleton, point: Point? = nil, label: String? = nil,
        colour: Int? = nil
    ) {
        self.box = box
        self.mask = mask
        self.keypoints = keypoints
        self.skeleton = skeleton
        self.point = point
        self.label = label
        self.colour = colour
    }
}

extension Image {
    /// A copy with the annotations drawn over it.
    ///
    /// - Parameters:
    ///   - annotations: what to draw, the last on top.
    ///   - scale: how many times larger the copy is; by default 1 for pictures that are large enough to
    ///     read a label in, for smaller ones the whole number that makes them so, and for those with a side that is too
    ///     long to be drawn on less than 1.
    /// - Throws: `MediaError.invalid` when the copy would have more than 32,767 pixels a side or 200
    ///   megapixels, or a mask is of another size than the picture.
    public func annotated(
        with annotations: [Annotation], scale: Double? = nil
    ) throws(MediaError) -> Image {
        let longest = Double(max(width, height))
        let scale = scale ?? (longest > 32_767 ? 32_767 / longest : max(1, (480 / longest).rounded(.up)))
        guard scale.isFinite, scale > 0 else { throw .invalid("annotation scale \(scale) is not above 0") }
        let (newWidth, newHeight) = ((Double(width) * scale).rounded(), (Double(height) * scale).rounded())
        guard max(newWidth, newHeight) <= 32_767, newWidth * newHeight <= 2e8 else {
            throw .invalid("annotated picture of \(newWidth) x \(newHeight): the limit is 32767 a side")
        }
        for case let mask? in annotations.map(\.mask) where mask.width != width || mask.height != height {
            throw .invalid(
                "mask of \(mask.width) x \(mask.height) on a picture of \(width) x \(height)")
        }
        let enlarged = resized(width: max(1, Int(newWidth)), height: max(1, Int(newHeight)))
        let canvas = try Canvas(enlarged, scale: scale)
        let coloured = annotations.enumerated().map { (Colour.indexed($1.colour ?? $0), $1) }
        // Large surfaces first, small marks over them, text on top of all.
        for (colour, annotation) in coloured {
            if let mask = annotation.mask { canvas.draw(mask, colour) }
        }
        for (colour, annotation) in coloured {
            if let box = annotation.box { canvas.draw(box, colour) }
        }
        for (colour, annotation) in coloured {
            if let keypoints = annotation.keypoints {
                canvas.draw(keypoints, skeleton: annotation.skeleton, colour)
            }
            if let point = annotation.point { canvas.draw(point, colour) }
        }
        for (colour, annotation) in coloured {
            if let label = annotation.label, !label.isEmpty {
                canvas.draw(label: label, at: annotation.anchor, colour)
            }
        }
        return canvas.image
    }
}

extension Annotation {
    /// What the label belongs to, in the picture's pixels; without any, the picture's corner.
    fileprivate var anchor: Box {
        if let box { return box }
        if let mask, !mask.isEmpty { return mask.boundingBox }
        if let point { return Box(x: point.x, y: point.y, width: 0, height: 0) }
        let joints = keypoints?.joints.filter { $0.visibility != .absent }.map(\.point) ?? []
        guard let left = joints.map(\.x).min(), let right = joints.map(\.x).max(),
            let top = joints.map(\.y).min(), let bottom = joints.map(\.y).max()
        else { return Box(x: 0, y: 0, width: 0, height: 0) }
        return Box(x: left, y: top, width: right - left, height: bottom - top)
    }
}
