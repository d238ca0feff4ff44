/* The families there are. To add one: a row file and a line here. */
#include "models/family.h"

const family *const cud_families[] = { &cud_family_gpt2, &cud_family_llama, NULL };
