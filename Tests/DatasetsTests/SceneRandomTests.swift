import Datasets
import Testing

@Suite struct SceneRandomTests {
    @Test func numbersAreFixedForEver() {
        var random = SceneRandom(seed: 1, index: 2, stream: 3)
        let numbers = (0..<3).map { _ in random.next() }
        #expect(
            numbers == [
                17_555_365_835_033_805_745, 10_709_689_461_523_331_596, 14_556_295_281_093_713_621,
            ])
    }

    @Test func streamsDiffer() {
        var firsts: Set<UInt64> = []
        for seed in 0..<10 {
            for index in -5..<5 {
                for stream in 0..<10 {
                    var random = SceneRandom(seed: UInt64(seed), index: index, stream: UInt64(stream))
                    firsts.insert(random.next())
                }
            }
        }
        #expect(firsts.count == 1000)
    }

    @Test func integersAreUniform() {
        var random = SceneRandom(seed: 4)
        var counts = [Int](repeating: 0, count: 7)
        for _ in 0..<70_000 { counts[random.integer(below: 7)] += 1 }
        // Five standard deviations of a binomial with mean 10,000.
        #expect(counts.allSatisfy { abs($0 - 10_000) < 470 })
    }

    @Test func permutationsHoldEveryElementOnce() {
        var random = SceneRandom(seed: 5)
        var firsts: Set<Int> = []
        for _ in 0..<200 {
            let permuted = random.permuted(Array(0..<10))
            #expect(permuted.sorted() == Array(0..<10))
            firsts.insert(permuted[0])
        }
        #expect(firsts.count == 10)
    }
}
