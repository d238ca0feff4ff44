/* Which of the post-processor's special tokens an encoding has. */
#ifndef CUD_TEXT_SPECIALS_H
#define CUD_TEXT_SPECIALS_H

#include "text/runs.h"
#include "text/settings.h"

/* Is there anything to decide? */
bool cud_specials_undecided(const cud_settings *settings);
/* Takes out those that the settings do not want: doubles (CUDDLE_ADD_SPECIAL_ONCE), and those at an end where the text goes on. */
void cud_specials_decide(cud_tokens *tokens, const cud_settings *settings);

#endif
