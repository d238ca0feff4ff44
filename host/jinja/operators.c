#include "jinja/operators.h"

#include "jinja/interp.h"
#include "jinja/number.h"
#include "text/unicode.h"

#include <math.h>

bool cud_j_truth(jvalue v)
{
    switch ((jkind)v.kind) {
    case J_MISSING:
    case J_UNDEFINED:
    case J_NONE: return false;
    case J_BOOL: return v.b;
    case J_INT: return v.i != 0;
    case J_FLOAT: return v.f != 0;
    case J_STRING: return v.n > 0;
    case J_LIST:
    case J_TUPLE: return v.list->count > 0;
    case J_DICT:
    case J_VIEW: return v.dict->count > 0;
    case J_RANGE: return v.range->count > 0;
    case J_LOOP: return v.loop->count > 0;
    default: return true;
    }
}

bool cud_j_same(jvalue a, jvalue b)
{
    if (a.kind != b.kind) return false;
    switch ((jkind)a.kind) {
    case J_NONE:
    case J_MISSING: return true;
    case J_UNDEFINED: return a.aux == b.aux && a.s == b.s && a.n == b.n;
    case J_BOOL: return a.b == b.b;
    case J_INT: return a.i == b.i;
    case J_FLOAT: return a.f == b.f;
    case J_STRING: return a.n == b.n && memcmp(a.s, b.s, a.n) == 0;
    default: return a.list == b.list && a.aux == b.aux;
    }
}

/* Exact, also where a double cannot hold the integer. */
static int order_numbers(jvalue a, jvalue b)
{
    if (j_is_whole(a) && j_is_whole(b)) return (j_whole(a) > j_whole(b)) - (j_whole(a) < j_whole(b));
    if (a.kind == J_FLOAT && b.kind == J_FLOAT) return (a.f > b.f) - (a.f < b.f);
    if (a.kind == J_FLOAT) return -order_numbers(b, a);
    if (b.f >= 9223372036854775808.0) return -1;
    if (b.f < -9223372036854775808.0) return 1;
    const int64_t whole = (int64_t)b.f;
    if (j_whole(a) != whole) return j_whole(a) < whole ? -1 : 1;
    return b.f > (double)whole ? -1 : b.f < (double)whole;
}

static bool is_nan(jvalue v) { return v.kind == J_FLOAT && isnan(v.f); }

static int order_texts(jvalue a, jvalue b)
{
    const size_t n = a.n < b.n ? a.n : b.n;
    const int order = n ? memcmp(a.s, b.s, n) : 0; /* UTF-8 sorts like code points */
    return order ? (order > 0) - (order < 0) : (a.n > b.n) - (a.n < b.n);
}

static bool equal_lists(jrun *j, const jlist *a, const jlist *b, bool *out)
{
    *out = a->count == b->count;
    for (size_t i = 0; i < a->count && *out; i++)
        if (!cud_j_equal(j, a->item[i], b->item[i], out)) return false;
    return true;
}

static bool equal_dicts(jrun *j, const jdict *a, const jdict *b, bool *out)
{
    *out = a->count == b->count;
    for (size_t i = 0; i < a->count && *out; i++) {
        jvalue other;
        const int found = cud_j_get(j, b, a->entry[i].key, &other);
        if (found < 0) return false;
        *out = found == 1;
        if (found && !cud_j_equal(j, a->entry[i].value, other, out)) return false;
    }
    return true;
}

bool cud_j_equal(jrun *j, jvalue a, jvalue b, bool *out)
{
    if (!cud_j_step(j, 1)) return false;
    if (j_is_number(a) && j_is_number(b)) {
        *out = !is_nan(a) && !is_nan(b) && order_numbers(a, b) == 0;
        return true;
    }
    *out = false;
    if (a.kind != b.kind) return true;
    bool done = true;
    switch ((jkind)a.kind) {
    case J_UNDEFINED: *out = true; break; /* as Jinja has it */
    case J_STRING:
        *out = a.n == b.n && memcmp(a.s, b.s, a.n) == 0;
        done = cud_j_bytes(j, a.n == b.n ? a.n : 0);
        break;
    case J_LIST:
    case J_TUPLE:
        if (!cud_j_enter(j)) return false;
        done = equal_lists(j, a.list, b.list, out);
        j->depth--;
        break;
    case J_DICT:
        if (!cud_j_enter(j)) return false;
        done = equal_dicts(j, a.dict, b.dict, out);
        j->depth--;
        break;
    case J_RANGE:
        *out = a.range->count == b.range->count &&
               (!a.range->count || (a.range->start == b.range->start && (a.range->count == 1 || a.range->step == b.range->step)));
        break;
    case J_METHOD: *out = a.method->function == b.method->function && cud_j_same(a.method->self, b.method->self); break;
    default: *out = cud_j_same(a, b); break;
    }
    return done;
}

