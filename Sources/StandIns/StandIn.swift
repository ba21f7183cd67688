/// What lies under the name of a file that was not really fetched.
package enum StandIn {
    /// Bytes of a file's beginning that are looked at.
    private static let headLength = 256

    /// What a file is that begins so, when it only stands in for a file of weights, of a tokenizer or of a picture; nil when
    /// nothing says that it does.
    package static func reason(_ head: some Collection<UInt8>) -> String? {
        let text = String(decoding: head.prefix(headLength), as: UTF8.self)
        if text.hasPrefix("version https://git-lfs.github.com/spec/") {
            return "a Git LFS pointer in place of the file, which `git lfs pull` fetches"
        }
        let start = text.drop { $0.isWhitespace || $0 == "\u{FEFF}" }.prefix(16).lowercased()
        if start.hasPrefix("<!doctype html") || start.hasPrefix("<html") {
            return "a web page (HTML) in place of the file, such as a download without a login leaves"
        }
        return nil
    }
}
