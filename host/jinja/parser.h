/* Between the two halves of the parser. Functions that return a node return NULL after a failure. */
#ifndef CUD_JINJA_PARSER_H
#define CUD_JINJA_PARSER_H

#include "jinja/ast.h"
#include "jinja/lexer.h"

typedef struct jparser {
    jrun run; /* memory (the template's) and failures */
    jtemplate *template;
    jlexer lexer;
    jtoken token, next; /* the current one; the one behind it, if it was looked at */
    bool has_next;
    int depth;
    bool soft;            /* inside a condition: an unknown filter or test fails when it is reached */
    const jnode *unknown; /* the first filter or test that does not exist and is not soft */
    int loops;            /* that break and continue could end */
    int inside_for;
    struct jopen_macro {
        jmacro_code *code;
        struct jopen_macro *outer;
    } * macro;      /* that are being parsed */
    jname **bucket; /* [J_BUCKETS] */
} jparser;
enum { J_BUCKETS = 256 };

/* Takes the current token. */
bool cud_j_advance(jparser *p);
bool cud_j_look(jparser *p); /* fills p->next */
bool cud_j_is_name(const jparser *p, const char *name);
bool cud_j_expect(jparser *p, jtoken_kind kind);
bool cud_j_expect_name(jparser *p, const char *name);
/* Takes the current token if it is that name; *found says so. */
bool cud_j_skip_name(jparser *p, const char *name, bool *found);
bool cud_j_unexpected(jparser *p, const char *expected);

const jname *cud_j_name(jparser *p, const char *s, size_t n);
jnode *cud_j_node(jparser *p, jnode_kind kind, uint32_t at);
bool cud_j_deeper(jparser *p); /* undone by depth-- */

/* A growing list of nodes; its memory is the template's. */
typedef struct jnodes {
    jnode **item;
    size_t count, room;
} jnodes;
bool cud_j_add_node(jparser *p, jnodes *list, jnode *node);

jnode *cud_j_parse_expression(jparser *p, bool conditional);
/* Expressions separated by commas are a tuple. `end`: a name that ends it, may be NULL. */
jnode *cud_j_parse_tuple(jparser *p, bool conditional, const char *end, bool parentheses);
jnode *cud_j_parse_target(jparser *p, const char *end, bool namespaces);
jnode *cud_j_parse_filters(jparser *p, jnode *node, bool begun); /* | a | b(1); begun: the first name comes without its bar */

#endif
