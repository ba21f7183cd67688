extension Mask {
    /// Masks of which no two share a pixel, as a map of instances wants them: each pixel is left to the first mask that
    /// has it, so the surest come first.
    ///
    /// - Parameters:
    ///   - masks: all of one size.
    ///   - leastShare: a mask of which less is left than this share of its area becomes nil, as does one that is empty.
    /// - Returns: one for each mask, in their order.
    /// - Throws: `MediaError.invalid` when the sizes differ.
    public static func disjoint(_ masks: [Mask], leastShare: Double = 0.5) throws(MediaError) -> [Mask?] {
        guard let first = masks.first else { return [] }
        var isTaken = [Bool](repeating: false, count: first.width * first.height)
        var left: [Mask?] = []
        for mask in masks {
            guard (mask.width, mask.height) == (first.width, first.height) else {
                throw .invalid(
                    "masks of \(first.width) x \(first.height) and \(mask.width) x \(mask.height) pixels")
            }
            let bitmap = zip(mask.bitmap, isTaken).map { $0 != 0 && !$1 }
            let count = bitmap.count { $0 }
            guard count > 0, Double(count) >= leastShare * Double(mask.area) else {
                left.append(nil)
                continue
            }
            for (pixel, isSet) in bitmap.enumerated() where isSet { isTaken[pixel] = true }
            left.append(try Mask(width: mask.width, height: mask.height, bitmap: bitmap))
        }
        return left
    }
}
