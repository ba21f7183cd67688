import Media

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension LabelledSet {
    /// Pictures of a validation set that its training set has too: by their names in the label files, and by their
    /// bytes.
    ///
    /// Only pictures of equally many bytes are read and compared.
    public func overlap(withTraining training: LabelledSet) -> LabelProblems {
        var problems = LabelProblems()
        let names = Set(training.pictures.map(\.fileName))
        var bySize: [Int: [PictureSource]] = [:]
        for picture in training.pictures {
            if let size = picture.source.length { bySize[size, default: []].append(picture.source) }
        }
        var hashes: [PictureSource: UInt64] = [:]
        func hash(_ source: PictureSource) -> UInt64? {
            if let known = hashes[source] { return known }
            guard let bytes = try? source.bytes() else { return nil }
            hashes[source] = bytes.hash
            return hashes[source]
        }
        for picture in pictures {
            if names.contains(picture.fileName) { problems.add(.overlapByName, picture.fileName) }
            guard let size = picture.source.length, let rivals = bySize[size], let own = hash(picture.source)
            else { continue }
            if let same = rivals.first(where: { hash($0) == own }) {
                problems.add(.overlapByContent, "\(picture.fileName) is \(same.name)")
            }
        }
        return problems
    }
}

extension PictureSource {
    /// Bytes of the file; nil when there is none.
    fileprivate var length: Int? {
        switch self {
        case .archive(_, _, let length): return length
        case .file(let path):
            var status = stat()
            return stat(path, &status) == 0 ? Int(status.st_size) : nil
        }
    }
}

extension [UInt8] {
    /// FNV-1a of 64 bits.
    fileprivate var hash: UInt64 {
        withUnsafeBufferPointer { bytes in
            bytes.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
        }
    }
}
