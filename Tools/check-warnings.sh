#!/usr/bin/env bash
# Fails when the compiler had something to say about this project's own sources. Swift's findings are
# kept with each module it compiled, so that an incremental build hides none; those about C and C++
# come from the log of `make test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

status=0
project=$(pwd -P)

for diagnostics in .build/release/*.build/*.dia; do
    [ -f "$diagnostics" ] || { echo "check-warnings: nothing is built yet" >&2; exit 1; }
    if grep -qaE "$project/(Sources|Tests|Examples)/" "$diagnostics"; then
        echo "check-warnings: the compiler warned in $(basename "$diagnostics" .dia):" >&2
        tr -c '[:print:]' '\n' <"$diagnostics" | grep -E "^.{0,3}$project/|[a-z]+ [a-z]+ " >&2 || true
        status=1
    fi
done

if [ -f .build/build.log ] && grep -E "(Sources|Tests|Examples)/[^:]*:[0-9]+:[0-9]+: warning:" .build/build.log |
    grep -v '/\.build/' | sort -u >&2; then
    echo "check-warnings: the build log has the warnings above" >&2
    status=1
fi
exit $status
