#!/bin/sh
# The paper's questions at the small size: trains one short run for each answer on plain scenes, all from the same encoder, and
# scores each on the same scenes. Runs that are complete are not done again.
#
#   Tools/ablations.sh ENCODER OUTPUT
#
# ENCODER is the model of stage 0 of Training/mosaic.json.
set -eu
encoder=$1
output=$2
vitrail=${VITRAIL:-.build/release/vitrail}
mkdir -p "$output"

# NAME FIELD=VALUE...: a run of 1,200 steps, the last 300 with a falling rate, and its figures.
variant() {
    name=$1
    shift
    settings=
    for field in stages.1.steps=1200 stages.1.aligner_from=300 stages.1.rich_share=0 stages.1.varied_share=0 \
        stages.1.easy_steps=600 "$@"; do
        settings="$settings --set $field"
    done
    if [ ! -d "$output/$name/model" ]; then
        rm -rf "${output:?}/$name"
        # shellcheck disable=SC2086
        "$vitrail" train Training/mosaic.json --stage 1 --model "$encoder" --output "$output/$name" $settings
    fi
    if [ ! -f "$output/$name.json" ]; then
        "$vitrail" evaluate --model "$output/$name/model" --ring plain --scenes 150 --seed 800000 --json \
            --tasks detection,attributes,referring,pose,counting,questions,captions > "$output/$name.part"
        mv "$output/$name.part" "$output/$name.json"
    fi
}

# How [LOC] and the picture meet; without the match term, which would do the transformer's work for either.
variant whole
variant transformer variant.match=false
variant convolution variant.match=false variant.fusion=convolution
variant queries variant.match=false variant.query_count=4
# Each task left out.
variant without-questions stages.1.questions=0
variant without-captions stages.1.captions=0
variant without-referring stages.1.referring_share=0
variant without-pose stages.1.pose_share=0
