/// A small set of each format of labels, with the source that names it. Pictures are not there but where a format takes
/// their size from them.
enum LabelSeeds {
    static let all = [
        FileBundle([
            "source.json": #"{"format":"coco","path":"instances.json"}"#,
            "instances.json": #"""
            {"categories":[{"id":3,"name":"person","keypoints":["nose","tail"],"skeleton":[[1,2]]},{"id":90,"name":"brush"}],
            "annotations":[{"id":7,"image_id":2,"category_id":90,"bbox":[1,2,3.5,4],"area":12.25,"iscrowd":0,
            "segmentation":[[1,2,4.5,2,4.5,6,1,6]]},
            {"id":8,"image_id":2,"category_id":3,"bbox":[0,0,5,5],"area":9,"iscrowd":1,"segmentation":{"size":[10,20],"counts":[5,10,185]}},
            {"id":9,"image_id":1,"category_id":3,"bbox":[2,2,5,5],"keypoints":[3,4,2,0,0,0],"num_keypoints":1}],
            "images":[{"id":1,"file_name":"a.png","width":20,"height":10},{"id":2,"file_name":"b.png","width":20,"height":10}]}
            """#,
            "a.png": "", "b.png": "",
        ]),
        FileBundle([
            "source.json": #"{"format":"coco","path":"captions.json"}"#,
            "captions.json":
                #"{"images":[{"id":1,"file_name":"a.png","width":20,"height":10}],"annotations":[{"id":1,"image_id":1,"caption":"Grey\n\u00e9."}]}"#,
            "a.png": "",
        ]),
        FileBundle([
            "source.json": #"{"format":"coco","path":"aic.json"}"#,
            "aic.json":
                #"[{"image_id":"a.png","human_annotations":{"human1":[2,1,12,9]},"keypoint_annotations":{"human1":[1,2,1,3,4,2,5,6,3,1,2,1,1,2,1,1,2,1,1,2,1,1,2,1,1,2,1,1,2,1,1,2,1,1,2,1,1,2,1,1,2,1]}}]"#,
            "a.png": "",
        ]),
        FileBundle([
            "source.json": #"{"format":"voc","path":"set","split":"train"}"#,
            "set/Annotations/01.xml": """
            <?xml version="1.0"?><annotation><filename>01.png</filename>
            <size><width>20</width><height>10</height><depth>3</depth></size>
            <object><name>dog &amp; cat</name><difficult>1</difficult><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>5</xmax><ymax>7</ymax></bndbox></object>
            <object><name>cat</name><part><name>head</name><bndbox><xmin>9</xmin></bndbox></part><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>10</ymax></bndbox></object>
            </annotation>
            """,
            "set/ImageSets/Main/train.txt": "01\n", "set/JPEGImages/01.png": "",
        ]),
        FileBundle([
            "source.json": #"{"format":"yolo","path":"set/data.yaml"}"#,
            "set/data.yaml":
                "# made\npath: .\ntrain: images/train\nval: images/val\nkpt_shape: [1, 3]\nnames:\n  0: 'red cell'\n  2: dog # a dog\n",
            "set/labels/train/a.txt":
                "0 0.5 0.5 0.5 0.4\n2 0.1 0.2 0.3 0.2 0.3 0.4\n1 0.5 0.5 0.5 0.4 0.25 0.5 2\n",
            "set/images/train/a.png": "",
        ]),
        FileBundle([
            "source.json": #"{"format":"yolo","path":"set","split":"train"}"#,
            "set/classes.txt": "x\ny\n", "set/labels/train/a.txt": "0 0.5 0.5 0.5 0.4\n",
            "set/images/train/a.png": "",
        ]),
        FileBundle([
            "source.json": #"{"format":"openimages","path":"set","split":"train"}"#,
            "set/class-descriptions-boxable.csv": "LabelName,DisplayName\n/m/1,\"Cup, mug\"\n/m/2,Dog\n",
            "set/train-annotations-bbox.csv":
                "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf\n0a,x,/m/1,1,0.25,0.75,0.1,0.5,0,0,0\n0a,x,/m/2,1,0,1,0,1,0,0,1\n",
            "set/train-annotations-human-imagelabels-boxable.csv":
                "ImageID,Source,LabelName,Confidence\n0a,v,/m/1,1\n0a,v,/m/2,0\n",
            "set/train/0a.jpg": "",
        ]),
        FileBundle([
            "source.json": #"{"format":"refcoco","path":"refs.json","labels":"instances.json"}"#,
            "refs.json":
                #"[{"ref_id":5,"image_id":1,"ann_id":1,"split":"val","sentences":[{"sent":"left","sent_id":7},{"sent":"a","sent_id":8}]}]"#,
            "instances.json":
                #"{"images":[{"id":1,"file_name":"a.jpg","width":20,"height":10}],"categories":[{"id":1,"name":"cat"}],"annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[1,2,4,5]}]}"#,
            "a.jpg": "",
        ]),
        FileBundle([
            "source.json": #"{"format":"vqa","path":"questions.json","labels":"answers.json"}"#,
            "questions.json":
                #"{"questions":[{"image_id":1,"question":"What colour?","question_id":10}]}"#,
            "answers.json":
                #"{"annotations":[{"question_id":10,"image_id":1,"question_type":"what","answer_type":"other","multiple_choice_answer":"red","answers":[{"answer":"red","answer_id":1}]}]}"#,
        ]),
        FileBundle([
            "source.json": #"{"format":"conversations","path":"talk.json"}"#,
            "talk.json":
                #"[{"id":"1","image":"a.jpg","conversations":[{"from":"human","value":"<image>\nWhat?"},{"from":"gpt","value":"A."}]}]"#,
            "a.jpg": "",
        ]),
        FileBundle([
            "source.json": #"{"format":"mot","path":"set"}"#,
            "set/v/gt/gt.txt": "1,1,2,3,10,12,1,1,0.5\n2,1,3,3,10,12,1,1,1\n2,2,30,3,10,12,1,3,1\n",
            "set/v/seqinfo.ini":
                "[Sequence]\nname=v\nimDir=img1\nframeRate=30\nseqLength=2\nimWidth=60\nimHeight=40\nimExt=.jpg\n",
            "set/v/img1/000001.jpg": "", "set/v/img1/000002.jpg": "",
        ]),
        FileBundle([
            "source.json": #"{"format":"fsc147","path":"set","split":"train"}"#,
            "set/annotation_FSC147_384.json":
                #"{"2.jpg":{"H":384,"W":512,"box_examples_coordinates":[[[1,2],[1,9],[8,9],[8,2]]],"points":[[4.5,5],[30,40]],"density_path":"x","density_path_fixed":"y"}}"#,
            "set/Train_Test_Val_FSC_147.json": #"{"train":["2.jpg"],"val":[],"test":[]}"#,
            "set/ImageClasses_FSC147.txt": "2.jpg\tsea shells\n", "set/images_384_VarV2/2.jpg": "",
        ]),
        FileBundle([
            "source.json": #"{"format":"masks","path":"set","category":"nucleus"}"#,
            "set/a/images/a.png": "", "set/a/masks/1.png": "",
        ]),
    ]
}
