import Checkpoints
import Foundation
public import Language
import NN
public import Torch

extension Llama {
    /// Opens a folder of a Llama as Hugging Face lays it out.
    ///
    /// - Parameters:
    ///   - folder: with `config.json` and weights.
    ///   - device: where the parameters will be.
    ///   - dtype: what the parameters are held in; nil keeps the file's.
    /// - Throws: `ModelError`, `CheckpointError` or `ParameterError` that names the file.
    public convenience init(contentsOf folder: String, device: Device = .cpu, dtype: DType? = nil) throws {
        guard case .llama = try CheckpointKind(of: folder) else {
            throw ModelError.notAModel(folder, "no Llama by itself")
        }
        let configuration: LlamaConfiguration = try ModelFolder.read("\(folder)/config.json", .llama)
        let ignored = ["*.rotary_emb.inv_freq"] + (configuration.tieWordEmbeddings ? ["lm_head.weight"] : [])
        let source = try RenamedSource(Checkpoint(contentsOf: folder), KeyMap([:], ignored: ignored))
        let store = ParameterStore(.loaded(source), device: device, dtype: dtype)
        try self.init(store.root, configuration)
        try store.finish()
    }
}
