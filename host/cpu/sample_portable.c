#define SAMPLE_ROW cud_cpu_sample_portable
#include "sample_kernels_impl.h"
