#!/usr/bin/env bash
# Trains the embedded model from nothing: first its segmenter, then the rest, one folder each. What was interrupted goes on; a run
# that is complete has nothing left to do.
# usage: train.sh FOLDER
#   DEVICE=cuda    train on a GPU, where a step is faster in one shard
set -euo pipefail
output=$1
device=${DEVICE:-cpu}
vitrail="$(dirname "${BASH_SOURCE[0]}")/../.build/release/vitrail"
configurations="$(dirname "${BASH_SOURCE[0]}")/../Training"

if [[ $device == cpu ]]; then
    # shellcheck source=Tools/allocator.sh
    . "$(dirname "${BASH_SOURCE[0]}")/allocator.sh"
fi

run() { # CONFIGURATION FOLDER OPTION…
    local resume=()
    if [[ -e $2/checkpoint.safetensors ]]; then resume=(--resume); fi
    "$vitrail" train "$1" --output "$2" --device "$device" "${resume[@]}" "${@:3}"
}

shards=()
if [[ $device != cpu ]]; then shards=(--set shards=1); fi
run "$configurations/segmenter.json" "$output/segmenter" "${shards[@]}"
run "$configurations/mosaic.json" "$output/lumen" --segmenter "$output/segmenter/model" "${shards[@]}"
echo "the model is in $output/lumen/model"
