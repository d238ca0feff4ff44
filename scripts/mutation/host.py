"""The C of the host: the CPU's ops and the models, and what decides which token comes next. Judged by the release build's tests first, which
are quick, and what they let pass by those of the build with sanitizers."""

import re

from mutation.target import MUTATORS, ROOT, Family, Mutator, Site, Target, Variant, code_of, in_comment, mutate

CPU, MODELS = "host/cpu", "runtime/models"
MODEL_TESTS = ["test_config", "test_bad_config", "test_tensors", "test_parity"]
QUICK = ("release",)  # where test_linear is asked, which takes the better part of a minute under the sanitizers
CHEAP_OPS = ["test_gate", "test_pooling", "test_log_softmax", "test_rope", "test_layernorm"]


def data(*names: str, share: int = 1) -> Family:
    """Families of models: tables, and nothing else."""
    return Family([f"{MODELS}/{name}" for name in names], MODEL_TESTS, share=share)


FAMILIES = {
    # ops
    "attend": Family([f"{CPU}/attend.c"], ["test_attend"], share=3),
    "attend_kernels": Family([f"{CPU}/attend_kernels_impl.h"], ["test_attend"]),
    "linear": Family([f"{CPU}/linear.c"], ["test_linear"], share=2, judges=QUICK),
    "linear_kernels": Family([f"{CPU}/linear_kernels_impl.h", f"{CPU}/linear_tiles.h"], ["test_linear"], judges=QUICK),
    "linear_bf16": Family([f"{CPU}/linear_avx512bf16.c"], ["test_linear"], judges=QUICK),
    "linear_onednn": Family([f"{CPU}/linear_onednn.c", f"{CPU}/onednn.c"], ["test_onednn", "test_linear"], judges=QUICK),
    "rows": Family([f"{CPU}/row_kernels_impl.h"], [*CHEAP_OPS, "test_attend"]),
    "vec": Family([f"{CPU}/vec.h"], [*CHEAP_OPS, "test_sample", "test_attend"]),
    "vec_math": Family([f"{CPU}/vec_math.h"], ["test_gate", "test_linear", "test_attend"], judges=QUICK),
    "rmsnorm": Family([f"{CPU}/rmsnorm.c"], ["test_rmsnorm"]),
    "layernorm": Family([f"{CPU}/layernorm.c"], ["test_layernorm"]),
    "norm": Family([f"{CPU}/norm.h"], ["test_layernorm", "test_rmsnorm"]),
    "embed": Family([f"{CPU}/embed.c"], ["test_embed"]),
    "gather": Family([f"{CPU}/gather.c"], ["test_gather"]),
    "copy_pages": Family([f"{CPU}/copy_pages.c"], ["test_copy_pages"]),
    "gate": Family([f"{CPU}/gate.c"], ["test_gate"]),
    "rope": Family([f"{CPU}/rope.c"], ["test_rope"], share=2),
    "pooling": Family([f"{CPU}/pooling.c"], ["test_pooling"]),
    "log_softmax": Family([f"{CPU}/log_softmax.c"], ["test_log_softmax"]),
    "sample": Family([f"{CPU}/sample.c", f"{CPU}/sample_kernels_impl.h"], ["test_sample"]),
    "pool": Family([f"{CPU}/pool.c", f"{CPU}/for_rows.c"], ["test_pool", "test_gather", "test_cpu"]),
    "load": Family([f"{CPU}/load.c", f"{CPU}/backend.c"], ["test_cpu", "test_tensors", "test_parity"]),
    "op_checks": Family(["runtime/core/op_checks.c", "runtime/core/op_checks.h"],
                        ["test_gather", "test_embed", "test_rope", "test_gate", "test_pooling", "test_log_softmax", "test_layernorm", "test_attend",
                         "test_linear", "test_sample"], judges=QUICK),
    # models
    "decoder": Family([f"{MODELS}/decoder.c"], ["test_parity", "test_engine"], share=2),
    "config": Family([f"{MODELS}/config.c"], MODEL_TESTS, share=3),
    "tensors": Family([f"{MODELS}/tensors.c"], ["test_tensors", "test_parity"], share=2),
    "model_rope": Family([f"{MODELS}/rope.c"], ["test_rope_tables", "test_parity"]),
    "model": Family([f"{MODELS}/model.c"], ["test_model", "test_tensors", "test_parity", "test_engine"], share=2),
    "gpt2": data("gpt2.c"),
    "llama": data("llama.c", "llama_rows.h"),
    "mistral": data("mistral.c"),
    "qwen2": data("qwen2.c"),
    "qwen3": data("qwen3.c"),
    "gpt_neox": data("gpt_neox.c"),
    "phi3": data("phi3.c"),
    "gemma2": data("gemma2.c"),
    # from logits to tokens
    "sampler": Family(["runtime/engine/sampler.c", "runtime/engine/adjust.c"], ["test_processors", "test_sampler", "test_engine", "test_generation"], share=3),
    "generation": Family(["runtime/engine/generation.c", "runtime/engine/generation_config.c", "runtime/engine/sequences.c"],
                         ["test_bad_config", "test_processors", "test_bad_input", "test_generation", "test_engine"], share=3),
    "draw": Family(["runtime/core/draw.h"], ["test_sampler", "test_processors"]),
    "engine": Family(["runtime/engine/scheduler.c", "runtime/engine/pages.c", "runtime/engine/fill.c", "runtime/engine/output.c", "runtime/core/step.c"],
                     ["test_scheduler", "test_model", "test_engine_queue", "test_engine", "test_constrain", "test_generation", "test_beams", "test_parity"],
                     share=3),
}

