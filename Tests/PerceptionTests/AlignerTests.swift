internal import NN
internal import Perception
internal import TestSupport
internal import Testing
internal import Torch

struct AlignerTests {
    private static let inputs = ["square", "larger", "wide"]

    private static func configuration(layers: Int = 2) -> AlignerConfiguration {
        AlignerConfiguration(
            languageSize: 16, imageSize: 16, hiddenSize: 16, numHiddenLayers: layers, numAttentionHeads: 2,
            tokenCount: 16, upsample: 2, mapChannels: 8, fineChannels: 24, fineMapChannels: 8,
            headChannels: 8,
            attributeGroups: [60, 10, 3, 3], offsetMaps: true, jointCount: 17, placeMatch: true,
            relations: true)
    }

    private func aligner(_ fixture: Fixture) throws -> Aligner {
        let store = ParameterStore(.loaded(fixture.source("weights/")))
        let aligner = try Aligner(store.root, Self.configuration())
        try store.finish()
        return aligner
    }

    private func maps(_ fixture: Fixture, _ input: String, queries: Range<Int>? = nil) throws -> AlignerMaps {
        func value(_ name: String) throws -> Tensor { try fixture["inputs/\(input)/\(name)"] }
        let grid = try value("grid").array(Int.self)
        let loc = try value("loc")
        let aligner = try aligner(fixture)
        let image = try aligner.image(
            tokens: value("tokens"), grid: (height: grid[0], width: grid[1]),
            fine: value("fine"), fineAttributes: value("attributes"), dense: value("dense"))
        return try aligner(queries.map { try loc[.all, $0] } ?? loc, image)
    }

    @Test(arguments: inputs) func givesWhatTheReferenceGives(input: String) throws {
        let fixture = try Fixture("lumen")
        let maps = try maps(fixture, input)
        let tokens = try fixture["inputs/\(input)/grid"].array(Int.self)
        #expect(maps.grid == (height: 2 * tokens[0], width: 2 * tokens[1]))
        for (name, value) in [
            ("heat", maps.heat), ("log_size", maps.logSize), ("offset", maps.offset!), ("named", maps.named!),
        ] {
            let error = try relativeError(value, fixture["outputs/\(input)/\(name)"])
            #expect(error < 1e-5, "\(name): \(error)")
        }
    }

    @Test(arguments: inputs) func readsRelationsAsTheReferenceDoes(input: String) throws {
        let fixture = try Fixture("lumen")
        let states = try fixture["inputs/\(input)/loc"].flattened(0, 1)
        let (direction, distance) = try aligner(fixture).readRelation(states)
        let both = try Tensor.cat([direction, distance.unsqueezed(1)], axis: 1)
        #expect(try relativeError(both, fixture["outputs/\(input)/relation"].flattened(0, 1)) < 1e-5)
    }

    /// Queries are a batch: what is asked beside one does not change its maps.
    @Test func queriesDoNotSeeEachOther() throws {
        let fixture = try Fixture("lumen")
        let alone = try maps(fixture, "square", queries: 1..<2)
        let error = try relativeError(alone.heat, fixture["outputs/square/heat"][.all, 1..<2])
        #expect(error < 1e-5, "\(error)")
    }

    /// Without gradients they are answered a few at a time.
    @Test(arguments: inputs) func manyQueriesAreAnsweredAsFew(input: String) throws {
        let fixture = try Fixture("lumen")
        func value(_ name: String) throws -> Tensor { try fixture["inputs/\(input)/\(name)"] }
        let (aligner, grid) = (try aligner(fixture), try value("grid").array(Int.self))
        let image = try aligner.image(
            tokens: value("tokens"), grid: (height: grid[0], width: grid[1]),
            fine: value("fine"), fineAttributes: value("attributes"), dense: value("dense"))
        let loc = try Tensor.randn([value("loc").size(0), 21, 16], generator: Generator(seed: 5))
        let all = try aligner(loc, image)
        let parts = try withInference { try aligner(loc, image) }
        for (name, part, whole) in [
            ("heat", parts.heat, all.heat), ("log_size", parts.logSize, all.logSize),
            ("offset", parts.offset!, all.offset!), ("named", parts.named!, all.named!),
        ] {
            #expect(part.shape == whole.shape)
            #expect(try relativeError(part, whole) < 1e-5, "\(name)")
        }
    }

    /// The paper's ablations: two convolutions, several queries of one [LOC].
    @Test(arguments: [(AlignerConfiguration.Fusion.convolution, nil), (.transformer, 3), (.convolution, 2)])
    func variantsAnswerEachPhraseByItself(fusion: AlignerConfiguration.Fusion, queries: Int?) throws {
        let fixture = try Fixture("lumen")
        var configuration = Self.configuration()
        (configuration.fusion, configuration.queryCount, configuration.match) = (fusion, queries, false)
        let store = ParameterStore(.initialised(try Generator(seed: 3)))
        let aligner = try Aligner(store.root, configuration)
        try aligner.initialise()
        // The maps start as the same for all phrases.
        let projection = store["up_proj.weight"]!
        try withoutGrad {
            try projection.copy(from: .randn(projection.shape, generator: Generator(seed: 4)))
        }
        #expect(store.names.contains { $0.hasPrefix("fuse.") } == (fusion == .convolution))
        #expect(store.names.contains { $0.hasPrefix("blocks.") } == (fusion == .transformer))
        #expect(!store.names.contains { $0.hasPrefix("match") })
        func value(_ name: String) throws -> Tensor { try fixture["inputs/wide/\(name)"] }
        let (grid, loc) = (try value("grid").array(Int.self), try value("loc"))
        func maps(_ loc: Tensor) throws -> AlignerMaps {
            try aligner(
                loc,
                aligner.image(
                    tokens: value("tokens"), grid: (height: grid[0], width: grid[1]), fine: value("fine"),
                    fineAttributes: value("attributes"), dense: value("dense")))
        }
        let (all, one) = (try maps(loc), try maps(loc[.all, 1..<2]))
        #expect(all.heat.shape == [loc.size(0), loc.size(1), 4 * grid[0] * grid[1]])
        #expect(try relativeError(one.heat, all.heat[.all, 1..<2]) < 1e-5)
        #expect(try relativeError(one.logSize, all.logSize[.all, 1..<2]) < 1e-5)
        // What is asked makes a difference.
        #expect(try relativeError(all.heat[.all, 0..<1], all.heat[.all, 1..<2]) > 1e-4)
    }

    @Test func startsAsTheReferenceDoes() throws {
        let fixture = try Fixture("lumen")
        let store = ParameterStore(.initialised(try Generator(seed: 1)))
        try Aligner(store.root, Self.configuration(layers: 1)).initialise()
        let starts = [
            ("match_query.weight", try store["match_query.weight"]![.all, 16...]),
            ("match_key.weight", try store["match_key.weight"]![.all, 8...]),
            ("match_query.bias", store["match_query.bias"]!), ("match_key.bias", store["match_key.bias"]!),
            ("attributes.bias", try store["attributes.bias"]![76..<80]), ("map_bias", store["map_bias"]!),
            ("relation.weight", store["relation.weight"]!), ("relation.bias", store["relation.bias"]!),
        ]
        for (name, value) in starts {
            let line = try difference(value, fixture["outputs/start/\(name)"])
            #expect(line == nil, "\(name): \(line ?? "")")
        }
        // The names alone decide: what is learnt about other features has no part in these rows.
        for (name, width) in [("match_query.weight", 16), ("match_key.weight", 8)] {
            #expect(try store[name]![..<61, ..<width].abs().max().item() == 0)
        }
    }
}
