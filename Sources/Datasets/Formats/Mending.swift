import Media

extension LabelledSet {
    /// Cuts labels off at the borders of their pictures, drops those without an area or outside, and segmentations that are
    /// none; each is counted.
    mutating func mend() {
        var problems = problems
        let joints = categories.map(\.keypoints.count)
        for index in pictures.indices { pictures[index].mend(&problems, joints: joints) }
        self.problems = problems
    }
}

extension LabelledSet {
    /// Reads the header of every picture, and drops those that are broken or of another size than their labels say; each is
    /// counted.
    public mutating func checkPictures() {
        var problems = problems
        pictures.removeAll { picture in
            do {
                let size = try Image.size(of: picture.source.bytes(), name: picture.source.name)
                guard picture.width > 0, (picture.width, picture.height) != size else { return false }
                problems.add(
                    .otherSize,
                    "\(picture.fileName) is \(size.width) x \(size.height), not \(picture.width) x \(picture.height)"
                )
            } catch {
                problems.add(.brokenPicture, "\(error)")
            }
            return true
        }
        self.problems = problems
    }
}

extension LabelledSet.Picture {
    /// A box that reaches out by less than rounding does is cut off, but not reported.
    private static let tolerance = 0.5

    /// - Parameter joints: how many each category has; 0 where it does not say.
    fileprivate mutating func mend(_ problems: inout LabelProblems, joints: [Int]) {
        var newIndices: [Int?] = []
        var kept: [LabelledSet.Thing] = []
        for thing in things {
            guard var mended = mended(thing, &problems) else {
                newIndices.append(nil)
                lose(thing.category, of: joints.count)
                continue
            }
            mended.keypoints = self.joints(of: thing, joints[thing.category], &problems)
            newIndices.append(kept.count)
            kept.append(mended)
        }
        things = kept
        referring = referring.compactMap { $0.moved(newIndices) }
        guard width > 0, height > 0 else { return }
        let before = points.count
        points.removeAll {
            !((0...Double(width)).contains($0.x) && (0...Double(height)).contains($0.y))
        }
        for _ in points.count..<before { problems.add(.outside, "\(fileName) point") }
        if points.count < before { for category in present { lose(category, of: joints.count) } }
    }

    /// The joints of a thing without those outside the picture; nil for another number than its category has.
    private func joints(
        of thing: LabelledSet.Thing, _ count: Int, _ problems: inout LabelProblems
    ) -> Keypoints? {
        guard let keypoints = thing.keypoints else { return nil }
        let place = "\(fileName) label \(thing.id)"
        guard count == 0 || keypoints.joints.count == count else {
            problems.add(.partly, "\(place): \(keypoints.joints.count) joints, its category has \(count)")
            return nil
        }
        guard width > 0, height > 0 else { return keypoints }
        let (across, down) = (
            -Self.tolerance...Double(width) + Self.tolerance,
            -Self.tolerance...Double(height) + Self.tolerance
        )
        return Keypoints(
            keypoints.joints.enumerated().map { number, joint in
                guard joint.visibility != .absent,
                    !(across.contains(joint.point.x) && down.contains(joint.point.y))
                else { return joint }
                problems.add(.outside, "\(place) joint \(number + 1)")
                return .init(point: Point(x: 0, y: 0), visibility: .absent)
            })
    }

    private func mended(
        _ thing: LabelledSet.Thing, _ problems: inout LabelProblems
    ) -> LabelledSet.Thing? {
        let place = "\(fileName) label \(thing.id)"
        let box = thing.box
        guard box.width > 0, box.height > 0, box.x.isFinite, box.y.isFinite else {
            problems.add(.noArea, place)
            return nil
        }
        var thing = thing
        if width > 0, height > 0 {
            guard let inside = box.clipped(width: width, height: height) else {
                problems.add(.outside, place)
                return nil
            }
            let cut = max(
                inside.x - box.x, inside.y - box.y, box.maxX - inside.maxX, box.maxY - inside.maxY)
            if cut > Self.tolerance { problems.add(.clipped, place) }
            thing.box = inside
        }
        switch thing.segmentation {
        case .polygons(let polygons):
            let good = polygons.filter {
                $0.count >= 6 && $0.count % 2 == 0 && $0.allSatisfy { abs($0) <= 100_000 }
            }
            if good.count < polygons.count { problems.add(.partly, "\(place): a polygon without an area") }
            thing.segmentation = good.isEmpty ? nil : .polygons(good)
        case .mask(let mask):
            if width > 0, mask.width != width || mask.height != height {
                problems.add(
                    .partly,
                    "\(place): mask of \(mask.width) x \(mask.height), picture of \(width) x \(height)")
                thing.segmentation = nil
            } else if mask.isEmpty {
                problems.add(.partly, "\(place): a mask without a pixel")
                thing.segmentation = nil
            }
        case nil: break
        }
        return thing
    }
}
