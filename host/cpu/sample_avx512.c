#define SAMPLE_ROW cud_cpu_sample_avx512
#include "sample_kernels_impl.h"
