// A GPU of nothing but this processor: enough of CUDA's C++ for the kernels of `runtime/cuda`.
//
// Blocks run one after the other. The threads of a block are contexts that take turns at barriers, in
// an order that changes from barrier to barrier, so that what depends on the order shows.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <ucontext.h>
#include <vector>

using std::max;
using std::min;

#define __global__
#define __device__
#define __forceinline__ inline
#define __restrict__
#define __shared__ static
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
};
struct uint4 {
    unsigned x, y, z, w;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace gpu {
constexpr size_t STACK = 64 << 10;

struct Thread {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    bool done = false;
};

inline std::vector<Thread> threads;
inline ucontext_t block;
inline Thread* current;
inline void (*kernel)(void** args);
inline void** arguments;
inline unsigned order = 1;

inline void begin() {
    kernel(arguments);
    current->done = true;
    swapcontext(&current->context, &block);
}

// Runs a kernel over its whole grid. Barriers that not all threads reach are an error.
inline bool launch(void (*of)(void**), void** args, dim3 grid, dim3 threads_of) {
    kernel = of;
    arguments = args;
    gridDim = grid;
    blockDim = threads_of;
    const unsigned count = threads_of.x * threads_of.y * threads_of.z;
    while (threads.size() < count) {
        threads.emplace_back();
        threads.back().stack.reset(new char[STACK]);
    }
    std::vector<unsigned> turns(count);
    for (unsigned i = 0; i < count; i++) turns[i] = i;
    const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    for (uint64_t b = 0; b < blocks; b++) {
        blockIdx = {(unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y),
                    (unsigned)(b / grid.x / grid.y)};
        for (unsigned i = 0; i < count; i++) {
            Thread& t = threads[i];
            t.done = false;
            getcontext(&t.context);
            t.context.uc_stack.ss_sp = t.stack.get();
            t.context.uc_stack.ss_size = STACK;
            t.context.uc_link = nullptr;
            makecontext(&t.context, begin, 0);
        }
        for (unsigned left = count; left;) {
            for (unsigned i = count - 1; i > 0; i--) {
                order = order * 1664525 + 1013904223;
                std::swap(turns[i], turns[(order >> 8) % (i + 1)]);
            }
            unsigned ended = 0;
            for (unsigned i : turns) {
                current = &threads[i];
                threadIdx = {i % threads_of.x, i / threads_of.x % threads_of.y,
                             i / threads_of.x / threads_of.y};
                swapcontext(&block, &current->context);
                ended += current->done;
            }
            if (ended != 0 && ended != left) {
                fprintf(stderr, "a barrier that only some threads of a block reach\n");
                return false;
            }
            left -= ended;
        }
    }
    return true;
}
}  // namespace gpu

inline void __syncthreads() {
    const dim3 mine = threadIdx;
    gpu::Thread* self = gpu::current;
    swapcontext(&self->context, &gpu::block);
    threadIdx = mine;
}
