import Datasets
import Foundation
import Media
import Testing

@Suite struct LabelProblemTests {
    /// A COCO file of pictures a to d, 20 x 10, with these annotations.
    private func coco(_ annotations: String, _ images: String? = nil) -> String {
        let names = ["a", "b"].enumerated().map {
            #"{"id":\#($0.offset + 1),"file_name":"\#($0.element).png","width":20,"height":10}"#
        }
        return
            #"{"images":[\#(images ?? names.joined(separator: ","))],"categories":[{"id":1,"name":"star"}],"annotations":[\#(annotations)]}"#
    }

    @Test func badLabelsAreCountedByNameAndSkipped() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("a.png")
            try folder.picture("b.png")
            func label(_ id: Int, _ box: String, image: Int = 1, category: Int = 1, _ more: String = "")
                -> String
            {
                #"{"id":\#(id),"image_id":\#(image),"category_id":\#(category),"bbox":\#(box)\#(more)}"#
            }
            try folder.write(
                coco(
                    [
                        label(1, "[2,2,4,4]"), label(2, "[15,5,10,10]"), label(3, "[30,2,4,4]"),
                        label(4, "[2,2,0,4]"), label(5, "[2,2,4,4]", category: 7),
                        label(6, "[2,2,4,4]", image: 9),
                        label(1, "[2,2,4,4]"), label(8, "[2,2,4]"), label(9, "[-0.2,2,4,4]"),
                        label(10, "[2,2,4,4]", #","segmentation":{"size":[9,9],"counts":[81]}"#),
                        label(11, "[2,2,4,4]", #","segmentation":[[1,2,3,4],[1,1,5,1,5,5]]"#),
                    ].joined(separator: ",")), "labels.json")
            let set = try folder.read(.coco, "labels.json")
            #expect(set.pictures[0].things.map(\.id) == [1, 2, 1, 9, 10, 11])
            #expect(set.pictures[0].things[1].box == Box(x: 15, y: 5, width: 5, height: 5))
            #expect(set.pictures[0].things[3].box.x == 0)
            #expect(set.pictures[0].things[4].segmentation == nil)
            #expect(set.pictures[0].things[5].segmentation == .polygons([[1, 1, 5, 1, 5, 5]]))
            let counts = Dictionary(uniqueKeysWithValues: set.problems.counts.map { ($0, $1.count) })
            #expect(
                counts == [
                    .clipped: 1, .outside: 1, .noArea: 1, .unknownCategory: 1, .unknownPicture: 1,
                    .repeatedLabel: 1, .malformed: 1, .partly: 2,
                ])
            #expect(set.pictures[0].incomplete == [0])
            let lines = set.problems.summary.split(separator: "\n")
            #expect(lines.contains("1 labels without an area, skipped: a.png label 4"))
            #expect(
                lines.contains(
                    "1 labels of a category that is not listed, skipped: annotation 5 of category 7"))
            #expect(lines[0].contains("annotations[7].bbox: a box has 4 numbers, not 3"))
            // As written, for scoring: nothing is cut off.
            let raw = try folder.read(.coco, "labels.json", asWritten: true)
            #expect(raw.pictures[0].things[1].box.width == 10 && raw.problems[.clipped] == 0)
            let text = LabelSummary(set).text
            #expect(text.hasPrefix("labels: 2 pictures\n  6 things, 1 outline\n"))
            #expect(text.contains("\n  ! 1 labels outside their picture, skipped: a.png label 3"))
        }
    }

    /// Numbers beyond any range, and half of a character.
    @Test func impossibleValuesAreCountedToo() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("a.png")
            try folder.write(
                #"""
                {"images":[{"id":1,"file_name":"a.png","width":20,"height":10},{"id":2,"file_name":"b.png","neg_category_ids":[1e30]}],
                "categories":[{"id":1,"name":"x\ud83d\u0041"},{"id":2,"name":"y","skeleton":[[1e30,1]]}],
                "annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[2,2,4,4],"segmentation":{"size":[10,20],"counts":[1e30]}},
                {"id":2,"image_id":1,"category_id":1,"bbox":[2,2,4,4]}]}
                """#, "labels.json")
            let set = try folder.read(.coco, "labels.json")
            #expect(set.categories.map(\.name) == ["x\u{FFFD}A", "y"] && set.problems[.partly] == 3)
            #expect(set.pictures[0].things.map(\.id) == [1, 2])

            for frame in 1...2 { try folder.picture("MOT/A/img1/00000\(frame).png") }
            try folder.write("[Sequence]\nimExt=.png\n", "MOT/A/seqinfo.ini")
            try folder.write(
                "2,3,2,2,4,4,1,1,0.5\n1,1,1,1,5,5,1,nan,1\n100000000,1,1,1,5,5,1,1,1\n1,1,nan,1,5,5,1,1,1\n",
                "MOT/A/gt/gt.txt")
            let mot = try folder.read(.mot, "MOT")
            #expect(mot.problems[.malformed] == 3 && mot.pictures.map(\.things.count) == [0, 1])

            try folder.picture("yolo/images/a.png")
            try folder.write("0 0.5 0.5 0.2 0.2 0.5 0.5 1e30\n0 nan 0.5 0.2 0.2\n", "yolo/labels/a.txt")
            try folder.write(
                "names: [cat]\ntrain: images\nkpt_shape: [1, 3]\n", "yolo/data.yaml")
            let yolo = try folder.read(.yolo, "yolo")
            #expect(yolo.pictures[0].things.count == 1 && yolo.problems[.malformed] == 1)
        }
    }

    @Test func jointsOutsideTheirPictureAreNotThere() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("a.png")
            try folder.write(
                #"""
                {"images":[{"id":1,"file_name":"a.png","width":20,"height":10}],
                "categories":[{"id":1,"name":"person","keypoints":["nose","tail"]}],"annotations":[
                {"id":1,"image_id":1,"category_id":1,"bbox":[2,2,5,5],"keypoints":[3,4,2,90,4,2],"num_keypoints":2},
                {"id":2,"image_id":1,"category_id":1,"bbox":[2,2,5,5],"keypoints":[3,4,2],"num_keypoints":1},
                {"id":3,"image_id":1,"category_id":1,"bbox":[2,2,5,5],"keypoints":[20.4,10,2,0,0,0],"num_keypoints":1}]}
                """#, "labels.json")
            let set = try folder.read(.coco, "labels.json")
            let joints = set.pictures[0].things.map { $0.keypoints?.joints.map(\.visibility) }
            #expect(joints == [[.visible, .absent], nil, [.visible, .absent]])
            #expect(set.problems.counts[.outside]?.first == ["a.png label 1 joint 2"])
            #expect(
                set.problems.counts[.partly]?.first == ["a.png label 2: 1 joints, its category has 2"])
        }
    }

    @Test func picturesAreCheckedByTheirHeaders() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("a.png")
            try folder.picture("b.png", 21, 10)
            try folder.write("no picture", "c.png")
            let images = ["a", "b", "c"].enumerated().map {
                #"{"id":\#($0.offset + 1),"file_name":"\#($0.element).png","width":20,"height":10}"#
            }
            try folder.write(coco("", images.joined(separator: ",")), "labels.json")
            var set = try folder.read(.coco, "labels.json")
            #expect(set.pictures.count == 3 && set.problems.isEmpty)
            set.checkPictures()
            #expect(set.pictures.map(\.fileName) == ["a.png"])
            #expect(set.problems.counts[.otherSize]?.first == ["b.png is 21 x 10, not 20 x 10"])
            #expect(set.problems[.brokenPicture] == 1)
        }
    }

    @Test func sourcesOfAnotherKindAreNamed() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("a.png")
            try folder.write(coco(""), "labels.json")
            for format in [DataSource.Format.openImages, .webDataset, .mot, .conversations] {
                #expect(folder.error(format, "labels.json")?.contains("it looks like COCO's labels") == true)
            }
            #expect(folder.error(.coco, "labels.json", split: "val")?.contains("has no splits") == true)
            let error = #expect(throws: LabelError.self) {
                try DataSource(contentsOf: "\(folder.path)/labels.json")
            }
            #expect(error?.description.contains("it looks like COCO's labels; a source says") == true)
        }
    }

    @Test func onlyTheFirstNamesAreKept() {
        var problems = LabelProblems()
        for index in 0..<5 { problems.add(.brokenPicture, "p\(index)") }
        #expect(problems[.brokenPicture] == 5)
        #expect(problems.summary == "5 pictures that cannot be decoded, skipped: p0, p1, p2, …")
    }

    @Test func twoPicturesWithOneName() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("a.png")
            let entry = { (id: Int) in #"{"id":\#(id),"file_name":"a.png","width":20,"height":10}"# }
            try folder.write(coco("", [entry(1), entry(2), entry(2)].joined(separator: ",")), "labels.json")
            let set = try folder.read(.coco, "labels.json")
            #expect(
                set.problems[.repeatedName] == 1 && set.problems[.repeatedID] == 1 && set.pictures.count == 2)
        }
    }

    @Test(arguments: [
        (
            #"[{"image_id":1,"category_id":1,"bbox":[0,0,1,1],"score":0.5}]"#, DataSource.Format.coco,
            "it looks like COCO's results, not labels"
        ),
        (#"[{"id":1,"image":"a","conversations":[]}]"#, .coco, "it looks like conversations"),
        (#"{"questions":[]}"#, .coco, "it looks like VQA's questions"),
        (#"{"images":[],"annotations":[]}"#, .vqa, "it looks like COCO's labels"),
        (#"{"images":[],"annotations":[]}"#, .conversations, "it looks like COCO's labels"),
        ("<annotation/>", .coco, "it looks like an XML file; Pascal VOC's are read as a folder"),
        ("ImageID,Source\n", .coco, "it looks like OpenImages' table"),
        ("(lp1\n.", .coco, "it looks like a Python pickle"),
        ("", .coco, "it looks like an empty file"),
    ])
    func aFileOfAnotherKindIsNamed(content: String, format: DataSource.Format, looks: String) throws {
        try LabelFolder.temporary { folder in
            try folder.write(content, "labels.json")
            #expect(
                folder.error(format, "labels.json")
                    == "labels.json: not labels of the format \"\(format.rawValue)\": \(looks)")
        }
    }

    @Test func anEmptyOrMissingSetIsAnError() throws {
        try LabelFolder.temporary { folder in
            try folder.write(coco("", ""), "labels.json")
            #expect(folder.error(.coco, "labels.json") == "labels.json: no picture")
            #expect(folder.error(.coco, "none.json") == "cannot read none.json: there is no such file")
            try folder.write(#"{"images":[{"id":1,"fi"#, "cut.json")
            #expect(folder.error(.coco, "cut.json") == "cut.json: images[0]: cut short")
            try folder.write(coco(""), "labels.json")
            #expect(
                folder.error(.coco, "labels.json")
                    == "labels.json: none of its 2 pictures is there; \"images\" says where they are")
            try folder.write("<annotation></annotation>", "voc/a.xml")
            try folder.picture("voc/a.jpg")
            try folder.write("", "voc/val.txt")
            #expect(folder.error(.voc, "voc", split: "val") == "voc: no picture in its split \"val\"")
        }
    }

    @Test func aSourceIsOneLine() throws {
        try LabelFolder.temporary { folder in
            func source(_ text: String) throws -> DataSource {
                try folder.write(text, "source.json")
                return try DataSource(contentsOf: "\(folder.path)/source.json")
            }
            let voc = try source(#"{ "format": "voc", "path": "VOC2007", "split": "val" }"#)
            #expect(voc == DataSource(format: .voc, path: "VOC2007", split: "val"))
            for (text, reason) in [
                (#"{"format":"vox","path":"x"}"#, "format \"vox\" is not known"),
                (#"{"format":"voc","path":"x","splt":"val"}"#, "splt: not known"),
                (#"{"format":"voc"}"#, "it has no \"format\" or no \"path\""),
            ] {
                let error = #expect(throws: LabelError.self) { try source(text) }
                #expect(error.map { "\($0)".contains(reason) } == true)
            }
        }
    }

    @Test func overlapWithTrainingIsFoundByNameAndByContent() throws {
        try LabelFolder.temporary { folder in
            for part in ["train", "val"] {
                try folder.write("\n", "\(part)/classes.txt")
                try folder.write("thing\n", "\(part)/classes.txt")
            }
            try folder.picture("train/images/a.png", tone: 1)
            try folder.picture("train/images/b.png", tone: 2)
            try folder.picture("val/images/a.png", tone: 3)
            try folder.picture("val/images/c.png", tone: 2)
            try folder.picture("val/images/d.png", tone: 4)
            let training = try folder.read(.yolo, "train")
            let problems = try folder.read(.yolo, "val").overlap(withTraining: training)
            #expect(problems.counts[.overlapByName]?.first == ["a.png"])
            #expect(problems[.overlapByContent] == 1)
            #expect(problems.counts[.overlapByContent]?.first[0].hasPrefix("c.png is ") == true)
        }
    }
}
