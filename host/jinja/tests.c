/* What stands behind `is`. */
#include "jinja/builtins.h"
#include "text/unicode.h"

#include <math.h>

#define TEST(name) static bool name(jrun *j, jvalue *out, jvalue self, const jvalue *arg, const jcall *call)
#define UNUSED (void)j, (void)arg, (void)call

static bool answer(jvalue *out, bool holds)
{
    *out = j_bool(holds);
    return true;
}

TEST(test_defined)
{
    UNUSED;
    return answer(out, self.kind != J_UNDEFINED);
}

TEST(test_undefined)
{
    UNUSED;
    return answer(out, self.kind == J_UNDEFINED);
}

TEST(test_none)
{
    UNUSED;
    return answer(out, self.kind == J_NONE);
}

TEST(test_boolean)
{
    UNUSED;
    return answer(out, self.kind == J_BOOL);
}

TEST(test_true)
{
    UNUSED;
    return answer(out, self.kind == J_BOOL && self.b);
}

TEST(test_false)
{
    UNUSED;
    return answer(out, self.kind == J_BOOL && !self.b);
}

TEST(test_integer)
{
    UNUSED;
    return answer(out, self.kind == J_INT);
}

TEST(test_float)
{
    UNUSED;
    return answer(out, self.kind == J_FLOAT);
}

TEST(test_number)
{
    UNUSED;
    return answer(out, j_is_number(self));
}

TEST(test_string)
{
    UNUSED;
    return answer(out, self.kind == J_STRING);
}

TEST(test_mapping)
{
    UNUSED;
    return answer(out, self.kind == J_DICT);
}

TEST(test_iterable)
{
    UNUSED;
    return answer(out, cud_j_is_iterable(self));
}

TEST(test_sequence) /* has a length and elements */
{
    UNUSED;
    return answer(out, self.kind == J_STRING || self.kind == J_LIST || self.kind == J_TUPLE || self.kind == J_DICT ||
                           self.kind == J_RANGE || self.kind == J_UNDEFINED);
}

TEST(test_callable)
{
    UNUSED;
    return answer(out, self.kind == J_FUNCTION || self.kind == J_METHOD || self.kind == J_MACRO || self.kind == J_LOOP ||
                           self.kind == J_JOINER || self.kind == J_UNDEFINED);
}

TEST(test_escaped)
{
    UNUSED;
    return answer(out, self.kind == J_STRING && self.safe);
}

static bool cased(jrun *j, jvalue *out, jvalue self, bool upper)
{
    bool some = false, all = true;
    size_t length;
    if (!cud_j_str(j, &self, self) || !cud_j_bytes(j, 4 * self.n)) return false;
    for (size_t at = 0; at < self.n; at += length) {
        const int32_t c = cud_utf8_decode(self.s + at, &length);
        some |= upper ? cud_j_is_upper(c) : cud_j_is_lower(c);
        all &= !(upper ? cud_j_is_lower(c) : cud_j_is_upper(c)) && !cud_j_is_title(c);
    }
    return answer(out, some && all);
}

TEST(test_upper)
{
    UNUSED;
    return cased(j, out, self, true);
}

TEST(test_lower)
{
    UNUSED;
    return cased(j, out, self, false);
}

static bool remainder_is(jrun *j, jvalue *out, jvalue self, jvalue by, int64_t rest)
{
    jvalue left;
    if (!cud_j_arithmetic(j, N_MOD, self, by, &left)) return false;
    bool same;
    if (!cud_j_equal(j, left, j_int(rest), &same)) return false;
    return answer(out, same);
}

TEST(test_odd)
{
    UNUSED;
    return remainder_is(j, out, self, j_int(2), 1);
}

TEST(test_even)
{
    UNUSED;
    return remainder_is(j, out, self, j_int(2), 0);
}

TEST(test_divisibleby)
{
    UNUSED;
    return remainder_is(j, out, self, arg[0], 0);
}

TEST(test_sameas)
{
    UNUSED;
    return answer(out, cud_j_same(self, arg[0]));
}

TEST(test_filter)
{
    UNUSED;
    return answer(out, self.kind == J_STRING && cud_j_find_filter(self.s, self.n));
}

TEST(test_test)
{
    UNUSED;
    return answer(out, self.kind == J_STRING && cud_j_find_test(self.s, self.n));
}

static bool compared(jrun *j, jvalue *out, jcompare how, jvalue a, jvalue b)
{
    bool holds;
    if (!cud_j_compare(j, how, a, b, &holds)) return false;
    return answer(out, holds);
}

TEST(test_eq)
{
    UNUSED;
    return compared(j, out, J_EQ, self, arg[0]);
}

TEST(test_ne)
{
    UNUSED;
    return compared(j, out, J_NE, self, arg[0]);
}

TEST(test_lt)
{
    UNUSED;
    return compared(j, out, J_LT, self, arg[0]);
}

TEST(test_le)
{
    UNUSED;
    return compared(j, out, J_LE, self, arg[0]);
}

TEST(test_gt)
{
    UNUSED;
    return compared(j, out, J_GT, self, arg[0]);
}

TEST(test_ge)
{
    UNUSED;
    return compared(j, out, J_GE, self, arg[0]);
}

TEST(test_in)
{
    UNUSED;
    return compared(j, out, J_IN, self, arg[0]);
}

static const jbuiltin rows[] = {
    { "defined", "", test_defined },
    { "undefined", "", test_undefined },
    { "none", "", test_none },
    { "boolean", "", test_boolean },
    { "true", "", test_true },
    { "false", "", test_false },
    { "integer", "", test_integer },
    { "float", "", test_float },
    { "number", "", test_number },
    { "string", "", test_string },
    { "mapping", "", test_mapping },
    { "iterable", "", test_iterable },
    { "sequence", "", test_sequence },
    { "callable", "", test_callable },
    { "escaped", "", test_escaped },
    { "upper", "", test_upper },
    { "lower", "", test_lower },
    { "odd", "", test_odd },
    { "even", "", test_even },
    { "divisibleby", "num!", test_divisibleby },
    { "sameas", "other!", test_sameas },
    { "filter", "", test_filter },
    { "test", "", test_test },
    { "in", "seq!", test_in },
    { "==", "other!", test_eq },
    { "eq", "other!", test_eq },
    { "equalto", "other!", test_eq },
    { "!=", "other!", test_ne },
    { "ne", "other!", test_ne },
    { "<", "other!", test_lt },
    { "lt", "other!", test_lt },
    { "lessthan", "other!", test_lt },
    { "<=", "other!", test_le },
    { "le", "other!", test_le },
    { ">", "other!", test_gt },
    { "gt", "other!", test_gt },
    { "greaterthan", "other!", test_gt },
    { ">=", "other!", test_ge },
    { "ge", "other!", test_ge },
};
const jtable cud_j_tests = { rows, sizeof rows / sizeof *rows };
