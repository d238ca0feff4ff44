/* Runs a program on a terminal of its own and plays a script that comes on stdin, a step a line:
 *   wait TEXT     until the program has written TEXT (since the last wait); \012 stands for a newline
 *   any           until it has written anything more
 *   send TEXT     types TEXT and the return key
 *   control C     types a control character
 *   pause         lets a third of a second pass
 * What the program wrote goes to stdout. Exits with its exit code; 99 when a step is not reached within a minute. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { STUCK = 99, MINUTE = 60000 };

static char seen[1 << 20];
static size_t length, looked;

/* Reads what is there; 0 at the end or after a minute of silence. */
static int more(int terminal)
{
    struct pollfd p = { terminal, POLLIN, 0 };
    if (poll(&p, 1, MINUTE) <= 0 || length + 1 >= sizeof seen) return 0;
    const ssize_t got = read(terminal, seen + length, sizeof seen - length - 1);
    if (got <= 0) return 0;
    fwrite(seen + length, 1, (size_t)got, stdout);
    length += (size_t)got;
    seen[length] = 0;
    return 1;
}

static int await(int terminal, const char *text)
{
    for (;;) {
        const char *found = *text ? strstr(seen + looked, text) : length > looked ? seen + length : NULL;
        if (found) {
            looked = (size_t)(found - seen) + strlen(text);
            return 1;
        }
        if (!more(terminal)) return 0;
    }
}

static int play(int terminal, char *step)
{
    char *newline = strstr(step, "\\012");
    if (newline) {
        *newline = '\n';
        memmove(newline + 1, newline + 4, strlen(newline + 4) + 1);
    }
    if (strncmp(step, "wait ", 5) == 0) return await(terminal, step + 5);
    if (strcmp(step, "any") == 0) return await(terminal, "");
    if (strcmp(step, "pause") == 0) return poll(NULL, 0, 333) == 0;
    char typed[600];
    if (strncmp(step, "send ", 5) == 0) snprintf(typed, sizeof typed, "%s\n", step + 5);
    else if (strncmp(step, "control ", 8) == 0) snprintf(typed, sizeof typed, "%c", step[8] & 0x1f);
    else return 0;
    return write(terminal, typed, strlen(typed)) == (ssize_t)strlen(typed);
}

/* Leads the session and runs the program in it: where the program led it, the terminal would hang up while it ends. */
static void lead(char **argv)
{
    const pid_t program = fork();
    if (program == 0) {
        execvp(argv[0], argv);
        _exit(STUCK);
    }
    signal(SIGINT, SIG_IGN); /* what is typed is for the program */
    int status = 0;
    if (program < 0 || waitpid(program, &status, 0) != program) _exit(STUCK);
    _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (argc < 2 || terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) return STUCK;
    const pid_t child = fork();
    if (child == 0) {
        setsid();
        const int mine = open(ptsname(terminal), O_RDWR); /* the first terminal of a session becomes its own */
        for (int fd = 0; fd < 3; fd++) dup2(mine, fd);
        lead(argv + 1);
    }
    char step[512];
    int reached = 1;
    while (reached && fgets(step, sizeof step, stdin)) {
        step[strcspn(step, "\n")] = 0;
        reached = play(terminal, step);
        if (!reached) fprintf(stderr, "not reached: %s\n", step);
    }
    while (reached && more(terminal)) {} /* reading fails once the program is gone */
    int status = 0;
    close(terminal);
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
    return WIFEXITED(status) && (reached || WEXITSTATUS(status)) ? WEXITSTATUS(status) : STUCK;
}
