internal import Foundation

/// What the processor is good at.
public enum Processor {
    /// Whether libtorch multiplies bfloat16 by instructions made for vectors of it. On an x86 processor without AVX-512 it does so
    /// number by number, up to eighty times slower than float32 (docs/training.md).
    public static let multipliesBFloat16: Bool = {
        #if arch(x86_64) && os(Linux)
            // Files of /proc have no size to be read by.
            guard let file = FileHandle(forReadingAtPath: "/proc/cpuinfo"),
                let text = try? file.readToEnd()
            else { return true }
            return String(decoding: text, as: UTF8.self).contains(" avx512bw")
        #else
            return true
        #endif
    }()
}
