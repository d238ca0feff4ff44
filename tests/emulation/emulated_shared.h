/* Shared memory: one window for the block that runs, cut into arrays with redzones around them and refilled with NaN for every block. */
#ifndef EMULATED_SHARED_H
#define EMULATED_SHARED_H

namespace emu {

/* One per declaration (and template instance) of a shared array: which piece of the window it has in this block. */
struct SharedArray {
    uint64_t block = 0; /* serial number of the block the address was given for */
    void *address = nullptr;
};

void *shared_array(SharedArray *array, size_t size, size_t align);
void *dynamic_shared();

} // namespace emu

/* A reference to an array type, so that UBSan knows the bounds of every dimension. */
#define DEV_SHARED(T, name, dims)             \
    static emu::SharedArray name##_place_;    \
    typedef T name##_type_ dims;              \
    name##_type_ &name = *static_cast<name##_type_ *>(emu::shared_array(&name##_place_, sizeof(name##_type_), alignof(T) < 16 ? 16 : alignof(T)))

#define DEV_DYN_SHARED(T, name) T *name = static_cast<T *>(emu::dynamic_shared())

#endif