VARIANTS = [
    Variant("release", ROOT / "build" / "host", "cuddle_objects.dir/{}.o", "tests/{}", [{}], flags=["-O1"]),  # -O3 takes longer than the tests
    Variant("asan", ROOT / "build" / "asan", "cuddle_objects.dir/{}.o", "tests/{}", [{}], memory=False),
]

CONDITION = r"\bif \(((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*)\)"  # up to three pairs inside


def swap(*pairs: str) -> dict[str, str]:
    """"a b" swaps both; "a > b" goes one way."""
    to: dict[str, str] = {}
    for pair in pairs:
        one, way, other = pair.partition(" > ") if ">" in pair else pair.partition(" ")
        to[one] = other
        if way == " ":
            to[other] = one
    return to


def words(kind: str, before: str, to: dict[str, str], after: str = r"\b(?!\()") -> Mutator:
    return kind, f"{before}(?:{'|'.join(sorted(to, key=len, reverse=True))}){after}", lambda word: to[word]


FIELDS = swap("k_dim v_dim", "kv_heads heads", "head_dim > v_dim", "rows cols", "x_stride w_stride", "out_stride > x_stride", "p_stride > v_stride",
              "first last", "low high", "weight bias", "starts > kv_lengths", "tokens sequences", "outputs > tokens", "hidden > vocabulary",
              "ffn_dim > v_dim", "positions > hidden", "layers > stacks", "min max", "attn_norm ffn_norm", "q_norm k_norm", "src_pitch dst_pitch",
              "row_bytes > src_pitch", "data > scale", "logit > distance", "begin end", "window > heads")
