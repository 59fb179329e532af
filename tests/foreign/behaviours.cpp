// Logic in C++ that does what is hard to unmap. What it is built with: VERSION, a literal.
#include <liveswap.h>

#include <cstdio>
#include <pthread.h>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

// A static of an inline function: one for the whole process, if the compiler makes it a unique symbol.
struct Counter {
    static int &calls() {
        static int calls = 0;
        return calls;
    }
};

template <class Number> int counted() {
    static int calls = 0;
    return ++calls;
}

struct Announced {
    const char *what;
    ~Announced() {
        char line[64];
        std::snprintf(line, sizeof(line), "%s of %s destroyed", what, VERSION);
        liveswap_log(LIVESWAP_LEVEL_INFO, liveswap_text(line));
    }
};

Announced of_library{"static"};
pthread_key_t key;
pthread_t worker;
bool works = false;
volatile bool is_done = false;

void *work(void *) {
    while (!is_done) sched_yield();
    return nullptr;
}

#ifdef CONSTRUCTOR_KEY
struct Early {
    Early() { pthread_key_create(&key, nullptr); }
} early;
#endif

} // namespace

// Not in an unnamed namespace, so that it's a unique symbol where the compiler makes some.
struct Shared {
    static int &calls() {
        static int calls = 0;
        return calls;
    }
};
inline int shared_by_all = 0;

struct Behaviours : liveswap::Logic {
    static std::string call(liveswap::Call &call, std::string_view method, std::string_view input) {
        if (method == "throw") {
            call.value<int>("half") = 1;
            throw std::runtime_error("the roof is on fire");
        }
        if (method == "throw-number") throw 7;
        if (method == "get-sick") {
            call.put("sick", "y");
            return "";
        }
        if (method == "refuse") throw liveswap::Refused("no: " + std::string(input));
        if (method == "add") {
            return std::to_string(call.value<long>("total") += std::stol(std::string(input)));
        }
        return Logic::call(call, method, input);
    }

    static std::string ask(liveswap::Call &call, std::string_view method, std::string_view input) {
        if (method == "version") return VERSION;
        if (method == "get") return std::string(call.block(input));
        if (method == "total") {
            const long *total = call.look<long>("total");
            return std::to_string(total == nullptr ? 0 : *total);
        }
        if (method == "statics") return std::to_string(++Shared::calls() + 100 * ++shared_by_all);
        if (method == "counted") return std::to_string(++Counter::calls() + counted<int>());
        if (method == "thread-local") {
            thread_local Announced of_thread{"thread-local"};
            return of_thread.what;
        }
        if (method == "key") {
            pthread_key_create(&key, [](void *) {
                liveswap_log(LIVESWAP_LEVEL_INFO, liveswap_text("value of " VERSION " destroyed"));
            });
            pthread_setspecific(key, &key);
            return "";
        }
        if (method == "pthread") {
            works = pthread_create(&worker, nullptr, work, nullptr) == 0;
            return works ? "started" : "not started";
        }
#ifdef STD_THREAD
        if (method == "std-thread") {
            std::thread([] {}).join();
            return "joined";
        }
#endif
        return Logic::ask(call, method, input);
    }

    // What it hears, the log shows.
    static void heard(const std::string &what) {
        std::string line = what + " heard by " VERSION;
        liveswap_log(LIVESWAP_LEVEL_INFO, liveswap::bytes(line));
    }

    static void create(liveswap::Call &call) { call.put("created by", VERSION); }
    static void prepare(liveswap::Call &) { heard("prepare"); }
    static void self_test(liveswap::Call &) { heard("self_test"); }
    static void prepare_to_yield(liveswap::Call &) { heard("prepare_to_yield"); }
    static void yielded(liveswap::Call &) { heard("yielded"); }
    static void resume(liveswap::Call &) { heard("resume"); }
    static void health(liveswap::Call &call) {
        heard("health");
        if (call.block("sick").size() > 0) throw liveswap::Refused("something is wrong");
    }
    static void unload(liveswap::Call &) { heard("unload"); }
    static void initialize(liveswap::Call &call) { heard("initialize, created by " + std::string(call.block("created by"))); }
    static void start(liveswap::Call &call) {
        call.put("started by", VERSION);
        heard("start");
    }
    static void stop(liveswap::Call &call) { heard("stop, started by " + std::string(call.block("started by"))); }
    static void took_over(liveswap::Call &) { heard("took_over"); }
    static void configure(liveswap::Call &call, std::string_view name, std::string_view value) {
        call.put(name, value);
        heard("option " + std::string(name) + " = " + std::string(value));
        if (value == "unfit") throw liveswap::Refused("that won't do");
    }

    static void teardown(liveswap::Call &) {
        heard("teardown");
        if (!works) return;
        is_done = true;
        pthread_join(worker, nullptr);
    }
};

#ifdef PLAIN
static int leak(liveswap_call *, liveswap_bytes, liveswap_bytes) {
    throw std::runtime_error("nobody catches this");
}

static constexpr liveswap_logic plain() {
    liveswap_logic logic{};
    logic.size = sizeof(logic);
    logic.call = leak;
    return logic;
}

static constexpr liveswap_logic logic = plain();
LIVESWAP_EXPORT("logic", VERSION, logic);
#else
LIVESWAP_EXPORT_CLASS(Behaviours, "logic", VERSION);
#endif
