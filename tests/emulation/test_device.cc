/* What kernels are made of: every operation of cuda/device.h against plain loops. */
#include "device_kernels.h"
#include "self_test.h"

static cudaStream_t stream;

static void warp_operations()
{
    std::vector<int> in(32);
    for (int i = 0; i < 32; i++) in[size_t(i)] = (i * 37 + 11) % 101;
    int *d_in = upload(in), *d_out = device_array<int>(WARP_CASES * 32);
    CHECK_OK(run_warp_ops(d_out, d_in, stream));
    CHECK_OK(cudaStreamSynchronize(stream));
    const std::vector<int> out = download(d_out, WARP_CASES * 32);
    int sum = 0, least = in[0], most = in[0], bits = 0, odd = 0;
    unsigned ballot = 0;
    for (int i = 0; i < 32; i++) {
        const int v = in[size_t(i)];
        sum += v;
        least = v < least ? v : least;
        most = v > most ? v : most;
        bits ^= v;
        odd += v % 2;
        ballot |= unsigned(v % 3 == 0) << i;
    }
    for (int i = 0; i < 32; i++) {
        const auto at = [&](int lane) { return in[size_t(lane)]; };
        const auto got = [&](int which) { return out[size_t(which * 32 + i)]; };
        int eight = 0;
        for (int k = 0; k < 8; k++) eight += at(i / 8 * 8 + k);
        CHECK(got(0) == at((i * 7 + 3) % 32));
        CHECK(got(1) == at(i / 8 * 8 + 5));
        CHECK(got(2) == at(i ^ 5));
        CHECK(got(3) == at(i)); /* the other half is outside the segment */
        CHECK(got(4) == at(i + 3 < 32 ? i + 3 : i));
        CHECK(got(5) == at(i % 8 + 3 < 8 ? i + 3 : i));
        CHECK(got(6) == at(i >= 2 ? i - 2 : i));
        CHECK(got(7) == at(i % 8 >= 2 ? i - 2 : i));
        CHECK(unsigned(got(8)) == ballot);
        CHECK(got(9) == 1 && got(10) == 0);
        CHECK(got(11) == sum && got(12) == least && got(13) == most && got(14) == bits);
        CHECK(got(15) == eight && got(16) == most);
        CHECK(got(17) == (i < 16 ? at(i ^ 8) : -1));
        CHECK(got(18) == odd + 100);
    }
    CHECK_OK(cudaFree(d_in));
    CHECK_OK(cudaFree(d_out));
}

static uint16_t to_half(float v, int type)
{
    uint16_t bits;
    const __nv_bfloat16 b = __float2bfloat16_rn(v);
    const __half h = __float2half_rn(v);
    std::memcpy(&bits, type ? static_cast<const void *>(&h) : &b, 2);
    return bits;
}

static float from_half(uint16_t bits, int type)
{
    __nv_bfloat16_raw b;
    __half_raw h;
    b.x = bits;
    h.x = bits;
    return type ? __half2float(__half(h)) : __bfloat162float(__nv_bfloat16(b));
}

static void tensor_cores()
{
    for (int type = 0; type < 2; type++) {
        for (int way = 0; way < 3; way++) {
            std::vector<uint16_t> a(256), a_trans(256), b_nk(128), b_kn(128);
            std::vector<float> d = random_floats(128);
            for (size_t m = 0; m < 16; m++)
                for (size_t k = 0; k < 16; k++) a[m * 16 + k] = a_trans[k * 16 + m] = to_half(draw(), type);
            for (size_t n = 0; n < 8; n++)
                for (size_t k = 0; k < 16; k++) b_nk[n * 16 + k] = b_kn[k * 8 + n] = to_half(draw(), type);
            float *dd = upload(d);
            uint16_t *da = upload(a), *dat = upload(a_trans), *db = upload(b_nk), *dbt = upload(b_kn);
            CHECK_OK(run_mma(dd, da, dat, db, dbt, way, type, stream));
            CHECK_OK(cudaStreamSynchronize(stream));
            const std::vector<float> got = download(dd, 128);
            for (size_t m = 0; m < 16; m++) {
                for (size_t n = 0; n < 8; n++) {
                    double want = double(d[m * 8 + n]);
                    for (size_t k = 0; k < 16; k++) want += double(from_half(a[m * 16 + k], type)) * double(from_half(b_nk[n * 16 + k], type));
                    CHECK(std::fabs(double(got[m * 8 + n]) - want) < 1e-5);
                }
            }
            for (void *p : { static_cast<void *>(dd), static_cast<void *>(da), static_cast<void *>(dat), static_cast<void *>(db), static_cast<void *>(dbt) })
                CHECK_OK(cudaFree(p));
        }
    }
}

