#!/usr/bin/env bash
# Builds the program: build/release/zhiyin. Installs what is missing first (scripts/setup.sh).
. "$(dirname "$0")/common.sh"

"$root/scripts/setup.sh"
build_preset release zhiyin
say "built $root/build/release/zhiyin"
