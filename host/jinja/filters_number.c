/* Filters that give numbers, and default. */
#include "jinja/builtins.h"
#include "jinja/number.h"

#include <math.h>
#include <stdio.h>

#define FILTER(name) static bool name(jrun *j, jvalue *out, jvalue self, const jvalue *arg, const jcall *call)
#define UNUSED (void)arg, (void)call

FILTER(filter_abs)
{
    UNUSED;
    if (self.kind == J_FLOAT)
        *out = j_float(fabs(self.f));
    else if (!j_is_whole(self))
        return self.kind == J_UNDEFINED ? cud_j_fail_undefined(j, self)
                                        : cud_j_fail(j, "'abs' needs a number, not a %s", cud_j_kind_name(self));
    else if (j_whole(self) < 0)
        return cud_j_arithmetic(j, N_SUB, j_int(0), self, out);
    else
        *out = j_int(j_whole(self));
    return true;
}

static bool to_int(jrun *j, jvalue *out, double f, jvalue otherwise)
{
    if (!isfinite(f))
        *out = otherwise;
    else if (f >= 9223372036854775808.0 || f < -9223372036854775808.0)
        return cud_j_fail_with(j, CUDDLE_E_LIMIT, "'int' gives an integer that 64 bits cannot hold");
    else
        *out = j_int((int64_t)f);
    return true;
}

FILTER(filter_int)
{
    (void)call;
    const jvalue otherwise = arg[0].kind == J_MISSING ? j_int(0) : arg[0];
    int64_t base = 10, value;
    bool large;
    double real;
    if (!cud_j_int_arg(j, &base, arg[1], "the base")) return false;
    *out = otherwise;
    if (j_is_whole(self)) {
        *out = j_int(j_whole(self));
    } else if (self.kind == J_FLOAT) {
        if (isinf(self.f)) return true;
        return to_int(j, out, self.f, otherwise);
    } else if (self.kind == J_STRING) {
        const bool fits = base == 0 || (base >= 2 && base <= 36);
        if (fits && cud_j_read_int(self.s, self.n, (int)base, &value, &large)) {
            if (large) return cud_j_fail_with(j, CUDDLE_E_LIMIT, "'int' gives an integer that 64 bits cannot hold");
            *out = j_int(value);
        } else if (cud_j_read_real(self.s, self.n, &real)) {
            return to_int(j, out, real, otherwise);
        }
    } else if (self.kind == J_UNDEFINED) {
        return cud_j_fail_undefined(j, self);
    }
    return true;
}

FILTER(filter_float)
{
    (void)call;
    double value;
    *out = arg[0].kind == J_MISSING ? j_float(0) : arg[0];
    if (self.kind == J_UNDEFINED) return cud_j_fail_undefined(j, self);
    if (j_is_number(self))
        *out = j_float(j_real(self));
    else if (self.kind == J_STRING && cud_j_read_real(self.s, self.n, &value))
        *out = j_float(value);
    return true;
}

FILTER(filter_round)
{
    (void)call;
    int64_t precision = 0;
    jvalue method = j_text("common");
    if (!cud_j_int_arg(j, &precision, arg[0], "the precision") || !cud_j_text_arg(j, &method, arg[1], "the method")) return false;
    if (self.kind == J_UNDEFINED) return cud_j_fail_undefined(j, self);
    if (!j_is_number(self)) return cud_j_fail(j, "'round' needs a number, not a %s", cud_j_kind_name(self));
    if (precision > 400) precision = 400;
    if (precision < -400) precision = -400;
    if (j_is_text(method, "common")) {
        if (self.kind == J_FLOAT) {
            *out = j_float(cud_j_round(self.f, (int)precision));
            return true;
        }
        int64_t value = j_whole(self), power = 1;
        for (; precision < 0; precision++)
            if (__builtin_mul_overflow(power, 10, &power)) {
                *out = j_int(0);
                return true;
            }
        const int64_t rest = value % power < 0 ? value % power + power : value % power, floor_ = value - rest;
        const bool up = rest > power - rest || (rest == power - rest && rest && (floor_ / power) % 2 != 0);
        *out = j_int(up ? floor_ + power : floor_);
        return true;
    }
    const bool up = j_is_text(method, "ceil");
    if (!up && !j_is_text(method, "floor")) return cud_j_fail(j, "'round' knows the methods common, ceil and floor");
    const double power = pow(10, (double)precision), scaled = j_real(self) * power;
    *out = j_float((up ? ceil(scaled) : floor(scaled)) / power);
    return true;
}

FILTER(filter_default)
{
    UNUSED;
    *out = self.kind == J_UNDEFINED || (j_flag_arg(arg[1], false) && !cud_j_truth(self))
               ? (arg[0].kind == J_MISSING ? j_string("", 0) : arg[0])
               : self;
    (void)j;
    return true;
}

FILTER(filter_filesizeformat)
{
    (void)call;
    double bytes = 0;
    if (self.kind == J_STRING ? !cud_j_read_real(self.s, self.n, &bytes) : !j_is_number(self))
        return cud_j_fail(j, "'filesizeformat' needs a number, not a %s", cud_j_kind_name(self));
    if (self.kind != J_STRING) bytes = j_real(self);
    const bool binary = j_flag_arg(arg[0], false);
    const double base = binary ? 1024 : 1000;
    char text[J_REAL_MOST];
    jvalue result = j_string("", 0);
    *out = j_text("1 Byte");
    if (bytes == 1) return true;
    if (bytes < base) {
        if (!cud_j_append(j, &result, text, (size_t)snprintf(text, sizeof text, "%lld Bytes", (long long)bytes))) return false;
    } else {
        static const char *const prefix[2][8] = { { "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB" },
                                                  { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB" } };
        double unit = base * base;
        int i = 0;
        while (i < 7 && bytes >= unit) unit *= base, i++;
        if (!cud_j_append(j, &result, text, cud_j_print_real(text, base * bytes / unit, 'f', 1, false)) ||
            !cud_j_append_text(j, &result, " ") || !cud_j_append_text(j, &result, prefix[binary][i]))
            return false;
    }
    *out = result;
    return true;
}

static const jbuiltin rows[] = {
    { "abs", "", filter_abs },
    { "int", "default base", filter_int },
    { "float", "default", filter_float },
    { "round", "precision method", filter_round },
    { "default", "default_value boolean", filter_default },
    { "d", "default_value boolean", filter_default },
    { "filesizeformat", "binary", filter_filesizeformat },
};
const jtable cud_j_number_filters = { rows, sizeof rows / sizeof *rows };
