#define ATTEND_SUM cud_cpu_attend_portable
#include "attend_kernels_impl.h"
