import Text

/// Which sentences a request may be put into: those that a model is trained on, or those kept to test whether it
/// understands a wording that it never read.
public struct MosaicPhrasing: Sendable, Hashable {
    let isUnseen: Bool

    /// The sentences to train on, about four fifths.
    public static let training = MosaicPhrasing(isUnseen: false)
    /// The others: mostly known words in constructions never trained on.
    public static let unseen = MosaicPhrasing(isUnseen: true)

    func sentence(_ templates: MosaicTemplates, using random: inout some RandomNumberGenerator) -> String {
        Self.sentence(of: isUnseen ? templates.unseen : templates.training, using: &random)
    }

    /// One that is a command, which can be joined: "find …" but not "where is …?".
    func command(_ templates: MosaicTemplates, using random: inout some RandomNumberGenerator) -> String {
        Self.sentence(
            of: isUnseen ? templates.unseenCommands : templates.trainingCommands, using: &random)
    }

    /// What may stand around a command. An unseen command may stand in a known frame too.
    func frame(using random: inout some RandomNumberGenerator) -> String {
        let frames = MosaicTemplates.frames
        return Self.sentence(of: frames.training + (isUnseen ? frames.unseen : []), using: &random)
    }

    /// First a line, then one of its choices, so that lines with many choices are not heard more often.
    private static func sentence(
        of lines: [[String]], using random: inout some RandomNumberGenerator
    ) -> String {
        random.element(of: random.element(of: lines))
    }
}

/// Sentences with gaps, one a line; "(a|b)" stands for either.
///
/// `{one}` and `{many}` are a noun phrase without an article, `{a}` one with "a" or "an", `{the}` one with "the", `{what}`
/// a word such as "color". A question ends in "?", a statement in ".", a command in neither.
struct MosaicTemplates: Sendable {
    /// By line, each with all its choices.
    let training: [[String]]
    let unseen: [[String]]
    let trainingCommands: [[String]]
    let unseenCommands: [[String]]

    private init(_ training: String, unseen: String) {
        func commands(_ lines: [[String]]) -> [[String]] {
            lines.map { $0.filter { !$0.hasSuffix("?") && !$0.hasSuffix(".") } }.filter { !$0.isEmpty }
        }
        let unseen = unseen.split(separator: "\n").map(String.init)
        self.training = training.split(separator: "\n").map { line in
            Self.expanded(String(line)).filter { !unseen.contains($0) }
        }
        self.unseen = unseen.map { [$0] }
        trainingCommands = commands(self.training)
        unseenCommands = commands(self.unseen)
    }

    /// A line with each choice of words made in turn: "(a|b) c" is "a c" and "b c".
    private static func expanded(_ line: String) -> [String] {
        guard let open = line.firstIndex(of: "("), let close = line[open...].firstIndex(of: ")") else {
            return [line]
        }
        let rest = expanded(String(line[line.index(after: close)...]))
        return line[line.index(after: open)..<close].split(separator: "|", omittingEmptySubsequences: false)
            .flatMap { choice in rest.map { line[..<open] + choice + $0 } }
    }

    // MARK: Places

    /// For all instances, what is wanted of them.
    static func all(_ response: LocateResponse) -> MosaicTemplates {
        switch response {
        case .boxes: detection
        case .masks: segmentation
        case .points: points
        case .keypoints: keypoints
        case .count: count
        }
    }

    /// For one thing, what is wanted of it; nil for a count.
    static func one(_ response: LocateResponse) -> MosaicTemplates? {
        switch response {
        case .boxes: grounding
        case .masks: referringSegmentation
        case .points: onePoint
        case .keypoints: oneKeypoints
        case .count: nil
        }
    }

