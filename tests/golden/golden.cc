/* Golden vectors: what each operation of cuda/device.h gives on fixed inputs. Written on a GPU, compared by the emulation, so that what the
 * emulation takes for the hardware's behaviour is the hardware's.
 *
 *   golden write FILE
 *   golden compare FILE     exit code 77 if there is no such file yet
 *
 * FILE is text: "section NAME COUNT TOLERANCE" and COUNT words of 32 bits in hexadecimal; lines that begin with # say where it was made.
 * Tolerance 0: the same bits. Else the words are floats and may differ by TOLERANCE * (1 + |golden|). The inputs are made of whole numbers
 * here, so that they are the same everywhere. */
#include "device_kernels.h"
#include "self_test.h"

#include <string>

struct section {
    std::string name;
    double tolerance;
    std::vector<uint32_t> words;
};
static std::vector<section> sections;
static cudaStream_t stream;

/* Keeps what lies at `from` under a name, waiting for the kernel first. */
template <typename T> static void keep(const std::string &name, double tolerance, const T *from, size_t count)
{
    CHECK_OK(cudaStreamSynchronize(stream));
    section s = { name, tolerance, std::vector<uint32_t>((count * sizeof(T) + 3) / 4) };
    CHECK_OK(cudaMemcpy(s.words.data(), from, count * sizeof(T), cudaMemcpyDeviceToHost));
    sections.push_back(s);
}

/* Bits of 16-bit floats in about [-2, 2], with every mantissa bit in use. */
static uint16_t small_half(size_t i, int type)
{
    const uint32_t r = uint32_t(i + 1) * 2654435761u >> 8;
    const uint32_t exponent = type ? 12 + r % 4 : 124 + r % 4, mantissa = r >> 2;
    return uint16_t((r >> 15 & 1) << 15 | (type ? exponent << 10 | (mantissa & 0x3ff) : exponent << 7 | (mantissa & 0x7f)));
}

static void lanes()
{
    std::vector<int> in(32);
    for (size_t i = 0; i < 32; i++) in[i] = int(i * 37 + 11) % 101;
    int *d_in = upload(in), *d_out = device_array<int>(WARP_CASES * 32);
    CHECK_OK(run_warp_ops(d_out, d_in, stream));
    keep("shuffles, votes and reductions", 0, d_out, WARP_CASES * 32);
    CHECK_OK(cudaFree(d_in));
    CHECK_OK(cudaFree(d_out));
}

static void tensor_cores()
{
    static const char *const types[] = { "bf16", "f16" }, *const ways[] = { "from memory", "ldmatrix", "ldmatrix.trans" };
    for (int type = 0; type < 2; type++) {
        for (int way = 0; way < 3; way++) {
            std::vector<uint16_t> a(256), a_trans(256), b_nk(128), b_kn(128);
            std::vector<float> d(128);
            for (size_t m = 0; m < 16; m++)
                for (size_t k = 0; k < 16; k++) a[m * 16 + k] = a_trans[k * 16 + m] = small_half(m * 16 + k, type);
            for (size_t n = 0; n < 8; n++)
                for (size_t k = 0; k < 16; k++) b_nk[n * 16 + k] = b_kn[k * 8 + n] = small_half(1000 + n * 16 + k, type);
            for (size_t i = 0; i < 128; i++) d[i] = float(int(i) - 64) / 16;
            float *dd = upload(d);
            uint16_t *da = upload(a), *dat = upload(a_trans), *db = upload(b_nk), *dbt = upload(b_kn);
            CHECK_OK(run_mma(dd, da, dat, db, dbt, way, type, stream));
            keep(std::string("mma ") + types[type] + " " + ways[way], 2e-6 * 16, dd, 128); /* how it rounds within the sum is not documented */
            for (void *p : { static_cast<void *>(dd), static_cast<void *>(da), static_cast<void *>(dat), static_cast<void *>(db), static_cast<void *>(dbt) })
                CHECK_OK(cudaFree(p));
        }
    }
    std::vector<uint16_t> tile(256);
    for (size_t i = 0; i < 256; i++) tile[i] = uint16_t(i + 1);
    uint16_t *d_in = upload(tile);
    uint32_t *d_out = device_array<uint32_t>(6 * 128);
    CHECK_OK(cudaMemset(d_out, 0, 6 * 128 * 4));
    CHECK_OK(run_ldmatrix(d_out, d_in, stream));
    keep("ldmatrix", 0, d_out, 6 * 128);
    CHECK_OK(cudaFree(d_in));
    CHECK_OK(cudaFree(d_out));
}

