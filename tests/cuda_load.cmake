# The loader's tests: over a device of the tests' own, which needs no CUDA at all, and over the emulated CUDA runtime. They are about memory
# and threads, so they are built where a sanitizer looks on.
if(NOT CUDDLE_SANITIZE)
    return()
endif()
set(load_wraps -Wl,--wrap=preadv2,--wrap=open,--wrap=fstatfs,--wrap=mmap,--wrap=munmap,--wrap=madvise,--wrap=pthread_create)

file(GLOB loader_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cuda/load*.c)
list(FILTER loader_sources EXCLUDE REGEX "/load_copy\\.c$") # CUDA's side of it
add_executable(test_cuda_load test_cuda_load.c load_device.c load_fixture.c ${loader_sources})
target_include_directories(test_cuda_load PRIVATE ${PROJECT_SOURCE_DIR}/cuda)
target_link_libraries(test_cuda_load PRIVATE test_support)
target_link_options(test_cuda_load PRIVATE ${load_wraps})
add_test(NAME cuda_load COMMAND test_cuda_load)
set_tests_properties(cuda_load PROPERTIES LABELS unit TIMEOUT 900 ENVIRONMENT "CK_FORK=no;UBSAN_OPTIONS=print_stacktrace=1")

if(COMMAND cuddle_add_emulated_test)
    block()
        set(CUDDLE_EMULATION_VARIANTS emulated) # kernels are the business of other tests, so nothing for the race checker
        cuddle_add_emulated_test(test_cuda_load_emulated SOURCES test_cuda_load_emulated.c load_fixture.c SUPPORT test_support
            LINK_OPTIONS ${load_wraps})
        cuddle_add_emulated_test(test_cuda_overlap SOURCES test_cuda_overlap.c load_fixture.c SUPPORT test_support
            LINK_OPTIONS ${load_wraps})
    endblock()
endif()
