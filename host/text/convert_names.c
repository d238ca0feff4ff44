/* Which class a folder's files are for, as transformers 5.24 finds it. */
#include "text/convert.h"

#include "format/path.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off: a row is a class */

static const struct { /* the class of a model type, for folders that name none or are known to name a wrong one */
    const char *class, *types;
} of_types[] = {
    { "AlbertTokenizer", "albert yoso" },
    { "BartTokenizer", "florence2" },
    { "BarthezTokenizer", "barthez" },
    { "BertTokenizer",
      "align bark bert blip bros chinese_clip convbert distilbert electra ernie flava git grounding-dino layoutlm "
      "megatron-bert mm-grounding-dino nezha nomic_bert qdqbert realm retribert squeezebert tvp vilt visual_bert" },
    { "BigBirdTokenizer", "big_bird" },
    { "BlenderbotTokenizer", "blenderbot" },
    { "CLIPTokenizer",
      "aimv2 clip clipseg groupvit omdet-turbo oneformer owlv2 owlvit sam3 sam3_video xclip" },
    { "CamembertTokenizer", "camembert" },
    { "CodeLlamaTokenizer", "code_llama" },
    { "CohereTokenizer", "aya_vision cohere cohere2" },
    { "DPRQuestionEncoderTokenizer", "dpr" },
    { "DebertaTokenizer", "deberta" },
    { "DebertaV2Tokenizer", "deberta-v2" },
    { "FunnelTokenizer", "funnel" },
    { "GPT2Tokenizer",
      "blip-2 codegen dbrx emu3 gpt2 gpt_neo gptj hyperclovax_vision_v2 instructblip instructblipvideo jais2 opt phi "
      "starcoder2" },
    { "GPTNeoXTokenizer", "falcon_mamba gpt_neox mamba mamba2 mpt olmo olmoe rwkv xlstm" },
    { "GemmaTokenizer",
      "diffusion_gemma gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text recurrent_gemma shieldgemma2 t5gemma zaya" },
    { "HerbertTokenizer", "herbert" },
    { "LEDTokenizer", "led" },
    { "LayoutLMv2Tokenizer", "layoutlmv2" },
    { "LlamaTokenizer", "idefics idefics2" },
    { "LxmertTokenizer", "lxmert" },
    { "MBart50Tokenizer", "mbart50" },
    { "MBartTokenizer", "mbart" },
    { "MPNetTokenizer", "mpnet" },
    { "MobileBertTokenizer", "mobilebert" },
    { "MvpTokenizer", "mvp" },
    { "NllbTokenizer", "nllb nllb-moe" },
    { "OpenAIGPTTokenizer", "openai-gpt" },
    { "PegasusTokenizer", "pegasus" },
    { "Qwen2Tokenizer",
      "audioflamingo3 colqwen2 cosmos3_omni dots3_note fun_asr_nano hunyuan_vl internvl lighton_ocr "
      "moss_transcribe_diarize ovis2 qianfan_ocr qwen2 qwen2_5_omni qwen2_5_vl qwen2_audio qwen2_moe qwen2_vl qwen3 "
      "qwen3_asr qwen3_moe qwen3_next qwen3_omni_moe qwen3_vl qwen3_vl_moe vibevoice" },
    { "ReformerTokenizer", "reformer" },
    { "RemBertTokenizer", "rembert" },
    { "RobertaTokenizer",
      "bart bridgetower clap data2vec-text ibert lilt longformer mega mra roberta roberta-prelayernorm" },
    { "SplinterTokenizer", "splinter" },
    { "T5Tokenizer", "mt5 musicgen musicgen_melody switch_transformers t5" },
    { "TokenizersBackend",
      "EvollaModel arctic aria beam bigbird_pegasus camembertv2-base canary chatlm cohere_asr ernie4_5 ernie4_5_moe "
      "fastspeech2_conformer flex_olmo fuyu glm glm4 glm4_moe glm4_moe_lite glm4v glm4v_moe glm_image glmasr got_ocr2 "
      "gpt_bigcode gradium_phonon_tts granite granitemoe granitemoehybrid granitemoeshared h2ovl_chat hyperclovax "
      "hyperclovax_vlm internlm2 internlm3 iquestcoder jamba kimi_k25 kimi_linear kosmos-2 llava llava_next "
      "mimo_v2_flash minicpm3 minicpm_ocr minicpmv minicpmv4_6 minicpmv4_7 minimax_m2 ministral ministral3 mistral "
      "mistral3 mistral_large4 mixtral modernbert modernbert-decoder molmo molmo2 nemo_speechlm nemotron nvfp4 "
      "nystromformer olmo2 olmo3 olmo_hybrid omniasr opencua openvla paddleocr_vl pegasus_x persimmon phi3 phi3_v "
      "phimoe pix2struct pixtral pocket_tts smolvlm stablelm step3_vl umt5 vipllava voxtral voxtral_realtime "
      "xlm-roberta-xl" },
    { "WhisperTokenizer", "whisper" },
    { "XLMRobertaTokenizer", "gte jina_embeddings_v3 metaclip_2 trocr xlm-roberta xmod" },
    { "XLNetTokenizer", "xlnet" },
};