    private static let detection = MosaicTemplates(
        """
        find every {one}
        find all {many}
        find all the {many}
        find the {many}
        find each {one}
        find me every {one} that you can see
        detect all {many}
        detect every {one}
        detect the {many} in this picture
        box the {many}
        box every {one}
        where are the {many}?
        where are all the {many}?
        where are all of the {many} in this image?
        where do you see {many}?
        at which places are {many}?
        locate all {many}
        locate every {one}
        draw a box around every {one}
        draw boxes around all {many}
        put a box on each {one}
        put boxes around the {many}
        show me all {many}
        show me every {one}
        show me where all the {many} are
        give me boxes for the {many}
        give me the box of every {one}
        give the location of each {one}
        what are the locations of all {many}?
        look for all {many}
        look through the picture for {many}
        mark every {one} with a box
        search the image for {many}
        spot every {one}
        identify all {many}
        list the boxes of all {many}
        I am looking for all {many}.
        I want to see every {one}.
        I would like a box for each {one}.
        (find|detect|locate|spot|box|identify|show me) (all|all the|all of the|the) {many}(| in the image| that you see| here)
        (find|detect|locate|spot|box|identify|show me) (each|every|every single) {one}(| in the image| that you see| here)
        (draw|put|set|make) (boxes|bounding boxes) (around|on|over) (all|all of the|the) {many}
        (give me|tell me|show me) the (boxes|places|locations|positions) of (all|all of the|the) {many}
        (I want|I need) the (boxes|places|locations|positions) of (all|all of the|the) {many}.
        (where in this picture|where in the image|in which places) (are|can I find|do you find) (all the|the) {many}?
        (look at|go through|examine) (the picture|this image) and (find|locate|mark|show me) (all|all the|the) {many}
        (look at|go through|examine) (the picture|this image) and (tell me|show me|say) where (all the|the) {many} are
        (search|scan) (the picture|this image) and (put|draw) a box (on|around) (each|every) {one}
        I would like to (see|locate|have boxes of) (all|all of the|the) {many}.
        search for (all|all the|the) {many}(| here)
        I am (searching|looking) here for (all|all the|every one of the) {many}.
        show the (place|position|box) of (each|every) {one}
        """,
        unseen: """
            spot all of the {many} in this image
            what are the boxes of the {many}?
            I would like to find all the {many}.
            show the location of every {one}
            identify each {one} with a box
            at which places do you see {many}?
            look through the image and box all {many}
            search for every {one} in the picture
            I am looking for each {one} here.
            """)

    private static let segmentation = MosaicTemplates(
        """
        segment every {one}
        segment all {many}
        segment the {many}
        segment each {one} in the picture
        outline every {one}
        outline all {many}
        outline the {many}
        outline each of the {many}
        cut out every {one}
        cut out all the {many}
        cut all {many} out of the picture
        mask every {one}
        mask all {many}
        mask the {many}
        make a mask of every {one}
        trace each {one}
        trace the {many}
        trace the outlines of the {many}
        trace around every {one}
        give me masks for all {many}
        give me the mask of every {one}
        draw the outlines of all {many}
        draw an outline around each {one}
        extract all {many}
        extract every {one} from the image
        separate the {many} from the background
        separate every {one} from everything else
        which pixels belong to the {many}?
        what are the exact outlines of the {many}?
        show the exact shape of every {one}
        show me the masks of the {many}
        find the pixels of every {one}
        color in the pixels of all {many}
        I want the masks of all {many}.
        I would like an outline of every {one}.
        (segment|outline|mask|trace|cut out|extract) (all|all the|all of the|the) {many}(| in the image| that you see| here)
        (segment|outline|mask|trace|cut out|extract) (each|every|every single) {one}(| in the image| that you see| here)
        (draw|show|give me|make) (masks|outlines|the masks|the outlines|the pixels) of (all|all of the|the) {many}
        (I want|I need) (masks|outlines|the masks|the outlines|the pixels) of (all|all of the|the) {many}.
        (what are|where are) the (pixels|outlines|exact shapes) of (all the|the) {many}?
        which pixels (show|are part of|lie on) (all the|the) {many}?
        which pixels do (all|all of the) {many} (cover|fill)?
        what (outline|mask|exact shape) does (each|every) {one} have?
        I (want|need) (each|every) {one} (outlined|masked|cut out).
        (show|trace) the exact (outline|shape) of (all|all of the|the) {many}
        make (one mask|an outline) for (each|every) {one}
        draw the pixels that (show|make up) (all the|the) {many}
        (look at|go through|examine) (the picture|this image) and (outline|segment|mask|cut out) (all|all the|the) {many}
        (search|scan) (the picture|this image) and (trace|outline) (each|every) {one}
        """,
        unseen: """
            which pixels do the {many} have?
            I want all the {many} cut out.
            draw the exact outline of each {one}
            make masks for the {many}
            trace around all of the {many}
            show the pixels that belong to each {one}
            separate all {many} from everything else
            what are the masks of the {many}?
            """)

