#!/usr/bin/env bash
# Prints the folder of the Swift toolchain's programs (clang, docc), also where `swift` itself is a link or a proxy.
set -euo pipefail
resources=$(swift -print-target-info | awk -F '"' '$2 == "runtimeResourcePath" { print $4; exit }')
echo "$resources/../../bin"
