#!/bin/sh
# The paper's questions at the small size: trains one short run for each answer on plain scenes, all from one encoder that has
# learnt to see them, and scores each on the same scenes. Runs that are complete are not done again.
#
#   Tools/ablations.sh OUTPUT
set -eu
output=$1
vitrail=${VITRAIL:-.build/release/vitrail}
mkdir -p "$output"
# shellcheck source=Tools/allocator.sh
. "$(dirname "$0")/allocator.sh"

if [ ! -d "$output/encoder/model" ]; then
    rm -rf "${output:?}/encoder"
    "$vitrail" train Training/mosaic.json --until 1 --output "$output/encoder" \
        --set stages.0.steps=1200 --set stages.0.vision_steps=1200 --set stages.0.aligner_from=1200 \
        --set stages.0.schedule.decay_share=0.3 --set stages.0.rich_share=0 --set stages.0.varied_share=0 \
        --set stages.0.pose_share=0.15 --set stages.0.easy_steps=500
fi

# NAME FIELD=VALUE...: a run of 800 steps, the last 240 with a falling rate, and its figures.
variant() {
    name=$1
    shift
    settings=
    for field in stages.1.steps=800 stages.1.aligner_from=200 stages.1.schedule.decay_share=0.3 \
        stages.1.rich_share=0 stages.1.varied_share=0 stages.1.easy_steps=400 "$@"; do
        settings="$settings --set $field"
    done
    if [ ! -d "$output/$name/model" ]; then
        rm -rf "${output:?}/$name"
        # shellcheck disable=SC2086
        "$vitrail" train Training/mosaic.json --stage 1 --until 2 --model "$output/encoder/model" --output "$output/$name" $settings
    fi
    if [ ! -f "$output/$name.json" ]; then
        "$vitrail" evaluate --model "$output/$name/model" --ring plain --scenes 100 --seed 800000 --json \
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