bool cud_j_order(jrun *j, jvalue a, jvalue b, int *out)
{
    if (!cud_j_step(j, 1)) return false;
    if (j_is_number(a) && j_is_number(b)) {
        *out = order_numbers(a, b);
        return true;
    }
    if (a.kind == J_STRING && b.kind == J_STRING) {
        *out = order_texts(a, b);
        return cud_j_bytes(j, a.n < b.n ? a.n : b.n);
    }
    if (a.kind == b.kind && (a.kind == J_LIST || a.kind == J_TUPLE)) {
        if (!cud_j_enter(j)) return false;
        bool same = true;
        size_t i = 0;
        for (; i < a.list->count && i < b.list->count; i++)
            if (!cud_j_equal(j, a.list->item[i], b.list->item[i], &same))
                return false;
            else if (!same)
                break;
        j->depth--;
        if (!same) return cud_j_order(j, a.list->item[i], b.list->item[i], out);
        *out = (a.list->count > b.list->count) - (a.list->count < b.list->count);
        return true;
    }
    if (a.kind == J_UNDEFINED) return cud_j_fail_undefined(j, a);
    if (b.kind == J_UNDEFINED) return cud_j_fail_undefined(j, b);
    return cud_j_fail(j, "a %s and a %s have no order", cud_j_kind_name(a), cud_j_kind_name(b));
}

bool cud_j_contains(jrun *j, jvalue in, jvalue what, bool *out)
{
    jiter it;
    jvalue item;
    *out = false;
    if (in.kind == J_STRING) {
        if (what.kind == J_UNDEFINED) return cud_j_fail_undefined(j, what);
        if (what.kind != J_STRING)
            return cud_j_fail(j, "'in' asks a string for a %s; only a string can be in it", cud_j_kind_name(what));
        *out = cud_j_find(in.s, in.n, what.s, what.n) != (size_t)-1;
        return cud_j_bytes(j, in.n);
    }
    if (in.kind == J_DICT || (in.kind == J_VIEW && in.aux == J_KEYS)) {
        const int found = cud_j_get(j, in.dict, what, &item);
        *out = found == 1;
        return found >= 0;
    }
    if (!cud_j_iter(j, &it, in)) return false;
    while (!*out && cud_j_next(j, &it, &item))
        if (!cud_j_same(item, what) && !cud_j_equal(j, item, what, out))
            return false;
        else if (cud_j_same(item, what))
            *out = true;
    return !j->status;
}

bool cud_j_compare(jrun *j, jcompare how, jvalue a, jvalue b, bool *out)
{
    int order = 0;
    switch (how) {
    case J_EQ: return cud_j_equal(j, a, b, out);
    case J_NE:
        if (!cud_j_equal(j, a, b, out)) return false;
        *out = !*out;
        return true;
    case J_IN: return cud_j_contains(j, b, a, out);
    case J_NOT_IN:
        if (!cud_j_contains(j, b, a, out)) return false;
        *out = !*out;
        return true;
    default: break;
    }
    if (!cud_j_order(j, a, b, &order)) return false;
    if (is_nan(a) || is_nan(b))
        *out = false;
    else
        *out = how == J_LT ? order < 0 : how == J_LE ? order <= 0 : how == J_GT ? order > 0 : order >= 0;
    return true;
}

static uint64_t hash_bytes(const char *s, size_t n)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) hash = (hash ^ (unsigned char)s[i]) * 0x100000001b3u;
    return hash ^ hash >> 29;
}

