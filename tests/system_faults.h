/* The n-th call of a kind fails: linked with --wrap, see CMakeLists.txt. */
#ifndef CUD_TESTS_SYSTEM_FAULTS_H
#define CUD_TESTS_SYSTEM_FAULTS_H

typedef enum system_call { CALL_OPEN, CALL_STAT, CALL_FSTAT, CALL_MMAP, CALL_THREAD, CALL_KINDS } system_call;

/* The n-th call of this kind from now on (process-wide; 0: none) fails with this errno. Returns how many were counted since the last time. */
long test_fail_call(system_call kind, long n, int error);

#endif
