// Operators broadcast as in PyTorch. One `try` covers a whole expression.

public func + (a: Tensor, b: Tensor) throws -> Tensor { try Aten.add(a, b) }
public func + (a: Tensor, b: Double) throws -> Tensor { try Aten.addScalar(a, b) }
public func + (a: Double, b: Tensor) throws -> Tensor { try Aten.addScalar(b, a) }
public func - (a: Tensor, b: Tensor) throws -> Tensor { try Aten.sub(a, b) }
public func - (a: Tensor, b: Double) throws -> Tensor { try Aten.subScalar(a, b) }
public func - (a: Double, b: Tensor) throws -> Tensor { try Aten.rsubScalar(b, a) }
public func * (a: Tensor, b: Tensor) throws -> Tensor { try Aten.mul(a, b) }
public func * (a: Tensor, b: Double) throws -> Tensor { try Aten.mulScalar(a, b) }
public func * (a: Double, b: Tensor) throws -> Tensor { try Aten.mulScalar(b, a) }
// A tensor of integers stays one when an integer is added; a floating-point number makes it float32.
public func + (a: Tensor, b: Int) throws -> Tensor { try Aten.addScalar(a, b) }
public func + (a: Int, b: Tensor) throws -> Tensor { try Aten.addScalar(b, a) }
public func - (a: Tensor, b: Int) throws -> Tensor { try Aten.subScalar(a, b) }
public func - (a: Int, b: Tensor) throws -> Tensor { try Aten.rsubScalar(b, a) }
public func * (a: Tensor, b: Int) throws -> Tensor { try Aten.mulScalar(a, b) }
public func * (a: Int, b: Tensor) throws -> Tensor { try Aten.mulScalar(b, a) }
public func / (a: Tensor, b: Tensor) throws -> Tensor { try Aten.div(a, b) }
public func / (a: Tensor, b: Double) throws -> Tensor { try Aten.divScalar(a, b) }
public func / (a: Double, b: Tensor) throws -> Tensor { try a * b.reciprocal() }
public prefix func - (a: Tensor) throws -> Tensor { try Aten.neg(a) }

public func .== (a: Tensor, b: Tensor) throws -> Tensor { try Aten.eq(a, b) }
public func .== (a: Tensor, b: Double) throws -> Tensor { try Aten.eqScalar(a, b) }
public func .!= (a: Tensor, b: Tensor) throws -> Tensor { try Aten.ne(a, b) }
public func .!= (a: Tensor, b: Double) throws -> Tensor { try Aten.neScalar(a, b) }
public func .< (a: Tensor, b: Tensor) throws -> Tensor { try Aten.lt(a, b) }
public func .< (a: Tensor, b: Double) throws -> Tensor { try Aten.ltScalar(a, b) }
public func .<= (a: Tensor, b: Tensor) throws -> Tensor { try Aten.le(a, b) }
public func .<= (a: Tensor, b: Double) throws -> Tensor { try Aten.leScalar(a, b) }
public func .> (a: Tensor, b: Tensor) throws -> Tensor { try Aten.gt(a, b) }
public func .> (a: Tensor, b: Double) throws -> Tensor { try Aten.gtScalar(a, b) }
public func .>= (a: Tensor, b: Tensor) throws -> Tensor { try Aten.ge(a, b) }
public func .>= (a: Tensor, b: Double) throws -> Tensor { try Aten.geScalar(a, b) }
public func .& (a: Tensor, b: Tensor) throws -> Tensor { try Aten.logicalAnd(a, b) }
public func .| (a: Tensor, b: Tensor) throws -> Tensor { try Aten.logicalOr(a, b) }
public prefix func .! (a: Tensor) throws -> Tensor { try Aten.logicalNot(a) }

extension Tensor {
    public func abs() throws -> Tensor { try Aten.abs(self) }
    public func exp() throws -> Tensor { try Aten.exp(self) }
    public func log() throws -> Tensor { try Aten.log(self) }
    public func log1p() throws -> Tensor { try Aten.log1p(self) }
    public func sqrt() throws -> Tensor { try Aten.sqrt(self) }
    public func rsqrt() throws -> Tensor { try Aten.rsqrt(self) }
    public func sin() throws -> Tensor { try Aten.sin(self) }
    public func cos() throws -> Tensor { try Aten.cos(self) }
    public func tanh() throws -> Tensor { try Aten.tanh(self) }
    public func erf() throws -> Tensor { try Aten.erf(self) }
    public func floor() throws -> Tensor { try Aten.floor(self) }
    public func ceil() throws -> Tensor { try Aten.ceil(self) }
    /// To the nearest integer, halves to the even one.
    public func rounded() throws -> Tensor { try Aten.round(self) }
    public func reciprocal() throws -> Tensor { try Aten.reciprocal(self) }
    public func pow(_ exponent: Double) throws -> Tensor { try Aten.powScalar(self, exponent) }
    public func pow(_ exponent: Tensor) throws -> Tensor { try Aten.pow(self, exponent) }
    /// Integers stay integers.
    public func clamped(min: Double? = nil, max: Double? = nil) throws -> Tensor {
        dtype.isFloatingPoint
            ? try Aten.clamp(self, min, max) : try Aten.clamp(self, min.map { Int($0) }, max.map { Int($0) })
    }
    public func floorDivided(by divisor: Int) throws -> Tensor { try Aten.floorDivide(self, divisor) }
    /// The remainder with the divisor's sign.
    public func remainder(_ divisor: Int) throws -> Tensor { try Aten.remainder(self, divisor) }
    public func isNaN() throws -> Tensor { try Aten.isnan(self) }
    public func isFinite() throws -> Tensor { try Aten.isfinite(self) }

