#define LINEAR_TABLE cud_cpu_linear_avx2
#include "linear_kernels_impl.h"
