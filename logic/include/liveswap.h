/*
 * liveswap.h: logic in C or C++ for a liveswap host.
 *
 * A logic library is a shared library with one line of LIVESWAP_EXPORT (C) or LIVESWAP_EXPORT_CLASS (C++). A host with
 * a module of the interface `dyn liveswap_state::Bytes` loads it, calls it, and replaces it by the next version of it
 * while it runs. Build it so, with liveswap.map beside this file:
 *
 *     cc -shared -fPIC -fvisibility=hidden -Wl,--version-script=liveswap.map -o counter.v1.so counter.c
 *
 * docs/c.md tells how to write one, and which of the engine's guarantees reach that far.
 *
 * The binary interface is stable: with the same LIVESWAP_ABI, any library goes with any host. Structures only grow at
 * their end, and each says how large it is.
 *
 * Rules that no compiler checks:
 * - what the host passes is valid until the function that it was passed to has returned, and on that thread only;
 * - the state lives in the host's blocks. No block holds a pointer: it would point into a version that is gone, or to a
 *   block that has moved;
 * - no exception leaves a function that is given to the host. LIVESWAP_EXPORT_CLASS catches them.
 */
#ifndef LIVESWAP_H
#define LIVESWAP_H

#if !defined(__ELF__) || !defined(__GNUC__)
#error "liveswap.h needs GCC or Clang, and ELF"
#endif

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The version of this interface. */
#define LIVESWAP_ABI 1

