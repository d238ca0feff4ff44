#define ROWS_TABLE cud_cpu_rows_portable
#include "row_kernels_impl.h"
