/* The `cuddle` program. It uses cuddle.h and nothing else of the library. */
#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/verbs.h"
#include "cuddle.h"

static const struct { const char *name; int (*run)(int argc, char **argv); const char *summary; } verbs[] = {
    { "run", verb_run, "continue a prompt and stream the text" },
    { "chat", verb_chat, "talk with a model, turn by turn" },
    { "inspect", verb_inspect, "list the tensors of a checkpoint" },
    { "plan", verb_plan, "the memory a model would take, from its headers alone" },
    { "tokenize", verb_tokenize, "turn text into token ids, or back" },
    { "detokenize", verb_detokenize, "turn token ids into text" },
    { "render", verb_render, "what a chat becomes: the text that a model will see" },
    { "bench", verb_bench, "measure loading, prefill and decoding" },
    { "doctor", verb_doctor, "what this build and this machine offer" },
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static int print_help(void)
{
    out_printf("usage: cuddle VERB [options] ...\n\nRuns Hugging Face checkpoints as they lie on disk. MODEL is a directory with config.json, "
               "*.safetensors and\ntokenizer.json.\n\nverbs:\n");
    for (int i = 0; i < VERBS; i++) out_printf("  %-12s%s\n", verbs[i].name, verbs[i].summary);
    out_printf("\n`cuddle VERB --help` lists a verb's options. Options may stand anywhere after the verb, as --name VALUE or "
               "--name=VALUE;\n`--` ends them. Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong "
               "usage, 130 and 143\nended by a signal.\n\n  --help      prints this text\n  --version   prints the version\n");
    return out_end(0);
}

int main(int argc, char **argv)
{
    out_begin();
    if (cuddle_abi() != CUDDLE_ABI) {
        say("libcuddle %s has ABI %d, but this program was built for %d", cuddle_version(), cuddle_abi(), CUDDLE_ABI);
        return EXIT_FAILED;
    }
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        say("a verb is missing: run, chat, inspect, plan, tokenize, detokenize, render, bench or doctor (see cuddle --help)");
        return EXIT_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) return print_help();
    if (strcmp(name, "--version") == 0) {
        out_printf("cuddle %s\n", cuddle_version());
        return out_end(0);
    }
    for (int i = 0; i < VERBS; i++)
        if (strcmp(name, verbs[i].name) == 0) {
            interrupt_catch();
            return verbs[i].run(argc - 2, argv + 2);
        }
    char shown[128];
    say("unknown %s '%s': expected run, chat, inspect, plan, tokenize, detokenize, render, bench or doctor (see cuddle --help)", *name == '-' ? "option" : "verb",
        clean_line(shown, sizeof shown, name));
    return EXIT_USAGE;
}