CODE: list[Mutator] = [
    *MUTATORS,
    ("equal", r"(?<=[\w\])]) == ", " != "),
    ("unequal", r"(?<=[\w\])]) != ", " == "),
    ("divide", r"(?<=[\w\])]) / (?=[\w(])", " * "),
    ("add-to", r" \+= ", " -= "),
    ("take-from", r" -= ", " += "),
    ("scale-by", r" \*= ", " += "),
    ("negate", CONDITION, r"if (!(\1))"),
    ("not", r"(?<=[( ])!(?=[\w(])", ""),
    ("choice", r" \? ([^?:]+) : ([^?:;,)}\]]+)", r" ? \2 : \1"),
    ("always", r"\belse (?!if)", ""),
    ("min64", r"\bcud_min64\(", "cud_max64("),
    ("max64", r"\bcud_max64\(", "cud_min64("),
    ("vector-min", r"\bv_min\(", "v_max("),
    ("vector-max", r"\bv_max\(", "v_min("),
    ("vector-add", r"\bv_add\(", "v_sub("),
    ("vector-sub", r"\bv_sub\(", "v_add("),
    ("vector-mul", r"\bv_mul\(", "v_add("),
    ("infinity", r"-INFINITY", "INFINITY"),
    ("integer", r"(?<!size\[)(?<!stride\[)(?<!shape\[)(?<![\w.'])(?:0|[1-9]\d*)(?![\w.'])", lambda n: str(int(n) + 1)),
    ("real", r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?f?(?![\w.])",
     lambda n: f"({n} * 1.01f + 0.001f)" if n.endswith("f") else f"({n} * 1.01 + 0.001)" if "." in n else n),
    ("false", r"\btrue\b", "false"),
    ("true", r"\bfalse\b", "true"),
    ("first-axis", r"(?<=stride)\[0\]|(?<=size)\[0\]|(?<=shape)\[0\]", "[1]"),
    ("second-axis", r"(?<=stride)\[1\]|(?<=size)\[1\]|(?<=shape)\[1\]", "[0]"),
    words("field", r"(?<=[.>])", FIELDS),
    ("assignment", r"^(\s*)\*?[\w.>\-]+(?:\[[^\]]*\])* [+\-*/|]?= [^;{]*;$", r"\1;"),
    ("call", r"^(\s*)(?!return\b|if\b|for\b|while\b|switch\b)[\w.>\-]+\([^;]*\);$", r"\1;"),
    ("refusal", rf"^(\s*){CONDITION} (?:return|break|continue)\b[^;]*;\s*$", r"\1;"),
    ("step", rf"^(\s*){CONDITION} (?!return|break|continue)[^;{{]*;\s*$", r"\1;"),
    ("leave", r"(?<=[\s;])(?:break|continue);", ";"),
]

# What nothing depends on but speed: how much work is worth a thread, and what is asked for before it is needed.
SPEED = r"cud_cpu_for_rows\(ex, [^,]+(?: \* [^,]+)?, (.*), \w+, &\w+\)"
SPEED_LINES = r"const int64_t rows = args->x.size\[0\] / args->out.size\[0\] \+ 1;|\bask_for\("  # pooling: rows of a sequence, on the average
SPEED_FUNCTIONS = r"(?:static|VEC_INLINE) void (?:announce|ask_for)\("

NAMES = swap("attn_norm ffn_norm", "attn_post_norm ffn_post_norm", "final_norm > attn_norm", "qkv o", "up down", "q_norm k_norm", "heads kv_heads",
             "head_dim ffn_dim", "hidden vocabulary", "layers positions", "qkv_bias o_bias", "ffn_bias > o_bias", "score_cap logit_cap",
             "window > head_dim", "embed > positions", "weight bias", "tied > no_window", "eps > query_scalar", "parallel > qkv_bias",
             "scale_scores scale_by_layer", "theta partial", "act > ffn_dim", "full_layers > positions")
KINDS = swap("CONFIG_BOOL CONFIG_NOT", "CONFIG_FALLBACK > CONFIG_REQUIRED", "CONFIG_LIKE > CONFIG_FALLBACK", "CONFIG_OR_NONE > CONFIG_FALLBACK",
             "CONFIG_IGNORED > CONFIG_ONLY", "NORM_RMS NORM_LAYER", "ATTN_SLIDING ATTN_FULL", "FFN_GATED FFN_PLAIN", "MASK_CAUSAL > MASK_FULL",
             "ACT_SILU ACT_GELU", "ACT_GELU_TANH > ACT_GELU", "DIM_HIDDEN DIM_FFN", "DIM_Q DIM_K", "DIM_V > DIM_Q", "DIM_O > DIM_K", "DIM_QKV > DIM_Q",
             "DIM_HEAD > DIM_HIDDEN", "DIM_FFN_PAIR > DIM_FFN", "DIM_POSITIONS > DIM_HIDDEN", "DIM_VOCABULARY > DIM_HIDDEN",
             "FROM_TRANSPOSED > FROM_WHOLE", "FROM_HEADS_QKV > FROM_WHOLE", "SLOT_IGNORED > SLOT_VECTOR", "SCOPE_STACK > SCOPE_LAYER",
             "POSITION_ROPE POSITION_LEARNED")