static std::vector<float> thirds(size_t count)
{
    std::vector<float> values(count);
    for (size_t i = 0; i < count; i++) values[i] = float(int(i * 7919 % 2001) - 1000) / 3;
    return values;
}

static void memory()
{
    float *out = device_array<float>(25000), *in = upload(thirds(25000)), *partial = device_array<float>(7);
    for (int bytes = 4; bytes <= 16; bytes *= 2) {
        for (int count : { 3, 130, 1023 }) {
            CHECK_OK(run_copy_async(out, in, count, bytes, stream));
            keep("cp.async of " + std::to_string(bytes) + " bytes, " + std::to_string(count) + " floats", 0, out, 128);
        }
    }
    for (int threads : { 32, 96, 256 }) { /* in the third a product may be fused with the sum */
        CHECK_OK(run_block_reduce(out, in, threads, stream));
        keep("block sum and maximum, " + std::to_string(threads) + " threads", 0, out, 2);
        keep("block sum of squares, " + std::to_string(threads) + " threads", 1e-6, out + 2, 1);
    }
    CHECK_OK(run_vectors(out, in, 5, stream));
    keep("vector loads and stores", 0, out, 5 * 16);
    unsigned *counter = upload(std::vector<unsigned>{ 0 });
    CHECK_OK(run_last_block(out, partial, counter, in, 1000, stream));
    keep("last block", 0, out, 1);
    CHECK_OK(run_syncwarp(out, in, stream));
    keep("syncwarp", 0, out, 64);
    CHECK_OK(run_dynamic(out, in, 25000, 100000, stream));
    keep("dynamic shared memory", 0, out + 24900, 100);
    unsigned *atomics = upload(std::vector<unsigned>{ 0, 0, 1000, 0, 0, 0 });
    CHECK_OK(run_atomics(atomics, stream));
    keep("atomics", 0, atomics, 6);
    for (void *p : { static_cast<void *>(out), static_cast<void *>(in), static_cast<void *>(partial), static_cast<void *>(counter), static_cast<void *>(atomics) })
        CHECK_OK(cudaFree(p));
}

static void conversions()
{
    std::vector<uint32_t> bits(64); /* float bits of all sizes: every exponent near a border of the 16-bit types, halves, both signs, NaN */
    for (size_t i = 0; i < 64; i++) bits[i] = uint32_t(i % 2) << 31 | uint32_t(96 + i) << 23 | (i % 4 < 2 ? 0x8000u : uint32_t(i) * 0x2f0e1u & 0x7fffffu);
    bits[0] = 0x7f7fffff, bits[1] = 0x7fc00001, bits[2] = 0x477fefff, bits[3] = 0x477ff000, bits[4] = 0x00000001, bits[5] = 0x33000000, bits[6] = 0x33000001;
    std::vector<float> in(64);
    std::memcpy(in.data(), bits.data(), 256);
    float *d_in = upload(in);
    uint32_t *d_out = device_array<uint32_t>(ROUND_WORDS);
    CHECK_OK(run_round(d_out, d_in, stream));
    keep("conversions", 0, d_out, ROUND_WORDS);
    for (int type = 0; type < 2; type++) {
        std::vector<uint16_t> halves(8);
        for (size_t i = 0; i < 8; i++) halves[i] = uint16_t(i < 2 ? i + 1 : i == 2 ? (type ? 0x7c00 : 0x7f80) : small_half(i, type)); /* subnormal, infinite */
        uint16_t *from = upload(halves), *to = device_array<uint16_t>(8);
        CHECK_OK(run_convert(to, from, type, stream));
        keep(type ? "f16 to float and back" : "bf16 to float and back", 0, to, 8);
        CHECK_OK(cudaFree(from));
        CHECK_OK(cudaFree(to));
    }
    CHECK_OK(cudaFree(d_in));
    CHECK_OK(cudaFree(d_out));
}

