// A `libcuda.so.1` whose GPU is this processor: it runs the kernels of `runtime/cuda` as `gpu.h` does.
//
// It is as late as it may be: what is put into a stream is done when somebody waits for it, and no
// sooner. Memory of the GPU ends at a page that may not be touched, and begins full of other numbers.
// The variable `TAMIS_TEST_GPU` says what is wrong with it.
#include <deque>
#include <functional>
#include <mutex>
#include <sys/mman.h>
#include <unordered_map>

#include "gpu.h"

#include "../../src/runtime/cuda/encode.cu"

namespace {
enum Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    UNSUPPORTED_PTX = 222,
    NOT_FOUND = 500,
    LAUNCH_FAILED = 719,
};

bool wrong(const char* what) {
    const char* said = getenv("TAMIS_TEST_GPU");
    return said && !strcmp(said, what);
}

struct Stream {
    std::deque<std::function<void()>> work;
    uint64_t done = 0, given = 0;

    void give(std::function<void()> w) {
        work.push_back(std::move(w));
        given++;
    }
    void until(uint64_t count) {
        while (done < count) {
            auto next = std::move(work.front());
            work.pop_front();
            done++;
            next();
        }
    }
};

struct Event {
    Stream* stream = nullptr;
    uint64_t at = 0;
    void wait() const {
        if (stream) stream->until(at);
    }
};

// Callers come from many threads, and there is one processor in the place of the GPU.
std::recursive_mutex one;
#define ALONE std::lock_guard<std::recursive_mutex> alone(one)

Stream first;
bool lost = false;
Stream* of(void* stream) { return stream ? (Stream*)stream : &first; }

struct Memory {
    void* base;
    size_t bytes;
};
std::unordered_map<uint64_t, Memory> memory;

void give_back(uint64_t at) {
    auto found = memory.find(at);
    if (found == memory.end()) return;
    munmap(found->second.base, found->second.bytes);
    memory.erase(found);
}

using Kernel = void (*)(void**);

void run_rows(void** a) {
    rows(*(const u8**)a[0], *(i16**)a[1], *(Picture*)a[2], *(Reads*)a[3]);
}

void run_columns(void** a) {
    columns(*(const i16**)a[0], *(i16**)a[1], *(const Channel**)a[2], *(const u32**)a[3],
            *(Picture*)a[4], *(Reads*)a[5]);
}
}  // namespace

