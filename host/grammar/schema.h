/* JSON Schema to expressions. Each schema becomes a rule; what allOf, and keywords beside $ref and anyOf, say together is put into one schema
 * first (schema_merge.c). */
#ifndef CUD_GRAMMAR_SCHEMA_H
#define CUD_GRAMMAR_SCHEMA_H

#include "grammar/json.h"

#include <jansson.h>

typedef struct gschema_job { const json_t *schema; uint32_t rule; } gschema_job;

typedef struct gschema {
    gsyntax *g;
    gjson json;
    json_t *root;
    json_t *made;     /* schemas that merging made: a list that owns them */
    gschema_job *job; /* [rules made here]: what is done and what is to be done */
    size_t jobs, job_room, done;
    uint32_t *slot; /* hash of schemas: job + 1, or 0 */
    size_t slots;
} gschema;

enum { CUD_SCHEMA_WHERE = 160 };

typedef enum gtype { T_NULL = 1, T_BOOLEAN = 2, T_INTEGER = 4, T_NUMBER = 8, T_STRING = 16, T_OBJECT = 32, T_ARRAY = 64, T_ALL = 127 } gtype; /* NUMBER: those that are no integers */

/* Fails, naming a keyword of the schema at `where`; false. */
bool cud_schema_fail(gschema *s, cuddle_status status, const char *where, const char *key, const char *format, ...) CUD_PRINTF(5, 6);

/* ---- schema_merge.c ---- */

/* The schema without $ref and allOf; NULL after a failure. Borrowed. A schema may be true or false. */
const json_t *cud_schema_flatten(gschema *s, const json_t *schema, const char *where, int depth);
/* The schema that a $ref names. */
const json_t *cud_schema_target(gschema *s, const json_t *schema, const char *where);
json_t *cud_schema_keep(gschema *s, json_t *owned); /* takes it; NULL is out of memory */
bool cud_schema_says_nothing(const char *key); /* annotations, and where definitions lie */
/* Types that "type", "enum" and "const" allow. */
unsigned cud_schema_types(gschema *s, const json_t *flat, const char *where);
unsigned cud_schema_type_of(const json_t *value);
/* Can no value match both? False if that cannot be told. */
bool cud_schema_disjoint(gschema *s, const json_t *a, const json_t *b, const char *where, int depth);

/* ---- schema_string.c ---- */
gexpr cud_schema_string(gschema *s, const json_t *flat, const char *where);
/* Any string but those that are keys of the object. */
gexpr cud_schema_other_key(gschema *s, const json_t *keys);
/* A whole number that a keyword has; `missing` if it has none. */
int64_t cud_schema_count(gschema *s, const json_t *flat, const char *where, const char *key, int64_t missing);

/* ---- schema_object.c ---- */
gexpr cud_schema_object(gschema *s, const json_t *flat, const char *where);
gexpr cud_schema_array(gschema *s, const json_t *flat, const char *where);

/* ---- schema.c ---- */
/* The rule of a schema, made when it is first asked for. */
gexpr cud_schema_expr(gschema *s, const json_t *schema, const char *where, const char *key);

#endif
