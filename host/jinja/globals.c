/* Names that every template knows. */
#include "jinja/builtins.h"

#include <stdio.h>

#define GLOBAL(name) static bool name(jrun *j, jvalue *out, jvalue self, const jvalue *arg, const jcall *call)

enum { RANGE_MOST = 100000 }; /* Jinja's sandbox has the same bound */

GLOBAL(global_range)
{
    (void)self, (void)arg;
    int64_t bound[3] = { 0, 0, 1 };
    if (call->keywords || call->count < 1 || call->count > 3) return cud_j_fail(j, "'range' takes one to three integers");
    for (size_t i = 0; i < call->count; i++)
        if (!cud_j_int_arg(j, &bound[call->count == 1 ? 1 : i], call->arg[i], "what 'range' is given")) return false;
    const int64_t start = bound[0], stop = bound[1], step = bound[2];
    if (step == 0) return cud_j_fail(j, "'range' with a step of zero");
    const bool some = step > 0 ? start < stop : start > stop;
    const uint64_t distance = !some ? 0 : step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
    const uint64_t stride = step > 0 ? (uint64_t)step : -(uint64_t)step, count = distance ? (distance - 1) / stride + 1 : 0;
    if (count > RANGE_MOST)
        return cud_j_fail_with(j, CUDDLE_E_LIMIT, "'range' of %llu integers, at most %d", (unsigned long long)count,
                               (int)RANGE_MOST);
    jrange *range = cud_j_alloc(j, sizeof *range);
    if (!range) return false;
    *range = (jrange){ start, stop, step, (int64_t)count };
    *out = (jvalue){ .kind = J_RANGE, .range = range };
    return true;
}

/* dict(mapping or pairs, name=value, ...), for dicts and namespaces. */
static jdict *build(jrun *j, const jcall *call, const char *name)
{
    jdict *dict = cud_j_dict(j);
    if (!dict) return NULL;
    if (call->count > 1) return cud_j_fail(j, "'%s' takes one plain argument, %zu are given", name, call->count), NULL;
    if (call->count && call->arg[0].kind == J_DICT) {
        const jdict *from = call->arg[0].dict;
        for (size_t i = 0; i < from->count; i++)
            if (!cud_j_put(j, dict, from->entry[i].key, from->entry[i].value)) return NULL;
    } else if (call->count) {
        jiter it;
        jvalue item;
        if (!cud_j_iter(j, &it, call->arg[0])) return NULL;
        while (cud_j_next(j, &it, &item)) {
            jlist *pair = cud_j_collect(j, item);
            if (!pair) return NULL;
            if (pair->count != 2) return cud_j_fail(j, "'%s' needs pairs, one has %zu elements", name, pair->count), NULL;
            if (!cud_j_put(j, dict, pair->item[0], pair->item[1])) return NULL;
        }
    }
    for (size_t i = 0; i < call->keywords && !j->status; i++)
        cud_j_put(j, dict, j_string(call->keyword[i].name, call->keyword[i].length), call->keyword[i].value);
    return j->status ? NULL : dict;
}

GLOBAL(global_dict)
{
    (void)self, (void)arg;
    jdict *dict = build(j, call, "dict");
    *out = j_dict(dict);
    return dict != NULL;
}

GLOBAL(global_namespace)
{
    (void)self, (void)arg;
    jdict *dict = build(j, call, "namespace");
    for (size_t i = 0; dict && i < dict->count; i++)
        if (dict->entry[i].key.kind == J_STRING && dict->entry[i].key.n && dict->entry[i].key.s[0] == '_')
            return cud_j_fail(j, "a namespace has no attributes that begin with '_'");
    *out = (jvalue){ .kind = J_NAMESPACE, .dict = dict };
    return dict != NULL;
}

static jcycler *cycler_of(jrun *j, const jvalue *item, size_t count)
{
    jcycler *cycler = cud_j_alloc(j, sizeof *cycler);
    jlist *list = cud_j_list(j, count);
    if (!cycler || !list) return NULL;
    memcpy(list->item, item, count * sizeof *item);
    list->count = count;
    *cycler = (jcycler){ list, 0 };
    return cycler;
}

