#include "grammar/grammar.h"

#include "core/clock.h"
#include "core/utf8.h"
#include "grammar/mask.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct cuddle_grammar {
    atomic_int references;
    atomic_size_t memory; /* bytes, as of the last call that could change it */
    const cud_lexicon *lexicon;
    gprogram program;
    double seconds; /* that compiling took, and the tokenizer's part of it */
    double lexicon_seconds;
    uint64_t max_steps;
    uint32_t rules;

    pthread_mutex_t lock; /* of what follows */
    automaton automaton;
    cud_matcher *matchers; /* list */
    uint32_t *scratch, *bits; /* [longest + 1], [words] */
    uint64_t masks_made, masks_found;
};

struct cud_matcher {
    cuddle_grammar *grammar;
    cud_matcher *next, *before;
    uint32_t state;
    bool at_start; /* where spaces may be lost */
};

/* ---- compiling ---- */

static const char *const notations[] = { "the JSON grammar", "the schema", "the regular expression", "the list of choices", "the grammar" };

static void read_choices(gsyntax *g, const cuddle_grammar_options *o)
{
    gword *word = NULL;
    size_t room = 0;
    if (!o->choice_count || !o->choices) {
        cud_gfail(g, CUDDLE_E_ARG, "a grammar of choices has no choices");
        return;
    }
    if (!cud_groom(g, &word, &room, 0, o->choice_count, sizeof *word)) return;
    for (size_t i = 0; i < o->choice_count && !g->status; i++) {
        if (!o->choices[i]) cud_gfail(g, CUDDLE_E_ARG, "choice %zu is NULL", i);
        else word[i] = (gword){ o->choices[i], strlen(o->choices[i]) };
        if (!g->status && cud_utf8_valid(word[i].text, word[i].length) < word[i].length) cud_gfail(g, CUDDLE_E_ARG, "choice %zu is not UTF-8", i);
    }
    if (!g->status) cud_grule_define(g, 0, cud_gwords(g, word, o->choice_count));
    free(word);
}

static gexpr write_set(gsyntax *g, const gset *s) { return cud_gset(g, s); }

static void read_source(gsyntax *g, const cuddle_grammar_options *o)
{
    if (o->kind == CUDDLE_GRAMMAR_CHOICE) {
        read_choices(g, o);
        return;
    }
    if (o->kind == CUDDLE_GRAMMAR_JSON) {
        cud_gjson(g);
        return;
    }
    const size_t valid = o->source ? cud_utf8_valid(o->source, o->length) : 0;
    if (!o->source) cud_gfail(g, CUDDLE_E_ARG, "the source of a grammar is NULL");
    else if (valid < o->length) cud_gfail(g, CUDDLE_E_FORMAT, "%s is not UTF-8 at byte %zu", g->what, valid);
    else if (o->kind == CUDDLE_GRAMMAR_REGEX)
        cud_grule_define(g, 0, cud_gregex(g, o->source, o->length, G_WHOLE, write_set, CUD_G_EMPTY, g->what));
    else if (o->kind == CUDDLE_GRAMMAR_GBNF) cud_ggbnf(g, o->source, o->length);
    else cud_gschema(g, o->source, o->length);
}

static cuddle_status check_options(const cuddle_grammar_options *o, cuddle_error *err)
{
    if (o->kind < CUDDLE_GRAMMAR_JSON || o->kind > CUDDLE_GRAMMAR_GBNF)
        return cud_fail(err, CUDDLE_E_ARG, "cuddle_grammar_options: kind is %d, expected a cuddle_grammar_kind", (int)o->kind);
    if (o->max_depth < 1 || o->max_depth > CUDDLE_GRAMMAR_DEEPEST)
        return cud_fail(err, CUDDLE_E_ARG, "cuddle_grammar_options: max_depth is %d, expected 1 to %d", o->max_depth, CUDDLE_GRAMMAR_DEEPEST);
    if (o->length > o->max_source)
        return cud_fail(err, CUDDLE_E_LIMIT, "%s has %zu bytes, expected at most %zu", notations[o->kind], o->length, o->max_source);
    return CUDDLE_OK;
}

