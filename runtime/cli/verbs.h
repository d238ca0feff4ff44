/* The verbs. Each gets the arguments after its name and returns the exit code: 0, EXIT_FAILED, EXIT_USAGE, or 128 plus the
 * number of the signal that ended it. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

int verb_run(int argc, char **argv);
int verb_chat(int argc, char **argv);
int verb_inspect(int argc, char **argv);
int verb_plan(int argc, char **argv);
int verb_tokenize(int argc, char **argv);
int verb_detokenize(int argc, char **argv);
int verb_render(int argc, char **argv);
int verb_bench(int argc, char **argv);
int verb_doctor(int argc, char **argv);

#endif