    public func sigmoid() throws -> Tensor { try Aten.sigmoid(self) }
    public func logSigmoid() throws -> Tensor { try Aten.logSigmoid(self) }
    public func relu() throws -> Tensor { try Aten.relu(self) }
    /// The exact form with the error function, or the tanh approximation.
    public func gelu(approximate: Bool = false) throws -> Tensor {
        try Aten.gelu(self, approximate ? "tanh" : "none")
    }
    public func silu() throws -> Tensor { try Aten.silu(self) }
    public func softplus() throws -> Tensor { try Aten.softplus(self) }
    public func leakyRelu(_ slope: Double = 0.01) throws -> Tensor { try Aten.leakyRelu(self, slope) }

    /// Adds in place.
    public func add_(_ other: Tensor) throws { try Aten.add_.perform(self, other) }
    /// Multiplies in place.
    public func multiply_(_ factor: Double) throws { try Aten.mulScalar_.perform(self, factor) }
    public func zero_() throws { try withoutGrad { try Aten.zero_.perform(self) } }

    // MARK: Reductions

    public func sum() throws -> Tensor { try Aten.sum(self) }
    public func sum(_ axes: Int..., keepDims: Bool = false) throws -> Tensor {
        try Aten.sumDim(self, axes, keepDims)
    }
    public func mean() throws -> Tensor { try Aten.mean(self) }
    public func mean(_ axes: Int..., keepDims: Bool = false) throws -> Tensor {
        try Aten.meanDim(self, axes, keepDims)
    }
    /// With `correction` 0 divided by n, with 1 by n - 1.
    public func variance(_ axes: Int..., correction: Int = 1, keepDims: Bool = false) throws -> Tensor {
        try Aten.varDim(self, axes, correction, keepDims)
    }
    public func standardDeviation(_ axes: Int..., correction: Int = 1, keepDims: Bool = false) throws
        -> Tensor
    {
        try Aten.std(self, axes, correction, keepDims)
    }
    public func product(_ axis: Int, keepDims: Bool = false) throws -> Tensor {
        try Aten.prodDim(self, axis, keepDims)
    }
    public func max() throws -> Tensor { try Aten.max(self) }
    public func min() throws -> Tensor { try Aten.min(self) }
    /// The largest along an axis and where it is.
    public func max(_ axis: Int, keepDims: Bool = false) throws -> (values: Tensor, indices: Tensor) {
        let pair = try Aten.maxDim.all(self, axis, keepDims)
        return (pair[0], pair[1])
    }
    public func min(_ axis: Int, keepDims: Bool = false) throws -> (values: Tensor, indices: Tensor) {
        let pair = try Aten.minDim.all(self, axis, keepDims)
        return (pair[0], pair[1])
    }
    public func amax(_ axes: Int..., keepDims: Bool = false) throws -> Tensor {
        try Aten.amax(self, axes, keepDims)
    }
    public func amin(_ axes: Int..., keepDims: Bool = false) throws -> Tensor {
        try Aten.amin(self, axes, keepDims)
    }
    public func argmax(_ axis: Int, keepDims: Bool = false) throws -> Tensor {
        try Aten.argmax(self, axis, keepDims)
    }
    public func argmin(_ axis: Int, keepDims: Bool = false) throws -> Tensor {
        try Aten.argmin(self, axis, keepDims)
    }
    public func allTrue() throws -> Bool { try Aten.all(self).intItem() != 0 }
    public func anyTrue() throws -> Bool { try Aten.any(self).intItem() != 0 }
    public func cumulativeSum(_ axis: Int) throws -> Tensor { try Aten.cumsum(self, axis) }
    /// The Euclidean length of all elements together.
    public func norm() throws -> Tensor { try Aten.norm(self) }
    public func norm(_ axis: Int) throws -> Tensor { try Aten.norm(self, 2.0, [axis]) }
    public func softmax(_ axis: Int) throws -> Tensor { try Aten.softmax(self, axis) }
    /// The same in the tensor's own dtype also under autocast, which otherwise takes float32.
    public func softmaxKeepingType(_ axis: Int) throws -> Tensor { try Aten.softmaxOfType(self, axis, false) }
    public func logSoftmax(_ axis: Int) throws -> Tensor { try Aten.logSoftmax(self, axis) }
    public func logSumExp(_ axis: Int, keepDims: Bool = false) throws -> Tensor {
        try Aten.logsumexp(self, [axis], keepDims)
    }

    /// Sorted along an axis, equal elements in their order; and where each came from.
    public func sorted(_ axis: Int, descending: Bool = false) throws -> (values: Tensor, indices: Tensor) {
        let pair = try Aten.sort.all(self, true, axis, descending)
        return (pair[0], pair[1])
    }
    /// The `count` largest along an axis, largest first; and where they are.
    public func topK(_ count: Int, axis: Int = -1, largest: Bool = true) throws -> (
        values: Tensor, indices: Tensor
    ) {
        let pair = try Aten.topk.all(self, count, axis, largest)
        return (pair[0], pair[1])
    }

    /// True when shapes are equal and every element is within `absolute + relative * |other|`.
    public func isClose(to other: Tensor, relative: Double = 1e-5, absolute: Double = 1e-8) throws -> Bool {
        guard shape == other.shape else { return false }
        return try Aten.allclose(self, other, relative, absolute, true).allTrue()
    }
}

/// The elementwise larger one.
public func maximum(_ a: Tensor, _ b: Tensor) throws -> Tensor { try Aten.maximum(a, b) }
/// The elementwise smaller one.
public func minimum(_ a: Tensor, _ b: Tensor) throws -> Tensor { try Aten.minimum(a, b) }
