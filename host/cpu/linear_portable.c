#define LINEAR_TABLE cud_cpu_linear_portable
#include "linear_kernels_impl.h"
