import ArgumentParser
import Checkpoints
import Datasets
import Evaluation
import Foundation
import Language
import Media
import NN
import Text
import Training
import Vitrail

/// An error as the program reports it: one line, and an exit code of `sysexits.h` that says of which kind it is.
struct Failure: Error {
    enum Code: Int32 {
        case usage = 64
        case badInput = 65
        case noInput = 66
        case `internal` = 70
        case cannotWrite = 73
        case interrupted = 130
    }

    let code: Code
    let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        // File names and requests may hold line breaks; the line may not.
        self.message = message.split(whereSeparator: \.isNewline).map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        .joined(separator: " ")
    }

    /// Prints `vitrail: …` to standard error.
    func report() { FileHandle.standardError.write(Data("vitrail: \(message)\n".utf8)) }
}

extension Failure {
    init(_ error: any Error) {
        if let failure = error as? Failure {
            self = failure
        } else if VitrailCommand.exitCode(for: error) == .validationFailure {
            // ArgumentParser's message takes several lines, of which the last says which help to read.
            let help = VitrailCommand.fullMessage(for: error).split(separator: "\n").last
                .map { $0.trimmingCharacters(in: .whitespaces) }.flatMap {
                    $0.hasPrefix("See ") ? " \($0)" : nil
                }
            let message = VitrailCommand.message(for: error)
            let isSentence = message.last.map { ".?!".contains($0) } ?? true
            self.init(.usage, message + (isSentence ? "" : ".") + (help ?? ""))
        } else if let error = error as? CocoaError {
            // The file system refused; Foundation's own text runs over several lines.
            let path = error.filePath ?? (error.userInfo["NSFilePath"] as? String) ?? "a file"
            self.init(.cannotWrite, "cannot write \(path): \(error.localizedDescription)")
        } else {
            self.init(Self.code(for: error), "\(error)")
        }
    }

    private static func code(for error: any Error) -> Code {
        // A file that cannot be read because it is not there is told from one whose content is wrong.
        func input(_ path: String) -> Code {
            FileManager.default.fileExists(atPath: path) ? .badInput : .noInput
        }
        switch error {
        case is ReportError: return .cannotWrite
        case COCOReadError.unreadable(let path, _): return input(path)
        case is COCOReadError, is COCOScoringError, is BenchmarkError: return .badInput
        case let error as ScoringError: return input(error.path)
        case MediaError.unwritable, COCOError.unwritable, TokenizerError.unwritable: return .cannotWrite
        case MosaicError.unwritable, MosaicError.folderInUse: return .cannotWrite
        case MosaicError.size, MosaicError.count, MosaicError.maximumObjects: return .usage
        case MediaError.unreadable(let path, _), LabelError.unreadable(let path, _): return input(path)
        case is LabelError: return .badInput
        case TokenizerError.unreadable(let path): return input(path)
        case TrainingError.badConfiguration(let path, _): return input(path)
        case TrainingError.diverged: return .internal
        case ModelError.missing: return .noInput
        case let error as CheckpointError: return error.isWriting ? .cannotWrite : input(error.path)
        case is ModelError, is MediaError, is TokenizerError, is TrainingError: return .badInput
        case is ChatTemplateError: return .badInput
        case is CancellationError: return .interrupted
        case is ParameterError, is ConfigurationError, is LanguageError: return .badInput
        default: return .internal
        }
    }
}
