import Datasets
import Foundation
import Media
import Testing

/// Labels as tools write them, beside what the tools' own readers make of them.
@Suite struct ToolLabelTests {
    // MARK: YOLO

    /// Tools/reference/yolo_fixtures.py makes it with Ultralytics and PyYAML.
    struct YOLO: Decodable {
        struct Names: Decodable {
            let yaml: String
            let names: [String: String]
            let isGood: Bool
        }
        let files: [String: String]
        let pictures: [String]
        /// By split and picture: class, centre and size of each label.
        let splits: [String: [String: [[Double]]]]
        let names: [Names]

        static let fixture = {
            let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("Fixtures/yolo.json")
            return try! JSONDecoder().decode(YOLO.self, from: Data(contentsOf: file))
        }()
    }

    @Test func yoloPicturesHaveTheirOwnLabelsAsUltralyticsReadsThem() throws {
        try LabelFolder.temporary { folder in
            for (name, text) in YOLO.fixture.files { try folder.write(text, name) }
            for name in YOLO.fixture.pictures { try folder.picture(name, 80, 40) }
            for (split, pictures) in YOLO.fixture.splits {
                let set = try folder.read(.yolo, "data.yaml", split: split)
                var found: [String: [[Double]]] = [:]
                for picture in set.pictures {
                    guard case .file(let path) = picture.source else { continue }
                    found[String(path.dropFirst(folder.path.count + 1))] = picture.things.map { thing in
                        let box = thing.box
                        return [
                            Double(thing.category), box.centre.x / 80, box.centre.y / 40, box.width / 80,
                            box.height / 40,
                        ]
                    }
                }
                #expect(Set(found.keys) == Set(pictures.keys))
                for (name, labels) in pictures {
                    let own = try #require(found[name])
                    #expect(own.count == labels.count, "\(name)")
                    for label in labels {
                        #expect(own.contains { zip($0, label).allSatisfy { abs($0 - $1) < 1e-6 } }, "\(name)")
                    }
                }
            }
            #expect(try folder.read(.yolo, "data.yaml", split: "train").problems[.doubled] == 1)
        }
    }

    @Test(arguments: YOLO.fixture.names.indices)
    func namesAreWhatYAMLSays(index: Int) throws {
        let entry = YOLO.fixture.names[index]
        try LabelFolder.temporary { folder in
            try folder.picture("images/a.png")
            try folder.write(entry.yaml + "train: images\n", "data.yaml")
            guard entry.isGood else {
                #expect(folder.error(.yolo, "data.yaml") == "data.yaml: class 4 has no name")
                return
            }
            let categories = try folder.read(.yolo, "data.yaml").categories
            let names = categories.map { ($0.id.name, $0.name) }
            #expect(Dictionary(uniqueKeysWithValues: names) == entry.names)
        }
    }

    @Test(arguments: [
        ("names: {0: a, 0: b}", "not YAML in line 1: \"0\" is there twice"),
        ("names: {0: a, \"0\": b}", "names: class 0 is there twice"),
        ("names: {-1: a}", "names: \"-1\" is no number of a class"),
        ("names: {99999999999999999999: a}", "names: \"99999999999999999999\" is no number of a class"),
        ("names: [a\n", "not YAML in line 3: did not find expected ',' or ']'"),
        ("kpt_shape: [1e30, 3]\nnames: [a]", "kpt_shape is the number of joints, up to 1000, and 2 or 3"),
        ("nc: 0", "it has no \"names\" of classes"), ("[a]", "not a list of fields with their values"),
    ])
    func aBadDataFileIsNamedInOneLine(yaml: String, reason: String) throws {
        try LabelFolder.temporary { folder in
            try folder.write(yaml + "\ntrain: images\n", "data.yaml")
            let error = folder.error(.yolo, "data.yaml")
            #expect(error == "data.yaml: \(reason)" || yaml == "[a]" && error?.contains("not YAML") == true)
        }
    }

