import Datasets
import Testing

/// The format of a folder and its parts are found by what lies in it.
@Suite struct FolderDetectionTests {
    private static func xml(_ file: String) -> String {
        """
        <annotation><filename>\(file)</filename><size><width>20</width><height>10</height></size>
        <object><name>raccoon</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object>
        </annotation>
        """
    }

    private static func coco(_ files: [String]) -> String {
        let images = files.enumerated().map {
            "{\"id\": \($0.offset + 1), \"file_name\": \"\($0.element)\", \"width\": 20, \"height\": 10}"
        }
        let annotations = files.indices.map {
            "{\"id\": \($0 + 1), \"image_id\": \($0 + 1), \"category_id\": 1, \"bbox\": [2, 2, 5, 5], \"iscrowd\": 0, \"area\": 25}"
        }
        return
            "{\"images\": [\(images.joined(separator: ","))], \"annotations\": [\(annotations.joined(separator: ","))], \"categories\": [{\"id\": 1, \"name\": \"raccoon\"}]}"
    }

    /// The parts that are found: their format, and the names of their pictures; after that the notes.
    private func found(_ folder: LabelFolder) throws -> (parts: [String: [String]], notes: [String]) {
        let labels = try FolderLabels(in: folder.path)
        var parts: [String: [String]] = [:]
        for (part, source) in labels.sources {
            let set = try LabelledSet.read(source)
            #expect(set.pictures.allSatisfy { !$0.things.isEmpty }, "\(set.problems.summary)")
            parts["\(source.format.rawValue) \(part)"] = set.pictures.map(\.fileName)
        }
        return (parts, labels.notes)
    }

    @Test(arguments: [
        ("annotations", "images"), ("Annotations", "JPEGImages"), ("annots", "images"), ("xmls", "pictures"),
        ("", "images"), ("", ""),
    ])
    func pascalVOC(labels: String, images: String) throws {
        try LabelFolder.temporary { folder in
            func path(_ part: String, _ name: String) -> String { part.isEmpty ? name : "\(part)/\(name)" }
            for name in ["a", "b"] {
                try folder.write(Self.xml("\(name).png"), path(labels, "\(name).xml"))
                try folder.picture(path(images, "\(name).png"))
            }
            let (parts, notes) = try found(folder)
            #expect(parts == ["voc train": ["a.png", "b.png"]])
            #expect(notes.first?.hasPrefix("labels: voc, known by 2 .xml files") == true, "\(notes)")
        }
    }

