import Foundation

/// VQAv2's accuracy of answers in words, after its `vqaEval.py` (GT-Vision-Lab/VQA): an answer is as right as people
/// agree with it, in full from three of the ten on, when ten answers are there.
public enum VQAAccuracy {
    /// The soft score of one answer.
    ///
    /// Each answer that was given is left out in turn, and a third counted for each of the others that is the same, up to
    /// one; the score is the mean. Where the answers are not all the same to the letter, all are normalised first.
    ///
    /// - Parameters:
    ///   - answer: the model's.
    ///   - answers: those that people gave.
    /// - Returns: 0 to 1; 0 when nobody answered.
    public static func score(_ answer: String, answers: [String]) -> Double {
        var answer = trimmed(answer)
        var given = answers.map(trimmed)
        if Set(given).count > 1 {
            given = given.map(normalised)
            answer = normalised(answer)
        }
        let same = given.count { $0 == answer }
        let sum = given.reduce(0.0) { sum, one in
            sum + min(1, Double(one == answer ? same - 1 : same) / 3)
        }
        return given.isEmpty ? 0 : sum / Double(given.count)
    }

    /// Without what differs between people who mean the same: punctuation, articles, capitals, numbers in words and
    /// contractions without their apostrophe, as the reference has it to its oddities.
    public static func normalised(_ answer: String) -> String {
        withoutArticles(withoutPunctuation(answer))
    }

    private static func trimmed(_ text: String) -> String {
        text.replacing("\n", with: " ").replacing("\t", with: " ").trimmingCharacters(
            in: .whitespacesAndNewlines)
    }

    private static func withoutPunctuation(_ text: String) -> String {
        // A comma between digits makes all marks go without leaving a space.
        let scalars = Array(text.unicodeScalars)
        func isDigit(_ index: Int) -> Bool {
            scalars.indices.contains(index) && ("0"..."9").contains(scalars[index])
        }
        let hasNumberComma = scalars.indices.contains {
            scalars[$0] == "," && isDigit($0 - 1) && isDigit($0 + 1)
        }
        var result = text
        for mark in marks {
            let isBeside = text.contains(mark + " ") || text.contains(" " + mark)
            result = result.replacing(mark, with: isBeside || hasNumberComma ? "" : " ")
        }
        // Points go, except before a digit; the reference stops after 32, the value of the flag that stands at `count`.
        let marked = Array(result.unicodeScalars)
        var (kept, dropped) = (String.UnicodeScalarView(), 0)
        for (index, scalar) in marked.enumerated() {
            let isBeforeDigit = index + 1 < marked.count && ("0"..."9").contains(marked[index + 1])
            if scalar == ".", !isBeforeDigit, dropped < 32 {
                dropped += 1
            } else {
                kept.append(scalar)
            }
        }
        return String(kept)
    }

    private static func withoutArticles(_ text: String) -> String {
        text.lowercased().split(whereSeparator: \.isWhitespace).compactMap { word in
            let word = numbers[String(word)] ?? String(word)
            return articles.contains(word) ? nil : contractions[word] ?? word
        }
        .joined(separator: " ")
    }

    private static let marks = [
        ";", "/", "[", "]", "\"", "{", "}", "(", ")", "=", "+", "\\", "_", "-", ">", "<", "@", "`", ",", "?",
        "!",
    ]
    private static let articles: Set = ["a", "an", "the"]
    private static let numbers = [
        "none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
        "seven": "7", "eight": "8", "nine": "9", "ten": "10",
    ]
    private static let contractions: [String: String] = [
        "aint": "ain't", "arent": "aren't", "cant": "can't", "couldve": "could've", "couldnt": "couldn't",
        "couldn'tve": "couldn't've", "couldnt've": "couldn't've", "didnt": "didn't", "doesnt": "doesn't",
        "dont": "don't", "hadnt": "hadn't", "hadnt've": "hadn't've", "hadn'tve": "hadn't've",
        "hasnt": "hasn't", "havent": "haven't", "hed": "he'd", "hed've": "he'd've", "he'dve": "he'd've",
        "hes": "he's", "howd": "how'd", "howll": "how'll", "hows": "how's", "Id've": "I'd've",
        "I'dve": "I'd've", "Im": "I'm", "Ive": "I've", "isnt": "isn't", "itd": "it'd", "itd've": "it'd've",
        "it'dve": "it'd've", "itll": "it'll", "let's": "let's", "maam": "ma'am", "mightnt": "mightn't",
        "mightnt've": "mightn't've", "mightn'tve": "mightn't've", "mightve": "might've",
        "mustnt": "mustn't", "mustve": "must've", "neednt": "needn't", "notve": "not've",
        "oclock": "o'clock", "oughtnt": "oughtn't", "ow's'at": "'ow's'at", "'ows'at": "'ow's'at",
        "'ow'sat": "'ow's'at", "shant": "shan't", "shed've": "she'd've", "she'dve": "she'd've",
        "she's": "she's", "shouldve": "should've", "shouldnt": "shouldn't", "shouldnt've": "shouldn't've",
        "shouldn'tve": "shouldn't've", "somebody'd": "somebodyd", "somebodyd've": "somebody'd've",
        "somebody'dve": "somebody'd've", "somebodyll": "somebody'll", "somebodys": "somebody's",
        "someoned": "someone'd", "someoned've": "someone'd've", "someone'dve": "someone'd've",
        "someonell": "someone'll", "someones": "someone's", "somethingd": "something'd",
        "somethingd've": "something'd've", "something'dve": "something'd've", "somethingll": "something'll",
        "thats": "that's", "thered": "there'd", "thered've": "there'd've", "there'dve": "there'd've",
        "therere": "there're", "theres": "there's", "theyd": "they'd", "theyd've": "they'd've",
        "they'dve": "they'd've", "theyll": "they'll", "theyre": "they're", "theyve": "they've",
        "twas": "'twas", "wasnt": "wasn't", "wed've": "we'd've", "we'dve": "we'd've", "weve": "we've",
        "werent": "weren't", "whatll": "what'll", "whatre": "what're", "whats": "what's",
        "whatve": "what've", "whens": "when's", "whered": "where'd", "wheres": "where's",
        "whereve": "where've", "whod": "who'd", "whod've": "who'd've", "who'dve": "who'd've",
        "wholl": "who'll", "whos": "who's", "whove": "who've", "whyll": "why'll", "whyre": "why're",
        "whys": "why's", "wont": "won't", "wouldve": "would've", "wouldnt": "wouldn't",
        "wouldnt've": "wouldn't've", "wouldn'tve": "wouldn't've", "yall": "y'all", "yall'll": "y'all'll",
        "y'allll": "y'all'll", "yall'd've": "y'all'd've", "y'alld've": "y'all'd've",
        "y'all'dve": "y'all'd've", "youd": "you'd", "youd've": "you'd've", "you'dve": "you'd've",
        "youll": "you'll", "youre": "you're", "youve": "you've",
    ]
}
