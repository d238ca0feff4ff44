/* CamemBERT: transformers/models/camembert/{configuration,modeling}_camembert.py. */
#include "models/roberta_rows.h"

static const char *const architectures[] = { ROBERTA_ARCHITECTURES("Camembert") };
static const architecture_row variants[] = { ROBERTA_VARIANTS("Camembert") };
static const config_row config[] = { ROBERTA_CONFIG(30522) };
static const tensor_row tensors[] = { ROBERTA_TENSORS };

const family cud_family_camembert = {
    .model_type = "camembert",
    .architectures = architectures,
    .variants = variants,
    .config = config,
    .tensors = tensors,
    .base = ROBERTA_BASE,
};
