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
    &cud_family_bert,
    &cud_family_roberta,
    &cud_family_xlm_roberta,
    &cud_family_camembert,
    &cud_family_distilbert,
    &cud_family_electra,
    &cud_family_albert,
    &cud_family_mpnet,
    &cud_family_modernbert,
    &cud_family_nomic_bert,
    NULL,
};
