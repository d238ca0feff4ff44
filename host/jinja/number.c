#include "jinja/number.h"

#include "jinja/chars.h"
#include "text/unicode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* printf and strtod use the locale's decimal point; what stands between the digits of 1.5 tells which. */
static size_t decimal_point(char out[16])
{
    char text[32];
    const int n = snprintf(text, sizeof text, "%.1f", 1.5);
    if (n < 3 || n > 16) return 0;
    memcpy(out, text + 1, (size_t)n - 2);
    return (size_t)n - 2;
}

size_t cud_j_print_real(char out[J_REAL_MOST], double value, char kind, int digits, bool alternate)
{
    if (isnan(value) || isinf(value)) return (size_t)sprintf(out, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
    char format[8];
    snprintf(format, sizeof format, alternate ? "%%#.*%c" : "%%.*%c", kind);
    const int n = snprintf(out, J_REAL_MOST, format, digits, value);
    if (n < 0 || n >= J_REAL_MOST) return 0;
    char point[16];
    const size_t length = decimal_point(point);
    char *found = length == 1 && *point == '.' ? NULL : strstr(out, point);
    if (!found) return (size_t)n;
    *found = '.';
    memmove(found + 1, found + length, strlen(found + length) + 1);
    return strlen(out);
}

double cud_j_parse_real(const char *text, size_t length)
{
    char copy[512], point[16];
    const size_t wide = decimal_point(point);
    size_t n = 0;
    for (size_t i = 0; i < length && n + 16 < sizeof copy; i++) {
        if (text[i] != '.')
            copy[n++] = text[i];
        else
            memcpy(copy + n, point, wide), n += wide;
    }
    copy[n] = 0;
    return strtod(copy, NULL);
}

size_t cud_j_repr_real(char out[J_REAL_MOST], double value)
{
    if (isnan(value) || isinf(value)) return cud_j_print_real(out, value, 'f', 1, false);
    char text[J_REAL_MOST];
    int precision = 0;
    do cud_j_print_real(text, value, 'e', precision, false);
    while (cud_j_parse_real(text, strlen(text)) != value && ++precision < 17);
    char digit[32];
    int count = 0;
    const char *e = strchr(text, 'e');
    for (const char *s = text; s < e; s++)
        if (*s >= '0' && *s <= '9') digit[count++] = *s;
    const int exponent = atoi(e + 1);
    char *o = out;
    if (text[0] == '-') *o++ = '-';
    if (exponent < -4 || exponent >= 16) {
        *o++ = digit[0];
        if (count > 1) {
            *o++ = '.';
            memcpy(o, digit + 1, (size_t)count - 1);
            o += count - 1;
        }
        o += sprintf(o, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return (size_t)(o - out);
    }
    for (int i = exponent < 0 ? exponent : 0; i < count || i <= exponent; i++) {
        *o++ = i < 0 || i >= count ? '0' : digit[i];
        if (i == exponent) *o++ = '.';
    }
    if (o[-1] == '.') *o++ = '0';
    *o = 0;
    return (size_t)(o - out);
}

/* Without blanks around it. */
static void strip(const char **text, size_t *length)
{
    size_t n;
    while (*length && cud_j_is_space(cud_utf8_decode(*text, &n))) *text += n, *length -= n;
    while (*length && cud_j_is_space(cud_utf8_decode_before(*text, *text + *length, &n))) *length -= n;
}

static int value_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'z') return c - 'a' + 10;
    return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
}

bool cud_j_read_int(const char *text, size_t length, int base, int64_t *out, bool *large)
{
    *large = false;
    strip(&text, &length);
    bool negative = false;
    if (length && (*text == '-' || *text == '+')) negative = *text == '-', text++, length--;
    if (length > 2 && *text == '0') {
        const char letter = (char)(text[1] | 0x20);
        const int named = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
        if (named && (base == named || base == 0)) {
            base = named;
            text += 2, length -= 2;
            if (length && *text == '_') text++, length--;
        }
    }
    if (base == 0) {
        base = 10;
        bool zeros = true; /* int("012", 0) is an error, int("000", 0) is not */
        for (size_t i = 0; i < length; i++) zeros = zeros && (text[i] == '0' || text[i] == '_');
        if (length > 1 && *text == '0' && !zeros) return false;
    }
    int64_t value = 0;
    bool digit = false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '_') {
            if (!digit || i + 1 == length) return false;
            digit = false;
            continue;
        }
        const int d = value_of(text[i]);
        if (d >= base) return false;
        digit = true;
        if (__builtin_mul_overflow(value, base, &value) || __builtin_sub_overflow(value, d, &value)) *large = true;
    }
    if (!digit) return false;
    if (!negative && value == INT64_MIN) *large = true;
    if (!*large) *out = negative ? value : -value;
    return true;
}

/* Digits with single underscores between them, copied without those; NULL if there are none. */
static const char *copy_digits(const char *s, const char *end, char **out, const char *room)
{
    const char *begin = s;
    for (; s < end && ((*s >= '0' && *s <= '9') || (*s == '_' && s > begin && s[-1] != '_')); s++) {
        if (*s == '_') continue;
        if (*out == room) return NULL;
        *(*out)++ = *s;
    }
    return s > begin && s[-1] != '_' ? s : NULL;
}

bool cud_j_read_real(const char *text, size_t length, double *out)
{
    strip(&text, &length);
    const char *s = text, *end = text + length;
    char copy[480], *o = copy;
    bool negative = false;
    if (s < end && (*s == '-' || *s == '+')) negative = *s++ == '-';
    char word[10] = "";
    for (size_t i = 0; i < (size_t)(end - s) && i < sizeof word - 1; i++) word[i] = (char)(s[i] | 0x20);
    if (strcmp(word, "inf") == 0 || strcmp(word, "infinity") == 0 || strcmp(word, "nan") == 0) {
        *out = word[0] == 'n' ? (double)NAN : negative ? -(double)INFINITY : (double)INFINITY;
        return end - s == 3 || end - s == 8;
    }
    bool some = false;
    if (s < end && *s != '.') {
        if (!(s = copy_digits(s, end, &o, copy + 460))) return false;
        some = true;
    }
    if (s < end && *s == '.') {
        *o++ = '.';
        s++;
        if (s < end && *s >= '0' && *s <= '9') {
            if (!(s = copy_digits(s, end, &o, copy + 461))) return false;
            some = true;
        }
    }
    if (!some) return false;
    if (s < end && (*s == 'e' || *s == 'E')) {
        *o++ = 'e';
        s++;
        if (s < end && (*s == '-' || *s == '+')) *o++ = *s++;
        if (!(s = copy_digits(s, end, &o, copy + sizeof copy - 1))) return false;
    }
    if (s != end) return false;
    *out = cud_j_parse_real(copy, (size_t)(o - copy));
    if (negative) *out = -*out;
    return true;
}

double cud_j_round(double value, int digits)
{
    if (!isfinite(value) || digits > 300) return value;
    if (digits >= 0) {
        char text[J_REAL_MOST + 400];
        const int n = snprintf(text, sizeof text, "%.*f", digits, value);
        return n > 0 && n < (int)sizeof text ? strtod(text, NULL) : value;
    }
    if (digits < -308) return 0 * value;
    const double power = pow(10, -digits), quotient = value / power, whole = rint(quotient);
    return whole * power;
}
