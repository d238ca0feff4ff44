#include "cpu/pool.h"
#include "support.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MOST = 1000, THREADS = 5 };

typedef struct tally {
    atomic_int times[MOST];
    int plain[MOST]; /* written without synchronisation: the pool's job is to give it */
    atomic_int busy[THREADS];
    atomic_bool twice; /* a thread did two parts at once */
    int round;
} tally;

static void count(void *arg, int part, int thread)
{
    tally *t = arg;
    if (atomic_fetch_add(&t->busy[thread], 1) != 0) atomic_store(&t->twice, true);
    atomic_fetch_add(&t->times[part], 1);
    t->plain[part] = t->round;
    atomic_fetch_sub(&t->busy[thread], 1);
}

START_TEST(does_every_part_once)
{
    cuddle_error err = { 0 };
    pool *p;
    for (int threads = 1; threads <= THREADS; threads++) {
        ck_ok(cud_pool_new(&p, threads, &err));
        ck_assert_int_eq(cud_pool_threads(p), threads);
        tally *t = calloc(1, sizeof *t);
        for (int round = 0; round < 300; round++) {
            const int parts = round * 37 % MOST;
            t->round = round;
            memset(t->times, 0, sizeof t->times);
            cud_pool_run(p, count, t, parts);
            for (int i = 0; i < MOST; i++)
                if (atomic_load(&t->times[i]) != (i < parts) || (i < parts && t->plain[i] != round)) ck_abort_msg("part %d of %d", i, parts);
            ck_assert(!atomic_load(&t->twice));
            if (round % 100 == 50) usleep(5000); /* workers fall asleep and are woken */
        }
        free(t);
        cud_pool_free(p);
    }
}
END_TEST

static void slow_first(void *arg, int part, int thread)
{
    (void)thread;
    if (part == 0) usleep(3000);
    atomic_fetch_add((atomic_int *)arg, 1);
}

START_TEST(waits_for_the_slowest)
{
    cuddle_error err = { 0 };
    pool *p;
    ck_ok(cud_pool_new(&p, 3, &err));
    for (int i = 0; i < 30; i++) {
        atomic_int done = 0;
        cud_pool_run(p, slow_first, &done, 3);
        ck_assert_int_eq(atomic_load(&done), 3);
    }
    cud_pool_free(p);
}
END_TEST

typedef struct meeting { atomic_int here; atomic_bool alone; } meeting;

static void meet(void *arg, int part, int thread)
{
    meeting *m = arg;
    (void)part, (void)thread;
    atomic_fetch_add(&m->here, 1);
    for (int i = 0; i < 20000 && atomic_load(&m->here) < 3; i++) usleep(1000); /* 20 s: for a machine that is busy */
    if (atomic_load(&m->here) < 3) atomic_store(&m->alone, true);
}

/* Three parts that wait for each other need three threads, those that spin and those that have gone to sleep. */
START_TEST(all_threads_take_part)
{
    cuddle_error err = { 0 };
    pool *p;
    ck_ok(cud_pool_new(&p, 3, &err));
    for (int i = 0; i < 4; i++) {
        meeting m = { 0, false };
        if (i % 2) usleep(100000); /* much longer than they spin */
        cud_pool_run(p, meet, &m, 3);
        ck_assert(!atomic_load(&m.alone));
    }
    cud_pool_free(p);
}
END_TEST

START_TEST(can_be_made_and_freed_many_times)
{
    cuddle_error err = { 0 };
    for (int i = 0; i < 100; i++) {
        pool *p;
        ck_ok(cud_pool_new(&p, 1 + i % 4, &err));
        cud_pool_free(p);
    }
    cud_pool_free(NULL);
}
END_TEST

/* Threads run out half way: the ones that started are joined, and the sentence says how many there were. */
START_TEST(cleans_up_when_threads_run_out)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return; /* they map far more than any limit */
#else
    struct rlimit before, tight;
    cuddle_error err = { 0 };
    pool *p = NULL;
    char statm[64] = { 0 };
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_gt(fread(statm, 1, sizeof statm - 1, f), 0);
    fclose(f);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
    tight = before;
    tight.rlim_cur = strtoul(statm, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)100 << 20); /* a dozen stacks of 8 MiB */
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &tight), 0);
    struct rlimit now;
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &now), 0);
    if (now.rlim_cur != tight.rlim_cur) return; /* qemu-user leaves out this limit, which would be its own */
    const cuddle_status status = cud_pool_new(&p, 500, &err);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
    test_expect_failure(status, CUDDLE_E_NOMEM, &err);
    ck_assert_ptr_null(p);
    ck_assert_ptr_nonnull(strstr(err.text, "worker threads"));
#endif
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pool");
    TCase *tc = tcase_create("pool");
    suite_add_tcase(s, tc);
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, does_every_part_once);
    tcase_add_test(tc, waits_for_the_slowest);
    tcase_add_test(tc, all_threads_take_part);
    tcase_add_test(tc, can_be_made_and_freed_many_times);
    tcase_add_test(tc, cleans_up_when_threads_run_out);
    return test_run(s);
}
