#include "text/aligned.h"

#include "text/regex.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = INT32_MAX }; /* of a buffer: spans are 32 bit, and rewriting may grow a text several times over */

static cuddle_status reserve(cud_aligned *a, size_t more, cuddle_error *err)
{
    if (a->bytes && more <= a->room - a->length) return CUDDLE_OK; /* never without a buffer: pointers into it are computed */
    if (more > MAX_BYTES - a->length)
        return cud_fail(err, CUDDLE_E_LIMIT, "the text grows beyond %d bytes in normalization", MAX_BYTES);
    const size_t need = a->length + more;
    size_t room = a->room + a->room / 2;
    if (room < need) room = need;
    if (room < 64) room = 64;
    char *bytes = realloc(a->bytes, room + CUD_SLACK);
    if (!bytes) return cud_nomem(err, room + CUD_SLACK, "a text to tokenize");
    memset(bytes + room, 0, CUD_SLACK);
    a->bytes = bytes;
    cud_span *align = realloc(a->align, (room + CUD_SLACK) * sizeof *align);
    if (!align) return cud_nomem(err, (room + CUD_SLACK) * sizeof *align, "the alignment of a text");
    a->align = align;
    a->room = room;
    return CUDDLE_OK;
}

cuddle_status cud_pieces_set(cud_pieces *p, const char *text, size_t length, cuddle_error *err)
{
    p->text.length = 0;
    p->count = 0;
    cuddle_status status = reserve(&p->text, length, err);
    if (status) return status;
    if (length) memcpy(p->text.bytes, text, length);
    p->text.length = length;
    p->text.given = true;
    size_t count = 0;
    status = cud_pieces_add(p, &count, 0, length, 0, -1, err);
    if (!status) cud_pieces_commit(p, count);
    return status;
}

void cud_pieces_free(cud_pieces *p)
{
    free(p->text.bytes);
    free(p->text.align);
    free(p->spare.bytes);
    free(p->spare.align);
    free(p->piece);
    free(p->spare_piece);
    cud_regex_scratch_free(p->regex);
    *p = (cud_pieces){ 0 };
}

/* ---- rewriting ---- */

/* Room for `size` bytes, all with one span; NULL after a failure. */
static char *put_room(cud_writer *w, size_t size, cud_span span)
{
    if (!w->status) w->status = reserve(w->to, size, w->err);
    if (w->status) return NULL;
    char *out = w->to->bytes + w->to->length;
    for (size_t i = 0; i < size; i++) w->to->align[w->to->length + i] = span;
    w->to->length += size;
    return out;
}

/* The range of what was used up last. */
static cud_span before(const cud_writer *w)
{
    return w->at ? cud_span_of(w->all, w->base + w->at - 1) : (cud_span){ w->origin, w->origin };
}

static cud_span here(const cud_writer *w) { return w->at < w->length ? cud_span_of(w->all, w->base + w->at) : before(w); }

static void copy_spans(cud_span *to, const cud_aligned *from, size_t at, size_t count)
{
    if (!from->given) memcpy(to, from->align + at, count * sizeof *to);
    for (const size_t end = at + count; from->given && at < end;) {
        uint64_t eight;
        if (end - at >= sizeof eight && (memcpy(&eight, from->bytes + at, sizeof eight), !(eight & 0x8080808080808080u))) { /* ASCII */
            for (uint32_t i = 0; i < sizeof eight; i++) to[i] = (cud_span){ (uint32_t)at + i, (uint32_t)at + i + 1 };
            at += sizeof eight, to += sizeof eight;
            continue;
        }
        const cud_span span = cud_span_of(from, at);
        for (; at < span.end && at < end; at++) *to++ = span;
    }
}

void cud_skip(cud_writer *w, size_t bytes) { w->at += bytes < w->length - w->at ? bytes : w->length - w->at; }

char *cud_kept(cud_writer *w, size_t bytes)
{
    cud_keep(w, bytes);
    return w->status ? NULL : w->to->bytes + w->to->length - bytes;
}

void cud_keep(cud_writer *w, size_t bytes)
{
    if (bytes > w->length - w->at) bytes = w->length - w->at;
    if (!w->status) w->status = reserve(w->to, bytes, w->err);
    if (w->status || !bytes) return;
    memcpy(w->to->bytes + w->to->length, w->from + w->at, bytes);
    copy_spans(w->to->align + w->to->length, w->all, w->base + w->at, bytes);
    w->to->length += bytes;
    w->at += bytes;
}

