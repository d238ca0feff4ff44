/* cuddle doctor: what this build and this machine offer, for a look before a bug report. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cuddle.h"

static const option_row no_rows[] = { { 0 } };

/* File systems where mapping a checkpoint deserves a second thought; the numbers are Linux's, from statfs(2). */
static const struct { unsigned long type; const char *name, *hint; } file_systems[] = {
    { 0xef53, "ext4", NULL },
    { 0x58465342, "xfs", NULL },
    { 0x9123683e, "btrfs", NULL },
    { 0x2fc12fc1, "zfs", NULL },
    { 0x794c7630, "overlay", NULL },
    { 0x01021994, "tmpfs", "its files are in memory already: on the CPU --load map uses them there, --load read copies them" },
    { 0x6969, "nfs", "another machine can truncate a mapped file, which ends the program: on the CPU --load read is safer" },
    { 0xff534d42, "cifs", "another machine can truncate a mapped file, which ends the program: on the CPU --load read is safer" },
    { 0xfe534d42, "smb2", "another machine can truncate a mapped file, which ends the program: on the CPU --load read is safer" },
    { 0x65735546, "fuse", "mapped files may read slowly or change below the program: on the CPU --load read is safer" },
    { 0x01021997, "9p", "mapped files may read slowly: on the CPU --load read is often faster" },
    { 0x0bd00bd0, "lustre", "mapped files may read slowly: on the CPU --load read is often faster" },
};

static void print_file_system(const char *path)
{
    struct statfs fs;
    char shown[256], size[32];
    clean_line(shown, sizeof shown, path);
    if (statfs(path, &fs) != 0) {
        out_printf("files       %s: %s\n", shown, strerror(errno));
        return;
    }
    const char *name = "unknown", *hint = NULL;
    const unsigned long type = (unsigned long)fs.f_type & 0xffffffffu;
    for (size_t i = 0; i < sizeof file_systems / sizeof *file_systems; i++)
        if (file_systems[i].type == type) name = file_systems[i].name, hint = file_systems[i].hint;
    out_printf("files       %s is on %s (type 0x%lx), %s free\n", shown, name, type,
               human_bytes(size, sizeof size, (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize));
    if (hint) out_printf("            %s\n", hint);
}

static void print_device(int index)
{
    cuddle_error err;
    cuddle_device_info d = { .struct_size = sizeof d };
    char name[160], total[32], left[32];
    if (cuddle_device_get(index, &d, &err) != CUDDLE_OK) {
        out_printf("device %d    %s\n", index, err.text);
        return;
    }
    out_printf("device %d    %s:%d %s, %s, %s of memory, %s free", index, d.kind == CUDDLE_DEVICE_CUDA ? "cuda" : "cpu", d.index,
               clean_line(name, sizeof name, d.name), d.isa, human_bytes(total, sizeof total, d.memory_total),
               human_bytes(left, sizeof left, d.memory_free));
    if (d.kind == CUDDLE_DEVICE_CPU) out_printf(", %d threads", d.threads);
    out_printf("\n");
}

/* Whether --device cuda would work, and if not, why. */
static void print_cuda(void)
{
    cuddle_engine_options options;
    cuddle_engine *engine;
    cuddle_error err;
    char text[256];
    cuddle_engine_options_init(&options, sizeof options);
    options.device = "cuda";
    options.threads = 0;
    const bool usable = cuddle_engine_new(&engine, &options, &err) == CUDDLE_OK;
    out_printf("cuda        %s\n", usable ? "usable" : clean_line(text, sizeof text, err.text));
    if (usable) cuddle_engine_free(engine);
}

int verb_doctor(int argc, char **argv)
{
    const option_group groups[] = { { "options", no_rows, NULL }, { 0 } };
    const command c = { "doctor", "[PATH]", "Prints what this build and this machine offer.",
                        "PATH is where checkpoints lie, for hints about its file system (default: the current directory).", 0, 1, groups };
    const char *positional[POSITIONAL_MOST];
    int code;
    if (!options_parse(&c, argc, argv, positional, &code)) return code;

    out_printf("cuddle      %s (header %d.%d.%d), ABI %d\n", cuddle_version(), CUDDLE_VERSION_MAJOR, CUDDLE_VERSION_MINOR,
               CUDDLE_VERSION_PATCH, cuddle_abi());
    out_printf("features    %s\n", cuddle_features());
    const int devices = cuddle_device_count();
    for (int i = 0; i < devices; i++) print_device(i);
    print_cuda();
    out_printf("page size   %ld bytes\n", sysconf(_SC_PAGESIZE));
    print_file_system(positional[0] ? positional[0] : ".");
    return out_end(0);
}
