#!/usr/bin/env bash
# Builds the documentation of all libraries, as one archive, from the modules that
# `swift build -c release` left. A link to a symbol that does not exist, or a parameter that is
# documented and not there, is an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

modules=.build/release/Modules
graphs=.build/symbol-graphs
archive=.build/documentation

target=$(swift -print-target-info | awk -F '"' '$2 == "triple" { print $4; exit }')
options=(-target "$target" -I "$modules" -minimum-access-level public -skip-synthesized-members)
if [ "$(uname -s)" = Darwin ]; then
    tool() { xcrun --find "$1"; }
    options+=(-sdk "$(xcrun --show-sdk-path)")
else
    programs=$(Tools/toolchain.sh)
    tool() { echo "$programs/$1"; }
fi
# The C modules, which the libraries import.
for map in {Sources,.build/checkouts/*/Sources}/*/{,include/}module.modulemap .build/release/*.build/module.modulemap; do
    if [ -f "$map" ]; then options+=(-Xcc "-fmodule-map-file=$map"); fi
done
for flag in $(pkg-config --cflags libavformat libavcodec libavutil libswscale cairo); do
    options+=(-Xcc "$flag")
done

rm -rf "$graphs" "$archive"
mkdir -p "$graphs"
for folder in Sources/*/; do
    module=$(basename "$folder")
    if [ "$module" != CLI ] && [ -f "$modules/$module.swiftmodule" ]; then
        "$(tool swift-symbolgraph-extract)" -module-name "$module" "${options[@]}" -output-dir "$graphs"
    fi
done

catalog=()
for folder in Sources/Vitrail/*.docc; do
    if [ -d "$folder" ]; then catalog=("$folder"); fi
done
"$(tool docc)" convert ${catalog[@]+"${catalog[@]}"} --additional-symbol-graph-dir "$graphs" --output-dir "$archive" \
    --fallback-display-name Vitrail --fallback-bundle-identifier vitrail --warnings-as-errors
echo "documentation: $archive"
