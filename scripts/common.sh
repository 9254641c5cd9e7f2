# Sourced by the other scripts: the repository's root, messages, and how many compilers fit.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
models_dir=${ZHIYIN_HOME:-$HOME/.zhiyin}/models

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

# Compilers to run at once: one a core, as long as each can have 1.5 GB.
build_jobs() {
  local cores free_mb
  cores=$(nproc)
  free_mb=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
  local fit=$((free_mb / 1536))
  ((fit < 1)) && fit=1
  echo $((fit < cores ? fit : cores))
}

# build_preset PRESET [TARGET...]: configures build/PRESET where needed and builds.
build_preset() {
  local preset=$1
  shift
  # Configuring speaks only when it fails: cmake's own report of every found library is noise here.
  local log
  if ! log=$(cd "$root" && cmake --preset "$preset" 2>&1); then
    say "$log"
    return 1
  fi
  cmake --build "$root/build/$preset" --parallel "$(build_jobs)" ${1:+--target "$@"}
}
