/*
 * hog: allocates memory without end and touches it, then aborts as C++ does when there is no more.
 *
 * The hub must: refuse it the memory beyond `memory`, so that neither the hub nor another sink is short of it; then as with a crash.
 */
#include "hostile.h"

/* The brake: where nothing holds it, it stops at this many bytes. */
#define MOST_BYTES ((size_t)4 << 30)
#define BLOCK_BYTES ((size_t)16 << 20)

static int32_t deliver(void *self, const wp_alert *alert, const wp_call *call, wp_reply *reply) {
    (void)self, (void)alert, (void)call, (void)reply;
    for (size_t taken = 0; taken < MOST_BYTES; taken += BLOCK_BYTES) {
        char *block = malloc(BLOCK_BYTES);
        if (block == NULL) break;
        memset(block, 1, BLOCK_BYTES);
    }
    abort();
}

WP_EXPORT const wp_plugin watchpost_sink_v1 = {
    HOSTILE_HEAD("hog", "Takes all the memory there is."),
    .create = hostile_create, .deliver = deliver, .destroy = hostile_destroy,
};