extern "C" {
Result cuInit(unsigned) { return wrong("none") ? NO_DEVICE : SUCCESS; }
Result cuDeviceGetCount(int* count) { return *count = 1, SUCCESS; }
Result cuDeviceGet(int* device, int number) {
    return *device = number, number == 0 ? SUCCESS : INVALID_DEVICE;
}
Result cuDeviceGetName(char* name, int len, int) {
    return snprintf(name, len, "a processor in its place"), SUCCESS;
}
Result cuDeviceGetAttribute(int* value, int, int) { return *value = wrong("sync") ? 0 : 1, SUCCESS; }
Result cuDevicePrimaryCtxRetain(void** context, int) { return *context = &first, SUCCESS; }
Result cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
Result cuCtxSetCurrent(void*) { return SUCCESS; }
Result cuCtxGetCurrent(void** context) { return *context = &first, SUCCESS; }
Result cuCtxSynchronize() { return SUCCESS; }
Result cuGetErrorName(Result r, const char** name) {
    return *name = r == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_OF_A_TEST", SUCCESS;
}
Result cuGetErrorString(Result, const char** words) { return *words = "as the test wants it", SUCCESS; }

Result cuStreamCreate(void** stream, unsigned) { return *stream = new Stream, SUCCESS; }
Result cuStreamDestroy_v2(void* stream) {
    ALONE;
    of(stream)->until(of(stream)->given);
    return SUCCESS;
}
Result cuStreamSynchronize(void* stream) {
    ALONE;
    of(stream)->until(of(stream)->given);
    return lost ? LAUNCH_FAILED : SUCCESS;
}
Result cuStreamWaitEvent(void* stream, void* event, unsigned) {
    ALONE;
    const Event e = *(Event*)event;
    of(stream)->give([e] { e.wait(); });
    return SUCCESS;
}
Result cuEventCreate(void** event, unsigned) { return *event = new Event, SUCCESS; }
Result cuEventDestroy_v2(void* event) {
    ALONE;
    delete (Event*)event;
    return SUCCESS;
}
Result cuEventRecord(void* event, void* stream) {
    ALONE;
    return *(Event*)event = {of(stream), of(stream)->given}, SUCCESS;
}
Result cuEventSynchronize(void* event) {
    ALONE;
    ((Event*)event)->wait();
    return SUCCESS;
}
Result cuEventElapsedTime(float* ms, void*, void*) { return *ms = 1, SUCCESS; }

Result cuMemAlloc_v2(uint64_t* at, size_t bytes) {
    ALONE;
    if (wrong("full") && bytes > 1 << 20) return OUT_OF_MEMORY;
    if (bytes == 0) return INVALID_VALUE;
    const size_t page = 4096, padded = (bytes + 15) / 16 * 16;
    const size_t whole = (padded + page - 1) / page * page + page;
    char* base = (char*)mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return OUT_OF_MEMORY;
    mprotect(base + whole - page, page, PROT_NONE);
    memset(base, 0xcd, whole - page);
    *at = (uint64_t)(base + whole - page - padded);
    memory[*at] = {base, whole};
    return SUCCESS;
}
Result cuMemAllocAsync(uint64_t* at, size_t bytes, void*) { return cuMemAlloc_v2(at, bytes); }
Result cuMemFree_v2(uint64_t at) {
    ALONE;
    return give_back(at), SUCCESS; }
Result cuMemFreeAsync(uint64_t at, void* stream) {
    ALONE;
    return of(stream)->give([at] { give_back(at); }), SUCCESS;
}
Result cuMemHostAlloc(void** at, size_t bytes, unsigned) {
    *at = malloc(bytes);
    memset(*at, 0xcd, bytes);
    return SUCCESS;
}
Result cuMemFreeHost(void* at) { return free(at), SUCCESS; }
Result cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t bytes, void* stream) {
    ALONE;
    return of(stream)->give([=] { memcpy((void*)to, from, bytes); }), SUCCESS;
}
Result cuMemcpyDtoHAsync_v2(void* to, uint64_t from, size_t bytes, void* stream) {
    ALONE;
    return of(stream)->give([=] { memcpy(to, (void*)from, bytes); }), SUCCESS;
}
Result cuMemsetD8Async(uint64_t at, unsigned char value, size_t bytes, void* stream) {
    ALONE;
    return of(stream)->give([=] { memset((void*)at, value, bytes); }), SUCCESS;
}

Result cuModuleLoadData(void** module, const void* image) {
    const char* ptx = (const char*)image;
    const bool known = strstr(ptx, ".entry rows(") && strstr(ptx, ".entry columns(");
    return *module = &first, known && !wrong("ptx") ? SUCCESS : UNSUPPORTED_PTX;
}
Result cuModuleUnload(void*) { return SUCCESS; }
Result cuModuleGetFunction(void** function, void*, const char* name) {
    *function = nullptr;
    if (!strcmp(name, "rows")) *function = (void*)run_rows;
    if (!strcmp(name, "columns")) *function = (void*)run_columns;
    return *function ? SUCCESS : NOT_FOUND;
}
#ifndef OLD
Result cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                      unsigned bz, unsigned, void* stream, void** args, void**) {
    ALONE;
    if (gy > 65535 || gz > 65535 || bx * by * bz > 1024) return INVALID_VALUE;
    const bool of_rows = function == (void*)run_rows;
    // Arguments are those of now.
    std::vector<std::vector<char>> copies;
    for (int i = 0; i < (of_rows ? 4 : 6); i++) {
        const int numbers = of_rows ? 2 : 4;
        const size_t bytes = i < numbers ? 8 : i == numbers ? sizeof(Picture) : sizeof(Reads);
        copies.emplace_back((char*)args[i], (char*)args[i] + bytes);
    }
    of(stream)->give([=]() mutable {
        void* pointers[6];
        for (size_t i = 0; i < copies.size(); i++) pointers[i] = copies[i].data();
        lost |= wrong("lost");
        lost |= !gpu::launch((Kernel)function, pointers, {gx, gy, gz}, {bx, by, bz});
    });
    return SUCCESS;
}
#endif
}
