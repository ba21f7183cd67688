import Perception
import Torch

// A batch is made on the CPU, then moved to the device of the network.

extension MosaicBatch {
    func to(_ device: Device) throws -> MosaicBatch {
        guard device != .cpu else { return self }
        return MosaicBatch(
            content: content, pixels: try pixels.to(device), dense: try dense.to(device),
            wordTargets: try wordTargets?.to(device), words: try words?.to(device))
    }
}

extension MosaicBatch.DenseTruth {
    fileprivate func to(_ device: Device) throws -> Self {
        Self(
            heat: try heat.to(device), kinds: kinds, boxes: try boxes.to(device),
            traits: try traits.to(device))
    }
}

extension MosaicBatch.Words {
    fileprivate func to(_ device: Device) throws -> Self {
        Self(
            ids: try ids.map { try $0.to(device) }, location: try location.to(device),
            text: try text.to(device), varying: try varying.to(device), loc: try loc.to(device),
            mentions: try mentions.to(device),
            subjects: try subjects.to(device), anchors: try anchors?.to(device),
            relations: try relations.to(device), lists: try lists.to(device), aligned: try aligned.to(device),
            heat: try heat.to(device), boxes: try boxes.to(device))
    }
}

extension MosaicBatch.Following {
    fileprivate func to(_ device: Device) throws -> Self {
        Self(sources: try sources.to(device), targets: try targets.to(device))
    }
}

extension MosaicBatch.Told {
    fileprivate func to(_ device: Device) throws -> Self {
        Self(
            positions: try positions.to(device), named: try named.to(device), place: try place.to(device),
            single: try single.to(device), anchor: try anchor.to(device), anchored: try anchored.to(device),
            one: try one?.to(device), things: try things?.to(device))
    }
}

extension MosaicBatch.Anchors {
    fileprivate func to(_ device: Device) throws -> Self {
        Self(
            texts: try texts.to(device), tokens: try tokens.to(device), phrases: try phrases.to(device),
            images: try images.to(device))
    }
}

extension MosaicBatch.Relations {
    fileprivate func to(_ device: Device) throws -> Self {
        Self(
            positions: try positions.to(device), directions: try directions.to(device),
            distances: try distances.to(device))
    }
}

extension MosaicBatch.Lists {
    fileprivate func to(_ device: Device) throws -> Self {
        Self(
            positions: try positions.to(device), kinds: try kinds.to(device), things: try things?.to(device))
    }
}

extension MosaicBatch.Things {
    fileprivate func to(_ device: Device) throws -> Self {
        Self(told: try told.to(device), images: try images.to(device), patches: try patches.to(device))
    }
}

extension BoxTruth {
    func to(_ device: Device) throws -> BoxTruth {
        BoxTruth(
            cells: try cells.to(device), weight: try weight.to(device), logSize: try logSize.to(device),
            offset: try offset.to(device), target: target, stride: stride)
    }
}

extension LabelBatch {
    func to(_ device: Device) throws -> LabelBatch {
        guard device != .cpu else { return self }
        return LabelBatch(
            pixels: try pixels.to(device), denseHeat: try denseHeat.to(device),
            denseBoxes: try denseBoxes.to(device), denseLabels: try denseLabels.to(device),
            attention: try attention?.to(device), denseAttention: try denseAttention?.to(device),
            asksPoints: asksPoints,
            ids: try ids.map { try $0.to(device) },
            location: try location.to(device), text: try text.to(device), named: try named.to(device),
            aligned: try aligned.to(device), queries: queries, heat: try heat.to(device),
            boxes: try boxes.to(device))
    }
}

extension LabelBatch.Following {
    fileprivate func to(_ device: Device) throws -> Self {
        Self(sources: try sources.to(device), targets: try targets.to(device))
    }
}

extension SegmenterBatch {
    func to(_ device: Device) throws -> SegmenterBatch {
        guard device != .cpu else { return self }
        return SegmenterBatch(
            pixels: try pixels.to(device), groups: try groups.map { try $0.to(device) })
    }
}

extension SegmenterBatch.Group {
    fileprivate func to(_ device: Device) throws -> Self {
        let prompts = SAMPrompts(
            points: try prompts.points?.to(device), labels: try prompts.labels?.to(device),
            boxes: try prompts.boxes?.to(device), masks: try prompts.masks?.to(device))
        return Self(
            name: name, prompts: prompts, targets: try targets.to(device), weights: try weights.to(device))
    }
}
