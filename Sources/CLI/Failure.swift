import ArgumentParser
import Checkpoints
import Datasets
import Evaluation
import Foundation
import Language
import Media
import NN
import Text
import Torch
import Training
import Vitrail

/// An error as the program reports it: one line, and an exit code of `sysexits.h` that says of which kind it is.
struct Failure: Error {
    enum Code: Int32 {
        case usage = 64
        case badInput = 65
        case noInput = 66
        case unavailable = 69
        case `internal` = 70
        case cannotWrite = 73
        case interrupted = 130
    }

    let code: Code
    let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        // File names and requests may hold line breaks; the line may not.
        self.message =
            message.split(whereSeparator: \.isNewline).map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            .joined(separator: " ").shortened
    }

    /// Prints `vitrail: …` to standard error.
    func report() { StandardError.write(line: "vitrail: \(message)") }
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
            self.init(error)
        } else if let error = error as? DecodingError {
            self.init(.badInput, "not the JSON that is expected: \(Self.place(of: error))")
        } else if let error = error as? EncodingError, case .invalidValue(let value, let context) = error {
            let place = context.codingPath.map(\.stringValue).joined(separator: ".")
            self.init(.internal, "\(place) is \(value), which JSON cannot hold")
        } else if let error = error as? POSIXError {
            self.init(.internal, String(cString: strerror(error.code.rawValue)).lowercased())
        } else {
            self.init(Self.code(for: error), "\(error)")
        }
    }

    /// What Foundation could not do with a file, without its sentences, which take several lines.
    private init(_ error: CocoaError) {
        let path =
            error.filePath ?? error.url?.path ?? (error.userInfo["NSFilePath"] as? String) ?? "a file"
        let isRead = (256..<512).contains(error.code.rawValue)
        let reason =
            switch error.code {
            case _ where error.underlying is POSIXError:
                String(cString: strerror((error.underlying as! POSIXError).code.rawValue)).lowercased()
            case .fileNoSuchFile, .fileReadNoSuchFile: "no such file or directory"
            case .fileReadNoPermission, .fileWriteNoPermission: "permission denied"
            case .fileReadInapplicableStringEncoding, .fileReadUnknownStringEncoding: "not text in UTF-8"
            case .fileWriteOutOfSpace: "no space left on device"
            case .fileWriteVolumeReadOnly: "read-only file system"
            case .fileWriteFileExists: "something of this name is there"
            case .propertyListReadCorrupt: "not JSON"
            default: "the system refused (\(error.code.rawValue))"
            }
        switch error.code {
        case .propertyListReadCorrupt: self.init(.badInput, "\(path): \(reason)")
        case _ where isRead:
            self.init(
                error.code == .fileReadNoSuchFile ? .noInput : .badInput, "cannot read \(path): \(reason)")
        default: self.init(.cannotWrite, "cannot write \(path): \(reason)")
        }
    }

    private static func place(of error: DecodingError) -> String {
        func name(_ path: [any CodingKey]) -> String {
            path.isEmpty
                ? "the document"
                : path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
        }
        return switch error {
        case .keyNotFound(let key, let context): "\(name(context.codingPath + [key])) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            "\(name(context.codingPath)) is of the wrong kind"
        @unknown default: "it cannot be read"
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
        case TokenizerError.unreadable(let path, _): return input(path)
        case TrainingError.unreadable(let path, _): return input(path)
        case TrainingError.diverged: return .internal
        case ModelError.missing: return .noInput
        case let error as CheckpointError: return error.isWriting ? .cannotWrite : input(error.path)
        case is ModelError, is MediaError, is TokenizerError, is TrainingError: return .badInput
        case is ChatTemplateError: return .badInput
        case is CancellationError: return .interrupted
        case let error as TorchError where error.kind == .notLoaded: return .unavailable
        case is ParameterError, is ConfigurationError, is LanguageError: return .badInput
        default: return .internal
        }
    }
}
