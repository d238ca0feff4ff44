/* JSON that the caller passes, as values: what Python's json.loads gives. */
#ifndef CUD_JINJA_JSON_H
#define CUD_JINJA_JSON_H

#include "jinja/run.h"

/* Strings without escapes are borrowed from `text`. `what` names it in sentences: "messages: line 3: ...", which are CUDDLE_E_ARG.
 */
bool cud_j_json(jrun *j, jvalue *out, const char *text, size_t size, const char *what);

#endif
