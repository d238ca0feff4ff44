#define ROWS_TABLE cud_cpu_rows_avx2
#include "row_kernels_impl.h"
