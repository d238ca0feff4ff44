/* What this machine is, beyond what cpu.h tells. */
#ifndef CUD_CPU_MACHINE_H
#define CUD_CPU_MACHINE_H

#include "cpu.h"

typedef enum cpu_isa { ISA_PORTABLE, ISA_AVX2, ISA_AVX512, ISA_AVX512_BF16, ISA_COUNT } cpu_isa; /* each includes those before */

enum { CPU_MAX_THREADS = 1024 };

cpu_isa cud_cpu_best_isa(void);
const char *cud_cpu_isa_name(cpu_isa isa);
cpu_isa cud_cpu_parse_isa(const char *name); /* ISA_COUNT if there is none of this name */
/* The processor's name, for people; "CPU" if the system does not tell. */
void cud_cpu_model_name(char *out, size_t size);

/* Reads data[0..bytes), whole lines of 64 bytes of it, and gives the sum of its words, for a probe. `ahead`: each line asks for the one a page
 * further on, which may lie past the end of anything. */
uint64_t cud_cpu_read_memory(const void *data, size_t bytes, bool ahead);

#endif
