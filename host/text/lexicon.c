#include "text/lexicon.h"

#include "text/internal.h"
#include "text/types.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- the tokens' bytes ---- */

static cuddle_status decode_alone(cud_alone *token, const cuddle_tokenizer *t, cuddle_error *err)
{
    bool fused = false;
    for (int i = 0; i < t->decoders.count; i++) {
        const cud_decoder_type *type = (const cud_decoder_type *)t->decoders.item[i].type;
        bool possible = type->alone != NULL;
        const bool strips = type == &cud_decoder_strip;
        const cuddle_status status = possible ? type->alone(token, t->decoders.item[i].config, &possible, err) : CUDDLE_OK;
        if (status) return status;
        if (type == &cud_decoder_fuse || type == &cud_decoder_byte_level) fused = true;
        if (!possible || (strips && !fused))
            return cud_fail(err, CUDDLE_E_UNSUPPORTED, "a grammar needs tokens whose text does not depend on their neighbours, which decoder \"%s\" of this tokenizer does not give",
                            type->base.name);
    }
    return CUDDLE_OK;
}

static void set_bit(uint32_t *mask, int32_t id) { mask[id / 32] |= 1u << id % 32; }

static cuddle_status fill(cud_lexicon *x, const cuddle_tokenizer *t, cuddle_error *err)
{
    cud_alone token = { .bytes = { 0 } };
    cud_bytes all = { 0 };
    cuddle_status status = CUDDLE_OK;
    for (int32_t id = 0; id < x->size && !status; id++) {
        size_t length = 0;
        x->begin[id] = all.used;
        if (cud_vocab_token(&t->added_vocab, id, NULL)) continue;
        const char *text = cud_vocab_token(&t->model_vocab, id, &length);
        if (!text || !length) continue;
        token.bytes.used = 0;
        token.is_bytes = token.first_spaces = false;
        status = cud_bytes_add(&token.bytes, text, length, err);
        if (!status) status = decode_alone(&token, t, err);
        if (status || token.bytes.used > CUD_LEXICON_LONGEST) continue;
        if (token.first_spaces && memchr(token.bytes.data, ' ', token.bytes.used)) set_bit(x->spaces, id);
        status = cud_bytes_add(&all, token.bytes.data, token.bytes.used, err);
    }
    x->begin[x->size] = all.used;
    free(token.bytes.data);
    x->bytes = all.data;
    return status;
}

/* ---- the trie ---- */

typedef struct word {
    const char *bytes;
    uint32_t length, id;
    int plain; /* characters; 0: it is not */
} word;

static int plain_characters(const char *s, size_t length)
{
    int count = 0;
    size_t size;
    for (size_t at = 0; at < length; at += size, count++) {
        size = cud_utf8_size(s + at, length - at);
        if (!size || (unsigned char)s[at] < 0x20 || s[at] == '"' || s[at] == '\\') return 0;
    }
    return count;
}

