/* The one place that decides between the special tokens of the post-processor and those that the text brings itself, as what a chat
 * template wrote does. A group is a row of special tokens that stand together: before the text, behind it, or between two.
 *
 * With CUDDLE_ADD_SPECIAL_ONCE, a group and the text beside it are laid over one another as far as they agree: of [gMASK] <sop> before a
 * text that begins with <sop>, only [gMASK] is added. A text that begins with the very first token of the group before it begins itself
 * (nothing is added there), and one that ends with the last token of the group behind it ends itself. */
#include "text/specials.h"

/* The longest n for which the last n of token[0..left) are the first n of the `right` tokens that follow it. */
static size_t overlap(const cud_token *token, size_t left, const cud_token *then, size_t right)
{
    for (size_t n = left < right ? left : right; n; n--) {
        size_t same = 0;
        while (same < n && token[left - n + same].id == then[same].id) same++;
        if (same == n) return n;
    }
    return 0;
}

/* How many tokens of texts there are from token[0] on, or before it, as far as a group of `most` tokens can reach. */
static size_t texts_after(const cud_token *token, size_t count, size_t most)
{
    size_t n = 0;
    while (n < count && n < most && !token[n].special) n++;
    return n;
}
static size_t texts_before(const cud_token *token, size_t count, size_t most)
{
    size_t n = 0;
    while (n < count && n < most && !token[-1 - (ptrdiff_t)n].special) n++;
    return n;
}

typedef struct group { size_t begin, end; } group;

/* What is left of the group [begin, end) of all tokens; `kept` tokens at the beginning of the list are those before it. */
static group decide(const cud_tokens *t, const cud_settings *settings, group g, size_t kept)
{
    const cud_token *token = t->token;
    const bool first = g.begin == 0, last = g.end == t->count;
    const size_t after = g.end, before = texts_before(token + kept, kept, g.end - g.begin),
                 behind = texts_after(token + after, t->count - after, g.end - g.begin);
    if (first && settings->goes_on)
        while (g.begin < g.end && !token[g.begin].behind) g.begin++;
    if (last && settings->goes_on_after)
        while (g.begin < g.end && token[g.end - 1].behind) g.end--;
    if (settings->add_special != CUDDLE_ADD_SPECIAL_ONCE || g.begin == g.end) return g;
    if (last && before && token[kept - 1].id == token[g.end - 1].id) g.begin = g.end;
    else g.begin += overlap(token + kept - before, before, token + g.begin, g.end - g.begin);
    if (first && behind && g.begin < g.end && token[after].id == token[g.begin].id) g.end = g.begin;
    else g.end -= overlap(token + g.begin, g.end - g.begin, token + after, behind);
    return g;
}

bool cud_specials_undecided(const cud_settings *settings)
{
    if (settings->add_special == CUDDLE_ADD_SPECIAL_OFF) return false;
    return settings->add_special == CUDDLE_ADD_SPECIAL_ONCE || settings->goes_on || settings->goes_on_after;
}

void cud_specials_decide(cud_tokens *t, const cud_settings *settings)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count;) {
        group g = { i, i };
        while (g.end < t->count && t->token[g.end].special) g.end++;
        if (g.end == i) {
            t->token[kept++] = t->token[i++];
            continue;
        }
        i = g.end;
        g = decide(t, settings, g, kept);
        for (size_t k = g.begin; k < g.end; k++) t->token[kept++] = t->token[k];
    }
    t->count = kept;
}
