/* Small files of the kernel's: /proc, /sys. */
#ifndef CUD_CPU_SMALL_FILE_H
#define CUD_CPU_SMALL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The beginning of a file as a string; false if it is empty or cannot be read. */
bool cud_small_file(const char *path, char *out, size_t size);
/* The number after `key` in a text of "key value" lines. */
bool cud_small_file_number(const char *text, const char *key, uint64_t *out);

#endif
