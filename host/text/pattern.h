/* {"String": ...} or {"Regex": ...}: what Replace and Split look for. */
#ifndef CUD_TEXT_PATTERN_H
#define CUD_TEXT_PATTERN_H

#include "text/component.h"
#include "text/regex.h"

typedef struct cud_pattern {
    char *string; /* NULL: the regex */
    size_t length;
    cud_regex *regex;
} cud_pattern;

/* Member "pattern". The pattern is freed by the caller, after a failure too. */
cuddle_status cud_pattern_parse(cud_pattern *out, const cud_part *in, cuddle_error *err);
void cud_pattern_free(cud_pattern *p);
/* Calls fn for every match from left to right. */
cuddle_status cud_pattern_each(const cud_pattern *p, cud_regex_scratch **scratch, const char *text, size_t length, cud_match_fn fn,
                               void *user, cuddle_error *err);

#endif