    private static let points = MosaicTemplates(
        """
        point at every {one}
        point at all {many}
        point to every {one}
        point to the {many}
        point out all {many}
        mark the {many} with points
        mark every {one} with a point
        mark all {many} with points
        put a point on each {one}
        put points on all {many}
        place a point on every {one}
        click on every {one}
        click on all {many}
        show the {many} as points
        give me one point for each {one}
        give me points on all {many}
        where should I click to hit every {one}?
        which points lie on the {many}?
        I want a point on each of the {many}.
        I would like to click on every {one}.
        (point at|point to|point out|click on|click) (all|all the|all of the|the) {many}(| in the image| that you see| here)
        (point at|point to|point out|click on|click) (each|every|every single) {one}(| in the image| that you see| here)
        (put|place|draw|give me) points on (all|all the|every one of the) {many}
        (I want|I need) points on (all|all the|every one of the) {many}.
        (where|at which points) (should I|can I|must I) (click|point) for (all the|the) {many}?
        set (a point|one point) on (each|every) {one}
        where do I (click|point) to (reach|get) (all the|every one of the) {many}?
        show me (points|one point each) for (all|all of the|the) {many}
        I would like (a point|one point) for (each|every) {one}.
        (look at|go through|examine) (the picture|this image) and (click on|point at|point out) (all|all the|the) {many}
        """,
        unseen: """
            set points on all {many}
            place one point on each of the {many}
            where do I click to hit all {many}?
            show me a point for every {one}
            I would like points on the {many}.
            """)

    private static let keypoints = MosaicTemplates(
        """
        find the keypoints of every {one}
        find the joints of all {many}
        show the joints of the {many}
        show me the body joints of all {many}
        show the pose of each {one}
        estimate the pose of every {one}
        estimate the poses of all {many}
        detect the poses of the {many}
        detect the keypoints of each {one}
        what is the pose of each {one}?
        what are the poses of the {many}?
        where are the joints of the {many}?
        draw the skeleton of every {one}
        draw the skeletons of the {many}
        mark the joints of every {one}
        give me the keypoints of the {many}
        I want the skeletons of all {many}.
        I would like to see the joints of each {one}.
        (find|show|draw|mark|detect|estimate|give me) the (joints|poses|keypoints|skeletons) of (all|all the|all of the|the) {many}
        (I want|I need) the (joints|poses|keypoints|skeletons) of (all|all the|all of the|the) {many}.
        (find|show|draw|mark|detect|estimate|give me) the (joints|pose|keypoints|skeleton) of (each|every|every single) {one} here
        (I want|I need) the (joints|pose|keypoints|skeleton) of (each|every|every single) {one} here.
        I would like (joints|keypoints|skeletons|poses) for (all|all of the|the) {many}.
        (look at|go through|examine) (the picture|this image) and (draw|mark|find) the (joints|skeletons|poses) of (all|all the|the) {many}
        """,
        unseen: """
            what are the keypoints of every {one}?
            show the skeleton of each {one}
            where are the body joints of all {many}?
            I would like the pose of every {one}.
            mark the keypoints of all {many}
            """)

