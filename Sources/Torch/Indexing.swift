/// One position of a tensor's subscript: `t[0, 2..<5, .all, .newAxis, ids, .ellipsis]`.
public enum TensorIndex {
    case at(Int)
    case slice(Int?, Int?, step: Int)
    case insertion
    case gap
    case tensor(Tensor)
}

/// What may stand in a tensor's subscript: integers, ranges, tensors of indices or a mask, and the cases of
/// ``TensorIndex``. Negative integers count from the end.
public protocol TensorIndexable {
    var tensorIndex: TensorIndex { get }
}

extension TensorIndex: TensorIndexable { public var tensorIndex: TensorIndex { self } }
extension Int: TensorIndexable { public var tensorIndex: TensorIndex { .at(self) } }
extension Tensor: TensorIndexable { public var tensorIndex: TensorIndex { .tensor(self) } }
extension Range<Int>: TensorIndexable {
    public var tensorIndex: TensorIndex { .slice(lowerBound, upperBound, step: 1) }
}
extension ClosedRange<Int>: TensorIndexable {
    public var tensorIndex: TensorIndex { .slice(lowerBound, end(through: upperBound), step: 1) }
}
extension PartialRangeFrom<Int>: TensorIndexable {
    public var tensorIndex: TensorIndex { .slice(lowerBound, nil, step: 1) }
}
extension PartialRangeUpTo<Int>: TensorIndexable {
    public var tensorIndex: TensorIndex { .slice(nil, upperBound, step: 1) }
}
extension PartialRangeThrough<Int>: TensorIndexable {
    public var tensorIndex: TensorIndex { .slice(nil, end(through: upperBound), step: 1) }
}

/// Where a slice ends that includes `last`; the element after the last one, -1, has no number.
private func end(through last: Int) -> Int? { last == -1 ? nil : last + 1 }

extension TensorIndexable where Self == TensorIndex {
    /// The whole axis.
    public static var all: TensorIndex { .slice(nil, nil, step: 1) }
    /// All axes that the other indices leave.
    public static var ellipsis: TensorIndex { .gap }
    /// A new axis of length 1.
    public static var newAxis: TensorIndex { .insertion }
    /// Every `step`-th element from `start` to before `end`.
    public static func stride(_ start: Int? = nil, _ end: Int? = nil, by step: Int) -> TensorIndex {
        .slice(start, end, step: step)
    }
}

extension Tensor {
    /// A view, or a copy where tensors of indices are used, as in PyTorch.
    public subscript(_ indices: any TensorIndexable...) -> Tensor {
        get throws {
            let (view, tensors) = try basic(indices.map(\.tensorIndex))
            return tensors.isEmpty ? view : try Aten.index(view, tensors)
        }
    }

    /// Writes `value`, broadcast, into the elements that the subscript names.
    public func assign(_ value: Tensor, at indices: any TensorIndexable...) throws {
        let (view, tensors) = try basic(indices.map(\.tensorIndex))
        if tensors.isEmpty {
            try Aten.copy_.perform(view, value)
        } else {
            try Aten.indexPut_.perform(view, tensors, value.to(dtype: dtype), false)
        }
    }

    /// Writes one number into the elements that the subscript names.
    public func assign(_ value: Double, at indices: any TensorIndexable...) throws {
        let (view, tensors) = try basic(indices.map(\.tensorIndex))
        if tensors.isEmpty {
            try Aten.fill_.perform(view, value)
        } else {
            try Aten.indexPut_.perform(view, tensors, Tensor(value).to(device: device, dtype: dtype), false)
        }
    }

    /// Applies the integers, slices and new axes; the tensors that remain are left for `aten::index`.
    private func basic(_ indices: [TensorIndex]) throws -> (Tensor, [Tensor?]) {
        let taken = indices.reduce(0) { sum, index in
            switch index {
            case .insertion, .gap: sum
            case .tensor(let mask) where mask.dtype == .bool: sum + mask.rank
            default: sum + 1
            }
        }
        func refuse(_ message: String) -> TorchError {
            TorchError(kind: .index, operation: "subscript", shapes: [shape], message: message)
        }
        guard taken <= rank else { throw refuse("\(taken) indices for a tensor of rank \(rank)") }
        let gaps = indices.count { if case .gap = $0 { true } else { false } }
        guard gaps <= 1 else { throw refuse("\(gaps) ellipses, one ellipsis is the limit") }
        var view = self
        var axis = 0
        var tensors: [Tensor?] = []
        func keep(_ count: Int) {
            axis += count
            tensors += [Tensor?](repeating: nil, count: count)
        }
        for index in indices {
            switch index {
            case .at(let position):
                view = try Aten.select(view, axis, position)
            case .slice(let start, let end, let step):
                if start != nil || end != nil || step != 1 {
                    view = try Aten.slice(view, axis, start, end, step)
                }
                keep(1)
            case .insertion:
                view = try Aten.unsqueeze(view, axis)
                keep(1)
            case .gap:
                keep(rank - taken)
            case .tensor(let tensor):
                axis += tensor.dtype == .bool ? tensor.rank : 1
                tensors.append(tensor)
            }
        }
        return (view, tensors.contains { $0 != nil } ? tensors : [])
    }
}
