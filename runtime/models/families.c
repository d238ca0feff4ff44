/* The families there are. To add one: a row file and a line here. */
#include "models/family.h"

const family *const cud_families[] = {
    &cud_family_gpt2,
    &cud_family_llama,
    &cud_family_mistral,
    &cud_family_qwen2,
    &cud_family_qwen3,
    &cud_family_gpt_neox,
    &cud_family_phi3,
    &cud_family_gemma2,
    NULL,
};
