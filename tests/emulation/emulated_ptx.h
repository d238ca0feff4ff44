/* The operations that cuda/device.h writes as PTX, with the fragment layouts and demands of the PTX ISA. */
#ifndef EMULATED_PTX_H
#define EMULATED_PTX_H

namespace emu {

/* An access that the emulation makes for a lane of the running warp: checked like one of the kernel's own. */
void check_lane_read(const void *address, size_t size, int lane, Site site);
/* The kernel is about to access `size` bytes at once. */
void check_aligned(const void *address, size_t size, Site site);
void check_vector(const void *address, size_t size, bool write, Site site);
void check_shared(const void *address, size_t size, Site site);

void copy_async(void *shared, const void *global, int size, int valid, Site site);
void copy_async_commit();
void copy_async_wait(int groups_left);

EMU_UNCHECKED inline void require_full_warp(const char *op, unsigned mask)
{
    if (mask != 0xffffffffu) fail("%s needs all 32 lanes, not %08x", op, mask);
}

/* ---- ldmatrix ---- */

struct MatrixRow {
    const void *address;
    Site site;
};

template <int COUNT, bool TRANS> EMU_ARITHMETIC void ldmatrix_lanes(Lane *lanes, unsigned mask)
{
    require_full_warp("ldmatrix", mask);
    for (int matrix = 0; matrix < COUNT; matrix++) {
        uint16_t tile[8][8];
        for (int row = 0; row < 8; row++) {
            const int lane = matrix * 8 + row;
            const MatrixRow *in = static_cast<const MatrixRow *>(lanes[lane].in);
            check_aligned(in->address, 16, in->site);
            check_shared(in->address, 16, in->site);
            check_lane_read(in->address, 16, lane, in->site);
            std::memcpy(tile[row], in->address, 16);
        }
        for (int lane = 0; lane < 32; lane++) {
            const int row = lane / 4, column = lane % 4 * 2;
            const uint16_t first = TRANS ? tile[column][row] : tile[row][column];
            const uint16_t second = TRANS ? tile[column + 1][row] : tile[row][column + 1];
            static_cast<uint32_t *>(lanes[lane].out)[matrix] = first | uint32_t(second) << 16;
        }
    }
}

template <bool TRANS, int COUNT> EMU_UNCHECKED inline void ldmatrix(uint32_t (&r)[COUNT], const void *p, Site site)
{
    static_assert(COUNT == 1 || COUNT == 2 || COUNT == 4, "ldmatrix loads 1, 2 or 4 matrices");
    const MatrixRow in{ p, site };
    warp_collective(0xffffffffu, ldmatrix_lanes<COUNT, TRANS>, &in, r, site);
}

/* ---- mma.sync.m16n8k16 ---- */

struct MmaInput {
    uint32_t a[4], b[2];
};

template <typename T> EMU_ARITHMETIC inline float half_to_float(uint32_t bits);
template <> EMU_ARITHMETIC inline float half_to_float<__nv_bfloat16>(uint32_t bits) { return emu_bits<float>(bits << 16); }
template <> EMU_ARITHMETIC inline float half_to_float<__half>(uint32_t bits)
{
    __half_raw raw;
    raw.x = uint16_t(bits);
    return __half2float(__half(raw));
}

template <typename T> EMU_ARITHMETIC void mma_lanes(Lane *lanes, unsigned mask)
{
    require_full_warp("mma.sync", mask);
    float a[16][16], b[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const MmaInput *in = static_cast<const MmaInput *>(lanes[lane].in);
        const int g = lane / 4, t = lane % 4 * 2;
        for (int half = 0; half < 2; half++) {
            const int shift = 16 * half;
            a[g][t + half] = half_to_float<T>(in->a[0] >> shift & 0xffff);
            a[g + 8][t + half] = half_to_float<T>(in->a[1] >> shift & 0xffff);
            a[g][t + 8 + half] = half_to_float<T>(in->a[2] >> shift & 0xffff);
            a[g + 8][t + 8 + half] = half_to_float<T>(in->a[3] >> shift & 0xffff);
            b[t + half][g] = half_to_float<T>(in->b[0] >> shift & 0xffff);
            b[t + 8 + half][g] = half_to_float<T>(in->b[1] >> shift & 0xffff);
        }
    }
    for (int lane = 0; lane < 32; lane++) {
        float *d = static_cast<float *>(lanes[lane].out);
        for (int e = 0; e < 4; e++) {
            const int row = lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
            float sum = 0.0f;
            for (int k = 0; k < 16; k++) sum += a[row][k] * b[k][column];
            d[e] += sum;
        }
    }
}

} // namespace emu

/* The accesses themselves are seen by ASan and UBSan; the race checker is told, so that it can name the caller's line. */
template <typename V> EMU_UNCHECKED inline V dev_load(const void *p, EMU_SITE)
{
    emu::check_vector(p, sizeof(V), false, EMU_AT("dev_load"));
    return *static_cast<const V *>(p);
}
template <typename V> EMU_UNCHECKED inline V dev_load_stream(const void *p, EMU_SITE)
{
    static_assert(sizeof(V) <= 16, "one access is at most 16 bytes");
    emu::check_vector(p, sizeof(V), false, EMU_AT("dev_load_stream"));
    return *static_cast<const V *>(p);
}
template <typename V> EMU_UNCHECKED inline void dev_store(void *p, V v, EMU_SITE)
{
    emu::check_vector(p, sizeof(V), true, EMU_AT("dev_store"));
    *static_cast<V *>(p) = v;
}
template <typename V> EMU_UNCHECKED inline void dev_store_stream(void *p, V v, EMU_SITE)
{
    emu::check_vector(p, sizeof(V), true, EMU_AT("dev_store_stream"));
    *static_cast<V *>(p) = v;
}
inline void dev_prefetch_l2(const void *) {}

template <int N> inline void dev_copy_async(void *shared, const void *global, int valid = N, EMU_SITE)
{
    static_assert(N == 16 || N == 8 || N == 4, "cp.async copies 16, 8 or 4 bytes");
    emu::copy_async(shared, global, N, valid, EMU_AT("cp.async"));
}
inline void dev_copy_async_commit() { emu::copy_async_commit(); }
template <int M> inline void dev_copy_async_wait() { emu::copy_async_wait(M); }

template <int COUNT> EMU_UNCHECKED inline void dev_ldmatrix(uint32_t (&r)[COUNT], const void *p, EMU_SITE)
{
    emu::ldmatrix<false>(r, p, EMU_AT("ldmatrix"));
}
template <int COUNT> EMU_UNCHECKED inline void dev_ldmatrix_trans(uint32_t (&r)[COUNT], const void *p, EMU_SITE)
{
    emu::ldmatrix<true>(r, p, EMU_AT("ldmatrix.trans"));
}

template <typename T> EMU_UNCHECKED inline void dev_mma(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, EMU_SITE)
{
    const emu::MmaInput in{ { a[0], a[1], a[2], a[3] }, { b0, b1 } };
    emu::warp_collective(0xffffffffu, emu::mma_lanes<T>, &in, d, EMU_AT("mma.sync"));
}

#endif
