/* XLM-RoBERTa: transformers/models/xlm_roberta/{configuration,modeling}_xlm_roberta.py. */
#include "models/roberta_rows.h"

static const char *const architectures[] = { ROBERTA_ARCHITECTURES("XLMRoberta") };
static const architecture_row variants[] = { ROBERTA_VARIANTS("XLMRoberta") };
static const config_row config[] = { ROBERTA_CONFIG(30522) };
static const tensor_row tensors[] = { ROBERTA_TENSORS };

const family cud_family_xlm_roberta = {
    .model_type = "xlm-roberta",
    .architectures = architectures,
    .variants = variants,
    .config = config,
    .tensors = tensors,
    .base = ROBERTA_BASE,
};
