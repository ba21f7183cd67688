import Media

/// AI Challenger's `keypoint_train_annotations.json` as it was published: a list of pictures with their people.
enum AIChallengerFormat {
    private static let names = [
        "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "right_hip",
        "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "head_top", "neck",
    ]
    private static let skeleton = [
        [2, 1], [1, 0], [0, 13], [13, 3], [3, 4], [4, 5], [8, 7], [7, 6], [6, 9], [9, 10], [10, 11],
        [12, 13],
        [0, 6], [3, 9],
    ]

    static func read(_ reading: Reading) throws(LabelError) -> LabelledSet {
        struct Entry {
            var image = ""
            var boxes: [String: [Double]] = [:]
            var joints: [String: [Double]] = [:]
        }
        var set = LabelledSet(name: reading.path.stem)
        set.categories = [.init(id: 1, name: "person", keypoints: names, skeleton: skeleton)]
        let entries = try reading.json(reading.path) { reader -> [Entry] in
            var entries: [Entry] = []
            try reader.array(skipping: { reading.problems.add(.malformed, "\($0)") }) { reader, _ in
                var entry = Entry()
                var hasPeople = false
                try reader.object { reader, key in
                    switch key {
                    case "image_id": entry.image = try reader.string()
                    case "human_annotations":
                        try reader.object { reader, key in entry.boxes[key] = try reader.places() }
                    case "keypoint_annotations":
                        hasPeople = true
                        try reader.object { reader, key in entry.joints[key] = try reader.places() }
                    default: try reader.skip()
                    }
                }
                guard hasPeople, !entry.image.isEmpty else {
                    throw JSONReader.Problem(
                        isSyntax: false,
                        reason: "neither COCO's form nor AI Challenger's: no keypoint_annotations")
                }
                entries.append(entry)
            }
            return entries
        }
        if entries.isEmpty { throw .invalid(reading.path, reason: "a list, not a file of COCO's form") }
        let folder = reading.path.folder
        let folders =
            ["keypoint_train_images_20170902", "keypoint_validation_images_20170911", "images"]
            .map { folder.appending(path: $0) } + [folder]
        var number = 0
        for (place, entry) in entries.enumerated() {
            let name = entry.image.isPicture ? entry.image : "\(entry.image).jpg"
            reading.note(name: name)
            guard let source = reading.find(name, in: folders) else { continue }
            var picture = LabelledSet.Picture(id: .number(place + 1), source: source, fileName: name)
            if !reading.asWritten {
                guard let size = reading.size(of: source) else { continue }
                (picture.width, picture.height) = size
            }
            for (human, joints) in entry.joints.sorted(by: { $0.key < $1.key }) {
                number += 1
                guard let corners = entry.boxes[human], corners.count == 4, joints.count == 3 * names.count
                else {
                    reading.problems.add(.malformed, "\(name) \(human)")
                    picture.lose(0, of: 1)
                    continue
                }
                var thing = LabelledSet.Thing(
                    id: .number(number), category: 0,
                    box: Box(
                        x: corners[0], y: corners[1], width: corners[2] - corners[0],
                        height: corners[3] - corners[1]))
                // 1 is visible, 2 hidden, 3 not labelled.
                thing.keypoints = Keypoints(
                    stride(from: 0, to: joints.count, by: 3).map {
                        .init(
                            point: Point(x: joints[$0], y: joints[$0 + 1]),
                            visibility: joints[$0 + 2] == 1
                                ? .visible : joints[$0 + 2] == 2 ? .occluded : .absent)
                    })
                thing.keypointCount = thing.keypoints?.joints.count { $0.visibility != .absent }
                picture.things.append(thing)
            }
            set.pictures.append(picture)
        }
        return set
    }
}