static void elementary()
{
    static const char *const names[] = { "exp", "log", "rsqrt", "tanh", "erf", "exp_fast", "ldg" };
    std::vector<float> x = { 0, 0.25f, -0.25f, 1, -1, 3.5f, -3.5f, 10, -10, 50, -50, 80, -80, -87, -104, 1e-3f, 1e-30f, 1e10f, 0.7f, 2.75f, 100000 };
    for (int i = -20; i < 20; i++) x.push_back(float(i * 7) / 16);
    float *d_x = upload(x), *d_out = device_array<float>(7);
    std::vector<uint32_t> results[7];
    for (size_t i = 0; i < x.size(); i++) {
        CHECK_OK(run_math(d_out, d_x + i, stream));
        CHECK_OK(cudaStreamSynchronize(stream));
        uint32_t bits[7];
        CHECK_OK(cudaMemcpy(bits, d_out, sizeof bits, cudaMemcpyDeviceToHost));
        for (size_t k = 0; k < 7; k++) results[k].push_back(bits[k]);
    }
    for (size_t k = 0; k < 7; k++) sections.push_back({ names[k], k == 6 ? 0 : k == 5 ? 2e-5 : 5e-7, results[k] }); /* exp_fast: 2 + |1.2 x| units */
    CHECK_OK(cudaFree(d_x));
    CHECK_OK(cudaFree(d_out));
}

/* ---------------------------------------------------------------------------------------------------------------- files */

static int write_file(const char *path)
{
    cudaDeviceProp device;
    int driver = 0;
    CHECK_OK(cudaGetDeviceProperties(&device, 0));
    CHECK_OK(cudaDriverGetVersion(&driver));
    FILE *f = std::fopen(path, "w");
    CHECK(f != nullptr);
    std::fprintf(f, "# cuda/device.h on %s, sm_%d%d, driver for CUDA %d.%d\n", device.name, device.major, device.minor, driver / 1000, driver % 1000 / 10);
    for (const section &s : sections) {
        std::fprintf(f, "section %s: %zu %g\n", s.name.c_str(), s.words.size(), s.tolerance);
        for (size_t i = 0; i < s.words.size(); i++) std::fprintf(f, "%08x%c", s.words[i], i % 8 == 7 || i + 1 == s.words.size() ? '\n' : ' ');
    }
    CHECK(std::fclose(f) == 0);
    std::printf("%zu sections in %s\n", sections.size(), path);
    return 0;
}

static bool same(uint32_t got, uint32_t golden, double tolerance)
{
    if (got == golden) return true;
    if (tolerance == 0) return false;
    float a, b;
    std::memcpy(&a, &got, 4);
    std::memcpy(&b, &golden, 4);
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
    if (std::isinf(a) || std::isinf(b)) return false; /* equal infinities have equal bits */
    return std::fabs(double(a) - double(b)) <= tolerance * (1 + std::fabs(double(b)));
}

static int compare_file(const char *path)
{
    FILE *f = std::fopen(path, "r");
    if (!f) {
        std::printf("skipped: there is no %s: no golden vectors of a GPU are stored yet\n", path);
        return 77;
    }
    char line[512], name[256];
    size_t seen = 0, wrong = 0;
    while (std::fgets(line, sizeof line, f)) {
        size_t count;
        if (line[0] == '#') continue;
        if (std::sscanf(line, "section %255[^:]: %zu", name, &count) != 2) {
            std::printf("%s: expected a section, found: %s", path, line);
            return 1;
        }
        const section *mine = nullptr;
        for (const section &s : sections)
            if (s.name == name) mine = &s;
        if (!mine || mine->words.size() != count) {
            std::printf("%s: section '%s' of %zu words is not ours\n", path, name, count);
            return 1;
        }
        seen++;
        size_t differing = 0;
        for (size_t i = 0; i < count; i++) {
            uint32_t golden;
            CHECK(std::fscanf(f, "%x", &golden) == 1);
            if (same(mine->words[i], golden, mine->tolerance)) continue;
            if (!differing++) std::printf("%s: word %zu is %08x, golden %08x\n", name, i, mine->words[i], golden);
        }
        std::fscanf(f, " ");
        if (differing) std::printf("%s: %zu of %zu words differ\n", name, differing, count);
        wrong += differing;
    }
    std::fclose(f);
    if (seen != sections.size()) std::printf("%s has %zu sections, expected %zu\n", path, seen, sections.size());
    return wrong || seen != sections.size();
}

int main(int argc, char **argv)
{
    if (argc != 3 || (std::strcmp(argv[1], "write") != 0 && std::strcmp(argv[1], "compare") != 0)) {
        std::fprintf(stderr, "usage: golden write|compare FILE\n");
        return 2;
    }
    if (no_device()) return 77;
    stream = new_stream();
    lanes();
    tensor_cores();
    memory();
    conversions();
    elementary();
    CHECK_OK(cudaStreamDestroy(stream));
    return std::strcmp(argv[1], "write") == 0 ? write_file(argv[2]) : compare_file(argv[2]);
}
