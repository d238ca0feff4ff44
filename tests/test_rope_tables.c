/* Rotary tables against their definitions in double: Llama 3's and YaRN's (https://arxiv.org/abs/2309.00071), with settings whose clamps
 * and special cases no checkpoint of tests/parity/ meets. */
#include "models/rope.h"
#include "support.h"

#include <math.h>

static const struct {
    const char *name;
    int dim;
    rope_spec r;
} tables[] = {
    { "default", 16, { .kind = ROPE_DEFAULT, .theta = 1e4 } },
    { "default, factor not read", 16, { .kind = ROPE_DEFAULT, .theta = 500, .factor = 3 } },
    { "linear", 20, { .kind = ROPE_LINEAR, .theta = 1e4, .factor = 4 } },
    { "llama3", 32, { .kind = ROPE_LLAMA3, .theta = 500, .factor = 8, .low_freq_factor = 1, .high_freq_factor = 4, .original_max = 64 } },
    { "llama3, other bounds", 32, { .kind = ROPE_LLAMA3, .theta = 1e5, .factor = 3, .low_freq_factor = 2, .high_freq_factor = 9, .original_max = 900 } },
    { "yarn", 64, { .kind = ROPE_YARN, .theta = 1e4, .factor = 4, .original_max = 4096, .beta_fast = 32, .beta_slow = 1, .truncate = true } },
    { "yarn, not truncated", 64, { .kind = ROPE_YARN, .theta = 1e4, .factor = 4, .original_max = 4096, .beta_fast = 32, .beta_slow = 1 } },
    { "yarn, shortened", 64, { .kind = ROPE_YARN, .theta = 1e4, .factor = 0.5, .original_max = 4096, .beta_fast = 32, .beta_slow = 1, .truncate = true } },
    { "yarn, factor 1", 64, { .kind = ROPE_YARN, .theta = 1e4, .factor = 1, .original_max = 4096, .beta_fast = 32, .beta_slow = 1, .truncate = true } },
    { "yarn, attention factor", 32,
      { .kind = ROPE_YARN, .theta = 1e3, .factor = 6, .original_max = 300, .beta_fast = 20, .beta_slow = 2, .attention_factor = 1.7, .mscale = 0.7,
        .mscale_all_dim = 0.3, .truncate = true } },
    { "yarn, mscale", 32,
      { .kind = ROPE_YARN, .theta = 1e3, .factor = 6, .original_max = 300, .beta_fast = 20, .beta_slow = 2, .mscale = 0.7, .mscale_all_dim = 0.3,
        .truncate = true } },
    { "yarn, half of mscale", 32,
      { .kind = ROPE_YARN, .theta = 1e3, .factor = 6, .original_max = 300, .beta_fast = 20, .beta_slow = 2, .mscale = 0.7, .truncate = true } },
    { "yarn, other half", 32,
      { .kind = ROPE_YARN, .theta = 1e3, .factor = 6, .original_max = 300, .beta_fast = 20, .beta_slow = 2, .mscale_all_dim = 0.7, .truncate = true } },
    { "yarn, begins before 0", 16, { .kind = ROPE_YARN, .theta = 1e4, .factor = 4, .original_max = 8, .beta_fast = 32, .beta_slow = 0.01, .truncate = true } },
    { "yarn, ends behind all", 8, { .kind = ROPE_YARN, .theta = 2, .factor = 4, .original_max = 1000000, .beta_fast = 60000, .beta_slow = 1 } },
    { "yarn, ends just before", 8, { .kind = ROPE_YARN, .theta = 10, .factor = 4, .original_max = 265, .beta_fast = 32, .beta_slow = 1 } },
    { "yarn, at once", 16, { .kind = ROPE_YARN, .theta = 10, .factor = 4, .original_max = 20, .beta_fast = 1, .beta_slow = 1 } },
};
enum { TABLES = sizeof tables / sizeof *tables, DIM = 64, POSITIONS = 50 };

