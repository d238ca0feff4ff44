/* The seeds of hash tables, the same in every execution: what an input reaches depends on the input alone, or it could be neither counted
 * nor found again. */
#include <string.h>
#include <sys/random.h>

ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags);

ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags)
{
    (void)flags;
    memset(buffer, 0x5a, size);
    return (ssize_t)size;
}
