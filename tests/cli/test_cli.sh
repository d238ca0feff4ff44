#!/bin/sh
# The program from outside: usage, exit codes, JSON, closed outputs, signals.
# Usage: test_cli.sh CUDDLE JSON_VALUE TERMINAL TESTS [MODEL]
set -u
cuddle=$1 json=$2 terminal=$3 tests=$4
model=${5:-$tests/models/kjv-gpt2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0 failures=0

# expect NAME CODE COMMAND...: runs it with stdout and stderr in files, checks the exit code.
expect() {
    name=$1 code=$2
    shift 2
    "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    count=$((count + 1))
    [ $got -eq "$code" ] && return 0
    bad "exit code $got instead of $code"
    return 1
}

bad() {
    failures=$((failures + 1))
    echo "FAIL $name: $1"
    sed 's/^/    out: /' "$work/out" | head -5
    sed 's/^/    err: /' "$work/err" | head -5
}

holds() { # TEXT in stderr
    grep -q -F -- "$1" "$work/err" || bad "stderr does not say: $1"
}

one_sentence() { # one line on stderr, nothing on stdout
    [ "$(wc -l <"$work/err")" -eq 1 ] || bad "stderr is not one line"
    [ ! -s "$work/out" ] || bad "stdout is not empty"
}

is_json() { # one JSON value on stdout that has these paths
    "$json" "$@" <"$work/out" >"$work/values" 2>"$work/err" || bad "the JSON lacks one of: $*"
}

value() { "$json" "$1" <"$work/out" 2>/dev/null; }

plain() { printf '%s' "$1" | sed 's/^"//; s/"$//; s/\\n/\n/g'; } # a JSON string as text

number() { value "$1" | grep -x '[0-9][0-9]*' || echo 0; }

same() { # WHAT FOUND EXPECTED
    [ "$2" = "$3" ] || bad "$1 is '$2' instead of '$3'"
}

# ----------------------------------------------------------------------------------------------------- structured output
printf '{"type":"object","properties":{"a":{"type":"integer","minimum":1,"maximum":9},"b":{"enum":["x","y"]}},"required":["a","b"]}' >"$work/schema.json"
printf 'root ::= "<" [a-c]{1,3} ">"\n' >"$work/grammar.gbnf"
expect "run --json-schema" 0 "$cuddle" run "$model" "And God said" --json-schema "$work/schema.json" --temperature 3 --top-k 0 --top-p 1 --seed 1
is_json a b
expect "run --choice" 0 "$cuddle" run "$model" "And God said" --choice yes --choice no --seed 1
grep -q -x -E 'yes|no' "$work/out" || bad "neither of the choices"
expect "run --regex" 0 "$cuddle" run "$model" "And God said" --regex '[0-9]{2}:[0-9]{2}' --seed 1
grep -q -x -E '[0-9]{2}:[0-9]{2}' "$work/out" || bad "not of the regular expression"
expect "run --grammar" 0 "$cuddle" run "$model" "And God said" --grammar "$work/grammar.gbnf" --seed 1
grep -q -x -E '<[a-c]{1,3}>' "$work/out" || bad "not of the grammar"
expect "run --json-object" 0 "$cuddle" run "$model" "And God said" --json-object --max-tokens 5 --seed 1
grep -q '^{' "$work/out" || bad "no JSON object begins"
expect "two grammars" 2 "$cuddle" run "$model" x --json-object --choice a && one_sentence && holds "only one of"
expect "a bad regex" 1 "$cuddle" run "$model" x --regex 'a(?=b)' && holds "a group (?= is not supported"
expect "no schema file" 1 "$cuddle" run "$model" x --json-schema "$work/none.json" && holds "none.json"

# ---------------------------------------------------------------------------------------------------------------- usage
expect version 0 "$cuddle" --version
grep -q -E '^cuddle [0-9]+\.[0-9]+\.[0-9]+$' "$work/out" || bad "not a version"
expect help 0 "$cuddle" --help
for verb in run chat inspect plan tokenize detokenize render bench doctor; do
    grep -q "^  $verb " "$work/out" || bad "$verb is not listed"
done
expect "no verb" 2 "$cuddle" && one_sentence
expect "unknown verb" 2 "$cuddle" fly && one_sentence && holds "'fly'"

model_options="device dtype kv-dtype threads deterministic load max-context max-batch max-sequences kv-tokens log"
help_lists() { # VERB OPTION...
    verb=$1
    shift
    expect "$verb --help" 0 "$cuddle" "$verb" --help
    for option in "$@" help; do
        grep -q -E "^  --$option( |\$)" "$work/out" || bad "--$option is not listed"
    done
    listed=$(grep -c -E '^  --' "$work/out")
    [ "$listed" -eq $(($# + 1)) ] || bad "$listed options are listed, this test knows $(($# + 1))"
    awk 'length > 110 { exit 1 }' "$work/out" || bad "a line is longer than 110 columns"
}
# shellcheck disable=SC2086 # a list of words
help_lists run no-special tokens logprobs prompt-logprobs score echo json max-tokens min-tokens temperature top-k top-p min-p top-h typical-p epsilon-cutoff \
    eta-cutoff repetition-penalty frequency-penalty presence-penalty no-repeat-ngram-size logit-bias bad-words-ids suppress-tokens \
    begin-suppress-tokens allowed-tokens forced-bos-token-id forced-eos-token-id length-decay seed stop ignore-eos n best-of beams length-penalty early-stopping \
    json-object json-schema regex choice grammar $model_options
# shellcheck disable=SC2086
help_lists chat system template set now max-tokens min-tokens temperature top-k top-p min-p top-h typical-p epsilon-cutoff \
    eta-cutoff repetition-penalty frequency-penalty presence-penalty no-repeat-ngram-size logit-bias bad-words-ids suppress-tokens \
    begin-suppress-tokens allowed-tokens forced-bos-token-id forced-eos-token-id length-decay seed stop ignore-eos $model_options
help_lists inspect json
# shellcheck disable=SC2086
help_lists plan json $model_options
help_lists tokenize json tokens count offsets file lines pair max-length no-special decode
help_lists detokenize json file no-special
help_lists render tools documents set template no-generation-prompt continue tokens generation-ranges now
# shellcheck disable=SC2086
help_lists bench prompt-tokens generate batch repeat only-load cold bandwidth no-probe json $model_options
help_lists doctor

usage() { # SENTENCE COMMAND...
    wanted=$1
    shift
    expect "usage: $*" 2 "$cuddle" "$@" && one_sentence && holds "$wanted"
}
for verb in run chat inspect plan tokenize detokenize render bench doctor; do
    usage "unknown option --no-such-thing" $verb --no-such-thing
    usage "unknown option -x" $verb -x m
done
usage "an argument is missing: the arguments are MODEL [PROMPT]" run
usage "an argument is missing: the arguments are PATH" inspect
usage "unexpected argument 'c'" run a b c
usage "--max-tokens needs a value: a whole number from 0" run m --max-tokens
usage "--max-tokens expects a whole number from 0" run m --max-tokens -1
usage "--max-tokens expects a whole number from 0 to 2147483647, but '2147483648' was given" run m --max-tokens=2147483648
usage "--max-tokens expects a whole number" run m --max-tokens 12x
usage "--max-tokens expects a whole number" run m --max-tokens " 12"
usage "--max-tokens expects a whole number" run m --max-tokens=
usage "--max-tokens expects a whole number" run m --max-tokens 99999999999999999999
usage "--temperature expects a number from 0" run m --temperature -1
usage "--temperature expects a number from 0" run m --temperature nan
usage "--top-p expects a number from 0 to 1, but '1.5'" run m --top-p 1.5
usage "--seed expects a whole number from 0 to 9223372036854775807" run m --seed 9223372036854775808
usage "--seed expects" run m --seed -1
usage "--stop expects a string that is not empty" run m --stop=
usage "--json takes no value" run m --json=yes
usage "--logprobs needs --json" run m p --logprobs 2
usage "--echo does not go with --tokens" run m 1 --tokens --echo
usage "--stop does not go with --tokens" run m 1 --tokens --stop a
usage "--prompt-logprobs needs --json or --score" run m p --prompt-logprobs 2
usage "--echo does not go with --score" run m p --score x --echo
usage "--logprobs does not go with --score" run m p --score x --json --logprobs 1
usage "--max-tokens does not go with --score" run m p --score x --max-tokens 0
for option in "--n 2" "--best-of 2" "--beams 2"; do
    # shellcheck disable=SC2086 # an option and its value
    usage "${option% 2} does not go with --score" run m p --score x $option
done
usage "--n expects a whole number from 1 to 128, but '0'" run m p --n 0
usage "--beams expects a whole number from 1 to 64, but '65'" run m p --beams 65
usage "--early-stopping expects one of off|on|never, but 'true'" run m p --beams 2 --early-stopping true
usage "--length-penalty expects a number from -100 to 100" run m p --beams 2 --length-penalty nan
usage "--best-of is 2, expected --n, which is 3, or more" run m p --n 3 --best-of 2
usage "--n is 3, expected at most --beams, which is 2" run m p --n 3 --beams 2
usage "--length-penalty needs --beams, at least 2" run m p --beams 1 --length-penalty 1
usage "--early-stopping needs --beams, at least 2" run m p --early-stopping off
usage "--temperature is 0.5, but --beams draws nothing" run m p --beams 2 --temperature 0.5
usage "--max-tokens is 0, but --beams needs" run m p --beams 2 --max-tokens 0
usage "--best-of does not go with --beams" run m p --beams 2 --best-of 2
usage "--stop does not go with --beams" run m p --beams 2 --stop a
usage "--logprobs does not go with --beams" run m p --beams 2 --json --logprobs 1
for option in --json-object "--json-schema f" "--regex a" "--choice a" "--grammar f"; do
    # shellcheck disable=SC2086 # an option and its value
    usage "${option%% *} does not go with --beams" run m p --beams 2 $option
done
usage "--frequency-penalty expects a number from -100 to 100" run m p --frequency-penalty -100.5
usage "--typical-p expects a number from 1e-06 to 1" run m p --typical-p 0
usage "--no-repeat-ngram-size expects a whole number from 0 to 1024" run m p --no-repeat-ngram-size 1025
for bias in 5 5= 5=1x 5,=1 "5= 1" "5=1 6" -5=1 5=nan 2147483648=1; do
    usage "--logit-bias expects IDS=VALUE, but '$bias'" run m p --logit-bias "$bias"
done
for ids in "5," 5x "5 ,6"; do usage "--bad-words-ids expects token ids with commas" run m p --bad-words-ids "$ids"; done
for option in suppress-tokens begin-suppress-tokens allowed-tokens; do usage "--$option expects token ids, but '5 x'" run m p --$option "5 x"; done
for decay in "5," x,2 5,x "5,2 "; do usage "--length-decay expects a number of tokens, a comma and a factor" run m p --length-decay "$decay"; done
usage "--bandwidth expects a number" bench m --bandwidth 0
usage "--logprobs expects a whole number from 0 to 20" run m p --json --logprobs 21
usage "--device expects one of auto|cpu|cuda[:N], but 'gpu'" run m --device gpu
usage "--device expects" run m --device cuda:
usage "--device expects" run m --device cuda:1x
usage "--device expects" run m --device cpu:0
usage "--dtype expects one of auto|float32|bfloat16|float16" plan m --dtype int8
usage "--kv-dtype expects one of auto|float32|bfloat16|float16" plan m --kv-dtype int8
usage "--load expects one of auto|map|read|ring|register" plan m --load mmap
usage "--deterministic expects one of auto|off|on" plan m --deterministic yes
usage "--kv-tokens expects a whole number" plan m --kv-tokens -5
usage "--repeat expects a whole number from 1 to 100" bench m --repeat 0
usage "--threads expects a whole number from 0 to 1024" bench m --threads 1025
set -- # 17 --stop are one too many
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do set -- "$@" --stop "s$i"; done
usage "--stop may be given at most 16 times" run m "$@"
usage "unknown option --?[31m" run m "$(printf -- '--\033[31m')"

# ------------------------------------------------------------------------------------------------------- what is not there
for verb in run plan bench inspect tokenize; do
    text=x
    case $verb in plan | bench | inspect) text= ;; esac
    # shellcheck disable=SC2086 # no word if empty
    expect "$verb: no such model" 1 "$cuddle" $verb "$work/nothing-here" $text && one_sentence && holds nothing-here
done
mkdir "$work/empty"
expect "inspect: empty directory" 1 "$cuddle" inspect "$work/empty" && one_sentence
expect "run: empty directory" 1 "$cuddle" run "$work/empty" x && one_sentence
printf 'not a header' >"$work/bad.safetensors"
expect "inspect: malformed file" 1 "$cuddle" inspect "$work/bad.safetensors" && one_sentence && holds bad.safetensors
expect "an option's end" 1 "$cuddle" inspect -- --json && one_sentence && holds "json"
expect "run: no CUDA" 1 "$cuddle" run "$model" x --device cuda:99 && one_sentence

# -------------------------------------------------------------------------------------------------------------- inspect
expect "inspect" 0 "$cuddle" inspect "$model"
grep -q -E '^name +dtype +shape +bytes +shard$' "$work/out" || bad "no heading"
grep -q -E '^[0-9]+ tensors, [0-9]+ parameters, [0-9]+ bytes' "$work/out" || bad "no totals"
expect "inspect --json" 0 "$cuddle" inspect --json "$model"
is_json path shards.0 tensor_count parameters bytes metadata tensors.0.name tensors.0.dtype tensors.0.shape tensors.0.bytes \
    tensors.0.shard tensors.0.offset
same "the number of tensors" "$(value tensors.#)" "$(value tensor_count)"
expect "inspect a file" 0 "$cuddle" inspect "$model/model.safetensors"

# A tensor's name that would move a terminal's cursor, behind a well-formed header. The heading is 8 bytes of length, little endian.
header='{"a\u001b[2Jb":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
# shellcheck disable=SC2059 # the format is the length's octal escape
{ printf "\\$(printf %o ${#header})\\0\\0\\0\\0\\0\\0\\0"; printf '%s' "$header"; printf x; } >"$work/escape.safetensors"
expect "inspect: control characters" 0 "$cuddle" inspect "$work/escape.safetensors"
grep -q -F 'a?[2Jb' "$work/out" || bad "the escape character was not replaced"
expect "inspect --json: control characters" 0 "$cuddle" inspect --json "$work/escape.safetensors"
same "the name" "$(value tensors.0.name)" '"a\u001B[2Jb"'

# ----------------------------------------------------------------------------------------------------------------- plan
expect "plan" 0 "$cuddle" plan "$model"
grep -q -E '^total +[0-9.]+ [KMG]?i?B +[0-9]+ bytes' "$work/out" || bad "no total"
expect "plan --json" 0 "$cuddle" plan "$model" --json --max-sequences 2 --load=read
is_json weights weights_in_place kv workspace step total parameters file_bytes kv_tokens max_context max_sequences max_batch compute kv_dtype
same "the total" "$(value total)" $(($(number weights) + $(number kv) + $(number workspace) + $(number step)))
same "max_sequences" "$(value max_sequences)" 2
expect "plan --kv-dtype" 0 "$cuddle" plan "$model" --json --dtype float32 --kv-dtype float16
same "the type of the cache" "$(value kv_dtype)" '"F16"'

# ------------------------------------------------------------------------------------------------------------- tokenize
expect "tokenize" 0 "$cuddle" tokenize "$model" "In the beginning"
grep -q -E '^[0-9]+( [0-9]+)*$' "$work/out" || bad "not a line of ids"
ids=$(cat "$work/out")
expect "tokenize --json" 0 "$cuddle" tokenize --json "$model" "In the beginning"
is_json ids tokens offsets.0.0 special
same "the ids" "$(value ids)" "[$(echo "$ids" | tr ' ' ,)]"
same "the number of offsets" "$(value offsets.#)" "$(value ids.#)"
same "the number of tokens" "$(value tokens.#)" "$(value ids.#)"
same "the end of the last offset" "$(value offsets.$(($(number ids.#) - 1)).1)" 16
expect "tokenize --decode" 0 "$cuddle" tokenize --decode --no-special "$model" "$ids"
same "the text" "$(cat "$work/out")" "In the beginning"
expect "tokenize --decode --json" 0 "$cuddle" tokenize --decode --no-special --json "$model" "$(echo "$ids" | tr ' ' ,)"
same "the text" "$(value text)" '"In the beginning"'
expect "tokenize --decode: not an id" 1 "$cuddle" tokenize --decode "$model" "1 2 three" && one_sentence && holds "'three'"
name="tokenize from standard input"
printf 'In the beginning' | "$cuddle" tokenize "$model" >"$work/out" 2>"$work/err"
same "the ids" "$(cat "$work/out")" "$ids"
expect "tokenize: not UTF-8" 1 "$cuddle" tokenize "$model" "$(printf 'a\377b')" && one_sentence
expect "tokenize --count" 0 "$cuddle" tokenize --count "$model" "In the beginning"
same "the number of tokens" "$(cat "$work/out")" "$(echo "$ids" | wc -w | tr -d ' ')"
expect "tokenize --tokens" 0 "$cuddle" tokenize --tokens "$model" "In the beginning"
same "the ids" "$(cut -f 1 "$work/out" | tr '\n' ' ')" "$ids "
printf 'In the beginning\n\nIn the beginning' >"$work/lines"
expect "tokenize --file --lines" 0 "$cuddle" tokenize --file "$work/lines" --lines "$model"
same "the first line" "$(sed -n 1p "$work/out")" "$ids"
same "the last line" "$(sed -n 3p "$work/out")" "$ids"
same "the number of lines" "$(wc -l <"$work/out" | tr -d ' ')" 3
expect "tokenize: a file that is not there" 1 "$cuddle" tokenize --file "$work/nowhere" "$model" && one_sentence && holds "cannot open"
expect "tokenize --pair" 0 "$cuddle" tokenize --json --no-special --pair "the" "$model" "In the beginning"
same "the text of the last token" "$(value sequence_ids.$(($(number ids.#) - 1)))" 1
same "the text of the first token" "$(value sequence_ids.0)" 0
expect "tokenize --max-length" 0 "$cuddle" tokenize --json --no-special --max-length 2 "$model" "In the beginning of the end"
same "the number of ids" "$(value ids.#)" 2
[ "$(number overflow.#)" -gt 0 ] || bad "nothing was cut off"
expect "tokenize --offsets chars" 0 "$cuddle" tokenize --json --no-special --offsets chars "$model" "$(printf '\303\274\303\274')"
same "the end of the last offset" "$(value offsets.$(($(number ids.#) - 1)).1)" 2
expect "tokenize --offsets bytes" 0 "$cuddle" tokenize --json --no-special --offsets bytes "$model" "$(printf '\303\274\303\274')"
same "the end of the last offset" "$(value offsets.$(($(number ids.#) - 1)).1)" 4
usage "--json, --tokens and --count exclude one another" tokenize --json --count "$model" a
usage "there is a text and a --file, expected one of them" tokenize --file x "$model" a
usage "--decode goes with --json, --file and --no-special only" tokenize --decode --lines "$model" 1
usage "--pair may be given once" tokenize --pair a --pair b "$model" c
usage "--max-length expects a whole number from 1" tokenize --max-length 0 "$model" a
expect "detokenize" 0 "$cuddle" detokenize --no-special "$model" "$ids"
same "the text" "$(cat "$work/out")" "In the beginning"
echo "$ids" >"$work/list"
expect "detokenize --file --json" 0 "$cuddle" detokenize --no-special --json --file "$work/list" "$model"
same "the text" "$(value text)" '"In the beginning"'
expect "detokenize: not an id" 1 "$cuddle" detokenize "$model" "1 2 three" && one_sentence && holds "'three'"
mkdir "$work/tokenizer"
cp "$model"/tokenizer*.json "$work/tokenizer"
expect "tokenize without weights" 0 "$cuddle" tokenize "$work/tokenizer" "In the beginning"
same "the ids" "$(cat "$work/out")" "$ids"

# --------------------------------------------------------------------------------------------------------------- render
mkdir "$work/chat"
cp "$model"/tokenizer*.json "$work/chat"
cp "$tests/chat/templates/qwen2.5.jinja" "$work/chat/chat_template.jinja"
printf '[{"role": "user", "content": "Hi"}]' >"$work/chat/messages"
turn='<|im_start|>user
Hi<|im_end|>'
expect "render" 0 "$cuddle" render "$work/chat" "$work/chat/messages" --no-generation-prompt
same "the text" "$(tail -n 2 "$work/out")" "$turn"
name="render from standard input"
"$cuddle" render "$work/chat" <"$work/chat/messages" >"$work/out" 2>"$work/err"
same "the text" "$(tail -n 3 "$work/out")" "$turn
<|im_start|>assistant"
expect "render --tokens" 0 "$cuddle" render "$work/chat" "$work/chat/messages" --tokens
ids=$(cat "$work/out")
expect "render" 0 "$cuddle" render "$work/chat" "$work/chat/messages"
cp "$work/out" "$work/chat/text"
name="render --tokens adds nothing"
"$cuddle" tokenize "$work/chat" --no-special <"$work/chat/text" >"$work/out" 2>"$work/err"
same "the ids" "$ids" "$(cat "$work/out")"
printf '[{"type": "function", "function": {"name": "f"}}]' >"$work/chat/tools"
expect "render --tools" 0 "$cuddle" render "$work/chat" "$work/chat/messages" --tools "$work/chat/tools"
grep -q -F '{"type": "function", "function": {"name": "f"}}' "$work/out" || bad "the tool is not there"
printf '{{ a }} {{ b }} {{ documents }} {{ strftime_now("%%F") }}{{ messages[0].content }}!' >"$work/x.jinja"
printf '[{"text": "d"}]' >"$work/chat/documents"
expect "render --set" 0 "$cuddle" render "$work/x.jinja" "$work/chat/messages" --set a=true --set 'b=x y' --documents "$work/chat/documents" --now 1720105569
same "the text" "$(cat "$work/out")" "True x y [{'text': 'd'}] 2024-07-04Hi!"
expect "render --continue" 0 "$cuddle" render "$work/x.jinja" "$work/chat/messages" --continue --now 1
same "the text" "$(cat "$work/out")" "  None 1970-01-01Hi"
printf '{%% for m in messages %%}{{ m.role }}:{%% generation %%} {{ m.content }}{%% endgeneration %%}{%% endfor %%}' >"$work/chat/generation.jinja"
mkdir "$work/masks"
cp "$model"/tokenizer*.json "$work/masks"
cp "$work/chat/generation.jinja" "$work/masks/chat_template.jinja"
printf '[{"role": "é", "content": "ü"}, {"role": "b", "content": "And God"}]' >"$work/chat/spoken"
expect "render --generation-ranges" 0 "$cuddle" render "$work/chat/generation.jinja" "$work/chat/spoken" --generation-ranges
same "the text" "$(value text)" '"\u00E9: \u00FCb: And God"'
same "the ranges" "$(value generation_ranges)" "[[3,6],[8,16]]"
grep -q assistant_mask "$work/out" && bad "there is a mask of tokens that nobody asked for"
expect "render --generation-ranges --tokens" 0 "$cuddle" render "$work/masks" "$work/chat/spoken" --generation-ranges --tokens
same "the tokens" "$(value tokens)" "[$("$cuddle" tokenize "$work/masks" --no-special 'é: üb: And God' | tr ' ' ',')]"
# é, its second byte, and the colon; then a blank and the bytes of ü; b and its colon; then " And" and " God".
same "the mask" "$(value assistant_mask)" "[0,0,0,1,1,1,0,0,1,1]"
expect "render --generation-ranges --continue" 1 "$cuddle" render "$work/masks" "$work/chat/spoken" --generation-ranges --continue && one_sentence && holds continue_final_message
usage "--set expects NAME=VALUE, but 'x' was given" render "$work/chat" "$work/chat/messages" --set x
usage "--tools expects a string that is not empty" render "$work/chat" "$work/chat/messages" --tools=
expect "render: no such template" 1 "$cuddle" render "$work/chat" "$work/chat/messages" --template rag && one_sentence && holds "there are: default"
expect "render: no template" 1 "$cuddle" render "$model" "$work/chat/messages" && one_sentence && holds "has no chat template"
expect "render: no messages" 1 "$cuddle" render "$work/chat" "$work/nothing-here" && one_sentence && holds nothing-here
printf 'a\n{{ raise_exception("no") }}' >"$work/x.jinja"
expect "render: the template refuses" 1 "$cuddle" render "$work/x.jinja" "$work/chat/messages" && one_sentence && holds "x.jinja: line 2, column 4: the template refuses: no"

# ------------------------------------------------------------------------------------------------------------------ run
expect "run" 0 "$cuddle" run "$model" "In the beginning" --max-tokens 8 --temperature 0
text=$(cat "$work/out")
[ -n "$text" ] || bad "no text"
holds "tokens/s"
expect "run --echo" 0 "$cuddle" run "$model" "In the beginning" --max-tokens 8 --temperature 0 --echo
same "the text" "$(cat "$work/out")" "In the beginning$text"
expect "run --json" 0 "$cuddle" run "$model" "In the beginning" --max-tokens 8 --temperature 0 --json --logprobs 3
is_json prompt_ids.0 ids.0 text finish_reason seed timings.load_seconds timings.prefill_seconds timings.decode_seconds \
    timings.decode_tokens_per_second logprobs.0.id logprobs.0.logprob logprobs.0.top.2.logprob
same "the number of ids" "$(value ids.#)" 8
same "the number of log-probabilities" "$(value logprobs.#)" 8
same "the end" "$(value finish_reason)" '"length"'
same "the likeliest token" "$(value logprobs.0.top.0.id)" "$(value ids.0)"
name="run from standard input"
printf 'In the beginning\n' | "$cuddle" run "$model" --max-tokens 8 --temperature 0 >"$work/out" 2>"$work/err"
same "the text" "$(cat "$work/out")" "$text"
# The same model without a tokenizer, in token ids.
mkdir "$work/ids"
cp "$model"/config.json "$model"/model.safetensors "$model"/generation_config.json "$work/ids"
expect "run --json, for its ids" 0 "$cuddle" run "$model" "In the beginning" --max-tokens 8 --temperature 0 --json
prompt=$(value prompt_ids | tr -d '[]') continued=$(value ids | tr -d '[]' | tr ',' ' ')
expect "run --tokens" 0 "$cuddle" run "$work/ids" "$prompt" --tokens --max-tokens 8 --temperature 0
same "the ids" "$(cat "$work/out")" "$(echo $continued) "
expect "run --tokens --json" 0 "$cuddle" run "$work/ids" "$prompt" --tokens --max-tokens 8 --temperature 0 --json
same "the prompt" "$(value prompt_ids | tr -d '[]')" "$prompt"
same "the ids" "$(value ids | tr -d '[]' | tr ',' ' ')" "$continued"
expect "run --tokens: not an id" 1 "$cuddle" run "$work/ids" "1 2 three" --tokens && one_sentence && holds "'three'"
expect "run --tokens: outside the vocabulary" 1 "$cuddle" run "$work/ids" "1 2147483647" --tokens && one_sentence
expect "run --load read" 0 "$cuddle" run "$model" "In the beginning" --max-tokens 8 --temperature 0 --load read
same "the text" "$(cat "$work/out")" "$text"
for mode in ring register; do
    expect "run --load $mode" 1 "$cuddle" run "$model" x --device cpu --load $mode && one_sentence && holds "\"$mode\", which cpu cannot do, expected auto, map or read"
    expect "plan --load $mode" 1 "$cuddle" plan "$model" --device cpu --load $mode && one_sentence && holds "\"$mode\""
done
expect "run --log info" 0 "$cuddle" run "$model" x --max-tokens 1 --device cpu --load read --log info
holds "loaded by read: "
expect "run with a seed" 0 "$cuddle" run "$model" "And God said" --max-tokens 24 --temperature 0.9 --seed 11
first=$(cat "$work/out")
holds "seed 11"
expect "run with the same seed" 0 "$cuddle" run "$model" "And God said" --max-tokens 24 --temperature 0.9 --seed=11
same "the text" "$(cat "$work/out")" "$first"
expect "run says its random seed" 0 "$cuddle" run "$model" "And God said" --max-tokens 24 --temperature 0.9
first=$(cat "$work/out")
seed=$(sed -n 's/.*, seed \([0-9]*\)$/\1/p' "$work/err")
expect "run with the seed it said" 0 "$cuddle" run "$model" "And God said" --max-tokens 24 --temperature 0.9 --seed "$seed"
same "the text" "$(cat "$work/out")" "$first"
stop=$(printf '%s' "$text" | sed -n '1s/^ *[^ ]* *\([^ ]*\).*/\1/p')
expect "run --stop" 0 "$cuddle" run "$model" "In the beginning" --max-tokens 8 --temperature 0 --json --stop "$stop" --stop "never to be found"
same "the end" "$(value finish_reason)" '"stop"'
value text | grep -q -F "$stop" && bad "the stop string is in the text"
# How tokens are chosen: each option changes what comes in the way it says. `continued` is the greedy text's ids.
# shellcheck disable=SC2086 # a list of ids
set -- $continued
chosen() { # NAME OPTION...: ids of a greedy run, in $ids with blanks around each
    name="run $*"
    expect "$name" 0 "$cuddle" run "$model" "In the beginning" --max-tokens 8 --temperature 0 --json "$@"
    ids=" $(value ids | tr -d '[]' | tr ',' ' ') "
}
lacks() { case $ids in *" $1 "*) bad "$1 is among $ids" ;; esac; }
begins() { case $ids in " $1 "*) ;; *) bad "$ids does not begin with $1" ;; esac; }
chosen --suppress-tokens "$2,77" --begin-suppress-tokens "$1" && lacks "$2"
[ "${ids#" $1 "}" = "$ids" ] || bad "$1 came first"
chosen --logit-bias "$1=-inf 77=1e3" && begins "77 77 77"
chosen --logit-bias "77=1e3" --logit-bias "77,78=2e3" && begins "77 78 77 78"
chosen --logit-bias "77=1e3" --bad-words-ids "77,77 5" && begins 77
[ "${ids#" 77 77 "}" = "$ids" ] || bad "77 came twice"
chosen --logit-bias "77=1e3" --no-repeat-ngram-size 1 && begins 77
[ "${ids# 77*77 }" = "$ids" ] || bad "77 came twice"
chosen --logit-bias "77=100" --frequency-penalty 40 && begins "77 77 77"
[ "${ids#" 77 77 77 77 "}" = "$ids" ] || bad "77 came four times"
chosen --logit-bias "77=100" --presence-penalty 60 --frequency-penalty 40 && begins 77
[ "${ids#" 77 77 "}" = "$ids" ] || bad "77 came twice"
chosen --allowed-tokens "5 6" && same "what is not 5 or 6" "$(echo "$ids" | tr -d '56 ')" ""
chosen --forced-eos-token-id 9
[ "${ids% 9 }" != "$ids" ] || bad "$ids does not end with 9"
eos=$(value ids.0 >/dev/null && sed -n 's/.*"eos_token_id": *\([0-9]*\).*/\1/p' "$model/generation_config.json")
chosen --logit-bias "$eos=1e3" --min-tokens 5 && same "the number of ids" "$(value ids.#)" 6
chosen --logit-bias "$eos=1" --length-decay 2,1000 && same "the end" "$(value finish_reason)" '"eos"'
expect "run --forced-bos-token-id" 0 "$cuddle" run "$model" 5 --tokens --max-tokens 2 --forced-bos-token-id 19 --suppress-tokens 7 --temperature 0 && begins=$(cat "$work/out")
same "the first id" "${begins%% *}" 19
for option in "--top-h 0.01" "--epsilon-cutoff 0.9999"; do
    # shellcheck disable=SC2086 # an option and its value
    expect "run $option" 0 "$cuddle" run "$model" "In the beginning" --max-tokens 4 --temperature 1 --top-k 0 --seed 1 $option
    case $text in "$(cat "$work/out")"*) ;; *) bad "the likeliest token is left each time" ;; esac
