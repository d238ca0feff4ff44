/* cuda_tests NAME: the tests called NAME on a CUDA device; --list prints the names. Exit code 77 where there is no device, unless
 * CUDDLE_REQUIRE_DEVICE is set. */
#include "module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_tests_table.h"

enum { TESTS = sizeof tests / sizeof *tests, SKIPPED = 77 };

int main(int argc, char **argv)
{
    const char *wanted = argc == 2 ? argv[1] : "";
    if (strcmp(wanted, "--list") == 0) {
        for (size_t i = 0; i < TESTS; i++) puts(tests[i].name);
        return 0;
    }
    for (size_t i = 0; i < TESTS; i++) {
        if (strcmp(wanted, tests[i].name) != 0) continue;
        cuddle_error err = { CUDDLE_OK, "" };
        if (cud_cuda_module(CUD_CUDA_ABI, sizeof(op_table))->count(&err) > 0) return tests[i].run();
        fprintf(stderr, "skipped: %s\n", err.text);
        return getenv("CUDDLE_REQUIRE_DEVICE") ? 1 : SKIPPED;
    }
    fprintf(stderr, "usage: cuda_tests NAME, one of those that --list prints\n");
    return 2;
}
