#include "core/load.h"

#include "core/exec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *cud_load_mode_name(int mode)
{
    static const char *const names[] = { "auto", "map", "read", "ring", "register" };
    return mode >= CUDDLE_LOAD_AUTO && mode <= CUDDLE_LOAD_REGISTER ? names[mode] : "?";
}

cuddle_status cud_load_check_mode(int mode, unsigned modes, const char *name, cuddle_error *err)
{
    if (mode < CUDDLE_LOAD_AUTO || mode > CUDDLE_LOAD_REGISTER)
        return cud_fail(err, CUDDLE_E_ARG, "load is %d, expected AUTO, MAP, READ, RING or REGISTER", mode);
    if (mode == CUDDLE_LOAD_AUTO || modes >> mode & 1u) return CUDDLE_OK;
    char known[64] = "auto";
    size_t used = strlen(known);
    for (int m = CUDDLE_LOAD_MAP; m <= CUDDLE_LOAD_REGISTER; m++)
        if (modes >> m & 1u)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", modes >> (m + 1) ? ", " : " or ", cud_load_mode_name(m));
    return cud_fail(err, CUDDLE_E_ARG, "load is \"%s\", which %s cannot do, expected %s", cud_load_mode_name(mode), name, known);
}

/* Room for one more element; doubles, so that adding is linear. */
static void *grow(void *array, size_t count, size_t *capacity, size_t width)
{
    if (count < *capacity) return array;
    const size_t wanted = *capacity ? *capacity * 2 : 64;
    if (wanted > SIZE_MAX / width) return NULL;
    void *bigger = realloc(array, wanted * width);
    if (bigger) *capacity = wanted;
    return bigger;
}

cuddle_status cud_load_add_piece(load_plan *plan, const load_piece *piece, cuddle_error *err)
{
    load_piece *array = grow(plan->piece, plan->pieces, &plan->piece_capacity, sizeof *array);
    if (!array) return cud_nomem(err, (plan->pieces + 1) * sizeof *array, "the load plan");
    plan->piece = array;
    array[plan->pieces++] = *piece;
    plan->copy_bytes += piece->rows * piece->row_bytes;
    return CUDDLE_OK;
}

cuddle_status cud_load_add_binding(load_plan *plan, const load_binding *binding, cuddle_error *err)
{
    load_binding *array = grow(plan->binding, plan->bindings, &plan->binding_capacity, sizeof *array);
    if (!array) return cud_nomem(err, (plan->bindings + 1) * sizeof *array, "the load plan");
    plan->binding = array;
    array[plan->bindings++] = *binding;
    return CUDDLE_OK;
}

cuddle_status cud_load_reserve(load_plan *plan, uint64_t bytes, uint64_t *at, cuddle_error *err)
{
    const uint64_t limit = (uint64_t)1 << 52; /* far beyond any machine, far from overflow */
    if (bytes > limit || plan->arena_bytes > limit - bytes)
        return cud_fail(err, CUDDLE_E_LIMIT, "the weights need more than %llu bytes", (unsigned long long)limit);
    *at = plan->arena_bytes;
    plan->arena_bytes += (bytes + CUD_ALIGN - 1) / CUD_ALIGN * CUD_ALIGN;
    return CUDDLE_OK;
}

cuddle_status cud_load_bind(const load_plan *plan, void *arena, cuddle_error *err)
{
    for (size_t i = 0; i < plan->bindings; i++) {
        const load_binding *b = &plan->binding[i];
        const char *base = arena;
        if (b->in_place) {
            base = cud_source_map(b->in_place);
            if (!base) return cud_fail(err, CUDDLE_E_IO, "%s: cannot be mapped into memory; load it with mode READ", b->in_place->name);
        }
        *b->target = (void *)(uintptr_t)(base + b->at); /* weights are never written through */
    }
    return CUDDLE_OK;
}

void cud_load_plan_free(load_plan *plan)
{
    free(plan->piece);
    free(plan->binding);
    *plan = (load_plan){ 0 };
}
