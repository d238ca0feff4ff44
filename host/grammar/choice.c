/* One of a list of strings: what they begin with alike is written once, so that a matcher has one way to go through it. */
#include "grammar/syntax.h"

#include <stdlib.h>
#include <string.h>

enum { SHARING = 48 }; /* branches below branches; beyond it the strings are tried side by side */

static int by_text(const void *a, const void *b)
{
    const gword *x = a, *y = b;
    const int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
    return order ? order : x->length < y->length ? -1 : x->length > y->length;
}

/* Sorted words that are alike up to `from`. */
static gexpr branch(gsyntax *g, const gword *word, size_t count, size_t from, int depth)
{
    if (!cud_gstep(g, 1)) return CUD_G_EMPTY;
    if (count == 1) return cud_gtext(g, word->text + from, word->length - from);
    size_t common = from;
    const gword *last = &word[count - 1];
    while (common < word->length && common < last->length && word->text[common] == last->text[common]) common++;
    glist list = { 0 };
    for (size_t i = 0, end; i < count; i = end) {
        end = i + 1;
        if (word[i].length == common) {
            while (end < count && word[end].length == common) end++;
            cud_glist_add(g, &list, CUD_G_EMPTY);
            continue;
        }
        if (depth < SHARING)
            while (end < count && word[end].text[common] == word[i].text[common]) end++;
        cud_glist_add(g, &list, branch(g, word + i, end - i, common, depth + 1));
    }
    const gexpr rest = cud_glist_choice(g, &list);
    return cud_gpair(g, cud_gtext(g, word->text + from, common - from), rest);
}

gexpr cud_gwords(gsyntax *g, gword *word, size_t count)
{
    if (count == 0) return CUD_G_NEVER;
    qsort(word, count, sizeof *word, by_text);
    return branch(g, word, count, 0, 0);
}
