/* Python's operators on values, and their text. Each returns false after a failure. */
#ifndef CUD_JINJA_OPERATORS_H
#define CUD_JINJA_OPERATORS_H

#include "jinja/ast.h"

bool cud_j_truth(jvalue value);
bool cud_j_same(jvalue a, jvalue b); /* `is` */
bool cud_j_equal(jrun *j, jvalue a, jvalue b, bool *out);
/* -1, 0, 1; fails for values that have no order. */
bool cud_j_order(jrun *j, jvalue a, jvalue b, int *out);
bool cud_j_compare(jrun *j, jcompare how, jvalue a, jvalue b, bool *out);
bool cud_j_contains(jrun *j, jvalue in, jvalue what, bool *out);
bool cud_j_arithmetic(jrun *j, jnode_kind how, jvalue a, jvalue b, jvalue *out);
bool cud_j_hash(jrun *j, jvalue value, uint64_t *out);

/* obj.name and obj[key] by the rules of Jinja's sandbox; what is not there is undefined, not a failure. */
bool cud_j_attribute(jrun *j, jvalue *out, jvalue of, const char *name, size_t length);
bool cud_j_subscript(jrun *j, jvalue *out, jvalue of, jvalue key);
/* value[start:stop:step]; J_NONE where one is left out. */
bool cud_j_slice(jrun *j, jvalue *out, jvalue of, jvalue start, jvalue stop, jvalue step);
/* Resolves start and stop as slice.indices() does; returns the number of elements. */
size_t cud_j_slice_range(int64_t count, jvalue start, jvalue stop, int64_t step, int64_t *first);

bool cud_j_str(jrun *j, jvalue *out, jvalue value);  /* str(value), a string */
bool cud_j_repr(jrun *j, jvalue *out, jvalue value); /* repr(value) */
bool cud_j_append_str(jrun *j, jvalue *text, jvalue value);
bool cud_j_append_repr(jrun *j, jvalue *text, jvalue value);
typedef struct jdump {
    const char *indent; /* of a level; NULL: all in one line */
    size_t indent_length;
    jvalue item, key; /* separators */
    bool ascii, sort;
} jdump;
bool cud_j_dump(jrun *j, jvalue *text, jvalue value, const jdump *how); /* appends what json.dumps gives */

/* Strings. */
size_t cud_j_find(const char *s, size_t n, const char *what, size_t length); /* (size_t)-1: not there */
bool cud_j_escape(jrun *j, jvalue *out, jvalue text);                        /* for HTML; safe text stays */
bool cud_j_replace(jrun *j, jvalue *out, jvalue text, jvalue old, jvalue new, int64_t most);
jvalue cud_j_strip(jvalue text, const jvalue *chars, bool left, bool right); /* chars: NULL or a string */
bool cud_j_printf(jrun *j, jvalue *out, jvalue format, jvalue args);         /* format % args */
bool cud_j_format(jrun *j, jvalue *out, jvalue format, const jcall *call);   /* str.format */

/* Calls. */
bool cud_j_call(jrun *j, jvalue *out, jvalue callee, const jcall *call);
bool cud_j_call_builtin(jrun *j, jvalue *out, const jbuiltin *builtin, jvalue self, const jcall *call);

bool cud_j_fail_unknown(jrun *j, const jnode *node); /* a filter or test that does not exist */
const jbuiltin *cud_j_find_filter(const char *name, size_t length);
const jbuiltin *cud_j_find_test(const char *name, size_t length);
const jbuiltin *cud_j_find_global(const char *name, size_t length);
/* A method; *unsafe for one that the sandbox keeps away. NULL: there is no such attribute. */
const jbuiltin *cud_j_find_method(jkind kind, const char *name, size_t length, bool *unsafe);
bool cud_j_loop_attribute(jrun *j, jvalue *out, struct jloop *loop, const char *name, size_t length); /* false: no such */

#endif
