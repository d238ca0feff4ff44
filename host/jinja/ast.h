/* What a template is compiled to. Immutable once parsed, so that any number of threads may render it. */
#ifndef CUD_JINJA_AST_H
#define CUD_JINJA_AST_H

#include "jinja/arena.h"
#include "jinja/run.h"
#include "jinja/value.h"

typedef struct jname { /* one per spelling, so that pointers tell names apart */
    const char *s;
    size_t n;
    const jbuiltin *global; /* what it means where no variable has it; may be NULL */
    struct jname *next;     /* in its bucket */
    struct jname *older;    /* all names */
} jname;

typedef enum jnode_kind {
    /* expressions */
    N_CONST,  /* value */
    N_NAME,   /* name */
    N_LIST,   /* item[] */
    N_TUPLE,  /* item[] */
    N_DICT,   /* item[]: key, value, key, ... */
    N_ATTR,   /* a.name */
    N_ITEM,   /* a[b] */
    N_SLICE,  /* item[0..2]: start, stop, step; NULL where there is none. Only as b of N_ITEM */
    N_CALL,   /* a(args) */
    N_FILTER, /* a | builtin(args); a may be NULL in a filter block */
    N_TEST,   /* a is builtin(args) */
    N_NOT,    /* a */
    N_NEGATIVE,
    N_POSITIVE,
    N_AND,
    N_OR, /* a, b */
    N_ADD,
    N_SUB,
    N_MUL,
    N_DIV,
    N_FLOORDIV,
    N_MOD,
    N_POW,     /* a, b */
    N_CONCAT,  /* item[] */
    N_COMPARE, /* a, then item[] by the operators in op[] */
    N_IF_ELSE, /* a if b else c; c may be NULL */
    /* statements */
    N_DATA,         /* value */
    N_PRINT,        /* a */
    N_IF,           /* item[]: conditions; a block for each, then that of else, in block[] */
    N_FOR,          /* a: target, b: what to iterate, c: filter or NULL; block[0], block[1]: else */
    N_SET,          /* a = b */
    N_SET_BLOCK,    /* a = block[0], through b: a chain of N_FILTER or NULL */
    N_MACRO,        /* macro */
    N_CALL_BLOCK,   /* a: N_CALL; macro: what caller() is */
    N_FILTER_BLOCK, /* a: chain of N_FILTER; block[0] */
    N_WITH,         /* item[]: target, value, target, ...; block[0] */
    N_GENERATION,   /* block[0] */
    N_SCOPE,        /* block[0]: {% print %} */
    N_BREAK,
    N_CONTINUE,
    /* targets of assignments; N_TUPLE and N_NAME too */
    N_NAMESPACE_ATTR /* name.spelled */
} jnode_kind;

typedef enum jcompare { J_EQ, J_NE, J_LT, J_LE, J_GT, J_GE, J_IN, J_NOT_IN } jcompare;

typedef struct jblock {
    jnode **item;
    size_t count;
} jblock;

typedef struct jargs {
    jnode **arg;
    size_t count;
    struct {
        const jname *name;
        jnode *value;
    } * keyword;
    size_t keywords;
    jnode *more, *more_keywords; /* *args, **kwargs */
} jargs;

typedef struct jmacro_code {
    const jname *name; /* NULL: caller() */
    const jname **param;
    jnode **fallback; /* [count], NULL where a parameter has none */
    size_t count;
    bool uses_caller, uses_kwargs, uses_varargs, takes_caller; /* takes: among its parameters */
    jblock body;
} jmacro_code;

struct jnode {
    uint8_t kind;   /* jnode_kind */
    bool recursive; /* N_FOR */
    uint32_t at;    /* offset in the source */
    uint32_t count; /* of item */
    jnode *a, *b, *c;
    jnode **item;
    union {
        jvalue value;
        const jname *name;
        jargs *args;
        uint8_t *op;
        jblock *block;
        jmacro_code *macro;
    };
    const jbuiltin *builtin; /* N_FILTER, N_TEST: NULL if there is none of that name */
    const jname *spelled;    /* N_FILTER, N_TEST: the name; N_NAMESPACE_ATTR: the attribute */
};

typedef struct jtemplate {
    arena memory;
    const char *label;  /* for sentences: "chat_template.jinja" */
    const char *source; /* with newlines as "\n"; for places */
    size_t length;
    jblock body;
    jname *names;                                  /* the newest */
    const jname *loop, *caller, *kwargs, *varargs; /* NULL where the template does not speak of them */
} jtemplate;

/* Line and column (in characters), both from 1, of an offset. */
void cud_j_place(const jtemplate *t, uint32_t at, int *line, int *column);

/* Compiles `size` bytes. `label` is copied. Failure: *out is NULL; the sentence begins "label: line 1, column 2: ". */
cuddle_status cud_j_parse(jtemplate **out, const char *text, size_t size, const char *label, cuddle_error *err);
void cud_j_template_free(jtemplate *t);

#endif