static cuddle_status make(cuddle_grammar *g, const cuddle_tokenizer *t, const cuddle_grammar_options *o, cuddle_error *err)
{
    gsyntax syntax;
    const double began = cud_now();
    cuddle_status status = cud_lexicon_of(&g->lexicon, t, err);
    g->lexicon_seconds = cud_now() - began;
    if (status) return status;
    if (cud_gsyntax_init(&syntax, notations[o->kind], o->max_memory, o->max_steps, err)) read_source(&syntax, o);
    if (!syntax.status) cud_gprogram_make(&g->program, &syntax, o->max_depth);
    g->rules = (uint32_t)syntax.rule_count;
    status = syntax.status;
    cud_gsyntax_free(&syntax);
    if (status) return status;
    g->max_steps = o->max_steps;
    status = cud_automaton_init(&g->automaton, &g->program, o->max_memory, o->max_steps, err);
    if (status) return status;
    const size_t scratch = (size_t)g->lexicon->longest + 2, bits = (size_t)g->lexicon->words + 1;
    g->scratch = malloc(scratch * sizeof *g->scratch);
    g->bits = malloc(bits * sizeof *g->bits);
    if (!g->scratch || !g->bits) return cud_nomem(err, (scratch + bits) * sizeof(uint32_t), "a grammar");
    atomic_init(&g->memory, g->program.memory + g->automaton.memory);
    g->seconds = cud_now() - began;
    return CUDDLE_OK;
}

cuddle_status cud_grammar_compile(cuddle_grammar **out, const cuddle_tokenizer *t, const cuddle_grammar_options *o, cuddle_error *err)
{
    *out = NULL;
    cuddle_status status = check_options(o, err);
    if (status) return status;
    cuddle_grammar *g = calloc(1, sizeof *g);
    if (!g) return cud_nomem(err, sizeof *g, "a grammar");
    atomic_init(&g->references, 1);
    pthread_mutex_init(&g->lock, NULL);
    status = make(g, t, o, err);
    if (status) cud_grammar_release(g);
    else *out = g;
    return status;
}

void cud_grammar_keep(cuddle_grammar *g) { atomic_fetch_add(&g->references, 1); }

