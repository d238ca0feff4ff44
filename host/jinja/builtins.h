/* What filters, tests, methods and globals have in common. */
#ifndef CUD_JINJA_BUILTINS_H
#define CUD_JINJA_BUILTINS_H

#include "jinja/interp.h"
#include "jinja/operators.h"

typedef struct jtable {
    const jbuiltin *row;
    size_t count;
} jtable;
const jbuiltin *cud_j_find_row(jtable table, const char *name, size_t length);
#define J_TABLE(rows) ((jtable){ rows, sizeof rows / sizeof *rows })

/* In files of their own. */
extern const jtable cud_j_text_filters, cud_j_number_filters, cud_j_sequence_filters, cud_j_string_methods, cud_j_tests;

/* Arguments. `what` names the argument in sentences; a missing one leaves *out as it is. */
bool cud_j_int_arg(jrun *j, int64_t *out, jvalue arg, const char *what);
bool cud_j_text_arg(jrun *j, jvalue *out, jvalue arg, const char *what);
static inline bool j_flag_arg(jvalue arg, bool otherwise) { return arg.kind == J_MISSING ? otherwise : cud_j_truth(arg); }
/* str(value), but safe text stays safe. */
bool cud_j_soft_str(jrun *j, jvalue *out, jvalue value);
/* The end of the line at `at` of `text`; *next: where the one after it begins. Python's splitlines(). */
size_t cud_j_line_end(jvalue text, size_t at, size_t *next);
bool cud_j_join(jrun *j, jvalue *out, jvalue between, const jlist *parts);
/* Stable; `key` are what is compared, in the order of `list`, and are moved along. */
bool cud_j_sort(jrun *j, jlist *list, jlist *key, bool reverse);
/* By "a.b.0" or an index, with Jinja's rules for attributes of filters. */
bool cud_j_path(jrun *j, jvalue *out, jvalue of, jvalue path);
bool cud_j_run_test(jrun *j, bool *out, jvalue value, jvalue name, const jvalue *arg, size_t count);

#endif