done
for seed in 1 2; do
    expect "run --typical-p, seed $seed" 0 "$cuddle" run "$model" "In the beginning" --max-tokens 4 --temperature 1 --top-k 0 --seed $seed --typical-p 1e-6
    [ $seed = 1 ] && first=$(cat "$work/out")
    same "the text" "$(cat "$work/out")" "$first" # one token is left each time
done
expect "run without a cut-off" 0 "$cuddle" run "$model" "And God said" --max-tokens 24 --temperature 1 --top-k 0 --seed 1
first=$(cat "$work/out")
expect "run --eta-cutoff" 0 "$cuddle" run "$model" "And God said" --max-tokens 24 --temperature 1 --top-k 0 --seed 1 --eta-cutoff 0.9999
[ "$(cat "$work/out")" != "$first" ] || bad "none of 24 tokens was cut off, of those less likely than exp(-entropy)"
expect "run: a biased id outside the vocabulary" 1 "$cuddle" run "$model" x --logit-bias 2147483647=1 && one_sentence && holds "sequence_bias"
# Scoring: transformers' figures, tests/generation/scores.json.
close_to() { # WHAT FOUND EXPECTED
    awk -v a="$2" -v b="$3" 'BEGIN { d = a - b; exit !(d < 0.002 && d > -0.002) }' || bad "$1 is $2 instead of $3"
}
for i in 0 2; do
    "$json" cases.$i.context cases.$i.continuation cases.$i.logprob cases.$i.greedy cases.$i.ids <"$tests/generation/scores.json" >"$work/case"
    context=$(sed -n '1s/^"\(.*\)"$/\1/p' "$work/case") more=$(sed -n '2s/^"\(.*\)"$/\1/p' "$work/case")
    expect "run --score $i" 0 "$cuddle" run "$model" "$context" --score "$more" --dtype float32
    is_json logprob greedy prompt_ids tokens.0.id tokens.0.logprob tokens.0.greedy
    close_to "the log-probability" "$(value logprob)" "$(sed -n 3p "$work/case")"
    same "greedy" "$(value greedy)" "$(sed -n 4p "$work/case")"
    same "the number of ids" "$(($(value prompt_ids.#) + $(value tokens.#)))" "$(sed -n 5p "$work/case" | tr -cd , | wc -c | awk '{ print $1 + 1 }')"