static double mscale(double factor, double m) { return factor <= 1 ? 1 : 0.1 * m * log(factor) + 1; }

static double turns_at(double turns, int dim, const rope_spec *r) { return dim * log((double)r->original_max / (turns * 2 * acos(-1))) / (2 * log(r->theta)); }

/* Frequency of pair i, and what cosines and sines are multiplied with. */
static double reference(const rope_spec *r, int dim, int i, double *attention)
{
    const double plain = pow(r->theta, -2.0 * i / dim);
    *attention = 1;
    if (r->kind == ROPE_LINEAR) return plain / r->factor;
    if (r->kind == ROPE_LLAMA3) {
        const double turns = (double)r->original_max * plain / (2 * acos(-1));
        const double kept = fmin(1, fmax(0, (turns - r->low_freq_factor) / (r->high_freq_factor - r->low_freq_factor)));
        return kept * plain + (1 - kept) * plain / r->factor;
    }
    if (r->kind == ROPE_YARN) {
        double low = turns_at(r->beta_fast, dim, r), high = turns_at(r->beta_slow, dim, r);
        if (r->truncate) low = floor(low), high = ceil(high);
        low = fmax(low, 0), high = fmin(high, dim - 1);
        const double ramp = fmin(1, fmax(0, (i - low) / (high > low ? high - low : 0.001)));
        *attention = r->attention_factor > 0 ? r->attention_factor
                     : r->mscale > 0 && r->mscale_all_dim > 0 ? mscale(r->factor, r->mscale) / mscale(r->factor, r->mscale_all_dim)
                                                                : mscale(r->factor, 1);
        return plain * (1 - ramp) + plain / r->factor * ramp;
    }
    return plain;
}

START_TEST(frequencies_are_those_of_the_definition)
{
    float got[DIM / 2], filled[DIM / 2], table[POSITIONS * DIM];
    double attention, factor;
    const int dim = tables[_i].dim, half = dim / 2;
    cud_rope_frequencies(got, &attention, &tables[_i].r, dim);
    cud_rope_fill(table, filled, &tables[_i].r, dim, POSITIONS);
    for (int i = 0; i < half; i++) {
        const double want = reference(&tables[_i].r, dim, i, &factor);
        ck_assert_msg(fabs((double)got[i] - want) <= 2e-6 * want, "%s: frequency %d is %.9g, expected %.9g", tables[_i].name, i, (double)got[i], want);
        ck_assert_msg(fabs(attention - factor) <= 1e-12, "%s: attention factor %.9g, expected %.9g", tables[_i].name, attention, factor);
        for (int p = 0; p < POSITIONS; p++) {
            const double error = factor * (3e-6 * p * want + 2e-7), cosine = factor * cos(p * want), sine = factor * sin(p * want);
            ck_assert_msg(fabs((double)table[p * dim + i] - cosine) <= error, "%s: cosine %d at %d", tables[_i].name, i, p);
            ck_assert_msg(fabs((double)table[p * dim + half + i] - sine) <= error, "%s: sine %d at %d", tables[_i].name, i, p);
        }
    }
}
END_TEST

START_TEST(the_part_that_turns_is_even)
{
    ck_assert_int_eq(cud_rope_dim(&(rope_spec){ .partial = 1 }, 64), 64);
    ck_assert_int_eq(cud_rope_dim(&(rope_spec){ .partial = 0.25 }, 80), 20);
    ck_assert_int_eq(cud_rope_dim(&(rope_spec){ .partial = 0.9 }, 8), 6); /* 7.2 */
    ck_assert_int_eq(cud_rope_dim(&(rope_spec){ .partial = 0.1 }, 8), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rope_tables");
    TCase *tc = tcase_create("rope_tables");
    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, frequencies_are_those_of_the_definition, 0, TABLES);
    tcase_add_test(tc, the_part_that_turns_is_even);
    suite_add_tcase(suite, tc);
    return test_run(suite);
}
