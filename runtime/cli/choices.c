#include "cli/choices.h"

#define FIELD(name) offsetof(choice_options, name)
const option_row choice_rows[] = {
    { "n", OPTION_INT, FIELD(n), 1, 128, "N", "choices to print when all are done, each with a seed one higher than that before it (default: 1)" },
    { "best-of", OPTION_INT, FIELD(best_of), 1, 128, "N",
      "choices to make, of which those with the highest mean log-probability are printed, the best first (default: --n)" },
    { "beams", OPTION_INT, FIELD(beams), 1, 64, "N",
      "beam search: the --n best of N sequences, without drawing (--temperature 0 is the default with it) and without --best-of, --logprobs, --stop "
      "and structured output; 1 (default): off" },
    { "length-penalty", OPTION_FLOAT, FIELD(length_penalty), -100, 100, "X",
      "with --beams: sequences are compared by their log-probability / their length to the power of X (default: 1)" },
    { "early-stopping", OPTION_CHOICE, FIELD(early_stopping), 0, 0, "off|on|never",
      "when a search that has as many finished sequences as beams ends: on at once, off (default) when the best beam, were it finished now, would be "
      "no better, never when no beam can become better" },
    { 0 },
};

int choices_check(const command *c, const choice_options *own, const generation_settings *how, const char *other)
{
    if (own->best_of && own->best_of < own->n)
        return usage_error(c, "--best-of is %d, expected --n, which is %d, or more", own->best_of, own->n);
    if (own->beams <= 1) {
        const char *needs = !isnan(own->length_penalty) ? "length-penalty" : own->early_stopping >= 0 ? "early-stopping" : NULL;
        return needs ? usage_error(c, "--%s needs --beams, at least 2", needs) : 0;
    }
    if (own->n > own->beams) return usage_error(c, "--n is %d, expected at most --beams, which is %d", own->n, own->beams);
    if (how->temperature > 0) return usage_error(c, "--temperature is %g, but --beams draws nothing: expected 0", (double)how->temperature);
    if (how->max_tokens == 0) return usage_error(c, "--max-tokens is 0, but --beams needs at least 1");
    if (own->best_of) other = "best-of";
    else if (how->stop.count) other = "stop";
    return other ? usage_error(c, "--%s does not go with --beams", other) : 0;
}

void choices_fill(cuddle_generation_options *out, generation_settings *how, const choice_options *own)
{
    out->n = own->n;
    out->best_of = own->best_of;
    if (own->beams <= 1) return;
    out->num_beams = own->beams;
    if (!isnan(own->length_penalty)) out->length_penalty = own->length_penalty;
    if (own->early_stopping >= 0) out->early_stopping = (cuddle_early_stopping)own->early_stopping;
    out->temperature = how->temperature = 0;
}

int choices_made(const choice_options *own)
{
    const int given = own->n > 1 ? own->n : 1, made = own->best_of > given ? own->best_of : given;
    return own->beams > made ? own->beams : made;
}
