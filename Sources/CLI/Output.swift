import Foundation

/// The one way to standard output, in the place of Swift's. A line is written at once, so that an interrupt does not cut
/// it; where it cannot be written the program ends.
func print(_ items: Any..., separator: String = " ", terminator: String = "\n") {
    let text = items.map { "\($0)" }.joined(separator: separator) + terminator
    guard let reason = StandardStreams.write(text.shown(lines: true), to: STDOUT_FILENO) else {
        return
    }
    Failure(.cannotWrite, "cannot write the answer to standard output: \(reason)").report()
    exit(Failure.Code.cannotWrite.rawValue)
}

/// The one way to standard error. What cannot be written there is lost, and the work goes on.
enum StandardError {
    static func write(line: String) { write(line.shown(lines: false) + "\n") }

    /// - Parameter text: as it stands, with what moves a terminal's cursor.
    static func write(_ text: String) { _ = StandardStreams.write(text, to: STDERR_FILENO) }
}

enum StandardStreams {
    /// Has to be called before anything is opened: a file that took the number of a closed stream would get its text.
    static func prepare() {
        // A reader that is gone is an error of `write`, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        for (stream, mode) in [
            (STDIN_FILENO, O_RDONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY),
        ]
        where fcntl(stream, F_GETFD) < 0 {
            // Of standard output for reading, so that writing an answer there fails.
            _ = open("/dev/null", mode)
        }
    }

    /// - Returns: why not all of it could be written; nil when it was.
    fileprivate static func write(_ text: String, to stream: Int32) -> String? {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Foundation.write(stream, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes.removeFirst(count)
            } else if errno == EAGAIN {
                var wait = pollfd(fd: stream, events: Int16(POLLOUT), revents: 0)
                poll(&wait, 1, 1000)
            } else if errno != EINTR {
                return String(cString: strerror(errno)).lowercased()
            }
        }
        return nil
    }
}

extension String {
    /// The text with control characters, and those that turn the direction of writing, as JSON escapes them: names and
    /// answers come from files, and may not move a terminal's cursor.
    ///
    /// - Parameter lines: whether the ends of lines and tabulators stay.
    func shown(lines: Bool) -> String {
        func isShown(_ scalar: Unicode.Scalar) -> Bool {
            switch scalar.value {
            case 0x09, 0x0A: lines
            case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: false
            default: true
            }
        }
        guard unicodeScalars.contains(where: { !isShown($0) }) else { return self }
        var text = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            if isShown(scalar) {
                text.append(scalar)
            } else {
                text.append(contentsOf: String(format: "\\u%04x", scalar.value).unicodeScalars)
            }
        }
        return String(text)
    }

    /// The text without the middles of words of more than 300 characters, such as endless paths, and without its own
    /// when it is longer than 2,000.
    var shortened: String {
        guard utf8.count > 300 else { return self }
        func cut(_ text: some StringProtocol, to limit: Int) -> String {
            text.count <= limit ? String(text) : "\(text.prefix(limit / 2))…\(text.suffix(limit / 2))"
        }
        return cut(
            split(separator: " ", omittingEmptySubsequences: false).map { cut($0, to: 300) }
                .joined(separator: " "), to: 2000)
    }
}
