/* Logic in C that counts. What it is built with: VERSION, a literal; SCHEMA and OLDEST; WAY. */
#include <liveswap.h>
#include <stddef.h>
#include <stdio.h>

#ifndef SCHEMA
#define SCHEMA 1
#endif
#ifndef OLDEST
#define OLDEST 1
#endif
#ifndef WAY
#define WAY LIVESWAP_TWO_WAY
#endif
#ifndef LOGIC_SIZE
#define LOGIC_SIZE sizeof(liveswap_logic)
#endif

/* Schema 1 counts in 32 bits, later ones in 64. */
#if SCHEMA == 1
typedef uint32_t count_type;
#else
typedef uint64_t count_type;
#endif

static int create(liveswap_call *call) {
    void *count = liveswap_allocate(call, liveswap_text("count"), sizeof(count_type));
    return count ? LIVESWAP_OK : LIVESWAP_REFUSED;
}

static int answer_number(liveswap_call *call, unsigned long long number) {
    char text[32];
    snprintf(text, sizeof(text), "%llu", number);
    return liveswap_answer(call, liveswap_text(text));
}

static int change(liveswap_call *call, liveswap_bytes method, liveswap_bytes input) {
    size_t size = 0;
    if (liveswap_is(method, "add")) {
        count_type *count = liveswap_edit(call, liveswap_text("count"), &size);
        if (count == NULL || size != sizeof(*count)) return liveswap_refuse(call, "there is no count");
        *count += (count_type)input.size;
        return answer_number(call, *count);
    }
    if (liveswap_is(method, "put")) {
        void *block = liveswap_allocate(call, input, 3 + input.size);
        if (block == NULL) return liveswap_refuse(call, "can't allocate it");
        memcpy(block, input.data, input.size);
        return answer_number(call, (uintptr_t)block % 16);
    }
    if (liveswap_is(method, "remove")) return answer_number(call, (unsigned)liveswap_remove(call, input));
    if (liveswap_is(method, "fill")) {
        count_type *count = liveswap_edit(call, liveswap_text("count"), &size);
        memset(count, 0xff, size);
        return LIVESWAP_OK;
    }
    return liveswap_refuse(call, "what is that?");
}

static int look(liveswap_call *call, liveswap_bytes method, liveswap_bytes input) {
    size_t size = 0;
    if (liveswap_is(method, "version")) return liveswap_answer(call, liveswap_text(VERSION));
    if (liveswap_is(method, "count")) {
        const count_type *count = liveswap_get(call, liveswap_text("count"), &size);
        return answer_number(call, *count);
    }
    if (liveswap_is(method, "get")) {
        const void *block = liveswap_get(call, input, &size);
        liveswap_bytes content = {block, size};
        return block ? liveswap_answer(call, content) : liveswap_refuse(call, "no such block");
    }
    if (liveswap_is(method, "names")) {
        liveswap_bytes name = {NULL, 0};
        while ((name = liveswap_next(call, name)).data != NULL) {
            liveswap_answer(call, name);
            liveswap_answer(call, liveswap_text(";"));
        }
        return LIVESWAP_OK;
    }
    if (liveswap_is(method, "change")) {
        int is_refused = liveswap_allocate(call, liveswap_text("new"), 1) == NULL &&
                         liveswap_edit(call, liveswap_text("count"), &size) == NULL &&
                         !liveswap_remove(call, liveswap_text("count"));
        return liveswap_answer(call, liveswap_text(is_refused ? "refused" : "changed"));
    }
    return liveswap_refuse(call, "what is that?");
}

#if SCHEMA > 1
static int migrate(liveswap_call *call, uint32_t from) {
    if (from > 1) return LIVESWAP_OK;
    /* The former count is in the first half, of a machine that begins with the low one; the other is 0. */
    uint64_t *count = liveswap_allocate(call, liveswap_text("count"), sizeof(*count));
    return count ? LIVESWAP_OK : LIVESWAP_REFUSED;
}

static int migrate_back(liveswap_call *call, uint32_t to) {
    size_t size = 0;
    const uint64_t *count = liveswap_get(call, liveswap_text("count"), &size);
    if (to > 1) return LIVESWAP_OK;
    if (*count > UINT32_MAX) return liveswap_refuse(call, "the count is too large");
    return liveswap_allocate(call, liveswap_text("count"), sizeof(uint32_t)) ? LIVESWAP_OK : LIVESWAP_REFUSED;
}
#endif

static int prepare(liveswap_call *call) {
    liveswap_log(LIVESWAP_LEVEL_INFO, liveswap_text("preparing " VERSION));
#ifdef REFUSE_PREPARE
    return liveswap_refuse(call, "not today");
#else
    size_t size = 0;
    return liveswap_get(call, liveswap_text("count"), &size) == NULL ? LIVESWAP_OK : LIVESWAP_REFUSED;
#endif
}

static int prepare_to_yield(liveswap_call *call) {
#ifdef VETO
    return liveswap_refuse(call, "in the middle of something");
#else
    (void)call;
    return LIVESWAP_OK;
#endif
}

static int self_test(liveswap_call *call) {
#ifdef CRASH
    *(volatile int *)16 = 1;
#endif
    (void)call;
    return LIVESWAP_OK;
}

static const liveswap_logic logic = {
    .size = LOGIC_SIZE,
    .create = create,
    .call = change,
    .ask = look,
#if SCHEMA > 1
    .migrate = migrate,
    .migrate_back = migrate_back,
#endif
    .prepare = prepare,
    .self_test = self_test,
    .prepare_to_yield = prepare_to_yield,
};

LIVESWAP_EXPORT_STATE("logic", VERSION, logic, SCHEMA, OLDEST, WAY);
