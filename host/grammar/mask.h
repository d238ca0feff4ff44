/* Which tokens may come next. */
#ifndef CUD_GRAMMAR_MASK_H
#define CUD_GRAMMAR_MASK_H

#include "grammar/automaton.h"
#include "text/lexicon.h"

/* The state's mask, made when it is first asked for and kept with the state. `scratch` is [x->longest + 1] states, `bits` is [x->words]. */
cuddle_status cud_mask_of(const gmask **out, automaton *a, const cud_lexicon *x, uint32_t state, uint32_t *scratch, uint32_t *bits,
                          cuddle_error *err);
void cud_mask_write(uint32_t *bits, size_t words, const gmask *mask);

#endif
