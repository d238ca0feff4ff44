/* Drives a fuzz target without libFuzzer: every file of the folders given, then deterministic mutations of each, so many that all of them together
 * take seconds. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUTANTS = 20000, MOST_OF_ONE = 200, MAX_FILE = 1 << 20 };

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A copy of its own per run, so that a read past the end is seen by the sanitizer. */
static void run_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) exit(2);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void run_file(const char *path, int mutants)
{
    FILE *f = fopen(path, "rb");
    if (!f) return;
    uint8_t *data = malloc(MAX_FILE), *mutant = malloc(MAX_FILE);
    if (!data || !mutant) exit(2);
    const size_t size = fread(data, 1, MAX_FILE, f);
    fclose(f);
    run_copy(data, size);
    uint64_t state = 0x9e3779b97f4a7c15u ^ size;
    for (int i = 0; i < mutants && size > 0; i++) {
        memcpy(mutant, data, size);
        size_t length = size;
        const uint64_t edits = 1 + next_random(&state) % 4;
        for (uint64_t e = 0; e < edits; e++) {
            const size_t at = next_random(&state) % length;
            switch (next_random(&state) % 4) {
            case 0: mutant[at] = (uint8_t)next_random(&state); break;
            case 1: mutant[at] ^= (uint8_t)(1u << (next_random(&state) % 8)); break;
            case 2: if (length > 1) length = 1 + at; break;
            default: memmove(mutant + at, mutant + at / 2, length - at); break;
            }
        }
        run_copy(mutant, length);
    }
    free(data);
    free(mutant);
}

/* The paths of a folder's files, in an order that is the same everywhere. */
static int list_files(char ***out, const char *folder)
{
    struct dirent **entry;
    const int count = scandir(folder, &entry, NULL, alphasort);
    int files = 0;
    *out = malloc((size_t)(count > 0 ? count : 1) * sizeof **out);
    if (!*out) exit(2);
    for (int i = 0; i < count; i++) {
        if (entry[i]->d_name[0] != '.' && asprintf(&(*out)[files++], "%s/%s", folder, entry[i]->d_name) < 0) exit(2);
        free(entry[i]);
    }
    if (count >= 0) free(entry);
    return files;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++) {
        char **path;
        const int count = list_files(&path, argv[i]);
        const int share = count ? MUTANTS / count + 1 : 0;
        for (int k = 0; k < count; k++) {
            run_file(path[k], share < MOST_OF_ONE ? share : MOST_OF_ONE);
            free(path[k]);
        }
        free(path);
        files += count;
    }
    printf("%d corpus files\n", files);
    return files > 0 ? 0 : 1; /* an empty corpus proves nothing */
}