static void matrix_loads()
{
    std::vector<uint16_t> in(256);
    for (size_t i = 0; i < 256; i++) in[i] = uint16_t(i + 1);
    uint16_t *d_in = upload(in);
    uint32_t *d_out = device_array<uint32_t>(6 * 128);
    CHECK_OK(cudaMemset(d_out, 0, 6 * 128 * 4));
    CHECK_OK(run_ldmatrix(d_out, d_in, stream));
    CHECK_OK(cudaStreamSynchronize(stream));
    const std::vector<uint32_t> out = download(d_out, 6 * 128);
    for (size_t form = 0; form < 6; form++) {
        for (size_t m = 0; m < size_t(1) << form % 3; m++) {
            for (size_t lane = 0; lane < 32; lane++) {
                const size_t g = lane / 4, t = lane % 4 * 2;
                const uint16_t first = form < 3 ? in[m * 64 + g * 8 + t] : in[m * 64 + t * 8 + g];
                const uint16_t second = form < 3 ? in[m * 64 + g * 8 + t + 1] : in[m * 64 + (t + 1) * 8 + g];
                CHECK(out[form * 128 + m * 32 + lane] == (first | uint32_t(second) << 16));
            }
        }
    }
    CHECK_OK(cudaFree(d_in));
    CHECK_OK(cudaFree(d_out));
}

static void async_copies()
{
    for (int bytes = 4; bytes <= 16; bytes *= 2) {
        for (int count : { 1, 3, 128, 130, 1023 }) {
            const std::vector<float> in = random_floats(size_t(count));
            float *d_in = upload(in), *d_out = device_array<float>(128);
            CHECK_OK(run_copy_async(d_out, d_in, count, bytes, stream));
            CHECK_OK(cudaStreamSynchronize(stream));
            const std::vector<float> out = download(d_out, 128);
            for (size_t t = 0; t < 128; t++) {
                float want = 0;
                for (size_t i = t; i < size_t(count); i += 128) want += in[i];
                CHECK(std::fabs(out[t] - want) < 1e-5f);
            }
            CHECK_OK(cudaFree(d_in));
            CHECK_OK(cudaFree(d_out));
        }
    }
}

static void block_reductions()
{
    for (int threads : { 32, 96, 256 }) {
        const std::vector<float> in = random_floats(size_t(threads));
        float *d_in = upload(in), *d_out = device_array<float>(3);
        CHECK_OK(run_block_reduce(d_out, d_in, threads, stream));
        CHECK_OK(cudaStreamSynchronize(stream));
        const std::vector<float> out = download(d_out, 3);
        double sum = 0, squares = 0;
        float most = in[0];
        for (float v : in) {
            sum += double(v);
            squares += double(v) * double(v);
            most = v > most ? v : most;
        }
        CHECK(std::fabs(double(out[0]) - sum) < 1e-4 && out[1] == most && std::fabs(double(out[2]) - squares) < 1e-4);
        CHECK_OK(cudaFree(d_in));
        CHECK_OK(cudaFree(d_out));
    }
}

