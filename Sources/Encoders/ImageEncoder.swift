public import Torch

/// What an encoder saw in a batch of images; computed once, asked many times.
public struct ImageFeatures {
    /// [b, height * width, channels]: one vector a patch, row by row.
    public let tokens: Tensor
    /// The patches' rows and columns.
    public let grid: (height: Int, width: Int)
    /// [b, c, h, w]: features of a finer grid, of encoders that have one.
    public let fine: Tensor?
    /// [b, attributes, h, w]: probabilities of the attributes that the dense head knows, on the finer grid, float32.
    public let attributes: Tensor?
    /// [b, attributes + 2 or 4, h, w]: the dense head's logits, then log width and log height of the box, and where
    /// its centre lies from the cell's, right and down, in cells; float32.
    public let dense: Tensor?

    public init(
        tokens: Tensor, grid: (height: Int, width: Int), fine: Tensor? = nil, attributes: Tensor? = nil,
        dense: Tensor? = nil
    ) {
        self.tokens = tokens
        self.grid = grid
        self.fine = fine
        self.attributes = attributes
        self.dense = dense
    }
}

/// A network that turns pictures into features: the slot that the embedded encoder and CLIP both fit.
public protocol ImageEncoder {
    /// The longer side of a picture in pixels, at least and at most.
    var sizes: ClosedRange<Int> { get }
    /// Pixels [b, 3, h, w] of 0...255 to what the network's first layer wants.
    func normalized(_ pixels: Tensor) throws -> Tensor
    /// - Parameter images: [b, 3, h, w], normalized.
    func callAsFunction(_ images: Tensor) throws -> ImageFeatures
}
