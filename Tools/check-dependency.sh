#!/usr/bin/env bash
# Depends on this package as its users do: a fresh package names the committed state by URL and version, is set up by the
# plugin, built, and run with an empty environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

git clone -q . "$work/vitrail"
git -C "$work/vitrail" tag 99.0.0

mkdir -p "$work/app/Sources/App"
cat >"$work/app/Package.swift" <<SWIFT
// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "App", platforms: [.macOS(.v15)],
    dependencies: [.package(url: "file://$work/vitrail", from: "99.0.0")],
    targets: [.executableTarget(name: "App", dependencies: [.product(name: "Vitrail", package: "vitrail")])])
SWIFT
cat >"$work/app/Sources/App/main.swift" <<'SWIFT'
import Vitrail

let engine = try Engine()
let picture = try await engine.open(contentsOf: CommandLine.arguments[1])
for location in try await engine.locate(["star", "red circle"], in: picture, as: .boxes) {
    print(location.phrase, location.detections.count)
}
SWIFT

cd "$work/app"
swift package --disable-sandbox vitrail-setup
swift build
picture=$(ls "$work"/vitrail/docs/images/*.png | head -1)
answer=$(env -i "$(swift build --show-bin-path)/App" "$picture")
echo "$answer"
[ "$(echo "$answer" | grep -cE '^(star|red circle) [0-9]+$')" = 2 ] ||
    { echo "check-dependency: the program's answer is not two lines of counts" >&2; exit 1; }
