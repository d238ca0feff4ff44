#define ROWS_TABLE cud_cpu_rows_avx512
#include "row_kernels_impl.h"
