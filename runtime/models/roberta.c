/* RoBERTa: transformers/models/roberta/{configuration,modeling}_roberta.py. */
#include "models/roberta_rows.h"

static const char *const architectures[] = { ROBERTA_ARCHITECTURES("Roberta") };
static const architecture_row variants[] = { ROBERTA_VARIANTS("Roberta") };
static const config_row config[] = { ROBERTA_CONFIG(50265) };
static const tensor_row tensors[] = { ROBERTA_TENSORS };

const family cud_family_roberta = {
    .model_type = "roberta",
    .architectures = architectures,
    .variants = variants,
    .config = config,
    .tensors = tensors,
    .base = ROBERTA_BASE,
};