bool cud_j_hash(jrun *j, jvalue v, uint64_t *out)
{
    switch ((jkind)v.kind) {
    case J_NONE: *out = 0x51; return true;
    case J_BOOL:
    case J_INT: *out = (uint64_t)j_whole(v) * 0x9e3779b97f4a7c15u; return true;
    case J_FLOAT:
        if (v.f >= -9e18 && v.f <= 9e18 && v.f == floor(v.f))
            *out = (uint64_t)(int64_t)v.f * 0x9e3779b97f4a7c15u; /* as the integer it equals */
        else
            *out = hash_bytes((const char *)&v.f, sizeof v.f);
        return true;
    case J_STRING: *out = hash_bytes(v.s, v.n); return cud_j_bytes(j, 4 * v.n);
    case J_TUPLE: {
        uint64_t hash = 0x7a, part;
        if (!cud_j_step(j, 1) || !cud_j_enter(j)) return false;
        for (size_t i = 0; i < v.list->count; i++) {
            if (!cud_j_hash(j, v.list->item[i], &part)) return false;
            hash = (hash ^ part) * 0x100000001b3u;
        }
        j->depth--;
        *out = hash;
        return true;
    }
    case J_UNDEFINED: *out = 0x52; return true;
    case J_LIST:
    case J_DICT:
    case J_VIEW: return cud_j_fail(j, "a %s cannot be a key", cud_j_kind_name(v));
    default: *out = hash_bytes((const char *)&v.list, sizeof v.list); return true;
    }
}

/* -------------------------------------------------------------------------------------------------------- arithmetic */

static const char *sign_of(jnode_kind how)
{
    switch (how) {
    case N_ADD: return "+";
    case N_SUB: return "-";
    case N_MUL: return "*";
    case N_DIV: return "/";
    case N_FLOORDIV: return "//";
    case N_MOD: return "%";
    default: return "**";
    }
}

static bool too_large(jrun *j, jnode_kind how)
{
    return cud_j_fail_with(j, CUDDLE_E_LIMIT, "the result of '%s' is an integer that 64 bits cannot hold", sign_of(how));
}

static bool whole_power(jrun *j, int64_t base, int64_t exponent, jvalue *out)
{
    int64_t result = 1;
    bool large = false; /* the base is, should it be needed again */
    while (exponent > 0) {
        if (exponent & 1 && (large || __builtin_mul_overflow(result, base, &result))) return too_large(j, N_POW);
        exponent >>= 1;
        if (exponent && __builtin_mul_overflow(base, base, &base)) large = true;
    }
    *out = j_int(result);
    return true;
}

static bool whole_numbers(jrun *j, jnode_kind how, int64_t a, int64_t b, jvalue *out)
{
    int64_t result = 0;
    bool large = false;
    switch (how) {
    case N_ADD: large = __builtin_add_overflow(a, b, &result); break;
    case N_SUB: large = __builtin_sub_overflow(a, b, &result); break;
    case N_MUL: large = __builtin_mul_overflow(a, b, &result); break;
    case N_FLOORDIV:
        large = a == INT64_MIN && b == -1;
        if (!large) result = a / b - (a % b != 0 && (a < 0) != (b < 0));
        break;
    case N_MOD:
        if (b != -1) result = a % b;
        if (result != 0 && (result < 0) != (b < 0)) result += b;
        break;
    default: return whole_power(j, a, b, out);
    }
    *out = j_int(result);
    return !large || too_large(j, how);
}

static bool numbers(jrun *j, jnode_kind how, jvalue a, jvalue b, jvalue *out)
{
    const bool divides = how == N_DIV || how == N_FLOORDIV || how == N_MOD;
    if (divides && j_real(b) == 0) return cud_j_fail(j, "division by zero");
    if (j_is_whole(a) && j_is_whole(b) && how != N_DIV && (how != N_POW || j_whole(b) >= 0))
        return whole_numbers(j, how, j_whole(a), j_whole(b), out);
    const double x = j_real(a), y = j_real(b);
    double result;
    switch (how) {
    case N_ADD: result = x + y; break;
    case N_SUB: result = x - y; break;
    case N_MUL: result = x * y; break;
    case N_DIV: result = x / y; break;
    case N_FLOORDIV:
    case N_MOD: {
        double rest = fmod(x, y), quotient = (x - rest) / y; /* as CPython does it */
        if (rest != 0 && (y < 0) != (rest < 0))
            rest += y, quotient -= 1;
        else if (rest == 0)
            rest = copysign(0, y);
        double whole = 0;
        if (quotient != 0) {
            whole = floor(quotient);
            if (quotient - whole > 0.5) whole += 1;
        } else {
            whole = copysign(0, x / y);
        }
        result = how == N_MOD ? rest : whole;
        break;
    }
    default:
        if (x == 0 && y < 0) return cud_j_fail(j, "zero to a negative power");
        if (x < 0 && isfinite(x) && isfinite(y) && y != floor(y))
            return cud_j_fail_with(j, CUDDLE_E_UNSUPPORTED, "a negative number to a power that is not whole is complex");
        result = pow(x, y);
        if (isinf(result) && isfinite(x) && isfinite(y)) return cud_j_fail(j, "the result of '**' is out of range");
        break;
    }
    *out = j_float(result);
    return true;
}