static void vectors_and_conversions()
{
    std::vector<unsigned char> in(64 * 5);
    for (size_t i = 0; i < in.size(); i++) in[i] = static_cast<unsigned char>(i * 7);
    unsigned char *d_in = upload(in), *d_out = device_array<unsigned char>(in.size());
    CHECK_OK(run_vectors(d_out, d_in, 5, stream));
    CHECK_OK(cudaStreamSynchronize(stream));
    CHECK(download(d_out, in.size()) == in);
    CHECK_OK(cudaFree(d_in));
    CHECK_OK(cudaFree(d_out));
    for (int type = 0; type < 3; type++) {
        std::vector<float> floats = { 0.0f, -1.5f, 0.1f, 65504.0f, -0.0f, 1e-3f, 3.14159f, -240.0f };
        std::vector<unsigned char> bytes(type == 2 ? 32 : 16);
        for (size_t i = 0; i < 8; i++) {
            const uint16_t two = to_half(floats[i], type);
            if (type == 2) std::memcpy(&bytes[i * 4], &floats[i], 4);
            else std::memcpy(&bytes[i * 2], &two, 2);
        }
        unsigned char *from = upload(bytes), *to = device_array<unsigned char>(bytes.size());
        CHECK_OK(run_convert(to, from, type, stream));
        CHECK_OK(cudaStreamSynchronize(stream));
        CHECK(download(to, bytes.size()) == bytes);
        CHECK_OK(cudaFree(from));
        CHECK_OK(cudaFree(to));
    }
}

static void between_threads()
{
    const std::vector<float> in = random_floats(1000);
    float *d_in = upload(in), *partial = device_array<float>(7), *out = device_array<float>(64);
    unsigned *counter = upload(std::vector<unsigned>{ 0 });
    double sum = 0;
    for (float v : in) sum += double(v);
    for (int pass = 0; pass < 2; pass++) { /* the counter is ready to be used again */
        CHECK_OK(run_last_block(out, partial, counter, d_in, 1000, stream));
        CHECK_OK(cudaStreamSynchronize(stream));
        CHECK(std::fabs(double(download(out, 1)[0]) - sum) < 1e-3);
    }
    CHECK_OK(run_syncwarp(out, d_in, stream));
    CHECK_OK(cudaStreamSynchronize(stream));
    const std::vector<float> swapped = download(out, 64);
    for (size_t i = 0; i < 64; i++) CHECK(swapped[i] == in[i ^ 1]);
    unsigned *atomics = upload(std::vector<unsigned>{ 0, 0, 1000, 0, 0, 0 });
    CHECK_OK(run_atomics(atomics, stream));
    CHECK_OK(cudaStreamSynchronize(stream));
    const std::vector<unsigned> all = download(atomics, 6);
    CHECK(all[0] == 63 * 64 && all[1] == 63 && all[2] == 5 && all[3] == 0xffffffffu && all[4] == 77 && all[5] == 8);
    for (void *p : { static_cast<void *>(d_in), static_cast<void *>(partial), static_cast<void *>(out), static_cast<void *>(counter), static_cast<void *>(atomics) })
        CHECK_OK(cudaFree(p));
}

static void dynamic_shared_memory()
{
    const int count = 25000; /* 100,000 bytes: more than the default allows */
    const std::vector<float> in = random_floats(size_t(count));
    float *d_in = upload(in), *d_out = device_array<float>(size_t(count));
    CHECK_OK(run_dynamic(d_out, d_in, count, size_t(count) * 4, stream));
    CHECK_OK(cudaStreamSynchronize(stream));
    const std::vector<float> out = download(d_out, size_t(count));
    for (size_t i = 0; i < out.size(); i++) CHECK(out[i] == in[in.size() - 1 - i]);
    CHECK_STATUS(run_dynamic(d_out, d_in, count, 300 * 1024, stream), cudaErrorInvalidValue);
    CHECK_OK(cudaFree(d_in));
    CHECK_OK(cudaFree(d_out));
}