done
expect "run --score of the greedy text" 0 "$cuddle" run "$model" "$(echo "$prompt" | tr ',' ' ')" --tokens --score "$*" --prompt-logprobs 2
same "greedy" "$(value greedy)" true
same "the likeliest token" "$(value tokens.3.top.0.id)" "$4"
same "the number of likeliest tokens" "$(value tokens.3.top.#)" 2
expect "run --score after nothing" 1 "$cuddle" run "$model" "" --score x && one_sentence && holds "found 0 in the prompt"
expect "run --score without a tokenizer" 1 "$cuddle" run "$work/ids" x --score y && one_sentence && holds "--tokens"
expect "run --json --prompt-logprobs" 0 "$cuddle" run "$model" "In the beginning" --max-tokens 0 --json --prompt-logprobs 3
same "the number of ids" "$(value ids.#)" 0
same "the first token's" "$(value prompt_logprobs.0)" null
same "the number of likeliest tokens" "$(value prompt_logprobs.3.top.#)" 3
# Several choices. Greedy ones are all the greedy text; of drawn ones each is what a run with its seed gives; the best are the best of these.
expect "run --n of a greedy text" 0 "$cuddle" run "$model" "In the beginning" --max-tokens 8 --temperature 0 --n 3 --json
same "the number of choices" "$(value choices.#)" 3
for i in 0 1 2; do same "choice $i" "$(value choices.$i.ids | tr -d '[]' | tr ',' ' ')" "$continued"; done
same "the text beside the choices" "$(value text)" ""
: >"$work/means"
for seed in 21 22 23 24; do
    expect "run, seed $seed" 0 "$cuddle" run "$model" "And God said" --max-tokens 6 --temperature 1 --seed $seed --json --logprobs 0
    for i in 0 1 2 3 4 5; do value logprobs.$i.logprob; done >"$work/logprobs"
    awk -v ids="$(value ids)" -v text="$(value text)" '{ sum += $1 } END { printf "%.6f\t%s\t%s\n", sum / NR, ids, text }' "$work/logprobs" >>"$work/means"