    private static let count = MosaicTemplates(
        """
        how many {many} are there?
        how many {many} can you see?
        how many {many} do you see?
        how many {many} are in the picture?
        how many {many} are in this image?
        how many {many} does the image show?
        how many {many} are here?
        count the {many}
        count all {many}
        count every {one}
        count how many {many} there are
        what is the number of {many}?
        tell me how many {many} there are
        tell me the number of {many}
        give me the count of the {many}
        say how many {many} you see
        find out how many {many} there are
        I want to know how many {many} there are.
        (count|let me know) the number of {many}(| in the image| that you see| here)
        (tell me|say|find out) how many {many} (you can find|are here|the picture has|I see here)
        I need to know how many {many} (you can find|are here|the picture has|I see here).
        how many {many} (can I find|are shown|does it show|have you found)?
        (count|count up) (each|every single) {one}
        (count|count up) (all of the|all the) {many}
        what (count|total number) of {many} (do you find|can you see)?
        how many {many} (does this image have|does this photo show)?
        I would like (to hear|to find out|you to say) how many {many} there are.
        (look at|go through|examine) (the picture|this image) and count (all|all the|the) {many}
        (look at|go through|examine) (the picture|this image) and (tell me|say) how many {many} there are
        """,
        unseen: """
            what number of {many} do you see?
            give me the number of {many} in the picture
            how many {many} does this picture show?
            I would like to know the number of {many}.
            count each {one} in the image
            """)

    private static let grounding = MosaicTemplates(
        """
        find {the}
        find {the} for me
        where is {the}?
        where's {the}?
        where can I find {the}?
        where do you see {the}?
        where in the picture is {the}?
        at which place is {the}?
        locate {the}
        detect {the}
        box {the}
        draw a box around {the}
        put a box around {the}
        put a box on {the}
        show me {the}
        show {the}
        show me where {the} is
        tell me where {the} is
        give me the box of {the}
        give me a box for {the}
        give the location of {the}
        what is the location of {the}?
        look for {the}
        look through the image for {the}
        mark {the} with a box
        search the picture for {the}
        spot {the}
        identify {the} with a box
        I am looking for {the}.
        I want to see {the}.
        I would like a box around {the}.
        (find|detect|locate|spot|box|identify|show me) {the}(| in the image| that you see| here)
        (draw|put|set|make) (a box|one box|the box|a bounding box) (around|on|over) {the}
        (give me|tell me|show me) the (box|place|location|position) of {the}
        (I want|I need) the (box|place|location|position) of {the}.
        (where in this picture|where in the image|in which place) (is|can I find|do you find) {the}?
        (look at|go through|examine) (the picture|this image) and (find|locate|mark|show me) {the}
        (look at|go through|examine) (the picture|this image) and (tell me|show me|say) where {the} is
        (search|scan) (the picture|this image) and (put|draw) a box (on|around) {the}
        I would like to (see|locate|have the box of) {the}.
        search for {the}(| here)
        I (want|need) (one box|the box) (around|over) {the}.
        show the (place|position|box) of {the}
        """,
        unseen: """
            at which place do you see {the}?
            I would like to find {the}.
            what is the box of {the}?
            search for {the} in the image
            show the location of {the}
            tell me the place of {the}
            I want a box on {the}.
            spot {the} in this picture
            """)