GLOBAL(global_cycler)
{
    (void)self, (void)arg;
    if (!call->count || call->keywords) return cud_j_fail(j, "'cycler' needs something to cycle through");
    jcycler *cycler = cycler_of(j, call->arg, call->count);
    *out = (jvalue){ .kind = J_CYCLER, .cycler = cycler };
    return cycler != NULL;
}

GLOBAL(global_joiner)
{
    (void)self, (void)call;
    const jvalue between = arg[0].kind == J_MISSING ? j_text(", ") : arg[0];
    jcycler *joiner = cycler_of(j, &between, 1);
    *out = (jvalue){ .kind = J_JOINER, .cycler = joiner };
    return joiner != NULL;
}

GLOBAL(global_raise_exception)
{
    (void)out, (void)self, (void)call;
    jvalue text;
    if (!cud_j_str(j, &text, arg[0])) return false;
    return cud_j_fail(j, "the template refuses: %.*s", (int)(text.n < 180 ? text.n : 180), text.s);
}

/* -------------------------------------------------------------------------------------------------------------- time */

typedef struct civil {
    int year, month, day, hour, minute, second, weekday, yearday;
} civil;

static bool is_leap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

/* Years in which seconds of 64 bits are sensible; the caller checks. */
static civil split(int64_t now)
{
    static const int lengths[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int64_t days = now / 86400, rest = now % 86400;
    if (rest < 0) rest += 86400, days--;
    civil c = { .hour = (int)(rest / 3600), .minute = (int)(rest / 60 % 60), .second = (int)(rest % 60) };
    c.weekday = (int)(((days + 4) % 7 + 7) % 7); /* 0: Sunday; 1970 began on a Thursday */
    int64_t year = 1970;
    for (; days < 0; days += is_leap(year) ? 366 : 365) year--;
    for (; days >= (is_leap(year) ? 366 : 365); year++) days -= is_leap(year) ? 366 : 365;
    c.year = (int)year;
    c.yearday = (int)days;
    while (days >= lengths[c.month] + (c.month == 1 && is_leap(year)))
        days -= lengths[c.month] + (c.month == 1 && is_leap(year)), c.month++;
    c.day = (int)days + 1;
    return c;
}

static int iso_week(const civil *c, int *year)
{
    const int weekday = (c->weekday + 6) % 7; /* 0: Monday */
    int week = (c->yearday - weekday + 10) / 7;
    *year = c->year;
    if (week < 1) {
        --*year;
        const int days = is_leap(*year) ? 366 : 365;
        return (c->yearday + days - weekday + 10) / 7;
    }
    const int days = is_leap(c->year) ? 366 : 365;
    if (week == 53 && days - c->yearday + weekday <= 3) ++*year, week = 1;
    return week;
}

static bool append_field(jrun *j, jvalue *text, char letter, const civil *c);

static bool append_pattern(jrun *j, jvalue *text, const char *pattern, const civil *c)
{
    for (const char *s = pattern; *s; s++)
        if (*s == '%' ? !append_field(j, text, *++s, c) : !cud_j_append(j, text, s, 1)) return false;
    return true;
}

/* As in the C locale. */
static bool append_field(jrun *j, jvalue *text, char letter, const civil *c)
{
    static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
    static const char *const months[] = { "January", "February", "March",     "April",   "May",      "June",
                                          "July",    "August",   "September", "October", "November", "December" };
    const int hour12 = c->hour % 12 ? c->hour % 12 : 12;
    char out[32] = "";
    int year;
    switch (letter) {
    case 'a': return cud_j_append(j, text, days[c->weekday], 3);
    case 'A': return cud_j_append_text(j, text, days[c->weekday]);
    case 'b':
    case 'h': return cud_j_append(j, text, months[c->month], 3);
    case 'B': return cud_j_append_text(j, text, months[c->month]);
    case 'c': return append_pattern(j, text, "%a %b %e %H:%M:%S %Y", c);
    case 'C': snprintf(out, sizeof out, "%02d", c->year / 100); break;
    case 'd': snprintf(out, sizeof out, "%02d", c->day); break;
    case 'D':
    case 'x': return append_pattern(j, text, "%m/%d/%y", c);
    case 'e': snprintf(out, sizeof out, "%2d", c->day); break;
    case 'f': snprintf(out, sizeof out, "000000"); break;
    case 'F': return append_pattern(j, text, "%Y-%m-%d", c);
    case 'G': iso_week(c, &year), snprintf(out, sizeof out, "%d", year); break;
    case 'g': iso_week(c, &year), snprintf(out, sizeof out, "%02d", year % 100); break;
    case 'H': snprintf(out, sizeof out, "%02d", c->hour); break;
    case 'I': snprintf(out, sizeof out, "%02d", hour12); break;
    case 'j': snprintf(out, sizeof out, "%03d", c->yearday + 1); break;
    case 'k': snprintf(out, sizeof out, "%2d", c->hour); break;
    case 'l': snprintf(out, sizeof out, "%2d", hour12); break;
    case 'm': snprintf(out, sizeof out, "%02d", c->month + 1); break;
    case 'M': snprintf(out, sizeof out, "%02d", c->minute); break;
    case 'n': snprintf(out, sizeof out, "\n"); break;
    case 'p': snprintf(out, sizeof out, "%s", c->hour < 12 ? "AM" : "PM"); break;
    case 'P': snprintf(out, sizeof out, "%s", c->hour < 12 ? "am" : "pm"); break;
    case 'r': return append_pattern(j, text, "%I:%M:%S %p", c);
    case 'R': return append_pattern(j, text, "%H:%M", c);
    case 'S': snprintf(out, sizeof out, "%02d", c->second); break;
    case 't': snprintf(out, sizeof out, "\t"); break;
    case 'T':
    case 'X': return append_pattern(j, text, "%H:%M:%S", c);
    case 'u': snprintf(out, sizeof out, "%d", c->weekday ? c->weekday : 7); break;
    case 'U': snprintf(out, sizeof out, "%02d", (c->yearday + 7 - c->weekday) / 7); break;
    case 'V': snprintf(out, sizeof out, "%02d", iso_week(c, &year)); break;
    case 'w': snprintf(out, sizeof out, "%d", c->weekday); break;
    case 'W': snprintf(out, sizeof out, "%02d", (c->yearday + 7 - (c->weekday + 6) % 7) / 7); break;
    case 'y': snprintf(out, sizeof out, "%02d", c->year % 100); break;
    case 'Y': snprintf(out, sizeof out, "%d", c->year); break;
    case 'z':
    case 'Z': break; /* a time without a zone */
    case '%': snprintf(out, sizeof out, "%%"); break;
    default: return cud_j_fail(j, "'strftime_now' does not know %%%c", letter >= ' ' && letter < 127 ? letter : '?');
    }
    return cud_j_append_text(j, text, out);
}

GLOBAL(global_strftime_now)
{
    (void)self, (void)call;
    const civil c = split(j->now);
    jvalue format = j_string("", 0), text = format;
    if (!cud_j_text_arg(j, &format, arg[0], "the format")) return false;
    for (size_t i = 0; i < format.n; i++) {
        if (format.s[i] != '%' || i + 1 == format.n) {
            if (!cud_j_append(j, &text, format.s + i, 1)) return false;
            continue;
        }
        i++;
        if (format.s[i] == '-' && i + 1 < format.n) { /* glibc's: without zeros or blanks in front */
            jvalue field = j_string("", 0);
            if (!append_field(j, &field, format.s[++i], &c)) return false;
            while (field.n > 1 && (*field.s == '0' || *field.s == ' ')) field.s++, field.n--;
            if (!cud_j_append(j, &text, field.s, field.n)) return false;
        } else if (!append_field(j, &text, format.s[i], &c)) {
            return false;
        }
    }
    *out = text;
    return true;
}

static const jbuiltin rows[] = {
    { "range", NULL, global_range },
    { "dict", NULL, global_dict },
    { "namespace", NULL, global_namespace },
    { "cycler", NULL, global_cycler },
    { "joiner", "sep", global_joiner },
    { "raise_exception", "message!", global_raise_exception },
    { "strftime_now", "format!", global_strftime_now },
};

const jbuiltin *cud_j_find_global(const char *name, size_t length) { return cud_j_find_row(J_TABLE(rows), name, length); }