static bool repeat(jrun *j, jvalue of, int64_t times, jvalue *out)
{
    if (times < 0) times = 0;
    if (of.kind == J_STRING) {
        size_t size;
        if (__builtin_mul_overflow(of.n, (size_t)times, &size)) size = SIZE_MAX / 2;
        char *text = cud_j_room(j, size);
        if (!text) return false;
        for (size_t at = 0; at < size; at += of.n) memcpy(text + at, of.s, of.n);
        *out = j_string(text, size);
        out->safe = of.safe;
        return true;
    }
    size_t count;
    if (__builtin_mul_overflow(of.list->count, (size_t)times, &count) || count > SIZE_MAX / 64) count = SIZE_MAX / 64;
    if (!cud_j_step(j, count)) return false;
    jlist *list = cud_j_list(j, count);
    if (!list) return false;
    while (list->count < count) list->item[list->count] = of.list->item[list->count % of.list->count], list->count++;
    *out = of.kind == J_LIST ? j_list(list) : j_tuple(list);
    return true;
}

static bool is_sequence(jvalue v) { return v.kind == J_STRING || v.kind == J_LIST || v.kind == J_TUPLE; }

static bool join_lists(jrun *j, jvalue a, jvalue b, jvalue *out)
{
    jlist *list = cud_j_list(j, a.list->count + b.list->count);
    if (!list || !cud_j_step(j, list->room)) return false;
    for (size_t i = 0; i < a.list->count; i++) list->item[list->count++] = a.list->item[i];
    for (size_t i = 0; i < b.list->count; i++) list->item[list->count++] = b.list->item[i];
    *out = a.kind == J_LIST ? j_list(list) : j_tuple(list);
    return true;
}

bool cud_j_arithmetic(jrun *j, jnode_kind how, jvalue a, jvalue b, jvalue *out)
{
    if (j_is_number(a) && j_is_number(b)) return numbers(j, how, a, b, out);
    if (how == N_ADD && a.kind == J_STRING && b.kind == J_STRING) {
        if (a.safe != b.safe && !cud_j_escape(j, a.safe ? &b : &a, a.safe ? b : a)) return false;
        *out = a;
        return cud_j_append(j, out, b.s, b.n);
    }
    if (how == N_ADD && a.kind == b.kind && (a.kind == J_LIST || a.kind == J_TUPLE)) return join_lists(j, a, b, out);
    if (how == N_MUL && is_sequence(a) && j_is_whole(b)) return repeat(j, a, j_whole(b), out);
    if (how == N_MUL && is_sequence(b) && j_is_whole(a)) return repeat(j, b, j_whole(a), out);
    if (how == N_MOD && a.kind == J_STRING) return cud_j_printf(j, out, a, b);
    if (a.kind == J_UNDEFINED) return cud_j_fail_undefined(j, a);
    if (b.kind == J_UNDEFINED) return cud_j_fail_undefined(j, b);
    return cud_j_fail(j, "'%s' does not work on a %s and a %s", sign_of(how), cud_j_kind_name(a), cud_j_kind_name(b));
}

/* ----------------------------------------------------------------------------------------------- attributes and items */

static bool number_attribute(jvalue *out, jvalue of, jvalue name)
{
    const jvalue self = of.kind == J_BOOL ? j_int(of.b) : of;
    if (j_is_text(name, "real") || (j_is_text(name, "numerator") && j_is_whole(of)))
        *out = self;
    else if (j_is_text(name, "imag"))
        *out = of.kind == J_FLOAT ? j_float(0) : j_int(0);
    else if (j_is_text(name, "denominator") && j_is_whole(of))
        *out = j_int(1);
    else
        return false;
    return true;
}

