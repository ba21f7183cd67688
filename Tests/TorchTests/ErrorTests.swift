import Testing
import Torch

/// Mistakes give one line that names the operation, the shapes and what is wrong; nothing traps.
struct ErrorTests {
    struct Mistake: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let kind: TorchError.Kind
        let parts: [String]
        let make: @Sendable () throws -> Void

        init(
            _ name: String, _ kind: TorchError.Kind, _ parts: String...,
            make: @escaping @Sendable () throws -> Void
        ) {
            (testDescription, self.kind, self.parts, self.make) = (name, kind, parts, make)
        }
    }

    static let mistakes: [Mistake] = [
        Mistake("matmul", .other, "aten::matmul", "[2, 3]", "[4, 5]") {
            _ = try matmul(Tensor.zeros([2, 3]), Tensor.zeros([4, 5]))
        },
        Mistake("broadcast", .other, "aten::add", "[2]", "[3]") {
            _ = try Tensor.zeros([2]) + Tensor.zeros([3])
        },
        Mistake("cat", .other, "aten::cat", "[2, 2]", "[2, 3]") {
            _ = try Tensor.cat([Tensor.zeros([2, 2]), Tensor.zeros([2, 3])])
        },
        Mistake("catOfNothing", .value, "aten::cat") { _ = try Tensor.cat([]) },
        Mistake("view", .other, "aten::view", "[6]") { _ = try Tensor.zeros([6]).view([4]) },
        Mistake("axis", .index, "[2, 2]") { _ = try Tensor.zeros([2, 2]).sum(2) },
        Mistake("embedding", .index, "aten::embedding", "[3, 2]") {
            _ = try embedding(Tensor.zeros([3, 2]), Tensor([3]))
        },
        Mistake("floatIndices", .other, "aten::embedding") {
            _ = try embedding(Tensor.zeros([3, 2]), Tensor([1 as Float]))
        },
        Mistake("dtypes", .other, "aten::matmul") {
            _ = try matmul(Tensor.zeros([2, 2]), Tensor.zeros([2, 2], dtype: .float64))
        },
        Mistake("tooManyIndices", .index, "subscript", "[2, 3]", "3 indices") {
            _ = try Tensor.zeros([2, 3])[0, 0, 0]
        },
        Mistake("indexOutside", .index, "[2, 3]") { _ = try Tensor.zeros([2, 3])[2] },
        Mistake("rowOutside", .index, "[2, 3]") { _ = try Tensor.zeros([2, 3])[Tensor([2])] },
        Mistake("maskShape", .index, "[2, 3]") {
            _ = try Tensor.zeros([2, 3])[Tensor([true, false, true])]
        },
        Mistake("twoEllipses", .index, "subscript", "one ellipsis") {
            _ = try Tensor.zeros([2, 3])[.ellipsis, .ellipsis]
        },
        Mistake("stepBackwards", .other, "[4]") { _ = try Tensor.zeros([4])[.stride(by: -1)] },
        Mistake("assignment", .other, "[3]", "[2]") {
            try Tensor.zeros([2, 3]).assign(Tensor.zeros([2]), at: 0)
        },
        Mistake("valuesForShape", .value, "5 values", "[2, 3]") { _ = try Tensor([1, 2, 3, 4, 5], [2, 3]) },
        Mistake("negativeShape", .value, "[-2, -2]") { _ = try Tensor([1, 2, 3, 4], [-2, -2]) },
        Mistake("shapeOverflow", .value, "4 values") { _ = try Tensor([1, 2, 3, 4], [.max, 4]) },
        Mistake("negativeSize", .other, "aten::full") { _ = try Tensor.zeros([-1]) },
        Mistake("absurdSize", .outOfMemory, "aten::full") { _ = try Tensor.zeros([1 << 45]) },
        Mistake("overflowingSize", .other, "aten::full") { _ = try Tensor.zeros([1 << 40, 1 << 40]) },
        Mistake("itemOfMany", .other, "item", "[2]") { _ = try Tensor([1, 2]).item() },
        Mistake("backwardOfMany", .other, "backward", "[2]") {
            try Tensor.zeros([2]).requireGrad().backward()
        },
        Mistake("backwardOfConstant", .other, "backward") { try Tensor.zeros([]).backward() },
        Mistake("gradOfIntegers", .other, "requires_grad", "[1]") { try Tensor([1]).requireGrad() },
        Mistake("unknownOperator", .notImplemented, "aten::no_such_thing", "no such operator") {
            _ = try Operator("no_such_thing")(Tensor.zeros([1]))
        },
        Mistake("unknownOverload", .notImplemented, "aten::add") {
            _ = try Operator("add", "Nothing")(Tensor.zeros([1]))
        },
        Mistake("tooManyArguments", .other, "aten::relu", "1 arguments") {
            _ = try Operator("relu")(Tensor.zeros([1]), 1)
        },
        Mistake("missingArgument", .other, "aten::matmul", "'other' is missing") {
            _ = try Operator("matmul")(Tensor.zeros([1]))
        },
        Mistake("argumentOfAnotherType", .notImplemented, "aten::relu") { _ = try Operator("relu")("text") },
        Mistake("nothingForTensor", .notImplemented, "aten::relu") {
            _ = try Operator("relu")(nil as Tensor?)
        },
        Mistake("textForAxis", .other, "aten::sum", "[1]") {
            _ = try Operator("sum", "dim_IntList")(Tensor.zeros([1]), "text")
        },
        Mistake("generatorState", .other, "generator state", "[3]") {
            try Generator(seed: 1).setState(Tensor([1, 2, 3] as [UInt8]))
        },
        Mistake("noThreads", .other, "threads", "0") { try Threads.set(0) },
    ]

    @Test(arguments: mistakes)
    func isReported(_ mistake: Mistake) throws {
        do {
            try mistake.make()
            Issue.record("no error")
        } catch let error as TorchError {
            #expect(error.kind == mistake.kind, "\(error)")
            #expect(!error.description.contains("\n"))
            for part in mistake.parts { #expect(error.description.contains(part)) }
        }
        // The next call on this thread finds nothing left over.
        #expect(try (Tensor([1, 2]) + Tensor([3, 4])).array() == [4, 6])
    }

    @Test func aDeviceThatIsNotThere() throws {
        guard !Device.cuda.isAvailable else { return }
        #expect(throws: TorchError.self) { try Tensor.zeros([1], device: .cuda) }
        #expect(throws: TorchError.self) { try Generator(seed: 1, device: .cuda) }
    }
}
