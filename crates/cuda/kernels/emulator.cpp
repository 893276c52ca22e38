// Runs the kernels on the CPU, so that everything above a launch is tested without a GPU.
//
// The threads of a block are fibers that give way at barriers and shuffles. One after another they run up to their next
// barrier or shuffle, in one order or the reverse: a missing barrier gives other numbers in one of them. What is wrong is said
// instead of computed: arguments that do not match the kernel's, threads that miss a barrier, writes beyond shared memory.
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <ucontext.h>

#include "emulator.h"

#define TLORA_EMULATOR
#include "all.cu"

namespace emulator {

thread_local Index thread, block, block_size, grid_size;

namespace {

// The guard is larger than all the shared memory that a kernel may want.
constexpr size_t STACK = 64 << 10, GUARD = 64 << 10;
constexpr unsigned char NOTHING = 0xff; // As floats not a number, as numbers of rows beyond everything.

enum class State { Ready, Shuffle, Barrier, Done };

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    jmp_buf at;
    bool begun = false;
    State state = State::Done;
    unsigned int number = 0;
    unsigned long long value = 0;
    int other = 0;
};

struct Launch {
    void (*call)(void**) = nullptr;
    void** arguments = nullptr;
};

thread_local std::vector<std::unique_ptr<Fiber>> fibers;
thread_local Fiber* current;
thread_local jmp_buf scheduler;
thread_local Launch launch;
thread_local std::vector<unsigned char> shared;
thread_local size_t shared_bytes;

void give_way(State state) {
    current->state = state;
    if (_setjmp(current->at) == 0) {
        _longjmp(scheduler, 1);
    }
}

// A fiber lives on from block to block.
void body() {
    for (;;) {
        launch.call(launch.arguments);
        give_way(State::Done);
    }
}

void resume(Fiber& fiber) {
    current = &fiber;
    thread = {fiber.number, 0, 0};
    if (_setjmp(scheduler) == 0) {
        if (fiber.begun) {
            _longjmp(fiber.at, 1);
        }
        fiber.begun = true;
        setcontext(&fiber.context);
    }
}

void need_fibers(unsigned int count) {
    while (fibers.size() < count) {
        auto fiber = std::make_unique<Fiber>();
        memset(&fiber->context, 0, sizeof fiber->context);
        fiber->stack = std::make_unique<char[]>(STACK);
        fiber->number = (unsigned int)fibers.size();
        getcontext(&fiber->context);
        fiber->context.uc_stack.ss_sp = fiber->stack.get();
        fiber->context.uc_stack.ss_size = STACK;
        fiber->context.uc_link = nullptr;
        makecontext(&fiber->context, body, 0);
        fibers.push_back(std::move(fiber));
    }
}

unsigned char* aligned_shared() {
    const size_t address = (size_t)shared.data();
    return shared.data() + ((16 - address % 16) % 16);
}

// Lets the warps whose lanes have all come exchange their values.
bool shuffle_warps() {
    bool any = false;
    for (unsigned int first = 0; first < block_size.x; first += WARP) {
        bool all = true;
        for (unsigned int lane = 0; lane < WARP; lane++) {
            all = all && fibers[first + lane]->state == State::Shuffle;
        }
        if (!all) {
            continue;
        }
        unsigned long long values[WARP];
        for (unsigned int lane = 0; lane < WARP; lane++) {
            values[lane] = fibers[first + lane]->value;
        }
        for (unsigned int lane = 0; lane < WARP; lane++) {
            Fiber& fiber = *fibers[first + lane];
            fiber.value = values[(lane ^ (unsigned int)fiber.other) % WARP];
            fiber.state = State::Ready;
        }
        any = true;
    }
    return any;
}

unsigned int count(State state) {
    unsigned int found = 0;
    for (unsigned int i = 0; i < block_size.x; i++) {
        found += fibers[i]->state == state;
    }
    return found;
}

std::string run_block(bool reversed) {
    const unsigned int threads = block_size.x;
    memset(aligned_shared(), NOTHING, shared_bytes);
    for (unsigned int i = 0; i < threads; i++) {
        fibers[i]->state = State::Ready;
    }
    while (count(State::Done) < threads) {
        for (unsigned int i = 0; i < threads; i++) {
            Fiber& fiber = *fibers[reversed ? threads - 1 - i : i];
            if (fiber.state == State::Ready) {
                resume(fiber);
            }
        }
        if (shuffle_warps() || count(State::Done) == threads) {
            continue;
        }
        if (count(State::Barrier) < threads) {
            return std::to_string(count(State::Barrier)) + " threads wait at a barrier, "
                + std::to_string(count(State::Shuffle)) + " for their warp, " + std::to_string(count(State::Done))
                + " have ended";
        }
        for (unsigned int i = 0; i < threads; i++) {
            fibers[i]->state = State::Ready;
        }
    }
    for (const unsigned char* at = aligned_shared() + shared_bytes; at < shared.data() + shared.size(); at++) {
        if (*at != NOTHING) {
            return "a write beyond the shared memory of the launch";
        }
    }
    return "";
}

// A kernel's parameters as text: r or w for memory that it reads or writes with the type of an element, or the type of a
// number.
template <class T> constexpr char type_code() {
    if (std::is_same<T, float>::value) return 'f';
    if (std::is_same<T, double>::value) return 'd';
    if (std::is_same<T, u16>::value) return 'h';
    if (std::is_same<T, u32>::value) return 'u';
    if (std::is_same<T, u64>::value) return 'l';
    return '?';
}

template <class T> void add_code(std::string& codes) {
    using Pointee = std::remove_pointer_t<T>;
    if (std::is_pointer<T>::value) {
        codes += std::is_const<Pointee>::value ? 'r' : 'w';
    }
    codes += type_code<std::remove_const_t<Pointee>>();
}

struct Kernel {
    const char* name;
    std::string codes;
    void (*call)(void**);
};

template <auto function> struct Caller;

template <class... A, void (*function)(A...)> struct Caller<function> {
    template <size_t... I> static void each(void** arguments, std::index_sequence<I...>) {
        function(*(std::remove_const_t<A>*)arguments[I]...);
    }
    static void call(void** arguments) { each(arguments, std::index_sequence_for<A...>{}); }
    static Kernel kernel(const char* name) {
        std::string codes;
        (add_code<A>(codes), ...);
        return {name, codes, call};
    }
};

const std::vector<Kernel>& kernels() {
    static const std::vector<Kernel> all = {
#define ENTRY(name) Caller<name>::kernel(#name),
#include "kernels.def"
#undef ENTRY
    };
    return all;
}

std::string run(const char* name, const char* codes, const unsigned int* sizes, void** arguments, bool reversed) {
    const Kernel* kernel = nullptr;
    for (const Kernel& candidate : kernels()) {
        if (strcmp(candidate.name, name) == 0) {
            kernel = &candidate;
        }
    }
    if (!kernel) {
        return "there is no such kernel";
    }
    if (kernel->codes != codes) {
        return "wants arguments " + kernel->codes + ", got " + codes;
    }
    grid_size = {sizes[0], sizes[1], 1};
    block_size = {sizes[2], 1, 1};
    shared_bytes = sizes[3];
    if (block_size.x % WARP != 0 || block_size.x == 0 || block_size.x > 1024 || shared_bytes > 48 << 10 || sizes[0] == 0
        || sizes[1] == 0 || sizes[1] > 65535) {
        return "no device takes this grid, block or shared memory";
    }
    need_fibers(block_size.x);
    shared.assign(shared_bytes + GUARD, NOTHING);
    launch = {kernel->call, arguments};
    for (block.y = 0; block.y < grid_size.y; block.y++) {
        for (block.x = 0; block.x < grid_size.x; block.x++) {
            std::string wrong = run_block(reversed);
            if (!wrong.empty()) {
                // What hangs in the middle of a kernel is never resumed.
                fibers.clear();
                return wrong;
            }
        }
    }
    return "";
}

} // namespace

float* dynamic_shared() { return (float*)aligned_shared(); }

void barrier() { give_way(State::Barrier); }

unsigned long long exchange(unsigned long long value, int other) {
    current->value = value;
    current->other = other;
    give_way(State::Shuffle);
    return current->value;
}

} // namespace emulator

// Runs a kernel; `sizes` are the grid's two, the block's and the bytes of shared memory. 0, or what is wrong in `message`.
extern "C" int tlora_emulator_launch(const char* name, const char* codes, const unsigned int* sizes, void** arguments,
                                     int reversed, char* message, size_t room) {
    const std::string wrong = emulator::run(name, codes, sizes, arguments, reversed != 0);
    snprintf(message, room, "%s", wrong.c_str());
    return wrong.empty() ? 0 : 1;
}
