/* What Jinja expressions are made of: Python's values, as far as a chat template can see them. Values are plain data that point
 * into the arena of the rendering (or of the template, or at text of the caller's); nothing that is built is changed afterwards,
 * apart from namespaces and the positions of iterators. */
#ifndef CUD_JINJA_VALUE_H
#define CUD_JINJA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct jrun jrun; /* a rendering: run.h */
typedef struct jnode jnode;
typedef struct jscope jscope;

typedef enum jkind {
    J_MISSING,   /* an argument that was not given; never seen by a template */
    J_UNDEFINED, /* s, n and aux say what was asked for */
    J_NONE,
    J_BOOL,
    J_INT,
    J_FLOAT,
    J_STRING, /* n bytes at s, UTF-8, not terminated */
    J_LIST,
    J_TUPLE,
    J_DICT,
    J_VIEW,     /* dict.keys(), .values(), .items(): aux is a jview */
    J_ITERATOR, /* what Python makes lazily and can be read once */
    J_RANGE,
    J_NAMESPACE, /* a dict that {% set %} may change */
    J_FUNCTION,  /* a global */
    J_METHOD,    /* a function bound to a value */
    J_MACRO,
    J_LOOP,
    J_CYCLER,
    J_JOINER
} jkind;

typedef enum jundefined {                 /* why a value is undefined */
                          J_BY_NAME,      /* no variable of this name */
                          J_BY_ATTRIBUTE, /* no attribute or key s of a value whose kind is `of` */
                          J_BY_INDEX,     /* no element number n */
                          J_BY_UNSAFE,    /* an attribute the sandbox keeps away */
                          J_BY_PARAMETER, /* a macro's parameter that was not given */
                          J_BY_EMPTY,     /* first or last of nothing */
                          J_BY_ELSE,      /* an inline if without an else */
                          J_BY_KEY        /* no such key, which is no string */
} jundefined;

typedef enum jview { J_KEYS, J_VALUES, J_ITEMS } jview;

typedef struct jvalue {
    uint8_t kind;
    uint8_t aux;  /* see jkind */
    uint8_t of;   /* J_UNDEFINED: kind of the value that was asked */
    uint8_t safe; /* J_STRING: Markup, which + escapes what is added to */
    size_t n;
    union {
        bool b;
        int64_t i;
        double f;
        const char *s;
        struct jlist *list;
        struct jdict *dict;
        struct jiterator *iterator;
        struct jrange *range;
        const struct jbuiltin *function;
        struct jmethod *method;
        struct jmacro *macro;
        struct jloop *loop;
        struct jcycler *cycler;
    };
} jvalue;

typedef struct jlist {
    jvalue *item;
    size_t count, room;
} jlist;
typedef struct jentry {
    jvalue key, value;
    uint64_t hash;
} jentry;
typedef struct jdict { /* in the order of insertion */
    jentry *entry;
    size_t count, room;
    uint32_t *index; /* open addressing, entry + 1; NULL while there are few */
    size_t slots;
} jdict;
typedef struct jiterator {
    jlist *list;
    size_t at;
} jiterator;
typedef struct jrange {
    int64_t start, stop, step, count;
} jrange;
typedef struct jmethod {
    jvalue self;
    const struct jbuiltin *function;
} jmethod;
typedef struct jcycler {
    jlist *items;
    size_t at;
} jcycler; /* a joiner: items[0] is the separator, at: was it asked before? */

/* What a call passes. */
typedef struct jkeyword {
    const char *name;
    size_t length;
    jvalue value;
} jkeyword;
typedef struct jcall {
    const jvalue *arg;
    size_t count;
    const jkeyword *keyword;
    size_t keywords;
} jcall;

/* A filter, test, method or global. `params` are the names of its arguments, separated by spaces, '!' behind those that must be
 * given; NULL: it takes what is in `call` as it is. arg[] has them in this order, J_MISSING where nothing was given. */
enum { J_PARAMS_MOST = 6 };
typedef struct jbuiltin {
    const char *name, *params;
    bool (*call)(jrun *j, jvalue *out, jvalue self, const jvalue *arg, const jcall *call);
} jbuiltin;

static inline jvalue j_none(void) { return (jvalue){ .kind = J_NONE }; }
static inline jvalue j_bool(bool b) { return (jvalue){ .kind = J_BOOL, .b = b }; }
static inline jvalue j_int(int64_t i) { return (jvalue){ .kind = J_INT, .i = i }; }
static inline jvalue j_float(double f) { return (jvalue){ .kind = J_FLOAT, .f = f }; }
static inline jvalue j_string(const char *s, size_t n) { return (jvalue){ .kind = J_STRING, .s = s, .n = n }; }
static inline jvalue j_text(const char *s) { return j_string(s, strlen(s)); }
static inline jvalue j_list(jlist *list) { return (jvalue){ .kind = J_LIST, .list = list }; }
static inline jvalue j_tuple(jlist *list) { return (jvalue){ .kind = J_TUPLE, .list = list }; }
static inline jvalue j_dict(jdict *dict) { return (jvalue){ .kind = J_DICT, .dict = dict }; }
static inline jvalue j_undefined(jundefined why, const char *s, size_t n)
{
    return (jvalue){ .kind = J_UNDEFINED, .aux = (uint8_t)why, .s = s, .n = n };
}
static inline bool j_is_text(jvalue v, const char *text)
{
    return v.kind == J_STRING && v.n == strlen(text) && memcmp(v.s, text, v.n) == 0;
}
static inline bool j_is_number(jvalue v) { return v.kind == J_INT || v.kind == J_FLOAT || v.kind == J_BOOL; }
static inline bool j_is_whole(jvalue v) { return v.kind == J_INT || v.kind == J_BOOL; }
static inline int64_t j_whole(jvalue v) { return v.kind == J_BOOL ? v.b : v.i; }               /* of an int or bool */
static inline double j_real(jvalue v) { return v.kind == J_FLOAT ? v.f : (double)j_whole(v); } /* of any number */

/* ---- lists and dicts. Functions that take a jrun fail through it and return false or NULL then. ---- */
jlist *cud_j_list(jrun *j, size_t room);
bool cud_j_push(jrun *j, jlist *list, jvalue value);
jdict *cud_j_dict(jrun *j);
bool cud_j_put(jrun *j, jdict *dict, jvalue key, jvalue value); /* replaces; a key that cannot be hashed fails */
/* 1: found, 0: not there, -1: failed. */
int cud_j_get(jrun *j, const jdict *dict, jvalue key, jvalue *out);
bool cud_j_put_text(jrun *j, jdict *dict, const char *key, jvalue value);
bool cud_j_get_text(jrun *j, const jdict *dict, const char *key, jvalue *out); /* true if it is there */
bool cud_j_iterator(jrun *j, jvalue *out, jlist *list);                        /* a lazy sequence of these */

/* ---- iteration ---- */
typedef struct jiter {
    jvalue of;
    size_t at;
} jiter;
bool cud_j_iter(jrun *j, jiter *it, jvalue value); /* fails for what cannot be iterated */
bool cud_j_next(jrun *j, jiter *it, jvalue *out);  /* false at the end, and after a failure */
bool cud_j_is_iterable(jvalue value);
/* Everything it yields, as a new list. */
jlist *cud_j_collect(jrun *j, jvalue value);
bool cud_j_length(jvalue value, size_t *out); /* false: has no len() */
jvalue cud_j_range_at(const jrange *range, int64_t index);

const char *cud_j_kind_name(jvalue value); /* Python's name: "str", "dict" */

#endif
