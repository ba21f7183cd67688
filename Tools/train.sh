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

# A step allocates and frees gigabytes, which jemalloc keeps (docs/training.md).
jemalloc=$(ldconfig -p 2>/dev/null | awk '/libjemalloc\.so\.2 / { print $NF; exit }') || true
if [[ $device == cpu && -n $jemalloc ]]; then
    export LD_PRELOAD=$jemalloc MALLOC_CONF=dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:always,lg_extent_max_active_fit:20,narenas:4
elif [[ $device == cpu && $(uname) == Linux ]]; then
    echo "with jemalloc (Debian: libjemalloc2) a step would be about a tenth faster"
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
