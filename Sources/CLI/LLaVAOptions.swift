import ArgumentParser
import Foundation
import Language
import Media
import Text
import Torch
import Vitrail

/// The options of asking a LLaVA; the embedded model's kind has none of them.
struct LLaVAOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Tokens of the answer at most. (default: 512)", valueName: "count"))
    var maxTokens: Int?

    @Option(
        help: ArgumentHelp(
            "0 takes the best token each time, 1 draws as likely. (default: 0)", valueName: "number"))
    var temperature: Double?

    @Option(help: ArgumentHelp("Draw from so many of the best tokens only.", valueName: "count"))
    var topK: Int?

    @Option(
        help: ArgumentHelp(
            "Draw from the best tokens that have this probability together.", valueName: "number"))
    var topP: Double?

    @Option(
        help: ArgumentHelp("Above 1, tokens that were there already become less likely.", valueName: "number")
    )
    var repetitionPenalty: Double?

    @Option(help: ArgumentHelp("Of the draws. (default: 0)", valueName: "number"))
    var seed: UInt64?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("End the answer at this text; may be repeated.", valueName: "text"))
    var stop: [String] = []

    @Option(help: ArgumentHelp("A chat template in place of the folder's own.", valueName: "name"))
    var conversation: String?

    @Flag(help: "Take the request as the whole prompt, <image> in it for the picture.")
    var rawPrompt = false

    @Option(help: ArgumentHelp("The model that a LoRA's folder was trained on.", valueName: "folder"))
    var base: String?

    @Option(help: ArgumentHelp("CLIP's folder, for a LLaVA in its authors' layout.", valueName: "folder"))
    var visionTower: String?

    @Option(
        help: ArgumentHelp(
            "How a LoRA is used: merged into the weights, or live beside them. (default: merged)",
            valueName: "how"),
        transform: Self.adaptation)
    var lora: LLaVAFolder.Adaptation?

    /// The options that were given, as they are written.
    var given: [String] {
        let values: [(String, Bool)] = [
            ("--max-tokens", maxTokens != nil), ("--temperature", temperature != nil),
            ("--top-k", topK != nil),
            ("--top-p", topP != nil), ("--repetition-penalty", repetitionPenalty != nil),
            ("--seed", seed != nil),
            ("--stop", !stop.isEmpty), ("--conversation", conversation != nil),
            ("--raw-prompt", rawPrompt), ("--base", base != nil), ("--vision-tower", visionTower != nil),
            ("--lora", lora != nil),
        ]
        return values.filter(\.1).map(\.0)
    }

    func validate() throws {
        do {
            try generation(repetitionPenalty: 1).check()
        } catch {
            throw ValidationError("\(error).")
        }
    }

    private static func adaptation(_ name: String) throws -> LLaVAFolder.Adaptation {
        guard let adaptation = LLaVAFolder.Adaptation(rawValue: name) else {
            throw ValidationError("'\(name)' is no way to use a LoRA; merged and live are.")
        }
        return adaptation
    }

    func generation(repetitionPenalty standard: Double) -> GenerationOptions {
        GenerationOptions(
            maxTokens: maxTokens ?? 512, temperature: temperature ?? 0, topK: topK, topP: topP,
            repetitionPenalty: repetitionPenalty ?? standard, seed: seed ?? 0)
    }
}

extension Ask {
    /// Asks a LLaVA, whose answer is words: printed as they come, or as one document.
    func askLLaVA(_ path: String) async throws {
        for (option, isGiven) in [
            ("--output", output != nil), ("--heatmap", heatmap != nil),
            ("--threshold", engine.threshold != nil),
        ] where isGiven {
            throw ValidationError(
                "\(option) is for models that answer with places; \(path) answers in words.")
        }
        guard request.contains(where: { !$0.isWhitespace }) else {
            throw ModelError.badRequest("the request is empty")
        }
        let picture = try Image(contentsOf: image)
        if let threads = engine.threads { try Threads.set(threads) }
        let model = try LLaVAEngine(
            model: path, base: llava.base, visionTower: llava.visionTower, conversation: llava.conversation,
            adaptation: llava.lora ?? .merged, device: engine.device, precision: engine.dtype)
        let question = LLaVARequest(
            llava.rawPrompt ? .verbatim(request) : .messages([.user(request, images: 1)]),
            options: llava.generation(repetitionPenalty: model.repetitionPenalty), stop: llava.stop)
        let isQuiet = json
        let answer = try await model.ask(question, about: picture) { piece in
            guard !isQuiet else { return }
            print(piece, terminator: "")
        }
        guard json else { return print() }
        print(
            try Documents.line(
                Documents.AskLLaVA(
                    image: image, width: picture.width, height: picture.height, request: request,
                    answer: answer.text, ids: answer.tokens, end: answer.end.rawValue, prompt: answer.prompt,
                    prompt_tokens: answer.promptTokens, image_tokens: answer.imageTokens, model: path,
                    layout: model.layout.rawValue, conversation: llava.rawPrompt ? nil : model.template.name,
                    dtype: "\(model.dtype)")))
    }
}

extension Documents {
    struct AskLLaVA: Encodable {
        let image: String
        let width: Int
        let height: Int
        let request: String
        let answer: String
        /// The tokens generated, an end token included.
        let ids: [Int]
        let end: String
        let prompt: String
        let prompt_tokens: Int
        let image_tokens: Int
        let model: String
        let layout: String
        /// The chat template's name; null for a raw prompt.
        @Nullable var conversation: String?
        let dtype: String
    }
}