    @Test func aLineOfWhichAPartIsGoodIsKept() throws {
        try LabelFolder.temporary { folder in
            try folder.write("names: [cat, dog, owl]\ntrain: images\n", "data.yaml")
            for name in ["a", "b", "c", "d"] { try folder.picture("images/\(name).png") }
            // A box with a confidence, a polygon with half a corner, a class that is none.
            try folder.write("0 0.5 0.5 0.5 0.4 0.9\n", "labels/a.txt")
            try folder.write("0 0.5 0.5 0.5 0.4\n1 0.1 0.1 0.2 0.2 0.3 0.3 0.4\n", "labels/b.txt")
            try folder.write("0 0.5 0.5 0.5 0.4\nx 0.1 0.1 0.2 0.2\n", "labels/c.txt")
            try folder.write([0xFF, 0xFF, 0x30], "labels/d.txt")
            let set = try folder.read(.yolo, "data.yaml")
            #expect(set.pictures.map(\.things.count) == [1, 1, 1, 0])
            #expect(set.pictures.map(\.incomplete) == [[], [1], [0, 1, 2], [0, 1, 2]])
            #expect(
                set.problems.counts[.partly]?.first == ["a.txt line 1: 6 columns, 5 are a box"])
            #expect(
                set.problems.counts[.malformed]?.first == [
                    "b.txt line 2: 8 columns are neither a box nor a polygon",
                    "c.txt line 2: \"x\" is no class", "d.txt: not UTF-8 in line 1: save it as UTF-8",
                ])
            // Joints of another number than the set's: the box alone.
            try folder.write("names: [cat]\nkpt_shape: [2, 3]\ntrain: images\n", "data.yaml")
            try folder.write("0 0.5 0.5 0.5 0.4 0.1 0.1 2 0.2 0.2 2\n", "labels/a.txt")
            try folder.write("0 0.5 0.5 0.5 0.4 0.1 0.1 0.2 0.2\n", "labels/b.txt")
            let poses = try folder.read(.yolo, "data.yaml").pictures.prefix(2).flatMap(\.things)
            #expect(poses.map { $0.keypoints?.joints.count } == [2, nil])
            #expect(poses.map(\.segmentation) == [nil, nil] && poses[0].box == poses[1].box)
        }
    }

    @Test func aListOfWindowsAndLabelStudioNames() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("images/my set/a.png")
            try folder.write("0 0.5 0.5 0.5 0.4\n", "labels/my set/a.txt")
            try folder.write("names: [cat]\ntrain: train.txt\n", "data.yaml")
            for line in [".\\images\\my set\\a.png", "/data/local-files/?d=images%5Cmy%20set/a.png"] {
                try folder.write(line + "\n", "train.txt")
                #expect(try folder.read(.yolo, "data.yaml").pictures[0].things.count == 1)
            }
            try folder.write(
                #"""
                {"images":[{"id":1,"file_name":"..\\images\\my set\\a.png"},
                {"id":2,"file_name":"/data/upload/?d=images/my%20set/a.png"},{"id":3,"file_name":"my%20set/a.png"}],
                "categories":[{"id":1,"name":"cat"}],"annotations":[]}
                """#, "labels.json")
            #expect(try folder.read(.coco, "labels.json", images: "images").pictures.count == 3)
        }
    }

    // MARK: Text

    /// The same text in each of Unicode's encodings, with its mark.
    private static func marked(_ text: String) -> [[UInt8]] {
        func bytes(_ units: [UInt32], _ width: Int, isBig: Bool) -> [UInt8] {
            units.flatMap { unit in
                let bytes = (0..<width).map { UInt8(truncatingIfNeeded: unit >> (8 * UInt32($0))) }
                return isBig ? bytes.reversed() : bytes
            }
        }
        let short = Array(text.utf16).map(UInt32.init)
        let long = text.unicodeScalars.map(\.value)
        return [
            [0xEF, 0xBB, 0xBF] + Array(text.utf8),
            bytes([0xFEFF] + short, 2, isBig: false), bytes([0xFEFF] + short, 2, isBig: true),
            bytes(short, 2, isBig: false), bytes([0xFEFF] + long, 4, isBig: false),
            bytes([0xFEFF] + long, 4, isBig: true),
        ]
    }

    @Test(arguments: 0..<6)
    func noClassIsCalledByAByteOrderMark(encoding: Int) throws {
        try LabelFolder.temporary { folder in
            func write(_ text: String, _ name: String) throws {
                try folder.write(Self.marked(text)[encoding], name)
            }
            try folder.picture("images/a.png")
            try write("0 0.5 0.5 0.5 0.4\n", "labels/a.txt")
            try write("names: [\"é\", dog]\ntrain: train.txt\n", "data.yaml")
            try write("images/a.png\n", "train.txt")
            let yolo = try folder.read(.yolo, "data.yaml")
            #expect(yolo.problems.isEmpty && yolo.pictures[0].things[0].category == 0)
            #expect(yolo.categories.map(\.name) == ["é", "dog"])
            try write("cat\ndog\n", "labels/classes.txt")
            #expect(
                try folder.read(.yolo, "", images: "images", labels: "labels/classes.txt").categories[0].name
                    == "cat")

            try write(
                #"{"images":[{"id":1,"file_name":"images/a.png"}],"categories":[{"id":1,"name":"é"}],"annotations":[]}"#,
                "labels.json")
            #expect(try folder.read(.coco, "labels.json").categories[0].name == "é")

            try write(
                "<?xml version=\"1.0\" encoding=\"UTF-16\"?><annotation><object><name>é</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>",
                "voc/a.xml")
            try folder.picture("voc/a.png")
            #expect(try folder.read(.voc, "voc").categories.map(\.name) == ["é"])

            try folder.picture("mot/img1/000001.png")
            try write("1,1,1,1,5,5,1,1,1\n", "mot/gt/gt.txt")
            try write("[Sequence]\nimExt=.png\n", "mot/seqinfo.ini")
            let mot = try folder.read(.mot, "mot")
            #expect(mot.problems.isEmpty && mot.pictures[0].things.count == 1)

            try write("/m/1,é\n", "oi/class-descriptions-boxable.csv")
            try write(
                "ImageID,LabelName,XMin,XMax,YMin,YMax\na,/m/1,0,1,0,1\n", "oi/train-annotations-bbox.csv")
            try folder.write(LabelFolder.picture(8, 8, tone: 1), "oi/train/a.jpg")
            #expect(try folder.read(.openImages, "oi").categories.map(\.name) == ["é"])
        }
    }

    @Test func otherEncodingsAreReadAsDeclaredOrNamed() throws {
        try LabelFolder.temporary { folder in
            func xml(_ declaration: String, _ name: [UInt8]) -> [UInt8] {
                Array("<?xml version='1.0'\(declaration)?><annotation><object><name>".utf8) + name
                    + Array(
                        "</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>"
                            .utf8)
            }
            try folder.picture("a.png")
            for (declaration, bytes, name) in [
                (" encoding=\"ISO-8859-1\"", [0xE9], "é"), (" encoding='windows-1252'", [0x80, 0xE9], "€é"),
                (" encoding=\"utf-8\" standalone='yes'", [0xC3, 0xA9], "é"), ("", [0xC3, 0xA9], "é"),
            ] as [(String, [UInt8], String)] {
                try folder.write(xml(declaration, bytes), "a.xml")
                #expect(try folder.read(.voc, "").categories.map(\.name) == [name])
            }
            for (declaration, reason) in [
                (" encoding=\"GB2312\"", "in the encoding \"gb2312\", which is not read: save it as UTF-8"),
                ("", "not UTF-8 in line 1: save it as UTF-8"),
            ] {
                try folder.write(xml(declaration, [0xB9, 0xB7]), "a.xml")
                #expect(folder.error(.voc, "")?.contains("a.xml: \(reason)") == true)
            }
            // Latin-1 in a file that must be UTF-8.
            try folder.write(
                Array(#"{"images":[{"id":1,"file_name":""#.utf8) + [0xE9]
                    + Array(#".png"}],"annotations":[]}"#.utf8),
                "labels.json")
            #expect(
                folder.error(.coco, "labels.json")
                    == "labels.json: images[0].file_name: not UTF-8 in the text at byte 32")
            try folder.write([0xE9], "data.yaml")
            #expect(
                folder.error(.yolo, "data.yaml") == "data.yaml: not UTF-8 in line 1: save it as UTF-8")
        }
    }

    @Test func quotesWithinQuotesOfATable() throws {
        try LabelFolder.temporary { folder in
            try folder.write(LabelFolder.picture(20, 10, tone: 5), "train/0a.jpg")
            try folder.write("/m/1,\"12\"\" disc, black\"\n", "class-descriptions-boxable.csv")
            try folder.write(
                "ImageID,LabelName,XMin,XMax,YMin,YMax\n0a,/m/1,0,1,0,1\n0a,/m/1,0,x,0,1\n",
                "train-annotations-bbox.csv")
            let set = try folder.read(.openImages, "")
            #expect(set.categories[0].name == "12\" disc, black" && set.problems[.malformed] == 1)
            #expect(set.pictures[0].incomplete == [0])
        }
    }

    // MARK: COCO

    private func coco(
        _ annotations: String, images: String = #"{"id":1,"file_name":"a.png","width":20,"height":10}"#
    )
        -> String
    {
        #"{"images":[\#(images)],"categories":[{"id":1,"name":"star"},{"id":2,"name":"sun"}],"annotations":[\#(annotations)]}"#
    }

    @Test(
        arguments: [
            (#""bbox":[2,2,4,4],"segmentation":{"size":[10,20],"counts":[5,5]}"#, LabelProblems.Sort.partly),
            (#""bbox":[2,2,4,4],"segmentation":{"size":[9,9],"counts":[81]}"#, .partly),
            (#""bbox":[2,2,4,4],"segmentation":{"size":[10,20],"counts":[200]}"#, .partly),
            (#""bbox":[2,2,4,4],"segmentation":[[]]"#, .partly),
            (#""bbox":[2,2,4,4],"iscrowd":"maybe""#, .partly),
            (#""bbox":[2,2,4,4],"keypoints":[1,2]"#, .partly),
            (#""bbox":[2,2,4,4],"area":"large""#, .partly), (#""bbox":[2,2,4,4],"segmentation":[]"#, nil),
            (#""bbox":[2,2,4,4],"iscrowd":"0","keypoints":null,"score":NaN"#, nil),
            (#""bbox":[],"segmentation":[[2,2,6,2,6,6,2,6]]"#, nil),
            (#""bbox":[1],"segmentation":[[2,2,6,2,6,6,2,6]]"#, .partly),
            (#""segmentation":[[2,2,6,2,6,6,2,6]]"#, nil),
        ] as [(String, LabelProblems.Sort?)])
    func theGoodPartOfALabelIsKept(fields: String, sort: LabelProblems.Sort?) throws {
        try LabelFolder.temporary { folder in
            try folder.picture("a.png")
            try folder.write(coco(#"{"id":1,"image_id":1,"category_id":2,\#(fields)}"#), "labels.json")
            let set = try folder.read(.coco, "labels.json")
            let things = set.pictures[0].things
            #expect(things.map(\.box) == [Box(x: 2, y: 2, width: 4, height: 4)] && !things[0].isCrowd)
            #expect(things[0].category == 1 && set.pictures[0].incomplete.isEmpty)
            #expect(set.problems.counts.mapValues(\.count) == (sort.map { [$0: 1] } ?? [:]))
        }
    }

    /// A class of which a label is lost is neither there nor not there.
    @Test(arguments: [
        (#""category_id":2,"bbox":[2,2]"#, [1]), (#""category_id":2,"bbox":[2,2,0,4]"#, [1]),
        (#""category_id":2,"bbox":[1e300,2,4,4]"#, [1]), (#""category_id":2,"bbox":[90,2,4,4]"#, [1]),
        (#""category_id":2.5,"bbox":[2,2,4,4]"#, [0, 1]), (#""category_id":null,"bbox":[2,2,4,4]"#, [0, 1]),
        (#""category_id":7,"bbox":[2,2]"#, []), (#""category_id":2"#, [1]),
    ])
    func aLostLabelLeavesItsClassUnclear(fields: String, unclear: [Int]) throws {
        try LabelFolder.temporary { folder in
            try folder.picture("a.png")
            try folder.write(
                coco(
                    #"{"id":5,"image_id":1,"category_id":1,"bbox":[2,2,4,4]},{"id":6,"image_id":1,\#(fields)}"#
                ),
                "labels.json")
            let set = try folder.read(.coco, "labels.json")
            let picture = set.pictures[0]
            #expect(picture.things.map(\.id) == [5] && picture.incomplete == unclear)
            #expect(set.problems.counts.values.reduce(0) { $0 + $1.count } == 1)
            // Whatever is asked, it is not said that there is no sun.
            var random = SystemRandomNumberGenerator()
            let reformulation = Reformulation(negativeRate: 1)
            for _ in 0..<200 where unclear.contains(1) {
                let turn = reformulation.turn(for: picture, in: set, using: &random)?.turn
                #expect(turn?.request.contains("sun") != true)
            }
        }
    }

    @Test func idsMayBeTexts() throws {
        try LabelFolder.temporary { folder in
            for name in ["a", "b", "c"] { try folder.picture("\(name).png") }
            try folder.write(
                #"""
                {"images":[{"id":"0007","file_name":"a.png"},{"id":"7","file_name":"b.png"},{"id":9007199254740993,"file_name":"c.png"}],
                "categories":[{"id":"a1f","name":"star"},{"id":3,"name":"sun"}],"annotations":[
                {"id":"0000001_02999","image_id":"0007","category_id":"a1f","bbox":[1,1,2,2]},
                {"id":"0000001_02999","image_id":7,"category_id":"3","bbox":[2,1,2,2]},
                {"id":3,"image_id":9007199254740993,"category_id":3,"bbox":[3,1,2,2]},
                {"id":4,"image_id":9007199254740992,"category_id":3,"bbox":[4,1,2,2]}]}
                """#, "labels.json")
            let set = try folder.read(.coco, "labels.json")
            #expect(set.pictures.map(\.id) == ["0007", "7", 9_007_199_254_740_993])
            #expect(set.pictures.map { $0.things.map(\.box.x) } == [[1], [2], [3]])
            #expect(set.pictures[0].things[0].id == "0000001_02999" && set.categories[0].id == "a1f")
            #expect(set.problems[.repeatedLabel] == 1 && set.problems[.unknownPicture] == 1)
            let truth = try COCOTruth(
                contentsOf: {
                    try folder.write(
                        #"{"images":[{"id":"0007"}],"categories":[{"id":"x","name":"star"}],"annotations":[]}"#,
                        "truth.json")
                    return "\(folder.path)/truth.json"
                }())
            #expect(truth.images.keys.sorted() == ["0007"] && truth.categoryIDs == ["x"])
        }
        #expect([LabelID.text("b"), 10, "a", 9].sorted() == [9, 10, "a", "b"])
        let ids = try JSONDecoder().decode([LabelID].self, from: Data(#"[7,"7"]"#.utf8))
        #expect(ids == [7, "7"])
        #expect(try String(decoding: JSONEncoder().encode(ids), as: UTF8.self) == #"[7,"7"]"#)
    }

    // MARK: VOC

    @Test func vocFilesOfOtherNamesAndPlaces() throws {
        func xml(_ fileName: String?, _ objects: String = "") -> String {
            "<annotation>\(fileName.map { "<filename>\($0)</filename>" } ?? "")\(objects)</annotation>"
        }
        let cat =
            "<object><name>cat</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object>"
        try LabelFolder.temporary { folder in
            try folder.picture("images/v1.2 big.png")
            try folder.picture("images/sub/b.png")
            try folder.picture("images/other.png")
            try folder.write(xml("v1.2 big", cat), "annots/v1.2 big.xml")
            try folder.write(
                xml("C:\\old\\other.jpg", cat + "<object><name>dog</name></object>"), "annots/sub/b.xml")
            try folder.write(xml(nil, cat + "<object><name></name></object>"), "annots/other.xml")
            try folder.write("x", "annots/._other.xml")
            try folder.write("v1.2 big\nv1.2 big.png\nb\nsub/b.xml 1\nother -1\n", "train.txt")
            let set = try folder.read(.voc, "")
            #expect(set.pictures.map(\.fileName) == ["other.png", "sub/b.png", "v1.2 big.png"])
            #expect(set.pictures.map(\.things.count) == [1, 1, 1])
            #expect(set.categories.map(\.name) == ["cat", "dog"])
            #expect(set.pictures.map(\.incomplete) == [[0, 1], [1], []])
            #expect(set.problems.counts.mapValues(\.count) == [.malformed: 2, .macFile: 1])
            let names = try folder.read(.voc, "", split: "train").pictures.map(\.fileName)
            #expect(names == ["v1.2 big.png", "v1.2 big.png", "sub/b.png", "sub/b.png", "other.png"])
        }
        // A folder for each split, with the pictures beside.
        try LabelFolder.temporary { folder in
            for split in ["train", "valid"] {
                try folder.picture("\(split)/a.png")
                try folder.write(xml("a.jpg", cat), "\(split)/a.xml")
            }
            let set = try folder.read(.voc, "", split: "valid")
            #expect(set.pictures.map(\.source) == [.file("\(folder.path)/valid/a.png")])
        }
    }

    // MARK: macOS, videos

    @Test func filesOfMacOSArePassedOverAndCounted() throws {
        try LabelFolder.temporary { folder in
            try folder.write("names: [cat]\ntrain: images\n", "data.yaml")
            try folder.picture("images/a.png")
            try folder.write("x", "images/._a.png")
            try folder.write("0 0.5 0.5 0.5 0.4\n", "labels/a.txt")
            try folder.write("x", "labels/._a.txt")
            let yolo = try folder.read(.yolo, "data.yaml")
            #expect(yolo.pictures.count == 1 && yolo.problems.counts.mapValues(\.count) == [.macFile: 2])

            try folder.picture("masks/x/images/x.png", 4, 4)
            try folder.write("x", "masks/x/images/._x.png")
            try folder.write(
                Mask(width: 4, height: 4, bitmap: [UInt8](repeating: 1, count: 16)).pngData(),
                "masks/x/masks/1.png")
            try folder.write("x", "masks/x/masks/._1.png")
            try folder.picture("masks/y/images/y.png", 4, 4)
            let masks = try folder.read(.masks, "masks")
            #expect(masks.pictures.map(\.things.count) == [1])
            // Where there is no folder of masks nobody looked.
            #expect(masks.problems.counts.mapValues(\.count) == [.macFile: 2, .unlabelled: 1])
        }
    }

    @Test func aFarFrameAndStrangeClassesAreCheap() throws {
        try LabelFolder.temporary { folder in
            for frame in 1...2 { try folder.picture("A/img1/00000\(frame).png") }
            try folder.write("[Sequence]\nimExt=.png\nseqLength=999999\nimWidth=-5\n", "A/seqinfo.ini")
            try folder.write(
                "1,1,1,1,5,5,1,1,1\n1,2,1,1,x,5,1,3,1\n2,3,1,1,5,5,1,-9223372036854775808,1\n999999,1,1,1,5,5,1,1,1\n2,1,1,1,5,5,1,99,1\n",
                "A/gt/gt.txt")
            let start = ContinuousClock.now
            let set = try folder.read(.mot, "")
            #expect(ContinuousClock.now - start < .seconds(2))
            #expect(set.pictures.map(\.things.count) == [1, 0] && set.pictures.map(\.frame) == [1, 2])
            #expect(set.pictures[0].incomplete == [2] && set.pictures[1].incomplete == Array(0..<13))
            #expect(
                set.problems.counts.mapValues(\.count) == [
                    .malformed: 2, .unknownCategory: 1, .missingPicture: 1,
                ])
            for range in ["{-9223372036854775808..9223372036854775807}", "{1..0}", "{0..99999999}"] {
                #expect(folder.error(.webDataset, "s\(range).tar")?.contains("a range of shards is") == true)
            }
        }
    }

    // MARK: Broken files

    /// Whatever is in a file of labels, it is read or refused: with numbers beyond any range, cut, and joined at random.
    @Test(arguments: 0..<8) func mutatedFilesAreReadOrRefused(seed: Int) throws {
        let files: [(DataSource.Format, String, String)] = [
            (
                .yolo, "yolo/data.yaml",
                "names: {0: cat, 1: dog}\nkpt_shape: [2, 3]\nnc: 2\ntrain: [images, list.txt]\n"
            ),
            (.yolo, "yolo/labels/a.txt", "0 0.5 0.5 0.2 0.2 0.1 0.1 2 0.3 0.3 1\n1 0.5 0.5 0.2 0.2\n"),
            (.yolo, "yolo/list.txt", "./images/a.png\n/data/?d=images%5Ca.png\n"),
            (
                .coco, "coco/labels.json",
                #"{"images":[{"id":1,"file_name":"a.png","width":20,"height":10}],"categories":[{"id":1,"name":"star","keypoints":["a"],"skeleton":[[1,1]]}],"annotations":[{"id":7,"image_id":1,"category_id":1,"bbox":[1,2,3,4],"area":12,"iscrowd":0,"segmentation":{"size":[10,20],"counts":[5,10,185]},"keypoints":[1,2,2]}]}"#
            ),
            (
                .voc, "voc/a.xml",
                "<?xml version='1.0' encoding='utf-8'?><annotation><filename>a.png</filename><size><width>20</width><height>10</height></size><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox></object></annotation>"
            ),
            (.mot, "mot/gt/gt.txt", "1,1,1,1,5,5,1,1,1\n2,1,2,1,5,5,1,3,0.5\n"),
            (.mot, "mot/seqinfo.ini", "[Sequence]\nimExt=.png\nseqLength=2\nimWidth=20\nimHeight=10\n"),
            (
                .openImages, "oi/train-annotations-bbox.csv",
                "ImageID,LabelName,XMin,XMax,YMin,YMax\na,/m/1,0,1,0,1\n"
            ),
        ]
        let numbers = [
            "-9223372036854775808", "9223372036854775807", "99999999999999999999", "1e308", "-1e308", "nan",
            "inf",
            "0", "-1", "1e-320", "2147483648", "\"", "[", "{", "<", "&", "\u{FEFF}", "\n", ",", ":",
        ]
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var (read, refused) = (0, 0)
        try LabelFolder.temporary { folder in
            for path in ["yolo/images/a", "coco/a", "voc/a", "mot/img1/000001"] {
                try folder.picture("\(path).png")
            }
            try folder.write(LabelFolder.picture(20, 10, tone: 1), "oi/train/a.jpg")
            try folder.write("/m/1,cat\n", "oi/class-descriptions-boxable.csv")
            for (_, name, text) in files { try folder.write(text, name) }
            for _ in 0..<60 {
                let (format, name, text) = files[random(files.count)]
                var bytes = Array(text.utf8)
                for _ in 0...random(3) {
                    let (start, length) = (random(bytes.count + 1), random(6))
                    let range = start..<min(bytes.count, start + length)
                    switch random(4) {
                    case 0: bytes.replaceSubrange(range, with: numbers[random(numbers.count)].utf8)
                    case 1:
                        // In place of a number.
                        let digits = bytes.indices.filter { bytes[$0] &- 48 < 10 }
                        if let at = digits.isEmpty ? nil : digits[random(digits.count)] {
                            bytes.replaceSubrange(at...at, with: numbers[random(numbers.count)].utf8)
                        }
                    case 2: bytes.removeSubrange(range)
                    default: bytes.insert(UInt8(random(256)), at: start)
                    }
                }
                try folder.write(bytes, name)
                let source = String(name.split(separator: "/")[0]) + (format == .coco ? "/labels.json" : "")
                do {
                    let set = try folder.read(format, source)
                    _ = LabelSummary(set).text
                    read += 1
                } catch let error as LabelError {
                    #expect(!error.description.contains("\n"))
                    refused += 1
                }
                try folder.write(text, name)
            }
        }
        #expect(read > 5 && read + refused == 60)
    }
}
