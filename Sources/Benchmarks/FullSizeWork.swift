internal import ArgumentParser
internal import Checkpoints
internal import Encoders
internal import Foundation
internal import Language
internal import NN
internal import Torch
internal import Vitrail

/// One measurement of Swift's side, as Tools/reference/bench_full_size.py does Python's: prints one line of JSON.
struct FullSizeWork: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "full-size-work", shouldDisplay: false)

    static let dtypes: [String: DType] = ["float32": .float32, "bfloat16": .bfloat16]

    @Argument var kind: String
    @Argument var folder: String
    @Option var threads = 2
    @Option var tokens = 32
    @Option var question = 50
    @Option var dtype = "bfloat16"

    struct Result: Codable {
        /// Seconds from nothing to a model that can be asked.
        var open: Double
        /// Milliseconds of each run: of a LLaVA reading image and question, of SAM's encoder.
        var read: [Double]
        /// Milliseconds a token, of each run.
        var decode: [Double] = []
        /// Tokens of the prompt, and those that were chosen.
        var prompt = 0
        var tokens: [Int] = []
        /// Bytes of weights that a token needs.
        var tokenBytes = 0
        /// Bytes in memory at most, files among them; and what of them is no file, at the end.
        var peak = 0
        var own = 0
    }

    func run() throws {
        try Threads.set(threads)
        var result = try withInference { kind == "llava" ? try llava() : try sam() }
        (result.peak, result.own) = Self.memory()
        print(String(decoding: try JSONEncoder().encode(result), as: UTF8.self))
        fflush(nil)
    }

    private func llava() throws -> Result {
        let start = ContinuousClock.now
        let files = try LLaVAFolder(folder)
        let store = try files.store(.merged, device: .cpu, dtype: Precision.auto.dtype(for: files.base))
        let model = try LLaVA(files.configuration, store)
        try store.finish()
        var result = Result(open: (ContinuousClock.now - start).milliseconds / 1e3, read: [])
        result.tokenBytes = store.named.filter {
            $0.name.hasPrefix("language_model.") && !$0.name.hasSuffix("embed_tokens.weight")
        }.reduce(0) { $0 + $1.tensor.count * $1.tensor.dtype.size }

        // The same question as Python's: any tokens do.
        let (configuration, side) = (files.configuration, files.configuration.vision.imageSize)
        let asked = (0..<question).map { 300 + $0 * 7919 % (configuration.language.vocabSize - 400) }
        let ids = [1] + [Int?](repeating: nil, count: configuration.imageTokenCount) + asked
        let pixels = try (Tensor.arange(0, Double(3 * side * side)) * 0.01).sin().view([1, 3, side, side])
        result.prompt = ids.count
        for _ in 0..<3 {
            let cache = TextCache(layers: configuration.language.numHiddenLayers)
            var next = 0
            result.read.append(
                try milliseconds {
                    let image = try model.imageEmbeddings(pixels)
                    let hidden = try model.language(model.embeddings(of: ids, image), cache)
                    next = try model.language.logits(hidden[0, -1]).argmax(0).intItem()
                })
            result.tokens = [next]
            let time = try milliseconds {
                for _ in 1..<tokens {
                    let embedding = try model.language.wordEmbeddings([next]).unsqueezed(0)
                    let hidden = try model.language(embedding, cache)
                    next = try model.language.logits(hidden[0, -1]).argmax(0).intItem()
                    result.tokens.append(next)
                }
            }
            result.decode.append(time / Double(tokens - 1))
        }
        return result
    }

    private func sam() throws -> Result {
        let start = ContinuousClock.now
        let dtype = Self.dtypes[dtype]!
        let model = try SAM(contentsOf: folder, dtype: dtype)
        var result = Result(open: (ContinuousClock.now - start).milliseconds / 1e3, read: [])
        let side = model.configuration.vision.imageSize
        let pixels = try (Tensor.arange(0, Double(3 * side * side)) * 0.01).sin().view([1, 3, side, side])
            .to(dtype)
        for _ in 0..<3 { result.read.append(try milliseconds { _ = try model.encode(pixels) }) }
        return result
    }

    /// Bytes in memory at most, and now without files, as Linux counts them; elsewhere the first alone.
    private static func memory() -> (peak: Int, own: Int) {
        #if canImport(Darwin)
            var usage = rusage()
            getrusage(RUSAGE_SELF, &usage)
            return (usage.ru_maxrss, 0)
        #else
            let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            func field(_ name: String) -> Int {
                let line = status.split(separator: "\n").first { $0.hasPrefix("\(name):") }
                return (line?.split(whereSeparator: \.isWhitespace)[1]).flatMap { Int($0) }.map { $0 * 1024 }
                    ?? 0
            }
            return (field("VmHWM"), field("RssAnon"))
        #endif
    }
}