    private static let referringSegmentation = MosaicTemplates(
        """
        outline {the}
        segment {the}
        segment {the} for me
        cut out {the}
        cut {the} out of the picture
        mask {the}
        make a mask of {the}
        trace {the}
        trace the outline of {the}
        trace around {the}
        extract {the}
        give me the mask of {the}
        give me the outline of {the}
        draw the outline of {the}
        draw an outline around {the}
        show the exact shape of {the}
        show me the mask of {the}
        separate {the} from the background
        which pixels belong to {the}?
        find the pixels of {the}
        color in the pixels of {the}
        I want the mask of {the}.
        I would like an outline of {the}.
        (segment|outline|mask|trace|cut out|extract) {the}(| in the image| that you see| here)
        (draw|show|give me|make) (a mask|an outline|the mask|the outline|the pixels) of {the}
        (I want|I need) (a mask|an outline|the mask|the outline|the pixels) of {the}.
        (what are|where are) the (pixels|outlines) of {the}?
        which pixels (show|are part of|lie on) {the}?
        which pixels does {the} (cover|fill)?
        what (outline|mask|exact shape) does {the} have?
        I need {the} (outlined|masked|cut out).
        I want {the} (outlined|masked).
        (show|trace) the exact outline of {the}
        make (one mask|an outline) for {the}
        draw the pixels that (show|make up) {the}
        what is the (outline|exact shape) of {the}?
        cut {the} out from everything else
        (look at|go through|examine) (the picture|this image) and (outline|segment|mask|cut out) {the}
        """,
        unseen: """
            which pixels does {the} have?
            I want {the} cut out.
            draw the exact outline of {the}
            separate {the} from everything else
            what is the mask of {the}?
            show the pixels that belong to {the}
            """)

    private static let onePoint = MosaicTemplates(
        """
        point at {the}
        point to {the}
        point out {the}
        mark {the} with a point
        put a point on {the}
        place a point on {the}
        set a point on {the}
        click on {the}
        show {the} as a point
        give me a point on {the}
        where should I click to hit {the}?
        where do I click for {the}?
        which point lies on {the}?
        I want a point on {the}.
        I would like to click on {the}.
        (point at|point to|point out|click on|click) {the}(| in the image| that you see| here)
        (put|place|draw|give me) (a point|one point) on {the}
        (I want|I need) (a point|one point) on {the}.
        (where|at which point) (should I|can I|must I) (click|point) for {the}?
        where do I (click|point) to (reach|get) {the}?
        show me (one point|the point) (for|over) {the}
        I would like (a point|one point) on {the}.
        (look at|go through|examine) (the picture|this image) and (click on|point at|point out) {the}
        """,
        unseen: """
            where do I click to hit {the}?
            give me one point for {the}
            show me a point on {the}
            I would like to point at {the}.
            """)

    private static let oneKeypoints = MosaicTemplates(
        """
        find the keypoints of {the}
        find the joints of {the}
        show the joints of {the}
        show me the body joints of {the}
        show the pose of {the}
        estimate the pose of {the}
        detect the pose of {the}
        detect the keypoints of {the}
        what is the pose of {the}?
        where are the joints of {the}?
        draw the skeleton of {the}
        mark the joints of {the}
        give me the keypoints of {the}
        I want the skeleton of {the}.
        I would like to see the joints of {the}.
        (find|show|draw|mark|detect|estimate|give me) the (joints|pose|keypoints|skeleton) of {the}( here| in the image)
        (I want|I need) the (joints|pose|keypoints|skeleton) of {the}( here| in the image).
        what are the (joints|body joints) of {the}?
        I would like (the joints|a skeleton|keypoints) for {the}.
        (look at|go through|examine) (the picture|this image) and (draw|mark|find) the (joints|skeleton|pose) of {the}
        """,
        unseen: """
            what are the keypoints of {the}?
            show the skeleton of {the}
            where are the body joints of {the}?
            I would like the pose of {the}.
            """)

    // MARK: Questions

