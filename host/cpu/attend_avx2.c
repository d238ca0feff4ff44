#define ATTEND_SUM cud_cpu_attend_avx2
#include "attend_kernels_impl.h"
