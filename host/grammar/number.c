/* Numbers between bounds, digit by digit. */
#include "grammar/json.h"

#include <stdio.h>
#include <string.h>

static gexpr digit(gsyntax *g, char first, char last)
{
    gset s = { 0 };
    cud_gset_add(g, &s, (unsigned char)first, (unsigned char)last);
    const gexpr e = g->status || first > last ? CUD_G_NEVER : cud_gset(g, &s);
    cud_gset_free(&s);
    return e;
}

static gexpr any_digits(gsyntax *g, size_t count) { return count ? cud_gjson_digits(g, (uint32_t)count, (uint32_t)count) : CUD_G_EMPTY; }

/* `count` digits that are at least (most) those of `bound`. */
static gexpr on_side(gsyntax *g, const char *bound, size_t count, bool at_least)
{
    if (count == 0) return CUD_G_EMPTY;
    const gexpr same = cud_gpair(g, digit(g, *bound, *bound), on_side(g, bound + 1, count - 1, at_least));
    const gexpr off = at_least ? digit(g, (char)(*bound + 1), '9') : digit(g, '0', (char)(*bound - 1));
    return off == CUD_G_NEVER ? same : cud_geither(g, same, cud_gpair(g, off, any_digits(g, count - 1)));
}

/* `count` digits from those of `low` to those of `high`. */
static gexpr same_length(gsyntax *g, const char *low, const char *high, size_t count)
{
    if (count == 0) return CUD_G_EMPTY;
    if (*low == *high) return cud_gpair(g, digit(g, *low, *low), same_length(g, low + 1, high + 1, count - 1));
    const gexpr parts[] = { cud_gpair(g, digit(g, *low, *low), on_side(g, low + 1, count - 1, true)),
                            cud_gpair(g, digit(g, (char)(*low + 1), (char)(*high - 1)), any_digits(g, count - 1)),
                            cud_gpair(g, digit(g, *high, *high), on_side(g, high + 1, count - 1, false)) };
    return cud_gchoice(g, parts, 3);
}

/* From 0 on, without leading zeros. */
static gexpr natural(gsyntax *g, int64_t low, int64_t high)
{
    glist list = { 0 };
    int64_t least = 0, power = 10; /* numbers of `count` digits are from `least` to power - 1 */
    for (int count = 1; count <= CUD_G_DIGITS && least <= high; count++, least = power, power *= count <= CUD_G_DIGITS ? 10 : 1) {
        const int64_t from = low > least ? low : least, to = high < power - 1 ? high : power - 1;
        char first[32], last[32];
        if (from > to) continue;
        snprintf(first, sizeof first, "%0*lld", count, (long long)from);
        snprintf(last, sizeof last, "%0*lld", count, (long long)to);
        cud_glist_add(g, &list, same_length(g, first, last, (size_t)count));
    }
    return cud_glist_choice(g, &list);
}

gexpr cud_gjson_range(gsyntax *g, int64_t low, int64_t high)
{
    if (low < -CUD_G_LARGEST) low = -CUD_G_LARGEST;
    if (high > CUD_G_LARGEST) high = CUD_G_LARGEST;
    if (low > high) return CUD_G_NEVER;
    glist list = { 0 };
    if (high >= 0) cud_glist_add(g, &list, natural(g, low > 0 ? low : 0, high));
    if (low < 0) cud_glist_add(g, &list, cud_gpair(g, cud_gstring(g, "-"), natural(g, high < 0 ? -high : 1, -low)));
    return cud_glist_choice(g, &list);
}

/* A point and digits; `nonzero`: not all of them 0. */
static gexpr fraction(gsyntax *g, int digits, bool nonzero)
{
    if (digits < 1) return CUD_G_NEVER;
    glist list = { 0 };
    for (int zeros = 0; nonzero && zeros < digits; zeros++)
        cud_glist_add(g, &list, cud_gsequence(g, (const gexpr[]){ cud_grepeat(g, digit(g, '0', '0'), (uint32_t)zeros, (uint32_t)zeros), digit(g, '1', '9'),
                                              cud_gjson_digits(g, 0, (uint32_t)(digits - zeros - 1)) }, 3));
    const gexpr part = nonzero ? cud_glist_choice(g, &list) : cud_gjson_digits(g, 1, (uint32_t)digits);
    return cud_gpair(g, cud_gstring(g, "."), part);
}

/* Numbers of one sign with a fraction: from `low` on, and below `high`, both at least 0. */
static gexpr fractions(gsyntax *g, int64_t low, int64_t high, bool open, int digits)
{
    if (low >= high) return CUD_G_NEVER;
    const gexpr rest = cud_gpair(g, natural(g, open ? low + 1 : low, high - 1), fraction(g, digits, false));
    return open ? cud_geither(g, rest, cud_gpair(g, natural(g, low, low), fraction(g, digits, true))) : rest;
}

gexpr cud_gjson_between(gsyntax *g, gbound low, gbound high)
{
    const int64_t span = 1000000000;
    int64_t from = low.given ? low.value : (high.value < 0 ? high.value : 0) - span;
    int64_t to = high.given ? high.value : (low.value > 0 ? low.value : 0) + span;
    if (from < -CUD_G_LARGEST) from = -CUD_G_LARGEST;
    if (to > CUD_G_LARGEST) to = CUD_G_LARGEST;
    const int64_t most = from < 0 && -from > to ? -from : to < 0 ? -to : to;
    int digits = 15; /* a double tells numbers of so many digits apart, so that none becomes its bound */
    for (int64_t rest = most; rest > 0; rest /= 10) digits--;
    glist list = { 0 };
    cud_glist_add(g, &list, cud_gjson_range(g, from + (low.given && low.open), to - (high.given && high.open)));
    if (to > 0) cud_glist_add(g, &list, fractions(g, from > 0 ? from : 0, to, low.given && low.open && from >= 0, digits));
    if (from < 0) {
        const gexpr below = fractions(g, to < 0 ? -to : 0, -from, high.given && high.open && to <= 0, digits);
        cud_glist_add(g, &list, cud_gpair(g, cud_gstring(g, "-"), below));
    }
    return cud_glist_choice(g, &list);
}