    static let exist = MosaicTemplates(
        """
        is there {a}?
        is there {a} in the picture?
        is there {a} here?
        is there {a} anywhere?
        is there any {one}?
        is there any {one} in this image?
        are there any {many}?
        are there any {many} in the picture?
        are there {many} here?
        can you see {a}?
        do you see {a}?
        do you see any {many}?
        does the picture show {a}?
        does the image show any {many}?
        tell me whether there is {a}
        tell me if there are any {many}
        say whether you see {a}
        I want to know whether there is {a}.
        (tell me|say|find out) (if|whether) (there is {a}|there are {many}|you can see {a}|the picture has {a})
        I need to know (if|whether) (there is {a}|there are {many}|you can see {a}|the picture has {a}).
        (can I see|do I see|does it show) {a} (here|in this image|anywhere)?
        does this (have|contain) {a}?
        does this image (have|contain) any {many}?
        say (if|whether) there are any {many}
        I would like to (hear|find out) (if|whether) there (is {a}|are any {many}).
        (look at|go through|examine) (the picture|this image) and (tell me|say) (if|whether) there (is {a}|are any {many})
        """,
        unseen: """
            can you see any {many} in the image?
            does this picture show {a}?
            are any {many} in this image?
            say if there is any {one}
            I would like to know if you see {a}.
            """)

    /// For `{what}` one of "color", "shape", "pattern" and "size".
    static let attribute = MosaicTemplates(
        """
        what {what} is {the}?
        which {what} is {the}?
        what {what} does {the} have?
        which {what} does {the} have?
        what is the {what} of {the}?
        what {what} does {the} have in the picture?
        of what {what} is {the}?
        tell me the {what} of {the}
        tell me what {what} {the} is
        tell me what {what} {the} has
        say which {what} {the} has
        name the {what} of {the}
        do you know what {what} {the} is?
        can you see what {what} {the} is?
        I want to know the {what} of {the}.
        I want to know which {what} {the} is.
        say what {what} {the} has
        I would like to (hear|find out) (what|which) {what} {the} (has|is).
        (look at|examine) (the picture|this image) and (tell me|name) the {what} of {the}
        """,
        unseen: """
            do you know the {what} of {the}?
            of which {what} is {the}?
            name the {what} that {the} has
            say what {what} {the} is
            I would like to know which {what} {the} has.
            """)

    static let shirt = MosaicTemplates(
        """
        what color is {the}'s shirt?
        which color is {the}'s shirt?
        what color does {the} wear?
        what is the color of {the}'s shirt?
        what color is the shirt of {the}?
        what shirt color does {the} have?
        what color of shirt does {the} wear?
        what color is {the} dressed in?
        in what color is {the} dressed?
        tell me the color of {the}'s shirt
        tell me what color {the} wears
        say which color {the}'s shirt is
        name the color of {the}'s shirt
        do you know what color {the}'s shirt is?
        I want to know what color {the} wears.
        say what color the shirt of {the} has
        do you know which color {the} wears?
        I would like to (hear|find out) (what|which) color {the} wears.
        (look at|examine) (the picture|this image) and tell me the color of {the}'s shirt
        """,
        unseen: """
            which color does {the} wear?
            tell me what color the shirt of {the} is
            do you know the color of {the}'s shirt?
            in which color is {the} dressed?
            """)

    static let identity = MosaicTemplates(
        """
        what is {the}?
        what kind of thing is {the}?
        what kind of object is {the}?
        which kind of thing is {the}?
        what sort of thing is {the}?
        what do you call {the}?
        what is {the} called?
        what is {the} in the picture?
        what can {the} be?
        tell me what {the} is
        tell me what kind of thing {the} is
        say what {the} is
        name {the}
        do you know what {the} is?
        I want to know what {the} is.
        what sort of thing do you call {the}?
        say what {the} is called
        I would like to (hear|find out) what {the} is.
        I would like to (hear|find out) what (kind|sort) of thing {the} is.
        tell me what kind of object {the} is
        (look at|examine) (the picture|this image) and (tell me|say) what {the} is
        """,
        unseen: """
            what sort of object is {the}?
            do you know what kind of thing {the} is?
            tell me what {the} is called
            I would like to know what kind of object {the} is.
            """)

