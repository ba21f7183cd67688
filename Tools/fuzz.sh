#!/usr/bin/env bash
# Gives every reader of files mutations of valid ones, by libFuzzer: MINUTES for each target, as many at a time as there
# are cores. What ends in a signal, takes longer than 10 seconds or more than 2 GB is kept in .build/fuzz/found, and
# the exit code says so. TARGETS="pictures labels" runs those alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=$(awk -v minutes="${MINUTES:-1}" 'BEGIN { print int(60 * minutes) }')
folder=.build/fuzz
export FUZZ=$folder/release/Fuzz FOUND=$folder/found CORPUS=$folder/corpus LOGS=$folder/logs SECONDS_EACH=$seconds

# libFuzzer comes with the toolchain; its own `main` is left out.
runtime="$("$(Tools/toolchain.sh)/clang" -print-resource-dir)/lib/linux/libclang_rt.fuzzer_no_main-$(uname -m).a"
echo "==> building the fuzz targets"
VITRAIL_FUZZ=1 swift build -c release --product Fuzz --scratch-path $folder \
    -Xlinker "$runtime" -Xlinker -lstdc++ 2>&1 | grep -E "error|Compiling|Build" | tail -n 3

mkdir -p "$FOUND" "$LOGS"
# Swift's own report of a crash takes the signal, and half a minute.
export SWIFT_BACKTRACE=enable=no
SCRATCH="$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")" vitrail-fuzz-XXXXXX)"
export SCRATCH
trap 'rm -rf "$SCRATCH"' EXIT

one() {
    mkdir -p "$CORPUS/$1"
    TARGET=$1 SEEDS="$CORPUS/$1" "$FUZZ"
    # Each job is a process of its own, so that the first crash is not the end.
    TARGET=$1 OMP_NUM_THREADS=1 "$FUZZ" -fork=1 -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1 \
        -max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -seed="${SEED:-1}" \
        -artifact_prefix="$FOUND/$1-" "$CORPUS/$1" >"$LOGS/$1" 2>&1 || true
    printf '%-16s%s\n' "$1" "$(grep '^#' "$LOGS/$1" | tail -n 1 | sed -E 's/ (ft|corp|exec|dft|job).*oom/ oom/; s/ job.*//')"
}
export -f one

echo "==> $seconds s of each target: inputs, branches seen, out of memory, too slow and crashed"
"$FUZZ" | tr '\n' ' ' >"$folder/targets"
for target in ${TARGETS:-$(cat "$folder/targets")}; do echo "$target"; done |
    xargs -P "$(nproc)" -I{} bash -c 'one {}'
if [ -n "$(ls "$FOUND")" ]; then
    echo "==> found, in $FOUND; TARGET=… $FUZZ FILE shows one again"
    ls "$FOUND"
    exit 1
fi
