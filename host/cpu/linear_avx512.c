#define LINEAR_TABLE cud_cpu_linear_avx512
#include "linear_kernels_impl.h"
