#include "cli/options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

enum { HELP_COLUMN = 30, HELP_WIDTH = 100 };

int usage_error(const command *c, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    say("%s: %s (see cuddle %s --help)", c->name, text, c->name);
    return EXIT_USAGE;
}

/* ------------------------------------------------------------------------------------------------------------- values */

/* What a row's value must be, in words. */
static const char *expected(const option_row *row, char *out, size_t size)
{
    switch (row->kind) {
    case OPTION_FLAG: snprintf(out, size, "no value"); break;
    case OPTION_INT:
    case OPTION_INT64: snprintf(out, size, "a whole number from %.0f to %.0f", row->least, row->most); break;
    case OPTION_SEED: snprintf(out, size, "a whole number from 0 to %lld", (long long)INT64_MAX); break;
    case OPTION_FLOAT: snprintf(out, size, "a number from %g to %g", row->least, row->most); break;
    case OPTION_CHOICE:
    case OPTION_WORD: snprintf(out, size, "one of %s", row->values); break;
    case OPTION_STRING:
    case OPTION_STRINGS: snprintf(out, size, "a string that is not empty"); break;
    }
    return out;
}

/* Does `text` match the word at `word`, which is `length` long? "cuda[:N]" matches "cuda" and "cuda:" with up to 3 digits. */
static int word_matches(const char *word, size_t length, const char *text)
{
    static const char suffix[] = "[:N]";
    const size_t tail = sizeof suffix - 1;
    if (length <= tail || strncmp(word + length - tail, suffix, tail) != 0)
        return strlen(text) == length && strncmp(word, text, length) == 0;
    const size_t stem = length - tail;
    if (strncmp(word, text, stem) != 0) return 0;
    if (!text[stem]) return 1;
    const char *number = text + stem + 1;
    const size_t digits = strspn(number, "0123456789");
    return text[stem] == ':' && digits >= 1 && digits <= 3 && !number[digits];
}

static int word_index(const char *values, const char *text)
{
    for (int i = 0;; i++) {
        const size_t length = strcspn(values, "|");
        if (word_matches(values, length, text)) return i;
        if (!values[length]) return -1;
        values += length + 1;
    }
}

/* strtoll() and friends skip white space and take a plus sign; a value here begins with a digit, or with a minus if allowed. */
static int number_begins(const char *text, const char *also)
{
    return (*text >= '0' && *text <= '9') || (*text && strchr(also, *text));
}

static int set_whole(const option_row *row, void *target, const char *text)
{
    char *end;
    errno = 0;
    if (!number_begins(text, "-")) return 0;
    const long long value = strtoll(text, &end, 10);
    if (errno || *end || (double)value < row->least || (double)value > row->most) return 0;
    if (row->kind == OPTION_INT) *(int *)target = (int)value;
    else *(int64_t *)target = value;
    return 1;
}

static int set_float(const option_row *row, float *target, const char *text)
{
    char *end;
    if (!number_begins(text, "-.")) return 0;
    const double value = strtod(text, &end);
    if (*end || !isfinite(value) || value < row->least || value > row->most) return 0;
    *target = (float)value;
    return 1;
}

static int set_seed(option_seed *target, const char *text)
{
    char *end;
    errno = 0;
    if (!number_begins(text, "")) return 0;
    target->value = (uint64_t)strtoll(text, &end, 10); /* up to INT64_MAX, so that JSON can hold it */
    target->given = 1;
    return !errno && !*end;
}

/* 1 if `text` is a value of this row, which it then has. */
static int set_value(const option_row *row, void *base, const char *text)
{
    void *target = (char *)base + row->offset;
    switch (row->kind) {
    case OPTION_FLAG: return 0;
    case OPTION_INT:
    case OPTION_INT64: return set_whole(row, target, text);
    case OPTION_SEED: return set_seed(target, text);
    case OPTION_FLOAT: return set_float(row, target, text);
    case OPTION_CHOICE: {
        const int index = word_index(row->values, text);
        if (index >= 0) *(int *)target = index;
        return index >= 0;
    }
    case OPTION_WORD:
        *(const char **)target = text;
        return word_index(row->values, text) >= 0;
    case OPTION_STRING:
        *(const char **)target = text;
        return *text != 0;
    case OPTION_STRINGS: {
        option_strings *list = target;
        if (!*text || list->count == OPTION_STRINGS_MOST) return 0;
        list->item[list->count++] = text;
        return 1;
    }
    }
    return 0;
}

/* --------------------------------------------------------------------------------------------------------------- help */

/* Prints words of `text` up to HELP_WIDTH columns; further lines begin at column `indent`. `column` is where we are. */
static void print_wrapped(const char *text, int column, int indent)
{
    int first = 1;
    while (*text) {
        const size_t length = strcspn(text, " ");
        if (!first && column + 1 + (int)length > HELP_WIDTH) {
            out_printf("\n%*s", indent, "");
            column = indent;
            first = 1;
        }
        out_printf("%s%.*s", first ? "" : " ", (int)length, text);
        column += (int)length + !first;
        first = 0;
        text += length + strspn(text + length, " ");
    }
    out_printf("\n");
}

