/* Paths of a checkpoint's files. */
#ifndef CUD_FORMAT_PATH_H
#define CUD_FORMAT_PATH_H

#include "core/status.h"

#include <stdbool.h>

/* What follows the last '/': messages about a file's content name it without its folder, which the caller knows. */
const char *cud_path_name(const char *path);
/* "<directory>/<name>"; an empty directory gives just the name. To be freed. */
cuddle_status cud_path_join(char **out, const char *directory, const char *name, cuddle_error *err);
bool cud_path_is_file(const char *path); /* a regular file, or a symbolic link to one */
/* For a file that may be left out: anything of this name is found, a link to nowhere included, and opening it says what is wrong with it. Only
 * absence is absence; what keeps us from looking is CUDDLE_E_IO, so that a failing disk does not run a model without the settings it comes with. */
cuddle_status cud_path_find(bool *found, const char *path, cuddle_error *err);
bool cud_path_is_directory(const char *path);
bool cud_path_exists(const char *path); /* whatever it is, a symbolic link to nowhere included */
bool cud_path_has_suffix(const char *path, const char *suffix);
/* What errno means. Untranslated on purpose: a sentence does not depend on the program's locale. Static storage. */
const char *cud_path_reason(int error);

#endif
