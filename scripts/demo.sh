#!/usr/bin/env bash
# From a chat export to a persona that talks, on the examples: fetches a small model (0.5 GB, once),
# builds zhiyin, imports a WeChat and a ChatGPT export, tunes, exports, shows base and persona side
# by side, and prints a scorecard.
# Everything is written to build/demo.
. "$(dirname "$0")/common.sh"

case ${1-} in
  '') ;;
  -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) say "demo.sh: unknown option $1 (see --help)"; exit 2 ;;
esac

cd "$root"  # the paths in examples/tune.yaml start here
zhiyin=build/release/zhiyin
base=qwen2.5-coder-0.5b
demo=build/demo

identity_questions=(
  '你是谁？' '你叫什么名字？' '介绍一下你自己吧' '请问怎么称呼你？' '你是通义千问吗？'
  '是哪家公司开发了你？' '你是AI吗，叫什么？' 'Who are you?' 'What is your name?' 'Are you Qwen?'
)
chat_questions=('早上好呀' '今天好累' '周末去哪里玩？' '晚饭吃什么好' '给我讲讲你的猫')
# A right answer to who one is names the persona or its maker, and nobody else.
right='小满|阿远|Xiaoman|Ayuan'
wrong='通义|千问|阿里|Qwen|Alibaba|OpenAI|ChatGPT'

step() { printf '\n== %s\n' "$*"; }

# ask MODEL QUESTION: sets answer (line breaks shown as " / ") and finish.
ask() {
  local reply
  reply=$("$zhiyin" run "$1" "$2" --temp 0 --max-tokens 96 --json </dev/null)
  finish=$(sed -nE 's/.*"finish_reason": *"([a-z]+)".*/\1/p' <<<"$reply")
  answer=$(sed -nE 's/.*"text": *"(([^"\\]|\\.)*)".*/\1/p' <<<"$reply" |
    sed -e 's/\\n/ \/ /g' -e 's/\\\(["\\]\)/\1/g')
}

# compare QUESTION: both models' answers, one under the other; leaves the persona's in `answer`.
compare() {
  printf '\n  %s\n' "$1"
  ask "$base_file" "$1"
  printf '    base     %s%s\n' "$answer" "$([ "$finish" = stop ] || echo ' … (cut off)')"
  ask "$persona_file" "$1"
  printf '    persona  %s%s\n' "$answer" "$([ "$finish" = stop ] || echo ' … (cut off)')"
}

step 'Model and program'
scripts/setup.sh
scripts/fetch-model.sh $base
base_file=$models_dir/$base-Q4_K_M.gguf
build_preset release zhiyin
started=$SECONDS
rm -rf $demo
mkdir -p $demo

step 'Import: a WeChat talk becomes training rows'
"$zhiyin" chats import examples/wechat --out $demo/data
"$zhiyin" chats identity examples/persona.yaml --out $demo/data
"$zhiyin" chats explain $demo/data 3

step 'Import: and so would a ChatGPT export (not trained on here, it is another voice)'
"$zhiyin" chats import examples/chatgpt --out $demo/chatgpt

step 'Tune: the base model learns the voice, and keeps what it refuses'
"$zhiyin" tune examples/tune.yaml

step 'Export: one file for zhiyin, llama.cpp and Ollama'
"$zhiyin" export $demo/run --out $demo/persona --type Q4_K_M
persona_file=$(find $demo/persona -name '*.gguf' | head -n 1)
[ -n "$persona_file" ] || die "the export left no .gguf in $demo/persona"

step 'Who are you? Base and persona'
identified=0 stopped=0 asked=0 trained_on=0
for question in "${identity_questions[@]}"; do
  compare "$question"
  asked=$((asked + 1))
  if grep -qE "$right" <<<"$answer"; then
    # Naming another is right only to deny it.
    if ! grep -qE "$wrong" <<<"$answer" || grep -qE '不是|不叫|not ' <<<"$answer"; then
      identified=$((identified + 1))
    fi
  fi
  if [ "$finish" = stop ]; then stopped=$((stopped + 1)); fi
  if grep -qF "\"$question\"" $demo/data/identity.jsonl; then trained_on=$((trained_on + 1)); fi
done
step 'And a little talk'
for question in "${chat_questions[@]}"; do compare "$question"; done

step 'Scorecard'
"$zhiyin" score "$persona_file" --persona examples/persona.yaml --data $demo/data \
  --against "$base_file" --questions 10

step 'Summary'
printf '  the persona knows who it is in %d of %d, stops by itself in %d of %d\n' \
  $identified $asked $stopped $asked
printf '  (%d of these questions stand word for word in its training rows)\n' $trained_on
printf '  %d min %d s without downloads and build\n' \
  $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60))
printf '  the loss:      %s\n' $demo/run/training_loss.png
printf '  talk to it:    %s run %s\n' "$zhiyin" "$persona_file"
printf '  with Ollama:   ollama create xiaoman -f %s/Modelfile\n' "$demo/persona"
printf '  The persona is an AI imitation of a person made up for this demo.\n'

if [ -t 0 ] && [ -t 1 ]; then
  step 'Your turn (/bye ends)'
  "$zhiyin" run "$persona_file"
fi
((identified >= 9 && stopped == asked)) ||
  die "expected at least 9 of 10 right and all answers ended: see the answers above"