static void print_row(const option_row *row)
{
    char left[96], range[64] = "";
    snprintf(left, sizeof left, "  --%s%s%s", row->name, row->kind == OPTION_FLAG ? "" : " ",
             row->kind == OPTION_FLAG ? "" : row->values);
    if (row->kind == OPTION_INT || row->kind == OPTION_INT64) {
        if (row->most < INT32_MAX) snprintf(range, sizeof range, "; %.0f to %.0f", row->least, row->most);
        else if (row->least > 0) snprintf(range, sizeof range, "; at least %.0f", row->least);
    }
    if (row->kind == OPTION_FLOAT) snprintf(range, sizeof range, "; %g to %g", row->least, row->most);
    if (row->kind == OPTION_STRINGS) snprintf(range, sizeof range, "; may be repeated");
    out_printf("%s", left);
    if ((int)strlen(left) > HELP_COLUMN - 2) out_printf("\n%*s", HELP_COLUMN, "");
    else out_printf("%*s", HELP_COLUMN - (int)strlen(left), "");
    char help[512];
    snprintf(help, sizeof help, "%s%s", row->help, range);
    print_wrapped(help, HELP_COLUMN, HELP_COLUMN);
}

static void print_help(const command *c)
{
    out_printf("usage: cuddle %s [options]%s%s\n\n", c->name, *c->arguments ? " " : "", c->arguments);
    print_wrapped(c->summary, 0, 0);
    for (const char *line = c->notes; line && *line; line += strcspn(line, "\n") + 1) {
        char paragraph[512];
        snprintf(paragraph, sizeof paragraph, "%.*s", (int)strcspn(line, "\n"), line);
        out_printf("\n");
        print_wrapped(paragraph, 0, 0);
        if (!line[strcspn(line, "\n")]) break;
    }
    for (const option_group *g = c->groups; g->rows; g++) {
        if (g->rows->name) out_printf("\n%s:\n", g->title);
        for (const option_row *row = g->rows; row->name; row++) print_row(row);
    }
    out_printf("\n  --%-*sprints this text\n", HELP_COLUMN - 4, "help");
}

/* ------------------------------------------------------------------------------------------------------------ parsing */

static const option_row *find_row(const command *c, const char *name, size_t length, void **target)
{
    for (const option_group *g = c->groups; g->rows; g++)
        for (const option_row *row = g->rows; row->name; row++)
            if (strlen(row->name) == length && strncmp(row->name, name, length) == 0) {
                *target = g->target;
                return row;
            }
    return NULL;
}

/* Handles the option at argv[i]; returns how many arguments it took, or 0 after a usage error. */
static int parse_option(const command *c, int argc, char **argv, int i)
{
    const char *name = argv[i] + 2;
    const size_t length = strcspn(name, "=");
    const char *value = name[length] ? name + length + 1 : NULL;
    char shown[256], wanted[256], found[256];
    void *target = NULL;
    const option_row *row = strncmp(argv[i], "--", 2) == 0 ? find_row(c, name, length, &target) : NULL;
    if (!row) {
        usage_error(c, "unknown option %s", clean_line(shown, sizeof shown, argv[i]));
        return 0;
    }
    if (row->kind == OPTION_FLAG) {
        if (value) {
            usage_error(c, "--%s takes no value, but '%s' was given", row->name, clean_line(found, sizeof found, value));
            return 0;
        }
        *(int *)(void *)((char *)target + row->offset) = 1;
        return 1;
    }
    const int taken = value ? 1 : 2;
    if (!value) value = i + 1 < argc ? argv[i + 1] : NULL;
    if (!value) {
        usage_error(c, "--%s needs a value: %s", row->name, expected(row, wanted, sizeof wanted));
        return 0;
    }
    if (set_value(row, target, value)) return taken;
    const option_strings *list = row->kind == OPTION_STRINGS ? (void *)((char *)target + row->offset) : NULL;
    if (list && list->count == OPTION_STRINGS_MOST)
        usage_error(c, "--%s may be given at most %d times", row->name, (int)OPTION_STRINGS_MOST);
    else
        usage_error(c, "--%s expects %s, but '%s' was given", row->name, expected(row, wanted, sizeof wanted),
                    clean_line(found, sizeof found, value));
    return 0;
}

int options_parse(const command *c, int argc, char **argv, const char *positional[POSITIONAL_MOST], int *code)
{
    int count = 0, options_over = 0;
    char shown[256];
    *code = EXIT_USAGE;
    for (int i = 0; i < POSITIONAL_MOST; i++) positional[i] = NULL;
    for (int i = 0; i < argc;) {
        const char *arg = argv[i];
        if (!options_over && strcmp(arg, "--") == 0) {
            options_over = 1;
            i++;
        } else if (!options_over && (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)) {
            print_help(c);
            *code = out_end(0);
            return 0;
        } else if (!options_over && arg[0] == '-' && arg[1]) {
            const int taken = parse_option(c, argc, argv, i);
            if (!taken) return 0;
            i += taken;
        } else {
            if (count == c->most) {
                usage_error(c, "unexpected argument '%s': the arguments are %s", clean_line(shown, sizeof shown, arg),
                            *c->arguments ? c->arguments : "none");
                return 0;
            }
            positional[count++] = arg;
            i++;
        }
    }
    if (count >= c->least) return 1;
    usage_error(c, "an argument is missing: the arguments are %s", c->arguments);
    return 0;
}