#ifdef __cplusplus
extern "C" {
#endif

/* ---- What crosses ------------------------------------------------------------------------------------------------ */

/* Bytes that somebody else owns. Of no use after the call in which they were passed. */
typedef struct liveswap_bytes {
    const void *data;
    size_t size;
} liveswap_bytes;

/* One call: a method, or a hook. */
typedef struct liveswap_call liveswap_call;

/* This version, as the host knows it. */
typedef struct liveswap_context liveswap_context;

/* What a function answers. Any other number counts as LIVESWAP_REFUSED. */
enum {
    /* Done. */
    LIVESWAP_OK = 0,
    /* It says no; what was answered so far is the reason, as text. */
    LIVESWAP_REFUSED = 1,
    /* It has failed in the middle of something, as by an exception. The host takes it for a panic: the caller gets an
       error, and after a call that has the state alone the state may be half changed. */
    LIVESWAP_THREW = 2
};

/* How grave an event is. */
enum {
    LIVESWAP_LEVEL_ERROR = 1,
    LIVESWAP_LEVEL_WARN = 2,
    LIVESWAP_LEVEL_INFO = 3,
    LIVESWAP_LEVEL_DEBUG = 4,
    LIVESWAP_LEVEL_TRACE = 5
};

/* What the host offers. Logic uses the functions further down. */
typedef struct liveswap_host {
    uint32_t abi;
    uint32_t size;
    void (*log)(const liveswap_context *, int level, liveswap_bytes text, const char *file, uint32_t line);
    void (*output)(const liveswap_context *, liveswap_bytes text);
    int (*answer)(liveswap_call *, liveswap_bytes part);
    const void *(*get)(const liveswap_call *, liveswap_bytes name, size_t *size);
    void *(*edit)(liveswap_call *, liveswap_bytes name, size_t *size);
    void *(*allocate)(liveswap_call *, liveswap_bytes name, size_t size);
    int (*remove)(liveswap_call *, liveswap_bytes name);
    liveswap_bytes (*next)(const liveswap_call *, liveswap_bytes after);
    int (*at_exit)(const liveswap_context *, void (*destructor)(void *), void *object);
    int (*create_key)(const liveswap_context *, unsigned *key, void (*destructor)(void *));
    int (*delete_key)(const liveswap_context *, unsigned key);
    int (*set_key)(const liveswap_context *, unsigned key, const void *value);
    int (*start)(const liveswap_context *, unsigned long *thread, const void *attributes, void *(*start)(void *),
                 void *argument);
} liveswap_host;

/* A hook: something that the host tells or asks the version. */
typedef int (*liveswap_hook)(liveswap_call *);
/* A method is called, by name, with the bytes that the host passes. */
typedef int (*liveswap_method)(liveswap_call *, liveswap_bytes method, liveswap_bytes input);
/* The state is another schema's, and is to become that of the next or of the former one. */
typedef int (*liveswap_step)(liveswap_call *, uint32_t schema);

/*
 * A version's functions. Each may be NULL: then nothing is done, or, of a method, the answer is that there is none.
 * "Alone": no other call is in the state meanwhile. "Shared": others that only look at it are.
 */
typedef struct liveswap_logic {
    /* sizeof(liveswap_logic) */
    uint32_t size;
    /* Makes the state, in blocks that are all still to be made. Called once, for the first version of a process.
       Alone. */
    liveswap_hook create;
    /* A call that may change the state. Alone. */
    liveswap_method call;
    /* A call that only looks at the state. Shared. */
    liveswap_method ask;
    /* The state is of this former schema, and becomes one of the next. It may be a copy, to find out whether it will
       do. Alone. */
    liveswap_step migrate;
    /* The way back: the state is of the schema after this one, and becomes one of this. Alone. */
    liveswap_step migrate_back;
    /* After loading, before publishing: can this version serve? Without the state. */
    liveswap_hook prepare;
    /* After that: does it work? Without the state. */
    liveswap_hook self_test;
    /* Asked of the version that serves: can it hand over to its successor now? Without the state. */
    liveswap_hook prepare_to_yield;
    /* The hand-over that it has agreed to has happened. Without the state. */
    liveswap_hook yielded;
    /* The hand-over that it has agreed to was called off. Without the state. */
    liveswap_hook resume;
    /* Asked now and then while the version is on probation: does it do what it should? Shared. */
    liveswap_hook health;
    /* After the last call: stop the threads that it has started, take back what it has given to others. Without the
       state. */
    liveswap_hook teardown;
    /* The last of all: free what its statics hold. Without the state. */
    liveswap_hook unload;
    /* Once in an engine's life, when the module has its state, and before it serves. Alone. */
    liveswap_hook initialize;
    /* Once in an engine's life, when the module serves. Alone. */
    liveswap_hook start;
    /* At the engine's end, or when the host stops the module, if it had started. Alone. */
    liveswap_hook stop;
    /* This version has been published in the place of another. Without the state. */
    liveswap_hook took_over;
    /* An option of the module's, by name, with its value as text; of a table, `table.name`. Called for each of them, in
       the order of their names: before the module is initialized, and when any has changed. Alone. */
    liveswap_method configure;
} liveswap_logic;

/* What constructors of the library have done before there was a host. */
typedef struct liveswap_before {
    size_t destructors;
    size_t keys;
    size_t threads;
} liveswap_before;

/* The one thing that a library shows: `liveswap_c_entry`. */
typedef struct liveswap_entry {
    uint32_t abi;
    uint32_t size;
    const void *manifest;
    size_t manifest_size;
    int (*begin)(const liveswap_host *, const liveswap_context *, liveswap_before *);
    const liveswap_logic *logic;
} liveswap_entry;

/* ---- What logic calls -------------------------------------------------------------------------------------------- */

/* The host, once it has bound this library. */
typedef struct liveswap__binding {
    const liveswap_host *host;
    const liveswap_context *context;
} liveswap__binding;

#define LIVESWAP__HIDDEN __attribute__((visibility("hidden")))

extern liveswap__binding liveswap__bound LIVESWAP__HIDDEN;

/* Text as bytes, without the 0 at its end. */
static inline liveswap_bytes liveswap_text(const char *text) {
    liveswap_bytes bytes = {text, strlen(text)};
    return bytes;
}

/* Whether bytes are this text. */
static inline int liveswap_is(liveswap_bytes bytes, const char *text) {
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

/* Adds bytes to the answer. Gives LIVESWAP_OK, so that a method may end with it. */
static inline int liveswap_answer(liveswap_call *call, liveswap_bytes part) {
    return liveswap__bound.host->answer(call, part);
}

/* Says no, for this reason. Gives LIVESWAP_REFUSED, for a function to return. */
static inline int liveswap_refuse(liveswap_call *call, const char *reason) {
    liveswap__bound.host->answer(call, liveswap_text(reason));
    return LIVESWAP_REFUSED;
}

/* A block of the state, to look at: its first byte, aligned to 16, and its size. NULL if there is no such block, or the
   function is without the state. */
static inline const void *liveswap_get(const liveswap_call *call, liveswap_bytes name, size_t *size) {
    return liveswap__bound.host->get(call, name, size);
}

/* The same, to change it. NULL also if the function doesn't have the state alone. */
static inline void *liveswap_edit(liveswap_call *call, liveswap_bytes name, size_t *size) {
    return liveswap__bound.host->edit(call, name, size);
}

/* Makes a block of this size, or makes one larger or smaller. It keeps what it holds; what is new is 0. The host owns
   it: it outlives this version. NULL if the function doesn't have the state alone, the name is empty or isn't UTF-8, or
   there is no memory. A pointer into the same block isn't valid any more. */
static inline void *liveswap_allocate(liveswap_call *call, liveswap_bytes name, size_t size) {
    return liveswap__bound.host->allocate(call, name, size);
}

/* Removes a block. Gives whether there was one to remove. Its content isn't valid any more, nor is its name, if it's the
   one that `liveswap_next` gave: go on to the next block first. */
static inline int liveswap_remove(liveswap_call *call, liveswap_bytes name) {
    return liveswap__bound.host->remove(call, name);
}

/* The name of the block after this one, in the order of their bytes; of the first after one without data. Its data is
   NULL if there is none. */
static inline liveswap_bytes liveswap_next(const liveswap_call *call, liveswap_bytes after) {
    return liveswap__bound.host->next(call, after);
}

/* A line for whoever uses the service: the host shows it as this module's. */
static inline void liveswap_output(liveswap_bytes line) {
    liveswap__bound.host->output(liveswap__bound.context, line);
}

/* An event for whoever runs the service: it goes to the host's log. */
#define liveswap_log(level, text) liveswap__log((level), (text), __FILE__, __LINE__)

static inline void liveswap__log(int level, liveswap_bytes text, const char *file, uint32_t line) {
    liveswap__bound.host->log(liveswap__bound.context, level, text, file, line);
}

/* ---- The export -------------------------------------------------------------------------------------------------- */

/* The way back from a state of this schema to that of the former one: there is one, or there is none. */
#define LIVESWAP_TWO_WAY "false"
#define LIVESWAP_ONE_WAY "true"

#ifdef __clang__
#define LIVESWAP__COMPILER __VERSION__
#else
#define LIVESWAP__COMPILER "gcc " __VERSION__
#endif

#define LIVESWAP__SPELLED(value) #value
#define LIVESWAP__SPELL(value) LIVESWAP__SPELLED(value)

/* As liveswap_state::manifest describes it; of format 2, which has no checksum: no compiler could compute one. */
#define LIVESWAP__MANIFEST(module, version, schema, oldest, way)                                                       \
    "{\"abi\":\"c\",\"contract\":" LIVESWAP__SPELL(LIVESWAP_ABI) ",\"module\":\"" module "\",\"version\":\"" version   \
    "\",\"compiler\":\"" LIVESWAP__COMPILER "\",\"state\":{\"schema\":" LIVESWAP__SPELL(schema) ",\"oldest\":"         \
    LIVESWAP__SPELL(oldest) ",\"one_way\":" way "}}"

/*
 * Exports this library's logic. Once per library, at the end of a source file, outside of any namespace.
 *
 * module: the module's name, a literal. version: numbers with dots between them, a literal. logic: the name of a
 * constant `liveswap_logic`. schema: the number of the state's schema, from 1 to 256. oldest: the oldest schema that
 * `migrate` knows, no higher than that. way: LIVESWAP_TWO_WAY if `migrate_back` leads back to each of these, or
 * LIVESWAP_ONE_WAY. Both numbers are spelled out: they go into the manifest as they are.
 */
#define LIVESWAP_EXPORT_STATE(module, version, logic, schema, oldest, way)                                             \
    LIVESWAP__C_BEGIN                                                                                                  \
    static const struct {                                                                                              \
        char magic[8];                                                                                                 \
        uint32_t format;                                                                                               \
        uint32_t length;                                                                                               \
        uint64_t checksum;                                                                                             \
        char text[sizeof(LIVESWAP__MANIFEST(module, version, schema, oldest, way))];                                   \
    } liveswap__manifest __attribute__((section(".liveswap"), used, aligned(8))) = {                                   \
        {'L', 'I', 'V', 'E', 'S', 'W', 'A', 'P'},                                                                      \
        2,                                                                                                             \
        (uint32_t)sizeof(LIVESWAP__MANIFEST(module, version, schema, oldest, way)) - 1,                                \
        0,                                                                                                             \
        LIVESWAP__MANIFEST(module, version, schema, oldest, way)};                                                     \
    LIVESWAP__DEFINE_BINDING                                                                                           \
    extern const liveswap_entry liveswap_c_entry __attribute__((visibility("default")));                               \
    const liveswap_entry liveswap_c_entry = {                                                                          \
        LIVESWAP_ABI,                                                                                                  \
        (uint32_t)sizeof(liveswap_entry),                                                                              \
        &liveswap__manifest,                                                                                           \
        24 + sizeof(LIVESWAP__MANIFEST(module, version, schema, oldest, way)) - 1,                                     \
        liveswap__begin,                                                                                               \
        &(logic)};                                                                                                     \
    LIVESWAP__C_END                                                                                                    \
    typedef char liveswap__exported

/* The same for a state whose schema was never another one. */
#define LIVESWAP_EXPORT(module, version, logic) LIVESWAP_EXPORT_STATE(module, version, logic, 1, 1, LIVESWAP_TWO_WAY)

#ifdef __cplusplus
#define LIVESWAP__C_BEGIN extern "C" {
#define LIVESWAP__C_END }
#else
#define LIVESWAP__C_BEGIN
#define LIVESWAP__C_END
#endif

/*
 * The binding, and the functions of the C library that leave something of the caller with a thread: a destructor, a
 * key, a thread. The library has them itself, hidden, so that all of it is linked to these, and they ask the host,
 * which sees to it that nothing of the library runs any more when it's unmapped. Before there is a host, in a
 * constructor, they are the C library's and are counted. What another shared library does for this one they don't see:
 * `std::thread` of a libstdc++ that isn't linked statically.
 */
#define LIVESWAP__DEFINE_BINDING                                                                                       \
    liveswap__binding liveswap__bound;                                                                                 \
    static liveswap_before liveswap__before;                                                                           \
    static __thread volatile char liveswap__touched;                                                                   \
    static int liveswap__begin(const liveswap_host *host, const liveswap_context *context, liveswap_before *before) {  \
        /* So that this thread has a block of the library's thread-locals. */                                          \
        liveswap__touched = 1;                                                                                         \
        if (liveswap__bound.host != NULL) return LIVESWAP_REFUSED;                                                     \
        *before = liveswap__before;                                                                                    \
        liveswap__bound.context = context;                                                                             \
        __atomic_store_n(&liveswap__bound.host, host, __ATOMIC_RELEASE);                                               \
        return LIVESWAP_OK;                                                                                            \
    }                                                                                                                  \
    static const liveswap_host *liveswap__find_host(size_t *count) {                                                   \
        const liveswap_host *host = __atomic_load_n(&liveswap__bound.host, __ATOMIC_ACQUIRE);                          \
        if (host == NULL) __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);                                              \
        return host;                                                                                                   \
    }                                                                                                                  \
    static void liveswap__find_own(void *function, const char *name) {                                                 \
        void *found = dlsym(NULL, name);                                                                               \
        memcpy(function, &found, sizeof(found));                                                                       \
    }                                                                                                                  \
    LIVESWAP__DEFINE_AT_EXIT(liveswap__at_exit, "__cxa_thread_atexit")                                                 \
    LIVESWAP__DEFINE_AT_EXIT(liveswap__at_exit_impl, "__cxa_thread_atexit_impl")                                       \
    int liveswap__create_key(unsigned *key, void (*destructor)(void *)) __asm__("pthread_key_create")                  \
        LIVESWAP__FOR_ALL;                                                                                             \
    int liveswap__create_key(unsigned *key, void (*destructor)(void *)) {                                              \
        const liveswap_host *host = liveswap__find_host(&liveswap__before.keys);                                       \
        int (*own)(unsigned *, void (*)(void *));                                                                      \
        if (host != NULL) return host->create_key(liveswap__bound.context, key, destructor);                           \
        liveswap__find_own(&own, "pthread_key_create");                                                                \
        return own(key, destructor);                                                                                   \
    }                                                                                                                  \
    int liveswap__delete_key(unsigned key) __asm__("pthread_key_delete") LIVESWAP__FOR_ALL;                            \
    int liveswap__delete_key(unsigned key) {                                                                           \
        size_t uncounted = 0;                                                                                          \
        const liveswap_host *host = liveswap__find_host(&uncounted);                                                   \
        int (*own)(unsigned);                                                                                          \
        if (host != NULL) return host->delete_key(liveswap__bound.context, key);                                       \
        __atomic_fetch_sub(&liveswap__before.keys, 1, __ATOMIC_RELAXED);                                               \
        liveswap__find_own(&own, "pthread_key_delete");                                                                \
        return own(key);                                                                                               \
    }                                                                                                                  \
    int liveswap__set_key(unsigned key, const void *value) __asm__("pthread_setspecific") LIVESWAP__FOR_ALL;           \
    int liveswap__set_key(unsigned key, const void *value) {                                                           \
        size_t uncounted = 0;                                                                                          \
        const liveswap_host *host = liveswap__find_host(&uncounted);                                                   \
        int (*own)(unsigned, const void *);                                                                            \
        if (host != NULL) return host->set_key(liveswap__bound.context, key, value);                                   \
        liveswap__find_own(&own, "pthread_setspecific");                                                               \
        return own(key, value);                                                                                        \
    }                                                                                                                  \
    int liveswap__start(unsigned long *thread, const void *attributes, void *(*start)(void *), void *argument)         \
        __asm__("pthread_create") LIVESWAP__FOR_ALL;                                                                   \
    int liveswap__start(unsigned long *thread, const void *attributes, void *(*start)(void *), void *argument) {       \
        const liveswap_host *host = liveswap__find_host(&liveswap__before.threads);                                    \
        int (*own)(unsigned long *, const void *, void *(*)(void *), void *);                                          \
        if (host != NULL) return host->start(liveswap__bound.context, thread, attributes, start, argument);            \
        liveswap__find_own(&own, "pthread_create");                                                                    \
        return own(thread, attributes, start, argument);                                                               \
    }

/* Of these, each is for the whole library, whichever of its files refers to it. */
#define LIVESWAP__FOR_ALL __attribute__((visibility("hidden"), used))

#define LIVESWAP__DEFINE_AT_EXIT(function, name)                                                                       \
    int function(void (*destructor)(void *), void *object, void *library) __asm__(name) LIVESWAP__FOR_ALL;             \
    int function(void (*destructor)(void *), void *object, void *library) {                                            \
        const liveswap_host *host = liveswap__find_host(&liveswap__before.destructors);                                \
        int (*own)(void (*)(void *), void *, void *);                                                                  \
        if (host != NULL) return host->at_exit(liveswap__bound.context, destructor, object);                           \
        liveswap__find_own(&own, "__cxa_thread_atexit_impl");                                                          \
        return own(destructor, object, library);                                                                       \
    }

#ifdef __cplusplus
}

