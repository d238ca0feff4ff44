#define SAMPLE_ROW cud_cpu_sample_avx2
#include "sample_kernels_impl.h"