done
expect "run --n" 0 "$cuddle" run "$model" "And God said" --max-tokens 6 --temperature 1 --seed 21 --n 4 --json --logprobs 1
for i in 0 1 2 3; do same "choice $i" "$(value choices.$i.ids)" "$(sed -n $((i + 1))p "$work/means" | cut -f 2)"; done
is_json prompt_ids.0 seed timings.decode_tokens_per_second choices.3.finish_reason choices.3.logprobs.5.top.0.id
sort -t "$(printf '\t')" -k 1,1gr "$work/means" >"$work/sorted"
expect "run --best-of" 0 "$cuddle" run "$model" "And God said" --max-tokens 6 --temperature 1 --seed 21 --n 2 --best-of 4 --json
same "the number of choices" "$(value choices.#)" 2
for i in 0 1; do
    same "choice $i" "$(value choices.$i.ids)" "$(sed -n $((i + 1))p "$work/sorted" | cut -f 2)"
    close_to "the mean log-probability" "$(value choices.$i.mean_logprob)" "$(sed -n $((i + 1))p "$work/sorted" | cut -f 1)"
done
expect "run --best-of, of which one is given" 0 "$cuddle" run "$model" "And God said" --max-tokens 6 --temperature 1 --seed 21 --best-of 4 --json
same "the ids" "$(value ids)" "$(sed -n 1p "$work/sorted" | cut -f 2)"
expect "run --best-of as text" 0 "$cuddle" run "$model" "And God said" --max-tokens 6 --temperature 1 --seed 21 --n 2 --best-of 4 --echo
for i in 1 2; do
    awk -F '\t' -v i=$i 'NR == i { printf "--- %d of 2, ended by length, score %.4f ---\n", i, $1 }' "$work/sorted"
    printf 'And God said%s\n' "$(plain "$(sed -n ${i}p "$work/sorted" | cut -f 3)")"