/* ---- C++ --------------------------------------------------------------------------------------------------------- */

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>

namespace liveswap {

/* Thrown by a method or a hook that says no. Any other exception counts as LIVESWAP_THREW. */
class Refused : public std::exception {
    std::string reason;

public:
    explicit Refused(std::string reason) : reason(std::move(reason)) {}
    const char *what() const noexcept override { return reason.c_str(); }
};

inline liveswap_bytes bytes(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view text(liveswap_bytes bytes) { return {static_cast<const char *>(bytes.data), bytes.size}; }

/* A line for whoever uses the service. */
inline void output(std::string_view line) { liveswap_output(bytes(line)); }

/* A call of the version, and its way to the state. */
class Call {
    liveswap_call *raw;

    template <class Value> static constexpr bool is_plain() {
        static_assert(std::is_trivially_copyable_v<Value> && !std::is_pointer_v<Value>,
                      "a block outlives this version: it holds plain data");
        static_assert(alignof(Value) <= 16, "a block is aligned to 16 bytes");
        return true;
    }

public:
    explicit Call(liveswap_call *raw) : raw(raw) {}

    liveswap_call *get() const { return raw; }

    /* A block, to look at; without data if there is none. */
    std::string_view block(std::string_view name) const {
        std::size_t size = 0;
        const void *data = liveswap_get(raw, bytes(name), &size);
        return {static_cast<const char *>(data), data == nullptr ? 0 : size};
    }

    /* A block that holds one value, to look at. Null if there is none, or it's of another size. */
    template <class Value> const Value *look(std::string_view name) const {
        static_assert(is_plain<Value>());
        std::string_view found = block(name);
        return found.size() == sizeof(Value) ? reinterpret_cast<const Value *>(found.data()) : nullptr;
    }

    /* A block that holds one value, to change it. One that isn't there, or is shorter, is filled with zeros. */
    template <class Value> Value &value(std::string_view name) {
        static_assert(is_plain<Value>());
        void *data = liveswap_allocate(raw, bytes(name), sizeof(Value));
        if (data == nullptr) throw std::bad_alloc();
        return *static_cast<Value *>(data);
    }

    /* Makes a block of these bytes. */
    void put(std::string_view name, std::string_view content) {
        void *data = liveswap_allocate(raw, bytes(name), content.size());
        if (data == nullptr) throw std::bad_alloc();
        if (!content.empty()) memcpy(data, content.data(), content.size());
    }

    bool remove(std::string_view name) { return liveswap_remove(raw, bytes(name)) != 0; }
};

/* What a class that is exported inherits. It hides what it has something of its own for: all of these are static. */
struct Logic {
    static void create(Call &) {}
    static std::string call(Call &, std::string_view method, std::string_view) {
        throw Refused("there is no method `" + std::string(method) + "` that may change the state");
    }
    static std::string ask(Call &, std::string_view method, std::string_view) {
        throw Refused("there is no method `" + std::string(method) + "` that looks at the state");
    }
    static void migrate(Call &, std::uint32_t from) { throw Refused("found schema " + std::to_string(from)); }
    static void migrate_back(Call &, std::uint32_t to) { throw Refused("no way to schema " + std::to_string(to)); }
    static void prepare(Call &) {}
    static void self_test(Call &) {}
    static void prepare_to_yield(Call &) {}
    static void yielded(Call &) {}
    static void resume(Call &) {}
    static void health(Call &) {}
    static void teardown(Call &) {}
    static void unload(Call &) {}
    static void initialize(Call &) {}
    static void start(Call &) {}
    static void stop(Call &) {}
    static void took_over(Call &) {}
    static void configure(Call &, std::string_view, std::string_view) {}
};

namespace detail {

/* No exception leaves here: it would unwind into the host, which ends the process then. */
template <class Body> int fence(liveswap_call *raw, Body body) noexcept {
    auto failed = [raw](const char *what, int status) {
        liveswap__bound.host->answer(raw, liveswap_text(what));
        return status;
    };
    try {
        Call call(raw);
        body(call);
        return LIVESWAP_OK;
    } catch (const Refused &refused) {
        return failed(refused.what(), LIVESWAP_REFUSED);
    } catch (const std::exception &thrown) {
        return failed(thrown.what(), LIVESWAP_THREW);
    } catch (...) {
        return failed("something that is no std::exception was thrown", LIVESWAP_THREW);
    }
}

template <void (*Hook)(Call &)> int hook(liveswap_call *raw) noexcept { return fence(raw, Hook); }

template <void (*Step)(Call &, std::uint32_t)> int step(liveswap_call *raw, std::uint32_t schema) noexcept {
    return fence(raw, [schema](Call &call) { Step(call, schema); });
}

template <std::string (*Method)(Call &, std::string_view, std::string_view)>
int method(liveswap_call *raw, liveswap_bytes name, liveswap_bytes input) noexcept {
    return fence(raw, [=](Call &call) { liveswap_answer(raw, bytes(Method(call, text(name), text(input)))); });
}

template <void (*Configure)(Call &, std::string_view, std::string_view)>
int option(liveswap_call *raw, liveswap_bytes name, liveswap_bytes value) noexcept {
    return fence(raw, [=](Call &call) { Configure(call, text(name), text(value)); });
}

} // namespace detail

template <class L> constexpr liveswap_logic logic_of() {
    return {sizeof(liveswap_logic),
            detail::hook<&L::create>,
            detail::method<&L::call>,
            detail::method<&L::ask>,
            detail::step<&L::migrate>,
            detail::step<&L::migrate_back>,
            detail::hook<&L::prepare>,
            detail::hook<&L::self_test>,
            detail::hook<&L::prepare_to_yield>,
            detail::hook<&L::yielded>,
            detail::hook<&L::resume>,
            detail::hook<&L::health>,
            detail::hook<&L::teardown>,
            detail::hook<&L::unload>,
            detail::hook<&L::initialize>,
            detail::hook<&L::start>,
            detail::hook<&L::stop>,
            detail::hook<&L::took_over>,
            detail::option<&L::configure>};
}

} // namespace liveswap

/* Exports a class that inherits liveswap::Logic. The other arguments are those of LIVESWAP_EXPORT_STATE. */
#define LIVESWAP_EXPORT_CLASS_STATE(logic, module, version, schema, oldest, way)                                       \
    static constexpr liveswap_logic liveswap__logic = ::liveswap::logic_of<logic>();                                   \
    LIVESWAP_EXPORT_STATE(module, version, liveswap__logic, schema, oldest, way)

/* The same for a state whose schema was never another one. */
#define LIVESWAP_EXPORT_CLASS(logic, module, version)                                                                  \
    LIVESWAP_EXPORT_CLASS_STATE(logic, module, version, 1, 1, LIVESWAP_TWO_WAY)

#endif /* __cplusplus */

#endif /* LIVESWAP_H */
