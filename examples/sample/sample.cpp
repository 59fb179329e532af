// A sample of logic in C++: a plugin that is constructed, configured, opened, asked, closed and destroyed, and says
// so.
//
// Each version has a plugin of its own, in a static of its own. It holds no data that must last: what it was told and
// how often it was asked is in the state, which the host keeps. So a version that takes over goes on with both.
#include <liveswap.h>

#include <optional>

namespace {

class SamplePlugin {
    bool is_open = false;

public:
    SamplePlugin() { liveswap::output("SamplePlugin constructed"); }
    ~SamplePlugin() { liveswap::output("SamplePlugin destroyed"); }
    SamplePlugin(const SamplePlugin &) = delete;
    SamplePlugin &operator=(const SamplePlugin &) = delete;

    void open() {
        is_open = true;
        liveswap::output("SamplePlugin opened");
    }

    void reopen() {
        is_open = true;
        liveswap::output("SamplePlugin reopened after reload");
    }

    void set(std::string_view key, std::string_view value) {
        liveswap::output("Set config: " + std::string(key) + " = " + std::string(value));
    }

    std::string infer(std::string_view what) {
        liveswap::output("inference: " + std::string(what) + " done.");
        return "done by " VERSION;
    }

    void close() {
        if (!is_open) return;
        is_open = false;
        liveswap::output("SamplePlugin closed");
    }
};

// Made in `prepare` and gone after `unload`, so that it's there whenever a method or a hook is called.
std::optional<SamplePlugin> plugin;

} // namespace

struct Sample : liveswap::Logic {
    static void prepare(liveswap::Call &) { plugin.emplace(); }

    static void configure(liveswap::Call &call, std::string_view key, std::string_view value) {
        plugin->set(key, value);
        call.put("config/" + std::string(key), value);
    }

    static void start(liveswap::Call &) { plugin->open(); }
    static void took_over(liveswap::Call &) { plugin->reopen(); }

    static std::string call(liveswap::Call &call, std::string_view method, std::string_view input) {
        if (method != "inference") return Logic::call(call, method, input);
        call.value<std::uint64_t>("inferences") += 1;
        return plugin->infer(input);
    }

    static std::string ask(liveswap::Call &call, std::string_view method, std::string_view input) {
        if (method == "inferences") {
            const auto *count = call.look<std::uint64_t>("inferences");
            return std::to_string(count == nullptr ? 0 : *count);
        }
        if (method == "config") return std::string(call.block("config/" + std::string(input)));
        return Logic::ask(call, method, input);
    }

    // After its last call, and when nothing of it runs any more: a version that is replaced, and the last one.
    static void teardown(liveswap::Call &) { plugin->close(); }
    static void unload(liveswap::Call &) { plugin.reset(); }
};

LIVESWAP_EXPORT_CLASS(Sample, "logic", VERSION);
