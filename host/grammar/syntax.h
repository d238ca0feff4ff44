/* What every notation becomes first: expressions over characters, and rules that name them. Front ends (regex.c, gbnf.c, choice.c, json.c,
 * schema.c) build them with the functions here; program.c turns them into a program over bytes.
 *
 * A failure is kept in the syntax (the first one wins), and expressions made after it are EMPTY: a front end checks once at its end. */
#ifndef CUD_GRAMMAR_SYNTAX_H
#define CUD_GRAMMAR_SYNTAX_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t gexpr; /* index into the syntax */
enum { CUD_G_EMPTY = 0, CUD_G_NEVER = 1 }; /* the empty string; no string at all */
#define CUD_G_UNBOUNDED UINT32_MAX
enum { CUD_G_NESTING = 400 }; /* of expressions */

typedef struct grange { uint32_t first, last; } grange;

/* A set of characters (scalar values): sorted ranges that do not touch, once cud_gset_tidy() was there. */
typedef struct gset {
    grange *range;
    uint32_t count, room;
} gset;

typedef enum gkind { G_SEQUENCE, G_CHOICE, G_TEXT, G_SET, G_REPEAT, G_RULE } gkind;

typedef struct gnode_syntax {
    uint8_t kind;
    uint16_t depth;
    uint32_t a, b;     /* SEQUENCE, CHOICE: children [a, a + b); TEXT: bytes [a, a + b); SET, RULE: index; REPEAT: child */
    uint32_t min, max; /* REPEAT */
} gnode_syntax;

typedef struct grule {
    char *name;  /* owned; for messages */
    gexpr body;
    bool defined;
} grule;

typedef struct gsyntax {
    gnode_syntax *node;
    gexpr *child;
    char *text;
    gset *set;
    grule *rule;
    size_t node_count, node_room, child_count, child_room, text_count, text_room, set_count, set_room, rule_count, rule_room;
    size_t memory, max_memory; /* bytes */
    uint64_t steps;            /* left for work that the memory does not bound */
    const char *what;          /* for messages: "the schema" */
    cuddle_status status;
    cuddle_error *err;
} gsyntax;

bool cud_gsyntax_init(gsyntax *g, const char *what, size_t max_memory, uint64_t max_steps, cuddle_error *err);
void cud_gsyntax_free(gsyntax *g);
/* Keeps the first failure; false, so that `return cud_gfail(...)` ends what cannot go on. */
bool cud_gfail(gsyntax *g, cuddle_status status, const char *format, ...) CUD_PRINTF(3, 4);
bool cud_gstep(gsyntax *g, uint64_t count);
/* Room for one more element; `memory` counts. */
bool cud_groom(gsyntax *g, void *array, size_t *room, size_t count, size_t more, size_t size);

gexpr cud_gtext(gsyntax *g, const char *text, size_t length);
gexpr cud_gset(gsyntax *g, const gset *s); /* copies; must be tidy */
gexpr cud_gsequence(gsyntax *g, const gexpr *item, size_t count);
gexpr cud_gchoice(gsyntax *g, const gexpr *item, size_t count);
gexpr cud_grepeat(gsyntax *g, gexpr e, uint32_t min, uint32_t max); /* max: CUD_G_UNBOUNDED */
gexpr cud_grule_expr(gsyntax *g, uint32_t rule);
uint32_t cud_grule_new(gsyntax *g, const char *name, size_t length); /* its index; 0 is the grammar's start */
void cud_grule_define(gsyntax *g, uint32_t rule, gexpr body);

static inline gexpr cud_gpair(gsyntax *g, gexpr a, gexpr b) { return cud_gsequence(g, (const gexpr[]){ a, b }, 2); }
static inline gexpr cud_geither(gsyntax *g, gexpr a, gexpr b) { return cud_gchoice(g, (const gexpr[]){ a, b }, 2); }
static inline gexpr cud_goptional(gsyntax *g, gexpr e) { return cud_grepeat(g, e, 0, 1); }
gexpr cud_gstring(gsyntax *g, const char *text); /* NUL-terminated */

typedef struct glist { /* expressions that are being collected */
    gexpr *item;
    size_t count, room;
} glist;
void cud_glist_add(gsyntax *g, glist *list, gexpr e);
gexpr cud_glist_sequence(gsyntax *g, glist *list); /* frees it */
gexpr cud_glist_choice(gsyntax *g, glist *list);

/* ---- sets ---- */
void cud_gset_add(gsyntax *g, gset *s, uint32_t first, uint32_t last);
void cud_gset_add_set(gsyntax *g, gset *s, const gset *other);
void cud_gset_tidy(gset *s);
void cud_gset_invert(gsyntax *g, gset *s); /* tidies; surrogates are in no set */
bool cud_gset_has(const gset *s, uint32_t c);
/* Keeps what is in [first, last]. */
void cud_gset_cut(gset *s, uint32_t first, uint32_t last);
void cud_gset_free(gset *s);
bool cud_gset_is_plain(const gset *s); /* all plain characters are in it: text/lexicon.h */

/* Sets as a front end writes them: as they are, or as characters of a JSON string. */
typedef gexpr (*gset_fn)(gsyntax *g, const gset *s);

/* ---- front ends: each gives the whole of it, or EMPTY with g->status set ---- */

typedef enum gmatch { G_WHOLE, G_ANYWHERE } gmatch; /* of a text: all of it, or some part, as JSON Schema has it */
/* `any` is what may stand before and behind, for ANYWHERE. `name` is for messages: "the regular expression". */
gexpr cud_gregex(gsyntax *g, const char *text, size_t length, gmatch match, gset_fn write, gexpr any, const char *name);
/* A GBNF grammar; rule 0 becomes its "root". */
void cud_ggbnf(gsyntax *g, const char *text, size_t length);
typedef struct gword { const char *text; size_t length; } gword;
/* One of them; sorts `word`. */
gexpr cud_gwords(gsyntax *g, gword *word, size_t count);
/* A JSON Schema; rule 0 becomes it. `text` is parsed. */
void cud_gschema(gsyntax *g, const char *text, size_t length);
/* Any JSON object; rule 0 becomes it. */
void cud_gjson(gsyntax *g);

#endif
