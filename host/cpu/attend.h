/* attend's argument checks, apart because there are many. */
#ifndef CUD_CPU_ATTEND_H
#define CUD_CPU_ATTEND_H

#include "backend.h"

cuddle_status cud_cpu_attend_check(const attend_args *a, cuddle_error *err);

#endif