/* Checkpoints of these name classes that they do not mean. */
static const char misnamed[] =
      "arctic camembertv2-base chatlm cohere_asr ernie4_5 ernie4_5_moe fuyu h2ovl_chat hyperclovax "
      "hyperclovax_vision_v2 hyperclovax_vlm internlm2 internlm3 iquestcoder jamba llava llava_next minicpm3 minicpmv "
      "minimax_m2 modernbert modernbert-decoder molmo molmo2 nemotron nvfp4 opencua openvla paddleocr_vl phi3 phi3_v "
      "phimoe qwen2 qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen4_exp siglip2 smolvlm step3_vl vipllava";

/* These have no class of their own, so whatever their folder names is believed; where it names none, it is TokenizersBackend. */
static const char unclassed[] =
      "apertus arcee bamba bitnet bloom deepseek_v2 deepseek_v3 deepseek_v32 diffllama doge dots1 exaone exaone4 falcon falcon_h1 "
      "gemma4 gpt_oss helium hunyuan_v1_dense hunyuan_v1_moe lfm2 lfm2_moe llama llama4 llama4_text minimax nemotron_h seed_oss "
      "smollm3 vaultgemma zamba zamba2";

#define PYTHON "is done by Python code of that name, which makes no tokenizer.json either"
static const struct {
    const char *class, *why;
} refused[] = {
    { "MarianTokenizer", "reads two SentencePiece models and looks their pieces up in a third file, which no tokenizer.json can say" },
    { "RoFormerTokenizer", "splits words with the dictionary of jieba, which no tokenizer.json can say" },
    { "BertJapaneseTokenizer", "splits words with the dictionary of MeCab, which no tokenizer.json can say" },
    { "Qwen3_5Tokenizer", "is made of a tokenizer.json alone" },
    { "XGLMTokenizer", "is made of a tokenizer.json alone" },
    { "M2M100Tokenizer", PYTHON },
    { "CTRLTokenizer", PYTHON },
    { "XLMTokenizer", PYTHON },
    { "FlaubertTokenizer", PYTHON },
    { "FSMTTokenizer", PYTHON },
    { "BertweetTokenizer", PYTHON },
    { "PhobertTokenizer", PYTHON },
    { "BioGptTokenizer", PYTHON },
    { "BlenderbotSmallTokenizer", PYTHON },
    { "BertGenerationTokenizer", PYTHON },
    { "GPTSw3Tokenizer", PYTHON },
    { "PLBartTokenizer", PYTHON },
    { "ProphetNetTokenizer", PYTHON },
    { "ByT5Tokenizer", PYTHON },
    { "CanineTokenizer", PYTHON },
};

/* clang-format on */