static void elementary_functions()
{
    float *x = device_array<float>(1), *out = device_array<float>(7);
    for (float v : { 0.25f, 1.0f, 3.5f }) {
        CHECK_OK(cudaMemcpy(x, &v, 4, cudaMemcpyHostToDevice));
        CHECK_OK(run_math(out, x, stream));
        CHECK_OK(cudaStreamSynchronize(stream));
        const std::vector<float> got = download(out, 7);
        const double d = double(v), want[7] = { std::exp(d), std::log(d), 1 / std::sqrt(d), std::tanh(d), std::erf(d), std::exp(d), d };
        for (size_t i = 0; i < 7; i++) CHECK(std::fabs(double(got[i]) - want[i]) <= 1e-6 * (1 + std::fabs(want[i])));
    }
    CHECK_OK(cudaFree(x));
    CHECK_OK(cudaFree(out));
}

static void rounding()
{
    /* Halves go to even; what is too large becomes infinite, what is too small 0; a NaN stays one. */
    static const struct { float value; uint16_t bf16, f16; } rows[] = {
        { 1.0f, 0x3f80, 0x3c00 },       { -2.5f, 0xc020, 0xc100 },      { 1.00390625f, 0x3f80, 0x3c04 }, { 1.01171875f, 0x3f82, 0x3c0c },
        { 65504.0f, 0x4780, 0x7bff },   { 65519.0f, 0x4780, 0x7bff },   { 65520.0f, 0x4780, 0x7c00 },    { 3.4028235e38f, 0x7f80, 0x7c00 },
        { 5.9604645e-8f, 0x3380, 0x0001 }, { 2.9802322e-8f, 0x3300, 0x0000 }, { -0.0f, 0x8000, 0x8000 }, { 1e-40f, 0x0001, 0x0000 },
    };
    const size_t count = sizeof rows / sizeof *rows;
    std::vector<float> in(64);
    for (size_t i = 0; i < 64; i++) in[i] = rows[i % count].value;
    in[62] = std::nanf("");
    float *d_in = upload(in);
    uint32_t *d_out = device_array<uint32_t>(ROUND_WORDS);
    CHECK_OK(run_round(d_out, d_in, stream));
    CHECK_OK(cudaStreamSynchronize(stream));
    const std::vector<uint32_t> out = download(d_out, ROUND_WORDS);
    for (size_t i = 0; i < 31; i++) {
        const auto &low = rows[2 * i % count], &high = rows[(2 * i + 1) % count];
        CHECK(out[i] == low.bf16 && out[32 + i] == low.f16);
        CHECK(out[64 + i] == (low.bf16 | uint32_t(high.bf16) << 16) && out[96 + i] == (low.f16 | uint32_t(high.f16) << 16));
        const float b = from_half(high.bf16, 0), h = from_half(high.f16, 1);
        CHECK(std::memcmp(&out[128 + i], &b, 4) == 0 && std::memcmp(&out[160 + i], &h, 4) == 0);
    }
    CHECK((out[31] & 0x7fff) > 0x7f80 && (out[63] & 0x7fff) > 0x7c00);
    CHECK_OK(cudaFree(d_in));
    CHECK_OK(cudaFree(d_out));
}

int main()
{
    if (no_device()) return 77;
    stream = new_stream();
    warp_operations();
    tensor_cores();
    matrix_loads();
    async_copies();
    block_reductions();
    vectors_and_conversions();
    between_threads();
    dynamic_shared_memory();
    elementary_functions();
    rounding();
    CHECK_OK(cudaStreamDestroy(stream));
#ifndef SELF_TEST_ON_DEVICE
    check_all_returned();
    emu_counters c;
    emu_counters_get(&c);
    std::printf("%llu launches, %llu threads, %llu switches\n", static_cast<unsigned long long>(c.launches), static_cast<unsigned long long>(c.threads),
                static_cast<unsigned long long>(c.switches));
#endif
    return 0;
}