static int by_bytes(const void *a, const void *b)
{
    const word *x = a, *y = b;
    if (!x->plain != !y->plain) return x->plain ? 1 : -1;
    const int order = memcmp(x->bytes, y->bytes, x->length < y->length ? x->length : y->length);
    if (order) return order;
    if (x->length != y->length) return x->length < y->length ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void close_paths(cud_lexicon *x, const uint32_t *path, uint32_t from, uint32_t down_to)
{
    for (uint32_t d = from; d > down_to; d--) x->node[path[d - 1]].skip = x->count;
}

static void add_word(cud_lexicon *x, uint32_t *path, const word *w, const word *before)
{
    uint32_t common = 0;
    if (before) {
        const uint32_t least = w->length < before->length ? w->length : before->length;
        while (common < least && w->bytes[common] == before->bytes[common]) common++;
        close_paths(x, path, before->length, common);
    }
    for (uint32_t d = common; d < w->length; d++) {
        path[d] = x->count;
        x->node[x->count++] = (cud_lexicon_node){ .token = CUD_LEXICON_NONE, .depth = (uint16_t)(d + 1), .byte = (uint8_t)w->bytes[d],
                                                  .most = CUD_LEXICON_MIXED };
    }
    if (common == w->length) { /* the word before again */
        x->node[x->count] = (cud_lexicon_node){ .skip = x->count + 1, .token = w->id, .depth = (uint16_t)w->length, .most = CUD_LEXICON_MIXED, .twin = true };
        x->count++;
    } else {
        x->node[path[w->length - 1]].token = w->id;
    }
}

/* Each plain node's longest token: what is below comes behind it. */
static void measure_plain(cud_lexicon *x, const uint8_t *characters)
{
    uint8_t below[CUD_LEXICON_LONGEST + 2] = { 0 };
    for (uint32_t i = x->count; i-- > x->plain_from;) {
        cud_lexicon_node *n = &x->node[i];
        uint8_t most = n->token == CUD_LEXICON_NONE ? 0 : characters[n->token];
        if (!n->twin) {
            if (below[n->depth + 1] > most) most = below[n->depth + 1];
            below[n->depth + 1] = 0;
        }
        n->most = most;
        const int at = n->twin ? n->depth + 1 : n->depth;
        if (most > below[at]) below[at] = most;
    }
}

static void mask_plain(cud_lexicon *x, const word *words, uint32_t count)
{
    uint32_t *all = x->plain + (size_t)(CUD_LEXICON_PLAIN + 1) * (size_t)x->words;
    for (uint32_t i = 0; i < count; i++) {
        if (!words[i].plain) continue;
        if (words[i].plain > x->plain_longest) x->plain_longest = words[i].plain;
        set_bit(all, (int32_t)words[i].id);
        for (int k = words[i].plain; k <= CUD_LEXICON_PLAIN; k++) set_bit(x->plain + (size_t)k * (size_t)x->words, (int32_t)words[i].id);
    }
}

static cuddle_status build_trie(cud_lexicon *x, cuddle_error *err)
{
    uint32_t count = 0, path[CUD_LEXICON_LONGEST];
    const size_t room = x->begin[x->size] + (size_t)x->size; /* a node for each byte, one for each twin */
    word *words = malloc(((size_t)x->size + 1) * sizeof *words);
    uint8_t *characters = calloc((size_t)x->size + 1, 1);
    x->node = malloc((room + 1) * sizeof *x->node);
    cuddle_status status = words && characters && x->node ? CUDDLE_OK : cud_nomem(err, room * sizeof *x->node, "the bytes of tokens");
    for (int32_t id = 0; id < x->size && !status; id++) {
        size_t length;
        const char *bytes = cud_lexicon_bytes(x, id, &length);
        if (!length) continue;
        const int plain = plain_characters(bytes, length);
        characters[id] = (uint8_t)(plain < CUD_LEXICON_MIXED ? plain : CUD_LEXICON_MIXED);
        if ((int)length > x->longest) x->longest = (int)length;
        words[count++] = (word){ bytes, (uint32_t)length, (uint32_t)id, plain };
    }
    if (!status) {
        qsort(words, count, sizeof *words, by_bytes);
        const word *before = NULL;
        for (uint32_t i = 0; i < count; i++) {
            if (words[i].plain && before && !before->plain) {
                close_paths(x, path, before->length, 0);
                before = NULL;
            }
            if (!words[i].plain) x->plain_from = 0;
            else if (!before) x->plain_from = x->count;
            add_word(x, path, &words[i], before);
            before = &words[i];
        }
        if (before) close_paths(x, path, before->length, 0);
        if (!count || !words[count - 1].plain) x->plain_from = x->count;
        measure_plain(x, characters);
        mask_plain(x, words, count);
        cud_lexicon_node *fitted = realloc(x->node, ((size_t)x->count + 1) * sizeof *x->node);
        if (fitted) x->node = fitted;
    }
    free(words);
    free(characters);
    return status;
}

/* ---- the object, and a tokenizer's place for it ---- */

typedef struct counted {
    cud_lexicon lexicon; /* first: a lexicon is released by its address */
    atomic_int references;
} counted;

struct cud_lexicon_slot {
    pthread_mutex_t lock;
    counted *made;
};

void cud_lexicon_release(const cud_lexicon *x)
{
    counted *c = (counted *)(uintptr_t)x;
    if (!c || atomic_fetch_sub(&c->references, 1) > 1) return;
    free(c->lexicon.begin);
    free(c->lexicon.bytes);
    free(c->lexicon.node);
    free(c->lexicon.plain);
    free(c->lexicon.spaces);
    free(c);
}

static cuddle_status make(counted **out, const cuddle_tokenizer *t, cuddle_error *err)
{
    counted *c = calloc(1, sizeof *c);
    if (!c) return cud_nomem(err, sizeof *c, "the bytes of tokens");
    cud_lexicon *x = &c->lexicon;
    atomic_init(&c->references, 1);
    x->size = t->size;
    x->words = (t->size + 31) / 32;
    const size_t plain = (size_t)(CUD_LEXICON_PLAIN + 2) * ((size_t)x->words + 1);
    x->begin = calloc((size_t)x->size + 1, sizeof *x->begin);
    x->plain = calloc(plain, sizeof *x->plain);
    x->spaces = calloc((size_t)x->words + 1, sizeof *x->spaces);
    cuddle_status status = x->begin && x->plain && x->spaces ? CUDDLE_OK : cud_nomem(err, plain * sizeof *x->plain, "the bytes of tokens");
    if (!status) status = fill(x, t, err);
    if (!status) status = build_trie(x, err);
    if (status) {
        cud_lexicon_release(x);
        return status;
    }
    uint64_t hash = cud_hash_bytes((uint64_t)x->size, x->bytes ? x->bytes : "", x->begin[x->size]);
    for (int i = 0; i < x->size; i++) hash = cud_hash_mix(hash, x->begin[i]);
    x->fingerprint = hash;
    x->memory = plain * sizeof *x->plain + ((size_t)x->size + 1) * sizeof *x->begin + x->begin[x->size] + x->count * sizeof *x->node;
    *out = c;
    return CUDDLE_OK;
}

cuddle_status cud_lexicon_slot_new(cud_lexicon_slot **out, cuddle_error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return cud_nomem(err, sizeof **out, "a tokenizer");
    pthread_mutex_init(&(*out)->lock, NULL);
    return CUDDLE_OK;
}

void cud_lexicon_slot_free(cud_lexicon_slot *s)
{
    if (!s) return;
    cud_lexicon_release(s->made ? &s->made->lexicon : NULL);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

cuddle_status cud_lexicon_of(const cud_lexicon **out, const cuddle_tokenizer *t, cuddle_error *err)
{
    cud_lexicon_slot *s = t->lexicon;
    *out = NULL;
    pthread_mutex_lock(&s->lock);
    const cuddle_status status = s->made ? CUDDLE_OK : make(&s->made, t, err);
    if (!status) {
        atomic_fetch_add(&s->made->references, 1);
        *out = &s->made->lexicon;
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}
