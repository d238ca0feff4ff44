"""The CUDA kernels, judged by their tests on the emulated device."""

import re

from mutation.target import MUTATORS, ROOT, Family, Site, Target, Variant, code_of, in_comment, mutate

FAMILIES = {
    "rmsnorm": Family(["rmsnorm.cu"], ["test_op_rmsnorm"], ["rmsnorm.cu"]),
    "layernorm": Family(["layernorm.cu"], ["test_op_layernorm"], ["layernorm.cu"]),
    "norm": Family(["norm.cuh"], ["test_op_rmsnorm", "test_op_layernorm"], ["rmsnorm.cu", "layernorm.cu"]),
    "embed": Family(["embed.cu"], ["test_op_embed"], ["embed.cu"]),
    "gather": Family(["gather.cu"], ["test_op_gather"], ["gather.cu"]),
    "copy_pages": Family(["copy_pages.cu"], ["test_op_copy_pages"], ["copy_pages.cu"]),
    "gate": Family(["gate.cu", "activation.cuh"], ["test_op_gate"], ["gate.cu"]),
    "rope": Family(["rope.cu"], ["test_op_rope"], ["rope.cu"]),
    "log_softmax": Family(["log_softmax.cu"], ["test_op_log_softmax"], ["log_softmax.cu"]),
    "pooling": Family(["pooling.cu"], ["test_op_pooling"], ["pooling.cu"]),
    "sample": Family(["sample.cu", "sample.cuh"], ["test_op_sample"], ["sample.cu"]),
    "advance": Family(["advance.cu"], ["test_advance_cuda", "test_device_engine"], ["advance.cu"]),
    "linear_few": Family(["linear_few.cu"], ["test_op_linear", "test_linear_cuda"], ["linear_few.cu"]),
    "linear_skinny": Family(["linear_skinny.cu"], ["test_op_linear", "test_linear_cuda"], ["linear_skinny.cu"]),
    "linear_tiled": Family(["linear_tiled.cu"], ["test_op_linear", "test_linear_cuda"], ["linear_tiled.cu"]),
    "linear_blocks": Family(["linear_blocks.cu"], ["test_op_linear", "test_linear_cuda"], ["linear_blocks.cu"]),
    "linear": Family(["linear.cuh"], ["test_linear_cuda", "test_op_linear"],
                     ["linear_skinny.cu", "linear_few.cu", "linear_tiled.cu", "linear_blocks.cu"]),
    # of all that include these, what is cheap and uses most of them
    "typed": Family(["typed.cuh"], ["test_op_gather", "test_op_rope", "test_op_embed"], ["gather.cu", "embed.cu", "rope.cu"]),
    "device": Family(["device.h"], ["test_op_log_softmax", "test_op_rmsnorm"], ["log_softmax.cu", "rmsnorm.cu"]),
    "attend": Family(["attend.cuh", "attend_plain.cuh", "attend_decode.cuh", "attend_prefill.cuh"], ["test_op_attend"], ["attend.cu"]),
}

BUILD = ROOT / "build" / "asan"
# The schedules that CTest runs, tests/emulation/CMakeLists.txt. The race build first: it compiles in a quarter of the other's time.
VARIANTS = [
    Variant("race", BUILD, "emulated_kernels_race.dir/__/__/cuda/{}.o", "tests/emulation/{}_emulated_race",
            [{}, {"CUDDLE_EMU_ORDER": "reverse"}], memory=False),
    Variant("asan", BUILD, "emulated_kernels.dir/__/__/cuda/{}.o", "tests/emulation/{}_emulated",
            [{}, {"CUDDLE_EMU_ORDER": "random", "CUDDLE_EMU_STREAMS": "random", "CUDDLE_EMU_SEED": "1"}], memory=False),
]

DEVICE_MUTATORS = [
    ("barrier", r"__syncthreads\(\);", ";"),
    ("warp-barrier", r"__syncwarp\(\);", ";"),
    ("copy-wait", r"dev_copy_async_wait<[^>]*>\(\);", ";"),
    *MUTATORS,
    ("all-lanes", r"\bDEV_ALL_LANES\b", "0x0fffffffu"),
]


def mutants_of(file: str, text: str) -> list[Site]:
    """Of device code."""
    found = []
    inside = False  # of the part that launches kernels: plain host code
    comment = nvcc = False  # nvcc: what it alone sees
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith('extern "C"') or re.match(r"(static )?(inline )?(cudaError_t|cuddle_status|heads|bool)\b", line):
            inside = True
        elif re.match(r"(template|DEV_FN|__global__|struct|static __device__|/\*)", line):
            inside = False
        was_comment, comment = comment, in_comment(line, comment)
        nvcc = line.startswith("#ifdef __CUDACC__") or (nvcc and not re.match(r"#(else|endif)", line))
        if inside or nvcc or was_comment or re.match(r"\s*(#|template|static_assert|\*|enum|typedef|using|constexpr)", code_of(line)):
            continue
        found += mutate(file, number, line, DEVICE_MUTATORS)
    return found


TARGET = Target(root=ROOT / "cuda", copied=["cuda"], families=FAMILIES, variants=VARIANTS, mutants_of=mutants_of,
                table=ROOT / "tests" / "emulation" / "mutants.md", table_shows_new=False, sample=6, seconds=240)
