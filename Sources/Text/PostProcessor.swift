/// The tokens that are put around a text's own, when asked for: `<s>` and its like.
struct PostProcessor: Sendable {
    var prefix: [Int] = []
    var suffix: [Int] = []
}