void cud_change(cud_writer *w, int32_t c, int change)
{
    char s[4];
    const size_t size = cud_utf8_encode(s, c);
    char *out = put_room(w, size, change > 0 ? before(w) : here(w));
    if (out) memcpy(out, s, size);
    for (; change <= 0 && w->at < w->length; change++) cud_skip(w, cud_utf8_length((unsigned char)w->from[w->at]));
}

void cud_put(cud_writer *w, int32_t c) { cud_change(w, c, 0); }
void cud_insert_char(cud_writer *w, int32_t c) { cud_change(w, c, 1); }

void cud_insert(cud_writer *w, const char *s, size_t size)
{
    char *out = put_room(w, size, before(w));
    if (out && size) memcpy(out, s, size);
}

void cud_prepend(cud_writer *w, const char *s, size_t size)
{
    char *out = put_room(w, size, here(w));
    if (out && size) memcpy(out, s, size);
    cud_keep(w, w->length - w->at);
}

void cud_replace_char(cud_writer *w, const char *s, size_t size, size_t used)
{
    char *out = put_room(w, size, here(w));
    if (out && size) memcpy(out, s, size);
    cud_skip(w, used);
}

void cud_replace_byte(cud_writer *w, char byte, const char *s, size_t size)
{
    enum { WIDE = 4 }; /* always so many are written, and the next ones go over those that were too many: no branches */
    const cud_aligned all = *w->all; /* a copy: bytes that are written could lie in it for all that the compiler knows */
    const char *from = w->from;
    const size_t length = w->length;
    char put[WIDE] = { 0 };
    size_t count = 0;
    memcpy(put, s, size);
    for (size_t i = w->at; i < length; i++) count += from[i] == byte;
    const size_t more = length - w->at - count + count * size;
    if (!w->status) w->status = reserve(w->to, more, w->err);
    if (w->status) return;
    char *out = w->to->bytes + w->to->length;
    cud_span *align = w->to->align + w->to->length;
    for (size_t i = w->at; i < length; i++) {
        const bool found = from[i] == byte;
        const cud_span span = cud_span_of(&all, w->base + i);
        memcpy(out, found ? put : from + i, WIDE);
        for (int k = 0; k < WIDE; k++) align[k] = span;
        out += found ? size : 1;
        align += found ? size : 1;
    }
    w->at = length;
    w->to->length += more;
}

cuddle_status cud_pieces_rewrite(cud_pieces *p, cud_rewrite_fn fn, const void *config, cuddle_error *err)
{
    p->spare.length = 0;
    p->spare.given = false;
    cuddle_status status = reserve(&p->spare, p->text.length, err);
    for (size_t i = 0; !status && i < p->count; i++) {
        cud_piece *piece = &p->piece[i];
        const size_t begin = p->spare.length, length = piece->end - piece->begin;
        cud_writer w = { .to = &p->spare,
                         .from = p->text.bytes + piece->begin,
                         .all = &p->text,
                         .base = piece->begin,
                         .length = length,
                         .origin = piece->origin,
                         .err = err };
        if (piece->token >= 0)
            cud_keep(&w, length);
        else if (length)
            status = fn(&w, config);
        if (!status) status = w.status;
        piece->begin = (uint32_t)begin;
        piece->end = (uint32_t)p->spare.length;
    }
    if (status) {
        p->count = 0; /* half of them point into the other buffer */
        return status;
    }
    const cud_aligned other = p->text;
    p->text = p->spare;
    p->spare = other;
    return CUDDLE_OK;
}

/* ---- splitting ---- */

cuddle_status cud_pieces_reserve(cud_pieces *p, size_t count, size_t few, cuddle_error *err)
{
    if (p->spare_room - count >= few) return CUDDLE_OK;
    const size_t room = p->spare_room + p->spare_room / 2 + few + 16;
    cud_piece *grown = room > SIZE_MAX / sizeof *grown ? NULL : realloc(p->spare_piece, room * sizeof *grown);
    if (!grown) return cud_nomem(err, room * sizeof *grown, "the pieces of a text");
    p->spare_piece = grown;
    p->spare_room = room;
    return CUDDLE_OK;
}

void cud_pieces_commit(cud_pieces *p, size_t count)
{
    cud_piece *const other = p->piece;
    const size_t room = p->room;
    p->piece = p->spare_piece;
    p->room = p->spare_room;
    p->spare_piece = other;
    p->spare_room = room;
    p->count = count;
}

/* The new list grows behind p's back while the old one is read: its length lives here. */
typedef struct split_job {
    cud_splitter s;
    size_t count;
} split_job;

static cuddle_status emit(cud_splitter *s, size_t begin, size_t end)
{
    if (begin == end) return CUDDLE_OK;
    split_job *job = (split_job *)s;
    const size_t from = s->piece.begin + begin;
    return cud_pieces_add(s->p, &job->count, from, s->piece.begin + end, cud_span_of(&s->p->text, from).begin, -1, s->err);
}

