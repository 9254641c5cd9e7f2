#!/usr/bin/env bash
# Builds everything and runs every test; the last line says "N passed, N failed".
#   scripts/test.sh [--fast] [--no-models] [--no-sanitizers] [--no-fuzz]
# --fast           release build and fast suites alone (no models, sanitizers or fuzzing)
# --models         fetch the real models (about 1.7 GB, once); the default where CI=true
# --no-models      do not; suites that need one skip and say so
# --no-sanitizers  without the address, undefined and thread sanitizer builds
# --no-fuzz        without the fuzz targets (30 s each)
# Third-party vocabularies and templates are read from $ZHIYIN_SHARED (default ../shared).
. "$(dirname "$0")/common.sh"

fuzz_seconds=30
tsan_suites='base|tensor|ops|generate'  # what runs on the thread pool

fast=false sanitizers=true fuzz=true
models=$([ "${CI-}" = true ] && echo true || echo false)
for option in "$@"; do
  case $option in
    --fast) fast=true models=false sanitizers=false fuzz=false ;;
    --models) models=true ;;
    --no-models) models=false ;;
    --no-sanitizers) sanitizers=false ;;
    --no-fuzz) fuzz=false ;;
    -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) say "test.sh: unknown option $option (see --help)"; exit 2 ;;
  esac
done

export ZHIYIN_SHARED=${ZHIYIN_SHARED:-$root/../shared}
# A hostile file must never lead to a huge allocation, so one of over 1 GB ends the test.
export ASAN_OPTIONS=max_allocation_size_mb=1024:detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1

passed=0 failed=0 skipped=0
launcher=()  # put before ctest
summary=()
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# stage NAME COMMAND...: runs it and keeps its time and outcome. Fails as the command did; the
# caller goes on with what does not depend on it.
stage() {
  local name=$1 start=$SECONDS before=$failed outcome=ok
  shift
  printf '\n==== %s\n' "$name"
  if ! "$@" && ((failed == before)); then
    failed=$((failed + 1))
  fi
  ((failed > before)) && outcome=FAILED
  summary+=("$(printf '%-34s %4d s  %s' "$name" $((SECONDS - start)) "$outcome")")
  [ $outcome = ok ]
}

finish() {
  printf '\n==== stages\n'
  printf '%s\n' "${summary[@]}" "$((SECONDS / 60)) min $((SECONDS % 60)) s in all, $skipped skipped"
  printf '%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0))
  exit
}

# run_suites BUILD CTEST_ARGUMENTS...: runs test programs and counts their cases.
run_suites() {
  local build=$root/build/$1 reports
  shift
  reports=$(mktemp -d -p "$results")
  local broken=0 log=$reports/ctest.log
  GTEST_OUTPUT=xml:$reports/ "${launcher[@]}" ctest --test-dir "$build" --output-on-failure --timeout 1200 \
    --no-tests=ignore "$@" | tee "$log" || broken=1
  cat "$reports"/*.xml >"$reports/all" 2>/dev/null || true
  local tests skips failures broken_programs failing_reports
  tests=$(count '<testcase .*status="run"' "$reports/all")
  skips=$(count '<testcase .*result="skipped"' "$reports/all")
  failures=$(awk '/<testcase /{ seen = 0 } /<failure /{ if (!seen++) n++ } END { print n + 0 }' \
    "$reports/all")
  passed=$((passed + tests - skips - failures))
  # A program that crashed or ran out of time left no report: it counts as one failure.
  broken_programs=$(sed -n 's/.*[^0-9]\([0-9]*\) tests failed out of.*/\1/p' "$log")
  failing_reports=$(grep -l '<failure ' "$reports"/*.xml 2>/dev/null | wc -l)
  if ((${broken_programs:-0} > failing_reports)); then
    failures=$((failures + broken_programs - failing_reports))
  fi
  skipped=$((skipped + skips))
  failed=$((failed + failures))
  sed -n 's/.*<skipped message=".*&#x0A;\(.*\)">.*/skipped: \1/p' "$reports/all" |
    sort | uniq -c | sort -rn | head -5
  return "$broken"
}

count() { grep -c "$1" "$2" || true; }

# Fuzz targets, as many at a time as there are cores, each on its own growing corpus.
fuzz_all() {
  local targets=("$root"/build/fuzz/fuzz/fuzz_*) target name running=0
  for target in "${targets[@]}"; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    fuzz_one "$target" &
    running=$((running + 1))
    ((running % $(nproc) == 0)) && wait
  done
  wait
  for name in "$results"/fuzz/*.ok; do
    [ -e "$name" ] && passed=$((passed + 1))
  done
  for name in "$results"/fuzz/*.failed; do
    [ -e "$name" ] || continue
    failed=$((failed + 1))
    tail -n 60 "$name"
  done
  return 0
}

fuzz_one() {
  local name=${1##*/fuzz_} corpus options=() seeds=()
  corpus=$root/build/fuzz/corpus/$name
  mkdir -p "$corpus" "$results/fuzz"
  [ -d "$root/fuzz/corpus/$name" ] && seeds=("$root/fuzz/corpus/$name")
  [ -f "$root/fuzz/$name.dict" ] && options=(-dict="$root/fuzz/$name.dict")
  local log=$results/fuzz/$name.log
  if "$1" -max_total_time=$fuzz_seconds -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=1024 \
    -artifact_prefix="$root/build/fuzz/$name-" -print_final_stats=1 "${options[@]}" \
    "$corpus" "${seeds[@]}" >"$log" 2>&1; then
    mv "$log" "$results/fuzz/$name.ok"
    say "$name: $(sed -n 's/.*number_of_executed_units: *//p' "$results/fuzz/$name.ok") inputs, clean"
  else
    mv "$log" "$results/fuzz/$name.failed"
    say "$name: FAILED"
  fi
}

stage 'packages' "$root/scripts/setup.sh" $($fuzz && echo --tests) || finish
if $models; then
  stage 'models' "$root/scripts/fetch-model.sh" qwen2.5-coder-0.5b qwen2.5-coder-1.5b \
    smollm2-135m || true
fi
stage 'release: build' build_preset release || finish
stage 'release: fast suites' run_suites release -L fast -j "$(nproc)" || true
# One after the other: these measure, and hold whole models in memory.
$fast || stage 'release: slow suites' run_suites release -L slow || true

if $sanitizers; then
  if stage 'address, undefined: build' build_preset asan-ubsan; then
    stage 'address, undefined: fast suites' run_suites asan-ubsan -L fast -j "$(nproc)" || true
  fi
  targets=()
  for suite in ${tsan_suites//|/ }; do
    [ -f "$root/tests/$suite/CMakeLists.txt" ] && targets+=("${suite}_tests")
  done
  if ((${#targets[@]})) && stage 'thread: build' build_preset tsan "${targets[@]}"; then
    # The thread sanitizer of g++ 12 wants addresses that are not randomised.
    setarch -R true 2>/dev/null && launcher=(setarch -R)
    stage 'thread: suites on the pool' run_suites tsan -R "^($tsan_suites)\$" || true
  fi
fi

if $fuzz; then
  if ! [ -f "$root/fuzz/CMakeLists.txt" ]; then
    summary+=('fuzz: no targets yet')
  elif ! command -v clang++-19 >/dev/null; then
    summary+=('fuzz: left out, clang++-19 is not here')
  elif stage 'fuzz: build' build_preset fuzz; then
    stage "fuzz: $fuzz_seconds s each" fuzz_all || true
  fi
fi
finish
