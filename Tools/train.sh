#!/usr/bin/env bash
# Trains the embedded model from nothing: first its segmenter, then the rest, one folder each. What was interrupted goes on; a run
# that is complete has nothing left to do.
# usage: train.sh FOLDER
set -euo pipefail
output=$1
vitrail="$(dirname "${BASH_SOURCE[0]}")/../.build/release/vitrail"
configurations="$(dirname "${BASH_SOURCE[0]}")/../Training"

run() { # CONFIGURATION FOLDER OPTION…
    local resume=()
    if [[ -e $2/checkpoint.safetensors ]]; then resume=(--resume); fi
    "$vitrail" train "$1" --output "$2" "${resume[@]}" "${@:3}"
}

run "$configurations/segmenter.json" "$output/segmenter"
run "$configurations/mosaic.json" "$output/lumen" --segmenter "$output/segmenter/model"
echo "the model is in $output/lumen/model"