    /// For `{where}` a relation such as "left of".
    static let relation = MosaicTemplates(
        """
        is {the} {where} {anchor}?
        is {the} {where} {anchor} in the picture?
        is {the} located {where} {anchor}?
        is {the} placed {where} {anchor}?
        is {the} somewhere {where} {anchor}?
        is it true that {the} is {where} {anchor}?
        is it right that {the} is {where} {anchor}?
        would you say that {the} is {where} {anchor}?
        do you think that {the} is {where} {anchor}?
        {the} is {where} {anchor}, right?
        tell me whether {the} is {where} {anchor}
        tell me if {the} is {where} {anchor}
        say whether {the} is {where} {anchor}
        find out whether {the} is {where} {anchor}
        I want to know whether {the} is {where} {anchor}.
        do you (say|believe) {the} is {where} {anchor}?
        would you think that {the} is located {where} {anchor}?
        find out if {the} is {where} {anchor}
        {the} is {where} {anchor}, is that true?
        I would like to (hear|find out) (if|whether) {the} is {where} {anchor}.
        (look at|examine) (the picture|this image) and (tell me|say) (if|whether) {the} is {where} {anchor}
        """,
        unseen: """
            do you think {the} is {where} {anchor}?
            would you say {the} is located {where} {anchor}?
            say if {the} is {where} {anchor}
            {the} is {where} {anchor}, true?
            """)

    static let caption = MosaicTemplates(
        """
        describe the image
        describe the picture
        describe this image in one sentence
        describe what you see
        what is in the picture?
        what is in this image?
        what do you see?
        what can you see in this picture?
        what does the image show?
        what things are in the picture?
        which things do you see here?
        tell me what you see
        tell me what is in the image
        list everything in the picture
        give me a short description
        caption this image
        I want to know what is in the picture.
        (describe|caption|summarize) (the|this) (image|picture|scene) (for me|briefly|in a few words)
        what (objects|things|kinds of things) (are there|do you see|can you find|are shown)?
        what does this (image|scene|photo) show?
        (name|describe) everything (in this image|that is here|there is)
        tell me (what kinds of things|which objects) (you see|there are)
        (give me|write) a description of (this image|this scene|what you see)
        (list|name) (the things|the objects|all things) (in the image|that there are|that are shown here)
        (look at|examine) (the picture|this image) and (describe it|say what you see|tell me what is there)
        """,
        unseen: """
            what does this picture show?
            describe everything you see
            tell me which things are in the image
            give a description of the picture
            list the things that you see here
            """)

    // MARK: Around and between

    /// What may stand around a command.
    static let frames = MosaicTemplates(
        """
        please {}
        {}, please
        can you {}?
        can you please {}?
        could you {}?
        could you please {}?
        would you {}?
        I would like you to {}
        I want you to {}
        now {}
        hey, {}
        ok, {}
        {} right now
        {} now, please
        would you now {}?
        I would like it if you {}
        I ask that you {}
        """,
        unseen: """
            would you please {}?
            please {} now
            I would like that you {}
            can you now {}?
            """)

    /// Two commands as one sentence.
    static let pairs = MosaicTemplates(
        """
        {} and {}
        {} and {}
        {} and then {}
        {}, then {}
        {} and also {}
        {}, and {}
        first {}, then {}
        {}, and (then|also) {}
        {} and (after that|finally|next) {}
        {}, then also {}
        {} and then, also, {}
        """,
        unseen: """
            first {} and then {}
            {}, and then also {}
            """)

    /// Three commands as one sentence.
    static let triples = MosaicTemplates(
        """
        {}, {} and {}
        {}, then {} and then {}
        first {}, then {}, and {}
        {} and {}, and then {}
        {}, {} and also {}
        first {}, then also {}, and {}
        """,
        unseen: """
            first {}, then {} and also {}
            {} and then {} and {}
            """)
}
