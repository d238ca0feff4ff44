/* What TSan must see of two threads that use the device, and what it must not: the emulation's lock orders nothing that CUDA does not
 * order. Without TSan the scenarios merely run. */
#include "emulation.h"

#include <cuda_runtime_api.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cudaStream_t stream;
static cudaEvent_t event;
static int value;          /* what the threads hand over */
static atomic_int recorded; /* relaxed: says that the event was recorded, and orders nothing */

static void check(cudaError_t error)
{
    if (error == cudaSuccess) return;
    fprintf(stderr, "%s\n", cudaGetErrorString(error));
    exit(1);
}

/* Both threads call CUDA around their access, but nothing orders the two. */
static void *unordered(void *user)
{
    (void)user;
    check(cudaStreamSynchronize(stream));
    value++;
    check(cudaStreamSynchronize(stream));
    return NULL;
}

static void *producer(void *user)
{
    (void)user;
    value = 7;
    check(cudaEventRecord(event, stream));
    atomic_store_explicit(&recorded, 1, memory_order_relaxed);
    return NULL;
}

static void *consumer(void *user)
{
    (void)user;
    while (!atomic_load_explicit(&recorded, memory_order_relaxed)) sched_yield();
    check(cudaEventSynchronize(event));
    if (value != 7) exit(1);
    return NULL;
}

static void scenario(int which)
{
    void *(*const functions[2][2])(void *) = { { unordered, unordered }, { producer, consumer } };
    pthread_t threads[2];
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, functions[which][i], NULL)) exit(1);
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    check(cudaEventDestroy(event));
    check(cudaStreamDestroy(stream));
}

static int run_child(const char *program, int which, int expect_race)
{
    char command[600], line[512];
    int reported = 0;
    snprintf(command, sizeof command, "'%s' %d 2>&1", program, which);
    FILE *child = popen(command, "r");
    if (!child) return 1;
    while (fgets(line, sizeof line, child)) reported |= strstr(line, "ThreadSanitizer: data race") != NULL;
    const int failed = pclose(child) != 0;
    printf("scenario %d: %s\n", which, reported ? "a race was reported" : "no race was reported");
    return reported != expect_race || failed != expect_race;
}

int main(int argc, char **argv)
{
#ifdef __SANITIZE_THREAD__
    const int with_tsan = 1;
#else
    const int with_tsan = 0;
#endif
    if (argc > 1) {
        scenario(atoi(argv[1]) != 0);
        return 0;
    }
    char program[512] = "";
    if (readlink("/proc/self/exe", program, sizeof program - 1) <= 0) return 1;
    return run_child(program, 0, with_tsan) | run_child(program, 1, 0);
}