TABLE: list[Mutator] = [
    ("row", r"^(\s*)(?:\{ [\"\w.].*\}|LLAMA_\w+(?:\(.*\))?),\s*$", r"\1"),
    ("integer", r"(?<![\w.'(])(?:0|[1-9]\d*)(?![\w.'])", lambda n: str(int(n) + 1)),
    ("real", r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])", lambda n: f"{float(n) * 1.01:.4g}" if "." in n or "e" in n else n),
    ("false", r"\btrue\b", "false"),
    ("true", r"\bfalse\b", "true"),
    words("name", r"(?<=[ (])", NAMES, r"(?=[).,\[])"),
    words("part", r"(?<=\.)", NAMES, r"(?=\))"),
    words("kind", r"\b", KINDS, r"\b"),
    ("condition", r"WHEN_(?:LAYER|STACK)\(\w+\)", "0"),
    ("unless", r"\.when = ", ".unless = "),
]
# Numbers of a row that its kind does not read.
UNREAD = [r"CONFIG_IGNORED(.*)", r"CONFIG_(?:BOOL|NOT|ACTIVATION|ONLY|LAYER_TYPES)\b.* CONFIG_\w+, [^,]+, (.*)", r"CONFIG_FALLBACK, [^,.]+, (0), ",
          r"CONFIG_(?:INT|NUMBER), .* CONFIG_OR_NONE, [^,.]+, (0), ", r"CONFIG_ONLY, (0)", r"SLOT_IGNORED, \w+, (.*)"]
# In strings: these see them.
PATTERNS: list[Mutator] = [
    ("alternative", r"\|[\w.\[\]]+(?=[|\"=])", ""),
    ("first-alternative", r"(?<=\")[\w.]+\|", ""),
    ("optional", r"\[([\w.]+)\](?=\w)", r"\1"),
]


def mutants_of(file: str, text: str) -> list[Site]:
    """Of code that can be wrong: no declarations of types, no prototypes, no messages."""
    table = file.startswith(MODELS) and "static const config_row config[]" in text or file.endswith("_rows.h")
    found: list[Site] = []
    comment = False
    inside = None  # a declaration: what ends it
    for number, line in enumerate(text.splitlines(), 1):
        was_comment, comment = comment, in_comment(line, comment)
        code = code_of(line)
        begins = re.match(rf"(?:typedef )?(?:struct|enum|union)\b[^;]*$|static const (?:char|struct)\b[^;]*$|{SPEED_FUNCTIONS}.*", code)
        if re.match(SPEED_FUNCTIONS, code) or begins and not re.search(r"\)\s*$", code):
            inside = "}"
        skipped = inside or was_comment or re.match(r"\s*(?:\*|typedef|extern|static_assert)", code)
        if inside and code.startswith(inside):
            inside = None
        if skipped or (re.match(r"\s*#", code) and not (table and code.startswith("#define LLAMA_"))):
            continue
        if table:
            unread = {column for match in (re.search(pattern, code) for pattern in UNREAD) if match for column in range(*match.span(1))}
            found += [site for site in mutate(file, number, line, TABLE) if site.kind not in ("integer", "real") or site.column not in unread]
            found += [site for site in mutate(file, number, line, PATTERNS, strings=True) if site not in found]
        else:
            if re.search(SPEED_LINES, code):
                continue
            speed = re.search(SPEED, code)
            idle = range(*speed.span(1)) if speed else []
            found += [site for site in mutate(file, number, line, CODE) if site.column not in idle]
    return found


TARGET = Target(root=ROOT, copied=["host", "runtime"], families=FAMILIES, variants=VARIANTS, mutants_of=mutants_of,
                table=ROOT / "tests" / "mutants.md", table_shows_new=True, sample=10, seconds=10)
