#!/usr/bin/env bash
# Installs the Debian packages that zhiyin is built from; does nothing when all are there.
#   scripts/setup.sh           what scripts/build.sh and scripts/demo.sh need
#   scripts/setup.sh --tests   and what scripts/test.sh needs for its fuzz stage
#   scripts/setup.sh --list    prints the packages, for other systems or an image of your own
. "$(dirname "$0")/common.sh"

build_packages=(
  g++ cmake ninja-build ccache pkg-config
  libgtest-dev libgmock-dev
  nlohmann-json3-dev libyaml-cpp-dev libcli11-dev
  libpcre2-dev libutf8proc-dev libicu-dev libuchardet-dev
  libsqlite3-dev libedit-dev libpng-dev zlib1g-dev libxxhash-dev
)
fetch_packages=(ca-certificates python3-pip)  # for scripts/fetch-model.sh alone
fuzz_packages=(clang-19 libclang-rt-19-dev)

wanted=("${build_packages[@]}")
python3 -m pip --version >/dev/null 2>&1 || wanted+=("${fetch_packages[@]}")
list=false
for option in "$@"; do
  case $option in
    --tests) wanted+=("${fuzz_packages[@]}") ;;
    --list) list=true ;;
    *) die "unknown option $option (known: --tests, --list)" ;;
  esac
done
if $list; then
  printf '%s\n' "${build_packages[@]}" "${fetch_packages[@]}" "${fuzz_packages[@]}"
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  say "setup.sh: no apt-get here; zhiyin is built from these (names as in Debian 12):"
  say "  ${wanted[*]}"
  exit 0
fi

missing=()
for package in "${wanted[@]}"; do
  state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null ||
    die "packages are missing and neither root nor sudo is here; as root: apt-get install ${missing[*]}"
  as_root=(sudo)
fi
say "Installing ${#missing[@]} packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt_get() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1 ||
    { cat "$log" >&2; die "apt-get $1 failed, see above"; }
}
apt_get update
apt_get install -y --no-install-recommends "${missing[@]}"
