/* Templates as tokens, on demand: Jinja's rules with trim_blocks and lstrip_blocks on. */
#ifndef CUD_JINJA_LEXER_H
#define CUD_JINJA_LEXER_H

#include "jinja/run.h"

typedef enum jtoken_kind {
    T_END,
    T_DATA,
    T_PRINT_BEGIN,
    T_PRINT_END,
    T_BLOCK_BEGIN,
    T_BLOCK_END,
    T_NAME,
    T_STRING,
    T_INT,
    T_FLOAT,
    T_ADD,
    T_SUB,
    T_DIV,
    T_FLOORDIV,
    T_MUL,
    T_MOD,
    T_POW,
    T_TILDE,
    T_LBRACKET,
    T_RBRACKET,
    T_LPAREN,
    T_RPAREN,
    T_LBRACE,
    T_RBRACE,
    T_EQ,
    T_NE,
    T_GT,
    T_GE,
    T_LT,
    T_LE,
    T_ASSIGN,
    T_DOT,
    T_COLON,
    T_PIPE,
    T_COMMA,
    T_SEMICOLON
} jtoken_kind;

typedef struct jtoken {
    jtoken_kind kind;
    uint32_t at;
    jvalue value; /* DATA, STRING, INT, FLOAT; NAME: its spelling */
} jtoken;

enum { J_NESTING_MOST = 120 }; /* of brackets, expressions and blocks */

typedef struct jlexer {
    jrun *run; /* for memory and failures */
    const char *text;
    size_t size, at;
    enum { LEX_TEXT, LEX_PRINT, LEX_BLOCK } state;
    jtoken waiting; /* what follows a piece of text */
    bool is_waiting;
    char closing[J_NESTING_MOST]; /* brackets that are open */
    int open;
} jlexer;

bool cud_j_lex(jlexer *lexer, jtoken *out);
const char *cud_j_token_name(jtoken_kind kind);

#endif