static cuddle_status flush(cud_splitter *s)
{
    if (!s->open) return CUDDLE_OK;
    s->open = false;
    return emit(s, s->held_begin, s->held_end);
}

static cuddle_status hold(cud_splitter *s, size_t begin, size_t end, bool match)
{
    const cuddle_status status = flush(s);
    s->open = true;
    s->held_begin = begin;
    s->held_end = end;
    s->held_match = match;
    return status;
}

/* Parts arrive in order and without gaps; match says which are delimiters. */
static cuddle_status part(cud_splitter *s, size_t begin, size_t end, bool match)
{
    match ^= s->invert;
    const bool previous = s->previous_match;
    s->previous_match = match;
    s->done = end;
    switch (s->behavior) {
    case CUD_SPLIT_REMOVED: return match ? CUDDLE_OK : emit(s, begin, end);
    case CUD_SPLIT_ISOLATED: return emit(s, begin, end);
    case CUD_SPLIT_MERGED_WITH_PREVIOUS:
        if (!match || previous || !s->open) return hold(s, begin, end, match);
        s->held_end = end;
        return CUDDLE_OK;
    case CUD_SPLIT_MERGED_WITH_NEXT:
        if (match || !s->open || !s->held_match) return hold(s, begin, end, match);
        s->held_end = end;
        return flush(s);
    case CUD_SPLIT_CONTIGUOUS:
        if (match != previous || !s->open) return hold(s, begin, end, match);
        s->held_end = end;
        return CUDDLE_OK;
    }
    return CUDDLE_OK;
}

cuddle_status cud_split_match(cud_splitter *s, size_t begin, size_t end)
{
    cuddle_status status = CUDDLE_OK;
    if (begin > s->done) status = part(s, s->done, begin, false);
    if (!status) status = part(s, begin, end, true);
    return status;
}

static cuddle_status split_match(void *user, size_t begin, size_t end) { return cud_split_match(user, begin, end); }

/* Matches that end at these places and follow one another. */
static cuddle_status split_matches(cud_splitter *s, const uint32_t *end, size_t count)
{
    cuddle_status status = CUDDLE_OK;
    if (s->behavior != CUD_SPLIT_ISOLATED) {
        for (size_t i = 0; i < count && !status; i++) status = cud_split_match(s, s->done, end[i]);
        return status;
    }
    split_job *job = (split_job *)s;
    status = cud_pieces_reserve(s->p, job->count, count, s->err);
    if (status) return status;
    cud_piece *piece = s->p->spare_piece + job->count;
    uint32_t at = s->piece.begin + (uint32_t)s->done;
    for (size_t i = 0; i < count; i++) {
        piece[i] = (cud_piece){ at, s->piece.begin + end[i], cud_span_of(&s->p->text, at).begin, -1 };
        at = piece[i].end;
    }
    job->count += count;
    s->done = at - s->piece.begin;
    return CUDDLE_OK;
}

cuddle_status cud_split_regex(cud_splitter *s, const cud_regex *regex, const char *text, size_t length)
{
    enum { MANY = 64 };
    uint32_t end[MANY];
    const cud_scan_fn scan = cud_regex_scan(regex);
    if (!scan) return cud_regex_each(regex, &s->p->regex, text, length, split_match, s, s->err);
    cuddle_status status = CUDDLE_OK;
    for (size_t at = 0, count; at < length && !status; at = end[count - 1]) {
        count = scan(end, MANY, text, length, at);
        status = split_matches(s, end, count);
    }
    return status;
}

cuddle_status cud_pieces_split(cud_pieces *p, cud_find_fn fn, const void *config, cud_behavior behavior, bool invert,
                               cuddle_error *err)
{
    split_job job = { .count = 0 };
    cuddle_status status = CUDDLE_OK;
    for (size_t i = 0; !status && i < p->count; i++) {
        const cud_piece piece = p->piece[i];
        if (piece.token >= 0) {
            status = cud_pieces_add(p, &job.count, piece.begin, piece.end, piece.origin, piece.token, err);
            continue;
        }
        const size_t length = piece.end - piece.begin;
        if (!length) continue;
        job.s = (cud_splitter){ .p = p, .piece = piece, .behavior = behavior, .invert = invert, .err = err };
        status = fn(&job.s, p->text.bytes + piece.begin, length, config);
        if (!status && job.s.done < length) status = part(&job.s, job.s.done, length, false);
        if (!status) status = flush(&job.s);
    }
    if (!status) cud_pieces_commit(p, job.count);
    return status;
}