/* What getattr(obj, name) finds: methods, and the few plain attributes. 1, 0, or -1 after a failure. */
static int own_attribute(jrun *j, jvalue *out, jvalue of, const char *name, size_t length)
{
    bool unsafe = false;
    if (of.kind == J_UNDEFINED) return cud_j_fail_undefined(j, of) - 1;
    if (j_is_number(of) && number_attribute(out, of, j_string(name, length))) return 1;
    if (of.kind == J_NAMESPACE) return cud_j_get(j, of.dict, j_string(name, length), out);
    if (of.kind == J_LOOP && cud_j_loop_attribute(j, out, of.loop, name, length)) return 1;
    if (j->status) return -1;
    if (of.kind == J_CYCLER && length == 7 && memcmp(name, "current", 7) == 0) {
        *out = of.cycler->items->item[of.cycler->at];
        return 1;
    }
    if (of.kind == J_MACRO && length == 4 && memcmp(name, "name", 4) == 0) {
        const jname *macro = of.macro->code->name;
        *out = macro ? j_string(macro->s, macro->n) : j_text("caller");
        return 1;
    }
    const jbuiltin *function = cud_j_find_method((jkind)of.kind, name, length, &unsafe);
    if (!function && !unsafe && !(length > 4 && memcmp(name, "__", 2) == 0 && memcmp(name + length - 2, "__", 2) == 0)) return 0;
    if (!function) {
        *out = j_undefined(J_BY_UNSAFE, name, length);
        out->of = of.kind;
        return 1;
    }
    jmethod *method = cud_j_alloc(j, sizeof *method);
    if (!method) return -1;
    *method = (jmethod){ of, function };
    *out = (jvalue){ .kind = J_METHOD, .method = method };
    return 1;
}

/* What obj[key] finds; 0 where Python raises a LookupError or TypeError. */
static int own_item(jrun *j, jvalue *out, jvalue of, jvalue key)
{
    if (of.kind == J_UNDEFINED) return cud_j_fail_undefined(j, of) - 1;
    if (of.kind == J_DICT) {
        if (key.kind == J_LIST || key.kind == J_DICT || key.kind == J_VIEW) return 0;
        return cud_j_get(j, of.dict, key, out);
    }
    if (!j_is_whole(key)) return 0;
    int64_t i = j_whole(key), count;
    switch ((jkind)of.kind) {
    case J_STRING: {
        if (!cud_j_bytes(j, of.n)) return -1;
        count = (int64_t)cud_j_count(of.s, of.n);
        if (i < 0) i += count;
        if (i < 0 || i >= count) return 0;
        const size_t at = cud_j_offset(of.s, of.n, (size_t)i);
        *out = j_string(of.s + at, cud_utf8_length((unsigned char)of.s[at]));
        out->safe = of.safe;
        return 1;
    }
    case J_LIST:
    case J_TUPLE:
        count = (int64_t)of.list->count;
        if (i < 0) i += count;
        if (i < 0 || i >= count) return 0;
        *out = of.list->item[i];
        return 1;
    case J_RANGE:
        count = of.range->count;
        if (i < 0) i += count;
        if (i < 0 || i >= count) return 0;
        *out = cud_j_range_at(of.range, i);
        return 1;
    default: return 0;
    }
}

bool cud_j_attribute(jrun *j, jvalue *out, jvalue of, const char *name, size_t length)
{
    int found = own_attribute(j, out, of, name, length);
    if (!found) found = own_item(j, out, of, j_string(name, length));
    if (found) return found > 0;
    *out = j_undefined(J_BY_ATTRIBUTE, name, length);
    out->of = of.kind;
    return true;
}

bool cud_j_subscript(jrun *j, jvalue *out, jvalue of, jvalue key)
{
    int found = own_item(j, out, of, key);
    if (!found && key.kind == J_STRING) found = own_attribute(j, out, of, key.s, key.n);
    if (found) return found > 0;
    if (key.kind == J_STRING)
        *out = j_undefined(J_BY_ATTRIBUTE, key.s, key.n);
    else if (j_is_whole(key))
        *out = j_undefined(J_BY_INDEX, "", (size_t)j_whole(key));
    else
        *out = j_undefined(J_BY_KEY, "", 0);
    out->of = of.kind;
    return true;
}