    /// As BCCD is published: a folder down, with lists of its parts.
    @Test func pascalVOCWithListsBelow() throws {
        try LabelFolder.temporary { folder in
            for name in ["a", "b", "c", "d"] {
                try folder.write(Self.xml("\(name).png"), "BCCD/Annotations/\(name).xml")
                try folder.picture("BCCD/JPEGImages/\(name).png")
            }
            for (list, names) in [("train", "a\nb"), ("val", "c"), ("trainval", "a\nb\nc"), ("test", "d")] {
                try folder.write(names, "BCCD/ImageSets/Main/\(list).txt")
            }
            #expect(
                try found(folder).parts == [
                    "voc train": ["a.png", "b.png"], "voc validation": ["c.png"], "voc test": ["d.png"],
                ])
        }
    }

    @Test func cocoInAnnotations() throws {
        try LabelFolder.temporary { folder in
            for (part, name) in [("train2017", "a.png"), ("val2017", "b.png")] {
                try folder.write(Self.coco([name]), "annotations/instances_\(part).json")
                try folder.write(
                    "{\"images\": [], \"annotations\": []}", "annotations/captions_\(part).json")
                try folder.picture("\(part)/\(name)")
            }
            let (parts, notes) = try found(folder)
            #expect(parts == ["coco train": ["a.png"], "coco validation": ["b.png"]])
            #expect(notes.contains { $0.contains("2 files of COCO's form for train") }, "\(notes)")
        }
    }

    /// As Roboflow writes it: a folder a part, with its own file.
    @Test func foldersThatArePartsOfOneSet() throws {
        try LabelFolder.temporary { folder in
            for part in ["train", "valid", "test"] {
                try folder.write(Self.coco(["\(part).png"]), "\(part)/_annotations.coco.json")
                try folder.picture("\(part)/\(part).png")
            }
            #expect(
                try found(folder).parts == [
                    "coco train": ["train.png"], "coco validation": ["valid.png"], "coco test": ["test.png"],
                ])
        }
        try LabelFolder.temporary { folder in
            for part in ["train", "valid"] {
                try folder.write(Self.xml("\(part).png"), "\(part)/\(part).xml")
                try folder.picture("\(part)/\(part).png")
            }
            #expect(
                try found(folder).parts == ["voc train": ["train.png"], "voc validation": ["valid.png"]])
        }
    }

    @Test func cocoWhosePicturesLieElsewhere() throws {
        try LabelFolder.temporary { folder in
            try folder.write(Self.coco(["a.png"]), "labels.json")
            try folder.picture("photos/summer/a.png")
            #expect(try found(folder).parts == ["coco train": ["a.png"]])
        }
    }

    @Test func yoloWithItsFile() throws {
        try LabelFolder.temporary { folder in
            try folder.write(
                "train: images/train\nval: images/val\ntest:\nnames:\n  0: raccoon\n", "data.yaml")
            for part in ["train", "val"] {
                try folder.yolo("images/\(part)/\(part).png", "labels/\(part)/\(part).txt")
            }
            #expect(
                try found(folder).parts == ["yolo train": ["train.png"], "yolo validation": ["val.png"]])
        }
        // COCO128's own file names one folder for both.
        try LabelFolder.temporary { folder in
            try folder.write("train: images\nval: images\nnames: [raccoon]\n", "coco8.yaml")
            try folder.yolo("images/a.png", "labels/a.txt")
            let (parts, notes) = try found(folder)
            #expect(parts == ["yolo train": ["a.png"]])
            #expect(notes.contains { $0.contains("the same pictures as val") }, "\(notes)")
        }
    }

    @Test func yoloWithoutItsFile() throws {
        try LabelFolder.temporary { folder in
            try folder.write("raccoon\n", "classes.txt")
            for part in ["train", "val"] {
                try folder.yolo("images/\(part)/\(part).png", "labels/\(part)/\(part).txt")
            }
            #expect(
                try found(folder).parts == ["yolo train": ["train.png"], "yolo validation": ["val.png"]])
        }
        try LabelFolder.temporary { folder in
            try folder.write("raccoon\n", "classes.txt")
            for part in ["train", "valid"] {
                try folder.yolo("\(part)/images/\(part).png", "\(part)/labels/\(part).txt")
            }
            #expect(
                try found(folder).parts == ["yolo train": ["train.png"], "yolo validation": ["valid.png"]])
        }
        try LabelFolder.temporary { folder in
            try folder.write("raccoon\n", "classes.txt")
            try folder.yolo("a.png", "a.txt")
            #expect(try found(folder).parts == ["yolo train": ["a.png"]])
        }
    }

    @Test func masks() throws {
        try LabelFolder.temporary { folder in
            for name in ["a", "b"] {
                try folder.picture("stage1_train/\(name)/images/\(name).png", tone: name == "a" ? 90 : 200)
                try folder.write(
                    LabelFolder.palette(20, 10, [UInt8](repeating: 1, count: 200)),
                    "stage1_train/\(name)/masks/1.png")
            }
            #expect(try found(folder).parts == ["masks train": ["a.png", "b.png"]])
        }
    }

    @Test func openImages() throws {
        try LabelFolder.temporary { folder in
            try folder.write("/m/1,Raccoon\n", "class-descriptions-boxable.csv")
            let title = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax"
            for part in ["train", "validation"] {
                try folder.write(
                    "\(title)\n\(part),x,/m/1,1,0.1,0.5,0.1,0.5\n", "\(part)-annotations-bbox.csv")
                try folder.picture("\(part)/\(part).jpg")
            }
            let labels = try FolderLabels(in: folder.path)
            #expect(labels.train.format == .openImages && labels.train.split == "train")
            #expect(labels.validation?.split == "validation" && labels.test == nil)
        }
    }

    @Test func severalFormatsAreSaidWithTheReason() throws {
        try LabelFolder.temporary { folder in
            try folder.write(Self.xml("a.png"), "annotations/a.xml")
            try folder.write(Self.coco(["a.png"]), "labels.json")
            try folder.picture("images/a.png")
            let (parts, notes) = try found(folder)
            #expect(parts == ["coco train": ["a.png"]])
            #expect(
                notes.contains { $0.hasPrefix("there is voc too") && $0.contains("can hold outlines") },
                "\(notes)")
        }
    }

    @Test func nothingAndTooMuchAreErrorsThatSayWhatWasLookedFor() throws {
        try LabelFolder.temporary { folder in
            try folder.picture("pictures/a.png")
            try folder.write("filename,class,xmin\n", "pictures/table.csv")
            let error = #expect(throws: LabelError.self) { _ = try FolderLabels(in: folder.path) }
            let text = "\(try #require(error))"
            for part in ["Pascal VOC", "COCO", "YOLO", "1 .csv files", "1 pictures"] {
                #expect(text.contains(part), "\(text)")
            }
        }
        try LabelFolder.temporary { folder in
            for name in ["north", "south"] {
                try folder.write(Self.xml("\(name).png"), "\(name)/\(name).xml")
                try folder.picture("\(name)/\(name).png")
            }
            let error = #expect(throws: LabelError.self) { _ = try FolderLabels(in: folder.path) }
            #expect("\(try #require(error))".contains("2 sets of labels of the format \"voc\""))
        }
        let error = #expect(throws: LabelError.self) { _ = try FolderLabels(in: "/nowhere") }
        #expect("\(try #require(error))".contains("there is no such folder"))
    }
}

extension LabelFolder {
    /// A picture with one thing in the middle, of the first class.
    fileprivate func yolo(_ picture: String, _ labels: String) throws {
        try self.picture(picture)
        try write("0 0.5 0.5 0.4 0.4\n", labels)
    }
}
