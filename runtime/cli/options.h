/* Command lines as tables: one row of a table is what is parsed, what is checked and what --help prints. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef enum option_kind { /* and the type of its target */
    OPTION_FLAG,   /* int: becomes 1 */
    OPTION_INT,    /* int in [least, most] */
    OPTION_INT64,  /* int64_t in [least, most] */
    OPTION_SEED,   /* option_seed */
    OPTION_FLOAT,  /* float in [least, most] */
    OPTION_CHOICE, /* int: the index of one of `values`, "auto|off|on" */
    OPTION_WORD,   /* const char *: one of `values`; a value spelled "cuda[:N]" may carry a number */
    OPTION_STRING, /* const char *: not empty */
    OPTION_STRINGS /* option_strings: may be given more than once */
} option_kind;

enum { OPTION_STRINGS_MOST = 16 };
typedef struct option_seed { uint64_t value; int given; } option_seed;
typedef struct option_strings { const char *item[OPTION_STRINGS_MOST]; size_t count; } option_strings;

typedef struct option_row {
    const char *name; /* without the dashes; NULL ends a table */
    option_kind kind;
    size_t offset; /* of the target in the group's struct */
    double least, most;
    const char *values; /* CHOICE and WORD: the words; else how --help calls the value */
    const char *help;
} option_row;

typedef struct option_group {
    const char *title;
    const option_row *rows;
    void *target; /* the struct that the rows' offsets count from */
} option_group;

typedef struct command {
    const char *name;      /* "run" */
    const char *arguments; /* "MODEL [PROMPT]" */
    const char *summary;   /* one sentence */
    const char *notes;     /* paragraphs separated by newlines, may be NULL */
    int least, most;       /* positional arguments */
    const option_group *groups; /* the one with rows == NULL ends the list */
} command;

enum { POSITIONAL_MOST = 2 };

/* Parses what follows the verb. Returns 1 to go on; 0 to end with *code, when help was printed or the line was wrong (and a
 * sentence on stderr said so). positional[] is filled with the arguments that are not options, NULL where there is none. */
int options_parse(const command *c, int argc, char **argv, const char *positional[POSITIONAL_MOST], int *code);

/* "cuddle VERB: SENTENCE" on stderr; returns EXIT_USAGE. */
int usage_error(const command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
