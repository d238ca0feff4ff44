/* From the runs that the post-processors leave to cuddle_encoding. */
#ifndef CUD_TEXT_ENCODING_H
#define CUD_TEXT_ENCODING_H

#include "text/runs.h"
#include "text/settings.h"

/* The encoding of the runs' tokens with one in its overflow for every choice of windows; not yet padded. */
cuddle_status cud_encoding_make(cuddle_encoding **out, const cud_processing *p, const cud_settings *settings, cuddle_error *err);
/* Pads each encoding and its overflow: to the longest of them (of the encodings, not their overflow), or to a length, as `pad`
 * says. What fails leaves encodings that are whole but not all padded. */
cuddle_status cud_encodings_pad(cuddle_encoding **e, size_t count, const cud_pad *pad, cuddle_error *err);

#endif