size_t cud_j_slice_range(int64_t count, jvalue start, jvalue stop, int64_t step, int64_t *first)
{
    const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? count - 1 : count;
    int64_t bound[2] = { step < 0 ? high : low, step < 0 ? low : high };
    const jvalue given[2] = { start, stop };
    for (int i = 0; i < 2; i++) {
        if (given[i].kind == J_NONE) continue;
        int64_t at = j_whole(given[i]);
        if (at < 0) at = at < -count ? low : at + count;
        bound[i] = at < low ? low : at > high ? high : at;
    }
    *first = bound[0];
    const uint64_t distance = step > 0 ? (bound[1] > bound[0] ? (uint64_t)(bound[1] - bound[0]) : 0)
                                       : (bound[0] > bound[1] ? (uint64_t)(bound[0] - bound[1]) : 0);
    const uint64_t stride = step > 0 ? (uint64_t)step : -(uint64_t)step;
    return (size_t)(distance ? (distance - 1) / stride + 1 : 0);
}

static bool slice_text(jrun *j, jvalue *out, jvalue of, int64_t first, size_t taken, int64_t step)
{
    if (step == 1) { /* a view */
        const size_t begin = cud_j_offset(of.s, of.n, (size_t)first);
        *out = j_string(of.s + begin, cud_j_offset(of.s + begin, of.n - begin, taken));
        out->safe = of.safe;
        return true;
    }
    jvalue text = { .kind = J_STRING, .s = "", .safe = of.safe };
    size_t at = cud_j_offset(of.s, of.n, (size_t)first);
    for (size_t i = 0; i < taken; i++) {
        const size_t length = cud_utf8_length((unsigned char)of.s[at]);
        if (!cud_j_append(j, &text, of.s + at, length)) return false;
        if (i + 1 == taken) break;
        if (!cud_j_step(j, 1)) return false;
        for (int64_t k = 0; k < step; k++) at += cud_utf8_length((unsigned char)of.s[at]);
        for (int64_t k = 0; k > step; k--) do
                at--;
            while (((unsigned char)of.s[at] & 0xc0) == 0x80);
    }
    *out = text;
    return true;
}

bool cud_j_slice(jrun *j, jvalue *out, jvalue of, jvalue start, jvalue stop, jvalue step)
{
    const jvalue bound[] = { start, stop, step };
    bool numbers_only = true;
    for (int i = 0; i < 3; i++) {
        if (bound[i].kind == J_UNDEFINED) return cud_j_fail_undefined(j, bound[i]);
        numbers_only = numbers_only && (bound[i].kind == J_NONE || j_is_whole(bound[i]));
    }
    const int64_t stride = j_is_whole(step) ? j_whole(step) : 1;
    int64_t first, count;
    if (of.kind == J_UNDEFINED) return cud_j_fail_undefined(j, of);
    if (numbers_only && stride == 0 && (is_sequence(of) || of.kind == J_RANGE)) return cud_j_fail(j, "a slice whose step is zero");
    if (numbers_only && of.kind == J_STRING) {
        if (!cud_j_bytes(j, of.n)) return false;
        count = (int64_t)cud_j_count(of.s, of.n);
        const size_t taken = cud_j_slice_range(count, start, stop, stride, &first);
        if (taken) return slice_text(j, out, of, first, taken, stride);
        *out = j_string("", 0);
        out->safe = of.safe;
        return true;
    }
    if (numbers_only && (of.kind == J_LIST || of.kind == J_TUPLE)) {
        const size_t taken = cud_j_slice_range((int64_t)of.list->count, start, stop, stride, &first);
        jlist *list = cud_j_list(j, taken);
        if (!list || !cud_j_step(j, taken)) return false;
        for (size_t i = 0; i < taken; i++) list->item[list->count++] = of.list->item[first + (int64_t)i * stride];
        *out = of.kind == J_LIST ? j_list(list) : j_tuple(list);
        return true;
    }
    if (numbers_only && of.kind == J_RANGE) {
        jrange *range = cud_j_alloc(j, sizeof *range);
        if (!range) return false;
        const size_t taken = cud_j_slice_range(of.range->count, start, stop, stride, &first);
        int64_t by;
        if (__builtin_mul_overflow(of.range->step, stride, &by)) by = of.range->step;
        *range = (jrange){ of.range->start + first * of.range->step, 0, by, (int64_t)taken };
        range->stop = range->start + range->count * by;
        *out = (jvalue){ .kind = J_RANGE, .range = range };
        return true;
    }
    if (!numbers_only) return cud_j_fail(j, "the bounds of a slice must be integers");
    return cud_j_fail(j, "a %s has no slices", cud_j_kind_name(of));
}
