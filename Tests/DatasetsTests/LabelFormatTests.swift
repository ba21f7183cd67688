import Datasets
import Foundation
import Media
import Testing

@Suite struct LabelFormatTests {
    @Test func cocoInstancesAndKeypoints() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("train2017/a.png")
            try folder.picture("train2017/b.png")
            try folder.write(
                #"""
                {"info":{"x":[1,{"y":null}]},"categories":[{"id":3,"name":"person","keypoints":["nose","tail"],"skeleton":[[1,2]]},
                {"id":90,"name":"toothbrush"}],
                "annotations":[
                {"id":7,"image_id":2,"category_id":90,"bbox":[1,2,3.5,4],"area":12.25,"iscrowd":0,
                 "segmentation":[[1,2,4.5,2,4.5,6,1,6]]},
                {"id":8,"image_id":2,"category_id":3,"bbox":[0,0,5,5],"area":9,"iscrowd":1,
                 "segmentation":{"size":[10,20],"counts":[5,10,185]}},
                {"id":9,"image_id":1,"category_id":3,"bbox":[2,2,5,5],"keypoints":[3,4,2,0,0,0],"num_keypoints":1}],
                "images":[{"id":1,"file_name":"a.png","width":20,"height":10},
                {"id":2,"file_name":"b.png","width":20,"height":10}]}
                """#, "annotations/instances_train2017.json")
            let set = try folder.read(.coco, "annotations/instances_train2017.json")
            #expect(set.problems.isEmpty && set.categories.map(\.id) == [3, 90])
            #expect(
                set.categories[0].keypoints == ["nose", "tail"] && set.categories[0].skeleton == [[0, 1]])
            #expect(set.pictures.map(\.fileName) == ["a.png", "b.png"])
            #expect(set.pictures[1].source == .file("\(folder.path)/train2017/b.png"))
            let things = set.pictures[1].things
            #expect(things[0].box == Box(x: 1, y: 2, width: 3.5, height: 4) && things[0].area == 12.25)
            #expect(
                things[0].category == 1
                    && things[0].segmentation == .polygons([[1, 2, 4.5, 2, 4.5, 6, 1, 6]]))
            #expect(things[1].isCrowd)
            #expect(try things[1].segmentation?.mask(width: 20, height: 10).area == 10)
            let joints = try #require(set.pictures[0].things[0].keypoints?.joints)
            #expect(joints[0].visibility == .visible && joints[1].visibility == .absent)
        }
    }

    @Test func cocoCaptionsPanopticAndLVIS() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("val/a.png")
            let image = #"{"id":1,"file_name":"a.png","width":20,"height":10}"#
            try folder.write(
                #"{"images":[\#(image)],"annotations":[{"id":1,"image_id":1,"caption":"Grey \u00e9\n\"all over\"."}]}"#,
                "captions_val.json")
            #expect(
                try folder.read(.coco, "captions_val.json").pictures[0].captions == ["Grey é\n\"all over\"."])

            // Segments 7 and 300 as colours: red + 256 green.
            var pixels = [UInt8](repeating: 0, count: 600)
            for pixel in 0..<40 { pixels[pixel * 3] = 7 }
            for pixel in 40..<60 { (pixels[pixel * 3], pixels[pixel * 3 + 1]) = (44, 1) }
            try folder.write(Image(width: 20, height: 10, pixels: pixels).pngData(), "panoptic_val/a.png")
            try folder.write(
                #"""
                {"images":[\#(image)],"categories":[{"id":1,"name":"cat","isthing":1},{"id":2,"name":"sky","isthing":0}],
                "annotations":[{"image_id":1,"file_name":"a.png","segments_info":[
                {"id":7,"category_id":2,"bbox":[0,0,20,2],"area":40,"iscrowd":0},
                {"id":300,"category_id":1,"bbox":[0,2,20,1],"area":20,"iscrowd":0},
                {"id":5,"category_id":1,"bbox":[0,2,20,1],"area":20,"iscrowd":0}]}]}
                """#, "panoptic_val.json")
            let panoptic = try folder.read(.coco, "panoptic_val.json")
            let masks = panoptic.pictures[0].things.map {
                try? $0.segmentation?.mask(width: 20, height: 10).area
            }
            #expect(masks == [40, 20] && panoptic.problems[.noArea] == 1)
            #expect(panoptic.categories.map(\.isThing) == [true, false])

            try folder.write(
                #"""
                {"images":[{"id":1,"coco_url":"http://images.cocodataset.org/val/a.png","width":20,"height":10,
                "neg_category_ids":[2],"not_exhaustive_category_ids":[1]}],
                "categories":[{"id":1,"name":"alarm_clock"},{"id":2,"name":"bow_(weapon)"},{"id":4,"name":"cup"}],
                "annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[0,0,2,2]}]}
                """#, "lvis_val.json")
            let lvis = try folder.read(.coco, "lvis_val.json").pictures[0]
            #expect(lvis.absent == [1] && lvis.incomplete == [0] && lvis.things.count == 1)
        }
    }

    @Test func aiChallengerAsPublished() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("images/x1.png")
            let joints = (0..<14).map { "\($0),\($0 % 9),\($0 == 0 ? 1 : $0 == 1 ? 2 : 3)" }.joined(
                separator: ",")
            try folder.write(
                #"[{"image_id":"x1.png","human_annotations":{"human1":[2,1,12,9]},"keypoint_annotations":{"human1":[\#(joints)]}}]"#,
                "aic.json")
            let thing = try folder.read(.coco, "aic.json").pictures[0].things[0]
            #expect(thing.box == Box(x: 2, y: 1, width: 10, height: 8) && thing.keypointCount == 2)
            #expect(thing.keypoints?.joints[1].visibility == .occluded)
        }
    }

    @Test func voc() throws {
        func xml(_ name: String, _ objects: String, width: Int = 20) -> String {
            """
            <?xml version="1.0"?><!-- made -->
            <annotation verified="yes"><filename>\(name).png</filename>
            <size><width>\(width)</width><height>10</height><depth>3</depth></size>\(objects)</annotation>
            """
        }
        func object(_ name: String, _ corners: [Int], _ more: String = "") -> String {
            """
            <object><name>\(name)</name>\(more)<part><name>head</name><bndbox><xmin>9</xmin></bndbox></part>
            <bndbox><xmin>\(corners[0])</xmin><ymin>\(corners[1])</ymin><xmax>\(corners[2])</xmax>
            <ymax>\(corners[3])</ymax></bndbox></object>
            """
        }
        try LabelFolder.temporary { folder in
            for name in ["01", "02", "03"] { try folder.picture("JPEGImages/\(name).png") }
            try folder.write(
                xml(
                    "01",
                    object("dog &amp; cat", [1, 1, 20, 10], "<difficult>1</difficult>")
                        + object("cat", [4, 4, 4, 8])),
                "Annotations/01.xml")
            try folder.write(xml("02", object("cat", [2, 3, 5, 7])), "Annotations/02.xml")
            try folder.write(xml("03", ""), "Annotations/03.xml")
            try folder.write("01\n03\n", "ImageSets/Main/train.txt")
            try folder.write("01 -1\n02  1\n03  0\n", "ImageSets/Main/cat_val.txt")
            let set = try folder.read(.voc, "", split: "train")
            #expect(set.categories.map(\.name) == ["cat", "dog & cat"])
            #expect(set.pictures.map(\.fileName) == ["01.png", "03.png"])
            // VOC counts pixels from 1, both corners inclusive.
            #expect(set.pictures[0].things.map(\.box) == [Box(x: 0, y: 0, width: 20, height: 10)])
            #expect(set.pictures[0].things[0].isDifficult && set.problems[.noArea] == 1)
            #expect(set.problems.counts[.noArea]?.first == ["01.png label 2"])
            let presence = try folder.read(.voc, "", split: "cat_val")
            #expect(presence.pictures.map(\.present) == [[], [0], []])
            #expect(presence.pictures.map(\.absent) == [[0], [], []])
            // A box at 0: counted from 0.
            try folder.write(xml("03", object("cat", [0, 2, 5, 7])), "Annotations/03.xml")
            let zero = try folder.read(.voc, "")
            #expect(zero.pictures[1].things[0].box == Box(x: 2, y: 3, width: 3, height: 4))
            try folder.write("<annotation><object></annotation>", "Annotations/03.xml")
            let broken = try folder.read(.voc, "")
            #expect(broken.pictures.count == 2)
            #expect(
                broken.problems.counts[.malformed]?.first == [
                    "03.xml: <object> ends as </annotation> in line 1"
                ])
        }
    }

    @Test func yolo() throws {
        try LabelFolder.temporary { folder in
            for name in ["a", "b", "c"] { try folder.picture("images/train/\(name).png") }
            try folder.write(
                "0 0.5 0.5 0.5 0.4\n2 0.1 0.2 0.3 0.2 0.3 0.4\n5 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.2\n",
                "labels/train/a.txt")
            try folder.write("", "labels/train/b.txt")
            try folder.write("", "labels/train/z.txt")
            try folder.write(
                "# made\npath: .\ntrain: images/train\nval: images/val\nnames:\n  0: 'red cell'\n  2: dog # a dog\n",
                "data.yaml")
            let set = try folder.read(.yolo, "data.yaml")
            #expect(set.categories.map(\.name) == ["red cell", "dog"] && set.categories.map(\.id) == [0, 2])
            let things = set.pictures[0].things
            #expect(things[0].box == Box(x: 5, y: 3, width: 10, height: 4))
            #expect(things.count == 2 && things[1].category == 1 && things[1].segmentation != nil)
            #expect(set.problems[.unknownCategory] == 1 && set.problems[.malformed] == 1)
            #expect(set.problems[.noLabels] == 1 && set.problems[.missingPicture] == 1)
            #expect(folder.error(.yolo, "data.yaml", split: "test") == "data.yaml: it has no split \"test\"")
            // A flow list, and a folder with classes.txt.
            try folder.write("train: images/train\nnames: [x, \"y\"]\nkpt_shape: [1, 3]\n", "data.yaml")
            try folder.write("1 0.5 0.5 0.5 0.4 0.25 0.5 2\n", "labels/train/a.txt")
            let pose = try folder.read(.yolo, "", split: "train").pictures[0].things[0]
            #expect(pose.keypoints?.joints[0].point == Point(x: 5, y: 5) && pose.category == 1)
            try FileManager.default.removeItem(atPath: "\(folder.path)/data.yaml")
            #expect(folder.error(.yolo, "", split: "train")?.contains("no names of classes") == true)
            try folder.write("x\ny\n", "classes.txt")
            #expect(try folder.read(.yolo, "", split: "train").categories.map(\.name) == ["x", "y"])
        }
    }

    @Test func openImages() throws {
        try LabelFolder.temporary { folder in
            try folder.write(LabelFolder.picture(20, 10, tone: 5), "train/0a.jpg")
            try folder.write(
                "LabelName,DisplayName\n/m/1,\"Cup, mug\"\n/m/2,Dog\n/m/3,Cat\n",
                "class-descriptions-boxable.csv")
            try folder.write(
                """
                ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf
                0a,xclick,/m/1,1,0.25,0.75,0.1,0.5,0,0,0
                0a,xclick,/m/2,1,0,1,0,1,0,0,1
                0a,xclick,/m/9,1,0,1,0,1,0,0,1
                0b,xclick,/m/2,1,0,1,0,1,0,0,1

                """, "train-annotations-bbox.csv")
            try folder.write(
                "ImageID,Source,LabelName,Confidence\n0a,v,/m/1,1\n0a,v,/m/3,0\n",
                "train-annotations-human-imagelabels-boxable.csv")
            let set = try folder.read(.openImages, "", split: "train")
            #expect(set.categories.map(\.name) == ["Cup, mug", "Dog", "Cat"] && set.pictures.count == 1)
            let picture = set.pictures[0]
            #expect(picture.things[0].box == Box(x: 5, y: 1, width: 10, height: 4))
            #expect(picture.things[1].isCrowd && picture.present == [0] && picture.absent == [2])
            #expect(set.problems[.unknownCategory] == 1 && set.problems[.missingPicture] == 1)
        }
    }

    @Test(arguments: ["p", "json"])
    func refCOCO(ending: String) throws {
        try LabelFolder.temporary { folder in
            try folder.picture("train2014/a.png")
            try folder.write(
                #"""
                {"images":[{"id":4,"file_name":"a.png","width":20,"height":10},{"id":5,"file_name":"b.png","width":20,"height":10}],
                "categories":[{"id":1,"name":"person"}],
                "annotations":[{"id":10,"image_id":4,"category_id":1,"bbox":[1,1,4,4]},
                {"id":11,"image_id":4,"category_id":1,"bbox":[6,1,4,4]},{"id":12,"image_id":5,"category_id":1,"bbox":[6,1,4,4]}]}
                """#, "refcoco/instances.json")
            if ending == "p" {
                // As Python 2 wrote it, protocol 0, with a text that is recalled and one that is escaped.
                try folder.write(
                    """
                    (lp1
                    (dp2
                    S'ref_id'
                    p3
                    I31
                    sS'ann_id'
                    p4
                    I11
                    sS'image_id'
                    p5
                    L4L
                    sS'split'
                    p6
                    S'testA'
                    p7
                    sS'sentences'
                    p8
                    (lp9
                    (dp10
                    S'sent'
                    p11
                    S"man\\'s right"
                    p12
                    sS'tokens'
                    p13
                    (lp14
                    g12
                    asa(dp15
                    g11
                    Vthe caf\\u00e9
                    p16
                    sasa(dp17
                    g3
                    I32
                    sg4
                    I12
                    sg5
                    I5
                    sg6
                    S'train'
                    sg8
                    (lp18
                    sa.
                    """, "refcoco/refs(unc).p")
            } else {
                try folder.write(
                    #"""
                    [{"ref_id":31,"ann_id":11,"image_id":4,"split":"testA","sentences":[{"sent":"man's right"},{"sent":"the café"}]},
                    {"ref_id":32,"ann_id":12,"image_id":5,"split":"train","sentences":[]}]
                    """#, "refcoco/refs(unc).json")
            }
            let set = try folder.read(.refCOCO, "refcoco", images: "train2014", split: "testA")
            #expect(set.pictures.count == 1 && set.pictures[0].things.count == 2)
            #expect(
                set.pictures[0].referring == [
                    .init(id: 31, sentences: ["man's right", "the café"], thing: 1)
                ])
            #expect(
                folder.error(.refCOCO, "refcoco", split: "testB")
                    == "refcoco/refs(unc).\(ending): it has no split \"testB\", only testA, train")
        }
    }

    @Test(arguments: [
        ("cos\nsystem\n(S'echo'\ntR.", "names \"os.system\"; only plain data are read, nothing is called"),
        ("(lp1\nI1\na", "is cut short"), ("(lp1\ng7\na.", "recalls what it never stored"),
        ("]\u{81}.", "is no pickle: 0xc2 at byte 1 is no opcode"),
    ])
    func picklesAreNeverRun(content: String, reason: String) throws {
        try LabelFolder.temporary { folder in
            try folder.write(content, "refs(unc).p")
            let error = folder.error(.refCOCO, "refs(unc).p")
            #expect(error == "refs(unc).p: \(reason)" || error?.contains("looks like") == true)
        }
    }

    @Test func fsc147() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("images_384_VarV2/2.png")
            try folder.write(
                #"""
                {"2.png":{"H":1,"box_examples_coordinates":[[[1,2],[1,6],[5,6],[5,2]]],"points":[[3,4],[7.5,8],[99,3]]},
                "3.png":{"box_examples_coordinates":[],"points":[[3,4]]}}
                """#, "annotation_FSC147_384.json")
            try folder.write("2.png\tsea shells\n3.png\tapples\n", "ImageClasses_FSC147.txt")
            try folder.write(#"{"train":["2.png","9.png"],"val":["3.png"]}"#, "Train_Test_Val_FSC_147.json")
            let set = try folder.read(.fsc147, "", split: "train")
            let picture = set.pictures[0]
            #expect(picture.points == [Point(x: 3, y: 4), Point(x: 7.5, y: 8)])
            #expect(picture.exemplars == [Box(x: 1, y: 2, width: 4, height: 4)])
            #expect(picture.present.map { set.categories[$0].name } == ["sea shells"])
            #expect(set.problems[.outside] == 1 && set.problems[.unlabelled] == 1)
            #expect(
                folder.error(.fsc147, "", split: "val")?.contains("none of its 1 pictures is there") == true)
        }
    }

    @Test func aMaskAnObject() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("stage1_train/x/images/x.png", 4, 4)
            var bits = [UInt8](repeating: 0, count: 16)
            bits[5] = 1
            bits[6] = 1
            try folder.write(Mask(width: 4, height: 4, bitmap: bits).pngData(), "stage1_train/x/masks/1.png")
            try folder.write(
                Mask(width: 4, height: 4, bitmap: [UInt8](repeating: 0, count: 16)).pngData(),
                "stage1_train/x/masks/2.png")
            try folder.write("no picture", "stage1_train/x/masks/3.png")
            let set = try folder.read(.masks, "stage1_train", category: "nucleus")
            #expect(set.categories.map(\.name) == ["nucleus"])
            #expect(set.pictures[0].things.map(\.box) == [Box(x: 1, y: 1, width: 2, height: 1)])
            #expect(set.problems[.noArea] == 1 && set.problems[.malformed] == 1)
        }
    }

    @Test func conversations() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("a.png")
            let turns =
                #""conversations":[{"from":"human","value":"<image>\nWhat?"},{"from":"gpt","value":"Grey."}]"#
            try folder.write(
                #"""
                [{"id":"1","image":"a.png",\#(turns)},{"id":2,\#(turns)},{"image":"b.png",\#(turns)},
                {"image":"a.png","conversations":[{"from":"gpt","value":"x"}]}]
                """#, "list.json")
            let set = try folder.read(.conversations, "list.json")
            #expect(set.pictures.count == 1)
            #expect(
                set.pictures[0].dialogues == [
                    .init(
                        id: "1",
                        turns: [.init(isUser: true, text: "What?"), .init(isUser: false, text: "Grey.")])
                ])
            #expect(set.problems[.noPicture] == 1 && set.problems[.missingPicture] == 1)
            #expect(
                set.problems.counts[.malformed]?.first == [
                    "[3].conversations[0]: human and gpt do not take turns"
                ])
            try folder.write(
                "{\"id\":1,\"image\":\"a.png\",\"instruction\":\"Why?\",\"output\":\"So.\"}\n\n{\"image\":\"a.png\",\(turns)}\n{oops\n",
                "lines.jsonl")
            let lines = try folder.read(.conversations, "lines.jsonl")
            #expect(lines.pictures[0].dialogues.map(\.turns[0].text) == ["Why?", "What?"])
            #expect(lines.problems[.malformed] == 1)
        }
    }

    /// As `zhiyuan_objv2_val.json` is published: file names with a folder that the archives do not have, and fields of its own.
    @Test func objects365() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("val/patch8/objects365_v1_00420917.jpg", 40, 30)
            try folder.write(
                #"""
                {"images":[{"height":30,"id":420917,"license":5,"width":40,"url":"",
                "file_name":"images/v1/patch8/objects365_v1_00420917.jpg"}],
                "annotations":[{"id":51,"iscrowd":0,"isfake":0,"isreflected":0,"area":12.06,"image_id":420917,
                "bbox":[3.14,2.5,4.02,3.0],"category_id":93},
                {"id":52,"iscrowd":1,"isfake":0,"isreflected":0,"area":100.0,"image_id":420917,
                "bbox":[10.0,5.0,20.0,5.0],"category_id":1}],
                "categories":[{"name":"Person","id":1},{"name":"Wild Bird","id":93}],
                "licenses":[{"name":"","url":"","id":5}]}
                """#, "zhiyuan_objv2_val.json")
            let set = try folder.read(.coco, "zhiyuan_objv2_val.json")
            let picture = try #require(set.pictures.first)
            #expect((picture.id, picture.width) == (420_917, 40))
            #expect(picture.source.name.hasSuffix("val/patch8/objects365_v1_00420917.jpg"))
            #expect(picture.things.map { set.categories[$0.category].name } == ["Wild Bird", "Person"])
            #expect(picture.things[0].box == Box(x: 3.14, y: 2.5, width: 4.02, height: 3))
            #expect(picture.things.map(\.isCrowd) == [false, true] && set.problems.isEmpty)
        }
    }

    /// As `sharegpt4v_instruct_gpt4-vision_cap100k.json` and `…mix665k….json` are published: pictures of several sets under one
    /// folder, the place holder before or after the question, and records without a picture.
    @Test func shareGPT4V() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("data/coco/train2017/000000000009.jpg")
            try folder.picture("data/sam/images/sa_545504.jpg")
            let long = "In the center of the image, a bowl.\n\nIt is \"green\"; caf\u{e9}."
            func record(_ id: String, _ image: String?, _ turns: [(String, String)]) -> [String: Any] {
                var record: [String: Any] = [
                    "id": id, "conversations": turns.map { ["from": $0.0, "value": $0.1] },
                ]
                record["image"] = image
                return record
            }
            let records = [
                record(
                    "000000000009", "coco/train2017/000000000009.jpg",
                    [
                        ("human", "What do you see happening in this image?\n<image>"), ("gpt", long),
                        ("human", "And left?"), ("gpt", "A fork."),
                    ]),
                record(
                    "sa_545504", "sam/images/sa_545504.jpg", [("human", "<image>\nWhy?"), ("gpt", "So.")]),
                record("text", nil, [("human", "Write a poem."), ("gpt", "Roses.")]),
            ]
            try folder.write(Array(JSONSerialization.data(withJSONObject: records)), "cap100k.json")
            let set = try folder.read(.conversations, "cap100k.json", images: "data")
            #expect(set.pictures.map { $0.dialogues.map(\.id) } == [["000000000009"], ["sa_545504"]])
            let turns = set.pictures[0].dialogues[0].turns
            #expect(
                turns.map(\.text) == [
                    "What do you see happening in this image?", long, "And left?", "A fork.",
                ])
            #expect(turns.map(\.isUser) == [true, false, true, false])
            #expect(set.pictures[1].dialogues[0].turns.map(\.text) == ["Why?", "So."])
            #expect(set.problems[.noPicture] == 1 && set.problems[.missingPicture] == 0)
        }
    }

    @Test func questions() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("val2014/COCO_val2014_000000000042.jpg")
            try folder.picture("images/7.png")
            try folder.picture("images/n23.jpg")
            try folder.write(
                #"{"data_subtype":"val2014","questions":[{"image_id":42,"question":"Red?","question_id":420}]}"#,
                "q.json")
            let answers = ["no", "yes", "yes"].map { "{\"answer\":\"\($0)\",\"answer_id\":1}" }.joined(
                separator: ",")
            try folder.write(
                #"{"annotations":[{"question_id":420,"image_id":42,"answers":[\#(answers)]}]}"#, "a.json")
            let vqa = try folder.read(.vqa, "q.json", labels: "a.json").pictures[0]
            #expect(vqa.id == 42 && vqa.questions[0].answers == ["no", "yes", "yes"])
            #expect(vqa.questions[0].answer == "yes")
            try folder.write(#"[["what?","circle",7],["is it?","no",8],["bad",1]]"#, "questions.json")
            let easy = try folder.read(.vqa, "questions.json")
            #expect(easy.pictures.map(\.questions[0].answer) == ["circle"])
            #expect(easy.problems[.missingPicture] == 1 && easy.problems[.malformed] == 1)
            try folder.write(
                #"{"0012":{"imageId":"n23","question":"Where?","answer":"left","semantic":[{"a":"b"}]}}"#,
                "gqa.json")
            #expect(try folder.read(.vqa, "gqa.json").pictures[0].questions[0].answers == ["left"])
        }
    }

    @Test func davisAndMOT() throws {
        try LabelFolder.temporary { folder in
            for name in ["00000", "00001", "00002"] {
                try folder.picture("JPEGImages/480p/cat/\(name).png", 3, 2)
            }
            try folder.write(LabelFolder.palette(3, 2, [0, 1, 1, 2, 2, 0]), "Annotations/480p/cat/00000.png")
            try folder.write(LabelFolder.palette(2, 2, [0, 1, 1, 2]), "Annotations/480p/cat/00002.png")
            try folder.write("cat\n", "ImageSets/2017/val.txt")
            let davis = try folder.read(.davis, "", split: "val")
            #expect(
                davis.pictures.map(\.frame) == [0, 1, 2]
                    && davis.pictures.map(\.isLabelled) == [true, false, false])
            #expect(davis.pictures[0].things.map(\.track) == [1, 2])
            #expect(
                davis.pictures[0].things.map(\.box) == [
                    Box(x: 1, y: 0, width: 2, height: 1), Box(x: 0, y: 1, width: 2, height: 1),
                ])
            #expect(davis.problems[.otherSize] == 1)

            for frame in 1...2 { try folder.picture("MOT/train/A/img1/00000\(frame).png") }
            try folder.write(
                "[Sequence]\nname=A\nseqLength=2\nimWidth=20\nimHeight=10\nimExt=.png\n",
                "MOT/train/A/seqinfo.ini")
            try folder.write(
                "1,3,2,2,4,4,1,1,0.5\n2,3,3,2,4,4,0,1,1\n2,4,1,1,2,2,1,99,1\n2,x\n", "MOT/train/A/gt/gt.txt")
            let mot = try folder.read(.mot, "MOT", split: "train")
            #expect(mot.pictures.map(\.things.count) == [1, 1] && mot.pictures[0].things[0].track == 3)
            #expect(mot.pictures[1].things[0].isIgnored && mot.pictures[0].things[0].visibility == 0.5)
            #expect(mot.problems[.unknownCategory] == 1 && mot.problems[.malformed] == 1)
        }
    }
}
