/* transformers' clean_up_tokenization(): spaces before punctuation go, one replacement after the other on the whole decoded text.
 */
#include "text/load.h"
#include "text/substitute.h"

#include <stdlib.h>
#include <string.h>

static const char *const rules[][2] = { { " .", "." },     { " ?", "?" },   { " !", "!" },   { " ,", "," },     { " ' ", "'" },
                                        { " n't", "n't" }, { " 'm", "'m" }, { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" } };

typedef struct cleanup_config {
    const char *from, *to;
    uint32_t borders[8];
} cleanup_config;

static cuddle_status cleanup_feed(cud_stream *s, const char *text, size_t size, unsigned edges, cuddle_error *err)
{
    const cleanup_config *c = s->config;
    const cud_substitution what = { c->from, c->borders, strlen(c->from), c->to, strlen(c->to) };
    return cud_substitute(s, &what, text, size, edges, err);
}

const cud_decoder_type cud_decoder_cleanup = { { "clean_up_tokenization", NULL, NULL }, cleanup_feed, NULL, NULL };

cuddle_status cud_cleanup_add(cud_components *decoders, cuddle_error *err)
{
    cuddle_status status = cud_components_add(decoders, &cud_decoder_fuse.base, NULL, err);
    for (size_t i = 0; i < sizeof rules / sizeof *rules && !status; i++) {
        cleanup_config *c = calloc(1, sizeof *c);
        if (!c) return cud_nomem(err, sizeof *c, "decoders");
        c->from = rules[i][0];
        c->to = rules[i][1];
        cud_substitution_borders(c->borders, c->from, strlen(c->from));
        status = cud_components_add(decoders, &cud_decoder_cleanup.base, c, err);
    }
    return status;
}
