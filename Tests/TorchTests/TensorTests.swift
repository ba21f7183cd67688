import Testing
import Torch

struct TensorTests {
    @Test func elementsComeBackAsTheyWere() throws {
        #expect(try Tensor([1.5, -2] as [Float]).array() == [1.5, -2] as [Float])
        #expect(try Tensor([1.5, -2] as [Double]).array() == [1.5, -2])
        #expect(try Tensor([Int.min, .max]).array() == [Int.min, .max])
        #expect(try Tensor([Int64.min, .max]).array() == [Int64.min, .max])
        #expect(try Tensor([Int32.min, .max]).array() == [Int32.min, .max])
        #expect(try Tensor([0, 255] as [UInt8]).array() == [0, 255] as [UInt8])
        #expect(try Tensor([true, false, true]).array() == [true, false, true])
        #expect(try Tensor([Float]()).array() == [Float]())
        #expect(try Tensor(Float(3)).item() == 3)
        #expect(try Tensor(Int64.max).intItem() == Int.max)
    }

    @Test(arguments: DType.allCases)
    func everyDTypeIsMadeAndConverted(_ dtype: DType) throws {
        let tensor = try Tensor([1, 0, 1] as [Float]).to(dtype)
        #expect(tensor.dtype == dtype)
        #expect(try tensor.withBytes { $0.count } == 3 * dtype.size)
        #expect(try tensor.array(Float.self) == [1, 0, 1])
        #expect(try Tensor.zeros([2], dtype: dtype).dtype == dtype)
        #expect(try Tensor.ones([2], dtype: dtype).array(Int.self) == [1, 1])
    }

    @Test func shapeAndLayout() throws {
        let x = try Tensor.zeros([2, 3, 4])
        #expect(x.rank == 3 && x.shape == [2, 3, 4] && x.count == 24 && x.strides == [12, 4, 1])
        #expect(x.size(-1) == 4 && x.shape3 == (2, 3, 4) && x.isContiguous && x.device == .cpu)
        let y = try x.transposed(1, 2)
        #expect(y.strides == [12, 1, 4] && !y.isContiguous)
        #expect(try y.contiguous().isContiguous)
        let image = try Tensor.zeros([2, 3, 4, 5]).contiguous(.channelsLast)
        #expect(image.strides == [60, 1, 15, 3])
        #expect(try Tensor.zeros([]).shape == [])
        #expect(try Tensor.zeros([0, 3]).array(Float.self) == [])
        // A batch of one from a picture as decoders give it, whose batch's stride means nothing.
        let pixels = try Tensor.zeros([4, 5, 3]).permuted(2, 0, 1).unsqueezed(0)
        #expect(pixels.strides == [3, 1, 15, 3])
        #expect(try pixels.contiguous(.channelsLast).strides == [60, 1, 15, 3])
    }

    @Test func conversionsThatChangeNothingCopyNothing() throws {
        let x = try Tensor.zeros([2])
        try x.to(device: .cpu, dtype: .float32).fill(4)
        try x.view([2, 1]).assign(5, at: 0)
        #expect(try x.array(Float.self) == [5, 4])
        try x.to(.float64).fill(6)
        try x.clone().fill(6)
        #expect(try x.array(Float.self) == [5, 4])
    }

    @Test func aTensorOverMemoryKeepsItsOwner() throws {
        final class Owner {
            let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: 3)
            deinit { memory.deallocate() }
        }
        var owner: Owner? = Owner()
        weak let kept = owner
        _ = owner!.memory.initialize(from: [1, 2, 3])
        var tensor: Tensor? = try Tensor(over: owner!.memory.baseAddress!, [3], .float32, owner: owner!)
        owner = nil
        #expect(kept != nil)
        #expect(try tensor!.array() == [1, 2, 3] as [Float])
        var view: Tensor? = try tensor![1...]
        tensor = nil
        #expect(try view!.array() == [2, 3] as [Float])
        view = nil
        #expect(kept == nil)
    }

    @Test func comparison() throws {
        let x = try Tensor([1, .nan] as [Float])
        #expect(try x.isClose(to: x))
        #expect(try !x.isClose(to: x + 1e-3))
        #expect(try x.isClose(to: x + 1e-3, absolute: 1e-2))
        #expect(try !x.isClose(to: x.unsqueezed(0)))
        #expect(try x.isNaN().anyTrue() && !x.isNaN().allTrue())
    }

    @Test func description() throws {
        #expect("\(try Tensor([1, 2]))" == "Tensor([2], int64, cpu) [1.0, 2.0]")
        #expect("\(try Tensor.zeros([9, 9]))" == "Tensor([9, 9], float32, cpu)")
    }

    @Test func devices() throws {
        #expect(Device("cpu") == .cpu && Device("cuda:1") == Device(.cuda, index: 1) && Device("mps") == .mps)
        for name in ["", "gpu", "cuda:", "cuda:-1", "cuda:1:2", "cuda:x"] { #expect(Device(name) == nil) }
        #expect(Device.cpu.isAvailable && Device.best.isAvailable)
        #expect(!Device(.cuda, index: 99).isAvailable)
    }
}
