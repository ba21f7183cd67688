#!/usr/bin/env bash
# Fails when a file under version control is too large or names a folder of somebody's machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

limit=40  # MB, so that a clone stays quick
status=0

while IFS= read -r -d '' file; do
    if [ -f "$file" ] && [ "$(wc -c <"$file")" -gt $((limit * 1000 * 1000)) ]; then
        echo "check-files: $file is larger than $limit MB" >&2
        status=1
    fi
done < <(git ls-files -z)

if git grep -nIE '(^|[^A-Za-z0-9_./-])/(home|root|work|Users)/[A-Za-z0-9]' -- . >&2; then
    echo "check-files: the lines above name a folder that exists on one machine only" >&2
    status=1
fi
exit $status
