public import Torch

/// The features of a batch of images; computed once, for many requests.
public struct ImageFeatures {
    /// [b, height * width, channels]: one vector for each patch, row by row.
    public let tokens: Tensor
    /// The patches' rows and columns.
    public let grid: (height: Int, width: Int)
    /// [b, c, h, w]: features of a finer grid, if the encoder has one.
    public let fine: Tensor?
    /// [b, attributes, h, w]: probabilities of the attributes that the dense head knows, on the finer grid, float32.
    public let attributes: Tensor?
    /// [b, attributes + 2 or 4, h, w]: the dense head's logits, then log width and log height of the box, and the
    /// offset of its centre from the cell's, right and down, in cells; float32.
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

/// A network that turns pictures into features. The embedded encoder and CLIP both conform.
public protocol ImageEncoder {
    /// The least and the largest longer side of a picture, in pixels.
    var sizes: ClosedRange<Int> { get }
    /// Normalises pixels [b, 3, h, w] of 0...255 for the network's first layer.
    func normalized(_ pixels: Tensor) throws -> Tensor
    /// - Parameter images: [b, 3, h, w], normalized.
    func callAsFunction(_ images: Tensor) throws -> ImageFeatures
}