done >"$work/wanted"
same "the texts" "$(cat "$work/out")" "$(cat "$work/wanted")"
holds "12 generated in 2 choices"
expect "run --tokens --n" 0 "$cuddle" run "$work/ids" "$prompt" --tokens --max-tokens 8 --temperature 0 --n 2
same "the ids" "$(cat "$work/out")" "$(echo $continued) 
$(echo $continued) "
# Beam search: transformers' sequences and scores, tests/generation/beams.json, with the ends of each case as the checkpoint's.
mkdir "$work/beams"
for i in 2 5 8 10 38; do # of 8 and 38 the sequences are others with another --early-stopping
    fixture() { "$json" "cases.$i.$1" <"$tests/generation/beams.json" 2>/dev/null; }
    checkpoint=$tests/$(plain "$(fixture checkpoint)")
    cp "$checkpoint"/config.json "$checkpoint"/model.safetensors "$work/beams"
    printf '{"eos_token_id": %s, "do_sample": true}' "$(fixture ends)" >"$work/beams/generation_config.json"
    case $(fixture parameters.early_stopping) in true) early=on ;; false) early=off ;; *) early=never ;; esac
    penalty=$(fixture parameters.repetition_penalty)
    n=$(fixture sequences.#)
    expect "run --beams, case $i" 0 "$cuddle" run "$work/beams" "$(fixture prompt | tr -d '[]')" --tokens --json --dtype float32 --n "$n" \
        --beams "$(fixture parameters.num_beams)" --length-penalty "$(fixture parameters.length_penalty)" --early-stopping $early \
        --max-tokens "$(fixture parameters.max_new_tokens)" --repetition-penalty "${penalty:-1}"
    for k in $(seq 0 $((n - 1))); do
        at=choices.$k.
        [ "$n" -eq 1 ] && at=
        same "sequence $k" "$(value "${at}ids")" "$(fixture sequences.$k)"
        close_to "its score" "$(value "${at}beam_score")" "$(fixture scores.$k)"
    done
done
expect "run: more beams than run at once" 1 "$cuddle" run "$model" x --beams 4 --max-sequences 3 && one_sentence && holds "4 beams need"
expect "run: the prompt does not fit" 1 "$cuddle" run "$model" "In the beginning" --max-context 2 && one_sentence
expect "run: progress is for terminals" 0 "$cuddle" run "$model" "And" --max-tokens 1
grep -q loading "$work/err" && bad "a progress bar in a file"

# ----------------------------------------------------------------------------------------------------------------- chat
# Each answer has to be what the model says to the whole conversation, rendered.
mkdir "$work/talk"
cp "$model"/* "$work/talk"
cp "$tests/chat/templates/chatml.jinja" "$work/talk/chat_template.jinja"
greedy="--max-tokens 12 --temperature 0"
answer_to() { # MESSAGES: the answer as a JSON string
    printf '[%s]' "$1" >"$work/conversation"
    # shellcheck disable=SC2086 # a list of words
    { "$cuddle" render "$work/talk" "$work/conversation"; echo; } | "$cuddle" run "$work/talk" --no-special --json $greedy 2>"$work/err" | "$json" text
}
user() { printf '{"role": "user", "content": "%s"}' "$1"; }
assistant() { printf '{"role": "assistant", "content": %s}' "$1"; }
first=$(answer_to "$(user 'Who made the heaven?')")
second=$(answer_to "$(user 'Who made the heaven?'), $(assistant "$first"), $(user 'And the sea?')")
system='{"role": "system", "content": "Be brief."}'
third=$(answer_to "$system, $(user 'one\ntwo')")
fourth=$(answer_to "$system, $(user 'one\ntwo'), $(assistant "$third"), $(user '/slash')")
talk() { # NAME CODE OPTIONS: a chat with what is on stdin
    name=$1 code=$2
    shift 2
    # shellcheck disable=SC2086
    "$cuddle" chat "$work/talk" $greedy "$@" >"$work/out" 2>"$work/err"
    got=$?
    count=$((count + 1))
    [ $got -eq "$code" ] || bad "exit code $got instead of $code"
}
printf 'Who made the heaven?\n\nAnd the sea?\n/reset\n/system Be brief.\n"""one\ntwo"""\n//slash\n/system\n/reset\nWho made the heaven?' >"$work/said"
talk "chat: each answer is to the whole conversation" 0 <"$work/said"
printf '%s\n' "$(plain "$first")" "$(plain "$second")" "$(plain "$third")" "$(plain "$fourth")" "$(plain "$first")" >"$work/wanted"
same "the answers" "$(cat "$work/out")" "$(cat "$work/wanted")"
printf '/system """\nBe brief."""\n"""\none\ntwo\n"""\n/exit\nnever' >"$work/said"
fifth=$(answer_to "$system, $(user 'one\ntwo\n')")
talk "chat: blocks" 0 <"$work/said"
same "the answer" "$(cat "$work/out")" "$(plain "$fifth")"
printf '"""one\ntwo"""\n' >"$work/said"
talk "chat --system" 0 --system "Be brief." <"$work/said"
same "the answer" "$(cat "$work/out")" "$(plain "$third")"
rm "$work/talk/chat_template.jinja"
printf 'Who made the heaven?\n' >"$work/said"
talk "chat --template FILE" 0 --template "$tests/chat/templates/chatml.jinja" <"$work/said"
same "the answer" "$(cat "$work/out")" "$(plain "$first")"
printf '{{ bos_token }}{{ eos_token }}{{ sep_token is defined }}{{ x }}{{ raise_exception(bos_token ~ x) }}' >"$work/tokens.jinja"
talk "chat --template FILE: the model's special tokens" 1 --template "$work/tokens.jinja" --set x=5 <"$work/said"
holds "<|endoftext|>5"
printf '{{ bos_token }}|{{ x }}' >"$work/bos.jinja"
printf '[{"role": "user", "content": "x"}]' >"$work/nobody"
expect "render --template FILE: the model's special tokens" 0 "$cuddle" render "$work/talk" "$work/nobody" --template "$work/bos.jinja" --set x=5
same "the text" "$(cat "$work/out")" "<|endoftext|>|5"
# Chats and renderings have the same clock: that of the place.
printf '{{ raise_exception(strftime_now("%%H")) }}' >"$work/hour.jinja"
for verb in "render $work/talk $work/nobody" "chat $work/talk"; do
    # shellcheck disable=SC2086 # a list of words
    "$cuddle" $verb --template "$work/hour.jinja" --now 3600 <"$work/said" >"$work/out" 2>"$work/err"
    holds "refuses: 01"
    hour=$(TZ=Etc/GMT-5 date +%H)
    # shellcheck disable=SC2086
    TZ=Etc/GMT-5 "$cuddle" $verb --template "$work/hour.jinja" <"$work/said" >"$work/out" 2>"$work/err"
    grep -q -e "refuses: $hour" -e "refuses: $(TZ=Etc/GMT-5 date +%H)" "$work/err" || bad "$verb: not the hour of the place"
done
talk "chat: no template" 1 <"$work/said" && one_sentence && holds "or continue a text with cuddle run"
cp "$tests/chat/templates/chatml.jinja" "$work/talk/chat_template.jinja"
printf '/help\n/rest\nx\n' >"$work/said"
talk "chat: an unknown command" 1 <"$work/said"
holds "unknown command '/rest': expected /system, /reset, /exit or /help"
holds "/reset        forgets the conversation"
[ ! -s "$work/out" ] || bad "stdout is not empty"
printf '"""x\n' >"$work/said"
talk "chat: a block without an end" 1 <"$work/said"
holds 'the input ends within a text that began with """'
printf 'a\000b\n' >"$work/said"
talk "chat: NUL" 1 <"$work/said"
holds "NUL byte"
printf 'a\377b\n' >"$work/said"
talk "chat: not UTF-8" 1 <"$work/said"
holds "UTF-8"
printf 'In the beginning\n' >"$work/said"
talk "chat: the conversation does not fit" 1 --max-context 20 <"$work/said"
holds "/reset begins anew"
: >"$work/said"
talk "chat: nothing is said" 0 <"$work/said"
[ ! -s "$work/out" ] || bad "stdout is not empty"

# On a terminal: a script of what is waited for and typed.
on_terminal() { # NAME CODE OPTIONS
    name=$1 code=$2
    shift 2
    timeout -k 5 120 "$terminal" "$cuddle" chat "$work/talk" --temperature 0 "$@" >"$work/out" 2>"$work/err"
    got=$?
    count=$((count + 1))
    [ $got -eq "$code" ] || bad "exit code $got instead of $code"
}
printf 'wait > \nsend Who made the heaven?\nwait \\012> \nsend /rest\nwait unknown command\nsend In the beginning was the word, and the word was with God, and the word was God\nwait /reset begins anew\nsend /reset\nsend Who made the heaven?\nwait \\012> \ncontrol D\n' >"$work/script"
on_terminal "chat on a terminal: failures do not end it" 0 --max-tokens 8 --max-context 48 <"$work/script"
printf 'wait > \ncontrol C\n' >"$work/script"
on_terminal "chat: Ctrl-C at the prompt" 130 <"$work/script"
# The answer may be complete before Ctrl-C arrives, which then leaves: a few tries are allowed.
printf 'wait > \nsend Amen\nwait \\012\nany\ncontrol C\nwait > \nsend /exit\n' >"$work/script"
for try in 1 2 3 4 5 6 7 8; do
    "$terminal" "$cuddle" chat "$work/talk" --temperature 0 --ignore-eos <"$work/script" >"$work/out" 2>"$work/err"
    code=$?
    [ $code -eq 130 ] || break
done
name="chat: Ctrl-C ends an answer and keeps the chat"
count=$((count + 1))
same "the exit code (try $try)" "$code" 0
# Ctrl-S holds the terminal's output up, so that Ctrl-C arrives in the middle of a write.
printf 'wait > \nsend Amen\nwait \\012\nany\ncontrol S\npause\ncontrol C\nwait > \nsend /exit\n' >"$work/script"
on_terminal "chat: Ctrl-C while output is held up" 0 --ignore-eos <"$work/script"

# ---------------------------------------------------------------------------------------------------------------- bench
expect "bench" 0 "$cuddle" bench "$model" --prompt-tokens 16 --generate 8 --repeat 2
for line in load prefill decode memory; do grep -q -E "^$line +[0-9.]+ " "$work/out" || bad "no line $line"; done
grep -q -E "^load .* by map: .* in place$" "$work/out" || bad "no way of loading"
expect "bench --json" 0 "$cuddle" bench "$model" --prompt-tokens 16 --generate 8 --repeat 2 --batch 3 --json --no-probe
is_json load_seconds prefill_tokens_per_second decode_tokens_per_second weight_bytes decode_gb_per_second read_gb_per_second \
    share_of_read_bandwidth load.bytes load.share_of_ceiling load.fallbacks runs.1.decode_seconds threads device deterministic compute
same "the batch" "$(value batch)" 3
same "the way of loading" "$(value load.mode)" '"map"'
same "the bandwidth" "$(value read_gb_per_second)" null

expect "bench --bandwidth" 0 "$cuddle" bench "$model" --prompt-tokens 16 --generate 8 --repeat 1 --bandwidth 50 --json
same "the bandwidth" "$(value read_gb_per_second)" 50.0
is_json share_of_read_bandwidth share_with_kv kv_gb_per_second
expect "bench --bandwidth" 0 "$cuddle" bench "$model" --prompt-tokens 16 --generate 8 --repeat 1 --bandwidth 50 --cold
grep -q -E "^memory +50.00 GB/s as given" "$work/out" || bad "no given bandwidth"
expect "bench --only-load" 0 "$cuddle" bench "$model" --only-load --repeat 3 --load read
same "the number of loads" "$(grep -c '^load .* by read: ' "$work/out")" 3
expect "bench --only-load --cold --json" 0 "$cuddle" bench "$model" --only-load --repeat 2 --load read --cold --json
is_json gb_per_second share_of_ceiling loads.1.load_seconds loads.1.gb_per_second loads.1.page_cache_bytes
same "the number of loads" "$(value loads.#)" 2
same "cold" "$(value cold)" true
expect "bench --cold: no model" 1 "$cuddle" bench "$work/nothing-here" --cold --only-load && one_sentence && holds nothing-here

# --------------------------------------------------------------------------------------------------------------- doctor
expect "doctor" 0 "$cuddle" doctor
for line in cuddle features "device 0" cuda files; do grep -q "^$line " "$work/out" || bad "no line $line"; done

# -------------------------------------------------------------------------------------------------- outputs that fail
closed() { # NAME COMMAND...
    name="closed stdout: $1" && shift
    count=$((count + 1))
    "$@" 2>"$work/err" >&- </dev/null
    same "the exit code" $? 1
    holds "cannot write to standard output"
    [ -c /dev/full ] || return 0
    name="full disk: $*"
    "$@" 2>"$work/err" >/dev/full </dev/null
    same "the exit code" $? 1
    holds "cannot write to standard output: No space left on device"
}
: >"$work/out"
closed version "$cuddle" --version
closed help "$cuddle" run --help
closed inspect "$cuddle" inspect "$model"
closed "inspect --json" "$cuddle" inspect --json "$model"
closed plan "$cuddle" plan "$model"
closed tokenize "$cuddle" tokenize "$model" "In the beginning"
closed render "$cuddle" render "$work/chat" "$work/chat/messages"
closed run "$cuddle" run "$model" "In the beginning" --max-tokens 100
closed "run --json" "$cuddle" run "$model" "In the beginning" --max-tokens 10 --json
closed doctor "$cuddle" doctor
name="chat: full disk"
echo Amen | "$cuddle" chat "$work/talk" --max-tokens 100 2>"$work/err" >/dev/full
same "the exit code" $? 1
name="a reader that goes away"
mkfifo "$work/pipe"
: <"$work/pipe" &
"$cuddle" run "$model" "In the beginning" --max-tokens 200 --ignore-eos >"$work/pipe" 2>"$work/err"
same "the exit code" $? 1
holds "Broken pipe"
name="all descriptors closed"
"$cuddle" --version <&- >&- 2>&-
same "the exit code" $? 1

# -------------------------------------------------------------------------------------------------------------- signals
# launch STDIN STDOUT VERB OPTIONS: starts cuddle in the background, bounded to 60 s; its process is in $work/pid, what to wait for
# in $job. A shell without job control starts background commands with SIGINT ignored, hence env.
launch() {
    rm -f "$work/pid"
    # shellcheck disable=SC2016,SC2086 # the inner shell expands; the options are words
    timeout -k 5 60 sh -c 'echo $$ >"$1"; in=$2 out=$3; shift 3; exec env --default-signal=INT,TERM "$@" <"$in" >"$out"' sh \
        "$work/pid" "$1" "$2" "$cuddle" "$3" "$model" $4 2>"$work/err" &
    job=$!
}

interrupt() { kill -s "$1" "$(cat "$work/pid")"; }

ends_with() { # CODE
    count=$((count + 1))
    began=$(date +%s)
    wait $job
    same "the exit code" $? "$1"
    [ $(($(date +%s) - began)) -le 5 ] || bad "it took more than 5 seconds"
}

for pair in INT:130 TERM:143; do
    signal=${pair%:*}
    name="SIG$signal while reading the prompt"
    rm -f "$work/stdin"
    mkfifo "$work/stdin"
    launch "$work/stdin" "$work/out" run "-"
    exec 3>"$work/stdin" # returns once the other side is open
    sleep 0.5
    interrupt "$signal"
    ends_with "${pair#*:}"
    exec 3>&-

    name="SIG$signal while measuring"
    launch /dev/null "$work/out" bench "--repeat 100 --json"
    sleep 1.5
    interrupt "$signal"
    ends_with "${pair#*:}"
    [ ! -s "$work/out" ] || bad "stdout is not empty"
done

# The text may be complete before the signal arrives, so a few tries are allowed.
name="SIGINT while the text streams"
code=0
for try in 1 2 3 4 5 6 7 8; do
    rm -f "$work/stream"
    mkfifo "$work/stream"
    launch /dev/null "$work/stream" run "Amen --ignore-eos"
    { dd bs=1 count=1 2>/dev/null; interrupt INT; cat; } <"$work/stream" >"$work/out"
    wait $job
    code=$?
    [ $code -eq 0 ] || break
done
count=$((count + 1))
same "the exit code (try $try)" $code 130
[ -s "$work/out" ] || bad "what was streamed is gone"
holds "ended by cancelled"

echo "$count commands, $failures failures"
[ $failures -eq 0 ]