void cud_grammar_release(cuddle_grammar *g)
{
    if (!g || atomic_fetch_sub(&g->references, 1) > 1) return;
    cud_automaton_free(&g->automaton);
    cud_gprogram_free(&g->program);
    cud_lexicon_release(g->lexicon);
    free(g->scratch);
    free(g->bits);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

size_t cud_grammar_memory(const cuddle_grammar *g) { return atomic_load(&g->memory); }

void cud_grammar_info(cuddle_grammar_info *out, cuddle_grammar *g)
{
    pthread_mutex_lock(&g->lock);
    *out = (cuddle_grammar_info){
        .struct_size = sizeof *out, .compile_seconds = g->seconds, .tokenizer_seconds = g->lexicon_seconds, .program_bytes = g->program.memory,
        .state_bytes = g->automaton.memory, .tokenizer_bytes = g->lexicon->memory, .rules = (int)g->rules, .nodes = (int64_t)g->program.node_count,
        .states = (int64_t)g->automaton.state_count, .masks_made = g->masks_made, .masks_found = g->masks_found,
    };
    pthread_mutex_unlock(&g->lock);
}

cuddle_status cud_grammar_check(const cuddle_grammar *g, const cuddle_tokenizer *t, cuddle_error *err)
{
    const cud_lexicon *x = NULL;
    cuddle_status status = t ? cud_lexicon_of(&x, t, err) : CUDDLE_OK;
    if (!status && (!x || x->fingerprint != g->lexicon->fingerprint || x->size != g->lexicon->size))
        status = cud_fail(err, CUDDLE_E_ARG, "the grammar was compiled for another tokenizer than the model's");
    cud_lexicon_release(x);
    return status;
}

/* ---- matchers ---- */

cuddle_status cud_matcher_new(cud_matcher **out, cuddle_grammar *g, bool after_text, cuddle_error *err)
{
    cud_matcher *m = *out = calloc(1, sizeof *m);
    if (!m) return cud_nomem(err, sizeof *m, "a matcher");
    *m = (cud_matcher){ .grammar = g, .state = CUD_STATE_START, .at_start = !after_text };
    cud_grammar_keep(g);
    pthread_mutex_lock(&g->lock);
    m->next = g->matchers;
    if (m->next) m->next->before = m;
    g->matchers = m;
    pthread_mutex_unlock(&g->lock);
    return CUDDLE_OK;
}

void cud_matcher_free(cud_matcher *m)
{
    if (!m) return;
    cuddle_grammar *g = m->grammar;
    pthread_mutex_lock(&g->lock);
    if (m->before) m->before->next = m->next;
    else g->matchers = m->next;
    if (m->next) m->next->before = m->before;
    pthread_mutex_unlock(&g->lock);
    cud_grammar_release(g);
    free(m);
}

/* Before each call: what is kept stays below half of what is allowed, so that the call has the other half. */
static cuddle_status begin(cuddle_grammar *g, cuddle_error *err)
{
    automaton *a = &g->automaton;
    a->steps = g->max_steps;
    if (a->memory <= a->max_memory / 2) return CUDDLE_OK;
    size_t count = 0;
    for (cud_matcher *m = g->matchers; m; m = m->next) count++;
    uint32_t **in_use = malloc((count + 1) * sizeof *in_use);
    if (!in_use) return cud_nomem(err, count * sizeof *in_use, "following a grammar");
    count = 0;
    for (cud_matcher *m = g->matchers; m; m = m->next) in_use[count++] = &m->state;
    const cuddle_status status = cud_automaton_collect(a, in_use, count, err);
    free(in_use);
    return status;
}

/* After it. */
static void end(cuddle_grammar *g)
{
    atomic_store(&g->memory, g->program.memory + g->automaton.memory);
    pthread_mutex_unlock(&g->lock);
}

cuddle_status cud_matcher_mask(uint32_t *mask, size_t words, cud_matcher *m, cuddle_error *err)
{
    cuddle_grammar *g = m->grammar;
    const cud_lexicon *x = g->lexicon;
    const gmask *made = NULL;
    pthread_mutex_lock(&g->lock);
    cuddle_status status = begin(g, err);
    if (!status) {
        if (g->automaton.state[m->state].mask) g->masks_found++;
        else g->masks_made++;
        status = cud_mask_of(&made, &g->automaton, x, m->state, g->scratch, g->bits, err);
    }
    if (!status) cud_mask_write(mask, words, made);
    end(g);
    for (size_t i = 0; !status && m->at_start && i < words && i < (size_t)x->words; i++) mask[i] &= ~x->spaces[i];
    return status;
}

/* The lock is held. m->state stays where it was unless all of the bytes can follow, or `some` will do. */
static cuddle_status follow(size_t *taken, cud_matcher *m, const char *bytes, size_t length, bool some, cuddle_error *err)
{
    automaton *a = &m->grammar->automaton;
    uint32_t state = m->state, to = state;
    cuddle_status status = CUDDLE_OK;
    for (*taken = 0; *taken < length; (*taken)++) {
        status = cud_automaton_step(&to, a, state, (uint8_t)bytes[*taken], err);
        if (status || to == CUD_STATE_DEAD) break;
        state = to;
    }
    if (!status && (some || *taken == length)) m->state = state;
    return status;
}

cuddle_status cud_matcher_bytes(size_t *taken, cud_matcher *m, const char *bytes, size_t length, cuddle_error *err)
{
    enum { AT_ONCE = 4096 };
    cuddle_grammar *g = m->grammar;
    cuddle_status status = CUDDLE_OK;
    size_t part = 0;
    *taken = 0;
    do {
        const size_t rest = length - *taken, next = rest < AT_ONCE ? rest : AT_ONCE;
        pthread_mutex_lock(&g->lock);
        status = begin(g, err);
        if (!status) status = follow(&part, m, bytes + *taken, next, true, err);
        end(g);
        if (!status) *taken += part;
        if (part < next) break;
    } while (!status && *taken < length);
    if (length && *taken) m->at_start = false;
    return status;
}

cuddle_status cud_matcher_token(cud_matcher *m, int32_t token, cuddle_error *err)
{
    cuddle_grammar *g = m->grammar;
    size_t length, taken = 0;
    const char *bytes = cud_lexicon_bytes(g->lexicon, token, &length);
    if (!length) return cud_fail(err, CUDDLE_E_ARG, "token %d has no text that the grammar could follow", (int)token);
    pthread_mutex_lock(&g->lock);
    cuddle_status status = begin(g, err);
    if (!status) status = follow(&taken, m, bytes, length, false, err);
    end(g);
    if (!status && taken < length) status = cud_fail(err, CUDDLE_E_ARG, "token %d cannot come here by the grammar", (int)token);
    if (!status) m->at_start = false;
    return status;
}

bool cud_matcher_accepts(cud_matcher *m)
{
    pthread_mutex_lock(&m->grammar->lock);
    const bool accepts = m->grammar->automaton.state[m->state].accepts;
    pthread_mutex_unlock(&m->grammar->lock);
    return accepts;
}

bool cud_matcher_is_over(cud_matcher *m)
{
    pthread_mutex_lock(&m->grammar->lock);
    const bool over = m->grammar->automaton.state[m->state].count == 0;
    pthread_mutex_unlock(&m->grammar->lock);
    return over;
}
