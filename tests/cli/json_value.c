/* For shell tests: json_value PATH... checks that standard input is exactly one JSON value, then prints what lies at each path, one
 * compact value a line. A path is keys and indices separated by dots ("timings.load_seconds", "ids.0"); "#" in place of a key gives
 * the number of elements. Exit code 1: not JSON, or no such path. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print_at(json_t *value, const char *path)
{
    char key[256];
    while (value && *path) {
        const size_t length = strcspn(path, ".");
        if (length >= sizeof key) return 0;
        memcpy(key, path, length);
        key[length] = 0;
        path += length + (path[length] == '.');
        if (strcmp(key, "#") == 0) {
            printf("%zu\n", json_is_array(value) ? json_array_size(value) : json_object_size(value));
            return 1;
        }
        value = json_is_array(value) ? json_array_get(value, strtoul(key, NULL, 10)) : json_object_get(value, key);
    }
    if (!value) return 0;
    json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    putchar('\n');
    return 1;
}

int main(int argc, char **argv)
{
    json_error_t err;
    json_t *root = json_loadf(stdin, JSON_REJECT_DUPLICATES, &err);
    int failed = !root;
    if (!root) fprintf(stderr, "not one JSON value: %s\n", err.text);
    for (int i = 1; root && i < argc; i++)
        if (!print_at(root, argv[i])) {
            fprintf(stderr, "nothing at %s\n", argv[i]);
            failed = 1;
        }
    json_decref(root);
    return failed;
}
