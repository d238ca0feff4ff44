/* What the program writes: results on stdout, everything else on stderr. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "cuddle.h"

/* Makes sure that descriptors 0 to 2 are open, so that no file of the library becomes stdout, and ignores SIGPIPE. */
void out_begin(void);
/* Flushes stdout. Returns `code`, or EXIT_FAILED after a sentence if anything could not be written. */
int out_end(int code);
/* Flushes stdout; 0 if something could not be written so far. */
int out_flush(void);
int out_is_terminal(void);

/* These do nothing once a write failed; out_end() reports it. */
void out_write(const char *data, size_t length);
void out_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Text that a checkpoint had a part in: as it is, but on a terminal with '?' for control characters other than newline and tab. */
void out_text(const char *text, size_t length);

/* "cuddle: ..." and a newline on stderr, control characters replaced. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For the end of a function that failed: says err's sentence, returns EXIT_FAILED. */
int say_error(const cuddle_error *err);

/* Copies text into out, cut to size, with '?' for control characters and for what is not UTF-8. Returns out. */
char *clean_line(char *out, size_t size, const char *text);
/* "1.5 GiB" */
char *human_bytes(char *out, size_t size, uint64_t bytes);
double seconds_now(void);

/* JSON. These end the program with a sentence when memory runs out. */
void js_put(json_t *object, const char *key, json_t *value);
void js_add(json_t *array, json_t *value);
json_t *js_text(const char *text, size_t length); /* what is not UTF-8 becomes U+FFFD; NULL becomes null */
json_t *js_name(const char *text);
json_t *js_number(double value); /* null if not finite */
json_t *js_bytes(uint64_t value);
json_t *js_ids(const int32_t *ids, size_t count);
/* One line on stdout; releases the value. */
void out_json(json_t *value);

#endif