/* Is it a word of a list with spaces between its words? */
static bool is_word(const char *list, const char *word)
{
    const size_t length = strlen(word);
    if (!length || strchr(word, ' ')) return false;
    for (const char *at = list; (at = strstr(at, word)); at += length)
        if ((at == list || at[-1] == ' ') && (!at[length] || at[length] == ' ')) return true;
    return false;
}

static const char *class_of_type(const char *type)
{
    for (size_t i = 0; type && i < sizeof of_types / sizeof *of_types; i++)
        if (is_word(of_types[i].types, type)) return of_types[i].class;
    return NULL;
}

static size_t bare_length(const char *class)
{
    static const char fast[] = "Fast";
    return strlen(class) - (cud_path_has_suffix(class, fast) ? strlen(fast) : 0);
}

static bool same_class(const char *a, const char *b)
{
    const size_t length = bare_length(a);
    return bare_length(b) == length && strncmp(a, b, length) == 0;
}

static cuddle_status has_file(bool *out, const char *folder, const char *name, cuddle_error *err)
{
    char *path = NULL;
    const cuddle_status status = cud_path_join(&path, folder, name, err);
    *out = !status && cud_path_is_file(path);
    free(path);
    return status;
}

/* The class's name, and the field that says so; NULL if nothing does. */
static const char *find_name(const char **field, const json_view *config, const json_view *model)
{
    const char *type = json_string_value(json_object_get(model->value, "model_type")), *of_type = class_of_type(type);
    const char *name = json_string_value(json_object_get(config->value, "tokenizer_class"));
    const json_t *code = json_object_get(config->value, "auto_map");
    const bool wrong = type && is_word(misnamed, type);
    const bool has_code = !wrong && (json_is_array(code) || json_is_string(json_object_get(code, "AutoTokenizer")) ||
                                     json_is_array(json_object_get(code, "AutoTokenizer")));
    *field = "tokenizer_config.json: tokenizer_class";
    if (!name) {
        name = json_string_value(json_object_get(model->value, "tokenizer_class"));
        *field = "config.json: tokenizer_class";
    }
    if (name && (has_code || !of_type || same_class(name, of_type))) return name;
    if (name && !wrong && strcmp(of_type, "TokenizersBackend") != 0) return name;
    *field = "config.json: model_type";
    if (!of_type && type && is_word(unclassed, type)) return "TokenizersBackend";
    return of_type ? of_type : type;
}

const cud_recipe *cud_convert_class(const char *folder, const json_view *config, const json_view *model, cuddle_error *why)
{
    const char *field, *name = find_name(&field, config, model);
    if (!name) {
        cud_fail(why, CUDDLE_E_IO,
                 "there is no tokenizer.json in the folder, and neither tokenizer_config.json's tokenizer_class nor config.json's "
                 "model_type says what other files make a tokenizer");
        return NULL;
    }
    const cud_recipe *class = cud_recipe_named(name);
    for (size_t i = 0; !class && i < sizeof refused / sizeof *refused; i++)
        if (same_class(name, refused[i].class)) {
            cud_fail(why, CUDDLE_E_UNSUPPORTED, "there is no tokenizer.json, and %.60s, which %s names, %s", name, field, refused[i].why);
            return NULL;
        }
    if (!class) {
        cud_fail(why, CUDDLE_E_UNSUPPORTED, "%s is \"%.60s\", which needs a tokenizer.json", field, name);
        return NULL;
    }
    bool has = true;
    if (class->otherwise && has_file(&has, folder, class->files[0], why)) return NULL;
    if (!has) {
        const cud_recipe *other = cud_recipe_named(class->otherwise);
        if (has_file(&has, folder, other->files[0], why)) return NULL;
        if (has) class = other;
    }
    for (int i = 0; i < 2 && class->files[i]; i++) {
        if (has_file(&has, folder, class->files[i], why)) return NULL;
        if (has) continue;
        cud_fail(why, CUDDLE_E_IO, "there is neither a tokenizer.json nor a %s, which a %s reads", class->files[i], class->name);
        return NULL;
    }
    return class;
}
