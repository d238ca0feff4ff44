/* What tests of engines through cuddle.h share. Whatever fails fails the test. */
#ifndef CUD_TESTS_ENGINE_SUPPORT_H
#define CUD_TESTS_ENGINE_SUPPORT_H

#include "cuddle.h"
#include "support.h"

#include <string.h>

/* On the device that is tested, with two threads of the CPU and, unless `threads` is 0, one of its own. */
cuddle_engine_options test_engine_options(int threads);
cuddle_engine *test_engine(const cuddle_engine_options *o);
/* float32, and the defaults. */
cuddle_model_options test_model_options(void);
/* A checkpoint below tests/, loaded. */
cuddle_model *test_model(cuddle_engine *engine, const char *name, const cuddle_model_options *o);

/* So many tokens, the likeliest, whatever they are. */
cuddle_generation_options test_greedy(int tokens);
cuddle_request *test_submit_ids(cuddle_model *h, const int32_t *ids, size_t count, const cuddle_generation_options *o);
cuddle_request *test_submit_text(cuddle_model *h, const char *text, const cuddle_generation_options *o);
/* Of a request that has ended. */
cuddle_result test_result(cuddle_request *r);
/* Waits for it first, until it has ended by itself. */
cuddle_result test_finished(cuddle_request *r);

/* For engines without a thread. False: there was nothing to do. */
bool test_step(cuddle_engine *engine);
/* Steps until there is nothing to do; fails if that never comes. */
void test_run_steps(cuddle_engine *engine);

#endif
